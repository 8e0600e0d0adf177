//! Accounts, handles and prekeys in RocksDB, and the rows of the log.
//!
//! Owns what is durable and that each one-time key is given out once. Leaves to `verify` whether keys are good, and to
//! `handle` who may ask. What a call here answers is on disk, synced, before it returns: a crash can lose a key that
//! nobody got, and cannot bring one back that somebody did.
//!
//! Spec: keyserver §3 to §5.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use hushwire_proto::account::{Chain, SignedLink};
use hushwire_proto::ids::{AccountId, DeviceId};
use hushwire_proto::keyserver::{Bundle, CURVE_KEY_LEN, Stock};
use rocksdb::{ColumnFamily, DB, DBCompressionType, DBRecoveryMode, Options};
use tokio::sync::{Notify, watch};

pub(crate) use self::prekeys::PublishRefusal;
pub(crate) use self::rows::StoredAccount;
use self::rows::{Family, Owner, SCHEMA, SCHEMA_KEY};
use self::view::View;
use self::writer::Writer;
use crate::limits::WAITING_JOBS_MAX;
use crate::log::{Log, LogError, LogKeys, waiting_key};
use crate::metrics::Metrics;
use crate::verify::VerifiedPublish;

mod epochs;
pub mod fill;
mod prekeys;
mod rows;
mod view;
mod writer;

/// Memory for writes before they go to a table. Prekeys come and go: most meet their deletion here.
const WRITE_BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// The log of writes that is read again at a start. Bounds how long that takes; RocksDB would let it grow to several
/// times that.
const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Files open at once. Below the usual limit of 1024 for a process, with room for connections.
const OPEN_FILES_MAX: i32 = 512;

/// Old information logs of RocksDB that are kept.
const LOG_FILES_KEPT: usize = 4;

/// Why the database is not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// RocksDB said no: another process has it open, the disk, or damage.
    #[error("the database cannot be opened: {0}")]
    Database(#[from] rocksdb::Error),
    /// Written by another version of this program. Update it.
    #[error("the database has schema {found}, and this program knows {SCHEMA}; update the keyserver")]
    OtherSchema {
        /// What stands there.
        found: String,
    },
    /// The log in it cannot be read or begun.
    #[error("the log of the keyserver cannot be used: {0}")]
    Log(String),
    /// The one-time keys in it could not be taken out.
    #[error("the prekeys in the database cannot be used: {0}")]
    Prekeys(String),
    /// The log was made with another key file, and cannot go on with this one.
    #[error("the log in this database was made by another key; put the keyserver's own key file back")]
    OtherKey,
    /// No thread, or no directory.
    #[error("the database cannot be opened: {0}")]
    System(#[from] std::io::Error),
}

/// The storage failed. Nothing is promised any more; the process must end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("the database failed: {0}")]
    Database(#[from] rocksdb::Error),
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the database takes no more writes")]
    Stopped,
}

/// A row that this program did not write so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database is damaged: a row of kind `{0}`")]
pub(crate) struct Damaged(&'static str);

impl Damaged {
    pub(crate) const CHAIN: Self = Self("account");
}

/// Why a new account is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The hash of the invite that this uses up.
    pub(crate) invite: Option<[u8; 32]>,
}

/// Why an account was not registered. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterRefusal {
    /// The handle belongs to another account.
    HandleTaken,
    /// The account has another handle already.
    OtherHandle,
    /// The account is not there, and was not admitted.
    NotAdmitted,
    /// The invite was used by another account.
    InviteUsed,
    /// The account has revoked the device of link 0 since.
    Revoked,
}

/// Why a chain was not kept. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendRefusal {
    /// The account has another chain by now than the one it follows from.
    Changed,
}

/// The open database.
#[derive(Debug)]
pub(crate) struct Keys {
    db: Arc<DB>,
    log: Arc<Log>,
    /// The newest epoch, and who waits for the next.
    epoch: watch::Sender<u64>,
    /// Something waits for the next epoch.
    changed: Notify,
    failed: Arc<watch::Sender<bool>>,
    metrics: Arc<Metrics>,
    /// `None` once closed.
    writer: Mutex<Option<(Arc<Writer>, JoinHandle<()>)>>,
}

impl Keys {
    /// Opens the database in `dir`, or makes one.
    pub(crate) fn open(dir: &Path, keys: LogKeys, metrics: Arc<Metrics>) -> Result<Self, OpenError> {
        let db = Arc::new(open_database(dir)?);
        let log = Arc::new(Log::new(db.clone(), keys).map_err(|error| OpenError::Log(error.to_string()))?);
        let epoch = watch::Sender::new(epochs::begin(&db, &log)?);
        let failed = Arc::new(watch::Sender::new(false));
        let (writer, thread) = Writer::start(db.clone(), failed.clone(), metrics.clone())?;
        let (changed, writer) = (Notify::new(), Mutex::new(Some((Arc::new(writer), thread))));
        changed.notify_one(); // what waited when the process ended
        Ok(Self { db, log, epoch, changed, failed, metrics, writer })
    }

