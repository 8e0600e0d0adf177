//! Telling a sender that a message of theirs did not open, and the one kind of content that is not encrypted for it.
//!
//! Owns the bytes of both. Whether to tell at all, and what is sent again, is the engine's.
//!
//! Spec: signal-wire §8.1.

use std::fmt;

use prost::Message as _;

use crate::curve::PublicKey;
use crate::error::MalformedMessage;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::message::{PreKeySignalMessage, SignalMessage};

/// The first byte of a plaintext content: no version of a ciphertext.
const PLAINTEXT_BYTE: u8 = 0xC0;

/// The last byte: the padding of a content begins with it, and here it is all of the padding.
const PADDING_BYTE: u8 = 0x80;

/// That a message did not open, for its sender.
///
/// Spec: signal-wire §8.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecryptionErrorMessage {
    /// The ratchet key of the message, by which its sender knows the session; none for a message to a group.
    pub ratchet_key: Option<PublicKey>,
    /// When it was sent, as its sender had it, in milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The device that sent it.
    pub device_id: u32,
}

impl DecryptionErrorMessage {
    /// For a message of a session.
    ///
    /// Spec: signal-wire §8.1.
    pub fn for_signal(original: &SignalMessage, timestamp_ms: u64, device_id: u32) -> DecryptionErrorMessage {
        DecryptionErrorMessage { ratchet_key: Some(original.ratchet_key()), timestamp_ms, device_id }
    }

    /// For a first message: the key is that of the message inside.
    ///
    /// Spec: signal-wire §8.1.
    pub fn for_first(original: &PreKeySignalMessage, timestamp_ms: u64, device_id: u32) -> DecryptionErrorMessage {
        DecryptionErrorMessage::for_signal(original.message(), timestamp_ms, device_id)
    }

    /// For a message to a group, which names no session.
    ///
    /// Spec: signal-wire §8.1.
    pub fn for_group(timestamp_ms: u64, device_id: u32) -> DecryptionErrorMessage {
        DecryptionErrorMessage { ratchet_key: None, timestamp_ms, device_id }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`MalformedMessage`]: drop it.
    /// Spec: signal-wire §8.1.
    pub fn parse(bytes: &[u8]) -> Result<DecryptionErrorMessage, MalformedMessage> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(MalformedMessage::Length(bytes.len()));
        }
        let fields = ErrorFields::decode(bytes).map_err(|_| MalformedMessage::Fields)?;
        Ok(DecryptionErrorMessage {
            ratchet_key: fields.ratchet_key.map(|key| PublicKey::from_pub33(&key)).transpose()?,
            timestamp_ms: fields.timestamp_ms.ok_or(MalformedMessage::Fields)?,
            device_id: fields.device_id.unwrap_or_default(),
        })
    }

    /// Its bytes.
    ///
    /// Spec: signal-wire §8.1.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { ratchet_key, timestamp_ms, device_id } = self;
        let fields = ErrorFields {
            ratchet_key: ratchet_key.map(|key| key.to_pub33().to_vec()),
            timestamp_ms: Some(*timestamp_ms),
            device_id: Some(*device_id),
        };
        fields.encode_to_vec()
    }
}

/// A content that is not encrypted, because encrypting is what has failed: `0xC0 ‖ body ‖ 0x80`.
///
/// It holds a [`DecryptionErrorMessage`] and nothing else: whatever else claims to be one is not to be believed.
/// Spec: signal-wire §8.1.
#[derive(Clone, PartialEq, Eq)]
pub struct PlaintextContent {
    error: DecryptionErrorMessage,
}

impl PlaintextContent {
    /// The content that tells of this error.
    pub fn new(error: DecryptionErrorMessage) -> PlaintextContent {
        PlaintextContent { error }
    }

    /// What it tells of.
    pub fn error(&self) -> &DecryptionErrorMessage {
        &self.error
    }

    /// Reads one: a body that has the error, and nothing behind the byte of padding.
    ///
    /// # Errors
    /// [`MalformedMessage`]: drop it.
    /// Spec: signal-wire §8.1.
    pub fn parse(bytes: &[u8]) -> Result<PlaintextContent, MalformedMessage> {
        let length = MalformedMessage::Length(bytes.len());
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(length);
        }
        let (first, rest) = bytes.split_first().ok_or(length)?;
        if *first != PLAINTEXT_BYTE {
            return Err(MalformedMessage::Version(first >> 4));
        }
        let (last, body) = rest.split_last().ok_or(length)?;
        if *last != PADDING_BYTE {
            return Err(MalformedMessage::Fields);
        }
        let fields = BodyFields::decode(body).map_err(|_| MalformedMessage::Fields)?;
        let error = fields.error.ok_or(MalformedMessage::Fields)?;
        Ok(PlaintextContent { error: DecryptionErrorMessage::parse(&error)? })
    }

    /// Its bytes.
    ///
    /// Spec: signal-wire §8.1.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = BodyFields { error: Some(self.error.to_bytes()) };
        [&[PLAINTEXT_BYTE], body.encode_to_vec().as_slice(), &[PADDING_BYTE]].concat()
    }
}

impl fmt::Debug for PlaintextContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error } = self;
        f.debug_tuple("PlaintextContent").field(error).finish()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct ErrorFields {
    #[prost(bytes = "vec", optional, tag = "1")]
    ratchet_key: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "2")]
    timestamp_ms: Option<u64>,
    #[prost(uint32, optional, tag = "3")]
    device_id: Option<u32>,
}

/// Of a content only what a plaintext may hold.
#[derive(Clone, PartialEq, prost::Message)]
struct BodyFields {
    #[prost(bytes = "vec", optional, tag = "8")]
    error: Option<Vec<u8>>,
}
