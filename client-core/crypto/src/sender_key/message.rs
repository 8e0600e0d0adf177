//! The two messages of sender keys: what tells a key, and what is encrypted under it.
//!
//! Owns bytes, fields and the signature. The first is sent inside a session and never alone; the second goes to everyone.
//!
//! Spec: signal-wire §5.2, §5.3.

use std::fmt;

use prost::Message as _;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::DistributionId;
use crate::chain::ChainKey;
use crate::curve::{KeyPair, PublicKey};
use crate::error::MalformedMessage;
use crate::limits::MESSAGE_BYTES_MAX;

/// The message's version in the high nibble, ours in the low one: both 3.
const VERSION_BYTE: u8 = 0x33;

/// The only version of sender keys.
const VERSION: u8 = 3;

/// Shorter bytes are neither of the two: the version and a signature.
const MESSAGE_BYTES_MIN: usize = 1 + SIGNATURE_BYTES;

const SIGNATURE_BYTES: usize = 64;

/// A signing key with its type byte.
const KEY_BYTES: usize = 33;

/// A sender's chain as it is now: with it, everything that the sender encrypts from here on can be read.
///
/// It is as secret as what it opens: send it inside a session only.
/// Spec: signal-wire §5.2.
#[derive(Clone)]
pub struct SenderKeyDistributionMessage {
    pub(super) distribution: DistributionId,
    pub(super) chain_id: u32,
    pub(super) chain: ChainKey,
    pub(super) signing: PublicKey,
}

impl SenderKeyDistributionMessage {
    /// Reads `0x33 ‖ protobuf`.
    ///
    /// # Errors
    /// [`MalformedMessage`]: drop it.
    /// Spec: signal-wire §5.2.
    pub fn parse(bytes: &[u8]) -> Result<SenderKeyDistributionMessage, MalformedMessage> {
        let mut fields = DistributionFields::decode(body(bounded(bytes)?)?).map_err(|_| MalformedMessage::Fields)?;
        let chain_key = Zeroizing::new(required(fields.chain_key.take())?);
        let signing = required(fields.signing.take())?;
        if signing.len() != KEY_BYTES {
            return Err(MalformedMessage::Fields);
        }
        let chain_key: &[u8; 32] = chain_key.as_slice().try_into().map_err(|_| MalformedMessage::Fields)?;
        Ok(SenderKeyDistributionMessage {
            distribution: distribution(fields.distribution.take())?,
            chain_id: required(fields.chain_id)?,
            chain: ChainKey::new(Box::new(*chain_key), required(fields.iteration)?),
            signing: PublicKey::from_pub33(&signing)?,
        })
    }

    /// `0x33 ‖ protobuf`, for a session to encrypt. Wiped on drop.
    ///
    /// Spec: signal-wire §5.2.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let fields = DistributionFields {
            distribution: Some(self.distribution.0.to_vec()),
            chain_id: Some(self.chain_id),
            iteration: Some(self.chain.index()),
            chain_key: Some(self.chain.key().to_vec()),
            signing: Some(self.signing.to_pub33().to_vec()),
        };
        let body = Zeroizing::new(fields.encode_to_vec());
        Zeroizing::new([&[VERSION_BYTE], body.as_slice()].concat())
    }

    /// The distribution that the key is for.
    pub fn distribution(&self) -> DistributionId {
        self.distribution
    }

    /// The first message that it opens.
    pub fn iteration(&self) -> u32 {
        self.chain.index()
    }
}

impl fmt::Debug for SenderKeyDistributionMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distribution, chain_id, chain, signing: _ } = self;
        f.debug_struct("SenderKeyDistributionMessage")
            .field("distribution", distribution)
            .field("chain_id", chain_id)
            .field("chain", chain)
            .finish_non_exhaustive()
    }
}

/// A message to a group: its place in the sender's chain, its ciphertext and the signature over both.
///
/// Spec: signal-wire §5.3.
#[derive(Clone, PartialEq, Eq)]
pub struct SenderKeyMessage {
    /// Everything under the signature, as received.
    signed: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
    distribution: DistributionId,
    chain_id: u32,
    iteration: u32,
    ciphertext: Vec<u8>,
}

