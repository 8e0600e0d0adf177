//! A device: its keys, its sessions with the one peer that it has, and what an engine remembers beside them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use hushwire_crypto::limits::STORED_SESSIONS_BYTES_MAX;
use hushwire_crypto::{
    CiphertextMessage, DecryptError, EncryptError, IdentityKeyPair, KyberPreKey, Local, MalformedMessage,
    OneTimePreKey, OurPreKeys, PreKeyBundle, PreKeySignalMessage, PublicKey, Sessions, SignalMessage, SignedPreKey,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

pub(crate) const NOW_MS: u64 = 1_700_000_000_000;

/// Alice and Bob, with prekeys and without a session.
pub(crate) fn people() -> [Device; 2] {
    /// Made once: most of the work of an input would be theirs.
    static PEOPLE: LazyLock<[Device; 2]> = LazyLock::new(|| {
        // Not the seed of any schedule, which is one byte: the same randomness twice would be the same keys twice.
        let mut rng = StdRng::seed_from_u64(1001);
        [4001, 4002].map(|registration_id| Device::new(registration_id, &mut rng))
    });
    PEOPLE.clone()
}

#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) identity: IdentityKeyPair,
    pub(crate) registration_id: u32,
    pub(crate) signed: SignedPreKey,
    pub(crate) kyber: KyberPreKey,
    /// Those that were given out and not used yet.
    pub(crate) one_time: Vec<OneTimePreKey>,
    pub(crate) sessions: Sessions,
    /// Base keys of the sessions that others have begun: each begins one session.
    begun: BTreeSet<PublicKey>,
}

/// Why a message did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Malformed(MalformedMessage),
    Decrypt(DecryptError),
    /// It begins a session that was begun before and is gone. Spec: signal-wire §8.3.
    BegunBefore,
}

impl Device {
    fn new(registration_id: u32, rng: &mut StdRng) -> Device {
        let identity = IdentityKeyPair::generate(rng);
        Device {
            registration_id,
            signed: SignedPreKey::generate(1, &identity, rng),
            kyber: KyberPreKey::generate(2, &identity, rng),
            one_time: vec![OneTimePreKey::generate(0, rng)],
            sessions: Sessions::empty(),
            begun: BTreeSet::new(),
            identity,
        }
    }

    pub(crate) fn local(&self) -> Local<'_> {
        Local::new(&self.identity, self.registration_id)
    }

    /// What a keyserver gives out, with this one-time prekey.
    pub(crate) fn bundle(&self, one_time: Option<&OneTimePreKey>) -> PreKeyBundle {
        PreKeyBundle {
            registration_id: self.registration_id,
            device_id: 1,
            identity: self.identity.public(),
            signed: self.signed.public(),
            kyber: self.kyber.public(),
            one_time: one_time.map(OneTimePreKey::public),
        }
    }

    pub(crate) fn start(&mut self, with: PreKeyBundle, rng: &mut StdRng) {
        let verified = with.verify().expect("an honest bundle verifies");
        self.sessions =
            self.sessions.start(&self.local(), &verified, NOW_MS, rng).expect("a session with a good bundle");
    }

    pub(crate) fn send(&mut self, text: &[u8], rng: &mut StdRng) -> Result<CiphertextMessage, EncryptError> {
        let sealed = self.sessions.encrypt(&self.local(), text, NOW_MS, rng)?;
        self.sessions = sealed.sessions;
        Ok(sealed.message)
    }

    /// Opens a message, and keeps what belongs to it and nothing else.
    pub(crate) fn receive(&mut self, message: &CiphertextMessage, rng: &mut StdRng) -> Result<Vec<u8>, Refused> {
        match message {
            CiphertextMessage::PreKey(bytes) => self.receive_first(bytes, rng),
            CiphertextMessage::Signal(bytes) => {
                let message = SignalMessage::parse(bytes).map_err(Refused::Malformed)?;
                let opened = self.sessions.decrypt(&self.local(), &message, rng).map_err(Refused::Decrypt)?;
                self.sessions = opened.sessions;
                Ok(opened.plaintext.to_vec())
            }
        }
    }

    fn receive_first(&mut self, bytes: &[u8], rng: &mut StdRng) -> Result<Vec<u8>, Refused> {
        let first = PreKeySignalMessage::parse(bytes).map_err(Refused::Malformed)?;
        let known = self.sessions.matches(&first);
        if !known && self.begun.contains(&first.base_key()) {
            return Err(Refused::BegunBefore);
        }
        let one_time = self.one_time.iter().find(|key| Some(key.id()) == first.one_time_id());
        let keys = Some(OurPreKeys { signed: &self.signed, kyber: &self.kyber, one_time }).filter(|_| !known);
        let opened = self.sessions.decrypt_first(&self.local(), &first, keys, rng).map_err(Refused::Decrypt)?;
        assert_eq!(opened.used.is_some(), !known, "a session is begun with prekeys, and nothing else uses any");
        if let Some(used) = opened.used {
            self.one_time.retain(|key| Some(key.id()) != used.one_time_id);
            self.begun.insert(used.base_key);
        }
        self.sessions = opened.sessions;
        Ok(opened.plaintext.to_vec())
    }

    /// The sessions as they go to the disk.
    pub(crate) fn stored(&self) -> Zeroizing<Vec<u8>> {
        let stored = self.sessions.to_bytes();
        assert!(stored.len() <= STORED_SESSIONS_BYTES_MAX, "{} bytes of sessions", stored.len());
        stored
    }

    /// Puts the sessions on disk and reads them again.
    pub(crate) fn restart(&mut self) {
        let stored = self.stored();
        self.sessions = Sessions::from_bytes(&stored).expect("what was stored is read");
        assert_eq!(*self.sessions.to_bytes(), *stored, "what was read is stored as it was");
    }
}
