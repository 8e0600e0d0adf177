//! What an operation is to us, and two who talk.

use std::hint::black_box;
use std::time::Instant;

use hushwire_crypto::{
    Addresses, CiphertextMessage, IdentityKeyPair, KyberPreKey, Local, OneTimePreKey, OurPreKeys, PreKeyBundle,
    PreKeySignalMessage, PublicKey, ServiceId, ServiceIdKind, Sessions, SignalMessage, SignedPreKey,
};

use crate::Checked;
use crate::ours::NOW_MS;

/// What everybody says: one kilobyte.
pub(crate) const TEXT: [u8; 1024] = [0x61; 1024];

/// Where the state is between two operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// In memory.
    Held,
    /// In its bytes: read before and written after.
    Stored,
}

impl Form {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Held => "held",
            Form::Stored => "stored",
        }
    }
}

/// Does it so many times in this form; nanoseconds for one.
pub(crate) type Work = Box<dyn FnMut(Form, usize) -> Checked<f64>>;

/// One thing that is measured.
pub(crate) struct Operation {
    /// For the table.
    pub(crate) name: &'static str,
    /// For the other process.
    pub(crate) key: &'static str,
    /// How many times in a round: some milliseconds at least.
    pub(crate) count: usize,
    /// The forms that make a difference.
    pub(crate) forms: &'static [Form],
    /// Nothing where only the official build is measured.
    pub(crate) work: Option<Work>,
}

/// Nanoseconds for one of `count` acts.
pub(crate) fn timed(count: usize, mut act: impl FnMut(usize) -> Checked<()>) -> Checked<f64> {
    let began = Instant::now();
    for each in 0..count {
        act(each)?;
    }
    #[allow(clippy::cast_precision_loss, reason = "a count of operations is far below 2^52")]
    Ok(began.elapsed().as_nanos() as f64 / count as f64)
}

/// Fails in one word: an operation that is measured has no reason to.
pub(crate) fn failed(error: impl std::fmt::Debug) -> String {
    format!("what was to be measured failed: {error:?}")
}

/// A state that is held, or its bytes.
#[derive(Clone)]
pub(crate) enum Kept {
    Held(Box<Sessions>),
    Stored(Vec<u8>),
}

impl Kept {
    pub(crate) fn new(sessions: &Sessions, form: Form) -> Kept {
        match form {
            Form::Held => Kept::Held(Box::new(sessions.clone())),
            Form::Stored => Kept::Stored(sessions.to_bytes().to_vec()),
        }
    }

    /// Acts on the state, and keeps what comes of it.
    pub(crate) fn step<T>(&mut self, act: impl FnOnce(&Sessions) -> Checked<(Sessions, T)>) -> Checked<T> {
        match self {
            Kept::Held(sessions) => {
                let (next, result) = act(sessions)?;
                **sessions = next;
                Ok(result)
            }
            Kept::Stored(bytes) => {
                let (next, result) = act(&Sessions::from_bytes(bytes).map_err(failed)?)?;
                *bytes = next.to_bytes().to_vec();
                Ok(result)
            }
        }
    }
}

/// A device with one peer.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) identity: IdentityKeyPair,
    pub(crate) peer: Option<PublicKey>,
    pub(crate) addresses: Option<Addresses>,
    pub(crate) signed: SignedPreKey,
    pub(crate) kyber: KyberPreKey,
    pub(crate) one_time: OneTimePreKey,
    pub(crate) sessions: Sessions,
}

impl Party {
    fn new(ours: u8, theirs: u8) -> Party {
        let rng = &mut rand::rng();
        let identity = IdentityKeyPair::generate(rng);
        let [ours, theirs] = [ours, theirs].map(|of| ServiceId::new(ServiceIdKind::Aci, [of; 16]).address(1));
        Party {
            signed: SignedPreKey::generate(1, &identity, rng),
            kyber: KyberPreKey::generate(1, &identity, rng),
            one_time: OneTimePreKey::generate(1, rng),
            identity,
            peer: None,
            addresses: ours.zip(theirs).map(|(ours, theirs)| Addresses { ours, theirs }),
            sessions: Sessions::empty(),
        }
    }

