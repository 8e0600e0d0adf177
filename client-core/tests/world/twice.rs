//! A relay that keeps every envelope twice, under two numbers.

use std::future::Future;
use std::sync::Arc;

use hushwire_proto::ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis};
use hushwire_proto::relay::TokenClass;
use hushwire_relay::metrics::Metrics;
use hushwire_relay::queue::memory::MemoryQueue;
use hushwire_relay::queue::{
    AppendError, Arrivals, GrantError, Page, Put, Queue, RemoveError, StorageError, Swept, Usage,
};
use hushwire_relay::quota::Rules;

#[derive(Clone, Debug)]
pub struct Twice(pub MemoryQueue);

impl Queue for Twice {
    fn rules(&self) -> &Rules {
        self.0.rules()
    }

    fn metrics(&self) -> &Arc<Metrics> {
        self.0.metrics()
    }

    fn usage(&self) -> impl Future<Output = Result<Usage, StorageError>> + Send + 'static {
        self.0.usage()
    }

    fn append_then(&self, put: Put, now: UnixMillis, then: impl FnOnce(Result<Seq, AppendError>) + Send + 'static) {
        let again = Put { id: DepositId(put.id.0.map(|byte| !byte)), ..put.clone() };
        let queue = self.0.clone();
        self.0.append_then(put, now, move |first| match first {
            Ok(_) => queue.append_then(again, now, then),
            Err(error) => then(Err(error)),
        });
    }

    fn read(
        &self,
        of: MailboxId,
        after: Seq,
        bytes: usize,
    ) -> impl Future<Output = Result<Page, StorageError>> + Send + 'static {
        self.0.read(of, after, bytes)
    }

    fn arrivals(&self, of: MailboxId) -> Arrivals {
        self.0.arrivals(of)
    }

    fn door(
        &self,
        of: MailboxId,
        token: TokenHash,
    ) -> impl Future<Output = Result<Option<TokenClass>, StorageError>> + Send + 'static {
        self.0.door(of, token)
    }

    fn remove_then(&self, of: MailboxId, through: Seq, then: impl FnOnce(Result<(), RemoveError>) + Send + 'static) {
        self.0.remove_then(of, through, then);
    }

    fn grant(
        &self,
        of: MailboxId,
        tokens: Vec<(TokenHash, TokenClass)>,
    ) -> impl Future<Output = Result<(), GrantError>> + Send + 'static {
        self.0.grant(of, tokens)
    }

    fn revoke(
        &self,
        of: MailboxId,
        hashes: Vec<TokenHash>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send + 'static {
        self.0.revoke(of, hashes)
    }

    fn expire(&self, now: UnixMillis) -> impl Future<Output = Result<Swept, StorageError>> + Send + 'static {
        self.0.expire(now)
    }

    fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.failed()
    }
}
