//! Changes of which everything before them is known, and which of them has seen which.
//!
//! Spec: group §4.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_proto::ids::{AccountId, ChangeHash, InviteId};

use super::change::{BadChange, PARENTS_MAX, SignedChange, invite_transcript, verify};
use super::{Op, Role};

/// Changes of one group. An active group of a thousand has so many in years.
pub(super) const CHANGES_MAX: usize = 10_000;

/// Bytes of all of them together.
pub(super) const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The set of changes, each with everything before it. A place is where a change stands in the order in which they came
/// here, and means nothing elsewhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    places: BTreeMap<ChangeHash, usize>,
    order: BTreeMap<(u64, ChangeHash), usize>,
    heads: BTreeSet<(u64, ChangeHash)>,
    bytes: usize,
    /// Where somebody is put in or comes in, whether that counts or not.
    named: BTreeMap<AccountId, Vec<usize>>,
    invites: BTreeMap<InviteId, Vec<(usize, [u8; 32])>>,
}

#[derive(Clone, Debug)]
struct Node {
    change: SignedChange,
    past: Past,
}

/// Which places a change has seen: all below `whole` words of 64, and those with a bit. Most histories are nearly a line, for
/// which this is next to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    whole: usize,
    rest: Vec<u64>,
}

/// A change at its place, or where it would stand.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) change: &'a SignedChange,
    pub(super) place: usize,
    past: &'a Past,
    graph: &'a Graph,
}

impl Past {
    fn contains(&self, place: usize) -> bool {
        let Some(word) = (place / 64).checked_sub(self.whole) else { return true };
        self.rest.get(word).is_some_and(|bits| bits >> (place % 64) & 1 == 1)
    }

    fn join(&mut self, other: &Self) {
        let whole = self.whole.max(other.whole);
        self.rest.drain(..whole.saturating_sub(self.whole).min(self.rest.len()));
        let theirs = other.rest.get(whole.saturating_sub(other.whole)..).unwrap_or_default();
        self.whole = whole;
        self.rest.resize(self.rest.len().max(theirs.len()), 0);
        for (mine, theirs) in self.rest.iter_mut().zip(theirs) {
            *mine |= theirs;
        }
    }

    fn insert(&mut self, place: usize) {
        let Some(word) = (place / 64).checked_sub(self.whole) else { return };
        self.rest.resize(self.rest.len().max(word.saturating_add(1)), 0);
        if let Some(bits) = self.rest.get_mut(word) {
            *bits |= 1 << (place % 64);
        }
        let full = self.rest.iter().take_while(|bits| **bits == u64::MAX).count();
        self.rest.drain(..full);
        self.whole = self.whole.saturating_add(full);
    }
}

impl At<'_> {
    /// Whether the change is at that place or has seen it.
    pub(super) fn saw(&self, place: usize) -> bool {
        place == self.place || self.past.contains(place)
    }

    /// Whether neither has seen the other.
    pub(super) fn is_apart_from(&self, place: usize) -> bool {
        !self.saw(place) && !self.graph.saw(place, self.place)
    }

    pub(super) fn saw_hash(&self, hash: &ChangeHash) -> bool {
        *hash == self.change.hash() || self.graph.place(hash).is_some_and(|place| self.saw(place))
    }
}

impl Graph {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn place(&self, hash: &ChangeHash) -> Option<usize> {
        self.places.get(hash).copied()
    }

    pub(super) fn get(&self, hash: &ChangeHash) -> Option<&SignedChange> {
        self.nodes.get(self.place(hash)?).map(|node| &node.change)
    }

