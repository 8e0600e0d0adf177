//! What is typed about people: contacts, links, safety numbers, and auditors who watch what keyservers say of them.

use clap::{Args, Subcommand};
use hushwire_client::address::ServerAddress;

use super::value::{auditor, keyserver};

/// `hush link`
#[derive(Args, Debug)]
pub(crate) struct Link {
    /// Print only the link
    #[arg(long)]
    pub(crate) no_qr: bool,
}

/// `hush contact …`
#[derive(Debug, Subcommand)]
pub(crate) enum Contact {
    /// Add somebody by contact link or handle
    #[command(
        after_help = "Examples:\n  hush contact add 'hushwire:c#…' --name bob\n  hush contact add bob@keys.example.org\n  hush contact add bob     (at your own keyserver)\n\nQuote a link: your shell may take what follows # for a comment."
    )]
    Add {
        /// Contact link, or handle: name@keyserver, or just the name at your own keyserver
        #[arg(value_name = "LINK|HANDLE")]
        who: String,
        /// What to call them here
        #[arg(long)]
        name: Option<String>,
        /// Their keyserver, if it is not yours: `hush://FINGERPRINT@HOST[:PORT]`
        #[arg(long, value_name = "ADDRESS", value_parser = keyserver)]
        keyserver: Option<ServerAddress>,
    },
    /// List contacts and requests
    #[command(after_help = "Example:\n  hush contact list")]
    List,
    /// Let a stranger who wrote become a contact, or take back that somebody is blocked
    #[command(
        visible_alias = "unblock",
        after_help = "Examples:\n  hush contact accept bob\n  hush contact unblock mallory"
    )]
    Accept {
        /// Name, handle or account id
        contact: String,
    },
    /// Drop messages from somebody from now on
    #[command(after_help = "Example:\n  hush contact block mallory")]
    Block {
        /// Name, handle or account id
        contact: String,
    },
    /// Call a contact something else here
    #[command(after_help = "Example:\n  hush contact rename bob robert")]
    Rename {
        /// Name, handle or account id
        contact: String,
        /// The new name
        name: String,
    },
}

/// `hush verify`
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Name, handle or account id; with --log a handle, also of somebody who is no contact
    pub(crate) contact: String,
    /// What does the keyserver's log say of the handle?
    #[arg(long, conflicts_with_all = ["confirm", "undo", "no_qr"])]
    pub(crate) log: bool,
    /// With --log: their keyserver, if it is not yours: `hush://FINGERPRINT@HOST[:PORT]`
    #[arg(long, value_name = "ADDRESS", value_parser = keyserver, requires = "log")]
    pub(crate) keyserver: Option<ServerAddress>,
    /// The numbers were equal: mark the contact as verified
    #[arg(long, conflicts_with = "undo")]
    pub(crate) confirm: bool,
    /// Take the mark away
    #[arg(long)]
    pub(crate) undo: bool,
    /// No QR code
    #[arg(long)]
    pub(crate) no_qr: bool,
}

/// `hush auditor …`
#[derive(Debug, Subcommand)]
pub(crate) enum Auditor {
    /// Compare with an auditor from now on
    #[command(after_help = "Example:\n  hush auditor add hush://FINGERPRINT@audit.example.org\n\n\
        Its operator gives you the address, which `hushwire-auditor address` prints.")]
    Add {
        /// `hush://FINGERPRINT@HOST[:PORT]`
        #[arg(value_name = "ADDRESS", value_parser = auditor)]
        auditor: ServerAddress,
    },
    /// List them, with what came of asking them
    #[command(after_help = "Example:\n  hush auditor list")]
    List,
    /// Ask one no longer
    #[command(after_help = "Example:\n  hush auditor remove hush://FINGERPRINT@audit.example.org")]
    Remove {
        /// As `hush auditor list` shows it
        #[arg(value_name = "ADDRESS", value_parser = auditor)]
        auditor: ServerAddress,
    },
}
