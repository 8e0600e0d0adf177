//! Two devices with their prekeys, and no network: what the tests of this crate play with.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use draws::Draws;
use hushwire_crypto::{
    CiphertextMessage, DecryptError, EncryptError, IdentityKeyPair, KyberPreKey, Local, MalformedMessage,
    OneTimePreKey, OurPreKeys, PreKeyBundle, PreKeySignalMessage, Sessions, SignalMessage, SignedPreKey, UsedPreKeys,
    VerifiedBundle,
};

pub mod draws;
pub mod group;
pub mod layout;
pub mod recorded;

/// One device: its keys, and its sessions with the one peer that it has.
pub struct Device {
    pub identity: IdentityKeyPair,
    pub registration_id: u32,
    pub signed: SignedPreKey,
    pub kyber: KyberPreKey,
    pub one_time: Option<OneTimePreKey>,
    pub sessions: Sessions,
    pub now_ms: u64,
    pub rng: Draws,
    /// What the last first message used.
    pub used: Option<UsedPreKeys>,
}

/// Why a message did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Parse(MalformedMessage),
    Decrypt(DecryptError),
}

impl From<MalformedMessage> for Refused {
    fn from(error: MalformedMessage) -> Refused {
        Refused::Parse(error)
    }
}

impl From<DecryptError> for Refused {
    fn from(error: DecryptError) -> Refused {
        Refused::Decrypt(error)
    }
}

impl Device {
    pub fn seeded(seed: u64) -> Device {
        let mut rng = Draws(seed);
        let identity = IdentityKeyPair::generate(&mut rng);
        Device {
            registration_id: 4001,
            signed: SignedPreKey::generate(1, &identity, &mut rng),
            kyber: KyberPreKey::generate(2, &identity, &mut rng),
            one_time: Some(OneTimePreKey::generate(3, &mut rng)),
            sessions: Sessions::empty(),
            now_ms: 1_700_000_000_000,
            rng,
            identity,
            used: None,
        }
    }

    pub fn local(&self) -> Local<'_> {
        Local::new(&self.identity, self.registration_id)
    }

    pub fn bundle(&self) -> PreKeyBundle {
        PreKeyBundle {
            registration_id: self.registration_id,
            device_id: 1,
            identity: self.identity.public(),
            signed: self.signed.public(),
            kyber: self.kyber.public(),
            one_time: self.one_time.as_ref().map(OneTimePreKey::public),
        }
    }

    pub fn verified(&self) -> VerifiedBundle {
        self.bundle().verify().unwrap()
    }

    pub fn start(&mut self, peer: &Device) {
        let local = Local::new(&self.identity, self.registration_id);
        self.sessions = self.sessions.start(&local, &peer.verified(), self.now_ms, &mut self.rng).unwrap();
    }

    pub fn try_send(&mut self, text: &[u8]) -> Result<CiphertextMessage, EncryptError> {
        let local = Local::new(&self.identity, self.registration_id);
        let sealed = self.sessions.encrypt(&local, text, self.now_ms, &mut self.rng)?;
        self.sessions = sealed.sessions;
        Ok(sealed.message)
    }

    pub fn send(&mut self, text: &[u8]) -> CiphertextMessage {
        self.try_send(text).unwrap()
    }

    /// What it would send; nothing is kept of it.
    pub fn would_send(&self, text: &[u8]) -> CiphertextMessage {
        self.sessions.encrypt(&self.local(), text, self.now_ms, &mut Draws(0)).unwrap().message
    }

    /// Opens a message and keeps what belongs to it. The prekeys stay, as they do at a peer that has not stored yet.
    pub fn receive(&mut self, message: &CiphertextMessage) -> Result<Vec<u8>, Refused> {
        let local = Local::new(&self.identity, self.registration_id);
        let (plaintext, sessions) = match message {
            CiphertextMessage::PreKey(bytes) => {
                let first = PreKeySignalMessage::parse(bytes)?;
                let one_time = self.one_time.as_ref().filter(|key| Some(key.id()) == first.one_time_id());
                let keys = OurPreKeys { signed: &self.signed, kyber: &self.kyber, one_time };
                let keys = Some(keys).filter(|_| !self.sessions.matches(&first));
                let opened = self.sessions.decrypt_first(&local, &first, keys, &mut self.rng)?;
                self.used = opened.used;
                (opened.plaintext, opened.sessions)
            }
            CiphertextMessage::Signal(bytes) => {
                let opened = self.sessions.decrypt(&local, &SignalMessage::parse(bytes)?, &mut self.rng)?;
                (opened.plaintext, opened.sessions)
            }
        };
        self.sessions = sessions;
        Ok(plaintext.to_vec())
    }

    /// Puts the sessions on disk and reads them again.
    pub fn restart(&mut self) {
        let stored = self.sessions.to_bytes();
        self.sessions = Sessions::from_bytes(&stored).unwrap();
        assert_eq!(*self.sessions.to_bytes(), *stored);
    }
}

/// Alice has a session with Bob, and both have heard of each other.
pub fn acquainted(seed: u64) -> (Device, Device) {
    let (mut alice, mut bob) = (Device::seeded(seed), Device::seeded(seed + 1));
    alice.start(&bob);
    let hello = alice.send(b"hello");
    assert_eq!(bob.receive(&hello).unwrap(), b"hello");
    let answer = bob.send(b"yes?");
    assert_eq!(alice.receive(&answer).unwrap(), b"yes?");
    (alice, bob)
}

/// The message with `from` replaced by `to` wherever it stands.
pub fn replaced(message: &CiphertextMessage, from: &[u8; 32], to: &[u8; 32]) -> CiphertextMessage {
    let mut bytes = message.as_bytes().to_vec();
    let places: Vec<usize> = (0..=bytes.len() - 32).filter(|place| bytes[*place..*place + 32] == *from).collect();
    assert!(!places.is_empty(), "nothing to replace");
    for place in places {
        bytes[place..place + 32].copy_from_slice(to);
    }
    match message {
        CiphertextMessage::PreKey(_) => CiphertextMessage::PreKey(bytes),
        CiphertextMessage::Signal(_) => CiphertextMessage::Signal(bytes),
    }
}
