//! A queue that remembers everything that was ever put into it: all that a relay is given of a message.

use std::future::Future;
use std::sync::{Arc, Mutex};

use hushwire_proto::ids::{MailboxId, Seq, TokenHash, UnixMillis};
use hushwire_proto::relay::TokenClass;
use hushwire_relay::metrics::Metrics;
use hushwire_relay::queue::{
    AppendError, Arrivals, GrantError, Page, Put, Queue, RemoveError, StorageError, Swept, Usage,
};
use hushwire_relay::quota::Rules;

#[derive(Clone, Debug)]
pub(crate) struct Tap<Q> {
    queue: Q,
    puts: Arc<Mutex<Vec<Put>>>,
}

impl<Q> Tap<Q> {
    pub(crate) fn new(queue: Q) -> Self {
        Self { queue, puts: Arc::default() }
    }

    /// So far, in order.
    pub(crate) fn puts(&self) -> Vec<Put> {
        self.puts.lock().unwrap().clone()
    }
}

impl<Q: Queue> Queue for Tap<Q> {
    fn rules(&self) -> &Rules {
        self.queue.rules()
    }

    fn metrics(&self) -> &Arc<Metrics> {
        self.queue.metrics()
    }

    fn usage(&self) -> impl Future<Output = Result<Usage, StorageError>> + Send + 'static {
        self.queue.usage()
    }

    fn append_then(&self, put: Put, now: UnixMillis, then: impl FnOnce(Result<Seq, AppendError>) + Send + 'static) {
        self.puts.lock().unwrap().push(put.clone());
        self.queue.append_then(put, now, then);
    }

    fn read(
        &self,
        of: MailboxId,
        after: Seq,
        bytes: usize,
    ) -> impl Future<Output = Result<Page, StorageError>> + Send + 'static {
        self.queue.read(of, after, bytes)
    }

    fn arrivals(&self, of: MailboxId) -> Arrivals {
        self.queue.arrivals(of)
    }

    fn door(
        &self,
        of: MailboxId,
        token: TokenHash,
    ) -> impl Future<Output = Result<Option<TokenClass>, StorageError>> + Send + 'static {
        self.queue.door(of, token)
    }

    fn remove_then(&self, of: MailboxId, through: Seq, then: impl FnOnce(Result<(), RemoveError>) + Send + 'static) {
        self.queue.remove_then(of, through, then);
    }

    fn grant(
        &self,
        of: MailboxId,
        tokens: Vec<(TokenHash, TokenClass)>,
    ) -> impl Future<Output = Result<(), GrantError>> + Send + 'static {
        self.queue.grant(of, tokens)
    }

    fn revoke(
        &self,
        of: MailboxId,
        hashes: Vec<TokenHash>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send + 'static {
        self.queue.revoke(of, hashes)
    }

    fn expire(&self, now: UnixMillis) -> impl Future<Output = Result<Swept, StorageError>> + Send + 'static {
        self.queue.expire(now)
    }

    fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.queue.failed()
    }
}