    /// The account.
    pub(crate) fn account(&self, account: AccountId) -> Result<Option<StoredAccount>, KeysError> {
        stored_account(&View::new(&self.db), account)
    }

    /// Whose handle it is.
    pub(crate) fn handle(&self, name: &str) -> Result<Option<AccountId>, KeysError> {
        handle_owner(&View::new(&self.db), name)
    }

    /// Keeps a new account if it is admitted, and binds the handle; whether it was new. Adds a handle to an account that
    /// has none; never changes anything else of an account that is there.
    pub(crate) async fn register(
        &self,
        chain: Chain,
        handle: Option<String>,
        admitted: Option<Admitted>,
    ) -> Result<Result<bool, RegisterRefusal>, KeysError> {
        let done = self.writer()?.write(move |view| register(view, &chain, handle, admitted)).await;
        self.changed.notify_one();
        done
    }

    /// Keeps a chain in the place of `known`, and forgets the prekeys of devices that are none any more.
    pub(crate) async fn append(
        &self,
        known: Vec<SignedLink>,
        chain: Chain,
    ) -> Result<Result<(), AppendRefusal>, KeysError> {
        let done = self.writer()?.write(move |view| append(view, &known, &chain)).await;
        self.changed.notify_one();
        done
    }

    /// Keeps prekeys of a device that has this identity key; what is left then.
    pub(crate) async fn publish(
        &self,
        owner: Owner,
        identity: [u8; CURVE_KEY_LEN],
        publish: VerifiedPublish,
    ) -> Result<Result<Stock, PublishRefusal>, KeysError> {
        self.writer()?
            .write(move |view| {
                let stored = stored_account(view, owner.0)?;
                let listed = stored.as_ref().and_then(|stored| stored.device(owner.1));
                match listed.is_some_and(|device| device.identity_key == identity) {
                    true => prekeys::publish(view, owner, publish.into_inner()),
                    false => Ok(Err(PublishRefusal::Revoked)), // while its keys were verified
                }
            })
            .await
    }

    /// What is left of a device's prekeys.
    pub(crate) fn stock(&self, account: AccountId, device: DeviceId) -> Result<Stock, KeysError> {
        prekeys::stock(&View::new(&self.db), (account, device))
    }

    /// A bundle of each device that has one, in the order asked. With `one_time`, a one-time key of each kind that is
    /// left is taken, for good.
    pub(crate) async fn take(
        &self,
        account: AccountId,
        devices: Vec<DeviceId>,
        one_time: bool,
    ) -> Result<Vec<Bundle>, KeysError> {
        self.writer()?
            .write(move |view| {
                let bundles = devices.into_iter().map(|device| prekeys::take(view, (account, device), one_time));
                bundles.filter_map(Result::transpose).collect()
            })
            .await
    }

    /// How many writes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.writer().map_or(WAITING_JOBS_MAX, |writer| writer.waiting())
    }

    /// Done once the writer has come to it and nothing was wrong.
    pub(crate) async fn reach(&self) -> Result<(), KeysError> {
        self.writer()?.write(|_| Ok(())).await
    }

    /// Says that the storage has failed: a read was answered by an error. The writer says so by itself.
    pub(crate) fn fail(&self) {
        self.failed.send_replace(true);
    }

    /// Resolves once the storage has failed.
    pub(crate) async fn failed(&self) {
        let mut failed = self.failed.subscribe();
        let _ = failed.wait_for(|failed| *failed).await; // the sender lives as long as `self`
    }

    /// Writes what waits and ends the writer. Later writes are refused.
    pub(crate) fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((writer, thread)) = writer {
            drop(writer);
            let _ = thread.join(); // it does not panic, and if it did there is nothing left to do
        }
    }

    fn writer(&self) -> Result<Arc<Writer>, KeysError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().map(|(writer, _)| writer.clone()).ok_or(KeysError::Stopped)
    }
}

impl Drop for Keys {
    /// RocksDB must not be torn down by the exit of the process while the writer still has it.
    fn drop(&mut self) {
        self.close();
    }
}

/// Opens the database in `dir`, or makes one, of this schema.
pub(crate) fn open_database(dir: &Path) -> Result<DB, OpenError> {
    std::fs::create_dir_all(dir)?;
    let db = DB::open_cf_with_opts(&options(), dir, Family::ALL.map(|family| (family.name(), family_options())))?;
    match db.get(SCHEMA_KEY)? {
        Some(found) if found == SCHEMA.to_be_bytes() => {}
        Some(found) => return Err(OpenError::OtherSchema { found: format!("{found:?}") }),
        None => {
            let mut synced = rocksdb::WriteOptions::default();
            synced.set_sync(true);
            db.put_opt(SCHEMA_KEY, SCHEMA.to_be_bytes(), &synced)?;
        }
    }
    Ok(db)
}

