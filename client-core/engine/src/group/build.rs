//! How a change is made: after all that is known, and only if it would have an effect.
//!
//! Spec: group §7.

use ed25519_dalek::SigningKey;
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, UnixMillis};

use super::change::{BadChange, Body, SignedChange};
use super::fold::Fold;
use super::log::GroupLog;
use super::state::Void;
use super::{NewMember, Op};

/// Why there is no such change. Nothing was signed that anybody could see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotChange {
    /// It would have no effect.
    #[error("{why}")]
    Void {
        /// Which of the things it was to do, from 0.
        op: usize,
        /// Why.
        why: Void,
    },
    /// Nobody could make admins any more.
    #[error("the group would have no owner; make somebody else one first")]
    LastOwner,
    /// It has no room, or is none.
    #[error(transparent)]
    Bad(#[from] BadChange),
}

impl SignedChange {
    /// Begins a group. `members`: with the author, as an owner.
    ///
    /// # Errors
    /// [`BadChange::Form`] names what is wrong: `found` the name or the members, `servers` too many keyservers, `length`
    /// more than one change may have.
    pub fn found(
        name: &str,
        members: Vec<NewMember>,
        author: AccountId,
        device: DeviceId,
        key: &SigningKey,
        at: UnixMillis,
    ) -> Result<Self, BadChange> {
        let ops = vec![Op::Found { name: name.to_owned(), members }];
        Body { group: None, parents: Vec::new(), height: 0, author, device, at, ops }.sign(key)
    }
}

impl SignedChange {
    /// Goes out of a group of which nothing is known but the change that put the author in, and its height.
    ///
    /// # Errors
    /// [`BadChange::Form`].
    pub fn leave(
        group: GroupId,
        (after, height): (ChangeHash, u64),
        author: AccountId,
        device: DeviceId,
        key: &SigningKey,
        at: UnixMillis,
    ) -> Result<Self, BadChange> {
        let height = height.checked_add(1).ok_or(BadChange::Form("height"))?;
        Body { group: Some(group), parents: vec![after], height, author, device, at, ops: vec![Op::Leave] }.sign(key)
    }
}

impl GroupLog {
    /// A change after all that its author has to know of, signed by this device. It is not in the log by that: keep it, then insert it.
    ///
    /// # Errors
    /// [`CannotChange`].
    pub fn change(
        &self,
        ops: Vec<Op>,
        author: AccountId,
        device: DeviceId,
        key: &SigningKey,
        at: UnixMillis,
    ) -> Result<SignedChange, CannotChange> {
        let (parents, height) = self.parents_of(author, &ops);
        let change = Body { group: Some(self.id()), parents, height, author, device, at, ops }.sign(key)?;
        let tried = self.after(&change);
        if let Some((op, why)) = tried.first_void() {
            return Err(CannotChange::Void { op, why });
        }
        let is_empty = tried.state.members.is_empty();
        if self.state().has_owner() && !tried.state.has_owner() && !is_empty {
            return Err(CannotChange::LastOwner);
        }
        self.would_be_kept(&change)?;
        Ok(change)
    }

    /// Whether a join would let its author in, or have it ask, if it came last. Whoever is no member is not listened to
    /// otherwise: changes without effect take room for ever.
    ///
    /// # Errors
    /// Why not; [`Void::NotAMember`] if it is no join.
    pub fn lets_in(&self, change: &SignedChange) -> Result<(), Void> {
        let [Op::Join { .. }] = change.ops() else { return Err(Void::NotAMember) };
        self.after(change).first_void().map_or(Ok(()), |(_, why)| Err(why))
    }

    /// The group if this change came last, with what of that change is void.
    fn after(&self, change: &SignedChange) -> Fold {
        let past = self.graph.past(change);
        let mut fold = self.fold().clone();
        fold.verdicts.clear();
        fold.extend(&self.graph.next(change, &past));
        fold
    }
}
