//! A sender's keys: up to five chains that one sender has told us for one distribution.
//!
//! Owns which chain a message belongs to and what may still be opened. Each act takes `&self` and returns the new keys with
//! its result: the caller stores both together, or neither.
//!
//! Spec: signal-wire §5.1, §5.2, §5.3.

use std::fmt;

use zeroize::Zeroizing;

use super::DistributionId;
use super::message::{SenderKeyDistributionMessage, SenderKeyMessage};
use crate::chain::{ChainKey, SkippedSeeds};
use crate::cipher;
use crate::curve::PublicKey;
use crate::error::{GroupDecryptError, SenderKeyError};
use crate::limits::{FORWARD_JUMP_MAX, SENDER_KEY_STATES_MAX};
use crate::swept::swept;

/// The keys of one sender for one distribution, newest first.
///
/// Keep them under the device that told them, inside whose session the distribution message came: a message does not name
/// its sender. Spec: signal-wire §5.1, §5.2.
#[derive(Clone)]
pub struct SenderKeys {
    pub(super) distribution: DistributionId,
    /// Newest first, at most [`SENDER_KEY_STATES_MAX`], each with a chain id of its own.
    pub(super) states: Vec<State>,
}

/// One chain as far as we have followed it.
#[derive(Clone)]
pub(super) struct State {
    pub(super) chain_id: u32,
    pub(super) signing: PublicKey,
    pub(super) chain: ChainKey,
    pub(super) skipped: SkippedSeeds,
}

/// What a message to a group said, and the keys to store together with it.
#[must_use = "the new keys are committed together with the plaintext"]
pub struct GroupOpened {
    /// What it said. Wiped on drop.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The keys behind it.
    pub keys: SenderKeys,
}

impl SenderKeys {
    /// None yet.
    pub fn empty(distribution: DistributionId) -> SenderKeys {
        SenderKeys { distribution, states: Vec::new() }
    }

    /// The distribution that they are for.
    pub fn distribution(&self) -> DistributionId {
        self.distribution
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Takes a key in, newest. One that is known already keeps what was opened with it: a repeat does not turn it back.
    ///
    /// # Errors
    /// [`SenderKeyError`]: the message is of another distribution. Nothing changed.
    /// Spec: signal-wire §5.2.
    pub fn accept(&self, told: &SenderKeyDistributionMessage) -> Result<SenderKeys, SenderKeyError> {
        if told.distribution != self.distribution {
            return Err(SenderKeyError::OtherDistribution);
        }
        let known = self.states.iter().find(|state| state.chain_id == told.chain_id && state.signing == told.signing);
        let newest = known.cloned().unwrap_or_else(|| State {
            chain_id: told.chain_id,
            signing: told.signing,
            chain: told.chain.clone(),
            skipped: SkippedSeeds::default(),
        });
        let others = self.states.iter().filter(|state| state.chain_id != told.chain_id).cloned();
        let states = std::iter::once(newest).chain(others).take(SENDER_KEY_STATES_MAX).collect();
        Ok(SenderKeys { distribution: self.distribution, states })
    }

    /// Whether the sender signed this with the key of one of the chains ([`super::OurSenderKey::sign`]). Nothing moves.
    pub fn signed(&self, about: &[u8], signature: &[u8; 64]) -> bool {
        self.states.iter().any(|state| state.signing.verify(&[about], signature))
    }

    /// Opens a message to the group.
    ///
    /// # Errors
    /// [`GroupDecryptError`]; nothing changed.
    /// Spec: signal-wire §5.3.
    pub fn decrypt(&self, message: &SenderKeyMessage) -> Result<GroupOpened, GroupDecryptError> {
        if message.distribution() != self.distribution {
            return Err(GroupDecryptError::NoSenderKey);
        }
        let place = self.states.iter().position(|state| state.chain_id == message.chain_id());
        let (place, state) =
            place.and_then(|place| Some((place, self.states.get(place)?))).ok_or(GroupDecryptError::NoSenderKey)?;
        let (plaintext, next) = swept(|| state.open(message))?;
        let mut keys = self.clone();
        if let Some(state) = keys.states.get_mut(place) {
            *state = next;
        }
        Ok(GroupOpened { plaintext, keys })
    }
}

impl State {
    /// The signature is looked at before the chain is moved: a forger makes us do no more than verify it.
    ///
    /// Spec: signal-wire §5.3.
    fn open(&self, message: &SenderKeyMessage) -> Result<(Zeroizing<Vec<u8>>, State), GroupDecryptError> {
        if !message.is_signed_by(&self.signing) {
            return Err(GroupDecryptError::Forged);
        }
        let mut skipped = self.skipped.clone();
        let (seed, chain) = self.chain.seed_of(message.iteration(), FORWARD_JUMP_MAX, &mut skipped)?;
        let keys = seed.group_keys();
        let plaintext = cipher::decrypt(&keys.cipher, &keys.iv, message.ciphertext());
        let plaintext = plaintext.ok_or(GroupDecryptError::Malformed)?;
        Ok((plaintext, State { chain_id: self.chain_id, signing: self.signing, chain, skipped }))
    }
}

impl fmt::Debug for SenderKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distribution, states } = self;
        let chains = states.iter().map(|State { chain_id, signing: _, chain, skipped: _ }| (chain_id, chain));
        f.debug_struct("SenderKeys")
            .field("distribution", distribution)
            .field("chains", &chains.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GroupOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plaintext, keys } = self;
        f.debug_struct("GroupOpened").field("bytes", &plaintext.len()).field("keys", keys).finish_non_exhaustive()
    }
}