/// Nobody is given a one-time key of this database any more: it is an old copy, and they were given out since.
pub(crate) fn spend_one_time_keys(dir: &Path) -> Result<(), OpenError> {
    prekeys::spend_all(&open_database(dir)?).map_err(|error| OpenError::Prekeys(error.to_string()))
}

/// The newest epoch of the database in `dir`, which nobody may have open.
pub(crate) fn look(dir: &Path) -> Result<u64, OpenError> {
    epochs::look(&open_database(dir)?)
}

fn register(
    view: &mut View<'_>,
    chain: &Chain,
    handle: Option<String>,
    admitted: Option<Admitted>,
) -> Result<Result<bool, RegisterRefusal>, KeysError> {
    let account = chain.account();
    let found = stored_account(view, account)?;
    let is_new = found.is_none();
    let invite = match (is_new, admitted) {
        (true, None) => return Ok(Err(RegisterRefusal::NotAdmitted)),
        (true, Some(Admitted { invite })) => invite,
        (false, _) => None, // it costs nothing to come again
    };
    if let Some(invite) = &invite
        && view.get(Family::Invites, invite)?.is_some()
    {
        return Ok(Err(RegisterRefusal::InviteUsed));
    }
    if found.as_ref().is_some_and(|stored| !stored.still_has(chain.devices())) {
        return Ok(Err(RegisterRefusal::Revoked));
    }
    let mut stored = found.unwrap_or_else(|| StoredAccount { handle: None, links: chain.links().to_vec() });
    let Some(name) = handle.filter(|name| stored.handle.as_ref() != Some(name)) else {
        if is_new {
            use_up(view, invite, account);
            view.put(Family::Accounts, account.as_bytes().to_vec(), stored.to_row());
        }
        return Ok(Ok(is_new));
    };
    if handle_owner(view, &name)?.is_some() {
        return Ok(Err(RegisterRefusal::HandleTaken));
    }
    if stored.handle.is_some() {
        return Ok(Err(RegisterRefusal::OtherHandle));
    }
    view.put(Family::Handles, name.as_bytes().to_vec(), account.as_bytes().to_vec());
    view.put(Family::Log, waiting_key(&name), Vec::new());
    stored.handle = Some(name);
    use_up(view, invite, account);
    view.put(Family::Accounts, account.as_bytes().to_vec(), stored.to_row());
    Ok(Ok(is_new))
}

/// With the same write as the account, so that an invite is for one, whenever the process ends.
fn use_up(view: &mut View<'_>, invite: Option<[u8; 32]>, account: AccountId) {
    if let Some(invite) = invite {
        view.put(Family::Invites, invite.to_vec(), account.as_bytes().to_vec());
    }
}

fn append(view: &mut View<'_>, known: &[SignedLink], chain: &Chain) -> Result<Result<(), AppendRefusal>, KeysError> {
    let account = chain.account();
    let Some(mut stored) = stored_account(view, account)?.filter(|stored| stored.links == known) else {
        return Ok(Err(AppendRefusal::Changed));
    };
    for device in known.last().map_or(&[][..], |link| &link.link().devices) {
        if chain.device(device.id).is_none_or(|kept| kept.identity_key != device.identity_key) {
            prekeys::forget(view, (account, device.id))?;
        }
    }
    stored.links = chain.links().to_vec();
    if let Some(name) = &stored.handle {
        view.put(Family::Log, waiting_key(name), Vec::new());
    }
    view.put(Family::Accounts, account.as_bytes().to_vec(), stored.to_row());
    Ok(Ok(()))
}

fn stored_account(view: &View<'_>, account: AccountId) -> Result<Option<StoredAccount>, KeysError> {
    let row = view.get(Family::Accounts, account.as_bytes())?;
    Ok(row.map(|row| StoredAccount::from_row(&row)).transpose()?)
}

fn handle_owner(view: &View<'_>, name: &str) -> Result<Option<AccountId>, KeysError> {
    let row = view.get(Family::Handles, name.as_bytes())?;
    Ok(row.map(|row| AccountId::from_slice(&row).ok_or(Damaged("handle"))).transpose()?)
}

/// A write that was not acknowledged may be cut off at the end of the log, and is then dropped. Anything else that is
/// wrong in the log refuses to open: going on without it would give keys out a second time.
fn options() -> Options {
    let mut options = family_options();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_keep_log_file_num(LOG_FILES_KEPT);
    options
}

fn family_options() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_compression_type(DBCompressionType::None); // keys and signatures do not shrink
    options
}

fn family(db: &DB, of: Family) -> Result<&ColumnFamily, Damaged> {
    db.cf_handle(of.name()).ok_or(Damaged(of.name()))
}
