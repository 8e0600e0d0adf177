//! A durable line of sealed envelopes for every mailbox: the promise, and what its engines share.
//!
//! Owns order, durability, quotas and expiry. Leaves to the handlers of requests who may ask for what. One suite,
//! `queue/contract.rs`, judges every engine.
//!
//! Spec: relay §4 to §6.

mod arrivals;
#[cfg(test)]
mod contract;
mod many;
pub mod memory;
pub mod rocks;
mod usage;

use std::sync::Arc;

use hushwire_proto::{
    envelope::Envelope,
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
    relay::{Delivery, TokenClass},
};
use tokio::sync::oneshot;

pub use self::{
    arrivals::Arrivals,
    many::{Outcomes, PutDoor, PutMany},
    usage::Usage,
};
use crate::{
    metrics::Metrics,
    quota::{Full, Rules},
};

/// A durable line of sealed envelopes for every mailbox. Clones share it.
///
/// While [`Metrics::disk_low`] is set an engine takes nothing new: no envelope and no mailbox. Everything else goes on.
///
/// What changes something takes its place in line when it is called, not when its future is first polled, and is done
/// whether or not the future is: so calls made one after another are done one after another.
pub trait Queue: Clone + Send + Sync + 'static {
    /// What the operator allows.
    fn rules(&self) -> &Rules;

    /// What it counts, and where its relay counts.
    fn metrics(&self) -> &Arc<Metrics>;

    /// Looks at every mailbox and says what there is: some time of a reader, none of the writer.
    fn usage(&self) -> impl Future<Output = Result<Usage, StorageError>> + Send + 'static;

    /// Puts an envelope at the end; done once durable. The same id within the retry window: the same `Seq`, nothing
    /// new, even if the envelope has been removed since.
    fn append(&self, put: Put, now: UnixMillis) -> impl Future<Output = Result<Seq, AppendError>> + Send + 'static {
        let (then, answer) = answered();
        self.append_then(put, now, then);
        answer
    }

    /// The same, and `then` is told, by the thread that knows: it must not block, nor keep the queue.
    fn append_then(&self, put: Put, now: UnixMillis, then: impl FnOnce(Result<Seq, AppendError>) + Send + 'static);

    /// Puts one envelope at the end of many mailboxes; done once durable. What becomes of it at each door is what
    /// [`Self::append`] there would say.
    fn append_many(&self, many: PutMany, now: UnixMillis) -> impl Future<Output = Outcomes> + Send + 'static {
        many::append_each(self, many, now)
    }

    /// What stands after `after`, oldest first: as much as fits into `bytes` and into one push. Nothing comes twice
    /// or is left out between. `bytes` is at least the largest envelope's, or 0 to be told the mailbox's numbers only.
    fn read(
        &self,
        of: MailboxId,
        after: Seq,
        bytes: usize,
    ) -> impl Future<Output = Result<Page, StorageError>> + Send + 'static;

    /// Tells of what is appended from now on, once it is durable.
    fn arrivals(&self, of: MailboxId) -> Arrivals;

    /// What this token lets its holder do there, by what is durable; `None`: there is no such mailbox or token, told apart
    /// by nobody. Waits for nothing that is being written.
    fn door(
        &self,
        of: MailboxId,
        token: TokenHash,
    ) -> impl Future<Output = Result<Option<TokenClass>, StorageError>> + Send + 'static;

    /// Forgets everything up to and including `through`. Again, or what is gone: nothing changes.
    fn remove(&self, of: MailboxId, through: Seq) -> impl Future<Output = Result<(), RemoveError>> + Send + 'static {
        let (then, answer) = answered();
        self.remove_then(of, through, then);
        answer
    }

    /// The same, and `then` is told as by [`Self::append_then`].
    fn remove_then(&self, of: MailboxId, through: Seq, then: impl FnOnce(Result<(), RemoveError>) + Send + 'static);

    /// Lets holders of these tokens append; done once durable. Makes the mailbox. All of them or none.
    fn grant(
        &self,
        of: MailboxId,
        tokens: Vec<(TokenHash, TokenClass)>,
    ) -> impl Future<Output = Result<(), GrantError>> + Send + 'static;

    /// Holders of these tokens append no more; done once durable.
    fn revoke(
        &self,
        of: MailboxId,
        hashes: Vec<TokenHash>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send + 'static;

    /// Forgets some of what is older than the rules say; call again while there is more. The time is kept.
    fn expire(&self, now: UnixMillis) -> impl Future<Output = Result<Swept, StorageError>> + Send + 'static;

    /// The latest time that was kept before this queue was opened.
    fn kept_time(&self) -> Option<UnixMillis> {
        None
    }

    /// Gives room back that what is gone still takes, if that is worth the work.
    fn tidy(&self) -> impl Future<Output = ()> + Send + 'static {
        std::future::ready(())
    }

    /// Resolves once the engine has failed: nothing will be stored any more, and the process must end.
    fn failed(&self) -> impl Future<Output = ()> + Send + 'static;
}

