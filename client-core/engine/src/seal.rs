//! From a ratchet message to a sealed envelope of a size class, and back.
//!
//! The relay sees a sealed envelope: no sender, no account, one of eight sizes. Inside the seal stand who sent it (the
//! account and device; proven by the seal's identity key, which the device list must have), which account it is meant
//! for (or whoever lists somebody else's device in an account of their own would have our words said to that somebody),
//! the ratchet message and padding. The seal is Signal's sealed sender, version 1, without a server's certificate: accounts certify
//! themselves.
//!
//! Spec: envelope §2.

use hushwire_crypto::sealed::{self, sealed_len};
use hushwire_crypto::{CiphertextMessage, IdentityKeyPair, PublicKey, SHARED_OVERHEAD, SharedKey};
use hushwire_proto::account::{SignedLink, encode_links, parse_links};
use hushwire_proto::envelope::{Envelope, class_for};
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId};
use prost::Message as _;
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use crate::content::{self, HEADS_MAX};

/// The first byte of a seal of version 1. Spec: signal-wire §6.3.
const SEAL_VERSION: u8 = 0x11;

/// Ends the content; zeros follow up to the size class.
const PADDING_MARK: u8 = 0x80;

/// What a seal holds, after its form was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inside {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// Whom the sender means.
    pub(crate) recipient: AccountId,
    pub(crate) message: CiphertextMessage,
    /// The sender's device lists, with first messages only: whoever gets one may never have heard of them.
    pub(crate) links: Vec<SignedLink>,
}

/// Why an envelope has no inside. It was not made by anyone who follows the protocol: drop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSeal {
    #[error("not sealed for this device")]
    NotForUs,
    #[error("meant for another account that lists this device as its own")]
    OtherAccount,
    #[error("the seal holds no message")]
    Malformed,
    #[error("too long for the largest envelope")]
    TooLong,
    #[error("the recipient's key is weak")]
    WeakKey,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InsideWire {
    /// 1: first message of a session, 2: later one.
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(bytes = "vec", tag = "2")]
    account: Vec<u8>,
    #[prost(uint32, tag = "3")]
    device: u32,
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    links: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    recipient: Vec<u8>,
}

impl Inside {
    /// Seals for one device. Draws 32 bytes.
    pub(crate) fn seal(
        &self,
        sender: &IdentityKeyPair,
        recipient: &PublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Envelope, BadSeal> {
        let (kind, message) = match &self.message {
            CiphertextMessage::PreKey(bytes) => (1, bytes.clone()),
            CiphertextMessage::Signal(bytes) => (2, bytes.clone()),
        };
        let inside = InsideWire {
            kind,
            account: self.account.as_bytes().to_vec(),
            device: self.device.get().into(),
            message,
            links: if self.links.is_empty() { Vec::new() } else { encode_links(&self.links) },
            recipient: self.recipient.as_bytes().to_vec(),
        };
        let padded = pad(inside.encode_to_vec()).ok_or(BadSeal::TooLong)?;
        let sealed = sealed::seal(&padded, sender, recipient, rng).map_err(|_| BadSeal::WeakKey)?;
        Envelope::new(sealed.into()).map_err(|_| BadSeal::TooLong)
    }

    /// Opens an envelope for this device of this account: who sealed it, and what it holds. The caller checks that the
    /// device list of [`Inside::account`] has that key.
    pub(crate) fn open(
        envelope: &Envelope,
        identity: &IdentityKeyPair,
        account: AccountId,
    ) -> Result<(PublicKey, Self), BadSeal> {
        // The official library reads more first bytes as version 1; an envelope of ours has one form only.
        if envelope.bytes().first() != Some(&SEAL_VERSION) {
            return Err(BadSeal::NotForUs);
        }
        let unsealed = sealed::open(envelope.bytes(), identity).map_err(|_| BadSeal::NotForUs)?;
        let bytes = unpad(&unsealed.content).ok_or(BadSeal::Malformed)?;
        let inside = InsideWire::decode(bytes).map_err(|_| BadSeal::Malformed)?;
        let recipient = AccountId::from_slice(&inside.recipient).ok_or(BadSeal::Malformed)?;
        if recipient != account {
            return Err(BadSeal::OtherAccount);
        }
        let message = match inside.kind {
            1 => CiphertextMessage::PreKey(inside.message),
            2 => CiphertextMessage::Signal(inside.message),
            _ => return Err(BadSeal::Malformed),
        };
        let links = match inside.links.is_empty() {
            true => Vec::new(),
            false => parse_links(&inside.links).map_err(|_| BadSeal::Malformed)?,
        };
        Ok((
            unsealed.sender,
            Self {
                account: AccountId::from_slice(&inside.account).ok_or(BadSeal::Malformed)?,
                device: DeviceId::new(inside.device).ok_or(BadSeal::Malformed)?,
                recipient,
                message,
                links,
            },
        ))
    }
}

/// The first byte of an envelope to a group.
const GROUP_VERSION: u8 = 0x21;

/// What an envelope to a group holds, after its form was checked. Everybody in the group can make one; who did is proven
/// by the signature of the message, under a key that its sender gave each member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupInside {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// A sender key message. Spec: signal-wire §5.3.
    pub(crate) message: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GroupInsideWire {
    #[prost(bytes = "vec", tag = "1")]
    account: Vec<u8>,
    #[prost(uint32, tag = "2")]
    device: u32,
    #[prost(bytes = "vec", tag = "3")]
    message: Vec<u8>,
}

impl GroupInside {
    /// Whether an envelope says that it is one to a group.
    pub(crate) fn is_one(envelope: &Envelope) -> bool {
        envelope.bytes().first() == Some(&GROUP_VERSION)
    }

