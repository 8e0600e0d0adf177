//! SPQR: the sparse post-quantum ratchet that runs beside the Double Ratchet and gives every message a 32-byte key P.
//!
//! Owns the state of one side of one session and its SPQR messages; a step takes the state and returns the next, so a
//! message that fails, here or later in the session, changes nothing. Mixing P into the message keys, and telling
//! forged messages by their MAC, is the concern of the session around it.
//!
//! | what | file | spec |
//! |---|---|---|
//! | versions, messages | `message` | §4.1, §4.2 |
//! | ML-KEM-768 in two halves | `kem` | §4.4 |
//! | authenticator | `auth` | §4.5 |
//! | erasure code and its field | `chunk`, `gf` | §4.6 |
//! | state machine | `braid` | §4.3, §4.7 |
//! | key chain | `chain` | §4.8 |
//! | bytes on disk | `stored`, `braid/stored` | ours |
//!
//! Spec: signal-wire §4.

mod auth;
mod braid;
mod chain;
mod chunk;
mod gf;
mod kem;
mod message;
mod secret;
mod stored;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use braid::{Braid, Step};
use chain::Chain;
use message::{Message, Parsed, Payload};
use secret::Secret;
use stored::{Reader, Writer};

use crate::limits;

/// The form in which [`Spqr::to_bytes`] writes.
const STORED_VERSION: u8 = 1;

/// The largest that [`Spqr::to_bytes`] gives: nearly all of it is keys of messages that have not come, 2000 of 36 bytes
/// in each of three epochs. Without these a state has at most 4 KB.
pub(crate) const SPQR_BYTES_MAX: usize = HEAD_BYTES + chain::BYTES_MAX + braid::BYTES_MAX;
const _: () = assert!(SPQR_BYTES_MAX <= limits::STORED_SPQR_BYTES_MAX);

/// Stored version, and whether the peer has spoken version 1.
const HEAD_BYTES: usize = 2;

/// Which side of the session: A began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    A,
    B,
}

/// One side's state. Its secrets are wiped when the last state that holds them is dropped.
#[derive(Clone)]
pub(crate) struct Spqr {
    /// A message of version 1 was accepted; other versions are refused from then on.
    peer_speaks_current: bool,
    chain: Chain,
    braid: Braid,
}

/// What sending gives.
#[must_use = "the new state is committed together with the message"]
pub(crate) struct SpqrSent {
    pub(crate) state: Spqr,
    /// Field 5 of the SignalMessage.
    pub(crate) message: Vec<u8>,
    /// P. There is always one; the type is that of [`SpqrReceived::key`].
    pub(crate) key: Option<Zeroizing<[u8; 32]>>,
}

/// What receiving gives.
#[must_use = "the new state is committed together with the plaintext"]
pub(crate) struct SpqrReceived {
    pub(crate) state: Spqr,
    /// P. None only for index 0 of the first epoch, which Signal accepts and never sends.
    pub(crate) key: Option<Zeroizing<[u8; 32]>>,
}

/// Why a step was not taken. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpqrError {
    /// No SPQR message at all, or one of a version that this session does not accept. Drop the message.
    #[error("the message is of a version of SPQR that this session does not accept")]
    Version,
    /// Bytes that no peer of ours writes. Drop the message.
    #[error("the SPQR message cannot be read")]
    Malformed,
    /// Of an epoch that is not there yet, or no longer. Drop the message.
    #[error("the SPQR message is of an epoch that is not kept")]
    Epoch,
    /// Its key was drawn before, or is older than the window. Drop the message.
    #[error("the key of the SPQR message is used up")]
    Repeated,
    /// Further ahead than the chain may jump. Drop the message.
    #[error("the SPQR message is {ahead} keys ahead, and {limit} are allowed")]
    TooFarAhead {
        /// By how many keys.
        ahead: u32,
        /// By how many it may be.
        limit: u32,
    },
    /// A key or ciphertext that the peer of this session has not made. Drop the message.
    #[error("the SPQR message completes something that the peer did not make")]
    Forged,
    /// A counter is at its end. Start a new session.
    #[error("the SPQR session is used up")]
    Exhausted,
    /// Stored bytes that [`Spqr::to_bytes`] did not write. Start a new session.
    #[error("the stored SPQR state is damaged")]
    Damaged,
}

impl Spqr {
    /// The state with which a session begins, `auth_key` being PQK of PQXDH.
    ///
    /// Spec: signal-wire §4.3.
    pub(crate) fn start(role: Role, auth_key: &[u8; 32]) -> Self {
        Self { peer_speaks_current: false, chain: Chain::start(role, auth_key), braid: Braid::start(role, auth_key) }
    }

    /// The SPQR message for the next SignalMessage, and its key.
    ///
    /// # Errors
    /// `Exhausted` after 2^32 − 1 messages in one epoch.
    ///
    /// Spec: signal-wire §4.7, §4.8.
    pub(crate) fn send(&self, rng: &mut impl CryptoRng) -> Result<SpqrSent, SpqrError> {
        let (step, payload) = self.braid.clone().send(rng)?;
        self.sent(step, payload)
    }

