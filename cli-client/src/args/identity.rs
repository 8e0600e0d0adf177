//! What is typed about new devices of contacts.

use clap::{Args, Subcommand, ValueEnum};

/// `hush identity …`
#[derive(Debug, Subcommand)]
pub(crate) enum Identity {
    /// Show what is done about new devices of each contact, and which wait for you
    #[command(after_help = "Example:\n  hush identity list")]
    List,
    /// Agree to the devices that a contact has now
    #[command(
        after_help = "Example:\n  hush identity trust bob\n\nAsk them first, in person or on the phone, whether the device is theirs. What waited is sent; what was not shown is asked for."
    )]
    Trust {
        /// Name, handle or account id
        contact: String,
    },
    /// Choose what is done when a contact has new devices
    #[command(
        after_help = "Examples:\n  hush identity policy hold bob\n  hush identity policy default bob\n  hush identity policy block --all\n\n\
        accept: they are used at once, and you are told\n\
        hold: what you write waits until you agree; what they say is shown with a mark\n\
        block: they get nothing, and nothing of theirs is shown; the devices that you agreed to go on\n\n\
        Whom you have verified is held unless you choose otherwise for them."
    )]
    Policy(PolicyArgs),
}

/// `hush identity policy`
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// What is done; default: the same as with all
    pub(crate) policy: Choice,
    /// Name, handle or account id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) contact: Option<String>,
    /// All for whom nothing else is chosen
    #[arg(long)]
    pub(crate) all: bool,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// Use them at once, and tell
    Accept,
    /// Wait until you agree
    Hold,
    /// Neither send nor show
    Block,
    /// As with all
    Default,
}
