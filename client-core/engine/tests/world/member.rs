//! A member of a group that says and does there whatever it likes: what goes on the wire is written by hand, from the
//! specification.

use std::collections::BTreeMap;

use ed25519_dalek::Signer as _;
use hushwire_crypto::{DistributionId, OurSenderKey, SHARED_OVERHEAD, Sessions, SharedKey};
use hushwire_proto::account::encode_links;
use hushwire_proto::envelope::{Envelope, class_for};
use hushwire_proto::ids::{AccountId, ChangeHash};
use hushwire_proto::signing::{Label, Transcript};
use prost::Message as _;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

use super::peer::Peer;
use super::wire::{
    ChangeWire, Content, GroupChanges, GroupInside, GroupKey, GroupPlain, OpWire, PlainWire, Proven, Said, SignedWire,
    Words,
};
use super::{Person, World};

pub fn rename(name: &str) -> OpWire {
    OpWire { rename: Some(name.into()), ..OpWire::default() }
}

pub fn remove(account: AccountId) -> OpWire {
    OpWire { remove: Some(account.0.to_vec()), ..OpWire::default() }
}

/// Later than what anybody else says, with an id made of its number.
pub fn said(counter: u64) -> Said {
    Said {
        message_id: counter.to_be_bytes().repeat(2),
        counter,
        previous: if counter > 1 { vec![1; 32] } else { Vec::new() },
        lamport: 1000 + counter,
        sent_at_ms: 1,
        ..Said::default()
    }
}

pub fn words(counter: u64, text: &str) -> Content {
    saying(Said { text: Some(Words { text: text.into() }), ..said(counter) })
}

pub fn saying(said: Said) -> Content {
    Content { said: Some(said), ..Content::default() }
}

/// `T("hushwire/1 …", change)`, signed.
pub fn sign(peer: &Peer, change: &ChangeWire) -> Vec<u8> {
    let change = change.encode_to_vec();
    let transcript = Transcript::new(Label::GroupChangeSignature).part(&change);
    let signature = peer.signing.sign(transcript.bytes()).to_bytes().to_vec();
    SignedWire { change, signature }.encode_to_vec()
}

/// The hash of a signed change.
pub fn hash(signed: &[u8]) -> ChangeHash {
    let change = SignedWire::decode(signed).unwrap().change;
    ChangeHash(Sha256::digest(Transcript::new(Label::GroupChange).part(&change).bytes()).into())
}

/// What seals to the group.
pub fn seal(group: &[u8], secret: &[u8]) -> SharedKey {
    SharedKey::new(secret.try_into().unwrap(), &[b"hushwire/1 group seal", group].concat())
}

pub struct Member {
    pub peer: Peer,
    sessions: BTreeMap<AccountId, Sessions>,
    pub group: Vec<u8>,
    /// The newest that it was told.
    pub secret: Vec<u8>,
    pub key: Option<OurSenderKey>,
}

impl Member {
    /// `with`: the one person with whom this peer has a session.
    pub fn new(world: &mut World, mut peer: Peer, with: &Person) -> Self {
        let sessions = BTreeMap::from([(with.account(), std::mem::replace(&mut peer.sessions, Sessions::empty()))]);
        let mut member = Self { peer, sessions, group: Vec::new(), secret: Vec::new(), key: None };
        member.renew(world);
        member
    }

    /// Makes another key to write with.
    pub fn renew(&mut self, world: &mut World) {
        let distribution = DistributionId::from_bytes(world.rng.random());
        self.key = Some(OurSenderKey::generate(distribution, &mut world.rng));
    }

    /// Reads what this person has sealed to it, and keeps the group and the secret that it is told.
    pub fn listen(&mut self, world: &mut World, from: &Person) -> Vec<Content> {
        let mailbox = self.peer.links.last().unwrap().link().devices[0].mailbox;
        let envelopes = std::mem::take(&mut world.mailboxes.get_mut(&mailbox).unwrap().envelopes);
        let (mut heard, mut others) = (Vec::new(), Vec::new());
        for delivery in envelopes {
            match self.open(world, from, &delivery.envelope) {
                Some(content) => heard.push(content),
                None => others.push(delivery),
            }
        }
        world.mailboxes.get_mut(&mailbox).unwrap().envelopes = others;
        for key in heard.iter().filter_map(|content| content.group_key.as_ref()) {
            (self.group, self.secret) = (key.group.clone(), key.secret.clone());
        }
        heard
    }

    fn open(&mut self, world: &mut World, from: &Person, envelope: &Envelope) -> Option<Content> {
        let (sessions, content) = self.peer.open_in(self.sessions.get(&from.account())?, world, from, envelope)?;
        self.sessions.insert(from.account(), sessions);
        Some(content)
    }

