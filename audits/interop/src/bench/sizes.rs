//! How large stored state is, in bytes.

use serde_json::json;

use super::groups::{self, group};
use super::ours::{Party, talk};
use super::sessions::{self, KEPT};
use crate::Checked;
use crate::oracle::{Oracle, number};

/// One state, as each library stores it.
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) ours: usize,
    pub(crate) theirs: u32,
}

pub(crate) fn measure(theirs: &mut Oracle) -> Checked<Vec<Size>> {
    let said = theirs.get("sizes", json!({}))?;
    let (begun, bob) = Party::strangers();
    let answered = Party::meet()?.0;
    let mut pair = Party::meet()?;
    talk(&mut pair.0, &mut pair.1, 100)?;
    let (ours, member) = group();
    let of_ours = [
        ("a session just begun", "session_begun", begun.begin(&bob.bundle())?.to_bytes().len()),
        ("a session just answered", "session_answered", answered.sessions.to_bytes().len()),
        ("a session after 100 messages there and back", "session_talked", pair.0.sessions.to_bytes().len()),
        ("a session with 2,000 skipped keys", "session_kept", sessions::letters(1, KEPT)?.0.sessions.to_bytes().len()),
        ("a sender key, at its sender", "sender_key_ours", ours.to_bytes().len()),
        ("a sender key, at a member", "sender_key_theirs", member.to_bytes().len()),
        ("a sender key with 2,000 skipped keys", "sender_key_kept", groups::letters(1, KEPT)?.0.to_bytes().len()),
    ];
    of_ours.into_iter().map(|(name, key, ours)| Ok(Size { name, key, ours, theirs: number(&said, key)? })).collect()
}
