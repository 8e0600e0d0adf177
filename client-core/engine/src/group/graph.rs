//! Changes of which everything before them is known, which of them has seen which, and which were made by somebody whom the
//! group was entrusted to.
//!
//! Spec: group §4, §7.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_proto::ids::{AccountId, ChangeHash, InviteId};

use super::change::{BadChange, SignedChange, invite_transcript, verify};
use super::loose::{Key, LOOSE_BYTES_MAX, Loose};
use super::past::Past;
use super::{Op, Role};

/// Changes of one group, without those that are loose. An active group of a thousand has so many in years.
pub(super) const CHANGES_MAX: usize = 10_000;

/// Bytes of all of them together.
pub(super) const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The set of changes, each with everything before it. A place is where a change stands in the order in which they came
/// here, and means nothing elsewhere. That of a change which was removed, and which no other has seen, is used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Option<Node>>,
    free: Vec<usize>,
    places: BTreeMap<ChangeHash, usize>,
    order: BTreeMap<Key, usize>,
    heads: BTreeSet<Key>,
    bytes: usize,
    loose: Loose,
    /// Where somebody is put in or comes in, whether that counts or not.
    named: BTreeMap<AccountId, Vec<usize>>,
    /// Where somebody is made an admin or an owner by somebody entrusted with that, whether it counts or not.
    entrusted: BTreeMap<AccountId, Vec<(usize, Role)>>,
    invites: BTreeMap<InviteId, Vec<(usize, [u8; 32])>>,
}

#[derive(Clone, Debug)]
struct Node {
    change: SignedChange,
    past: Past,
    /// With what its author was entrusted there.
    entrusted: Option<Role>,
    /// How many name it as a parent.
    followed: usize,
}

/// What is decided of a change by what is before it alone, so that everybody decides alike.
pub(super) struct Judged {
    past: Past,
    entrusted: Option<Role>,
}

impl Judged {
    /// Whether somebody made it whom the group was never entrusted to.
    pub(super) fn is_loose(&self) -> bool {
        self.entrusted.is_none()
    }
}

