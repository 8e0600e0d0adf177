//! The thread that owns the engine.
//!
//! Every input is a transaction that waits for the disk, some milliseconds each. A thread of its own, and not
//! `block_in_place` or a task of the blocking pool per input: the database stays on one thread for its whole life, runs
//! under any kind of runtime, never holds up the tasks that move packets, and is closed, and its directory free, whatever
//! becomes of the runtime.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use hushwire_engine::{Engine, Input, Output, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::client::now;
use crate::data_dir::Lock;
use crate::error::Error;

/// Jobs that wait. Their senders wait beyond that.
const JOBS_WAITING_MAX: usize = 64;

/// The way to the engine. Clones share it; the engine is closed when the last is gone, or told to.
#[derive(Clone, Debug)]
pub(crate) struct EngineThread {
    thread: Arc<Thread>,
    ended: watch::Receiver<bool>,
}

/// Dropping it waits until the database is closed, some milliseconds: a process that ended meanwhile would take away
/// from SQLCipher, in its exit handlers, what the thread still uses.
#[derive(Debug)]
struct Thread {
    jobs: Option<mpsc::Sender<Job>>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let Some(handle) = self.handle.take() else { return };
        let from_within = handle.thread().id() == thread::current().id(); // a query may have held the last client
        if !from_within {
            let _ = handle.join(); // its panic was said when it happened
        }
    }
}

/// What an input led to.
#[derive(Debug)]
pub(crate) struct Handled {
    /// In the order in which they are to be carried out.
    pub(crate) outputs: Vec<Output>,
    /// Something is still outstanding.
    pub(crate) has_work: bool,
}

enum Job {
    Handle(Box<Input>, oneshot::Sender<Result<Handled, StoreError>>),
    Look(Box<dyn FnOnce(&Engine) + Send>),
    End,
}

impl EngineThread {
    /// Moves the engine to its thread, and the lock with it: the directory is free once the database is closed.
    pub(crate) fn start(engine: Engine, lock: Lock) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(JOBS_WAITING_MAX);
        let (end, ended) = watch::channel(false);
        let handle = thread::Builder::new().name("hushwire-engine".to_owned()).spawn(move || {
            let lock = lock; // dropped after the engine, even if a job panics
            work(engine, waiting);
            drop(lock);
            end.send_replace(true);
        })?;
        Ok(Self { thread: Arc::new(Thread { jobs: Some(jobs), handle: Some(handle) }), ended })
    }

    /// Gives the engine an input with the time and the system's randomness.
    pub(crate) async fn handle(&self, input: Input) -> Result<Handled, Error> {
        let (reply, handled) = oneshot::channel();
        self.send(Job::Handle(Box::new(input), reply)).await?;
        Ok(handled.await.map_err(|_| Error::Closed)??)
    }

    /// Looks something up, after everything that was asked before.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, found) = oneshot::channel();
        let look = Box::new(move |engine: &Engine| {
            let _ = reply.send(look(engine)); // nobody may wait any more
        });
        self.send(Job::Look(look)).await?;
        found.await.map_err(|_| Error::Closed)?.map_err(|error| Error::Store(Arc::new(error)))
    }

    /// Closes the database after everything that was asked before.
    pub(crate) async fn end(&self) {
        let _ = self.send(Job::End).await; // it may have ended already
        self.ended().await;
    }

    async fn send(&self, job: Job) -> Result<(), Error> {
        self.thread.jobs.as_ref().ok_or(Error::Closed)?.send(job).await.map_err(|_| Error::Closed)
    }

    /// Waits until the database is closed and the directory free.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.clone().wait_for(|ended| *ended).await; // an error: the thread is gone, and all it had
    }
}

fn work(mut engine: Engine, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Job::Handle(input, reply) => {
                let handled = engine
                    .handle(*input, now(), &mut rand::rng())
                    .and_then(|outputs| Ok(Handled { outputs, has_work: engine.has_work()? }));
                let _ = reply.send(handled); // nobody may wait any more
            }
            Job::Look(look) => look(&engine),
            Job::End => return,
        }
    }
}
