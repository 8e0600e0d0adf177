//! What can go wrong for an app, and who must act.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hushwire_engine::{CannotJoin, CommandError, StoreError};

/// Why something was not done. Each `Display` says what to do; none holds a secret or names a person.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Make an account, or name another directory.
    #[error("there is no account in {}", dir.display())]
    NoAccount {
        /// Where.
        dir: PathBuf,
    },
    /// Open it, or name another directory.
    #[error("{} already holds an account; open it, or name another directory", dir.display())]
    AccountExists {
        /// Where.
        dir: PathBuf,
    },
    /// Another process has the account open.
    #[error("this account is in use by {}; stop it first", process(*pid))]
    InUse {
        /// Which process, if it said so.
        pid: Option<u32>,
    },
    /// Others on this machine may read what only its owner should.
    #[error("{} can be read by others (mode {mode:03o}); run: chmod {wanted:o} {}", path.display(), path.display())]
    TooOpen {
        /// Which file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// The file or directory belongs to another user of this machine.
    #[error("{} belongs to another user; run this as its owner, or run: chown $(id -u) {}", path.display(), path.display())]
    NotOurs {
        /// Which.
        path: PathBuf,
    },
    /// The disk or its permissions.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// Ask the person again. Nothing changed.
    #[error("the passphrase is wrong, or vault.json was altered; try again")]
    WrongPassphrase,
    /// Ask the person for the passphrase.
    #[error("this account is locked with a passphrase; enter it")]
    PassphraseNeeded,
    /// A passphrase has at least one character.
    #[error("the passphrase is empty; choose one that is not")]
    EmptyPassphrase,
    /// Restore `vault.json` from a backup.
    #[error("vault.json is damaged ({what}); restore it from a backup")]
    VaultDamaged {
        /// What is wrong with it.
        what: &'static str,
    },
    /// Made by a later program.
    #[error("vault.json is of version {version}, which this program does not know; update it")]
    VaultNewer {
        /// Its version.
        version: u32,
    },
    /// This machine or session has no keyring.
    #[error("no keyring can be used here ({cause}); log in to a desktop with one, or use a passphrase or a key file")]
    NoKeyring {
        /// What the system said.
        cause: String,
    },
    /// The keyring is there and does not open.
    #[error("the keyring is locked or refused access; unlock it and try again")]
    KeyringLocked,
    /// The place where the database's key should be is empty.
    #[error(
        "{place} does not have the key of this account; log in as the user who made it, or restore it from a backup"
    )]
    KeyMissing {
        /// The keyring, or the path of the key file.
        place: String,
    },
    /// Something else than a key is in its place.
    #[error("what {place} has is not the key of this account; restore it from a backup")]
    KeyDamaged {
        /// The keyring, or the path of the key file.
        place: String,
    },
    /// Unlocking takes more memory than there is.
    #[error("unlocking needs {mib} MiB of memory, which is not there; close other programs and try again")]
    OutOfMemory {
        /// How much.
        mib: u32,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers; nothing secret can be made here")]
    NoRandomness,
    /// The database failed. The client has stopped, if it was running.
    #[error("the database: {0}")]
    Store(Arc<StoreError>),
    /// A server did not answer, or not as it should.
    #[error("{server} cannot be asked: {why}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What the try met.
        why: String,
    },
    /// The keyserver has nobody of that handle or link.
    #[error("the keyserver knows no such account; check the spelling and the server")]
    NoSuchAccount,
    /// No device can be made of this account.
    #[error(transparent)]
    CannotJoin(CannotJoin),
    /// The command was not carried out. Nothing changed.
    #[error(transparent)]
    Refused(CommandError),
    /// The client was closed.
    #[error("the account was closed; open it again")]
    Closed,
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl Error {
    /// Whether the same may succeed later without anyone changing anything but the weather.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::InUse { .. } | Self::KeyringLocked | Self::OutOfMemory { .. } | Self::Unreachable { .. })
    }

    /// Whether a person must unlock something, or enter the passphrase (again).
    #[must_use]
    pub fn needs_unlock(&self) -> bool {
        matches!(self, Self::WrongPassphrase | Self::PassphraseNeeded | Self::KeyringLocked)
    }

    /// A word for scripts. Stays the same from version to version.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoAccount { .. } => "no_account",
            Self::AccountExists { .. } => "account_exists",
            Self::InUse { .. } => "in_use",
            Self::TooOpen { .. } => "too_open",
            Self::NotOurs { .. } => "not_ours",
            Self::File { .. } => "file",
            Self::WrongPassphrase => "wrong_passphrase",
            Self::PassphraseNeeded => "passphrase_needed",
            Self::EmptyPassphrase => "empty_passphrase",
            Self::VaultDamaged { .. } => "vault_damaged",
            Self::VaultNewer { .. } => "vault_newer",
            Self::NoKeyring { .. } => "no_keyring",
            Self::KeyringLocked => "keyring_locked",
            Self::KeyMissing { .. } => "key_missing",
            Self::KeyDamaged { .. } => "key_damaged",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::NoRandomness => "no_randomness",
            Self::Store(_) => "store",
            Self::Unreachable { .. } => "unreachable",
            Self::NoSuchAccount => "no_such_account",
            Self::CannotJoin(_) => "cannot_join",
            Self::Refused(_) => "refused",
            Self::Closed => "closed",
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// For `map_err`: which file it was.
pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |cause| Error::File { path, cause: Arc::new(cause) }
}