    /// Says it to one person alone.
    pub fn tell(&mut self, world: &mut World, to: &mut Person, content: &Content) -> Envelope {
        match self.sessions.remove(&to.account()) {
            Some(sessions) => self.peer.sessions = sessions,
            None => {
                self.peer.sessions = Sessions::empty();
                self.peer.begin(world, to);
            }
        }
        let plain = PlainWire { content: content.encode_to_vec(), introduction: None };
        let envelope = self.peer.say(world, to, &plain);
        let sessions = std::mem::replace(&mut self.peer.sessions, Sessions::empty());
        self.sessions.insert(to.account(), sessions);
        envelope
    }

    /// Its key, with the secret that it knows.
    pub fn key(&self) -> GroupKey {
        GroupKey {
            group: self.group.clone(),
            key: self.key.as_ref().unwrap().distribution_message().to_bytes().to_vec(),
            secret: self.secret.clone(),
            ..GroupKey::default()
        }
    }

    pub fn give_key(&mut self, world: &mut World, to: &mut Person) {
        let content = Content { group_key: Some(self.key()), ..Content::default() };
        self.tell(world, to, &content);
    }

    /// What goes into an envelope to the group, by the rules.
    pub fn plain(&self, content: &Content) -> GroupPlain {
        GroupPlain { group: self.group.clone(), heads: Vec::new(), content: content.encode_to_vec() }
    }

    pub fn inside(&mut self, world: &mut World, plain: &GroupPlain) -> GroupInside {
        let sealed = self.key.take().unwrap().encrypt(&plain.encode_to_vec(), &mut world.rng).unwrap();
        self.key = Some(sealed.key);
        let (account, device) = (self.peer.account().0.to_vec(), self.peer.device.get().into());
        GroupInside { account, device, message: sealed.message }
    }

    /// Seals to the group with this secret.
    pub fn seal(&self, world: &mut World, inside: &GroupInside, secret: &[u8]) -> Envelope {
        let mut bytes = inside.encode_to_vec();
        bytes.push(0x80);
        let class = class_for(1 + SHARED_OVERHEAD + bytes.len()).unwrap();
        bytes.resize(class - 1 - SHARED_OVERHEAD, 0);
        let sealed = seal(&self.group, secret).seal(&[0x21], &bytes, &mut world.rng);
        Envelope::new([&[0x21], &sealed[..]].concat().into()).unwrap()
    }

    /// Says it to the group, of which this person hears it.
    pub fn speak(&mut self, world: &mut World, to: &mut Person, content: &Content) -> Envelope {
        let plain = self.plain(content);
        self.speak_plain(world, to, &plain)
    }

    pub fn speak_plain(&mut self, world: &mut World, to: &mut Person, plain: &GroupPlain) -> Envelope {
        let inside = self.inside(world, plain);
        let envelope = self.seal(world, &inside, &self.secret.clone());
        world.inject(to.mailbox(), envelope.clone());
        world.settle(&mut [to]);
        envelope
    }

    /// A change of its own after these, with its device lists.
    pub fn change(&self, parents: &[ChangeHash], height: u64, ops: Vec<OpWire>) -> ChangeWire {
        let mut parents: Vec<Vec<u8>> = parents.iter().map(|parent| parent.0.to_vec()).collect();
        parents.sort();
        ChangeWire {
            group: self.group.clone(),
            parents,
            height,
            author: self.peer.account().0.to_vec(),
            device: self.peer.device.get().into(),
            at_ms: 1,
            servers: Vec::new(),
            ops,
        }
    }

    pub fn changes(&self, changes: &[Vec<u8>]) -> Content {
        let chain = encode_links(&self.peer.links).to_vec();
        let proven = |change: &Vec<u8>| Proven { change: change.clone(), chain: chain.clone() };
        let changes = changes.iter().map(proven).collect();
        let changes = GroupChanges { group: self.group.clone(), changes };
        Content { group_changes: Some(changes), ..Content::default() }
    }

    /// Whether it can open this with what it was told.
    pub fn can_open(&self, envelope: &Envelope, secret: &[u8]) -> bool {
        envelope.bytes().split_first().is_some_and(|(_, rest)| seal(&self.group, secret).open(&[0x21], rest).is_some())
    }

    pub fn door(&self, secret: &[u8], of: &Person) -> hushwire_proto::ids::Token {
        let key = SharedKey::new(secret.try_into().unwrap(), &[b"hushwire/1 group door", &self.group[..]].concat());
        hushwire_proto::ids::Token::from_bytes(&key.derive(of.mailbox().as_bytes()))
    }
}
