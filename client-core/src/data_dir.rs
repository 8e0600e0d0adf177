//! The directory of one account: private to its owner, and open in one process at a time.
//!
//! | file | what |
//! |---|---|
//! | `hushwire.db` (`-wal`, `-shm`) | the encrypted database |
//! | `vault.json` | how its key is kept |
//! | `database.key` | the key, if it is kept in a file |
//! | `lock` | locked while open; holds the process id |

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, file};
use crate::files::{DIR_MODE, check_mode, check_owner};
use crate::vault::{self, ProtectionKind};

/// Everything that SQLite puts beside a database has its name and one of these.
const DATABASE_SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Digits of a process id, and then some.
const PID_BYTES_MAX: u64 = 32;

/// Where one account lives. Nothing is touched until it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    path: PathBuf,
}

/// The right to use a data directory. Free again when dropped, or when the process is gone.
#[derive(Debug)]
#[must_use = "the directory is free again when this is dropped"]
pub(crate) struct Lock(#[allow(dead_code, reason = "held, never read")] File);

impl DataDir {
    /// The directory at `path`. [`crate::Client::create`] makes it if it is not there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is an account.
    #[must_use]
    pub fn has_account(&self) -> bool {
        self.vault().exists()
    }

    /// How the account is locked, so that a program knows whether to ask for a passphrase.
    ///
    /// # Errors
    /// [`Error::NoAccount`], [`Error::TooOpen`], [`Error::VaultDamaged`], [`Error::VaultNewer`].
    pub fn protection(&self) -> Result<ProtectionKind, Error> {
        self.check()?;
        vault::kind(self)
    }

    /// Makes the directory, for its owner only, or checks the one that is there.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, DIR_MODE);
        builder.create(&self.path).map_err(file(&self.path))?;
        self.check()
    }

    fn check(&self) -> Result<(), Error> {
        let Ok(metadata) = fs::metadata(&self.path) else {
            return Err(Error::NoAccount { dir: self.path.clone() });
        };
        check_mode(&metadata, &self.path, DIR_MODE)
    }

    /// Takes the directory for this process.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        self.check()?;
        check_owner(&self.path, &self.path)?; // its owner would be left with files that are not theirs
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, crate::files::FILE_MODE);
        let mut lock = options.open(&path).map_err(file(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { pid: holder(lock) }),
            Err(TryLockError::Error(cause)) => return Err(file(&path)(cause)),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .map_err(file(&path))?;
        Ok(Lock(lock))
    }

    /// Moves away the database of a directory without a vault: nothing opens it any more, unless its owner finds the
    /// vault again. It is never deleted here.
    pub(crate) fn set_aside_leftovers(&self) -> Result<(), Error> {
        let database = self.database();
        if !database.exists() {
            return Ok(());
        }
        let aside = |number: u32| self.path.join(format!("hushwire.db.without-vault-{number}"));
        let free = (1..=u32::MAX).map(aside).find(|path| !path.exists()).unwrap_or_else(|| aside(0));
        for suffix in DATABASE_SUFFIXES {
            let (from, to) = (with_suffix(&database, suffix), with_suffix(&free, suffix));
            if from.exists() {
                fs::rename(&from, &to).map_err(file(&from))?;
            }
        }
        Ok(())
    }

    /// Takes back a database that was made just now, and whose key is kept nowhere.
    pub(crate) fn remove_new_database(&self) {
        for suffix in DATABASE_SUFFIXES {
            let _ = fs::remove_file(with_suffix(&self.database(), suffix));
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("hushwire.db")
    }

    pub(crate) fn vault(&self) -> PathBuf {
        self.path.join("vault.json")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.path.join("database.key")
    }
}

/// Who wrote their id into the lock. Not everywhere can a locked file be read.
fn holder(lock: File) -> Option<u32> {
    let mut text = String::new();
    lock.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_second_to_open_it_is_told_who_was_first() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path().join("a").join("b"));
        data.prepare().unwrap();
        let lock = data.lock().unwrap();
        let refused = data.lock().unwrap_err();
        assert!(matches!(refused, Error::InUse { pid: Some(pid) } if pid == std::process::id()), "{refused:?}");
        drop(lock);
        drop(data.lock().unwrap());
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_account_and_is_not_made_by_looking() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path().join("a"));
        assert!(matches!(data.protection(), Err(Error::NoAccount { .. })));
        assert!(matches!(data.lock(), Err(Error::NoAccount { .. })));
        assert!(!data.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_enter_is_refused_with_the_command_that_helps() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path().join("a"));
        data.prepare().unwrap();
        assert_eq!(fs::metadata(data.path()).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o750)).unwrap();
        for refused in [data.prepare().unwrap_err(), data.lock().unwrap_err(), data.protection().unwrap_err()] {
            let said = refused.to_string();
            assert!(said.contains("mode 750") && said.contains("chmod 700"), "{said}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_of_another_user_is_refused_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path().join("a"));
        data.prepare().unwrap();
        if std::os::unix::fs::chown(data.path(), Some(12_345), None).is_err() {
            return; // only root can give a directory away
        }
        assert!(matches!(data.lock(), Err(Error::NotOurs { .. })));
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_database_without_a_vault_is_set_aside_and_never_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::at(dir.path());
        for round in ["first", "second"] {
            fs::write(data.database(), round).unwrap();
            fs::write(with_suffix(&data.database(), "-wal"), round).unwrap();
            data.set_aside_leftovers().unwrap();
            assert!(!data.database().exists());
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("hushwire.db.without-vault-1"), "first");
        assert_eq!(read("hushwire.db.without-vault-2-wal"), "second");
    }
}
