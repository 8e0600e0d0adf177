//! The queue of one machine: RocksDB, written by one thread in synced batches.
//!
//! | file | what it is about |
//! |---|---|
//! | `rocks/directory.rs` | the directories around the files |
//! | `rocks/keys.rs` | the bytes of rows |
//! | `rocks/store.rs` | options of the database, typed reads |
//! | `rocks/batch.rs` | what a job writes |
//! | `rocks/known.rs` | what the writer remembers |
//! | `rocks/bodies.rs` | what many mailboxes have together |
//! | `rocks/commit.rs` | a batch onto the disk |
//! | `rocks/writer.rs` | the thread: gather, write, sync, answer |
//! | `rocks/tidy.rs` | giving room back |
//! | `rocks/mark.rs` | a second witness of how far it had come |

mod batch;
mod bodies;
mod commit;
mod directory;
mod keys;
mod known;
mod mark;
mod store;
#[cfg(test)]
mod tests;
mod tidy;
mod writer;

use std::{
    fmt,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use hushwire_proto::{
    ids::{MailboxId, Seq, TokenHash, UnixMillis},
    limits::{ENVELOPE_BYTES_MAX, REQUESTS_IN_FLIGHT_MAX},
    relay::TokenClass,
};
use rocksdb::WriteBatch;
use tokio::sync::{Semaphore, mpsc, watch};

use self::{
    keys::BodyId,
    known::Known,
    mark::Mark,
    store::Store,
    writer::{Job, Then, Waiting, Writer},
};
use super::{
    AppendError, Arrivals, GrantError, Outcomes, Page, Put, PutMany, Queue, RemoveError, StorageError, Swept, Usage,
    answered,
    arrivals::Hub,
    many::{COPIED_MAX, append_each},
};
use crate::{
    fail_points::{Step, reach},
    metrics::Metrics,
    quota::Rules,
};

/// Bytes of envelopes that may wait to be written. A second of a slow disk; beyond, deposits are told to come back.
const DEPOSITS_WAITING_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of all other jobs that may wait. Apart from the deposits, so that a flood of them stops no acknowledgement.
const OTHERS_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// What a job costs beside its envelope.
const JOB_BYTES: usize = 512;

/// What one door of a job to many costs: itself, and the rows that come of it.
const DOOR_BYTES: usize = 512;

/// Doors of one job to many: some milliseconds of the writer's time. More are several jobs, and others come between.
const DOORS_PER_JOB: usize = 256;

/// Bytes of one token in a job.
const TOKEN_BYTES: usize = 40;

/// How often a database that is still in use is tried to be opened anew, and how long it is left alone before: ten seconds,
/// in which the longest read and compaction that were cancelled have ended.
const REOPEN_TRIES: u32 = 100;
const REOPEN_AFTER: Duration = Duration::from_millis(100);

const _: () = assert!((ENVELOPE_BYTES_MAX + JOB_BYTES) * REQUESTS_IN_FLIGHT_MAX <= DEPOSITS_WAITING_BYTES);

/// The directory of the database inside the data directory.
pub(crate) const DATABASE_DIR: &str = "queue";

/// What to do when a disk is damaged. An older copy is no help: numbers would be given a second time.
const BEGIN_ANEW: &str =
    "if the disk is damaged, begin with an empty data_dir and the same key: clients notice, and go on";

/// Why there is no queue. Each says what the operator should do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or a thread.
    #[error("{}: {cause}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The data directory cannot be made, or not so that it stays.
    #[error("{}: {cause}: let the relay write there; {BEGIN_ANEW}", path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Somebody has it open: another relay, or for a moment this one.
    #[error("{}: another relay uses this directory: stop it", path.display())]
    InUse {
        /// Which directory.
        path: PathBuf,
    },
    /// RocksDB does not open it.
    #[error("{}: {cause}; {BEGIN_ANEW}", path.display())]
    Database {
        /// Which directory.
        path: PathBuf,
        /// What RocksDB said.
        cause: rocksdb::Error,
    },
    /// Made by a newer version.
    #[error("{} has schema {found}, and this version knows {known}: start a newer one", path.display())]
    Schema {
        /// Which directory.
        path: PathBuf,
        /// What was found.
        found: u32,
        /// What this version writes.
        known: u32,
    },
    /// The database is behind what was acknowledged.
    #[error(
        "the database ends at {found}, but {marked} had been acknowledged: envelopes are lost. Move the whole data_dir \
         away to begin with an empty one: clients notice, and go on. Or remove {} to keep what is there: devices that had seen \
         later envelopes may then miss as many that come next",
        path.display()
    )]
    Behind {
        /// Where the database ends.
        found: u64,
        /// Where it must have been.
        marked: u64,
        /// The file that says so.
        path: PathBuf,
    },
    /// Some of what was written is not there, though later writes are.
    #[error(
        "{}: {written} batches were written and {found} are there: the database is damaged, and envelopes are lost. \
         Move the whole data_dir away to begin with an empty one: clients notice, and go on",
        path.display()
    )]
    NotWhole {
        /// Which directory.
        path: PathBuf,
        /// How many are there.
        found: u64,
        /// How many there must be.
        written: u64,
    },
    /// Nothing was ever stored there.
    #[error("{}: no queue is here yet; the first start of the relay makes it", path.display())]
    NotMade {
        /// Which directory.
        path: PathBuf,
    },
    /// The database opens and cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A queue on disk. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct RocksQueue(Arc<Inner>);

