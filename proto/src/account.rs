//! Accounts: a hash chain of signed device lists.
//!
//! Link 0 names the first device and a recovery key; its hash is the [`AccountId`], so an account certifies itself
//! and no server is believed. Link n+1 carries the hash of link n and is signed by a device of link n or by the
//! recovery key of link n: a device that a link leaves out can sign nothing further. Only the recovery key replaces the
//! recovery key: otherwise a stolen device could take the account for good.
//!
//! Keyserver and clients use this one module, so that what the one keeps the others believe. Links as bytes are in
//! `account/wire.rs`, what an owner may want of a list in `account/change.rs`, chains that part in `account/fork.rs`.
//!
//! The XEdDSA proof inside each device (its identity key vouches for its signing key) is checked by a function that
//! the caller gives, because Signal's curve arithmetic lives in `hushwire-crypto`, which this crate does not know.
//!
//! Spec: keyserver §3.

use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey};
use prost::Message as _;
use sha2::{Digest, Sha256};

use crate::auth::{SignatureBytes, verify};
use crate::ids::{AccountId, DeviceId, LinkHash, MailboxId, Token};
use crate::keyserver::CURVE_KEY_LEN;
use crate::limits::{CHAIN_BYTES_MAX, CHAIN_LINKS_MAX, DEVICE_NAME_BYTES_MAX};
use crate::signing::{Label, Transcript};

mod change;
mod fork;
mod wire;

pub use change::{CannotChange, Change};
pub use fork::{Compared, DoesNotFollow};
pub(crate) use wire::links_to_wire;
pub use wire::{encode_device, encode_links, parse_device, parse_links};

/// The largest registration id: 14 bits. Spec: signal-wire §2.1.
pub const REGISTRATION_ID_MAX: u16 = 0x3FFF;

/// One device, as the list shows it to everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number in the account.
    pub id: DeviceId,
    /// Tells a device apart from one that had its number before. At most [`REGISTRATION_ID_MAX`].
    pub registration_id: u16,
    /// Curve25519 identity key with type byte.
    pub identity_key: [u8; CURVE_KEY_LEN],
    /// Ed25519 key of device lists and sign-in.
    pub signing_key: [u8; 32],
    /// XEdDSA by the identity key over [`identity_transcript`].
    pub identity_proof: SignatureBytes,
    /// Address of the relay that has its mailbox, as text.
    pub relay: String,
    /// Its mailbox there.
    pub mailbox: MailboxId,
    /// What strangers deposit with.
    pub request_token: Token,
    /// What its owner calls it, for everyone to read; empty for none. See [`is_device_name`].
    pub name: String,
}

/// Whether a device may be called so: nothing, or up to [`DEVICE_NAME_BYTES_MAX`] bytes in one line without spaces around.
#[must_use]
pub fn is_device_name(name: &str) -> bool {
    name.len() <= DEVICE_NAME_BYTES_MAX && name.trim() == name && !name.chars().any(char::is_control)
}

/// Whether no two devices have one name: a person tells them apart by it.
fn are_distinct(devices: &[Device]) -> bool {
    let mut names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.is_sorted_by(|a, b| a < b)
}

/// One list of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// 0, 1, 2 and so on.
    pub version: u64,
    /// Hash of the link before; `None` in link 0.
    pub previous: Option<LinkHash>,
    /// At least one, at most eight, ids rising, no two of one name.
    pub devices: Vec<Device>,
    /// Ed25519 key whose private half is on paper.
    pub recovery_key: [u8; 32],
}

/// Who signed a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatory {
    /// A device of the link before (of link 0: its own).
    Device(DeviceId),
    /// The recovery key of the link before (of link 0: its own).
    Recovery,
}

/// A link as it was signed. The bytes are kept, because the hash covers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedLink {
    bytes: Bytes,
    link: Link,
    signatory: Signatory,
    signature: SignatureBytes,
}

/// A chain whose every hash and signature was checked. There is no other way to get one than [`Chain::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    account: AccountId,
    links: Vec<SignedLink>,
}

/// Why links are no chain. Believe nothing they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChain {
    /// No links, or more than are followed.
    #[error("a chain has 1 to {CHAIN_LINKS_MAX} links of together at most {CHAIN_BYTES_MAX} bytes")]
    Length,
    /// Not the account that was asked for.
    #[error("this is another account than the one asked for")]
    OtherAccount,
    /// A link does not follow from the one before.
    #[error("link {version} does not follow from the one before")]
    Broken {
        /// Which.
        version: u64,
    },
    /// A link was not signed by anyone who may.
    #[error("link {version} is not signed by a device of the link before nor by its recovery key")]
    Signature {
        /// Which.
        version: u64,
    },
    /// A device replaced the recovery key.
    #[error("link {version} replaces the recovery key and is not signed by it")]
    RecoveryKey {
        /// Which.
        version: u64,
    },
    /// A device's identity key does not vouch for its signing key.
    #[error("device {device} of link {version} has an identity key that does not vouch for it")]
    Identity {
        /// Which link.
        version: u64,
        /// Which device.
        device: DeviceId,
    },
}

