//! Sealed sender: a message that only its recipient can tell the sender of.
//!
//! | what | file | spec |
//! |---|---|---|
//! | who vouches for a sender | [`certificate`] | §6.1 |
//! | what is sealed, and the checks on it | [`content`] | §6.2, §6.5 |
//! | version 1: for one recipient | `v1` | §6.3 |
//! | version 2: once for many | [`v2`], [`sent`] | §6.4 |
//!
//! Version 1 seals any content; [`seal`] and [`open`] are what Hushwire uses, whose own content has no certificate.
//! Version 2 has no proof of the sender beside the certificate in its content, so it seals only a
//! [`SealedContent`].
//!
//! Spec: signal-wire §6.1 to §6.5.

pub mod certificate;
pub mod content;
pub mod sent;
#[cfg(test)]
mod tests;
mod v1;
pub mod v2;

use std::fmt;

use zeroize::Zeroizing;

use crate::curve::{IdentityKeyPair, PublicKey};
use crate::error::NotContributory;
use content::SealedContent;

pub use v1::{open, seal, sealed_len};

/// What was inside a message that [`seal`] made.
#[must_use = "the sender is to be checked before the content is used"]
pub struct Unsealed {
    /// The identity key of who sealed it: proven to the recipient, and to nobody else.
    pub sender: PublicKey,
    /// The content as it was given to [`seal`].
    pub content: Zeroizing<Vec<u8>>,
}

/// Nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The recipient's identity key agrees on nothing. Ask for another.
    #[error(transparent)]
    NotContributory(#[from] NotContributory),
}

/// A sealed message was not opened. Drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another version than was asked for.
    #[error("a sealed message of version {0}")]
    Version(u8),
    /// Not the fields of a sealed message, or of what is in it.
    #[error("not the fields of a sealed message")]
    Malformed,
    /// Not sealed for this identity, not by who is named in it, or changed on the way.
    #[error("not sealed for this identity")]
    Forged,
}

/// Opens what was sealed for `recipient` with a certificate in it, in either version.
///
/// The sender is proven to be who the certificate names, and the certificate is not verified yet:
/// [`SealedContent::verify`] does that.
///
/// # Errors
/// [`OpenError`]: drop it.
/// Spec: signal-wire §6.3, §6.4, §6.5.
pub fn open_content(sealed: &[u8], recipient: &IdentityKeyPair) -> Result<SealedContent, OpenError> {
    match sealed.first().ok_or(OpenError::Malformed)? >> 4 {
        0 | 1 => SealedContent::of_version_1(&open(sealed, recipient)?),
        v2::VERSION => v2::open(sealed, recipient),
        other => Err(OpenError::Version(other)),
    }
}

impl From<NotContributory> for OpenError {
    /// Nobody seals with such a key.
    fn from(NotContributory: NotContributory) -> OpenError {
        OpenError::Forged
    }
}

impl fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender, content } = self;
        f.debug_struct("Unsealed").field("sender", sender).field("bytes", &content.len()).finish_non_exhaustive()
    }
}
