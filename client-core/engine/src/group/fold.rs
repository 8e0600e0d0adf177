//! Goes through all changes in their order and keeps what the group is like. Three times: what owners take from others is
//! decided first, then what admins take, then all the rest, because each of them is needed for the next.
//!
//! Spec: group §4, §5.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{AccountId, ChangeHash, GroupId, InviteId, UnixMillis};

use super::graph::{At, Graph};
use super::state::{GroupState, Void};
use super::strips::Strips;
use super::{Op, Role};

/// The state after some changes, and what is needed to go on.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) state: GroupState,
    /// What of each change has no effect, and why.
    pub(super) verdicts: Vec<(ChangeHash, Vec<Option<Void>>)>,
    /// What was decided before.
    pub(super) strips: Strips,
    /// What takes something, as far as it was come across.
    pub(super) found: Strips,
    /// Since which changes admins and owners are that: places.
    pub(super) held: BTreeMap<AccountId, Held>,
    pub(super) taken: BTreeMap<AccountId, Vec<Taken>>,
    /// Where who was in was last put out or left.
    pub(super) put_out: BTreeMap<AccountId, usize>,
    /// Where owners left or stepped down.
    pub(super) was_owner: BTreeMap<AccountId, usize>,
    /// Where accounts have their keys, as the last change said that named them.
    pub(super) servers: BTreeMap<AccountId, ServerAddress>,
    pub(super) invite_ids: BTreeSet<InviteId>,
}

/// The changes that made somebody an admin or an owner. Whoever uses a right has seen one of those that gave it.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) admin: Vec<usize>,
    pub(super) owner: Vec<usize>,
}

/// Where an account was put out or made less. Nobody brings it back who has not seen that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) place: usize,
    pub(super) by: By,
    /// It was put out or left.
    pub(super) out: bool,
}

/// Who takes something from an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Owner,
    Admin,
    Itself,
}

#[cfg(test)]
thread_local! {
    /// How often a change was applied.
    pub(super) static APPLIED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Fold {
    /// The state of all changes.
    pub(super) fn of(graph: &Graph, id: GroupId) -> Self {
        let mut strips = Strips::of_selves(graph);
        strips.decide_owners(graph, Self::run(graph, id, strips.clone()).found);
        strips.decide_admins(Self::run(graph, id, strips.clone()).found);
        Self::run(graph, id, strips)
    }

    fn run(graph: &Graph, id: GroupId, strips: Strips) -> Self {
        let state = GroupState {
            id,
            name: String::new(),
            announce: false,
            timer: None,
            members: BTreeMap::new(),
            banned: BTreeSet::new(),
            requests: BTreeMap::new(),
            invites: BTreeMap::new(),
            founded_at: UnixMillis(0),
        };
        let mut fold = Self {
            state,
            verdicts: Vec::new(),
            strips,
            found: Strips::default(),
            held: BTreeMap::new(),
            taken: BTreeMap::new(),
            put_out: BTreeMap::new(),
            was_owner: BTreeMap::new(),
            servers: BTreeMap::new(),
            invite_ids: BTreeSet::new(),
        };
        graph.in_order().for_each(|at| fold.apply(&at));
        fold
    }

    /// One more change, which has seen all others: nothing was made apart from it, so that nothing before it changes.
    pub(super) fn extend(&mut self, at: &At<'_>) {
        for op in at.change.ops() {
            if let Op::DropDevice { device, .. } = op {
                self.strips.drop_device(at, *device);
            }
        }
        self.apply(at);
    }

    fn apply(&mut self, at: &At<'_>) {
        #[cfg(test)]
        APPLIED.with(|applied| applied.set(applied.get() + 1));
        let mut verdicts = Vec::with_capacity(at.change.ops().len());
        for op in at.change.ops() {
            self.remember_servers(at, op);
            verdicts.push(self.apply_op(at, op).err());
        }
        self.verdicts.push((at.change.hash(), verdicts));
    }

    fn remember_servers(&mut self, at: &At<'_>, op: &Op) {
        match op {
            Op::Found { members, .. } | Op::Add(members) => {
                for member in members {
                    self.servers.entry(member.account).or_insert_with(|| member.keyserver.clone());
                }
            }
            Op::Join { keyserver, .. } => {
                self.servers.entry(at.change.author()).or_insert_with(|| keyserver.clone());
            }
            _ => {}
        }
    }

    /// The first thing that has no effect, counted from 0, and why.
    pub(super) fn first_void(&self) -> Option<(usize, Void)> {
        let verdicts = self.verdicts.iter().flat_map(|(_, verdicts)| verdicts).enumerate();
        verdicts.filter_map(|(op, void)| Some((op, (*void)?))).next()
    }

    /// As what the author acts: an owner or an admin.
    pub(super) fn acting(&self, at: &At<'_>) -> Result<Role, Void> {
        let author = at.change.author();
        let saw = |places: &[usize]| places.iter().any(|place| at.saw(*place));
        if let Some(held) = self.held.get(&author) {
            if saw(&held.owner) && !self.strips.is_dropped(at) && !self.strips.take_owner(at) {
                return Ok(Role::Owner);
            }
            if self.strips.is_seen_dropped(at) {
                return Err(Void::DeviceDropped);
            }
            if saw(&held.admin) && !self.strips.take_admin(&author, at) {
                return Ok(Role::Admin);
            }
        }
        let is_admin = self.state.role(&author) >= Some(Role::Admin);
        Err(if is_admin { Void::Overtaken } else { Void::NeedsAdmin })
    }

    pub(super) fn needs_owner(&self, at: &At<'_>) -> Result<(), Void> {
        match self.acting(at) {
            Ok(Role::Owner) => Ok(()),
            Err(why @ (Void::Overtaken | Void::DeviceDropped)) => Err(why),
            Ok(_) | Err(_) => Err(Void::NeedsOwner),
        }
    }

    /// Notes that something was taken from the account. What the change has seen need not be looked for any more.
    pub(super) fn take(&mut self, at: &At<'_>, account: AccountId, by: By, out: bool) {
        if out && self.state.members.contains_key(&account) {
            self.put_out.insert(account, at.place);
        }
        let taken = self.taken.entry(account).or_default();
        taken.retain(|before| before.by != by || before.out != out || !at.saw(before.place));
        taken.push(Taken { place: at.place, by, out });
    }

    /// Whether the change has not seen something that was taken from the account.
    pub(super) fn missed(&self, at: &At<'_>, account: &AccountId, counts: impl Fn(&Taken) -> bool) -> bool {
        let taken = self.taken.get(account).map(Vec::as_slice).unwrap_or_default();
        taken.iter().any(|taken| counts(taken) && !at.saw(taken.place))
    }
}
