//! What is typed about a conversation as a whole.

use std::time::Duration;

use clap::{ArgAction, Args};

use super::value::{switch, time_or_off};

/// `hush timer`
#[derive(Args, Debug)]
pub(crate) struct Timer {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
    /// How long a message may be seen: 30s, 1h, 7d; or off
    #[arg(value_name = "TIME|off", value_parser = time_or_off)]
    pub(crate) after: Lasts,
}

/// For how long something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// Not at all.
    Off,
    /// So long.
    For(Duration),
    /// Until it is switched off.
    Forever,
}

/// `hush mute`
#[derive(Args, Debug)]
pub(crate) struct Mute {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
    /// For how long: 8h, 7d, forever; or off
    #[arg(value_name = "TIME|forever|off", default_value = "forever", value_parser = super::value::lasts)]
    pub(crate) lasts: Lasts,
}

/// `hush archive`
#[derive(Args, Debug)]
pub(crate) struct Archive {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
    /// Take it back into the list
    #[arg(long)]
    pub(crate) undo: bool,
}

/// `hush delete`
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `hush draft`
#[derive(Args, Debug)]
pub(crate) struct Draft {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
    /// What to keep; without it, what is kept is shown; "" keeps nothing
    pub(crate) text: Option<String>,
}

/// `hush receipts`
#[derive(Args, Debug)]
pub(crate) struct Receipts {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
    /// on: the others are told what you have read; off: they are not
    #[arg(value_name = "on|off", action = ArgAction::Set, value_parser = switch)]
    pub(crate) on: bool,
}

/// `hush typing`
#[derive(Args, Debug)]
pub(crate) struct Typing {
    /// A contact (name, handle or account id) or a group
    #[arg(value_name = "NAME")]
    pub(crate) with: String,
    /// on: each sees when the other types, in a group those who switched it on; off: neither does; without it, how it is now
    #[arg(value_name = "on|off", value_parser = switch)]
    pub(crate) on: Option<bool>,
}

/// `hush presence`
#[derive(Args, Debug)]
pub(crate) struct Presence {
    /// A contact: name, handle or account id
    #[arg(value_name = "NAME")]
    pub(crate) contact: String,
    /// on: each may see whether the other is there; off: neither does; without it, how it is now
    #[arg(value_name = "on|off", value_parser = switch)]
    pub(crate) on: Option<bool>,
}
