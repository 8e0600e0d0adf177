//! What is typed to write and to read.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::value::{message_id, switch, time_or_off, until};

/// `hush send`
#[derive(Args, Debug)]
pub(crate) struct Send {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) to: String,
    /// The message; - reads it from stdin
    pub(crate) text: Vec<String>,
    /// Read the message from stdin
    #[arg(long, conflicts_with = "text")]
    pub(crate) message_from_stdin: bool,
    /// The number of a message there that this one answers
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub(crate) reply_to: Option<i64>,
    /// Somebody whom it is about; may be repeated
    #[arg(long, value_name = "WHO")]
    pub(crate) mention: Vec<String>,
    /// Wait until it is that far, else end with code 7
    #[arg(long, value_name = "STATE")]
    pub(crate) wait: Option<Wait>,
}

/// How far a message shall be before `hush send` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// The relay has it
    Sent,
    /// A device of theirs has it
    Delivered,
    /// They have seen it
    Read,
}

/// `hush receive`
#[derive(Args, Debug)]
pub(crate) struct Receive {
    /// Stay, and print what comes until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Tell senders that you have read what is printed
    #[arg(long)]
    pub(crate) read: bool,
}

/// `hush list`
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Also conversations that were put away
    #[arg(long)]
    pub(crate) all: bool,
}

/// `hush history`
#[derive(Args, Debug)]
pub(crate) struct History {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
    /// How many messages
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// Only messages before the one with this number
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub(crate) before: Option<i64>,
    /// Begin at the first message that was not read
    #[arg(long, conflicts_with_all = ["before", "all"])]
    pub(crate) unread: bool,
    /// The whole conversation
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

/// `hush chat`
#[derive(Args, Debug)]
pub(crate) struct Chat {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
}

