//! What can go wrong, one small enum per act; each says who must act. Nothing secret and nobody's name is in them.

use thiserror::Error;

use crate::chain::ChainError;

/// Bytes that are no key of the kind expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadKey {
    /// Too short, too long, or empty.
    #[error("a key of the wrong length")]
    Length,
    /// Another kind of key.
    #[error("a key of type {0:#04x}")]
    Type(u8),
}

/// The key of the other side has small order: agreement would give a secret that everyone knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key that agrees on nothing")]
pub struct NotContributory;

/// A key of a bundle, or of what answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BundleKey {
    /// The identity key.
    #[error("identity key")]
    Identity,
    /// The signed prekey.
    #[error("signed prekey")]
    Signed,
    /// The Kyber prekey.
    #[error("Kyber prekey")]
    Kyber,
    /// The one-time prekey.
    #[error("one-time prekey")]
    OneTime,
}

/// A prekey bundle that no session may be begun with. Ask the keyserver for another; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadBundle {
    /// Not signed by the identity key of the bundle.
    #[error("the {0} is not signed by the identity key")]
    Signature(BundleKey),
    /// Zero, or of small order.
    #[error("the {0} is weak")]
    Weak(BundleKey),
    /// Outside 1..=127.
    #[error("device id {0} does not exist")]
    DeviceId(u8),
}

/// No session was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StartError {
    /// The bundle has another identity key than the peer. Ask the person; then start again with the new key.
    #[error("the identity key is not the one known")]
    UntrustedIdentity,
    /// A key agrees on nothing. A verified bundle has none.
    #[error(transparent)]
    NotContributory(#[from] NotContributory),
}

/// Nothing was encrypted, and no session changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncryptError {
    /// No session, or one that the peer has left unanswered for 30 days. Fetch a bundle and start one.
    #[error("no session to send in")]
    NoSession,
    /// The session is with another identity key than the peer's. Ask the person.
    #[error("the identity key is not the one known")]
    UntrustedIdentity,
    /// Longer than [`PLAINTEXT_BYTES_MAX`](crate::limits::PLAINTEXT_BYTES_MAX). Cut it.
    #[error("{length} bytes are too long, {limit} are possible")]
    TooLong {
        /// The length asked for, in bytes.
        length: usize,
        /// The largest length, in bytes.
        limit: usize,
    },
    /// The session has used up its numbers. Start another.
    #[error("the session is used up")]
    UsedUp,
}

/// Bytes that are no message of this protocol. Drop them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MalformedMessage {
    /// Too short, or longer than [`MESSAGE_BYTES_MAX`](crate::limits::MESSAGE_BYTES_MAX).
    #[error("a message of {0} bytes")]
    Length(usize),
    /// Another version than the one of its kind: 4 in sessions, 3 in groups.
    #[error("a message of version {0}")]
    Version(u8),
    /// Not protobuf, or a required field is missing.
    #[error("not the fields of a message")]
    Fields,
    /// A field holds no key.
    #[error(transparent)]
    Key(#[from] BadKey),
}

/// A message was not opened, and no session changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecryptError {
    /// Not made by this session's peer for us. Drop it.
    #[error("not made by this session's peer")]
    Forged,
    /// Opened before, or too old to still have its key. Acknowledge it again.
    #[error("opened before")]
    Repeated,
    /// Further ahead than a chain may jump. Drop it.
    #[error("{ahead} messages ahead, {limit} are possible")]
    TooFarAhead {
        /// How many messages lie between.
        ahead: u32,
        /// How many may.
        limit: u32,
    },
    /// Its post-quantum part does not fit: forged, or held back until its keys were gone. Drop it.
    #[error("the post-quantum part does not fit")]
    PostQuantum,
    /// No session with this device. Ask it to start one.
    #[error("no session")]
    NoSession,
    /// Authentic, and yet not what an honest peer sends. Drop it.
    #[error("not what an honest peer sends")]
    Malformed,
    /// Comes from another identity key than the peer's. Ask the person; it opens once the new key is trusted.
    #[error("the identity key is not the one known")]
    UntrustedIdentity,
    /// Names a prekey that we do not have (any more). Drop it, or ask the peer to start again.
    #[error("the {0} is not there")]
    MissingPreKey(BundleKey),
    /// The base key is not one that an honest peer makes. Drop it.
    #[error("the base key is not canonical")]
    BadBaseKey,
}

impl From<ChainError> for DecryptError {
    fn from(error: ChainError) -> DecryptError {
        match error {
            ChainError::Repeated => DecryptError::Repeated,
            ChainError::TooFarAhead { ahead, limit } => DecryptError::TooFarAhead { ahead, limit },
            ChainError::UsedUp => DecryptError::Malformed,
        }
    }
}

impl From<NotContributory> for DecryptError {
    /// Such a key comes from nobody who follows the protocol, so what holds it is forged.
    fn from(NotContributory: NotContributory) -> DecryptError {
        DecryptError::Forged
    }
}

/// A sender key was not taken in, and nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SenderKeyError {
    /// Of another distribution than these keys. Look up the keys of that one.
    #[error("a sender key of another distribution")]
    OtherDistribution,
}

/// A message to a group was not opened, and no sender key changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GroupDecryptError {
    /// No key of that chain. Ask the sender for it.
    #[error("no sender key for this message")]
    NoSenderKey,
    /// Not signed by the chain's owner. Drop it.
    #[error("not made by the owner of the sender key")]
    Forged,
    /// Opened before, or too old to still have its key. Acknowledge it again.
    #[error("opened before")]
    Repeated,
    /// Further ahead than a chain may jump. Ask the sender for its key as it is now.
    #[error("{ahead} messages ahead, {limit} are possible")]
    TooFarAhead {
        /// How many messages lie between.
        ahead: u32,
        /// How many may.
        limit: u32,
    },
    /// Signed, and yet not what an honest sender makes. Drop it.
    #[error("not what an honest sender makes")]
    Malformed,
}

impl From<ChainError> for GroupDecryptError {
    fn from(error: ChainError) -> GroupDecryptError {
        match error {
            ChainError::Repeated => GroupDecryptError::Repeated,
            ChainError::TooFarAhead { ahead, limit } => GroupDecryptError::TooFarAhead { ahead, limit },
            ChainError::UsedUp => GroupDecryptError::Malformed,
        }
    }
}

/// Stored bytes that were not read; nothing of them was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadStored {
    /// Begin with another layout than the known ones: a later program wrote them. Use that one.
    #[error("stored keys or sessions of layout {0}")]
    Layout(u8),
    /// Cut, altered, or above their bound. The database is damaged.
    #[error("stored keys or sessions are damaged")]
    Damaged,
}