/// An envelope to append.
#[derive(Clone, Debug)]
pub struct Put {
    /// Whose mailbox.
    pub mailbox: MailboxId,
    /// The hash of the token that was shown.
    pub token: TokenHash,
    /// The same for every retry.
    pub id: DepositId,
    /// What to keep.
    pub envelope: Envelope,
}

/// A piece of a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Oldest first. Empty: there is nothing up to and including `last`.
    pub envelopes: Vec<Delivery>,
    /// Up to here envelopes expired before they were removed; 0: none ever did.
    pub expired_through: Seq,
    /// The last number the mailbox had given before this page was read; 0: none, or no such mailbox.
    pub last: Seq,
    /// How many stand after `after`, those of this page among them.
    pub waiting: u64,
}

/// What one call of [`Queue::expire`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Envelopes that expired.
    pub envelopes: u64,
    /// There is more to do now.
    pub more: bool,
}

/// Why the engine did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Too much waits to be written. Nothing changed; try again in a moment.
    #[error("too much waits to be written")]
    Busy,
    /// The disk failed. What was asked may or may not be there after a restart.
    #[error("the storage failed")]
    Failed,
}

/// Why an envelope was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// No such mailbox, or no such token there: told apart by nobody.
    #[error("no such mailbox or token")]
    NoSuchDoor,
    /// No room.
    #[error(transparent)]
    Full(#[from] Full),
    /// No room on the disk. A repeat of what is there needs none.
    #[error("the disk of this relay is nearly full")]
    NoSpace,
    /// The engine.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why nothing was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoveError {
    /// The mailbox has not given that number yet. Nothing changed.
    #[error("the mailbox has no number {through:?} yet, its last is {last:?}")]
    NotGivenYet {
        /// What was asked.
        through: Seq,
        /// What there is.
        last: Seq,
    },
    /// The engine.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why no token was registered. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// The mailbox would have more than `limit`. Revoke some.
    #[error("a mailbox has at most {limit} tokens")]
    TooManyTokens {
        /// [`hushwire_proto::limits::TOKENS_PER_MAILBOX_MAX`].
        limit: usize,
    },
    /// The relay has all the mailboxes its operator allows.
    #[error("this relay takes no more mailboxes")]
    TooManyMailboxes,
    /// No room on the disk for another mailbox.
    #[error("the disk of this relay is nearly full")]
    NoSpace,
    /// The engine.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Something to be told the answer, and the future that is told. An engine that is gone has failed.
fn answered<T: Send + 'static, E: From<StorageError> + Send + 'static>()
-> (impl FnOnce(Result<T, E>) + Send + 'static, impl Future<Output = Result<T, E>> + Send + 'static) {
    let (say, said) = oneshot::channel();
    let then = move |answer| {
        let _ = say.send(answer); // or nobody waits any more
    };
    (then, async move { said.await.unwrap_or_else(|_| Err(StorageError::Failed.into())) })
}

/// How many of `deliveries` fit into one push and into `bytes`.
fn fitting<'a>(deliveries: impl Iterator<Item = &'a Delivery>, bytes: usize) -> usize {
    let mut left = bytes;
    deliveries
        .take(hushwire_proto::limits::PUSH_ENVELOPES_MAX)
        .take_while(|delivery| match left.checked_sub(delivery.envelope.len()) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .count()
}
