//! What peers and members say, read and written again: for `audits/fuzz` alone, which says what must hold of it.
//!
//! Each takes any bytes. If they are what they should be, it gives them as they are written today.

use hushwire_crypto::SharedKey;
use hushwire_proto::envelope::Envelope;
use rand_core::CryptoRng;

use crate::content::{Content, Plain};
use crate::seal::{GroupInside, GroupPlain};
pub use crate::whisper::reread as whisper;

/// What is said, in a session or to a group.
#[must_use]
pub fn content(bytes: &[u8]) -> Option<Vec<u8>> {
    Content::parse(bytes).ok().map(|content| content.encode().to_vec())
}

/// What stands around it in a session.
#[must_use]
pub fn plain(bytes: &[u8]) -> Option<Vec<u8>> {
    Plain::parse(bytes).ok().map(|plain| plain.encode().to_vec())
}

/// What stands around it under a sender's key.
#[must_use]
pub fn group_plain(bytes: &[u8]) -> Option<Vec<u8>> {
    GroupPlain::parse(bytes).map(|plain| plain.encode().to_vec())
}

/// An envelope to a group under this key, sealed anew.
#[must_use]
pub fn group_inside(envelope: &Envelope, key: &SharedKey, rng: &mut impl CryptoRng) -> Option<Envelope> {
    let inside = GroupInside::open(envelope, key).filter(|_| GroupInside::is_one(envelope))?;
    inside.seal(key, rng).ok()
}