/// A part of a job to many.
struct Asked {
    doors: usize,
    answer: Pin<Box<dyn Future<Output = Result<Outcomes, StorageError>> + Send>>,
}

struct Inner {
    rules: Rules,
    metrics: Arc<Metrics>,
    kept_time: Option<UnixMillis>,
    store: Arc<Store>,
    hub: Hub,
    line: Option<mpsc::UnboundedSender<Waiting>>, // bounded by the two below
    deposits: Arc<Semaphore>,
    others: Arc<Semaphore>,
    failed: watch::Receiver<bool>,
    writer: Option<JoinHandle<()>>,
}

impl RocksQueue {
    /// Opens or makes the queue in `data_dir`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(data_dir: &Path, rules: Rules) -> Result<Self, OpenError> {
        let system = |cause| OpenError::System { path: data_dir.to_owned(), cause };
        let unmade = |cause| OpenError::Directory { path: data_dir.to_owned(), cause };
        directory::make(data_dir).map_err(unmade)?;
        let store = Store::open(&data_dir.join(DATABASE_DIR))?;
        reach(Step::Opened);
        let (mut mark, marked) = Mark::open(data_dir).map_err(system)?;
        directory::sync(data_dir).map_err(unmade)?; // the database and the mark stand in it
        let found = store.position();
        if marked.is_none() && store.batches.load(Relaxed) > 0 {
            let file = mark.path().display();
            tracing::warn!(%file, "it is missing or damaged: if the database lost its newest envelopes, nothing tells");
        }
        if let Some(marked) = marked.filter(|marked| found < *marked) {
            return Err(OpenError::Behind { found, marked, path: mark.path().to_owned() });
        }
        let commit = move |store: &Store, batch: WriteBatch| {
            reach(Step::Writing);
            store.commit(batch)?;
            reach(Step::Synced);
            mark.set(store.position()).map_err(|error| error.to_string())
        };
        let queue = Self::start(store, rules, commit)?;
        let usage = queue.0.store.usage(&rules)?;
        queue.0.metrics.holds(usage.holding());
        reach(Step::Ready);
        Ok(queue)
    }

    /// The same, after a queue of this process was closed: somebody may still read from it for a moment, so that it is tried
    /// again while it is in use. For no other reason: after an error of the disk it is not touched a second time.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_again(data_dir: &Path, rules: Rules) -> Result<Self, OpenError> {
        let mut left = REOPEN_TRIES;
        loop {
            match Self::open(data_dir, rules) {
                Err(OpenError::InUse { .. }) if left > 0 => {
                    left -= 1;
                    std::thread::sleep(REOPEN_AFTER);
                }
                opened => return opened,
            }
        }
    }

    /// What is in `data_dir`, also while another process serves it: as it was a moment ago.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn look(data_dir: &Path, rules: &Rules) -> Result<Usage, OpenError> {
        let path = data_dir.join(DATABASE_DIR);
        if !path.exists() {
            return Err(OpenError::NotMade { path });
        }
        Ok(Store::look(&path)?.usage(rules)?)
    }

    fn start(
        store: Store,
        rules: Rules,
        commit: impl FnMut(&Store, WriteBatch) -> Result<(), String> + Send + 'static,
    ) -> Result<Self, OpenError> {
        let kept_time = store.time()?;
        let (store, hub, metrics) = (Arc::new(store), Hub::default(), Arc::new(Metrics::default()));
        let deposits = Arc::new(Semaphore::new(DEPOSITS_WAITING_BYTES));
        metrics.backlog_max.set(u64::try_from(DEPOSITS_WAITING_BYTES).unwrap_or(u64::MAX));
        let (line, waiting) = mpsc::unbounded_channel();
        let (failing, failed) = watch::channel(false);
        let writer = Writer {
            store: store.clone(),
            rules,
            metrics: metrics.clone(),
            hub: hub.clone(),
            deposits: deposits.clone(),
            commit,
            failed: failing,
            known: Known::default(),
        };
        let writer = Builder::new().name("queue-writer".to_owned()).spawn(move || writer.run(waiting));
        let writer = writer.map_err(|cause| OpenError::System { path: "queue-writer".into(), cause })?;
        Ok(Self(Arc::new(Inner {
            rules,
            metrics,
            kept_time,
            store,
            hub,
            line: Some(line),
            deposits,
            others: Arc::new(Semaphore::new(OTHERS_WAITING_BYTES)),
            failed,
            writer: Some(writer),
        })))
    }

    /// Takes a place for each of several jobs, or none for any.
    fn ask_many(&self, many: PutMany, now: UnixMillis) -> Result<Vec<Asked>, StorageError> {
        let PutMany { envelope, doors } = many;
        let cost = |doors: usize| doors.saturating_mul(DOOR_BYTES);
        let all = u32::try_from(cost(doors.len()).saturating_add(envelope.len())).unwrap_or(u32::MAX);
        let mut places = self.0.deposits.clone().try_acquire_many_owned(all).map_err(|_| StorageError::Busy)?;
        let body = BodyId(rand::random());
        let mut asked = Vec::new();
        let mut parts = doors.chunks(DOORS_PER_JOB).peekable();
        while let Some(doors) = parts.next() {
            // The last part keeps the place of the envelope, which is there until it is written.
            let place = match parts.peek() {
                Some(_) => places.split(cost(doors.len())).ok_or(StorageError::Busy)?,
                None => places.split(places.num_permits()).ok_or(StorageError::Busy)?,
            };
            let (then, answer) = answered();
            let many = PutMany { envelope: envelope.clone(), doors: doors.to_vec() };
            self.wait(Waiting { job: Job::AppendMany(many, body, now, Box::new(then)), place });
            asked.push(Asked { doors: doors.len(), answer: Box::pin(answer) });
        }
        Ok(asked)
    }

    /// Takes a place in line now. `then` is told by the writer, or at once that there is none.
    fn ask<T, E: From<StorageError>>(
        &self,
        room: &Arc<Semaphore>,
        bytes: usize,
        then: impl FnOnce(Result<T, E>) + Send + 'static,
        job: impl FnOnce(Then<T, E>) -> Job,
    ) {
        if Arc::ptr_eq(room, &self.0.deposits) {
            self.0.metrics.backlog.set(waiting(room));
        }
        let cost = u32::try_from(bytes.saturating_add(JOB_BYTES)).unwrap_or(u32::MAX);
        match room.clone().try_acquire_many_owned(cost) {
            Ok(place) => self.wait(Waiting { job: job(Box::new(then)), place }),
            Err(_) => then(Err(StorageError::Busy.into())),
        }
    }

    /// If the writer is gone so is the process, and nobody is told.
    fn wait(&self, waiting: Waiting) {
        if let Some(line) = &self.0.line {
            let _ = line.send(waiting);
            reach(Step::Waiting);
        }
    }
}