    /// [`Self::send`] in the state `KeysUnsampled`, with this decapsulation key in place of a fresh one: the vectors
    /// record it, not its seed.
    #[cfg(test)]
    pub(crate) fn send_with_kem_secret(&self, secret: &[u8; 2400]) -> Result<SpqrSent, SpqrError> {
        assert_eq!(self.state_name(), "KeysUnsampled");
        let (step, payload) = self.braid.clone().offer(kem::KeyPair::from_secret(secret));
        self.sent(step, payload)
    }

    fn sent(&self, Step { braid, secret }: Step, payload: Payload) -> Result<SpqrSent, SpqrError> {
        let mut chain = self.chain.clone();
        if let Some(secret) = secret {
            chain = chain.add(secret)?;
        }
        let epoch = self.braid.epoch();
        let (chain, index, key) = chain.send(epoch - 1)?; // epochs begin with 1
        let message = Message { epoch, index, payload };
        Ok(SpqrSent {
            message: message.encode(),
            key: Some(key.to_bytes()),
            state: Self { peer_speaks_current: self.peer_speaks_current, chain, braid },
        })
    }

    /// Takes in the SPQR message of a SignalMessage (empty if it has none) and gives its key. Whether the message is
    /// genuine shows only when that key has opened the SignalMessage: until then the new state is not to be kept.
    ///
    /// `own_account`: the session is with another device of the same account, which may be further ahead.
    ///
    /// # Errors
    /// Any but `Damaged`: the message is invalid.
    ///
    /// Spec: signal-wire §4.1, §4.7, §4.8.
    pub(crate) fn receive(&self, message: &[u8], own_account: bool) -> Result<SpqrReceived, SpqrError> {
        let forward_max = if own_account { limits::FORWARD_JUMP_OWN_ACCOUNT_MAX } else { limits::FORWARD_JUMP_MAX };
        match Parsed::parse(message)? {
            Parsed::Current(message) => {
                let Step { braid, secret } = self.braid.clone().receive(message.epoch, message.payload)?;
                let mut chain = self.chain.clone();
                if let Some(secret) = secret {
                    chain = chain.add(secret)?;
                }
                let epoch = message.epoch - 1; // the parser refuses epoch 0
                let (chain, key) = draw(chain, epoch, message.index, forward_max)?;
                let peer_speaks_current = true;
                let state = Self { peer_speaks_current, chain, braid };
                Ok(SpqrReceived { state, key: key.map(|key| key.to_bytes()) })
            }
            Parsed::Later { .. } if self.peer_speaks_current => Err(SpqrError::Version),
            Parsed::Later { index } => {
                let (chain, key) = draw(self.chain.clone(), 0, index, forward_max)?;
                let state = Self { chain, ..self.clone() };
                Ok(SpqrReceived { state, key: key.map(|key| key.to_bytes()) })
            }
        }
    }

    /// The state as bytes, at most [`SPQR_BYTES_MAX`].
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let bytes_max = HEAD_BYTES + self.chain.stored_bytes_max() + braid::BYTES_MAX;
        let mut out = Writer::with_capacity(bytes_max);
        out.u8(STORED_VERSION);
        out.u8(self.peer_speaks_current.into());
        self.chain.write(&mut out);
        self.braid.write(&mut out);
        out.finish()
    }

    /// The state of which these are the bytes.
    ///
    /// # Errors
    /// `Damaged` for bytes that [`Self::to_bytes`] does not write, or of another version of this form.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, SpqrError> {
        let mut from = Reader::new(bytes);
        if from.u8()? != STORED_VERSION {
            return Err(SpqrError::Damaged);
        }
        let peer_speaks_current = match from.u8()? {
            0 => false,
            1 => true,
            _ => return Err(SpqrError::Damaged),
        };
        let chain = Chain::read(&mut from)?;
        let braid = Braid::read(&mut from)?;
        from.finish()?;
        if chain.current() != braid.agreed_epoch() {
            return Err(SpqrError::Damaged);
        }
        Ok(Self { peer_speaks_current, chain, braid })
    }

    /// The epoch, from 1.
    pub(crate) fn epoch(&self) -> u64 {
        self.braid.epoch()
    }

    /// The name that the spec gives the state.
    pub(crate) fn state_name(&self) -> &'static str {
        self.braid.state_name()
    }
}

/// Key number `index` of `epoch`; none for number 0 of epoch 0, whether or not that epoch is kept.
fn draw(chain: Chain, epoch: u64, index: u32, forward_max: u32) -> Result<(Chain, Option<Secret>), SpqrError> {
    if epoch == 0 && index == 0 {
        return Ok((chain, None));
    }
    let (chain, key) = chain.receive(epoch, index, forward_max)?;
    Ok((chain, Some(key)))
}

impl Role {
    fn to_byte(self) -> u8 {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    fn from_byte(byte: u8) -> Result<Self, SpqrError> {
        match byte {
            0 => Ok(Self::A),
            1 => Ok(Self::B),
            _ => Err(SpqrError::Damaged),
        }
    }
}

impl fmt::Debug for Spqr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer_speaks_current: _, chain: _, braid: _ } = self;
        f.debug_struct("Spqr").field("epoch", &self.epoch()).field("state", &self.state_name()).finish_non_exhaustive()
    }
}
