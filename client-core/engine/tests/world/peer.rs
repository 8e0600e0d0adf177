//! A peer that says whatever it likes: own keys and device lists, contents written by hand, sealed as the protocol says.

use ed25519_dalek::SigningKey;
use hushwire_crypto::sealed::{self, sealed_len};
use hushwire_crypto::{
    CiphertextMessage, IdentityKeyPair, KemPublicKey, KyberPreKey, KyberPreKeyPublic, Local, OneTimePreKeyPublic,
    PreKeyBundle, PublicKey, Sessions, SignalMessage, SignedPreKey, SignedPreKeyPublic,
};
use hushwire_engine::{Command, Contact};
use hushwire_proto::account::{Device, Link, Signatory, SignedLink, encode_links, identity_transcript};
use hushwire_proto::envelope::{Envelope, class_for};
use hushwire_proto::ids::{AccountId, DeviceId, MailboxId, Token};
use hushwire_proto::keyserver::{Publish, SignedCurveKey, SignedKyberKey};
use prost::Message as _;
use rand::RngExt as _;

use super::wire::{Content, InsideWire, PlainWire, Receipt, Said, Words};
use super::{Keys, Person, World, server};

/// A text that stands where it should not matter; its id is made of its number and its first bytes.
pub fn text(counter: u64, text: &str) -> PlainWire {
    let mut start = [0; 8];
    start.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
    let said = Said {
        message_id: [&counter.to_be_bytes()[..], &start].concat(),
        counter,
        previous: if counter > 1 { vec![1; 32] } else { Vec::new() },
        lamport: counter,
        sent_at_ms: 1,
        text: Some(Words { text: text.into() }),
        ..Said::default()
    };
    let content = Content { said: Some(said), ..Content::default() };
    PlainWire { content: content.encode_to_vec(), introduction: None }
}

pub fn receipt(author: u32, delivered: Vec<u64>, read_through: u64) -> PlainWire {
    let receipt = Receipt { author, delivered, read_through, ..Receipt::default() };
    let content = Content { receipt: Some(receipt), ..Content::default() };
    PlainWire { content: content.encode_to_vec(), introduction: None }
}

/// A peer whom this person has accepted, and who has prekeys.
pub fn accepted(world: &mut World, by: &mut Person) -> (Peer, Contact) {
    let mut peer = Peer::new(world);
    peer.begin(world, by);
    peer.say(world, by, &text(1, "hello"));
    let contact = by.engine().contacts().unwrap().pop().unwrap();
    world.command(by, Command::Accept(contact.id));
    peer.publish(world);
    world.settle(&mut [by]);
    (peer, contact)
}

pub struct Peer {
    pub identity: IdentityKeyPair,
    pub signing: SigningKey,
    pub recovery: SigningKey,
    pub links: Vec<SignedLink>,
    pub device: DeviceId,
    pub sessions: Sessions,
}

impl Peer {
    /// An account of one device that only exists on this peer's machine.
    pub fn new(world: &mut World) -> Self {
        let identity = IdentityKeyPair::generate(&mut world.rng);
        let signing = SigningKey::from_bytes(&world.rng.random());
        let recovery = SigningKey::from_bytes(&world.rng.random());
        let mut peer = Self {
            identity,
            signing,
            recovery,
            links: Vec::new(),
            device: DeviceId::FIRST,
            sessions: Sessions::empty(),
        };
        let device = peer.as_device(world, DeviceId::FIRST);
        peer.add_link(vec![device]);
        peer
    }

    /// This peer's keys as a device of that number.
    pub fn as_device(&self, world: &mut World, id: DeviceId) -> Device {
        let signing_key = self.signing.verifying_key().to_bytes();
        let transcript = identity_transcript(id, 5, &signing_key);
        Device {
            id,
            registration_id: 5,
            identity_key: self.identity.public().to_pub33(),
            signing_key,
            identity_proof: self.identity.sign(&[transcript.bytes()], &mut world.rng),
            relay: server(4431).to_string(),
            mailbox: MailboxId(world.rng.random()),
            request_token: Token::from_slice(&[3; 32]).unwrap(),
            name: String::new(),
        }
    }

    /// The next device list, signed by the recovery key.
    pub fn add_link(&mut self, devices: Vec<Device>) {
        let link = Link {
            version: self.links.len() as u64,
            previous: self.links.last().map(SignedLink::hash),
            devices,
            recovery_key: self.recovery.verifying_key().to_bytes(),
        };
        self.links.push(link.sign(Signatory::Recovery, &self.recovery));
    }

    pub fn account(&self) -> AccountId {
        AccountId(self.links[0].hash().0)
    }

    /// Shows the account at the keyserver, with prekeys.
    pub fn publish(&self, world: &mut World) {
        let signed = SignedPreKey::generate(1, &self.identity, &mut world.rng).public();
        let kyber = KyberPreKey::generate(2, &self.identity, &mut world.rng).public();
        let publish = Publish {
            signed_prekey: Some(SignedCurveKey {
                id: signed.id,
                key: signed.key.to_pub33(),
                signature: signed.signature,
            }),
            last_resort_kyber: Some(SignedKyberKey {
                id: kyber.id,
                key: kyber.key.to_bytes().into(),
                signature: kyber.signature,
            }),
            ..Publish::default()
        };
        world.accounts.insert(self.account(), Keys { links: self.links.clone(), publish, ..Keys::default() });
        for device in &self.links.last().unwrap().link().devices {
            world.mailboxes.entry(device.mailbox).or_default().tokens.push(device.request_token.hash());
        }
    }

