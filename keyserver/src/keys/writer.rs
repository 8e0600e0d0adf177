//! The one writer. A thread gathers the writes that wait, runs them one after the other on one [`View`], syncs once,
//! and only then says so to all of them.
//!
//! One writer and not `TransactionDB`: that a key is taken once needs no lock and no retry if only one thread takes
//! keys, and all who wait share one sync, where transactions would each pay their own. Reads go past it.
//!
//! After an error of the storage nothing is written any more: whether the last round is on disk is then not known, and
//! a second sync of the same file would lie about it. The process must end; the next one reads what is there.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rocksdb::DB;
use tokio::sync::{mpsc, oneshot, watch};

use super::KeysError;
use super::view::View;
use crate::limits::{ROUND_JOBS_MAX, WAITING_JOBS_MAX};
use crate::metrics::{Metrics, micros};

/// Changes the view, and leaves what tells its asker once that is durable, or that it is not.
type Job = Box<dyn FnOnce(&mut View<'_>) -> Result<Reply, KeysError> + Send>;
type Reply = Box<dyn FnOnce() + Send>;

/// The way to the writer. Ends the thread when dropped, once all that waits is written.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread, which says in `failed` when the storage has failed.
    pub(super) fn start(
        db: Arc<DB>,
        failed: Arc<watch::Sender<bool>>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, waiting) = mpsc::channel(WAITING_JOBS_MAX);
        let run = move || run(&db, waiting, &failed, &metrics);
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(run)?;
        Ok((Self { jobs }, thread))
    }

    /// Writes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.jobs.max_capacity().saturating_sub(self.jobs.capacity())
    }

    /// Runs `act` in the next round. `Ok` once what it changed is durable. It checks before it changes anything:
    /// changes it made before a refusal in `T` would be written.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut View<'_>) -> Result<T, KeysError> + Send + 'static,
    ) -> Result<T, KeysError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |view| {
            let done = act(view)?;
            let reply: Reply = Box::new(move || drop(answer.send(done)));
            Ok(reply)
        });
        self.jobs.send(job).await.map_err(|_| KeysError::Stopped)?;
        answered.await.map_err(|_| KeysError::Stopped)
    }
}

fn run(db: &DB, mut waiting: mpsc::Receiver<Job>, failed: &watch::Sender<bool>, metrics: &Metrics) {
    let mut jobs = Vec::with_capacity(ROUND_JOBS_MAX);
    while waiting.blocking_recv_many(&mut jobs, ROUND_JOBS_MAX) > 0 {
        let began = Instant::now();
        metrics.round_jobs.observe(jobs.len() as u64);
        if let Err(error) = round(db, jobs.drain(..)) {
            tracing::error!(%error, "storage failed; nothing is written any more");
            failed.send_replace(true);
            return; // drops the answers of this round and of all who wait: they learn that nothing is promised
        }
        metrics.round_micros.observe(micros(began.elapsed()));
    }
}

fn round(db: &DB, jobs: impl Iterator<Item = Job>) -> Result<(), KeysError> {
    let mut view = View::new(db);
    let replies = jobs.map(|job| job(&mut view)).collect::<Result<Vec<Reply>, _>>()?;
    view.commit()?;
    for reply in replies {
        reply();
    }
    Ok(())
}
