//! What was typed, as types. Help texts are written for somebody who has never seen the program: each command ends with
//! an example. What it all means is for `app` and `command`.

mod account;
mod devices;
mod groups;
mod help;
mod identity;
mod people;
mod settings;
mod talk;
mod value;

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, builder::FalseyValueParser};

pub(crate) use account::{Passphrase, Protect, Register};
pub(crate) use devices::{Device, JoinArgs, Recover, Recovery, WordsFrom};
pub(crate) use groups::Group;
pub(crate) use help::{parsed, parsed_in_part, program};
pub(crate) use identity::{Choice, Identity, PolicyArgs};
pub(crate) use people::{Auditor, Contact, Link, Verify};
pub(crate) use settings::{Archive, Delete, Draft, Lasts, Mute, Presence, Receipts, Timer, Typing};
pub(crate) use talk::{Chat, History, List, Message, Receive, Search, Send, Wait};
use value::{account_name, duration};
pub(crate) use value::{switch, time_or_off};

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
    /// Make groups, and everything about them
    #[command(
        subcommand,
        after_help = "Examples:\n  hush group create team bob carol\n  hush send team \"Hello, all!\"\n  hush group invite team --expires 7d"
    )]
    Group(Group),
    /// Send a message
    #[command(
        after_help = "Examples:\n  hush send bob Hello, are you there?\n  hush send team --reply-to 12 \"Yes, @bob will\"\n  git log -1 | hush send bob -\n  hush send bob --wait delivered --timeout 60 \"Call me\""
    )]
    Send(Send),
    /// Fetch and print what came
    #[command(after_help = "Examples:\n  hush receive\n  hush receive --follow --json | my-bot\n\n\
        Senders are told that their messages arrived; that you have read them only with --read, `hush history` and `hush chat`.")]
    Receive(Receive),
    /// List conversations, those first where something was said last
    #[command(after_help = "Example:\n  hush list --all")]
    List(List),
    /// Show the conversation with a contact or in a group
    #[command(
        after_help = "Examples:\n  hush history bob --limit 20\n  hush history team --unread\n  hush history team --around 57      a message, with what stands around it\n  hush history group:bob      a group that is called as a contact is"
    )]
    History(History),
    /// Talk with a contact or in a group, line by line
    #[command(
        after_help = "Example:\n  hush chat bob\n\nMarks at your messages: · queued here, ✓ the relay has it, ✓✓ arrived, ✓✓ read (in colour, or the word).\n\
        What stands before the line that you type says who else types. In the chat, /help shows how to answer, edit, take back, react and more; \
        a message is named by the number behind it.\n/quit or Ctrl-D ends the chat."
    )]
    Chat(Chat),
    /// Search in everything that was written
    #[command(
        after_help = "Examples:\n  hush search dinner\n  hush search --in team friday sev   also finds Friday and seven: neither case nor accents count\n  hush search dinner --before 57         goes on where message 57 was the last"
    )]
    Search(Search),
    /// Edit, take back, react to, pin, forward and follow messages
    #[command(
        subcommand,
        after_help = "Examples:\n  hush message edit 12 \"at nine\"\n  hush message react 12 👍\n  hush message status 12 --explain\n\n\
        A message is named by its number here, which `hush history` shows after #."
    )]
    Message(Message),
    /// Let what is written from now on disappear after a time
    #[command(after_help = "Examples:\n  hush timer bob 7d\n  hush timer team off\n\n\
        It holds for all sides, and counts from when a message was sent, or read. Nobody can be kept from copying it before.")]
    Timer(Timer),
    /// Keep a conversation from making noise
    #[command(
        after_help = "Examples:\n  hush mute team 8h\n  hush mute team off\n\nIt is kept here, for programs that make noise; what is archived and muted stays away, until somebody names you."
    )]
    Mute(Mute),
    /// Put a conversation away; it comes back when something is said
    #[command(after_help = "Examples:\n  hush archive bob\n  hush archive bob --undo")]
    Archive(Archive),
    /// Delete everything in a conversation, on this device
    #[command(after_help = "Examples:\n  hush delete bob\n  hush delete team --yes\n\n\
        It is gone from the database file, and what has not left yet is not sent. The others keep what they have. \
        The contact stays; a group that you have left goes from the list, one that you are in stays there.")]
    Delete(Delete),
    /// Keep what you began to write, or show it
    #[command(
        after_help = "Examples:\n  hush draft bob \"Dear Bob,\"\n  hush draft bob\n  hush draft bob \"\"\n\nSending to them clears it."
    )]
    Draft(Draft),
    /// Choose whether the others are told what you have read
    #[command(
        after_help = "Example:\n  hush receipts bob off\n\nThat a message arrived is told all the same: without it nothing could be sent anew."
    )]
    Receipts(Receipts),
    /// Choose whether a contact or a group may see when you type
    #[command(after_help = "Examples:\n  hush typing bob off\n  hush typing team on\n\n\
        On for contacts, off for groups, unless you say otherwise here. Who does not show it is not shown it. It is seen in `hush chat`, \
        while it is open on both sides; in groups of more than 33 members never. No server learns of it.")]
    Typing(Typing),
    /// Choose whether a contact may see that you are there
    #[command(after_help = "Example:\n  hush presence bob on\n\n\
        Off unless you switch it on. Both have to share it; then `hush chat` asks while it is open, and shows the answer: now, today or this week. No server learns of it.")]
    Presence(Presence),
    /// Compare safety numbers with a contact, or ask the keyserver's log about one
    #[command(
        after_help = "Examples:\n  hush verify bob\n  hush verify bob --confirm\n  hush verify --log bob@keys.example.org\n\n\
        Read the number to each other on the phone, or compare the QR codes. If they are equal, nobody is in between.\n\
        --log says in words what was checked about the keyserver's answer, and by whom."
    )]
    Verify(Verify),
    /// Choose what is done when contacts have new devices, and agree to them
    #[command(subcommand, after_help = "Examples:\n  hush identity list\n  hush identity trust bob")]
    Identity(Identity),
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