    /// Begins a session with what the keyserver gives for this person.
    pub fn begin(&mut self, world: &mut World, with: &Person) {
        let keys = &world.accounts[&with.account()];
        let device = &keys.links.last().unwrap().link().devices[0];
        let publish = keys.publish.clone();
        let key = |bytes: &[u8]| PublicKey::from_pub33(bytes).unwrap();
        let signed = publish.signed_prekey.as_ref().unwrap();
        let kyber = publish.one_time_kyber.first().or(publish.last_resort_kyber.as_ref()).unwrap();
        let bundle = PreKeyBundle {
            registration_id: device.registration_id.into(),
            device_id: device.id.get(),
            identity: key(&device.identity_key),
            signed: SignedPreKeyPublic { id: signed.id, key: key(&signed.key), signature: signed.signature },
            kyber: KyberPreKeyPublic {
                id: kyber.id,
                key: KemPublicKey::from_bytes(&kyber.key).unwrap(),
                signature: kyber.signature,
            },
            one_time: publish.one_time.first().map(|one| OneTimePreKeyPublic { id: one.id, key: key(&one.key) }),
        };
        let verified = bundle.verify().unwrap();
        let left = &mut world.accounts.get_mut(&with.account()).unwrap().publish;
        left.one_time = publish.one_time.into_iter().skip(1).collect();
        left.one_time_kyber = publish.one_time_kyber.into_iter().skip(1).collect();
        let local = Local::new(&self.identity, 5).with_peer(verified.identity());
        self.sessions = self.sessions.start(&local, &verified, world.now.0, &mut world.rng).unwrap();
    }

    /// What goes into the seal, by the rules.
    pub fn inside(&mut self, world: &mut World, to: &Person, plain: &PlainWire) -> InsideWire {
        let identity = to.identity();
        let local = Local::new(&self.identity, 5).with_peer(identity);
        let sealed =
            self.sessions.clone().encrypt(&local, &plain.encode_to_vec(), world.now.0, &mut world.rng).unwrap();
        self.sessions = sealed.sessions;
        let (kind, message) = match sealed.message {
            CiphertextMessage::PreKey(bytes) => (1, bytes),
            CiphertextMessage::Signal(bytes) => (2, bytes),
        };
        InsideWire {
            kind,
            account: self.account().0.to_vec(),
            device: self.device.get().into(),
            message,
            links: encode_links(&self.links),
            recipient: to.account().0.to_vec(),
        }
    }

    pub fn seal(&self, world: &mut World, to: &Person, inside: &InsideWire) -> Envelope {
        let mut bytes = inside.encode_to_vec();
        bytes.push(0x80);
        let class = class_for(sealed_len(bytes.len())).unwrap();
        let length = (bytes.len()..class).find(|length| sealed_len(*length) == class).unwrap();
        bytes.resize(length, 0);
        let sealed = sealed::seal(&bytes, &self.identity, &to.identity(), &mut world.rng).unwrap();
        Envelope::new(sealed.into()).unwrap()
    }

    /// Says it, by the rules.
    pub fn say(&mut self, world: &mut World, to: &mut Person, plain: &PlainWire) -> Envelope {
        let inside = self.inside(world, to, plain);
        let envelope = self.seal(world, to, &inside);
        world.inject(to.mailbox(), envelope.clone());
        world.settle(&mut [to]);
        envelope
    }

    /// Opens an envelope that was sent to this peer in a session that it began.
    pub fn open(&mut self, world: &mut World, from: &Person, envelope: &Envelope) -> Said {
        let (sessions, content) = self.open_in(&self.sessions, world, from, envelope).unwrap();
        self.sessions = sessions;
        content.said.unwrap()
    }

    /// The same in any session with this person; nothing if it is not from them, or does not open.
    pub fn open_in(
        &self,
        sessions: &Sessions,
        world: &mut World,
        from: &Person,
        envelope: &Envelope,
    ) -> Option<(Sessions, Content)> {
        let unsealed = sealed::open(envelope.bytes(), &self.identity).ok()?;
        let end = unsealed.content.iter().rposition(|byte| *byte != 0)?;
        let inside = InsideWire::decode(&unsealed.content[..end]).ok()?;
        if inside.account != from.account().0 {
            return None;
        }
        let local = Local::new(&self.identity, 5).with_peer(from.identity());
        let message = SignalMessage::parse(&inside.message).ok()?;
        let opened = sessions.decrypt(&local, &message, &mut world.rng).ok()?;
        let plain = PlainWire::decode(&opened.plaintext[..]).ok()?;
        Some((opened.sessions, Content::decode(&plain.content[..]).ok()?))
    }
}
