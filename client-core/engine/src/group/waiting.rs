//! Changes that came before what they name. They were verified, and count for nothing until the rest is here.
//!
//! Spec: group §7.

use std::cmp::Reverse;
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

    /// Keeps one, and says which ones it is kept instead of.
    pub(super) fn push(
        &mut self,
        change: SignedChange,
        matters: impl Fn(&SignedChange) -> bool,
    ) -> Result<Vec<ChangeHash>, BadChange> {
        let instead = self.room_for(&change, matters).ok_or(BadChange::TooManyWaiting)?;
        instead.iter().for_each(|hash| drop(self.take(hash)));
        self.bytes = self.bytes.saturating_add(change.encode().len());
        self.changes.insert(change.hash(), change);
        Ok(instead)
    }

    /// Which have to go for it to be kept; `None`: it is not kept. What matters is not kept from it by what does not, nor by
    /// what comes later in the order.
    fn room_for(&self, change: &SignedChange, matters: impl Fn(&SignedChange) -> bool) -> Option<Vec<ChangeHash>> {
        let author = change.author();
        let (mut count, mut bytes) = (self.changes.len(), self.bytes.saturating_add(change.encode().len()));
        let mut of_author = self.iter().filter(|waiting| waiting.author() == author).count();
        let key = |change: &SignedChange| (change.height(), change.hash());
        let mut others: Vec<&SignedChange> = self.iter().filter(|_| matters(change)).collect();
        others.sort_by_cached_key(|other| (matters(other), Reverse(key(other))));
        let mut others = others.into_iter();
        let mut instead = Vec::new();
        loop {
            let too_many_of_author = of_author >= OF_ONE_AUTHOR_MAX;
            if !too_many_of_author && count < WAITING_MAX && bytes <= WAITING_BYTES_MAX {
                return Some(instead);
            }
            let other = others.next()?;
            let is_theirs = other.author() == author;
            let comes_later = key(other) > key(change);
            if (too_many_of_author && !is_theirs) || (matters(other) && !comes_later) {
                continue;
            }
            count = count.saturating_sub(1);
            of_author = of_author.saturating_sub(usize::from(is_theirs));
            bytes = bytes.saturating_sub(other.encode().len());
            instead.push(other.hash());
        }
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
