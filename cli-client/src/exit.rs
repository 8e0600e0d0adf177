//! How `hush` ends: the exit codes, and the one place where every error becomes one of them with a sentence on what to
//! do next. Printing it is left to `show`.
//!
//! The table is part of what scripts rely on: a code is never given another meaning. Kept for later: 5 too
//! often, 6 a challenge was not met, 9 some recipients only.

use std::{fmt, io, process::ExitCode};

use hushwire_client::group::CannotChange;
use hushwire_client::{CannotJoin, CommandError, Error, StoreError};

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// The person can put it right: an option, a name, a text.
    Usage = 1,
    /// A defect here, or in the machine: a full disk, a damaged database.
    Unexpected = 2,
    /// A server could not be reached, or refused.
    Network = 3,
    /// A contact's device list changed in a way that is held back.
    Untrusted = 4,
    /// `--wait` ran out of time: the message is queued and will go out later.
    Queued = 7,
    /// Another process holds the database, or it needs its passphrase.
    Locked = 8,
    /// Ctrl-C.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The word that `--json` gives beside the number.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Usage => "usage",
            Self::Unexpected => "unexpected",
            Self::Network => "network",
            Self::Untrusted => "untrusted",
            Self::Queued => "queued",
            Self::Locked => "locked",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command ended without what was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What happened: a sentence without a full stop.
    pub(crate) message: String,
    /// What to do now.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Something that the person who typed the command can put right.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message).hint(hint)
    }

    /// With what to do.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Writing what a command shows failed. A reader that went away, as `head` does, is no error: it is the end.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Ok, "the reader of the output went away");
        }
        Self::new(Exit::Unexpected, format!("the output cannot be written: {error}"))
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let hint = match &error {
            CommandError::NoSuchContact => "`hush contact list` shows your contacts",
            CommandError::NoSuchConversation => "`hush list` shows your conversations",
            CommandError::NotInGroup => "`hush group list` shows the groups that you are in",
            CommandError::Group(CannotChange::LastOwner) => "`hush group role NAME WHO owner` makes somebody else one",
            CommandError::MayOnlyRead | CommandError::Group(_) => "`hush group show NAME` says who may do what",
            CommandError::NoSuchRequest => "`hush group requests` shows who asks you into which group",
            CommandError::NoSuchMessage => "`hush history NAME` shows messages with their numbers, after #",
            CommandError::NotYours => "only who said it changes it or takes it back; `hush history` shows who that was",
            CommandError::TakenBack => "there is nothing left of it to act on",
            CommandError::BadReaction(_) => "give one emoji",
            CommandError::BadTimer(_) => "write 30s, 1h or 7d; off ends it",
            CommandError::TooManyMentions(_) => "name fewer people",
            CommandError::TooManyPins(_) => "`hush message unpin ID` makes room; `hush message pinned NAME` shows them",
            CommandError::NameTaken(_) => "give another name with --name",
            CommandError::TextLength { found: 0, .. } => "write something",
            CommandError::TextLength { .. } => "send a long text in parts",
            CommandError::Blocked => "`hush contact unblock NAME` lets them write again",
            CommandError::Myself => "give this link or handle to somebody else, and add theirs",
            CommandError::AlreadyRegistered => "`hush whoami` shows the handle; --account NAME makes a second account",
            CommandError::NoFingerprint => {
                "its operator has the whole address, which `hushwire-auditor address` prints"
            }
            CommandError::TooManyAuditors(_) | CommandError::NoSuchAuditor => "`hush auditor list` shows them",
            CommandError::BadName => "give a shorter, plain name",
            CommandError::NotADevice => "`hush device list` shows the devices of the account",
            CommandError::ChangeUnderWay => "go online, for instance with `hush device list`, and try again",
            CommandError::Devices(_) => "`hush device list` shows them",
            CommandError::ThisDevice => "on another device: hush device revoke; with none left: hush recover",
            CommandError::OtherAccount => "--account NAME chooses another account of this machine",
            CommandError::BadRequest => "type `hush device request` on the new device, and copy what it prints",
            CommandError::WrongRecoveryWords => "look for the newest paper: words that were renewed are worth nothing",
        };
        Self::usage(error.to_string(), hint)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Refused(why) => return why.clone().into(),
            Error::NoAccount { .. }
            | Error::AccountExists { .. }
            | Error::TooOpen { .. }
            | Error::NotOurs { .. }
            | Error::EmptyPassphrase
            | Error::NoKeyring { .. }
            | Error::NoSuchAccount
            | Error::CannotJoin(CannotJoin::WrongWords | CannotJoin::BadName | CannotJoin::Devices(_)) => Exit::Usage,
            Error::CannotJoin(CannotJoin::Disbelieved(_)) => Exit::Untrusted,
            Error::Unreachable { .. } => Exit::Network,
            Error::InUse { .. } | Error::WrongPassphrase | Error::PassphraseNeeded | Error::KeyringLocked => {
                Exit::Locked
            }
            // Also whatever a later hushwire-client adds: this program did not foresee it.
            _ => Exit::Unexpected,
        };
        let hint = match &error {
            Error::NoAccount { .. } => Some("`hush register` makes one; --account and --data-dir choose another"),
            Error::AccountExists { .. } => Some("`hush whoami` shows it; --account NAME makes a second one beside it"),
            Error::Unreachable { .. } => Some("try again later, and check the address; nothing was changed"),
            Error::NoSuchAccount => Some("a contact link, which `hush link` prints, names the account for sure"),
            Error::CannotJoin(CannotJoin::WrongWords) => {
                Some("look for the newest paper: words that were renewed are worth nothing; nothing was changed")
            }
            Error::PassphraseNeeded => Some("without a terminal: --passphrase-file FILE or HUSHWIRE_PASSPHRASE_FILE"),
            Error::NoKeyring { .. } => Some("--protect passphrase, or --protect key-file on a server"),
            Error::File { .. } => Some(
                "look at its rights, and whether the disk is full; --data-dir or HUSHWIRE_DATA_DIR names another folder",
            ),
            Error::Store(why) if matches!(**why, StoreError::Unavailable(_)) => Some(
                "nothing was changed; look whether the disk is full (df), and whether you may write into the account's folder",
            ),
            Error::Store(_) => {
                Some("nothing was changed; `hush doctor` looks closer, and a backup of the folder helps")
            }
            _ => None,
        };
        Self { exit, message: error.to_string(), hint: hint.map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_ones_that_scripts_know() {
        let codes = [
            (Exit::Ok, 0),
            (Exit::Usage, 1),
            (Exit::Unexpected, 2),
            (Exit::Network, 3),
            (Exit::Untrusted, 4),
            (Exit::Queued, 7),
            (Exit::Locked, 8),
            (Exit::Interrupted, 130),
            (Exit::Terminated, 143),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).exit, Exit::Ok);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).exit, Exit::Unexpected);
    }
}
