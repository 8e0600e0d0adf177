//! What was typed, as types. Help texts are written for somebody who has never seen the program: each command ends with
//! an example. What it all means is for `app` and `command`.

mod devices;
mod value;

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, builder::FalseyValueParser};
use hushwire_client::Invite;
use hushwire_client::address::ServerAddress;

pub(crate) use devices::{Device, JoinArgs, Recover, Recovery, WordsFrom};
use value::{account_name, auditor, duration, keyserver, relay};

const FIRST_STEPS: &str = "\
First steps:
  1. hush register --relay hush://… --keyserver hush://… --handle alice   make your account
  2. hush link                          show your contact link, for a friend to add you
  3. hush contact add LINK              add a friend by link, or by handle: bob@keys.example.org
  4. hush send bob \"Hello!\"             write to them
  5. hush receive                       fetch what they wrote
  6. hush chat bob                      or talk line by line; /quit ends it";

/// Hushwire: an end-to-end encrypted messenger for the command line
#[derive(Debug, Parser)]
#[command(
    name = "hush",
    version,
    before_help = FIRST_STEPS,
    after_help = "`hush help COMMAND` explains a command and shows an example. Data goes to stdout, everything else to stderr.",
    disable_help_subcommand = false,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for every command")]
pub(crate) struct Global {
    /// Which of your accounts on this machine
    #[arg(short, long, global = true, env = "HUSHWIRE_ACCOUNT", value_name = "NAME", default_value = "default", value_parser = account_name, hide_env = true)]
    pub(crate) account: String,
    /// Where accounts are kept [default: $XDG_DATA_HOME/hushwire]
    #[arg(long, global = true, env = "HUSHWIRE_DATA_DIR", value_name = "DIR", hide_env = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// File whose first line is the passphrase, instead of asking for it
    #[arg(long, global = true, env = "HUSHWIRE_PASSPHRASE_FILE", value_name = "FILE", hide_env = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Print one JSON object per line (see OUTPUT.md)
    #[arg(long, global = true, env = "HUSHWIRE_JSON", value_parser = FalseyValueParser::new(), hide_env = true)]
    pub(crate) json: bool,
    /// How long to wait for a server: 20, 20s, 5m [default: depends on the command]
    #[arg(long, global = true, env = "HUSHWIRE_TIMEOUT", value_name = "TIME", value_parser = duration, hide_env = true)]
    pub(crate) timeout: Option<Duration>,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, env = "HUSHWIRE_QUIET", value_parser = FalseyValueParser::new(), hide_env = true)]
    pub(crate) quiet: bool,
    /// Log to stderr what is done; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count, env = "HUSHWIRE_VERBOSE", hide_env = true)]
    pub(crate) verbose: u8,
    /// No colours (NO_COLOR and TERM=dumb do the same)
    #[arg(long, global = true, env = "HUSHWIRE_NO_COLOR", value_parser = FalseyValueParser::new(), hide_env = true)]
    pub(crate) no_color: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an account on this machine
    #[command(
        after_help = "Example:\n  hush register --relay hush://FINGERPRINT@relay.example.org --keyserver hush://FINGERPRINT@keys.example.org --handle alice\n\n\
        Whoever runs the servers gives you both addresses with their fingerprints.\n\
        No phone number, no e-mail. Write down the 24 recovery words that it prints: they are shown once."
    )]
    Register(Register),
    /// Show your contact link and its QR code
    #[command(
        after_help = "Example:\n  hush link\n\nWhoever adds you by this link knows for sure that it is you: the link carries your account's fingerprint."
    )]
    Link(Link),
    /// Add, list, accept, block and rename contacts
    #[command(subcommand, after_help = "Example:\n  hush contact add bob@keys.example.org --name bob")]
    Contact(Contact),
    /// Send a message
    #[command(
        after_help = "Examples:\n  hush send bob Hello, are you there?\n  git log -1 | hush send bob -\n  hush send bob --wait delivered --timeout 60 \"Call me\""
    )]
    Send(Send),
    /// Fetch and print what came
    #[command(after_help = "Examples:\n  hush receive\n  hush receive --follow --json | my-bot\n\n\
        Senders are told that their messages arrived; that you have read them only with --read, `hush history` and `hush chat`.")]
    Receive(Receive),
    /// Show the conversation with a contact
    #[command(after_help = "Example:\n  hush history bob --limit 20")]
    History(History),
    /// Talk with a contact, line by line
    #[command(
        after_help = "Example:\n  hush chat bob\n\nMarks at your messages: · queued here, ✓ the relay has it, ✓✓ arrived, ✓✓ read (in colour, or the word).\n/quit or Ctrl-D ends the chat."
    )]
    Chat(Chat),
    /// Compare safety numbers with a contact, or ask the keyserver's log about one
    #[command(
        after_help = "Examples:\n  hush verify bob\n  hush verify bob --confirm\n  hush verify --log bob@keys.example.org\n\n\
        Read the number to each other on the phone, or compare the QR codes. If they are equal, nobody is in between.\n\
        --log says in words what was checked about the keyserver's answer, and by whom."
    )]
    Verify(Verify),
    /// List, add, revoke and rename the devices of your account
    #[command(subcommand, after_help = "Example:\n  hush device list")]
    Device(Device),
    /// Take your account back with the 24 recovery words
    #[command(
        after_help = "Examples:\n  hush recover alice@keys.example.org --keyserver hush://FINGERPRINT@keys.example.org --relay hush://FINGERPRINT@relay.example.org\n  hush recover 'hushwire:c#…' --relay hush://FINGERPRINT@relay.example.org --words-file words.txt\n\n\
        For when every device is lost or stolen. It asks for the words and shows nothing of them. From then on this device is the only one of the account; the others are out, whatever they sign.\n\
        Your contacts keep the same safety number with you. What the lost devices had, contacts and history, does not come back."
    )]
    Recover(Box<Recover>),
    /// Renew the recovery words
    #[command(subcommand, after_help = "Example:\n  hush recovery renew")]
    Recovery(Recovery),
    /// Choose auditors that watch keyservers for you, and see what they say
    #[command(
        subcommand,
        after_help = "Example:\n  hush auditor add hush://FINGERPRINT@audit.example.org\n\n\
        An auditor checks that a keyserver changes nothing of what it said, and that it says the same to everybody. \
        Choose one that somebody else runs than your keyserver."
    )]
    Auditor(Auditor),
    /// Show messages that have not left yet, and why
    #[command(after_help = "Example:\n  hush outbox")]
    Outbox,
    /// Check the account, the database and both servers
    #[command(
        after_help = "Example:\n  hush doctor\n\nEnds with 0 when everything is well, else with the code of the first thing that is not."
    )]
    Doctor,
    /// Show who you are here
    #[command(after_help = "Example:\n  hush whoami --json")]
    Whoami,
    /// Change how the database is locked
    #[command(after_help = "Example:\n  hush passphrase\n  hush passphrase --protect key-file")]
    Passphrase(Passphrase),
    /// Print a completion script for your shell
    #[command(after_help = "Example:\n  hush completions bash > ~/.local/share/bash-completion/completions/hush")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  hush man | man -l -")]
    Man,
    /// Print the version
    #[command(after_help = "Example:\n  hush version --json")]
    Version,
}

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
    /// Let a stranger who wrote become a contact
    #[command(after_help = "Example:\n  hush contact accept bob")]
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

/// `hush send`
#[derive(Args, Debug)]
pub(crate) struct Send {
    /// Name, handle or account id
    pub(crate) contact: String,
    /// The message; - reads it from stdin
    pub(crate) text: Vec<String>,
    /// Read the message from stdin
    #[arg(long, conflicts_with = "text")]
    pub(crate) message_from_stdin: bool,
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

/// `hush history`
#[derive(Args, Debug)]
pub(crate) struct History {
    /// Name, handle or account id
    pub(crate) contact: String,
    /// How many messages
    #[arg(short = 'n', long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// Only messages before the one with this id
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<i64>,
    /// The whole conversation
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

/// `hush chat`
#[derive(Args, Debug)]
pub(crate) struct Chat {
    /// Name, handle or account id
    pub(crate) contact: String,
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