    /// By height, then by hash: the order in which everybody goes through them.
    pub(super) fn in_order(&self) -> impl Iterator<Item = At<'_>> {
        self.order.values().filter_map(|place| self.at(*place))
    }

    /// The highest first.
    pub(super) fn heads(&self) -> impl Iterator<Item = &SignedChange> {
        self.heads.iter().rev().filter_map(|(_, hash)| self.get(hash))
    }

    pub(super) fn at(&self, place: usize) -> Option<At<'_>> {
        let node = self.nodes.get(place)?;
        Some(At { change: &node.change, place, past: &node.past, graph: self })
    }

    /// Where a change would stand that is not in yet.
    pub(super) fn next<'a>(&'a self, change: &'a SignedChange, past: &'a Past) -> At<'a> {
        At { change, place: self.len(), past, graph: self }
    }

    /// Whether the change at `place` has seen `other`.
    pub(super) fn saw(&self, place: usize, other: usize) -> bool {
        self.nodes.get(place).is_some_and(|node| node.past.contains(other))
    }

    /// Everything that somebody with these heads has not: what no known one of them has seen.
    pub(super) fn after(&self, heads: &[ChangeHash]) -> Vec<&SignedChange> {
        let known: Vec<usize> = heads.iter().filter_map(|hash| self.place(hash)).collect();
        let mut has = self.past_of(known.iter().copied());
        known.iter().for_each(|place| has.insert(*place));
        self.in_order().filter(|at| !has.contains(at.place)).map(|at| at.change).collect()
    }

    pub(super) fn past(&self, change: &SignedChange) -> Past {
        self.past_of(change.parents().iter().filter_map(|parent| self.place(parent)))
    }

    /// What these and everything before them have seen, them included.
    fn past_of(&self, places: impl Iterator<Item = usize>) -> Past {
        let mut past = Past::default();
        for place in places {
            if let Some(node) = self.nodes.get(place) {
                past.join(&node.past);
                past.insert(place);
            }
        }
        past
    }

    /// The parents of a next change, sorted, and its height.
    pub(super) fn tips(&self) -> (Vec<ChangeHash>, u64) {
        let mut parents: Vec<ChangeHash> = self.heads().take(PARENTS_MAX).map(SignedChange::hash).collect();
        parents.sort_unstable();
        let highest = self.heads().next().map_or(0, SignedChange::height);
        (parents, highest.saturating_add(1))
    }

    /// Takes a change in whose parents are all here. Whether it is taken is decided by what is before it alone, so that
    /// everybody decides alike.
    ///
    /// `proven`: its proof of an invite was checked before.
    pub(super) fn add(&mut self, change: SignedChange, proven: bool) -> Result<usize, BadChange> {
        let length = change.encode().len();
        if self.len() >= CHANGES_MAX || self.bytes.saturating_add(length) > BYTES_MAX {
            return Err(BadChange::Full);
        }
        let past = self.past(&change);
        if !change.is_founding() {
            let highest = change.parents().iter().filter_map(|parent| self.get(parent)).map(SignedChange::height).max();
            if highest.and_then(|height| height.checked_add(1)) != Some(change.height()) {
                return Err(BadChange::Height);
            }
            self.is_invited(&change, &past, proven)?;
        }
        let place = self.len();
        self.remember(&change, place);
        for parent in change.parents() {
            if let Some(height) = self.get(parent).map(SignedChange::height) {
                self.heads.remove(&(height, *parent));
            }
        }
        let key = (change.height(), change.hash());
        self.heads.insert(key);
        self.order.insert(key, place);
        self.places.insert(change.hash(), place);
        self.bytes = self.bytes.saturating_add(length);
        self.nodes.push(Node { change, past });
        Ok(place)
    }

    /// Whether its author is somebody whom a change before it has named, or comes by an invite that one has opened.
    fn is_invited(&self, change: &SignedChange, past: &Past, proven: bool) -> Result<(), BadChange> {
        let author = change.author();
        let Some(Op::Join { invite, proof, .. }) = change.ops().first() else {
            let named = self.named.get(&author).is_some_and(|places| places.iter().any(|place| past.contains(*place)));
            return if named { Ok(()) } else { Err(BadChange::Stranger) };
        };
        let known = self.invites.get(invite).map(Vec::as_slice).unwrap_or_default();
        let mut keys = known.iter().filter(|(place, _)| past.contains(*place)).map(|(_, key)| key).peekable();
        if keys.peek().is_none() {
            return Err(BadChange::NoSuchInvite);
        }
        let transcript = invite_transcript(&change.group(), invite, &author);
        // Whoever opens a second invite under the same id closes both: neither lets in by the other's key.
        match proven || keys.all(|key| verify(key, &transcript, proof).is_ok()) {
            true => Ok(()),
            false => Err(BadChange::NoSuchInvite),
        }
    }

    fn remember(&mut self, change: &SignedChange, place: usize) {
        for op in change.ops() {
            match op {
                Op::Found { members, .. } | Op::Add(members) => {
                    for member in members {
                        self.named.entry(member.account).or_default().push(place);
                    }
                }
                Op::SetRole(account, Role::Admin | Role::Owner) => {
                    self.named.entry(*account).or_default().push(place);
                }
                Op::Join { .. } => self.named.entry(change.author()).or_default().push(place),
                Op::Invite { id, key, .. } => self.invites.entry(*id).or_default().push((place, *key)),
                Op::Remove(_)
                | Op::Ban(_)
                | Op::Unban(_)
                | Op::Leave
                | Op::SetRole(..)
                | Op::Rename(_)
                | Op::Announce(_)
                | Op::Timer(_)
                | Op::CloseInvite(_)
                | Op::Admit(_)
                | Op::Refuse(_)
                | Op::DropDevice { .. } => {}
            }
        }
    }
}