impl SenderKeyMessage {
    /// Reads `0x33 ‖ protobuf ‖ signature[64]`.
    ///
    /// # Errors
    /// [`MalformedMessage`]: drop it.
    /// Spec: signal-wire §5.3.
    pub fn parse(bytes: &[u8]) -> Result<SenderKeyMessage, MalformedMessage> {
        let length = MalformedMessage::Length(bytes.len());
        let (signed, signature) = bounded(bytes)?.split_last_chunk::<SIGNATURE_BYTES>().ok_or(length)?;
        let fields = MessageFields::decode(body(signed)?).map_err(|_| MalformedMessage::Fields)?;
        Ok(SenderKeyMessage {
            signed: signed.to_vec(),
            signature: *signature,
            distribution: distribution(fields.distribution)?,
            chain_id: required(fields.chain_id)?,
            iteration: required(fields.iteration)?,
            ciphertext: required(fields.ciphertext)?,
        })
    }

    /// The distribution that the sender claims.
    pub fn distribution(&self) -> DistributionId {
        self.distribution
    }

    /// The number of the message in its chain.
    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    pub(super) fn chain_id(&self) -> u32 {
        self.chain_id
    }

    pub(super) fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }

    /// Whether the owner of the chain has signed it.
    ///
    /// Spec: signal-wire §5.3.
    pub(super) fn is_signed_by(&self, signing: &PublicKey) -> bool {
        signing.verify(&[&self.signed], &self.signature)
    }
}

impl fmt::Debug for SenderKeyMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signed: _, signature: _, distribution, chain_id, iteration, ciphertext } = self;
        f.debug_struct("SenderKeyMessage")
            .field("distribution", distribution)
            .field("chain_id", chain_id)
            .field("iteration", iteration)
            .field("bytes", &ciphertext.len())
            .finish_non_exhaustive()
    }
}

/// What a [`SenderKeyMessage`] is made of.
pub(super) struct NewSenderKeyMessage {
    pub(super) distribution: DistributionId,
    pub(super) chain_id: u32,
    pub(super) iteration: u32,
    pub(super) ciphertext: Vec<u8>,
}

impl NewSenderKeyMessage {
    /// `0x33 ‖ protobuf ‖ signature[64]`. Draws 64 bytes.
    ///
    /// Spec: signal-wire §5.3.
    pub(super) fn into_bytes(self, signing: &KeyPair, rng: &mut impl CryptoRng) -> Vec<u8> {
        let fields = MessageFields {
            distribution: Some(self.distribution.0.to_vec()),
            chain_id: Some(self.chain_id),
            iteration: Some(self.iteration),
            ciphertext: Some(self.ciphertext),
        };
        let mut bytes = vec![VERSION_BYTE];
        bytes.append(&mut fields.encode_to_vec());
        let signature = signing.sign(&[&bytes], rng);
        bytes.extend_from_slice(&signature);
        bytes
    }
}

/// The same bytes, if they are as long as either message may be.
fn bounded(bytes: &[u8]) -> Result<&[u8], MalformedMessage> {
    let possible = (MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&bytes.len());
    if possible { Ok(bytes) } else { Err(MalformedMessage::Length(bytes.len())) }
}

/// The protobuf behind a version byte whose high nibble is 3. The low nibble is free, as for the official library.
fn body(bytes: &[u8]) -> Result<&[u8], MalformedMessage> {
    let (version, body) = bytes.split_first().ok_or(MalformedMessage::Length(0))?;
    if version >> 4 == VERSION { Ok(body) } else { Err(MalformedMessage::Version(version >> 4)) }
}

fn distribution(field: Option<Vec<u8>>) -> Result<DistributionId, MalformedMessage> {
    required(field)?.try_into().map(DistributionId).map_err(|_| MalformedMessage::Fields)
}

fn required<T>(field: Option<T>) -> Result<T, MalformedMessage> {
    field.ok_or(MalformedMessage::Fields)
}

#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
struct DistributionFields {
    #[prost(bytes = "vec", optional, tag = "1")]
    distribution: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "2")]
    chain_id: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    iteration: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    chain_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    signing: Option<Vec<u8>>,
}

impl fmt::Debug for DistributionFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { distribution: _, chain_id, iteration, chain_key: _, signing: _ } = self;
        f.debug_struct("DistributionFields")
            .field("chain_id", chain_id)
            .field("iteration", iteration)
            .finish_non_exhaustive()
    }
}

impl Drop for DistributionFields {
    fn drop(&mut self) {
        self.chain_key.zeroize();
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct MessageFields {
    #[prost(bytes = "vec", optional, tag = "1")]
    distribution: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "2")]
    chain_id: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    iteration: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    ciphertext: Option<Vec<u8>>,
}
