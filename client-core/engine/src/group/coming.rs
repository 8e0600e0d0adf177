//! How people come into a group and rise in it: founded with, put in, by a link, made admin or owner.
//!
//! Spec: group §3.

use std::collections::btree_map::Entry;

use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{AccountId, InviteId};

use super::fold::{By, Fold};
use super::graph::At;
use super::state::{Invite, Member, Request, Void};
use super::{MEMBERS_MAX, NewMember, Op, Role};

/// Ways in that are open at once.
const INVITES_MAX: usize = 64;

/// Accounts that wait to be let in. Whoever has a link can make accounts without end.
const REQUESTS_MAX: usize = 256;

impl Fold {
    pub(super) fn found(&mut self, at: &At<'_>, name: &str, members: &[NewMember]) -> Result<(), Void> {
        self.state.name = name.to_owned();
        self.state.founded_at = at.change.at();
        members.iter().for_each(|new| self.let_in(at, new.account, new.role, new.keyserver.clone()));
        Ok(())
    }

    /// Puts in whoever of them can be; what speaks against the first is told only if nobody can.
    pub(super) fn add(&mut self, at: &At<'_>, members: &[NewMember]) -> Result<(), Void> {
        self.acting(at)?;
        let results: Vec<Result<(), Void>> = members.iter().map(|new| self.add_one(at, new)).collect();
        let some = results.iter().any(Result::is_ok);
        results.into_iter().find(|result| result.is_ok() == some).unwrap_or(Ok(()))
    }

    fn add_one(&mut self, at: &At<'_>, new: &NewMember) -> Result<(), Void> {
        if new.role >= Role::Admin {
            return self.promote(at, new.account, new.role, Some(&new.keyserver));
        }
        if self.state.members.contains_key(&new.account) {
            return Err(Void::AlreadyMember);
        }
        self.is_open_to(at, &new.account, |_| true)?;
        self.let_in(at, new.account, new.role, new.keyserver.clone());
        Ok(())
    }

    /// Makes somebody an admin or an owner. An owner vouches by that: whoever is named is in the group from there on, if
    /// any change has said where their keys are, and neither an owner nor they themselves said otherwise.
    pub(super) fn promote(
        &mut self,
        at: &At<'_>,
        account: AccountId,
        role: Role,
        keyserver: Option<&ServerAddress>,
    ) -> Result<(), Void> {
        self.needs_owner(at)?;
        if self.state.role(&account) == Some(Role::Owner) {
            return Err(Void::IsOwner);
        }
        if self.missed(at, &account, |taken| taken.by == By::Owner) {
            return Err(Void::PutOut);
        }
        let keyserver = keyserver.or_else(|| self.servers.get(&account)).ok_or(Void::NotAMember)?.clone();
        self.state.banned.remove(&account);
        self.let_in(at, account, role, keyserver);
        Ok(())
    }

    pub(super) fn invite(&mut self, at: &At<'_>, op: &Op) -> Result<(), Void> {
        let Op::Invite { id, approval, expires_at, uses, .. } = op else { return Ok(()) };
        self.acting(at)?;
        if self.invite_ids.contains(id) {
            return Err(Void::InviteExists);
        }
        if self.state.invites.len() >= INVITES_MAX {
            return Err(Void::TooManyInvites);
        }
        let (by, opened) = (at.change.author(), at.change.hash());
        let (approval, expires_at, uses) = (*approval, *expires_at, *uses);
        self.invite_ids.insert(*id);
        self.state.invites.insert(*id, Invite { by, opened, approval, expires_at, uses, used: 0 });
        Ok(())
    }

    pub(super) fn close_invite(&mut self, at: &At<'_>, id: InviteId) -> Result<(), Void> {
        self.acting(at)?;
        self.found.close(id, at);
        self.state.invites.remove(&id).map(drop).ok_or(Void::InviteClosed)
    }

    pub(super) fn join(&mut self, at: &At<'_>, id: InviteId, keyserver: &ServerAddress) -> Result<(), Void> {
        let author = at.change.author();
        if self.state.members.contains_key(&author) {
            return Err(Void::AlreadyMember);
        }
        if self.state.requests.contains_key(&author) {
            return Err(Void::AlreadyAsks);
        }
        self.may_come_by(at, id)?;
        // Going and coming back are the joiner's own: only others' word keeps somebody out.
        if self.strips.put_out(at) {
            return Err(Void::PutOut);
        }
        self.is_open_to(at, &author, |by| by != By::Itself)?;
        let Some(invite) = self.state.invites.get_mut(&id) else { return Err(Void::InviteClosed) };
        if invite.approval && self.state.requests.len() >= REQUESTS_MAX {
            return Err(Void::TooManyRequests);
        }
        invite.used = invite.used.saturating_add(1);
        if invite.approval {
            let (join, at) = (at.change.hash(), at.change.at());
            self.state.requests.insert(author, Request { invite: id, keyserver: keyserver.clone(), join, at });
        } else {
            self.let_in(at, author, Role::Member, keyserver.clone());
        }
        Ok(())
    }

    fn may_come_by(&self, at: &At<'_>, id: InviteId) -> Result<(), Void> {
        let invite = self.state.invites.get(&id).ok_or(Void::InviteClosed)?;
        let is_closed = self.strips.is_closed(&id, at) || self.strips.take_admin(&invite.by, at);
        if is_closed || !at.saw_hash(&invite.opened) {
            return Err(Void::InviteClosed);
        }
        if invite.expires_at.is_some_and(|expires| at.change.at() > expires) {
            return Err(Void::InviteExpired);
        }
        if invite.uses.is_some_and(|uses| invite.used >= uses) { Err(Void::InviteUsedUp) } else { Ok(()) }
    }

    pub(super) fn admit(&mut self, at: &At<'_>, account: AccountId) -> Result<(), Void> {
        self.acting(at)?;
        let request = self.state.requests.get(&account).filter(|request| at.saw_hash(&request.join));
        let keyserver = request.ok_or(Void::NoSuchRequest)?.keyserver.clone();
        self.is_open_to(at, &account, |_| true)?;
        self.let_in(at, account, Role::Member, keyserver);
        Ok(())
    }

    pub(super) fn refuse(&mut self, at: &At<'_>, account: AccountId) -> Result<(), Void> {
        self.acting(at)?;
        match self.state.requests.entry(account) {
            Entry::Occupied(request) if at.saw_hash(&request.get().join) => {
                request.remove();
                Ok(())
            }
            _ => Err(Void::NoSuchRequest),
        }
    }

    /// Whether somebody who is no member may become one.
    fn is_open_to(&self, at: &At<'_>, account: &AccountId, counts: impl Fn(By) -> bool) -> Result<(), Void> {
        if self.state.banned.contains(account) {
            return Err(Void::Banned);
        }
        if self.missed(at, account, |taken| taken.out && counts(taken.by)) {
            return Err(Void::PutOut);
        }
        if self.state.members.len() >= MEMBERS_MAX { Err(Void::Full) } else { Ok(()) }
    }

    fn let_in(&mut self, at: &At<'_>, account: AccountId, role: Role, keyserver: ServerAddress) {
        self.state.requests.remove(&account);
        let new = Member { role, keyserver, since: at.change.hash() };
        let member = self.state.members.entry(account).or_insert(new);
        member.role = role;
        if role >= Role::Admin {
            let held = self.held.entry(account).or_default();
            held.admin.push(at.place);
            if role == Role::Owner {
                held.owner.push(at.place);
            }
        }
    }
}
