//! The one thread that writes. It gathers all that waits into one batch and one sync, and answers when the disk has
//! it. Because everything that decides runs here, one job after another, no two decisions race.
//!
//! After an error of the disk nothing is known of what it holds: nothing is tried again, RocksDB begins nothing more by
//! itself, whoever waits is told, and the process must end.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use hushwire_proto::{
    ids::{MailboxId, Seq, TokenHash, UnixMillis},
    relay::TokenClass,
};
use rocksdb::WriteBatch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{
    batch::{Batch, Changes},
    keys::BodyId,
    known::Known,
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
    Append(Put, UnixMillis, Then<Seq, AppendError>),
    AppendMany(PutMany, BodyId, UnixMillis, Then<Outcomes, StorageError>),
    Remove(MailboxId, Seq, Then<(), RemoveError>),
    Grant(MailboxId, Vec<(TokenHash, TokenClass)>, Then<(), GrantError>),
    Revoke(MailboxId, Vec<TokenHash>, Then<(), StorageError>),
    Expire(UnixMillis, Then<Swept, StorageError>),
}

/// Told the answer by the writer.
pub(super) type Then<T, E> = Box<dyn FnOnce(Result<T, E>) + Send>;

/// A job, and its share of what may wait.
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) place: OwnedSemaphorePermit,
}

/// What is to be answered once it is true.
enum Answer {
    Append(Result<Seq, AppendError>, Then<Seq, AppendError>),
    AppendMany(Result<Outcomes, StorageError>, Then<Outcomes, StorageError>),
    Remove(Result<(), RemoveError>, Then<(), RemoveError>),
    Grant(Result<(), GrantError>, Then<(), GrantError>),
    Revoke(Result<(), StorageError>, Then<(), StorageError>),
    Expire(Result<Swept, StorageError>, Then<Swept, StorageError>),
}

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
    pub(super) known: Known,
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
        let (store, rules) = (self.store.clone(), self.rules);
        let mut known = std::mem::take(&mut self.known);
        let (mut answers, mut places) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        let written = Batch::new(&store, &rules, &self.metrics, &mut known).and_then(|mut batch| {
            while let Some(Waiting { job, place }) = next.take() {
                let (alone, apart) = match &job {
                    Job::Expire(..) => (true, !answers.is_empty()),
                    Job::Remove(of, through, _) => (false, batch.must_wait(of, *through)),
                    Job::Append(..) | Job::AppendMany(..) | Job::Grant(..) | Job::Revoke(..) => (false, false),
                };
                if apart {
                    next = Some(Waiting { job, place });
                    break;
                }
                answers.push(if *self.failed.borrow() { refused(job) } else { decided(&mut batch, job) });
                places.push(place);
                if alone || answers.len() >= BATCH_JOBS_MAX || batch.bytes() >= BATCH_BYTES_MAX {
                    break;
                }
                next = line.try_recv().ok();
            }
            reach(Step::Gathered);
            self.write(batch)
        });
        match written {
            Ok(changes) => {
                reach(Step::Marked);
                self.known = known; // else it is read anew
                self.count(&changes, answers.len());
                if let Some(before) = changes.forgets_before {
                    self.store.forget_deposits(before);
                }
                self.hub.publish(changes.arrived);
                reach(Step::Published);
                answers.into_iter().for_each(|answer| answer.say(Ok(())));
            }
            Err(error) => answers.into_iter().for_each(|answer| answer.say(Err(error))),
        }
        drop(places);
        self.metrics.backlog.set(waiting(&self.deposits));
        next
    }

    fn count(&self, Changes { counted, .. }: &Changes, jobs: usize) {
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
            self.store.stop_background_work();
            tracing::error!(%cause, "the disk failed; nothing will be stored any more");
            self.metrics.out_of_space.store(cause.contains(NO_SPACE), Relaxed);
            self.failed.send_replace(true);
            StorageError::Failed
        })?;
        self.metrics.sync_micros.observe(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        Ok(changes)
    }
}

fn decided(batch: &mut Batch<'_>, job: Job) -> Answer {
    match job {
        Job::Append(put, now, then) => Answer::Append(batch.append(put, now), then),
        Job::AppendMany(many, body, now, then) => Answer::AppendMany(Ok(batch.append_many(many, body, now)), then),
        Job::Remove(of, through, then) => Answer::Remove(batch.remove(of, through), then),
        Job::Grant(of, tokens, then) => Answer::Grant(batch.grant(of, tokens), then),
        Job::Revoke(of, hashes, then) => Answer::Revoke(batch.revoke(of, hashes), then),
        Job::Expire(now, then) => Answer::Expire(batch.expire(now), then),
    }
}

fn refused(job: Job) -> Answer {
    match job {
        Job::Append(_, _, then) => Answer::Append(Err(StorageError::Failed.into()), then),
        Job::AppendMany(_, _, _, then) => Answer::AppendMany(Err(StorageError::Failed), then),
        Job::Remove(_, _, then) => Answer::Remove(Err(StorageError::Failed.into()), then),
        Job::Grant(_, _, then) => Answer::Grant(Err(StorageError::Failed.into()), then),
        Job::Revoke(_, _, then) => Answer::Revoke(Err(StorageError::Failed), then),
        Job::Expire(_, then) => Answer::Expire(Err(StorageError::Failed), then),
    }
}

impl Answer {
    /// Says it, or that the disk failed before it was true.
    fn say(self, written: Result<(), StorageError>) {
        match self {
            Self::Append(outcome, then) => then(written.map_err(AppendError::from).and(outcome)),
            Self::AppendMany(outcome, then) => then(written.and(outcome)),
            Self::Remove(outcome, then) => then(written.map_err(RemoveError::from).and(outcome)),
            Self::Grant(outcome, then) => then(written.map_err(GrantError::from).and(outcome)),
            Self::Revoke(outcome, then) => then(written.and(outcome)),
            Self::Expire(outcome, then) => then(written.and(outcome)),
        }
    }
}
