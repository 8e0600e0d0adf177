//! The encrypted database: SQLCipher, one writer, one transaction per input.
//!
//! Owns opening, keys and the schema; the rows of each thing are in the file of that name. Nothing here knows what a
//! row means to the protocol.

pub(crate) mod about;
pub(crate) mod auditors;
pub(crate) mod clear;
pub(crate) mod contacts;
pub(crate) mod conversations;
pub(crate) mod expiry;
pub(crate) mod explain;
pub(crate) mod gaps;
pub(crate) mod group_requests;
pub(crate) mod groups;
pub(crate) mod heard;
pub(crate) mod identity;
pub(crate) mod me;
pub(crate) mod messages;
pub(crate) mod outbox;
pub(crate) mod prekeys;
pub(crate) mod receipts;
pub(crate) mod repair;
pub(crate) mod roots;
mod schema;
pub(crate) mod search;
pub(crate) mod sessions;
pub(crate) mod times;
pub(crate) mod unheard;
pub(crate) mod unsealed;
pub(crate) mod whispers;

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use zeroize::Zeroizing;

/// How long a statement waits for another process that reads a copy or makes a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One database is opened at a time.
static OPENING: Mutex<()> = Mutex::new(());

/// Further tries to set a key.
const KEY_TRIES_MAX: u32 = 20;

/// The database's key: 32 random bytes, used as they are. Where they are kept is the vault's business.
pub struct DatabaseKey(Zeroizing<[u8; 32]>);

impl DatabaseKey {
    /// Takes the key.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("DatabaseKey(..)")
    }
}

/// Why the database did not do what was asked. Nothing of the transaction was kept; open the engine anew.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file does not open with this key: it is another one's, or its first page is damaged.
    #[error("the database does not open with this key: it belongs to another key, or the file is damaged")]
    WrongKey,
    /// The file is damaged.
    #[error("the database is damaged ({0}); restore it from a backup")]
    Damaged(String),
    /// A later program wrote it.
    #[error(
        "the database was written by a later version of this program (schema {found}, this one knows {known}); update"
    )]
    Newer {
        /// Schema in the file.
        found: i64,
        /// Schema of this program.
        known: i64,
    },
    /// The disk, or another process.
    #[error("the database cannot be written or read: {0}")]
    Unavailable(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            Some(_) => Self::Unavailable(error.to_string()),
            // A value of the wrong type or shape: this program did not write it so.
            None => Self::Damaged(error.to_string()),
        }
    }
}

/// An open database.
pub struct Store {
    connection: Connection,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(..)")
    }
}

impl Store {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`], [`StoreError::Damaged`], [`StoreError::Newer`]: the file is as it was.
    pub fn open(path: &Path, key: &DatabaseKey) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let pragma = Zeroizing::new(format!("PRAGMA key = \"x'{}'\"", &*Zeroizing::new(HEXLOWER.encode(&*key.0))));
        let connection = keyed(path, flags, &pragma)?;
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())).map_err(|error| {
            match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => StoreError::WrongKey,
                _ => error.into(),
            }
        })?;
        connection.execute_batch("PRAGMA journal_mode = WAL;")?;
        Self::prepare(connection)
    }

    /// A database in memory with the same schema, for tests.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn memory() -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    /// A copy in memory under a name that no other copy of this process has, for tests that begin often from one state.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn copy_in_memory(&self, name: &str) -> Result<Self, StoreError> {
        let place = format!("file:/{name}?vfs=memdb");
        let copy = Connection::open(&place)?; // keeps the place while it is filled
        self.connection.execute("VACUUM INTO ?1", [&place])?;
        Self::prepare(copy)
    }

    /// Whether every page is as it was written.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first bad page.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare("PRAGMA cipher_integrity_check")?;
        let first = statement.query_map([], |row| row.get::<_, String>(0))?.next();
        match first {
            None => Ok(()),
            Some(finding) => Err(StoreError::Damaged(finding?)),
        }
    }

    pub(crate) fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.connection.unchecked_transaction()?)
    }

    /// Brings what was written into the database file and empties the log beside it, which still has what was removed.
    /// `false`: somebody reads an earlier state; try again later.
    pub(crate) fn scrub(&self) -> Result<bool, StoreError> {
        // Nobody waits for whoever reads.
        self.connection.busy_timeout(Duration::ZERO)?;
        let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(!busy?)
    }

    pub(crate) fn read(&self) -> &Connection {
        &self.connection
    }

    fn prepare(connection: Connection) -> Result<Self, StoreError> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(128);
        // Else SQLite parses a cached statement anew whenever another value is bound to it that might change its plan.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // FULL: a commit is on the disk when it returns, which is what an acknowledgement to the relay rests on.
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;",
        )?;
        schema::upgrade(&connection)?;
        Ok(Self { connection })
    }
}

/// Opens and keys the file. SQLCipher sets itself up with the first database of a process and away with the last; when
/// another thread does so at that moment, taking a key may fail, whatever the key is. So one opens at a time, and tries
/// again. Whether it is the right key shows only at the first page.
fn keyed(path: &Path, flags: OpenFlags, pragma: &str) -> Result<Connection, StoreError> {
    let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tries = 0;
    loop {
        let connection = Connection::open_with_flags(path, flags)?;
        // SQLCipher would write its own lines to stderr; what went wrong is in our error.
        connection.execute_batch("PRAGMA cipher_log_level = NONE")?;
        match connection.execute_batch(pragma) {
            Ok(()) => return Ok(connection),
            Err(error) if tries == KEY_TRIES_MAX => return Err(error.into()),
            Err(_) => tries += 1,
        }
    }
}

/// A value in the database is not what this program writes.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("unexpected value of {what}"))
}

/// SQLite's integers are signed; ids, counters and times of ours are not.
pub(crate) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The way back.
pub(crate) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn another_key_opens_nothing_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        drop(Store::open(&path, &DatabaseKey::new([1; 32])).unwrap());
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Store::open(&path, &DatabaseKey::new([2; 32])), Err(StoreError::WrongKey)));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        Store::open(&path, &DatabaseKey::new([1; 32])).unwrap().check().unwrap();
    }

    #[test]
    fn a_damaged_page_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        drop(Store::open(&path, &DatabaseKey::new([1; 32])).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let place = bytes.len() - 2000;
        *bytes.get_mut(place).unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let outcome = Store::open(&path, &DatabaseKey::new([1; 32])).and_then(|store| store.check());
        assert!(matches!(outcome, Err(StoreError::Damaged(_))), "{outcome:?}");
    }

    #[test]
    fn nothing_written_stands_readable_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let store = Store::open(&path, &DatabaseKey::new([1; 32])).unwrap();
        store
            .read()
            .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES ('a marker that is easy to find')")
            .unwrap();
        drop(store);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(8).any(|window| window == b"a marker"));
            assert!(!bytes.starts_with(b"SQLite format"));
        }
    }

    #[test]
    fn a_later_schema_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let store = Store::open(&path, &DatabaseKey::new([1; 32])).unwrap();
        store.read().execute_batch("PRAGMA user_version = 999").unwrap();
        drop(store);
        let outcome = Store::open(&path, &DatabaseKey::new([1; 32]));
        assert!(matches!(outcome, Err(StoreError::Newer { found: 999, .. })));
    }
}
