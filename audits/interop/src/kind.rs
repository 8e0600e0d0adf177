//! Why a message was refused, in words that both libraries can be translated to.
//!
//! The official library names a few of its errors; the others are told by their text. Where the two tell more or less
//! than each other, the kind is the coarser.

use hushwire_crypto::{DecryptError, GroupDecryptError, MalformedMessage};
use serde_json::Value;

/// A kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Opened before, or its key is gone.
    Repeated,
    /// No session, or no key of it, opens it: forged, altered, too far ahead or too late.
    Undecryptable,
    /// Not the bytes of a message.
    Unreadable,
    /// There is no session at all.
    NoSession,
    /// It names a prekey that is not there.
    MissingPreKey,
    /// A first message that was opened before, without a one-time prekey to tell.
    ReusedBaseKey,
    /// The identity key is not the known one.
    Untrusted,
    /// No sender key of that chain.
    NoSenderKey,
    /// The signature of a sender key message.
    BadSignature,
    /// A sealed message that does not open; both say it in one word here.
    Sealed,
    /// What this table does not know: it is printed.
    Other,
}

/// What the oracle's texts begin with or contain, and what that means.
const TEXTS: &[(&str, Kind)] = &[
    ("too far into the future", Kind::Undecryptable),
    ("decryption failed", Kind::Undecryptable),
    ("incoming base key is invalid", Kind::Undecryptable),
    // What a session needs and a message lacks: the crate refuses it when it reads.
    ("X3DH no longer supported", Kind::Unreadable),
    ("Kyber pre key must be present", Kind::Unreadable),
    ("Both or neither kyber", Kind::Unreadable),
    ("invalid PreKey message", Kind::Undecryptable),
    ("reused base key", Kind::ReusedBaseKey),
    ("prekey", Kind::MissingPreKey),
    ("session with", Kind::NoSession),
    ("missing sender key state", Kind::NoSenderKey),
    ("invalid signature detected", Kind::BadSignature),
    ("invalid sender key message", Kind::Undecryptable),
    ("too short", Kind::Unreadable),
    ("protobuf", Kind::Unreadable),
    ("key type", Kind::Unreadable),
    ("key length", Kind::Unreadable),
    ("bad key", Kind::Unreadable),
    ("KEM", Kind::Unreadable),
    ("version", Kind::Unreadable),
    ("not hex", Kind::Other),
    ("invalid", Kind::Unreadable),
];

impl Kind {
    /// The kind of an `err` of the oracle.
    pub(crate) fn of_oracle(no: &Value) -> Kind {
        match no["kind"].as_str() {
            Some("DuplicatedMessage") => return Kind::Repeated,
            Some("UntrustedIdentity") => return Kind::Untrusted,
            _ => {}
        }
        let words = no["message"].as_str().unwrap_or("");
        TEXTS.iter().find(|(part, _)| words.contains(part)).map_or(Kind::Other, |(_, kind)| *kind)
    }
}

impl From<DecryptError> for Kind {
    fn from(error: DecryptError) -> Kind {
        match error {
            DecryptError::Repeated => Kind::Repeated,
            DecryptError::NoSession => Kind::NoSession,
            DecryptError::UntrustedIdentity => Kind::Untrusted,
            DecryptError::MissingPreKey(_) => Kind::MissingPreKey,
            DecryptError::Forged
            | DecryptError::TooFarAhead { .. }
            | DecryptError::PostQuantum
            | DecryptError::Malformed
            | DecryptError::BadBaseKey => Kind::Undecryptable,
        }
    }
}

impl From<MalformedMessage> for Kind {
    fn from(_: MalformedMessage) -> Kind {
        Kind::Unreadable
    }
}

impl From<GroupDecryptError> for Kind {
    fn from(error: GroupDecryptError) -> Kind {
        match error {
            GroupDecryptError::NoSenderKey => Kind::NoSenderKey,
            GroupDecryptError::Forged => Kind::BadSignature,
            GroupDecryptError::Repeated => Kind::Repeated,
            GroupDecryptError::TooFarAhead { .. } | GroupDecryptError::Malformed => Kind::Undecryptable,
        }
    }
}