    /// Two who know each other's identity, and have no session yet.
    pub(crate) fn strangers() -> (Party, Party) {
        let (mut alice, mut bob) = (Party::new(1, 2), Party::new(2, 1));
        (alice.peer, bob.peer) = (Some(bob.identity.public()), Some(alice.identity.public()));
        (alice, bob)
    }

    /// Two who have spoken both ways.
    pub(crate) fn meet() -> Checked<(Party, Party)> {
        let (mut alice, mut bob) = Party::strangers();
        alice.sessions = alice.begin(&bob.bundle())?;
        talk(&mut alice, &mut bob, 2)?;
        Ok((alice, bob))
    }

    pub(crate) fn local(&self) -> Local<'_> {
        Local { identity: &self.identity, registration_id: 7, peer_identity: self.peer, addresses: self.addresses }
    }

    pub(crate) fn bundle(&self) -> PreKeyBundle {
        PreKeyBundle {
            registration_id: 7,
            device_id: 1,
            identity: self.identity.public(),
            signed: self.signed.public(),
            kyber: self.kyber.public(),
            one_time: Some(self.one_time.public()),
        }
    }

    pub(crate) fn prekeys(&self) -> OurPreKeys<'_> {
        OurPreKeys { signed: &self.signed, kyber: &self.kyber, one_time: Some(&self.one_time) }
    }

    /// Checks a bundle and begins a session with it.
    pub(crate) fn begin(&self, bundle: &PreKeyBundle) -> Checked<Sessions> {
        let verified = bundle.clone().verify().map_err(failed)?;
        Sessions::empty().start(&self.local(), &verified, NOW_MS, &mut rand::rng()).map_err(failed)
    }

    pub(crate) fn seal(&self, sessions: &Sessions) -> Checked<(Sessions, CiphertextMessage)> {
        let sealed = sessions.encrypt(&self.local(), black_box(&TEXT), NOW_MS, &mut rand::rng()).map_err(failed)?;
        Ok((sealed.sessions, sealed.message))
    }

    pub(crate) fn open(&self, sessions: &Sessions, message: &CiphertextMessage) -> Checked<(Sessions, usize)> {
        let rng = &mut rand::rng();
        let (sessions, plaintext) = match message {
            CiphertextMessage::Signal(bytes) => {
                let message = SignalMessage::parse(bytes).map_err(failed)?;
                let opened = sessions.decrypt(&self.local(), &message, rng).map_err(failed)?;
                (opened.sessions, opened.plaintext)
            }
            CiphertextMessage::PreKey(bytes) => {
                let message = PreKeySignalMessage::parse(bytes).map_err(failed)?;
                let keys = Some(self.prekeys()).filter(|_| !sessions.matches(&message));
                let opened = sessions.decrypt_first(&self.local(), &message, keys, rng).map_err(failed)?;
                (opened.sessions, opened.plaintext)
            }
        };
        Ok((sessions, black_box(&plaintext).len()))
    }

    /// The next message, the state kept.
    pub(crate) fn send(&mut self) -> Checked<CiphertextMessage> {
        let (sessions, message) = self.seal(&self.sessions)?;
        self.sessions = sessions;
        Ok(message)
    }

    pub(crate) fn receive(&mut self, message: &CiphertextMessage) -> Checked<()> {
        (self.sessions, _) = self.open(&self.sessions, message)?;
        Ok(())
    }
}

/// So many messages from each to the other, in turns.
pub(crate) fn talk(a: &mut Party, b: &mut Party, turns: usize) -> Checked<()> {
    for _ in 0..turns {
        b.receive(&a.send()?)?;
        a.receive(&b.send()?)?;
    }
    Ok(())
}
