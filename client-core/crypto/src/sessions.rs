//! The sessions with one device: at most one current, and a few that came before it.
//!
//! Owns which session a message is for, and which becomes current. Each act takes `&self` and returns the new record with
//! its result: the caller stores both together, or neither.
//!
//! Spec: signal-wire §8.2, §8.3, §8.4.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::curve::PublicKey;
use crate::error::{BundleKey, DecryptError, EncryptError, StartError};
use crate::limits::ARCHIVED_SESSIONS_MAX;
use crate::message::{PreKeySignalMessage, SignalMessage};
use crate::prekey::{OneTimePreKey, OurPreKeys, UsedPreKeys, VerifiedBundle};
use crate::session::{CiphertextMessage, Local, Session};
use crate::swept::swept;

/// The sessions with one device.
///
/// Spec: signal-wire §8.2.
#[derive(Clone, Default)]
pub struct Sessions {
    pub(crate) current: Option<Session>,
    /// Newest first, at most [`ARCHIVED_SESSIONS_MAX`].
    pub(crate) archived: Vec<Session>,
}

/// A message to send, and the sessions to store before it leaves.
#[must_use = "the new sessions are stored before the message leaves"]
pub struct Sealed {
    /// What goes out.
    pub message: CiphertextMessage,
    /// The sessions behind it.
    pub sessions: Sessions,
}

/// What a message said, and the sessions to store together with it.
#[must_use = "the new sessions are committed together with the plaintext"]
pub struct Opened {
    /// What it said. Wiped on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The sessions behind it.
    pub sessions: Sessions,
}

/// What a first message said, the sessions to store together with it, and the prekeys that it used.
#[must_use = "the new sessions and the use of the prekeys are committed together with the plaintext"]
pub struct OpenedFirst {
    /// What it said. Wiped on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The sessions behind it.
    pub sessions: Sessions,
    /// The prekeys used up; nothing when the session was there already.
    pub used: Option<UsedPreKeys>,
}

impl Sessions {
    /// None yet.
    pub fn empty() -> Sessions {
        Sessions::default()
    }

