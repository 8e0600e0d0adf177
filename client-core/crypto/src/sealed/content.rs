//! What is in a seal: a message, the certificate of who sent it, and how the receiver is to treat it.
//!
//! Owns its bytes and the checks before the message is decrypted. Decrypting it is `sessions`' and `sender_key`'s.
//!
//! Spec: signal-wire §6.2, §6.5.

use std::fmt;

use prost::Message as _;

use super::certificate::{BadCertificate, SenderCertificate, VerifiedSender};
use super::{OpenError, Unsealed};
use crate::curve::PublicKey;
use crate::session::CiphertextMessage;

/// What kind of message is inside. The number of a first message is 1 here and 3 elsewhere.
///
/// Spec: signal-wire §6.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    /// A `PreKeySignalMessage`, 1.
    PreKey,
    /// A `SignalMessage`, 2.
    Signal,
    /// A `SenderKeyMessage`, 7.
    SenderKey,
    /// A `PlaintextContent`, 8.
    Plaintext,
}

/// What to do when the message cannot be decrypted.
///
/// Spec: signal-wire §6.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentHint {
    /// Tell the person. Not written, 0.
    Default,
    /// The sender can send it again: wait, 1.
    Resendable,
    /// Nobody would miss it, 2.
    Implicit,
    /// One that is not known yet, kept as it is.
    Other(u32),
}

/// The plaintext of a seal: `UnidentifiedSenderMessageContent`.
///
/// Spec: signal-wire §6.2.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedContent {
    /// What the message is.
    pub kind: ContentKind,
    /// Who sent it, as claimed.
    pub certificate: SenderCertificate,
    /// The message.
    pub message: Vec<u8>,
    /// What to do if it does not decrypt.
    pub hint: ContentHint,
    /// The group that it is for, if the sender says so. Never empty.
    pub group_id: Option<Vec<u8>>,
}

impl SealedContent {
    /// Reads one. The certificate is not verified yet.
    ///
    /// # Errors
    /// [`OpenError::Malformed`]: drop it.
    /// Spec: signal-wire §6.2.
    pub fn parse(bytes: &[u8]) -> Result<SealedContent, OpenError> {
        let fields = ContentFields::decode(bytes).map_err(|_| OpenError::Malformed)?;
        let (Some(kind), Some(certificate), Some(message)) = (fields.kind, fields.certificate, fields.message) else {
            return Err(OpenError::Malformed);
        };
        Ok(SealedContent {
            kind: ContentKind::from_number(kind).ok_or(OpenError::Malformed)?,
            certificate: SenderCertificate::parse(&certificate).map_err(|_| OpenError::Malformed)?,
            message,
            hint: ContentHint::from_number(fields.hint.unwrap_or_default()),
            group_id: fields.group_id.filter(|id| !id.is_empty()),
        })
    }

    /// Its bytes, for [`seal`](super::seal) or [`v2::seal`](super::v2::seal).
    ///
    /// Spec: signal-wire §6.2.
    pub fn to_bytes(&self) -> Vec<u8> {
        let fields = ContentFields {
            kind: Some(self.kind.number()),
            certificate: Some(self.certificate.to_bytes()),
            message: Some(self.message.clone()),
            hint: Some(self.hint.number()).filter(|hint| *hint != ContentHint::Default.number()),
            group_id: self.group_id.clone().filter(|id| !id.is_empty()),
        };
        fields.encode_to_vec()
    }

    /// What version 1 sealed, if who sealed it is who the certificate names.
    ///
    /// Spec: signal-wire §6.3.
    pub(super) fn of_version_1(unsealed: &Unsealed) -> Result<SealedContent, OpenError> {
        let content = SealedContent::parse(&unsealed.content)?;
        if content.certificate.claims().identity == unsealed.sender { Ok(content) } else { Err(OpenError::Forged) }
    }

    /// The content with its sender, once the certificate was found to hold and the sender not to be this device.
    ///
    /// # Errors
    /// [`RefusedContent`]: drop it.
    /// Spec: signal-wire §6.5.
    pub fn verify(
        self,
        roots: &[PublicKey],
        now_ms: u64,
        us: &OwnDevice<'_>,
    ) -> Result<VerifiedContent, RefusedContent> {
        let sender = self.certificate.verify(roots, now_ms)?;
        if us.is(&sender) {
            return Err(RefusedContent::SelfSend);
        }
        let SealedContent { kind, certificate: _, message, hint, group_id } = self;
        Ok(VerifiedContent { sender, kind, message, hint, group_id })
    }
}

