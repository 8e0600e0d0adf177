//! Changes that came before what they name. They were verified, and count for nothing until the rest is here.
//!
//! Spec: group §7.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_proto::ids::ChangeHash;

use super::change::{BadChange, SignedChange};
use super::graph::Graph;

/// How many wait. More come only from somebody who is far ahead, and who has to be asked anyway.
const WAITING_MAX: usize = 256;

/// How many of one author wait, so that nobody takes all places.
const OF_ONE_AUTHOR_MAX: usize = 64;

/// Bytes of all that wait.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    changes: BTreeMap<ChangeHash, SignedChange>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn get(&self, hash: &ChangeHash) -> Option<&SignedChange> {
        self.changes.get(hash)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SignedChange> {
        self.changes.values()
    }

    pub(super) fn push(&mut self, change: SignedChange) -> Result<(), BadChange> {
        let length = change.encode().len();
        let of_author = self.iter().filter(|waiting| waiting.author() == change.author()).count();
        let bytes = self.bytes.saturating_add(length);
        if self.changes.len() >= WAITING_MAX || of_author >= OF_ONE_AUTHOR_MAX || bytes > WAITING_BYTES_MAX {
            return Err(BadChange::TooManyWaiting);
        }
        self.bytes = bytes;
        self.changes.insert(change.hash(), change);
        Ok(())
    }

    /// One whose parents are all here now.
    pub(super) fn next(&mut self, graph: &Graph) -> Option<SignedChange> {
        let complete = |change: &&SignedChange| change.parents().iter().all(|parent| graph.place(parent).is_some());
        let hash = self.iter().find(complete)?.hash();
        self.take(&hash)
    }

    /// One that waits for a change that will never be taken.
    pub(super) fn next_after(&mut self, refused: &BTreeSet<ChangeHash>) -> Option<SignedChange> {
        let hopeless = |change: &&SignedChange| change.parents().iter().any(|parent| refused.contains(parent));
        let hash = self.iter().find(hopeless)?.hash();
        self.take(&hash)
    }

    fn take(&mut self, hash: &ChangeHash) -> Option<SignedChange> {
        let change = self.changes.remove(hash)?;
        self.bytes = self.bytes.saturating_sub(change.encode().len());
        Some(change)
    }
}
