//! What each kind of change does to a group, if its author may do it there. How people come in is in `coming`.
//!
//! What owners take is decided before what admins do, so nothing here that only owners may do depends on anything that
//! admins do: an owner's word about an account holds whether the account is in the group or not.
//!
//! Spec: group §3.

use hushwire_proto::ids::AccountId;

use super::fold::{By, Fold};
use super::graph::At;
use super::state::Void;
use super::strips::Strip;
use super::{Op, Role};

impl Fold {
    pub(super) fn apply_op(&mut self, at: &At<'_>, op: &Op) -> Result<(), Void> {
        let author = at.change.author();
        match op {
            Op::Found { name, members } => self.found(at, name, members),
            Op::Add(members) => self.add(at, members),
            Op::Remove(account) => {
                let was_there = self.state.members.contains_key(account) || self.state.requests.contains_key(account);
                self.strip(at, *account, None)?;
                if was_there { Ok(()) } else { Err(Void::NotAMember) }
            }
            Op::Ban(account) => {
                self.strip(at, *account, None)?;
                self.state.banned.insert(*account);
                Ok(())
            }
            Op::Unban(account) => {
                self.acting(at)?;
                if self.state.banned.remove(account) { Ok(()) } else { Err(Void::NotBanned) }
            }
            Op::Leave => self.leave(at),
            Op::SetRole(account, role) if *account == author => self.step_down(at, *role),
            Op::SetRole(account, role @ (Role::Admin | Role::Owner)) => self.promote(at, *account, *role, None),
            Op::SetRole(account, role @ (Role::Member | Role::ReadOnly)) => self.demote(at, *account, *role),
            Op::Rename(name) => {
                self.acting(at)?;
                self.state.name.clone_from(name);
                Ok(())
            }
            Op::Announce(on) => {
                self.acting(at)?;
                self.state.announce = *on;
                Ok(())
            }
            Op::Timer(seconds) => {
                self.acting(at)?;
                self.state.timer = *seconds;
                Ok(())
            }
            Op::Invite { .. } => self.invite(at, op),
            Op::CloseInvite(id) => self.close_invite(at, *id),
            Op::Join { invite, keyserver, .. } => self.join(at, *invite, keyserver),
            Op::Admit(account) => self.admit(at, *account),
            Op::Refuse(account) => self.refuse(at, *account),
            // The device list says it, so that it holds whoever says something else.
            Op::DropDevice { .. } => Ok(()),
        }
    }

    /// Takes from somebody else what is more than `leaves`.
    fn strip(&mut self, at: &At<'_>, account: AccountId, leaves: Option<Role>) -> Result<(), Void> {
        let acting = self.acting(at)?;
        let role = self.state.role(&account);
        let was_owner = self.was_owner.get(&account).is_some_and(|place| !at.saw(*place));
        if role == Some(Role::Owner) || was_owner {
            return Err(Void::IsOwner);
        }
        if acting != Role::Owner && role == Some(Role::Admin) {
            return Err(Void::NeedsOwner);
        }
        let strip = Strip::new(at, leaves);
        let by = if acting == Role::Owner { By::Owner } else { By::Admin };
        match by {
            By::Owner => self.found.by_owner(account, strip),
            By::Admin | By::Itself => self.found.by_admin(account, strip),
        }
        self.take(at, account, by, leaves.is_none());
        self.lower(account, leaves);
        Ok(())
    }

    fn demote(&mut self, at: &At<'_>, account: AccountId, role: Role) -> Result<(), Void> {
        self.strip(at, account, Some(role))?;
        let member = self.state.members.get_mut(&account).ok_or(Void::NotAMember)?;
        member.role = role;
        Ok(())
    }

    fn leave(&mut self, at: &At<'_>) -> Result<(), Void> {
        let author = at.change.author();
        let role = self.state.role(&author);
        self.may_give_up(at, role)?;
        let was_there = role.is_some() || self.state.requests.contains_key(&author);
        self.take(at, author, By::Itself, true);
        self.lower(author, None);
        if was_there { Ok(()) } else { Err(Void::NotAMember) }
    }

    fn step_down(&mut self, at: &At<'_>, to: Role) -> Result<(), Void> {
        let author = at.change.author();
        let role = self.state.role(&author).ok_or(Void::NotAMember)?;
        if to >= role {
            return Err(Void::NotLower);
        }
        self.may_give_up(at, Some(role))?;
        self.lower(author, Some(to));
        Ok(())
    }

    /// An owner always, since nobody else's word is needed to know one; others unless an owner took it from them apart from this.
    fn may_give_up(&mut self, at: &At<'_>, role: Option<Role>) -> Result<(), Void> {
        if self.strips.is_dropped(at) {
            return Err(Void::DeviceDropped);
        }
        if role == Some(Role::Owner) {
            self.was_owner.insert(at.change.author(), at.place);
            return Ok(());
        }
        if self.strips.has_weight(at) { Ok(()) } else { Err(Void::PutOut) }
    }

    fn lower(&mut self, account: AccountId, leaves: Option<Role>) {
        if leaves < Some(Role::Admin) {
            self.held.remove(&account);
            self.state.invites.retain(|_, invite| invite.by != account);
        } else if let Some(held) = self.held.get_mut(&account)
            && leaves < Some(Role::Owner)
        {
            held.owner.clear();
        }
        match leaves {
            None => {
                self.state.members.remove(&account);
                self.state.requests.remove(&account);
            }
            Some(leaves) => {
                if let Some(member) = self.state.members.get_mut(&account) {
                    member.role = member.role.min(leaves);
                }
            }
        }
    }
}