impl fmt::Debug for SealedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, certificate, message, hint, group_id: _ } = self;
        f.debug_struct("SealedContent")
            .field("kind", kind)
            .field("certificate", certificate)
            .field("bytes", &message.len())
            .field("hint", hint)
            .finish_non_exhaustive()
    }
}

/// This device, as certificates name it.
///
/// Spec: signal-wire §6.5.
#[derive(Clone, Copy)]
pub struct OwnDevice<'a> {
    /// The account's UUID text.
    pub uuid: &'a str,
    /// Its telephone number, if it has one.
    pub e164: Option<&'a str>,
    /// The device.
    pub device_id: u8,
}

impl OwnDevice<'_> {
    /// Same device id, and same UUID text or the same telephone number.
    ///
    /// Spec: signal-wire §6.5.
    fn is(&self, sender: &VerifiedSender) -> bool {
        let theirs = sender.details();
        let same_number = self.e164.is_some() && self.e164 == theirs.e164.as_deref();
        self.device_id == theirs.device_id && (self.uuid == theirs.uuid || same_number)
    }
}

/// A content that is not to be decrypted. Drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedContent {
    /// Nobody vouches for the sender.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// This device itself is the sender.
    #[error("sent by this device")]
    SelfSend,
}

/// A content whose sender is known. Only [`SealedContent::verify`] makes one.
///
/// Spec: signal-wire §6.5.
#[derive(Clone)]
#[non_exhaustive]
pub struct VerifiedContent {
    /// Who sent it. A session message still has to come from this identity key.
    pub sender: VerifiedSender,
    /// What the message is.
    pub kind: ContentKind,
    /// The message.
    pub message: Vec<u8>,
    /// What to do if it does not decrypt.
    pub hint: ContentHint,
    /// The group that it is for, if the sender says so.
    pub group_id: Option<Vec<u8>>,
}

impl VerifiedContent {
    /// The message if it belongs to a session with the sender's device; nothing for the other kinds.
    ///
    /// Spec: signal-wire §6.5.
    pub fn session_message(&self) -> Option<CiphertextMessage> {
        match self.kind {
            ContentKind::PreKey => Some(CiphertextMessage::PreKey(self.message.clone())),
            ContentKind::Signal => Some(CiphertextMessage::Signal(self.message.clone())),
            ContentKind::SenderKey | ContentKind::Plaintext => None,
        }
    }
}

impl fmt::Debug for VerifiedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender, kind, message, hint, group_id: _ } = self;
        f.debug_struct("VerifiedContent")
            .field("sender", sender)
            .field("kind", kind)
            .field("bytes", &message.len())
            .field("hint", hint)
            .finish_non_exhaustive()
    }
}

impl ContentKind {
    fn number(self) -> u32 {
        match self {
            ContentKind::PreKey => 1,
            ContentKind::Signal => 2,
            ContentKind::SenderKey => 7,
            ContentKind::Plaintext => 8,
        }
    }

    fn from_number(number: u32) -> Option<ContentKind> {
        let kinds = [ContentKind::PreKey, ContentKind::Signal, ContentKind::SenderKey, ContentKind::Plaintext];
        kinds.into_iter().find(|kind| kind.number() == number)
    }
}

impl ContentHint {
    fn number(self) -> u32 {
        match self {
            ContentHint::Default => 0,
            ContentHint::Resendable => 1,
            ContentHint::Implicit => 2,
            ContentHint::Other(number) => number,
        }
    }

    fn from_number(number: u32) -> ContentHint {
        match number {
            0 => ContentHint::Default,
            1 => ContentHint::Resendable,
            2 => ContentHint::Implicit,
            other => ContentHint::Other(other),
        }
    }
}

/// Enums are varints of 32 bits, so kind and hint are written as such.
#[derive(Clone, PartialEq, prost::Message)]
struct ContentFields {
    #[prost(uint32, optional, tag = "1")]
    kind: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    certificate: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    message: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "4")]
    hint: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "5")]
    group_id: Option<Vec<u8>>,
}
