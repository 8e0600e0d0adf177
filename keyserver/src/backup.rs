//! A copy of the database to put away, and putting it back.
//!
//! The copy is one moment of everything: accounts, prekeys and the log together. The keyserver does not run meanwhile; its
//! database is open for one process at a time. What was put back is older than what clients have seen: they tell their
//! owners that the log was set back, until it is further than it was. One-time keys may have been given out since, so that none
//! of the copy is given out: devices put new ones there. It is for a disk that is lost, and for nothing else.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rocksdb::checkpoint::Checkpoint;

use crate::keys::{self, OpenError};

/// Why there is no copy, or it was not put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database does not open; perhaps because the keyserver runs.
    #[error("{}: {cause}; if the keyserver runs, stop it first", path.display())]
    Open {
        /// Where it lies.
        path: PathBuf,
        /// Why.
        cause: OpenError,
    },
    /// Nothing is ever overwritten.
    #[error("{} exists and is not overwritten; move it away, or choose another place", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// RocksDB made no copy.
    #[error("no copy was made: {0}")]
    Copy(#[from] rocksdb::Error),
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Copies the database in `data_dir` to `to`, which is made.
///
/// # Errors
/// [`BackupError`].
pub fn backup(data_dir: &Path, to: &Path) -> Result<(), BackupError> {
    not_there(to)?;
    if !data_dir.exists() {
        let cause = io::Error::from(io::ErrorKind::NotFound); // opening would make an empty one
        return Err(BackupError::File { path: data_dir.to_owned(), cause });
    }
    let db = keys::open_database(data_dir).map_err(|cause| BackupError::Open { path: data_dir.to_owned(), cause })?;
    Ok(Checkpoint::new(&db)?.create_checkpoint(to)?)
}

/// Copies what [`backup`] made to `data_dir`, which is made: whole, or not at all under that name.
///
/// # Errors
/// [`BackupError`].
pub fn restore(from: &Path, data_dir: &Path) -> Result<(), BackupError> {
    not_there(data_dir)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| BackupError::File { path, cause }
    };
    let half = data_dir.with_extension("half");
    not_there(&half)?;
    fs::create_dir_all(&half).map_err(failed(&half))?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let to = half.join(entry.file_name());
        fs::copy(entry.path(), &to).map_err(failed(&entry.path()))?;
        fs::File::open(&to).and_then(|file| file.sync_all()).map_err(failed(&to))?;
    }
    keys::spend_one_time_keys(&half).map_err(|cause| BackupError::Open { path: half.clone(), cause })?;
    fs::rename(&half, data_dir).map_err(failed(data_dir))
}

fn not_there(path: &Path) -> Result<(), BackupError> {
    if path.exists() { Err(BackupError::Exists { path: path.to_owned() }) } else { Ok(()) }
}
