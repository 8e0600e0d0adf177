//! Roots of a keyserver's log: one signed value for everything that the keyserver says of all handles at an epoch.
//!
//! The key that signs is the one that the keyserver's address pins: its TLS key, which is Ed25519. So whoever has the
//! address can check a root, wherever they got it from, and a keyserver that signs two roots for one epoch has signed the
//! proof against itself. What a root proves of a handle is the business of `hushwire-log`.
//!
//! Spec: keyserver §7.

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};

use crate::address::Fingerprint;
use crate::auth::{SignatureBytes, verify};
use crate::ids::{AccountId, LinkHash, UnixMillis};
use crate::parse::{BadMessage, decode, encode, exactly};
use crate::signing::{Label, Transcript};
use crate::wire::keys as wire;

/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo. RFC 8410 §4.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The log at one epoch, signed. Not checked before [`SignedRoot::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRoot {
    /// Counts from 1; the log grows by one epoch at a time.
    pub epoch: u64,
    /// Root of the tree.
    pub root: [u8; 32],
    /// When it was made, by the keyserver's clock.
    pub at: UnixMillis,
    /// The key under which handles have their places in the tree. The same in every root of a log.
    pub vrf_key: [u8; 32],
    /// The keyserver's key: that of its TLS certificate.
    pub key: [u8; 32],
    /// By `key`.
    pub signature: SignatureBytes,
}

/// A root that this keyserver did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoot {
    /// Signed by a key that is not the pinned one.
    #[error("the root of the log is signed by another key than the address pins")]
    OtherKey,
    /// Not signed by the key it names.
    #[error("the signature over the root of the log is wrong")]
    Signature,
}

/// The key of a server whose identity is this Ed25519 key.
#[must_use]
pub fn fingerprint_of(key: &[u8; 32]) -> Fingerprint {
    Fingerprint::of_public_key(&[&ED25519_SPKI[..], key].concat())
}

impl SignedRoot {
    /// Signs a root. `key` is the private half of the keyserver's identity.
    #[must_use]
    pub fn sign(epoch: u64, root: [u8; 32], at: UnixMillis, vrf_key: [u8; 32], key: &SigningKey) -> Self {
        let public = key.verifying_key().to_bytes();
        let unsigned = Self { epoch, root, at, vrf_key, key: public, signature: [0; 64] };
        Self { signature: key.sign(unsigned.transcript().bytes()).to_bytes(), ..unsigned }
    }

    /// Checks that the server of this fingerprint signed it.
    ///
    /// # Errors
    /// [`BadRoot`].
    pub fn verify(&self, server: Fingerprint) -> Result<(), BadRoot> {
        if fingerprint_of(&self.key) != server {
            return Err(BadRoot::OtherKey);
        }
        verify(&self.key, &self.transcript(), &self.signature).map_err(|_| BadRoot::Signature)
    }

    /// The bytes of it, for the store and for showing it to others.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(&self.to_wire())
    }

    /// Reads what [`Self::encode`] wrote. Not verified yet.
    ///
    /// # Errors
    /// [`BadMessage`].
    pub fn parse(bytes: &Bytes) -> Result<Self, BadMessage> {
        Self::from_wire(decode(bytes)?)
    }

    pub(crate) fn to_wire(&self) -> wire::SignedRoot {
        wire::SignedRoot {
            epoch: self.epoch,
            root: copy(&self.root),
            at_ms: self.at.0,
            vrf_key: copy(&self.vrf_key),
            key: copy(&self.key),
            signature: copy(&self.signature),
        }
    }

    pub(crate) fn from_wire(root: wire::SignedRoot) -> Result<Self, BadMessage> {
        Ok(Self {
            epoch: root.epoch,
            root: exactly("root", &root.root)?,
            at: UnixMillis(root.at_ms),
            vrf_key: exactly("vrf_key", &root.vrf_key)?,
            key: exactly("key", &root.key)?,
            signature: exactly("signature", &root.signature)?,
        })
    }

    fn transcript(&self) -> Transcript {
        Transcript::new(Label::LogRoot)
            .part(&self.epoch.to_be_bytes())
            .part(&self.root)
            .part(&self.at.0.to_be_bytes())
            .part(&self.vrf_key)
    }
}

/// What the log says of a handle: whose it is, and the newest link of their chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub account: AccountId,
    /// Hash of the newest link.
    pub head: LinkHash,
    /// Its version.
    pub version: u64,
}

impl Entry {
    /// Bytes of one.
    pub const LEN: usize = 72;

    /// `account ‖ head ‖ BE64(version)`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.account.0[..], &self.head.0, &self.version.to_be_bytes()].concat()
    }

    /// Exactly 72 bytes, or nothing.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let (account, rest) = bytes.split_first_chunk()?;
        let (head, version) = rest.split_first_chunk()?;
        let version = u64::from_be_bytes(version.try_into().ok()?);
        Some(Self { account: AccountId(*account), head: LinkHash(*head), version })
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_believed_from_the_server_of_the_address_and_nobody_else() {
        let (key, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let server = fingerprint_of(&key.verifying_key().to_bytes());
        let root = SignedRoot::sign(7, [3; 32], UnixMillis(9), [4; 32], &key);
        assert_eq!(root.verify(server), Ok(()));
        assert_eq!(SignedRoot::parse(&root.encode()), Ok(root.clone()));
        let theirs = SignedRoot::sign(7, [3; 32], UnixMillis(9), [4; 32], &other);
        assert_eq!(theirs.verify(server), Err(BadRoot::OtherKey));
        assert_eq!(SignedRoot { key: root.key, ..theirs }.verify(server), Err(BadRoot::Signature));
        for changed in [
            SignedRoot { epoch: 8, ..root.clone() },
            SignedRoot { root: [5; 32], ..root.clone() },
            SignedRoot { at: UnixMillis(10), ..root.clone() },
            SignedRoot { vrf_key: [5; 32], ..root.clone() },
        ] {
            assert_eq!(changed.verify(server), Err(BadRoot::Signature));
        }
    }

    #[test]
    fn an_entry_is_72_bytes() {
        let entry = Entry { account: AccountId([1; 32]), head: LinkHash([2; 32]), version: 3 };
        assert_eq!(Entry::from_slice(&entry.to_bytes()), Some(entry));
        assert_eq!(entry.to_bytes().len(), Entry::LEN);
        assert_eq!(Entry::from_slice(&[0; 71]), None);
        assert_eq!(Entry::from_slice(&[0; 73]), None);
    }
}