/// Bytes of deposits that wait.
fn waiting(room: &Semaphore) -> u64 {
    u64::try_from(DEPOSITS_WAITING_BYTES.saturating_sub(room.available_permits())).unwrap_or(u64::MAX)
}

impl Queue for RocksQueue {
    fn rules(&self) -> &Rules {
        &self.0.rules
    }

    fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    fn usage(&self) -> impl Future<Output = Result<Usage, StorageError>> + Send + 'static {
        let inner = self.0.clone();
        async move {
            let counted = tokio::task::spawn_blocking(move || inner.store.usage(&inner.rules));
            counted.await.unwrap_or(Err(StorageError::Failed))
        }
    }

    fn append_then(&self, put: Put, now: UnixMillis, then: impl FnOnce(Result<Seq, AppendError>) + Send + 'static) {
        self.ask(&self.0.deposits, put.envelope.len(), then, move |then| Job::Append(put, now, then));
    }

    fn append_many(&self, many: PutMany, now: UnixMillis) -> impl Future<Output = Outcomes> + Send + 'static {
        let doors = many.doors.len();
        let asked = if doors > COPIED_MAX { Ok(self.ask_many(many, now)) } else { Err(append_each(self, many, now)) };
        async move {
            let jobs = match asked {
                Err(each) => return each.await,
                Ok(Err(error)) => return vec![Err(error.into()); doors],
                Ok(Ok(jobs)) => jobs,
            };
            let mut outcomes = Vec::with_capacity(doors);
            for Asked { doors, answer } in jobs {
                outcomes.extend(answer.await.unwrap_or_else(|error| vec![Err(error.into()); doors]));
            }
            outcomes
        }
    }

    fn read(
        &self,
        of: MailboxId,
        after: Seq,
        bytes: usize,
    ) -> impl Future<Output = Result<Page, StorageError>> + Send + 'static {
        let store = self.0.store.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || store.page(&of, after, bytes));
            read.await.unwrap_or(Err(StorageError::Failed))
        }
    }

    fn arrivals(&self, of: MailboxId) -> Arrivals {
        self.0.hub.arrivals(of)
    }

    /// The one lookup that a deposit makes of what the writer does not remember, by a reader.
    fn door(
        &self,
        of: MailboxId,
        token: TokenHash,
    ) -> impl Future<Output = Result<Option<TokenClass>, StorageError>> + Send + 'static {
        let store = self.0.store.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || store.token(&of, &token));
            read.await.unwrap_or(Err(StorageError::Failed))
        }
    }

    fn remove_then(&self, of: MailboxId, through: Seq, then: impl FnOnce(Result<(), RemoveError>) + Send + 'static) {
        self.ask(&self.0.others, 0, then, move |then| Job::Remove(of, through, then));
    }

    fn grant(
        &self,
        of: MailboxId,
        tokens: Vec<(TokenHash, TokenClass)>,
    ) -> impl Future<Output = Result<(), GrantError>> + Send + 'static {
        let bytes = tokens.len().saturating_mul(TOKEN_BYTES);
        let (then, answer) = answered();
        self.ask(&self.0.others, bytes, then, move |then| Job::Grant(of, tokens, then));
        answer
    }

    fn revoke(
        &self,
        of: MailboxId,
        hashes: Vec<TokenHash>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send + 'static {
        let bytes = hashes.len().saturating_mul(TOKEN_BYTES);
        let (then, answer) = answered();
        self.ask(&self.0.others, bytes, then, move |then| Job::Revoke(of, hashes, then));
        answer
    }

    fn expire(&self, now: UnixMillis) -> impl Future<Output = Result<Swept, StorageError>> + Send + 'static {
        let (then, answer) = answered();
        self.ask(&self.0.others, 0, then, move |then| Job::Expire(now, then));
        answer
    }

    fn kept_time(&self) -> Option<UnixMillis> {
        self.0.kept_time
    }

    fn tidy(&self) -> impl Future<Output = ()> + Send + 'static {
        let inner = self.0.clone();
        async move { tidy::give_back(&inner.store, inner.metrics.holding()).await }
    }

    fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut failed = self.0.failed.clone();
        async move {
            let _ = failed.wait_for(|failed| *failed).await; // or the writer is gone, which is as bad
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.line.take()); // the writer ends once it has written all that waits
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        // A compaction that somebody began would keep the database open, or the process from ending.
        self.store.db.cancel_all_background_work(true);
    }
}

impl fmt::Debug for RocksQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksQueue").finish_non_exhaustive()
    }
}
