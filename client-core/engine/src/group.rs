//! Groups: a set of signed changes, and who is in the group by it. Pure: no database, no network, no time of its own.
//!
//! Each change names the ones before it by their hashes. Everybody who has the same changes computes the same
//! [`GroupState`], in whatever order they came; no server takes part. Who has which change, how changes travel and which
//! keys follow from the state is for whoever holds a [`GroupLog`].
//!
//! | I want to know | look at |
//! |---|---|
//! | what a change is, and its bytes | `change`, `wire` |
//! | which change has seen which | `graph`, `past` |
//! | how many are kept of whoever was never an admin | `loose` |
//! | what of a change holds when others were made at the same time | `strips`, `fold` |
//! | what each kind of change does, and to whom it may be done | `apply`, `coming` |
//! | how changes come in, and what waits for others | `log`, `waiting` |
//! | how a change is made, and which it names as those before it | `build`, `parents` |
//! | who may know which changes, and who may lack some | `share` |
//! | how somebody comes in by a link | `link` |
//!
//! Spec: group.

use hushwire_proto::address::ServerAddress;
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{AccountId, DeviceId, InviteId, LinkHash, UnixMillis};

mod apply;
mod build;
mod change;
mod coming;
mod fold;
mod graph;
mod link;
mod log;
mod loose;
mod parents;
mod past;
mod share;
mod state;
mod strips;
#[cfg(test)]
mod tests;
mod waiting;
mod wire;

pub use build::CannotChange;
pub use change::{BadChange, CHANGE_BYTES_MAX, SignedChange};
pub use link::{BadGroupLink, GroupLink};
pub use log::{Entry, GroupLog, Inserted};
pub use state::{GroupState, Invite, Member, Request, Void};

/// Members of one group. The relay's fan-out and the cost of a new sender key for each of them allow for it.
pub const MEMBERS_MAX: usize = 1024;

/// The longest name of a group, in characters.
pub const NAME_CHARS_MAX: usize = 100;

/// What a member may do. Each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    ReadOnly,
    /// Reads and writes.
    Member,
    /// Lets in and puts out members, names the group, and writes also when only admins do.
    Admin,
    /// Makes admins and owners. Nobody else strips an owner.
    Owner,
}

/// Somebody who is put in by a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewMember {
    /// Who.
    pub account: AccountId,
    /// Where their device list and prekeys are.
    pub keyserver: ServerAddress,
    /// As what.
    pub role: Role,
}

/// One thing that a change does.
///
/// Spec: group §3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Begins the group. The founder is one of the members, as an owner.
    Found {
        /// What it is called; see [`is_group_name`].
        name: String,
        /// Who is in it from the beginning.
        members: Vec<NewMember>,
    },
    /// Puts somebody in.
    Add(Vec<NewMember>),
    /// Puts a member out.
    Remove(AccountId),
    /// Puts an account out and keeps it out.
    Ban(AccountId),
    /// A banned account may be let in again.
    Unban(AccountId),
    /// The author goes.
    Leave,
    /// Gives a member another role.
    SetRole(AccountId, Role),
    /// Names the group; see [`is_group_name`].
    Rename(String),
    /// Whether only admins and owners write.
    Announce(bool),
    /// After how many seconds messages disappear.
    Timer(Option<u32>),
    /// Opens a way in for whoever has the private half of a key, which stands in a [`GroupLink`].
    Invite {
        /// Names it.
        id: InviteId,
        /// Ed25519 key.
        key: [u8; 32],
        /// Whether an admin has to admit who comes by it.
        approval: bool,
        /// Not afterwards, by the clock of whoever comes.
        expires_at: Option<UnixMillis>,
        /// For so many accounts.
        uses: Option<u32>,
    },
    /// Closes a way in.
    CloseInvite(InviteId),
    /// The author comes in by an invite.
    Join {
        /// By which.
        invite: InviteId,
        /// Made by the invite's key.
        proof: SignatureBytes,
        /// Where the author's device list and prekeys are.
        keyserver: ServerAddress,
    },
    /// Lets in who has asked.
    Admit(AccountId),
    /// Does not let in who has asked.
    Refuse(AccountId),
    /// Another device of the author's account is one no longer, as a link of its device lists says.
    DropDevice {
        /// Which.
        device: DeviceId,
        /// A link that has the author's device, and no longer that one.
        link: LinkHash,
    },
}

/// Whether a group may be called so: one to [`NAME_CHARS_MAX`] characters in one line, without spaces around.
#[must_use]
pub fn is_group_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && name.trim() == name && !name.chars().any(char::is_control)
}
