//! What is typed about this account: making it, and how its database is locked.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hushwire_client::Invite;
use hushwire_client::address::ServerAddress;

use super::value::{keyserver, relay};

/// `hush register`
#[derive(Args, Debug)]
pub(crate) struct Register {
    /// The relay that keeps messages for you: `hush://FINGERPRINT@HOST[:PORT]`
    #[arg(long, env = "HUSHWIRE_RELAY", value_name = "ADDRESS", value_parser = relay, hide_env = true)]
    pub(crate) relay: ServerAddress,
    /// The keyserver where others find your keys: `hush://FINGERPRINT@HOST[:PORT]`
    #[arg(long, env = "HUSHWIRE_KEYSERVER", value_name = "ADDRESS", value_parser = keyserver, hide_env = true)]
    pub(crate) keyserver: ServerAddress,
    /// A name at the keyserver, so that others can add you as NAME@keyserver
    #[arg(long, env = "HUSHWIRE_HANDLE", value_name = "NAME", hide_env = true)]
    pub(crate) handle: Option<String>,
    /// A code for a keyserver that takes new accounts by invitation; with it no work has to be done
    #[arg(long, env = "HUSHWIRE_INVITE", value_name = "CODE", hide_env = true)]
    pub(crate) invite: Option<Invite>,
    /// What locks the database [default: the keyring if there is one, else a passphrase]
    #[arg(long, env = "HUSHWIRE_PROTECT", value_name = "HOW", hide_env = true)]
    pub(crate) protect: Option<Protect>,
}

/// What locks the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protect {
    /// The keyring of your desktop session: nothing to type
    Keyring,
    /// A passphrase, asked for by every command
    Passphrase,
    /// A file beside the database: for servers; as safe as the machine's disk
    KeyFile,
}

/// `hush passphrase`
#[derive(Args, Debug)]
pub(crate) struct Passphrase {
    /// What locks the database from now on
    #[arg(long, value_name = "HOW", default_value = "passphrase")]
    pub(crate) protect: Protect,
    /// File whose first line is the new passphrase, instead of asking for it
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
}
