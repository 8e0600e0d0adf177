//! Which changes somebody may know who is not in the group, and which a member may have refused.
//!
//! Spec: group §7, envelope §10.

use hushwire_proto::ids::{AccountId, ChangeHash};

use super::graph::At;
use super::log::GroupLog;
use super::{Op, Role, SignedChange};

impl GroupLog {
    /// What somebody with these heads lacks, as far as they may know it from us: a member all of it; whoever was in what had
    /// been seen where they were put out; and whom we put in by a change that has no effect that change, and what takes its
    /// effect.
    #[must_use]
    pub fn changes_for(&self, who: &AccountId, us: &AccountId, heads: &[ChangeHash]) -> Vec<&SignedChange> {
        let mut after = self.changes_after(heads);
        if self.state().members.contains_key(who) {
            return after;
        }
        let out = self.fold().put_out.get(who).and_then(|place| self.graph.at(*place));
        let mut known: Vec<At<'_>> = out.into_iter().collect();
        for put_in in self.graph.in_order().filter(|at| at.change.author() == *us && brings_in(at.change, who)) {
            let takes = |at: &At<'_>| takes_from(at.change, us) || takes_from(at.change, who);
            known.extend(self.graph.in_order().filter(|at| takes(at) && at.is_apart_from(put_in.place)));
            known.push(put_in);
        }
        after.retain(|change| known.iter().any(|at| at.saw_hash(&change.hash())));
        after
    }

    /// Whether `by` ever put this account in, whether that counts or not.
    #[must_use]
    pub fn was_brought(&self, who: &AccountId, by: &AccountId) -> bool {
        self.graph.in_order().any(|at| at.change.author() == *by && brings_in(at.change, who))
    }

    /// Whether a member who lacks one of these may have refused it: somebody put its author out apart from it, and whoever
    /// had heard of that took it for a change of somebody outside.
    #[must_use]
    pub fn may_be_refused(&self, changes: &[&SignedChange]) -> bool {
        let is_apart = |change: &SignedChange, at: &At<'_>| {
            self.graph.place(&change.hash()).is_some_and(|place| at.is_apart_from(place))
        };
        let puts_out = |change: &SignedChange, author: &AccountId| {
            change.ops().iter().any(|op| match op {
                Op::Remove(account) | Op::Ban(account) => account == author,
                Op::Leave => change.author() == *author,
                _ => false,
            })
        };
        changes.iter().any(|change| {
            self.graph.in_order().any(|at| puts_out(at.change, &change.author()) && is_apart(change, &at))
        })
    }
}

fn brings_in(change: &SignedChange, who: &AccountId) -> bool {
    change.ops().iter().any(|op| match op {
        Op::Add(members) => members.iter().any(|member| member.account == *who),
        Op::SetRole(account, Role::Admin | Role::Owner) | Op::Admit(account) => account == who,
        _ => false,
    })
}

fn takes_from(change: &SignedChange, whom: &AccountId) -> bool {
    change.ops().iter().any(|op| match op {
        Op::Remove(account) | Op::Ban(account) | Op::SetRole(account, _) => account == whom,
        Op::Leave | Op::DropDevice { .. } => change.author() == *whom,
        _ => false,
    })
}