/// A change at its place, or where it would stand.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) change: &'a SignedChange,
    pub(super) place: usize,
    past: &'a Past,
    graph: &'a Graph,
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
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn loose(&self) -> &Loose {
        &self.loose
    }

    /// Whether the group was entrusted to this account by any change.
    pub(super) fn was_entrusted(&self, account: &AccountId) -> bool {
        self.entrusted.contains_key(account)
    }

    /// Whether its author was entrusted with the group at this change.
    pub(super) fn is_entrusted(&self, place: usize) -> bool {
        self.node(place).is_some_and(|node| node.entrusted.is_some())
    }

    /// Whether no change that is here names it.
    pub(super) fn is_head(&self, key: &Key) -> bool {
        self.heads.contains(key)
    }

    fn node(&self, place: usize) -> Option<&Node> {
        self.nodes.get(place)?.as_ref()
    }

    pub(super) fn place(&self, hash: &ChangeHash) -> Option<usize> {
        self.places.get(hash).copied()
    }

    pub(super) fn get(&self, hash: &ChangeHash) -> Option<&SignedChange> {
        self.node(self.place(hash)?).map(|node| &node.change)
    }

    /// By height, then by hash: the order in which everybody goes through them.
    pub(super) fn in_order(&self) -> impl Iterator<Item = At<'_>> {
        self.order.values().filter_map(|place| self.at(*place))
    }

    /// The highest first.
    pub(super) fn heads(&self) -> impl Iterator<Item = At<'_>> {
        self.heads.iter().rev().filter_map(|(_, hash)| self.at(self.place(hash)?))
    }

    pub(super) fn at(&self, place: usize) -> Option<At<'_>> {
        let node = self.node(place)?;
        Some(At { change: &node.change, place, past: &node.past, graph: self })
    }

    /// Where a change would stand that is not in yet.
    pub(super) fn next<'a>(&'a self, change: &'a SignedChange, past: &'a Past) -> At<'a> {
        At { change, place: self.nodes.len(), past, graph: self }
    }

    /// Whether the change at `place` has seen `other`.
    pub(super) fn saw(&self, place: usize, other: usize) -> bool {
        self.node(place).is_some_and(|node| node.past.contains(other))
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
            if let Some(node) = self.node(place) {
                past.join(&node.past);
                past.insert(place);
            }
        }
        past
    }

    /// Whether a change may come in whose parents are all here.
    ///
    /// `kept`: it was here before, so that there is room, and its proof of an invite was checked.
    pub(super) fn judge(&self, change: &SignedChange, kept: bool) -> Result<Judged, BadChange> {
        let past = self.past(change);
        if change.is_founding() {
            return Ok(Judged { past, entrusted: Some(Role::Owner) });
        }
        let highest = change.parents().iter().filter_map(|parent| self.get(parent)).map(SignedChange::height).max();
        if highest.and_then(|height| height.checked_add(1)) != Some(change.height()) {
            return Err(BadChange::Height);
        }
        self.is_invited(change, &past, kept)?;
        let entrusted = self.entrusted_with(change.author(), &past);
        match entrusted {
            None => self.is_own(change)?,
            Some(_) if !kept && self.is_full(change) => return Err(BadChange::Full),
            Some(_) => {}
        }
        Ok(Judged { past, entrusted })
    }

    fn entrusted_with(&self, author: AccountId, past: &Past) -> Option<Role> {
        let places = self.entrusted.get(&author).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter(|(place, _)| past.contains(*place)).map(|(_, role)| *role).max()
    }

    /// Whether the author of a change was entrusted there, by what those of its parents show that are here.
    pub(super) fn shows_entrusted(&self, change: &SignedChange) -> bool {
        self.was_entrusted(&change.author()) && self.entrusted_with(change.author(), &self.past(change)).is_some()
    }

    fn is_full(&self, change: &SignedChange) -> bool {
        let bytes = self.bytes.saturating_add(change.encode().len());
        self.order.len().saturating_sub(self.loose.len()) >= CHANGES_MAX || bytes > BYTES_MAX
    }

    /// Whether it is about nobody but its author, and names nothing that others may have lost: nobody makes what another does
    /// depend on changes that count for little.
    fn is_own(&self, change: &SignedChange) -> Result<(), BadChange> {
        let author = change.author();
        let own_op = |op: &Op| match op {
            Op::Leave | Op::Join { .. } | Op::DropDevice { .. } => true,
            Op::SetRole(account, _) => *account == author,
            _ => false,
        };
        let parents = change.parents().iter().filter_map(|parent| self.node(self.place(parent)?));
        let mut foreign = parents.filter(|node| node.entrusted.is_none() && node.change.author() != author);
        let is_small = change.encode().len() <= LOOSE_BYTES_MAX;
        match is_small && change.ops().iter().all(own_op) && foreign.next().is_none() {
            true => Ok(()),
            false => Err(BadChange::NotEntrusted),
        }
    }

    /// Takes a change in.
    pub(super) fn add(&mut self, change: SignedChange, judged: Judged) -> usize {
        let place = self.free.pop().unwrap_or(self.nodes.len());
        self.remember(&change, place, judged.entrusted);
        for parent in change.parents() {
            let Some(parent) = self.place(parent) else { continue };
            let Some(Some(node)) = self.nodes.get_mut(parent) else { continue };
            node.followed = node.followed.saturating_add(1);
            let key = key_of(&node.change);
            self.heads.remove(&key);
        }
        let key = key_of(&change);
        match judged.entrusted {
            Some(_) => self.note_seen(&change),
            None => self.loose.insert(change.author(), key),
        }
        self.heads.insert(key);
        self.order.insert(key, place);
        self.places.insert(change.hash(), place);
        self.bytes = self.bytes.saturating_add(change.encode().len());
        let node = Node { change, past: judged.past, entrusted: judged.entrusted, followed: 0 };
        match self.nodes.get_mut(place) {
            Some(slot) => *slot = Some(node),
            None => self.nodes.push(Some(node)),
        }
        place
    }

    /// What somebody entrusted with the group has seen stays.
    fn note_seen(&mut self, change: &SignedChange) {
        let mut seen: Vec<ChangeHash> = change.parents().to_vec();
        while let Some(hash) = seen.pop() {
            let Some(before) = self.get(&hash) else { continue };
            let key = key_of(before);
            if self.loose.contains(&key) {
                seen.extend_from_slice(before.parents());
                self.loose.remove(&key);
            }
        }
    }

    /// Takes a loose change out which no other names.
    pub(super) fn remove(&mut self, hash: &ChangeHash) {
        let Some(place) = self.places.remove(hash) else { return };
        let Some(node) = self.nodes.get_mut(place).and_then(Option::take) else { return };
        let key = key_of(&node.change);
        self.loose.remove(&key);
        self.order.remove(&key);
        self.heads.remove(&key);
        self.bytes = self.bytes.saturating_sub(node.change.encode().len());
        if let Some(places) = self.named.get_mut(&node.change.author()) {
            places.retain(|named| *named != place);
        }
        for parent in node.change.parents() {
            let Some(parent) = self.place(parent) else { continue };
            let Some(Some(node)) = self.nodes.get_mut(parent) else { continue };
            node.followed = node.followed.saturating_sub(1);
            if node.followed == 0 {
                self.heads.insert(key_of(&node.change));
            }
        }
        self.free.push(place);
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

    fn remember(&mut self, change: &SignedChange, place: usize, entrusted: Option<Role>) {
        for op in change.ops() {
            match op {
                Op::Found { members, .. } | Op::Add(members) => {
                    for member in members {
                        self.named.entry(member.account).or_default().push(place);
                        self.entrust(member.account, member.role, place, entrusted);
                    }
                }
                Op::SetRole(account, role @ (Role::Admin | Role::Owner)) => {
                    self.named.entry(*account).or_default().push(place);
                    self.entrust(*account, *role, place, entrusted);
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

    /// `by`: with what the author was entrusted. Only owners make admins and owners.
    fn entrust(&mut self, account: AccountId, role: Role, place: usize, by: Option<Role>) {
        if by == Some(Role::Owner) && role >= Role::Admin {
            self.entrusted.entry(account).or_default().push((place, role));
        }
    }
}

fn key_of(change: &SignedChange) -> Key {
    (change.height(), change.hash())
}
