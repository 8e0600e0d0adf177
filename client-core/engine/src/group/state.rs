//! What a group is like after all its changes, and why a part of one did nothing.
//!
//! Spec: group §3, §6.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{AccountId, ChangeHash, GroupId, InviteId, UnixMillis};

use super::Role;

/// A group, as everybody with the same changes sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// Which.
    pub id: GroupId,
    /// What it is called.
    pub name: String,
    /// Whether only admins and owners write.
    pub announce: bool,
    /// After how many seconds messages disappear.
    pub timer: Option<u32>,
    /// Who is in it.
    pub members: BTreeMap<AccountId, Member>,
    /// Who is kept out.
    pub banned: BTreeSet<AccountId>,
    /// Who has asked to be let in.
    pub requests: BTreeMap<AccountId, Request>,
    /// The ways in that are open.
    pub invites: BTreeMap<InviteId, Invite>,
    /// When it was founded, by the founder's clock.
    pub founded_at: UnixMillis,
}

/// Somebody in the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// As what.
    pub role: Role,
    /// Where their device list and prekeys are, as whoever put them in said.
    pub keyserver: ServerAddress,
    /// The change since which they are in without a break.
    pub since: ChangeHash,
}

/// Somebody who came by a link and waits for an admin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// By which.
    pub invite: InviteId,
    /// Where their device list and prekeys are.
    pub keyserver: ServerAddress,
    /// The change that asks.
    pub join: ChangeHash,
    /// When, by their clock.
    pub at: UnixMillis,
}

/// A way in that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Who opened it. It closes when they are an admin no longer.
    pub by: AccountId,
    /// The change that opened it.
    pub opened: ChangeHash,
    /// Whether an admin has to admit who comes by it.
    pub approval: bool,
    /// Not afterwards, by the clock of whoever comes.
    pub expires_at: Option<UnixMillis>,
    /// For so many accounts.
    pub uses: Option<u32>,
    /// So many have come by it.
    pub used: u32,
}

impl GroupState {
    /// What this account is in the group, if it is in it.
    #[must_use]
    pub fn role(&self, account: &AccountId) -> Option<Role> {
        self.members.get(account).map(|member| member.role)
    }

    /// Whether what this account writes is shown to the group.
    #[must_use]
    pub fn may_write(&self, account: &AccountId) -> bool {
        let least = if self.announce { Role::Admin } else { Role::Member };
        self.role(account).is_some_and(|role| role >= least)
    }

    /// Whether anybody can still make admins.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.members.values().any(|member| member.role == Role::Owner)
    }
}

/// Why a part of a change has no effect. The rest of the change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// The author is no admin there.
    #[error("only an admin or an owner may do that")]
    NeedsAdmin,
    /// The author is no owner there.
    #[error("only an owner may do that")]
    NeedsOwner,
    /// Somebody took the right from the author at the same time.
    #[error("its author lost the right to do that at the same time")]
    Overtaken,
    /// The device was revoked before or at the same time.
    #[error("the device that signed it was revoked")]
    DeviceDropped,
    /// Nobody but an owner itself makes an owner less.
    #[error("an owner can only leave or step down by itself")]
    IsOwner,
    /// Nobody there to do this with.
    #[error("the account is not in the group")]
    NotAMember,
    /// In it already.
    #[error("the account is in the group already")]
    AlreadyMember,
    /// Waits for an admin already.
    #[error("the account asks to be let in already")]
    AlreadyAsks,
    /// Kept out.
    #[error("the account is banned; lift that first")]
    Banned,
    /// Not kept out.
    #[error("the account is not banned")]
    NotBanned,
    /// Put out by somebody else, or gone, at the same time.
    #[error("the account left or was put out at the same time")]
    PutOut,
    /// The role is what it was, or more, and nobody raises themselves.
    #[error("nobody raises their own role")]
    NotLower,
    /// As many members as there may be.
    #[error("the group is full: it has 1,024 members")]
    Full,
    /// The id of an invite is one already.
    #[error("there is or was an invite of that id")]
    InviteExists,
    /// Too many ways in.
    #[error("a group has at most 64 open links; close one first")]
    TooManyInvites,
    /// Never there, closed, or opened by somebody who is an admin no longer.
    #[error("the link is closed")]
    InviteClosed,
    /// Too late.
    #[error("the link has expired")]
    InviteExpired,
    /// Others came by it.
    #[error("the link has let in as many as it may")]
    InviteUsedUp,
    /// Too many wait.
    #[error("too many wait to be let in; try again later")]
    TooManyRequests,
    /// Nobody asks to be let in.
    #[error("the account does not ask to be let in")]
    NoSuchRequest,
}
