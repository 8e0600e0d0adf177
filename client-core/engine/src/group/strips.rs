//! What takes a right from somebody, and whether it takes it from what they did at the same time.
//!
//! Whoever is put out could go on making changes that name only what was before, as if they had never heard of it. So a change
//! does nothing if somebody, in a change that neither has seen the other, takes from its author what it needs.
//! Two such changes never take from each other: owners take from everybody but owners, admins from members, and everyone
//! from themselves. That order is also the one in which they are decided.
//!
//! Spec: group §5.

use std::collections::BTreeMap;

use hushwire_proto::ids::{AccountId, DeviceId, InviteId};

use super::graph::{At, Graph};
use super::{Op, Role};

/// A change that leaves an account with less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strip {
    place: usize,
    /// What is left; `None`: not in the group.
    leaves: Option<Role>,
}

/// Everything that takes something, as far as it is decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Strips {
    /// What accounts took from themselves and their devices: from what they did as owners, and to themselves.
    own: Own,
    /// The same without what was made apart from an owner's strip of that account: from all else that they did.
    own_seen: Own,
    /// By owners, from accounts that are none.
    by_owners: BTreeMap<AccountId, Vec<Strip>>,
    /// By admins, from accounts that are neither: who is put out.
    by_admins: BTreeMap<AccountId, Vec<Strip>>,
    /// Invites that were closed.
    closed: BTreeMap<InviteId, Vec<usize>>,
}

/// What accounts take from themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Own {
    roles: BTreeMap<AccountId, Vec<Strip>>,
    /// Devices that are devices no longer.
    devices: BTreeMap<(AccountId, DeviceId), Vec<usize>>,
}

impl Own {
    fn is_dropped(&self, at: &At<'_>) -> bool {
        let places = self.devices.get(&(at.change.author(), at.change.device()));
        places.is_some_and(|places| places.iter().any(|place| at.saw(*place) || at.is_apart_from(*place)))
    }
}

impl Strip {
    pub(super) fn new(at: &At<'_>, leaves: Option<Role>) -> Self {
        Self { place: at.place, leaves }
    }

    fn takes(&self, role: Option<Role>) -> bool {
        self.leaves < role
    }

    fn takes_from(&self, at: &At<'_>, role: Option<Role>) -> bool {
        self.takes(role) && at.is_apart_from(self.place)
    }
}

impl Strips {
    /// What is decided before anything else, because no right is needed for it.
    pub(super) fn of_selves(graph: &Graph) -> Self {
        let mut own = Own::default();
        for at in graph.in_order() {
            for op in at.change.ops() {
                if let Op::DropDevice { device, .. } = op {
                    own.devices.entry((at.change.author(), *device)).or_default().push(at.place);
                }
            }
        }
        for at in graph.in_order() {
            let author = at.change.author();
            let leaves = |op: &Op| match op {
                Op::Leave => Some(None),
                Op::SetRole(account, role) if *account == author => Some(Some(*role)),
                _ => None,
            };
            let least = at.change.ops().iter().filter_map(leaves).min();
            if let Some(leaves) = least.filter(|_| !own.is_dropped(&at)) {
                own.roles.entry(author).or_default().push(Strip::new(&at, leaves));
            }
        }
        Self { own, ..Self::default() }
    }

    /// Notes what owners take, and what of what accounts take from themselves has weight then: whoever was put out or made
    /// less does not undo what they did before by a change that pretends to be older.
    pub(super) fn decide_owners(&mut self, graph: &Graph, found: Self) {
        self.by_owners = found.by_owners;
        let mut seen = self.own.clone();
        let has_weight = |place: usize| graph.at(place).is_some_and(|at| self.has_weight(&at));
        seen.roles.values_mut().for_each(|strips| strips.retain(|strip| has_weight(strip.place)));
        seen.devices.values_mut().for_each(|places| places.retain(|place| has_weight(*place)));
        self.own_seen = seen;
    }

    /// Notes what admins take.
    pub(super) fn decide_admins(&mut self, found: Self) {
        self.by_admins = found.by_admins;
        self.closed = found.closed;
    }

    /// What was come across while going through all changes, without what accounts take from themselves.
    #[cfg(test)]
    pub(super) fn decided(&self) -> Self {
        Self { own: Own::default(), own_seen: Own::default(), ..self.clone() }
    }

    /// Notes a device that a change dropped which has seen all others.
    pub(super) fn drop_device(&mut self, at: &At<'_>, device: DeviceId) {
        for own in [&mut self.own, &mut self.own_seen] {
            own.devices.entry((at.change.author(), device)).or_default().push(at.place);
        }
    }

    pub(super) fn by_owner(&mut self, account: AccountId, strip: Strip) {
        push(&mut self.by_owners, account, strip);
    }

    pub(super) fn by_admin(&mut self, account: AccountId, strip: Strip) {
        push(&mut self.by_admins, account, strip);
    }

    pub(super) fn close(&mut self, invite: InviteId, at: &At<'_>) {
        self.closed.entry(invite).or_default().push(at.place);
    }

    /// Whether another device of the author dropped this one, and the change is not of before. So for what the author does as
    /// an owner, or to itself.
    pub(super) fn is_dropped(&self, at: &At<'_>) -> bool {
        self.own.is_dropped(at)
    }

    /// The same for all else that the author does.
    pub(super) fn is_seen_dropped(&self, at: &At<'_>) -> bool {
        self.own_seen.is_dropped(at)
    }

    /// Whether the author of this change was made no owner apart from it.
    pub(super) fn take_owner(&self, at: &At<'_>) -> bool {
        any(&self.own.roles, &at.change.author(), at, Some(Role::Owner))
    }

    /// Whether this account, the author or another, was made no admin apart from this change.
    pub(super) fn take_admin(&self, account: &AccountId, at: &At<'_>) -> bool {
        [&self.own_seen.roles, &self.by_owners].into_iter().any(|strips| any(strips, account, at, Some(Role::Admin)))
    }

    /// Whether what the author takes from itself here has weight: whoever was put out or made less by an owner does not undo
    /// what they did before by leaving once more.
    pub(super) fn has_weight(&self, at: &At<'_>) -> bool {
        !any(&self.by_owners, &at.change.author(), at, Some(Role::Admin))
    }

    /// Whether the author was put out by somebody apart from this change.
    pub(super) fn put_out(&self, at: &At<'_>) -> bool {
        let all = [&self.by_owners, &self.by_admins];
        all.into_iter().any(|strips| any(strips, &at.change.author(), at, Some(Role::ReadOnly)))
    }

    /// Whether the invite was closed apart from this change.
    pub(super) fn is_closed(&self, invite: &InviteId, at: &At<'_>) -> bool {
        self.closed.get(invite).is_some_and(|places| places.iter().any(|place| at.is_apart_from(*place)))
    }
}

/// One for each change and account: the one that leaves least.
fn push(strips: &mut BTreeMap<AccountId, Vec<Strip>>, account: AccountId, strip: Strip) {
    let known = strips.entry(account).or_default();
    match known.last_mut().filter(|last| last.place == strip.place) {
        Some(last) => last.leaves = last.leaves.min(strip.leaves),
        None => known.push(strip),
    }
}

fn any(strips: &BTreeMap<AccountId, Vec<Strip>>, account: &AccountId, at: &At<'_>, role: Option<Role>) -> bool {
    strips.get(account).is_some_and(|strips| strips.iter().any(|strip| strip.takes_from(at, role)))
}
