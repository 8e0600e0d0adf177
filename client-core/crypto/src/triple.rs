//! The Triple Ratchet: the Double Ratchet and SPQR side by side, one message's keys drawn from both.
//!
//! Spec: signal-wire §3.1, §3.2, §3.6.

use rand_core::CryptoRng;

use crate::chain::MessageKeys;
use crate::double_ratchet::{DoubleRatchet, Position};
use crate::error::{DecryptError, EncryptError};
use crate::limits::{FORWARD_JUMP_MAX, FORWARD_JUMP_OWN_ACCOUNT_MAX};
use crate::spqr::{Spqr, SpqrError, SpqrSent};

/// Both halves of one side's state.
#[derive(Clone)]
pub(crate) struct TripleRatchet {
    pub(crate) double: DoubleRatchet,
    pub(crate) spqr: Spqr,
}

/// What one message is made of.
pub(crate) struct Sending {
    /// The state behind it.
    pub(crate) state: TripleRatchet,
    /// Its place in the chain.
    pub(crate) position: Position,
    /// The previous counter that it tells.
    pub(crate) previous_counter: u32,
    /// Its SPQR message.
    pub(crate) pq: Vec<u8>,
    /// What it is encrypted under.
    pub(crate) keys: MessageKeys,
}

impl TripleRatchet {
    /// The next message, and the state behind it.
    ///
    /// SPQR may draw from `rng` first: 64 bytes for a key pair or 32 to encapsulate. Spec: signal-wire §3.2.
    pub(crate) fn send(&self, rng: &mut impl CryptoRng) -> Result<Sending, EncryptError> {
        self.send_with(self.spqr.send(rng).map_err(|_| EncryptError::UsedUp)?)
    }

    /// The next message, its SPQR half given.
    pub(crate) fn send_with(&self, sent: SpqrSent) -> Result<Sending, EncryptError> {
        let (double, position, seed) = self.double.clone().send().ok_or(EncryptError::UsedUp)?;
        Ok(Sending {
            previous_counter: double.previous_counter,
            state: TripleRatchet { double, spqr: sent.state },
            position,
            pq: sent.message,
            keys: seed.keys(sent.key.as_deref()),
        })
    }

    /// The keys of a message, and the state to keep if they open it.
    ///
    /// Draws 32 bytes when the peer's ratchet key is new. Spec: signal-wire §3.6 steps 1 to 4.
    pub(crate) fn receive(
        &self,
        position: &Position,
        pq: &[u8],
        own_account: bool,
        rng: &mut impl CryptoRng,
    ) -> Result<(TripleRatchet, MessageKeys), DecryptError> {
        let limit = if own_account { FORWARD_JUMP_OWN_ACCOUNT_MAX } else { FORWARD_JUMP_MAX };
        let (double, seed) = self.double.clone().receive(position, limit, rng)?;
        let received = self.spqr.receive(pq, own_account)?;
        let keys = seed.keys(received.key.as_deref());
        Ok((TripleRatchet { double, spqr: received.state }, keys))
    }
}

impl From<SpqrError> for DecryptError {
    /// What SPQR has against a message, before anything in it is authenticated.
    fn from(error: SpqrError) -> DecryptError {
        match error {
            SpqrError::TooFarAhead { ahead, limit } => DecryptError::TooFarAhead { ahead, limit },
            // `Repeated` too: the seed was there, so the message has not been opened; it came after its SPQR key went.
            SpqrError::Version
            | SpqrError::Malformed
            | SpqrError::Epoch
            | SpqrError::Repeated
            | SpqrError::Forged
            | SpqrError::Exhausted
            | SpqrError::Damaged => DecryptError::PostQuantum,
        }
    }
}
