//! The Double Ratchet: a root key that every turn of the conversation renews, one sending and up to five receiving chains.
//!
//! Owns chains and their keys. The post-quantum half is `spqr`, both together `triple`; bytes on the wire are `message`.
//!
//! Spec: signal-wire §3.1, §3.2, §3.6.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::chain::{ChainKey, MessageSeed, SkippedSeeds};
use crate::curve::{KeyPair, PublicKey};
use crate::error::{DecryptError, NotContributory};
use crate::kdf::{deal, hkdf};
use crate::limits::RECEIVING_CHAINS_MAX;

/// `RK`, the root key. 32 bytes, wiped on drop.
///
/// Spec: signal-wire §3.1.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct RootKey(Box<[u8; 32]>);

impl RootKey {
    pub(crate) fn new(key: Box<[u8; 32]>) -> RootKey {
        RootKey(key)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `RK', CK = KDF_RK(RK, DH(ours, theirs))`. Takes the key: a root is stepped once.
    ///
    /// Spec: signal-wire §3.1.
    pub(crate) fn step(self, ours: &KeyPair, theirs: &PublicKey) -> Result<(RootKey, ChainKey), NotContributory> {
        let shared = ours.agree(theirs)?;
        let out = hkdf::<64>(Some(self.0.as_slice()), shared.as_slice(), b"WhisperRatchet");
        let (mut root, mut chain) = (Box::new([0; 32]), Box::new([0; 32]));
        deal(&out, &mut [root.as_mut_slice(), chain.as_mut_slice()]);
        Ok((RootKey(root), ChainKey::new(chain, 0)))
    }
}

/// Where a message stands: what its header says beside the SPQR part.
///
/// Spec: signal-wire §3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The sender's ratchet key.
    pub(crate) ratchet_key: PublicKey,
    /// The number of the message in its chain.
    pub(crate) counter: u32,
}

/// Our chain: the ratchet key that the peer knows of, and the chain it goes with.
#[derive(Clone)]
pub(crate) struct SendingChain {
    pub(crate) pair: KeyPair,
    pub(crate) chain: ChainKey,
}

/// One of the peer's chains, with what was skipped in it.
#[derive(Clone)]
pub(crate) struct ReceivingChain {
    pub(crate) theirs: PublicKey,
    pub(crate) chain: ChainKey,
    pub(crate) skipped: SkippedSeeds,
}

/// The state of one side.
///
/// Spec: signal-wire §2.2, §2.3, §3.6.
#[derive(Clone)]
pub(crate) struct DoubleRatchet {
    pub(crate) root: RootKey,
    pub(crate) sending: SendingChain,
    /// Oldest first, at most [`RECEIVING_CHAINS_MAX`].
    pub(crate) receiving: Vec<ReceivingChain>,
    /// The last number of the sending chain before this one. Written into messages; no reader uses it.
    pub(crate) previous_counter: u32,
}

impl DoubleRatchet {
    /// The initiator's: a fresh ratchet pair against the peer's signed prekey, whose own chain is CK0. Draws 32 bytes.
    ///
    /// Spec: signal-wire §2.2 step 4.
    pub(crate) fn initiate(
        root: RootKey,
        handshake: ChainKey,
        theirs: PublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<DoubleRatchet, NotContributory> {
        let pair = KeyPair::generate(rng);
        let (root, chain) = root.step(&pair, &theirs)?;
        let receiving = vec![ReceivingChain { theirs, chain: handshake, skipped: SkippedSeeds::default() }];
        Ok(DoubleRatchet { root, sending: SendingChain { pair, chain }, receiving, previous_counter: 0 })
    }

    /// The responder's: the signed prekey is the first ratchet pair, CK0 its chain.
    ///
    /// Spec: signal-wire §2.3 step 3.
    pub(crate) fn respond(root: RootKey, handshake: ChainKey, signed: KeyPair) -> DoubleRatchet {
        let sending = SendingChain { pair: signed, chain: handshake };
        DoubleRatchet { root, sending, receiving: Vec::new(), previous_counter: 0 }
    }

    /// The next message's place and seed, and the state behind it. Nothing when the chain's numbers are used up.
    ///
    /// Spec: signal-wire §3.2.
    pub(crate) fn send(self) -> Option<(DoubleRatchet, Position, MessageSeed)> {
        let SendingChain { pair, chain } = self.sending;
        let position = Position { ratchet_key: pair.public(), counter: chain.index() };
        let (seed, chain) = chain.step()?;
        Some((DoubleRatchet { sending: SendingChain { pair, chain }, ..self }, position, seed))
    }

    /// The seed of the message at `position`, and the state behind it. Draws 32 bytes when the peer's ratchet key is new.
    ///
    /// Nothing is authenticated here: the caller keeps the state only once the MAC was right.
    /// Spec: signal-wire §3.6 steps 1 and 2.
    pub(crate) fn receive(
        self,
        position: &Position,
        limit: u32,
        rng: &mut impl CryptoRng,
    ) -> Result<(DoubleRatchet, MessageSeed), DecryptError> {
        let known = self.receiving.iter().any(|chain| chain.theirs == position.ratchet_key);
        let mut state = if known { self } else { self.turn(position.ratchet_key, rng)? };
        let receiving = state.receiving.iter_mut().find(|chain| chain.theirs == position.ratchet_key);
        let ReceivingChain { theirs: _, chain, skipped } = receiving.ok_or(DecryptError::Forged)?;
        let (seed, next) = chain.seed_of(position.counter, limit, skipped)?;
        *chain = next;
        Ok((state, seed))
    }

    /// The Diffie-Hellman step: a receiving chain for the new key, and a sending chain of our own that answers it.
    ///
    /// Spec: signal-wire §3.6 step 1.
    fn turn(self, theirs: PublicKey, rng: &mut impl CryptoRng) -> Result<DoubleRatchet, NotContributory> {
        let DoubleRatchet { root, sending, mut receiving, previous_counter: _ } = self;
        let (root, chain) = root.step(&sending.pair, &theirs)?;
        let pair = KeyPair::generate(rng);
        let (root, answer) = root.step(&pair, &theirs)?;
        if receiving.len() >= RECEIVING_CHAINS_MAX {
            receiving.remove(0);
        }
        receiving.push(ReceivingChain { theirs, chain, skipped: SkippedSeeds::default() });
        let previous_counter = sending.chain.index().saturating_sub(1);
        Ok(DoubleRatchet { root, sending: SendingChain { pair, chain: answer }, receiving, previous_counter })
    }
}

impl fmt::Debug for DoubleRatchet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root: _, sending, receiving, previous_counter } = self;
        f.debug_struct("DoubleRatchet")
            .field("sending", &sending.chain)
            .field("receiving", &receiving.iter().map(|chain| &chain.chain).collect::<Vec<_>>())
            .field("previous_counter", previous_counter)
            .finish_non_exhaustive()
    }
}
