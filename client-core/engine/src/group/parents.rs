//! Which changes a next one names as those before it, and which heads are named to others.
//!
//! Spec: group §7.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use hushwire_proto::ids::{AccountId, ChangeHash};

use super::Op;
use super::change::PARENTS_MAX;
use super::graph::{At, Graph};
use super::log::GroupLog;

/// Why a change is named, the most urgent first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Because {
    /// The author's own.
    Own,
    /// Somebody made it whom the group was entrusted to.
    Entrusted,
    /// By somebody whom the next change is about.
    Concerned,
    /// Somebody came or went by it.
    Counts,
}

impl GroupLog {
    /// The parents of a next change, sorted, and its height. Whoever was never entrusted with the group names what is theirs
    /// and what was made by those who were. These name besides what others did to themselves, if it had an effect or they do
    /// something about it: what is without effect is not kept for ever by being named. What was made by those who were is named
    /// also where the others have seen it, because whoever lacks the others knows the author by it.
    pub(super) fn parents_of(&self, author: AccountId, ops: &[Op]) -> (Vec<ChangeHash>, u64) {
        let mut named = self.graph.entrusted_tops();
        let is_entrusted = self.graph.was_entrusted(&author);
        let concerned = about(ops);
        let counts = if is_entrusted { self.coming_and_going() } else { BTreeSet::new() };
        for at in self.graph.heads().filter(|at| !self.graph.is_entrusted(at.place)) {
            let by = at.change.author();
            let because = match () {
                () if by == author => Because::Own,
                () if is_entrusted && concerned.contains(&by) => Because::Concerned,
                () if counts.contains(&at.change.hash()) => Because::Counts,
                () => continue,
            };
            named.push((because, at));
        }
        for (because, at) in &mut named {
            if at.change.author() == author {
                *because = Because::Own;
            }
        }
        named.sort_by_key(|(because, at)| (*because, Reverse((at.change.height(), at.change.hash()))));
        let chosen = named.iter().map(|(_, at)| at).take(PARENTS_MAX);
        let (mut parents, mut highest) = (Vec::with_capacity(PARENTS_MAX), 0);
        for at in chosen {
            parents.push(at.change.hash());
            highest = highest.max(at.change.height());
        }
        parents.sort_unstable();
        (parents, highest.saturating_add(1))
    }

    /// Heads by which somebody came or went, or took a lower role.
    fn coming_and_going(&self) -> BTreeSet<ChangeHash> {
        let verdicts: BTreeMap<_, _> = self.fold().verdicts.iter().map(|(hash, verdicts)| (*hash, verdicts)).collect();
        let counts = |at: &At<'_>| {
            let verdicts = verdicts.get(&at.change.hash());
            let ops = at.change.ops().iter().zip(verdicts.into_iter().flat_map(|verdicts| verdicts.iter()));
            ops.into_iter().any(|(op, void)| void.is_none() && !matches!(op, Op::DropDevice { .. }))
        };
        self.graph.heads().filter(counts).map(|at| at.change.hash()).collect()
    }

    /// The changes that none has seen: whoever has the same has the same group. First those of whoever was entrusted with the
    /// group, then one of each other author, so that nobody keeps others from being among the first ones.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        let mut of_authors: BTreeMap<AccountId, usize> = BTreeMap::new();
        let mut heads = Vec::new();
        for at in self.graph.heads() {
            let rank = match self.graph.is_entrusted(at.place) {
                true => 0,
                false => {
                    let rank = of_authors.entry(at.change.author()).or_default();
                    *rank = rank.saturating_add(1);
                    *rank
                }
            };
            heads.push((rank, at.change.hash()));
        }
        heads.sort_by_key(|(rank, _)| *rank);
        heads.into_iter().map(|(_, hash)| hash).collect()
    }
}

impl Graph {
    /// Changes of those whom the group was entrusted to, which no other of these has seen.
    fn entrusted_tops(&self) -> Vec<(Because, At<'_>)> {
        let mut tops: BTreeMap<(u64, ChangeHash), At<'_>> = BTreeMap::new();
        let mut next: Vec<At<'_>> = self.heads().collect();
        let mut passed = BTreeSet::new();
        while let Some(at) = next.pop() {
            if self.is_entrusted(at.place) {
                tops.insert((at.change.height(), at.change.hash()), at);
            } else if passed.insert(at.place) {
                next.extend(at.change.parents().iter().filter_map(|parent| self.at(self.place(parent)?)));
            }
        }
        let mut kept: Vec<(Because, At<'_>)> = Vec::new();
        for at in tops.into_values().rev() {
            if !kept.iter().any(|(_, higher)| higher.saw(at.place)) {
                kept.push((Because::Entrusted, at));
            }
        }
        kept
    }
}

/// Whom these things are done to.
fn about(ops: &[Op]) -> BTreeSet<AccountId> {
    let mut about = BTreeSet::new();
    for op in ops {
        match op {
            Op::Found { members, .. } | Op::Add(members) => about.extend(members.iter().map(|member| member.account)),
            Op::Remove(account)
            | Op::Ban(account)
            | Op::Unban(account)
            | Op::SetRole(account, _)
            | Op::Admit(account)
            | Op::Refuse(account) => drop(about.insert(*account)),
            Op::Leave
            | Op::Rename(_)
            | Op::Announce(_)
            | Op::Timer(_)
            | Op::Invite { .. }
            | Op::CloseInvite(_)
            | Op::Join { .. }
            | Op::DropDevice { .. } => {}
        }
    }
    about
}
