//! What happens in both processes, from the same seed, in scenes: keys, sessions, a group, seals, all stored and read again.
//!
//! It goes through the public interface as a caller does, and keeps no copy of its own of anything secret. Whoever wants to
//! know the secrets listens.

use std::cell::RefCell;
use std::convert::Infallible;

use hushwire_crypto::sealed::certificate::{SenderCertificate, SenderDetails, ServerCertificate};
use hushwire_crypto::sealed::content::{ContentHint, ContentKind, SealedContent};
use hushwire_crypto::sealed::sent::{Recipient, RecipientDevice, SentMessage};
use hushwire_crypto::sealed::{self, v2};
use hushwire_crypto::{
    CiphertextMessage, DistributionId, IdentityKeyPair, KeyPair, KyberPreKey, Local, OneTimePreKey, OurPreKeys,
    OurSenderKey, PreKeyBundle, PreKeySignalMessage, SenderKeyDistributionMessage, SenderKeyMessage, SenderKeys,
    ServiceId, ServiceIdKind, Sessions, SignalMessage, SignedPreKey,
};
use rand_core::{Rng as _, TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use super::draws::Draws;

/// What a listener is told.
pub(crate) enum Told<'a> {
    /// What the rng gave.
    Drawn(&'a [u8]),
    /// A text before it was encrypted.
    Text(&'a [u8]),
    /// An identity's private key.
    Identity(&'a [u8]),
    /// The stored form of a one-time or signed prekey.
    PreKey(&'a [u8]),
    /// The stored form of a Kyber prekey.
    Kyber(&'a [u8]),
    /// Who receives a first message, his prekeys' stored forms, and that message.
    First { identity: &'a IdentityKeyPair, signed: &'a [u8], one_time: &'a [u8], kyber: &'a [u8], message: &'a [u8] },
    /// The stored form of a side's sessions.
    Sessions(&'a [u8]),
    /// The stored form of our sender key.
    SenderKey(&'a [u8]),
    /// A sealed message of version 1, who sealed it and who opens it.
    Sealed { sender: &'a IdentityKeyPair, recipient: &'a IdentityKeyPair, message: &'a [u8] },
}

/// Who listens.
pub(crate) struct Ear<'a>(RefCell<&'a mut dyn FnMut(Told<'_>)>);

impl<'a> Ear<'a> {
    pub(crate) fn new(listen: &'a mut dyn FnMut(Told<'_>)) -> Ear<'a> {
        Ear(RefCell::new(listen))
    }

    fn tell(&self, told: Told<'_>) {
        self.0.borrow_mut()(told);
    }
}

/// Randomness from a seed, and who listens to it.
pub(crate) struct Heard<'a> {
    draws: Draws,
    ear: &'a Ear<'a>,
}

impl<'a> Heard<'a> {
    pub(crate) fn new(seed: u64, ear: &'a Ear<'a>) -> Heard<'a> {
        Heard { draws: Draws(seed), ear }
    }
}

impl TryRng for Heard<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.draws.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.draws.try_next_u64()
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.draws.try_fill_bytes(out)?;
        self.ear.tell(Told::Drawn(out));
        Ok(())
    }
}

impl TryCryptoRng for Heard<'_> {}

struct Device {
    identity: IdentityKeyPair,
    signed: SignedPreKey,
    kyber: KyberPreKey,
    one_time: OneTimePreKey,
    sessions: Sessions,
}

impl Device {
    /// Everything of it was stored once and read again.
    fn new(rng: &mut Heard<'_>) -> Device {
        let ear = rng.ear;
        let identity = IdentityKeyPair::from_bytes(&IdentityKeyPair::generate(rng).to_bytes());
        ear.tell(Told::Identity(identity.to_bytes().as_slice()));
        let signed = SignedPreKey::generate(1, &identity, rng).to_bytes();
        let kyber = KyberPreKey::generate(2, &identity, rng).to_bytes();
        let one_time = OneTimePreKey::generate(3, rng).to_bytes();
        ear.tell(Told::PreKey(&signed));
        ear.tell(Told::PreKey(&one_time));
        ear.tell(Told::Kyber(&kyber));
        Device {
            identity,
            signed: SignedPreKey::from_bytes(&signed).unwrap(),
            kyber: KyberPreKey::from_bytes(&kyber).unwrap(),
            one_time: OneTimePreKey::from_bytes(&one_time).unwrap(),
            sessions: Sessions::empty(),
        }
    }

    fn bundle(&self) -> PreKeyBundle {
        PreKeyBundle {
            registration_id: 7,
            device_id: 1,
            identity: self.identity.public(),
            signed: self.signed.public(),
            kyber: self.kyber.public(),
            one_time: Some(self.one_time.public()),
        }
    }

    fn send(&mut self, text: &[u8], rng: &mut Heard<'_>) -> CiphertextMessage {
        let sealed = self.sessions.encrypt(&Local::new(&self.identity, 7), text, 0, rng).unwrap();
        self.keep(sealed.sessions, rng.ear);
        sealed.message
    }

    fn receive(&mut self, message: &CiphertextMessage, rng: &mut Heard<'_>) -> Zeroizing<Vec<u8>> {
        let local = Local::new(&self.identity, 7);
        let (plaintext, sessions) = match message {
            CiphertextMessage::Signal(bytes) => {
                let opened = self.sessions.decrypt(&local, &SignalMessage::parse(bytes).unwrap(), rng).unwrap();
                (opened.plaintext, opened.sessions)
            }
            CiphertextMessage::PreKey(bytes) => {
                rng.ear.tell(Told::First {
                    identity: &self.identity,
                    signed: &self.signed.to_bytes(),
                    one_time: &self.one_time.to_bytes(),
                    kyber: &self.kyber.to_bytes(),
                    message: bytes,
                });
                let keys = OurPreKeys { signed: &self.signed, kyber: &self.kyber, one_time: Some(&self.one_time) };
                let first = PreKeySignalMessage::parse(bytes).unwrap();
                let opened = self.sessions.decrypt_first(&local, &first, Some(keys), rng).unwrap();
                (opened.plaintext, opened.sessions)
            }
        };
        self.keep(sessions, rng.ear);
        plaintext
    }

    /// A message that was changed on the way.
    fn refuse(&self, message: &CiphertextMessage, rng: &mut Heard<'_>) {
        let mut bytes = message.as_bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let CiphertextMessage::Signal(_) = message else { return };
        let message = SignalMessage::parse(&bytes).unwrap();
        assert!(self.sessions.decrypt(&Local::new(&self.identity, 7), &message, rng).is_err());
    }

    /// Stores and reads again, as after a crash.
    fn keep(&mut self, sessions: Sessions, ear: &Ear<'_>) {
        let stored = sessions.to_bytes();
        ear.tell(Told::Sessions(&stored));
        self.sessions = Sessions::from_bytes(&stored).unwrap();
    }
}

/// Its name, and what happens in it.
type Scene = (&'static str, fn(&mut Heard<'_>));

/// What happens, each with a name; nothing of it is left at its end. Each ends with another act, because what an act leaves
/// on the stack lasts until the next one.
pub(crate) const SCENES: [Scene; 14] = [
    ("keys are made and stored", |rng| drop(Device::new(rng))),
    ("a session is started", |rng| drop(begun(rng))),
    ("a first message is written", |rng| converse(1, true, rng)),
    ("a first message is read", |rng| converse(1, false, rng)),
    ("an answer is read", |rng| converse(2, false, rng)),
    ("an ML-KEM key pair is made", |rng| converse(3, true, rng)),
    ("an encapsulation is begun", |rng| converse(10, true, rng)),
    ("an encapsulation is ended", |rng| converse(81, false, rng)),
    ("a conversation of three epochs", |rng| converse(260, false, rng)),
    ("a message is refused", |rng| {
        let (mut alice, bob) = acquainted(5, rng);
        let message = alice.send(&text(70, rng), rng);
        bob.refuse(&message, rng);
    }),
    ("a group is written to", |rng| tell_a_group(true, rng)),
    ("a group is read", |rng| tell_a_group(false, rng)),
    ("a seal is opened", seal),
    ("a seal for many is opened", seal_for_many),
];

/// Alice has started a session with Bob.
fn begun(rng: &mut Heard<'_>) -> (Device, Device) {
    let (mut alice, bob) = (Device::new(rng), Device::new(rng));
    let bundle = bob.bundle().verify().unwrap();
    let sessions = alice.sessions.start(&Local::new(&alice.identity, 7), &bundle, 0, rng).unwrap();
    alice.keep(sessions, rng.ear);
    (alice, bob)
}

/// After a conversation of so many turns.
fn acquainted(turns: usize, rng: &mut Heard<'_>) -> (Device, Device) {
    let (mut alice, mut bob) = begun(rng);
    let mut late = None;
    for turn in 0..turns {
        let (from, to) = if turn % 2 == 0 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        let text = text(40 + turn % 60, rng);
        let message = from.send(&text, rng);
        assert_eq!(*to.receive(&message, rng), *text);
        // One is left behind in a while, to come late; the next one never comes.
        if turn % 16 == 4 {
            late = Some(from.send(&text, rng));
            from.send(&text, rng);
        }
        if turn % 16 == 10 {
            assert_eq!(to.receive(&late.take().unwrap(), rng).len(), 40 + (turn - 6) % 60);
        }
    }
    (alice, bob)
}

/// So many turns; the last message is only written, or read too.
fn converse(turns: usize, only_written: bool, rng: &mut Heard<'_>) {
    let (mut alice, mut bob) = acquainted(turns - 1, rng);
    let (from, to) = if turns % 2 == 1 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
    let message = from.send(&text(70, rng), rng);
    if !only_written {
        to.receive(&message, rng);
    }
}

fn tell_a_group(only_written: bool, rng: &mut Heard<'_>) {
    let (mut alice, mut bob) = acquainted(2, rng);
    let distribution = DistributionId::from_bytes([3; 16]);
    let mut ours = OurSenderKey::generate(distribution, rng);
    let told = alice.send(&ours.distribution_message().to_bytes(), rng);
    let told = SenderKeyDistributionMessage::parse(&bob.receive(&told, rng)).unwrap();
    let mut theirs = SenderKeys::empty(distribution).accept(&told).unwrap();
    for number in 0..12 {
        let stored = ours.to_bytes();
        rng.ear.tell(Told::SenderKey(&stored));
        let text = text(50, rng);
        let sealed = OurSenderKey::from_bytes(&stored).unwrap().encrypt(&text, rng).unwrap();
        ours = sealed.key;
        if number % 3 != 1 && !only_written {
            let opened = theirs.decrypt(&SenderKeyMessage::parse(&sealed.message).unwrap()).unwrap();
            assert_eq!(*opened.plaintext, *text);
            theirs = SenderKeys::from_bytes(&opened.keys.to_bytes()).unwrap();
        }
    }
}

fn seal(rng: &mut Heard<'_>) {
    let (alice, bob) = (Device::new(rng).identity, Device::new(rng).identity);
    let text = text(200, rng);
    let message = sealed::seal(&text, &alice, &bob.public(), rng).unwrap();
    rng.ear.tell(Told::Sealed { sender: &alice, recipient: &bob, message: &message });
    assert!(sealed::open(&message, &alice).is_err());
    assert_eq!(*sealed::open(&message, &bob).unwrap().content, *text);
}

fn seal_for_many(rng: &mut Heard<'_>) {
    let (alice, bob) = (Device::new(rng).identity, Device::new(rng).identity);
    let root = KeyPair::generate(rng);
    let server = KeyPair::generate(rng);
    let certificate = ServerCertificate::issue(5, server.public(), &root, rng);
    let details = SenderDetails {
        uuid: "9d0652a3-dcc3-4d11-975f-74d61598733f".to_owned(),
        e164: None,
        device_id: 1,
        identity: alice.public(),
        expires_ms: u64::MAX,
    };
    let content = SealedContent {
        kind: ContentKind::Signal,
        certificate: SenderCertificate::issue(details, &certificate, &server, rng),
        message: b"what a session has encrypted".to_vec(),
        hint: ContentHint::Default,
        group_id: None,
    };
    let devices = [RecipientDevice { id: 1, registration_id: 7 }];
    let account = ServiceId::new(ServiceIdKind::Aci, [1; 16]);
    let recipients = [Recipient { account, identity: bob.public(), devices: &devices }];
    let sent = SentMessage::parse(&v2::seal(&content, &alice, &recipients, &[], rng).unwrap()).unwrap();
    let received = sent.received_message(&sent.recipients()[0]);
    assert!(v2::open(&received, &bob).unwrap() == content);
}

/// A text that stands nowhere in the program.
fn text(bytes: usize, rng: &mut Heard<'_>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(vec![0; bytes]);
    rng.fill_bytes(&mut text);
    rng.ear.tell(Told::Text(&text));
    text
}

/// What is never dropped, so that a scan which does not find it is worth nothing: a key in its box, and a careless copy.
pub(crate) fn controls<'a>(ear: &'a Ear<'a>) -> (IdentityKeyPair, Vec<u8>) {
    let mut rng = Heard::new(2, ear);
    let key = IdentityKeyPair::generate(&mut rng);
    let mut copy = vec![0; 32];
    rng.fill_bytes(&mut copy);
    (key, copy)
}
