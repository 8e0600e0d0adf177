//! A queue that does what a test wants of a disk.
#![allow(dead_code)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use hushwire_proto::{
    ids::{MailboxId, Seq, TokenHash, UnixMillis},
    relay::TokenClass,
};
use hushwire_relay::{
    metrics::Metrics,
    queue::{
        AppendError, Arrivals, GrantError, Outcomes, Page, Put, PutMany, Queue, RemoveError, StorageError, Swept,
        Usage, memory::MemoryQueue,
    },
    quota::Rules,
};
use tokio::sync::Semaphore;

#[derive(Clone)]
pub(crate) struct Moody {
    inner: MemoryQueue,
    /// Numbers can be read and envelopes cannot.
    pub(crate) unreadable: Arc<AtomicBool>,
    /// So many appends to many are done.
    pub(crate) done: Arc<Semaphore>,
    /// So many came.
    pub(crate) came: Arc<AtomicUsize>,
}

impl Moody {
    pub(crate) fn new() -> Self {
        let inner = MemoryQueue::new(Rules::default());
        Self { inner, unreadable: Arc::default(), done: Arc::new(Semaphore::new(0)), came: Arc::default() }
    }
}

impl Queue for Moody {
    fn rules(&self) -> &Rules {
        self.inner.rules()
    }

    fn metrics(&self) -> &Arc<Metrics> {
        self.inner.metrics()
    }

    fn usage(&self) -> impl Future<Output = Result<Usage, StorageError>> + Send + 'static {
        self.inner.usage()
    }

    fn append_then(&self, put: Put, now: UnixMillis, then: impl FnOnce(Result<Seq, AppendError>) + Send + 'static) {
        self.inner.append_then(put, now, then);
    }

    fn append_many(&self, many: PutMany, now: UnixMillis) -> impl Future<Output = Outcomes> + Send + 'static {
        self.came.fetch_add(1, Relaxed);
        let (done, appended) = (self.done.clone(), self.inner.append_many(many, now));
        async move {
            if let Ok(done) = done.acquire().await {
                done.forget();
            }
            appended.await
        }
    }

    fn read(
        &self,
        of: MailboxId,
        after: Seq,
        bytes: usize,
    ) -> impl Future<Output = Result<Page, StorageError>> + Send + 'static {
        let fails = bytes > 0 && self.unreadable.load(Relaxed);
        let page = self.inner.read(of, after, bytes);
        async move { if fails { Err(StorageError::Failed) } else { page.await } }
    }

    fn arrivals(&self, of: MailboxId) -> Arrivals {
        self.inner.arrivals(of)
    }

    fn door(
        &self,
        of: MailboxId,
        token: TokenHash,
    ) -> impl Future<Output = Result<Option<TokenClass>, StorageError>> + Send + 'static {
        self.inner.door(of, token)
    }

    fn remove_then(&self, of: MailboxId, through: Seq, then: impl FnOnce(Result<(), RemoveError>) + Send + 'static) {
        self.inner.remove_then(of, through, then);
    }

    fn grant(
        &self,
        of: MailboxId,
        tokens: Vec<(TokenHash, TokenClass)>,
    ) -> impl Future<Output = Result<(), GrantError>> + Send + 'static {
        self.inner.grant(of, tokens)
    }

    fn revoke(
        &self,
        of: MailboxId,
        hashes: Vec<TokenHash>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send + 'static {
        self.inner.revoke(of, hashes)
    }

    fn expire(&self, now: UnixMillis) -> impl Future<Output = Result<Swept, StorageError>> + Send + 'static {
        self.inner.expire(now)
    }

    fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.inner.failed()
    }
}
