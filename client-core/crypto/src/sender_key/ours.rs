//! Our sender key: told to each member in a session, then encrypted under once for all of them.
//!
//! Spec: signal-wire §5.1, §5.2, §5.3.

use std::fmt;

use rand_core::CryptoRng;

use super::DistributionId;
use super::message::{NewSenderKeyMessage, SenderKeyDistributionMessage};
use crate::chain::ChainKey;
use crate::cipher;
use crate::curve::KeyPair;
use crate::error::EncryptError;
use crate::limits::PLAINTEXT_BYTES_MAX;
use crate::swept::swept;

/// Chain ids have 31 bits.
const CHAIN_ID_MASK: u32 = 0x7FFF_FFFF;

/// The chain that we send to one distribution with, and the key that signs it.
///
/// Spec: signal-wire §5.1.
#[derive(Clone)]
pub struct OurSenderKey {
    pub(super) distribution: DistributionId,
    pub(super) chain_id: u32,
    pub(super) chain: ChainKey,
    pub(super) signing: KeyPair,
}

/// A message to send to a group, and the key to store before it leaves.
#[must_use = "the new key is stored before the message leaves"]
pub struct GroupSealed {
    /// What goes out: a `SenderKeyMessage`, type 7.
    pub message: Vec<u8>,
    /// The key behind it.
    pub key: OurSenderKey,
}

impl OurSenderKey {
    /// A fresh chain from its beginning. Draws 4 bytes for its id, 32 for the chain, 32 for the signing key.
    ///
    /// Replace the key so whenever a member leaves: who knows a chain knows all that comes of it.
    /// Spec: signal-wire §5.1, §5.2.
    pub fn generate(distribution: DistributionId, rng: &mut impl CryptoRng) -> OurSenderKey {
        let mut chain_id = [0; 4];
        rng.fill_bytes(&mut chain_id);
        let mut chain = Box::new([0; 32]);
        rng.fill_bytes(chain.as_mut_slice());
        OurSenderKey {
            distribution,
            chain_id: u32::from_be_bytes(chain_id) & CHAIN_ID_MASK,
            chain: ChainKey::new(chain, 0),
            signing: KeyPair::generate(rng),
        }
    }

    /// The distribution that it is for.
    pub fn distribution(&self) -> DistributionId {
        self.distribution
    }

    /// What tells a member the chain as it is now: later messages open with it, earlier ones do not.
    ///
    /// Spec: signal-wire §5.2.
    pub fn distribution_message(&self) -> SenderKeyDistributionMessage {
        SenderKeyDistributionMessage {
            distribution: self.distribution,
            chain_id: self.chain_id,
            chain: self.chain.clone(),
            signing: self.signing.public(),
        }
    }

    /// Encrypts once for everyone who was told the chain. Draws 64 bytes for the signature. Takes the key by value: the
    /// same message key cannot be drawn from it twice.
    ///
    /// # Errors
    /// [`EncryptError::TooLong`], or [`EncryptError::UsedUp`]: generate another key. What is stored is still true.
    /// Spec: signal-wire §5.3.
    pub fn encrypt(self, plaintext: &[u8], rng: &mut impl CryptoRng) -> Result<GroupSealed, EncryptError> {
        if plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(EncryptError::TooLong { length: plaintext.len(), limit: PLAINTEXT_BYTES_MAX });
        }
        swept(|| self.seal(plaintext, rng))
    }

    /// Signs something that is no message of the chain, which stays where it is: whoever was told the chain can tell by it
    /// who said that ([`super::SenderKeys::signed`]). `about` begins with a label, and so not as a message does.
    /// Draws 64 bytes.
    pub fn sign(&self, about: &[u8], rng: &mut impl CryptoRng) -> [u8; 64] {
        self.signing.sign(&[about], rng)
    }

    fn seal(&self, plaintext: &[u8], rng: &mut impl CryptoRng) -> Result<GroupSealed, EncryptError> {
        let (seed, chain) = self.chain.clone().step().ok_or(EncryptError::UsedUp)?;
        let keys = seed.group_keys();
        let message = NewSenderKeyMessage {
            distribution: self.distribution,
            chain_id: self.chain_id,
            iteration: self.chain.index(),
            ciphertext: cipher::encrypt(&keys.cipher, &keys.iv, plaintext),
        };
        let message = message.into_bytes(&self.signing, rng);
        Ok(GroupSealed { message, key: OurSenderKey { chain, ..self.clone() } })
    }
}

impl fmt::Debug for OurSenderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distribution, chain_id, chain, signing: _ } = self;
        f.debug_struct("OurSenderKey")
            .field("distribution", distribution)
            .field("chain_id", chain_id)
            .field("chain", chain)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GroupSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, key } = self;
        f.debug_struct("GroupSealed").field("bytes", &message.len()).field("key", key).finish_non_exhaustive()
    }
}
