//! The one thread that writes. It gathers all that waits into one batch and one sync, and answers when the disk has
//! it. Because everything that decides runs here, one job after another, no two decisions race.
//!
//! After an error of the disk nothing is known of what it holds: nothing is tried again, whoever waits is told, and
//! the process must end.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use hushwire_proto::{
    ids::{MailboxId, Seq, TokenHash, UnixMillis},
    relay::TokenClass,
};
use rocksdb::WriteBatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::{
    batch::{Batch, Changes},
    keys::BodyId,
    store::Store,
    waiting,
};
use crate::{
    fail_points::{Step, reach},
    metrics::Metrics,
    queue::{AppendError, GrantError, Outcomes, Put, PutMany, RemoveError, StorageError, Swept, arrivals::Hub},
    quota::Rules,
};

/// Jobs in one batch. As many as a sync takes to arrive under full load, and a bound on the delay of the first.
const BATCH_JOBS_MAX: usize = 1024;

/// Bytes in one batch, after which it is written.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the system says of a full disk; RocksDB passes it on in words only.
const NO_SPACE: &str = "No space left on device";

/// What someone waits for.
pub(super) enum Job {
    Append(Put, UnixMillis, Reply<Seq, AppendError>),
    AppendMany(PutMany, BodyId, UnixMillis, Reply<Outcomes, StorageError>),
    Remove(MailboxId, Seq, Reply<(), RemoveError>),
    Grant(MailboxId, Vec<(TokenHash, TokenClass)>, Reply<(), GrantError>),
    Revoke(MailboxId, Vec<TokenHash>, Reply<(), StorageError>),
    Expire(UnixMillis, Reply<Swept, StorageError>),
}

pub(super) type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// A job, and its share of what may wait.
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) place: OwnedSemaphorePermit,
}

/// Says an answer, or that the disk failed before it was true.
type Answer = Box<dyn FnOnce(Result<(), StorageError>)>;

pub(super) struct Writer<C> {
    pub(super) store: Arc<Store>,
    pub(super) rules: Rules,
    pub(super) metrics: Arc<Metrics>,
    pub(super) hub: Hub,
    /// Room in the line.
    pub(super) deposits: Arc<Semaphore>,
    /// Writes a batch and syncs it.
    pub(super) commit: C,
    pub(super) failed: watch::Sender<bool>,
}

impl<C: FnMut(&Store, WriteBatch) -> Result<(), String>> Writer<C> {
    /// Works until nobody is left who could ask.
    pub(super) fn run(mut self, mut line: mpsc::UnboundedReceiver<Waiting>) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| line.blocking_recv()) {
            next = self.batch(first, &mut line);
        }
    }

    /// Gathers and writes one batch. Returns the job that must not be in it, if there was one.
    fn batch(&mut self, first: Waiting, line: &mut mpsc::UnboundedReceiver<Waiting>) -> Option<Waiting> {
        let store = self.store.clone();
        let rules = self.rules;
        let mut batch = Batch::new(&store, &rules, &self.metrics);
        let (mut answers, mut places) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(Waiting { job, place }) = next.take() {
            let (alone, apart) = match &job {
                Job::Expire(..) => (true, !answers.is_empty()),
                Job::Remove(of, through, _) => (false, batch.appends(of, *through)),
                Job::Append(..) | Job::AppendMany(..) | Job::Grant(..) | Job::Revoke(..) => (false, false),
            };
            if apart {
                next = Some(Waiting { job, place });
                break;
            }
            answers.push(if *self.failed.borrow() { refuse(job) } else { decide(&mut batch, job) });
            places.push(place);
            if alone || answers.len() >= BATCH_JOBS_MAX || batch.bytes() >= BATCH_BYTES_MAX {
                break;
            }
            next = line.try_recv().ok();
        }
        reach(Step::Gathered);
        match self.write(batch) {
            Ok(changes) => {
                reach(Step::Marked);
                self.count(&changes, answers.len());
                self.hub.publish(changes.arrived);
                reach(Step::Published);
                answers.into_iter().for_each(|answer| answer(Ok(())));
            }
            Err(error) => answers.into_iter().for_each(|answer| answer(Err(error))),
        }
        drop(places);
        self.metrics.backlog.set(waiting(&self.deposits));
        next
    }

    fn count(&self, Changes { arrived: _, counted }: &Changes, jobs: usize) {
        self.metrics.came(counted.came);
        self.metrics.went(counted.gone);
        self.metrics.acknowledged.add(counted.acknowledged);
        self.metrics.expired.add(counted.expired);
        self.metrics.batch_jobs.observe(u64::try_from(jobs).unwrap_or(u64::MAX));
    }

    fn write(&mut self, batch: Batch<'_>) -> Result<Changes, StorageError> {
        let (writes, changes) = batch.finish()?;
        if writes.is_empty() {
            return Ok(changes);
        }
        if *self.failed.borrow() {
            return Err(StorageError::Failed);
        }
        let began = Instant::now();
        (self.commit)(&self.store, writes).map_err(|cause| {
            tracing::error!(%cause, "the disk failed; nothing will be stored any more");
            self.metrics.out_of_space.store(cause.contains(NO_SPACE), Relaxed);
            self.failed.send_replace(true);
            StorageError::Failed
        })?;
        self.metrics.sync_micros.observe(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        Ok(changes)
    }
}

fn decide(batch: &mut Batch<'_>, job: Job) -> Answer {
    match job {
        Job::Append(put, now, reply) => answer(batch.append(put, now), reply),
        Job::AppendMany(many, body, now, reply) => answer(Ok(batch.append_many(many, body, now)), reply),
        Job::Remove(of, through, reply) => answer(batch.remove(of, through), reply),
        Job::Grant(of, tokens, reply) => answer(batch.grant(of, tokens), reply),
        Job::Revoke(of, hashes, reply) => answer(batch.revoke(of, hashes), reply),
        Job::Expire(now, reply) => answer(batch.expire(now), reply),
    }
}

fn refuse(job: Job) -> Answer {
    match job {
        Job::Append(_, _, reply) => answer(Err(StorageError::Failed.into()), reply),
        Job::AppendMany(_, _, _, reply) => answer(Err(StorageError::Failed), reply),
        Job::Remove(_, _, reply) => answer(Err(StorageError::Failed.into()), reply),
        Job::Grant(_, _, reply) => answer(Err(StorageError::Failed.into()), reply),
        Job::Revoke(_, _, reply) => answer(Err(StorageError::Failed), reply),
        Job::Expire(_, reply) => answer(Err(StorageError::Failed), reply),
    }
}

fn answer<T: 'static, E: From<StorageError> + 'static>(outcome: Result<T, E>, reply: Reply<T, E>) -> Answer {
    Box::new(|written| {
        let _ = reply.send(written.map_err(E::from).and(outcome)); // or nobody waits any more
    })
}
