//! What is typed about groups.

use std::time::Duration;

use clap::{ArgAction, Subcommand, ValueEnum};
use hushwire_client::group;

use super::value::{duration, switch};

/// `hush group …`
#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Make a group of yourself and contacts
    #[command(after_help = "Example:\n  hush group create team bob carol")]
    Create {
        /// What it is called: 1 to 100 characters
        name: String,
        /// Contacts who are in it from the beginning
        #[arg(value_name = "MEMBER")]
        members: Vec<String>,
    },
    /// List your groups
    #[command(after_help = "Example:\n  hush group list")]
    List,
    /// Show members, roles, open links and who asks to be let in
    #[command(after_help = "Example:\n  hush group show team")]
    Show {
        /// The group
        name: String,
    },
    /// Show everything that was changed, by whom, and what of it had no effect
    #[command(
        after_help = "Example:\n  hush group log team\n\nWhat two people change at the same time can contradict. Everybody's program then decides alike, and says why."
    )]
    Log {
        /// The group
        name: String,
    },
    /// Put contacts into a group
    #[command(after_help = "Example:\n  hush group add team dave eve")]
    Add {
        /// The group
        name: String,
        /// Contacts: name, handle or account id
        #[arg(required = true)]
        who: Vec<String>,
    },
    /// Put a member out
    #[command(after_help = "Example:\n  hush group remove team mallory")]
    Remove {
        /// The group
        name: String,
        /// A member: name, handle, or the beginning of the account id
        who: String,
    },
    /// List groups into which somebody asks you who is no contact
    #[command(after_help = "Example:\n  hush group requests")]
    Requests,
    /// Come into a group into which somebody asks you
    #[command(
        after_help = "Example:\n  hush group accept team\n\nWho is in it reads what you write there. Whoever asked does not become a contact by it."
    )]
    Accept {
        /// The group's name, or the number that `hush group requests` shows
        name: String,
    },
    /// Do not come into a group into which somebody asks you
    #[command(
        after_help = "Examples:\n  hush group decline team\n  hush group decline team --block\n\nWhoever asked is told that you do not come in; with --block they are told nothing, and hear nothing of you."
    )]
    Decline {
        /// The group's name, or the number that `hush group requests` shows
        name: String,
        /// Block whoever asked
        #[arg(long)]
        block: bool,
    },
    /// Put somebody out and keep them out
    #[command(after_help = "Example:\n  hush group ban team mallory")]
    Ban {
        /// The group
        name: String,
        /// A member, or another contact
        who: String,
    },
    /// Let somebody who is banned come in again
    #[command(
        after_help = "Example:\n  hush group unban team mallory\n\nThey are not in by that: add them, or give them a link."
    )]
    Unban {
        /// The group
        name: String,
        /// Who is banned: name, handle, or the beginning of the account id
        who: String,
    },
    /// Give a member another role
    #[command(after_help = "Examples:\n  hush group role team bob admin\n  hush group role team me member\n\n\
        Read-only members read. Members read and write. Admins let in and put out members, name the group, open links, and write also when only\n\
        admins do. Owners make admins and owners; nobody but themselves makes them less.")]
    Role {
        /// The group
        name: String,
        /// A member: name, handle, or the beginning of the account id; `me` is you
        who: String,
        /// Which
        role: Role,
    },
    /// Call a group something else, for all
    #[command(after_help = "Example:\n  hush group rename team \"the team\"")]
    Rename {
        /// The group
        name: String,
        /// What it is called from now on
        new_name: String,
    },
    /// Choose whether only admins write
    #[command(after_help = "Example:\n  hush group announce team on")]
    Announce {
        /// The group
        name: String,
        /// on: only admins and owners write; off: all do who are not read-only
        #[arg(value_name = "on|off", action = ArgAction::Set, value_parser = switch)]
        on: bool,
    },
    /// Leave a group
    #[command(after_help = "Example:\n  hush group leave team\n\nWhat was said so far stays here.")]
    Leave {
        /// The group
        name: String,
    },
    /// Open a link by which others come in
    #[command(
        after_help = "Examples:\n  hush group invite team --expires 7d --uses 20\n  hush group invite team --approval\n\n\
        Whoever has the link can use it: send it only to people who are welcome, or let it ask for approval. `hush group close` closes it."
    )]
    Invite {
        /// The group
        name: String,
        /// An admin has to admit each who comes by it: hush group admit
        #[arg(long)]
        approval: bool,
        /// For how long it is open: 1h, 7d
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<Duration>,
        /// For how many people
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        uses: Option<u32>,
        /// Print a QR code too
        #[arg(long)]
        qr: bool,
    },
    /// Close a link
    #[command(
        after_help = "Example:\n  hush group close team 3f9a\n\n`hush group show` lists the links that are open."
    )]
    Close {
        /// The group
        name: String,
        /// The beginning of the link's number, as `hush group show` has it
        invite: String,
    },
    /// Come into a group by a link
    #[command(
        after_help = "Example:\n  hush group join 'hushwire:g#…'\n\nQuote the link: your shell may take what follows # for a comment."
    )]
    Join {
        /// The link
        link: String,
    },
    /// Let somebody in who asks
    #[command(after_help = "Example:\n  hush group admit team dave")]
    Admit {
        /// The group
        name: String,
        /// Who asks: name, handle, or the beginning of the account id
        who: String,
    },
    /// Do not let somebody in who asks
    #[command(after_help = "Example:\n  hush group refuse team mallory")]
    Refuse {
        /// The group
        name: String,
        /// Who asks: name, handle, or the beginning of the account id
        who: String,
    },
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Makes admins and owners
    Owner,
    /// Lets in and puts out members, opens links, names the group
    Admin,
    /// Reads and writes
    Member,
    /// Reads
    ReadOnly,
}

impl From<Role> for group::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Member => Self::Member,
            Role::ReadOnly => Self::ReadOnly,
        }
    }
}
