//! Names of things as types. Raw bytes end at a parser; after it there are these.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limits::DEVICE_ID_MAX;
use crate::signing::{Label, Transcript};

/// Milliseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This time and `millis` more, at most the last that there is.
    #[must_use]
    pub fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this; 0 if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Bytes of one.
            pub const LEN: usize = $len;

            /// Exactly
            #[doc = stringify!($len)]
            /// bytes, or nothing.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes as they go on the wire.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), HEXLOWER.encode(self.0.first_chunk::<4>().unwrap_or(&[0; 4])))
            }
        }
    };
}

bytes_id! {
    /// Who somebody is: the hash of link 0 of their chain of device lists. Certifies itself and never changes.
    ///
    /// Spec: keyserver §3.
    AccountId, 32
}
bytes_id! {
    /// Where a device fetches its envelopes: an Ed25519 public key made for nothing else.
    ///
    /// Spec: relay §3.
    MailboxId, 32
}
bytes_id! {
    /// One deposit, drawn at random by its sender; a repeat under the same id stores nothing new.
    ///
    /// Spec: relay §5.
    DepositId, 16
}
bytes_id! {
    /// The hash of a [`Token`], which is all that a relay keeps of it.
    ///
    /// Spec: relay §4.
    TokenHash, 32
}
bytes_id! {
    /// The hash of one link of a chain of device lists.
    ///
    /// Spec: keyserver §3.
    LinkHash, 32
}
bytes_id! {
    /// One message between people, drawn at random by its author; receipts name it.
    ///
    /// Spec: envelope §4.
    MessageId, 16
}

bytes_id! {
    /// A group: the hash of its founding change. Certifies itself and never changes.
    ///
    /// Spec: group §1.
    GroupId, 32
}
bytes_id! {
    /// The hash of one change of a group.
    ///
    /// Spec: group §1.
    ChangeHash, 32
}
bytes_id! {
    /// One way into a group, drawn at random by whoever opens it.
    ///
    /// Spec: group §3.
    InviteId, 16
}

/// A place in a mailbox. Grows with every envelope, with gaps. 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// One device of an account, 1 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(u8);

impl DeviceId {
    /// The device that makes an account.
    pub const FIRST: Self = Self(1);

    /// The id, if it is one.
    #[must_use]
    pub fn new(id: u32) -> Option<Self> {
        u8::try_from(id).ok().filter(|id| (1..=DEVICE_ID_MAX).contains(id)).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a sender shows to put something into a mailbox. Whoever has it may deposit; it names nobody.
///
/// Spec: relay §4.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Token([u8; 32]);

impl Token {
    /// A new token.
    pub fn generate(rng: &mut impl rand_core::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Exactly 32 bytes, or nothing.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The token of these bytes, which several know how to make.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// The secret bytes, for the wire and the store.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the relay keeps.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(Transcript::new(Label::Token).part(&self.0).bytes()).into())
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_print_itself() {
        assert_eq!(format!("{:?}", Token([7; 32])), "Token(..)");
    }

    #[test]
    fn device_ids_are_1_to_127() {
        assert_eq!(DeviceId::new(0), None);
        assert_eq!(DeviceId::new(1), Some(DeviceId::FIRST));
        assert_eq!(DeviceId::new(127).map(DeviceId::get), Some(127));
        assert_eq!(DeviceId::new(128), None);
        assert_eq!(DeviceId::new(257), None);
    }
}