    /// Seals for whoever has the key. Draws 12 bytes.
    pub(crate) fn seal(&self, key: &SharedKey, rng: &mut impl CryptoRng) -> Result<Envelope, BadSeal> {
        let inside = GroupInsideWire {
            account: self.account.as_bytes().to_vec(),
            device: self.device.get().into(),
            message: self.message.clone(),
        };
        let mut bytes = inside.encode_to_vec();
        bytes.push(PADDING_MARK);
        let class = class_for(1 + SHARED_OVERHEAD + bytes.len()).ok_or(BadSeal::TooLong)?;
        bytes.resize(class - 1 - SHARED_OVERHEAD, 0);
        let mut sealed = vec![GROUP_VERSION];
        sealed.extend(key.seal(&[GROUP_VERSION], &bytes, rng));
        Envelope::new(sealed.into()).map_err(|_| BadSeal::TooLong)
    }

    /// Opens what was sealed under this key; `None` if it was not.
    pub(crate) fn open(envelope: &Envelope, key: &SharedKey) -> Option<Self> {
        let (_, sealed) = envelope.bytes().split_first()?;
        let bytes = key.open(&[GROUP_VERSION], sealed)?;
        let inside = GroupInsideWire::decode(unpad(&bytes)?).ok()?;
        Some(Self {
            account: AccountId::from_slice(&inside.account)?,
            device: DeviceId::new(inside.device)?,
            message: inside.message,
        })
    }
}

/// The plaintext of a sender key message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupPlain {
    /// A key for one group says nothing in another.
    pub(crate) group: GroupId,
    /// The changes that nobody follows, as far as the sender knows.
    pub(crate) heads: Vec<ChangeHash>,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GroupPlainWire {
    #[prost(bytes = "vec", tag = "1")]
    group: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    heads: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "3")]
    content: Vec<u8>,
}

impl GroupPlain {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut wire = GroupPlainWire {
            group: self.group.as_bytes().to_vec(),
            heads: self.heads.iter().take(HEADS_MAX).map(|head| head.as_bytes().to_vec()).collect(),
            content: self.content.to_vec(),
        };
        let bytes = Zeroizing::new(wire.encode_to_vec());
        wire.content.zeroize();
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let wire = GroupPlainWire::decode(bytes).ok()?;
        let content = Zeroizing::new(wire.content);
        Some(Self { group: GroupId::from_slice(&wire.group)?, heads: content::heads(&wire.heads).ok()?, content })
    }
}

/// Pads so that the sealed whole has exactly the size of a class.
fn pad(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    bytes.push(PADDING_MARK);
    let class = class_for(sealed_len(bytes.len()))?;
    // The overhead grows by a byte where a length needs one more varint byte, so one step may not be enough.
    let mut length = class.checked_sub(sealed_len(0))?;
    while sealed_len(length) > class {
        length = length.checked_sub(1)?;
    }
    (sealed_len(length) == class).then_some(())?;
    bytes.resize(length, 0);
    Some(bytes)
}

fn unpad(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().rposition(|byte| *byte != 0)?;
    let (content, rest) = bytes.split_at_checked(end)?;
    (rest.first() == Some(&PADDING_MARK)).then_some(content)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_proto::limits::{ENVELOPE_BYTES_MAX, ENVELOPE_CLASSES};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_length_is_padded_to_a_class_and_comes_back() {
        for length in 0..ENVELOPE_BYTES_MAX - sealed_len(0) - 8 {
            let bytes = vec![7; length];
            let padded = pad(bytes.clone()).unwrap();
            assert!(ENVELOPE_CLASSES.contains(&sealed_len(padded.len())), "{length}");
            assert_eq!(unpad(&padded), Some(&bytes[..]));
        }
        assert_eq!(pad(vec![7; ENVELOPE_BYTES_MAX]), None);
    }

    #[test]
    fn bytes_without_the_mark_are_no_content() {
        for bytes in [&[][..], &[0, 0, 0], &[1, 2, 3], &[1, 0x81, 0, 0]] {
            assert_eq!(unpad(bytes), None);
        }
    }

    #[test]
    fn an_altered_envelope_does_not_open_wherever_it_was_altered() {
        let mut rng = StdRng::seed_from_u64(1);
        let (alice, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
        let inside = Inside {
            account: AccountId([1; 32]),
            device: DeviceId::FIRST,
            recipient: AccountId([2; 32]),
            message: CiphertextMessage::Signal(vec![1; 80]),
            links: Vec::new(),
        };
        let envelope = inside.seal(&alice, &bob.public(), &mut rng).unwrap();
        let bobs = AccountId([2; 32]);
        assert_eq!(Inside::open(&envelope, &bob, bobs), Ok((alice.public(), inside.clone())));
        assert_eq!(Inside::open(&envelope, &bob, AccountId([3; 32])), Err(BadSeal::OtherAccount));
        assert_eq!(Inside::open(&envelope, &alice, bobs), Err(BadSeal::NotForUs));
        for place in 0..envelope.len() {
            let mut bytes = envelope.bytes().to_vec();
            *bytes.get_mut(place).unwrap() ^= 0x10;
            let altered = Envelope::new(bytes.into()).unwrap();
            assert_ne!(
                Inside::open(&altered, &bob, bobs).map(|(_, inside)| inside),
                Ok(inside.clone()),
                "byte {place}"
            );
        }
    }
}
