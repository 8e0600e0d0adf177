//! What is typed about the devices of an account and its recovery words.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hushwire_client::address::ServerAddress;

use super::Protect;
use super::value::{keyserver, relay};

/// `hush device …`
#[derive(Debug, Subcommand)]
pub(crate) enum Device {
    /// List the devices of your account
    #[command(after_help = "Example:\n  hush device list\n\n\
        If there is one that you do not know, somebody has one of your devices: revoke it, or take the account back with `hush recover`.")]
    List,
    /// On a new device: ask to be one of your account
    #[command(
        after_help = "Example, on the new device:\n  hush device request 'hushwire:c#…' --relay hush://FINGERPRINT@relay.example.org --name laptop\n\
        and on a device that you have:\n  hush device add 'hushwire:d#…'\n\n\
        `hush link` on the old device prints the link. The new one waits until it is added; the same command goes on waiting.\n\
        It gets what is written to you from then on. Your contacts, your history and what your other devices send do not come along yet."
    )]
    Request(Box<JoinArgs>),
    /// Add the device that printed this request
    #[command(
        after_help = "Example:\n  hush device add 'hushwire:d#…'\n\nAdd only what you have copied from your own new device: it will read what is written to you. Quote it: your shell may take what follows # for a comment."
    )]
    Add {
        /// What `hush device request` printed there
        request: String,
    },
    /// Take a device out: lost, stolen or sold
    #[command(
        after_help = "Example:\n  hush device revoke 2\n\nIt signs nothing further, is refused by the keyserver at once, and by your contacts as soon as they hear of it.\nWas it stolen while it was unlocked, and may others be added by it? Then `hush recover` is the way."
    )]
    Revoke {
        /// Number or name
        device: String,
    },
    /// Call a device something else; everyone who looks you up can read it
    #[command(after_help = "Examples:\n  hush device rename 2 phone\n  hush device rename phone \"\"")]
    Rename {
        /// Number or name
        device: String,
        /// The new name; empty for none
        name: String,
    },
}

/// `hush recovery …`
#[derive(Debug, Subcommand)]
pub(crate) enum Recovery {
    /// Put 24 new recovery words in the place of the old ones
    #[command(
        after_help = "Example:\n  hush recovery renew\n\nIt asks for the old words, shows the new ones, and changes nothing before you have them on paper."
    )]
    Renew(WordsFrom),
}

/// Where recovery words come from. Never the command line itself, which other processes can read.
#[derive(Args, Debug)]
pub(crate) struct WordsFrom {
    /// File with the 24 words, - for stdin, instead of asking for them
    #[arg(long, value_name = "FILE")]
    pub(crate) words_file: Option<PathBuf>,
}

/// A new device of an account that is there.
#[derive(Args, Debug)]
pub(crate) struct JoinArgs {
    /// Your account: its contact link, or its handle, name@keyserver, with --keyserver
    #[arg(value_name = "LINK|HANDLE")]
    pub(crate) of: String,
    /// The relay that shall keep messages for this device: `hush://FINGERPRINT@HOST[:PORT]`
    #[arg(long, env = "HUSHWIRE_RELAY", value_name = "ADDRESS", value_parser = relay, hide_env = true)]
    pub(crate) relay: ServerAddress,
    /// Your keyserver, which a link has already: `hush://FINGERPRINT@HOST[:PORT]`
    #[arg(long, env = "HUSHWIRE_KEYSERVER", value_name = "ADDRESS", value_parser = keyserver, hide_env = true)]
    pub(crate) keyserver: Option<ServerAddress>,
    /// What to call this device; everyone who looks you up can read it
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) name: String,
    /// What locks the database [default: the keyring if there is one, else a passphrase]
    #[arg(long, env = "HUSHWIRE_PROTECT", value_name = "HOW", hide_env = true)]
    pub(crate) protect: Option<Protect>,
}

/// `hush recover`
#[derive(Args, Debug)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) join: JoinArgs,
    #[command(flatten)]
    pub(crate) words: WordsFrom,
}