    /// Begins a session with the device of this bundle; the one before it is archived.
    ///
    /// Draws 96 bytes: base key, encapsulation, ratchet key.
    ///
    /// # Errors
    /// [`StartError::UntrustedIdentity`]: ask the person. Nothing changed.
    /// Spec: signal-wire §2.2.
    pub fn start(
        &self,
        local: &Local<'_>,
        bundle: &VerifiedBundle,
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Sessions, StartError> {
        if !local.trusts(&bundle.identity()) {
            return Err(StartError::UntrustedIdentity);
        }
        let session = swept(|| Session::initiate(local, bundle, now_ms, rng))?;
        Ok(self.clone().promoted(session))
    }

    /// Encrypts in the current session.
    ///
    /// # Errors
    /// [`EncryptError`] says whether to start a session or ask the person. Nothing changed.
    /// Spec: signal-wire §3.2, §8.4.
    pub fn encrypt(
        &self,
        local: &Local<'_>,
        plaintext: &[u8],
        now_ms: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, EncryptError> {
        let current = self.current.as_ref().ok_or(EncryptError::NoSession)?;
        if !local.trusts(&current.their_identity) {
            return Err(EncryptError::UntrustedIdentity);
        }
        let (message, session) = swept(|| current.seal(local, plaintext, now_ms, rng))?;
        Ok(Sealed { message, sessions: Sessions { current: Some(session), archived: self.archived.clone() } })
    }

    /// Opens a message with the current session or one before it, which then becomes current.
    ///
    /// # Errors
    /// [`DecryptError`]; nothing changed.
    /// Spec: signal-wire §8.3.
    pub fn decrypt(
        &self,
        local: &Local<'_>,
        message: &SignalMessage,
        rng: &mut impl CryptoRng,
    ) -> Result<Opened, DecryptError> {
        let mut why = None;
        for (place, session) in self.iter().enumerate() {
            match swept(|| session.open(local, message, rng)) {
                Ok((plaintext, session)) => {
                    if !local.trusts(&session.their_identity) {
                        return Err(DecryptError::UntrustedIdentity);
                    }
                    return Ok(Opened { plaintext, sessions: self.without(place).promoted(session) });
                }
                Err(DecryptError::Repeated) => return Err(DecryptError::Repeated),
                // What the most recent session says is the most likely to be the reason.
                Err(error) => why = why.or(Some(error)),
            }
        }
        Err(why.unwrap_or(DecryptError::NoSession))
    }

    /// Opens a first message: with the session that it began before, or with a new one from our prekeys.
    ///
    /// `keys` are those that the message names; they are not needed when [`Sessions::matches`] it. The identity key in
    /// the message is proven only by success: trust it no earlier.
    ///
    /// # Errors
    /// [`DecryptError`]; nothing changed, and no prekey was used.
    /// Spec: signal-wire §2.3, §2.4, §8.3.
    pub fn decrypt_first(
        &self,
        local: &Local<'_>,
        message: &PreKeySignalMessage,
        keys: Option<OurPreKeys<'_>>,
        rng: &mut impl CryptoRng,
    ) -> Result<OpenedFirst, DecryptError> {
        if !local.trusts(&message.identity()) {
            return Err(DecryptError::UntrustedIdentity);
        }
        if let Some((place, session)) = self.find(message) {
            if session.their_identity != message.identity() {
                return Err(DecryptError::Forged);
            }
            let (plaintext, session) = swept(|| session.open(local, message.message(), rng))?;
            let sessions = self.without(place).promoted(session);
            return Ok(OpenedFirst { plaintext, sessions, used: None });
        }
        let keys = named(message, keys)?;
        let begun = swept(|| Session::respond(local, message, &keys))?;
        let (plaintext, session) = swept(|| begun.open(local, message.message(), rng))?;
        let used = UsedPreKeys {
            one_time_id: message.one_time_id(),
            kyber_id: message.kyber_id(),
            signed_id: message.signed_id(),
            base_key: message.base_key(),
        };
        Ok(OpenedFirst { plaintext, sessions: self.clone().promoted(session), used: Some(used) })
    }

    /// Whether one of the sessions was begun by this message or one like it; then no prekeys are needed to open it.
    ///
    /// Spec: signal-wire §8.3.
    pub fn matches(&self, message: &PreKeySignalMessage) -> bool {
        self.find(message).is_some()
    }

    /// Puts the current session aside, so that the next message begins a new one. The peer can still write in it.
    ///
    /// Spec: signal-wire §8.2.
    pub fn archive_current(&self) -> Sessions {
        self.clone().archived()
    }

    /// The identity key of the peer in the current session.
    pub fn remote_identity(&self) -> Option<PublicKey> {
        self.current.as_ref().map(|session| session.their_identity)
    }

    /// The registration id of the peer in the current session.
    pub fn remote_registration_id(&self) -> Option<u32> {
        self.current.as_ref().map(|session| session.their_registration_id)
    }

    /// The ratchet key that the current session sends under: a peer that could not open a message names it.
    ///
    /// Spec: signal-wire §8.1.
    pub fn our_ratchet_key(&self) -> Option<PublicKey> {
        self.current.as_ref().map(|session| session.ratchet.double.sending.pair.public())
    }

    /// Whether [`Sessions::encrypt`] has a session to encrypt in.
    ///
    /// Spec: signal-wire §8.4.
    pub fn has_usable_session(&self, now_ms: u64) -> bool {
        self.current.as_ref().is_some_and(|session| session.is_usable(now_ms))
    }

    /// Whether the peer has answered in the current session, so that no more prekeys are sent along.
    pub fn is_acknowledged(&self) -> bool {
        self.current.as_ref().is_some_and(|session| session.unacknowledged.is_none())
    }

    /// The current session, then the archived ones, newest first.
    fn iter(&self) -> impl Iterator<Item = &Session> {
        self.current.iter().chain(&self.archived)
    }

    fn find(&self, message: &PreKeySignalMessage) -> Option<(usize, &Session)> {
        self.iter().enumerate().find(|(_, session)| session.base_key == message.base_key())
    }

    /// A copy without the session at this place of `iter`.
    fn without(&self, place: usize) -> Sessions {
        let mut places = self.iter().enumerate().filter(|(each, _)| *each != place).map(|(_, session)| session.clone());
        let current = self.current.as_ref().filter(|_| place != 0).and_then(|_| places.next());
        Sessions { current, archived: places.collect() }
    }

    fn promoted(self, session: Session) -> Sessions {
        Sessions { current: Some(session), ..self.archived() }
    }

    /// Spec: signal-wire §8.2, *archive*.
    fn archived(self) -> Sessions {
        let Sessions { current, archived } = self;
        let current = current.map(|session| Session { unacknowledged: None, ..session });
        let archived = current.into_iter().chain(archived).take(ARCHIVED_SESSIONS_MAX).collect();
        Sessions { current: None, archived }
    }
}

/// The prekeys of ours that the message names, and no others.
fn named<'a>(message: &PreKeySignalMessage, keys: Option<OurPreKeys<'a>>) -> Result<OurPreKeys<'a>, DecryptError> {
    let keys = keys.ok_or(DecryptError::MissingPreKey(BundleKey::Signed))?;
    if keys.signed.id() != message.signed_id() {
        return Err(DecryptError::MissingPreKey(BundleKey::Signed));
    }
    if keys.kyber.id() != message.kyber_id() {
        return Err(DecryptError::MissingPreKey(BundleKey::Kyber));
    }
    if keys.one_time.map(OneTimePreKey::id) != message.one_time_id() {
        return Err(DecryptError::MissingPreKey(BundleKey::OneTime));
    }
    Ok(keys)
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { current, archived } = self;
        f.debug_struct("Sessions").field("current", current).field("archived", &archived.len()).finish()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, sessions } = self;
        f.debug_struct("Sealed").field("bytes", &message.as_bytes().len()).field("sessions", sessions).finish()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plaintext: _, sessions } = self;
        f.debug_struct("Opened").field("sessions", sessions).finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenedFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plaintext: _, sessions, used } = self;
        f.debug_struct("OpenedFirst").field("sessions", sessions).field("used", used).finish_non_exhaustive()
    }
}
