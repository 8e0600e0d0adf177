//! A symmetric chain: one key per message, drawn in order, and those that were skipped.
//!
//! Owns the chain key, the seed of a message and the keys that come of it. Which chain a message belongs to is the
//! `double_ratchet`'s, and in groups the `sender_key`'s.
//!
//! Spec: signal-wire §3.1, §3.6, §5.1.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::kdf::{deal, hkdf, hmac};
use crate::limits::SKIPPED_PER_CHAIN_MAX;

/// `CK`, the chain key of one chain, and the number of the message that it is about to give. Wiped on drop.
///
/// Spec: signal-wire §3.1.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct ChainKey {
    key: Box<[u8; 32]>,
    #[zeroize(skip)]
    index: u32,
}

impl ChainKey {
    pub(crate) fn new(key: Box<[u8; 32]>, index: u32) -> ChainKey {
        ChainKey { key, index }
    }

    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The number of the next message.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// `seed = HMAC(CK, 0x01), CK' = HMAC(CK, 0x02)`. Takes the chain by value: no seed is drawn twice.
    ///
    /// Nothing when the numbers are used up. Spec: signal-wire §3.1.
    pub(crate) fn step(self) -> Option<(MessageSeed, ChainKey)> {
        let index = self.index.checked_add(1)?;
        let seed = MessageSeed(Box::new(hmac(self.key.as_slice(), &[&[0x01]])));
        Some((seed, ChainKey { key: Box::new(hmac(self.key.as_slice(), &[&[0x02]])), index }))
    }

    /// The seed of message `counter`, the chain behind it, and in `skipped` the seeds of what lies between.
    ///
    /// `limit` is how many may lie between. Spec: signal-wire §3.6, §5.3.
    pub(crate) fn forward(
        self,
        counter: u32,
        limit: u32,
        skipped: &mut SkippedSeeds,
    ) -> Result<(MessageSeed, ChainKey), ChainError> {
        let ahead = counter.checked_sub(self.index).ok_or(ChainError::Repeated)?;
        if ahead > limit {
            return Err(ChainError::TooFarAhead { ahead, limit });
        }
        let mut chain = self;
        while chain.index < counter {
            let index = chain.index;
            let (seed, next) = chain.step().ok_or(ChainError::UsedUp)?;
            skipped.keep(index, seed);
            chain = next;
        }
        chain.step().ok_or(ChainError::UsedUp)
    }

    /// The seed of message `counter`, wherever it lies, and the chain behind it.
    ///
    /// Spec: signal-wire §3.6, §5.3.
    pub(crate) fn seed_of(
        &self,
        counter: u32,
        limit: u32,
        skipped: &mut SkippedSeeds,
    ) -> Result<(MessageSeed, ChainKey), ChainError> {
        if counter < self.index {
            return Ok((skipped.take(counter).ok_or(ChainError::Repeated)?, self.clone()));
        }
        self.clone().forward(counter, limit, skipped)
    }
}

/// Why a chain gives no seed for a message. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainError {
    /// Its seed was taken before, or went when there were too many.
    Repeated,
    /// Further ahead than a chain may jump.
    TooFarAhead { ahead: u32, limit: u32 },
    /// The chain has no more numbers.
    UsedUp,
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key: _, index } = self; // a new field must be placed here, or this does not compile
        f.debug_struct("ChainKey").field("index", index).finish_non_exhaustive()
    }
}

/// What a message's keys come of, once its SPQR key is known. 32 bytes, wiped on drop.
///
/// Spec: signal-wire §3.1.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct MessageSeed(Box<[u8; 32]>);

impl MessageSeed {
    pub(crate) fn new(seed: Box<[u8; 32]>) -> MessageSeed {
        MessageSeed(seed)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `HKDF(P, seed, "WhisperMessageKeys", 80)` = cipher key ‖ MAC key ‖ IV. Takes the seed: its keys are used once.
    ///
    /// `pq` is P, the SPQR key of the same message. Spec: signal-wire §3.1.
    pub(crate) fn keys(self, pq: Option<&[u8; 32]>) -> MessageKeys {
        let out = hkdf::<80>(pq.map(<[u8; 32]>::as_slice), self.0.as_slice(), b"WhisperMessageKeys");
        let mut keys = MessageKeys { cipher: Box::new([0; 32]), mac: Box::new([0; 32]), iv: [0; 16] };
        deal(&out, &mut [keys.cipher.as_mut_slice(), keys.mac.as_mut_slice(), &mut keys.iv]);
        keys
    }

    /// `HKDF(–, seed, "WhisperGroup", 48)` = IV ‖ cipher key. Takes the seed: its keys are used once.
    ///
    /// Spec: signal-wire §5.1.
    pub(crate) fn group_keys(self) -> GroupMessageKeys {
        let out = hkdf::<48>(None, self.0.as_slice(), b"WhisperGroup");
        let mut keys = GroupMessageKeys { iv: [0; 16], cipher: Box::new([0; 32]) };
        deal(&out, &mut [&mut keys.iv, keys.cipher.as_mut_slice()]);
        keys
    }
}

/// The keys of one message to a group; a signature takes the place of a MAC. Wiped on drop.
///
/// Spec: signal-wire §5.1.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct GroupMessageKeys {
    pub(crate) iv: [u8; 16],
    pub(crate) cipher: Box<[u8; 32]>,
}

/// The keys of one message. Wiped on drop.
///
/// Spec: signal-wire §3.1.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct MessageKeys {
    pub(crate) cipher: Box<[u8; 32]>,
    pub(crate) mac: Box<[u8; 32]>,
    pub(crate) iv: [u8; 16],
}

/// The seeds of messages that were skipped, by number: at most [`SKIPPED_PER_CHAIN_MAX`], the latest ones.
///
/// A clone shares them: a message in its turn touches none, and there may be many.
/// Spec: signal-wire §3.6.
#[derive(Clone, Default)]
pub(crate) struct SkippedSeeds(Arc<BTreeMap<u32, MessageSeed>>);

impl SkippedSeeds {
    /// Keeps one more; the earliest goes when there are too many. A chain only runs forward, so the lowest number is it.
    pub(crate) fn keep(&mut self, index: u32, seed: MessageSeed) {
        let seeds = Arc::make_mut(&mut self.0);
        seeds.insert(index, seed);
        if seeds.len() > SKIPPED_PER_CHAIN_MAX {
            seeds.pop_first();
        }
    }

    /// Takes the seed of message `counter` out, so that it opens once.
    pub(crate) fn take(&mut self, counter: u32) -> Option<MessageSeed> {
        Arc::make_mut(&mut self.0).remove(&counter)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &MessageSeed)> {
        self.0.iter().map(|(index, seed)| (*index, seed))
    }
}
