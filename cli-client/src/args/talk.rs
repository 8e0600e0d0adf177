//! What is typed to write and to read.

use clap::{Args, Subcommand, ValueEnum};

use super::value::message_id;

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
    /// Somebody whom it is about, beside those whom it names as @NAME; may be repeated
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
    /// The message with this number, with what stands before and behind it
    #[arg(long, value_name = "ID", value_parser = message_id, conflicts_with_all = ["before", "all"])]
    pub(crate) around: Option<i64>,
    /// Begin at the first message that was not read
    #[arg(long, conflicts_with_all = ["before", "around", "all"])]
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

/// `hush message …`
#[derive(Debug, Subcommand)]
pub(crate) enum Message {
    /// Show a message: who has it, what it said before, what people did with it
    #[command(after_help = "Example:\n  hush message show 12")]
    Show {
        /// Its number
        #[arg(value_parser = message_id)]
        id: i64,
    },
    /// Change what a message of yours says, for all
    #[command(
        after_help = "Example:\n  hush message edit 12 \"at nine, not at eight\"\n\nThe others see that it was changed, and what it said before."
    )]
    Edit {
        /// Its number
        #[arg(value_parser = message_id)]
        id: i64,
        /// What it says from now on
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Take back a message of yours, for all; or delete any message here
    #[command(
        after_help = "Examples:\n  hush message delete 12\n  hush message delete 12 --here\n\nThe others see that there was one. What they have copied stays theirs."
    )]
    Delete {
        /// Its number
        #[arg(value_parser = message_id)]
        id: i64,
        /// On this device only; the others keep it
        #[arg(long)]
        here: bool,
    },
    /// Say with an emoji what you feel about a message; the last counts
    #[command(after_help = "Examples:\n  hush message react 12 👍\n  hush message react 12 --none")]
    React {
        /// Its number
        #[arg(value_parser = message_id)]
        id: i64,
        /// One emoji, or a few letters
        #[arg(required_unless_present = "none", conflicts_with = "none")]
        emoji: Option<String>,
        /// Take it away
        #[arg(long)]
        none: bool,
    },
    /// Pin a message, for all
    #[command(after_help = "Example:\n  hush message pin 12\n\n`hush message pinned NAME` lists what is pinned.")]
    Pin {
        /// Its number
        #[arg(value_parser = message_id)]
        id: i64,
    },
    /// Pin a message no longer, for all
    #[command(after_help = "Example:\n  hush message unpin 12")]
    Unpin {
        /// Its number
        #[arg(value_parser = message_id)]
        id: i64,
    },
    /// List the messages that are pinned, the newest first
    #[command(after_help = "Example:\n  hush message pinned team")]
    Pinned {
        /// A contact (name, handle or account id) or a group
        #[arg(value_name = "NAME")]
        with: String,
    },
    /// Send what a message says to somebody else, without whose it was
    #[command(after_help = "Example:\n  hush message forward 12 carol")]
    Forward {
        /// Its number
        #[arg(value_parser = message_id)]
        id: i64,
        /// A contact (name, handle or account id) or a group
        #[arg(value_name = "NAME")]
        to: String,
    },
    /// Show how far a message has come
    #[command(after_help = "Example:\n  hush message status 12 --explain")]
    Status {
        /// Its number
        #[arg(value_parser = message_id)]
        id: i64,
        /// Each hop, and what it waits for there
        #[arg(long)]
        explain: bool,
    },
}

/// `hush search`
#[derive(Args, Debug)]
pub(crate) struct Search {
    /// Words that a message has, in any order; the last may be only begun
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
    /// Only in the conversation with this contact or group
    #[arg(long = "in", value_name = "NAME")]
    pub(crate) within: Option<String>,
    /// Only messages that came before the one with this number
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub(crate) before: Option<i64>,
    /// How many messages
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}