/// What a device's identity key signs, so that nobody lists another person's identity key as their own.
#[must_use]
pub fn identity_transcript(id: DeviceId, registration_id: u16, signing_key: &[u8; 32]) -> Transcript {
    Transcript::new(Label::DeviceIdentity).part(&[id.get()]).part(&registration_id.to_be_bytes()).part(signing_key)
}

impl Link {
    /// Signs this list. `key` is a device's signing key or the recovery key, as `signatory` says.
    #[must_use]
    pub fn sign(self, signatory: Signatory, key: &SigningKey) -> SignedLink {
        let bytes = Bytes::from(self.to_wire().encode_to_vec());
        let signature = key.sign(signature_transcript(&bytes).bytes()).to_bytes();
        SignedLink { bytes, link: self, signatory, signature }
    }

    /// The device of that number.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }

    fn key_of(&self, signatory: Signatory) -> Option<&[u8; 32]> {
        match signatory {
            Signatory::Device(id) => self.device(id).map(|device| &device.signing_key),
            Signatory::Recovery => Some(&self.recovery_key),
        }
    }
}

impl SignedLink {
    /// The list.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Who signed it.
    #[must_use]
    pub fn signatory(&self) -> Signatory {
        self.signatory
    }

    /// Its hash, which the next link names and which is the account id for link 0.
    #[must_use]
    pub fn hash(&self) -> LinkHash {
        LinkHash(Sha256::digest(Transcript::new(Label::Link).part(&self.bytes).bytes()).into())
    }
}

impl Chain {
    /// Checks links from link 0 on. `vouches(identity_key, message, signature)` verifies XEdDSA.
    ///
    /// # Errors
    /// [`BadChain`] names the first thing that is wrong.
    pub fn verify(
        links: Vec<SignedLink>,
        vouches: impl Fn(&[u8; CURVE_KEY_LEN], &[u8], &SignatureBytes) -> bool,
    ) -> Result<Self, BadChain> {
        let first = links.first().ok_or(BadChain::Length)?;
        let bytes: usize = links.iter().map(|link| link.bytes.len()).sum();
        if links.len() > CHAIN_LINKS_MAX || bytes > CHAIN_BYTES_MAX {
            return Err(BadChain::Length);
        }
        let account = AccountId(first.hash().0);
        let mut before: Option<&SignedLink> = None;
        for (signed, version) in links.iter().zip(0u64..) {
            let link = &signed.link;
            if link.version != version || link.previous != before.map(SignedLink::hash) {
                return Err(BadChain::Broken { version });
            }
            let authority = before.map_or(link, |signed| &signed.link);
            let key = authority.key_of(signed.signatory).ok_or(BadChain::Signature { version })?;
            verify(key, &signature_transcript(&signed.bytes), &signed.signature)
                .map_err(|_| BadChain::Signature { version })?;
            if signed.signatory != Signatory::Recovery && link.recovery_key != authority.recovery_key {
                return Err(BadChain::RecoveryKey { version });
            }
            for device in &link.devices {
                let transcript = identity_transcript(device.id, device.registration_id, &device.signing_key);
                if !vouches(&device.identity_key, transcript.bytes(), &device.identity_proof) {
                    return Err(BadChain::Identity { version, device: device.id });
                }
            }
            before = Some(signed);
        }
        Ok(Self { account, links })
    }

    /// [`Chain::verify`], and that it is this account.
    ///
    /// # Errors
    /// [`BadChain`].
    pub fn verify_for(
        account: AccountId,
        links: Vec<SignedLink>,
        vouches: impl Fn(&[u8; CURVE_KEY_LEN], &[u8], &SignatureBytes) -> bool,
    ) -> Result<Self, BadChain> {
        let chain = Self::verify(links, vouches)?;
        if chain.account == account { Ok(chain) } else { Err(BadChain::OtherAccount) }
    }

    /// Whose.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// All links, from link 0.
    #[must_use]
    pub fn links(&self) -> &[SignedLink] {
        &self.links
    }

    /// The newest link.
    #[must_use]
    pub fn head(&self) -> Option<&SignedLink> {
        self.links.last()
    }

    /// The devices of today.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        self.links.last().map_or(&[], |signed| &signed.link.devices)
    }

    /// The device of that number, if it is one today.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices().iter().find(|device| device.id == id)
    }

    /// Whether `self` is `older` and perhaps more: nothing was taken back or replaced.
    #[must_use]
    pub fn extends(&self, older: &Self) -> bool {
        self.links.starts_with(&older.links)
    }
}

fn signature_transcript(link: &[u8]) -> Transcript {
    Transcript::new(Label::LinkSignature).part(link)
}
