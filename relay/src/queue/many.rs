//! One envelope for many mailboxes: as good as one append for each.

use std::pin::Pin;

use hushwire_proto::{
    envelope::Envelope,
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
};

use super::{AppendError, Put, Queue};

/// Up to so many mailboxes an engine keeps a copy for each: a copy is gone with its own removal, and costs no count.
pub(super) const COPIED_MAX: usize = 50;

/// One envelope to append to many mailboxes.
#[derive(Clone, Debug)]
pub struct PutMany {
    /// What to keep.
    pub envelope: Envelope,
    /// Where.
    pub doors: Vec<PutDoor>,
}

/// The way into one mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutDoor {
    /// Whose mailbox.
    pub mailbox: MailboxId,
    /// The hash of the token that was shown.
    pub token: TokenHash,
    /// The same for every retry.
    pub id: DepositId,
}

/// What became of it at each door, in their order.
pub type Outcomes = Vec<Result<Seq, AppendError>>;

/// One append that waits for the disk.
type Appending = Pin<Box<dyn Future<Output = Result<Seq, AppendError>> + Send>>;

/// One append for each.
pub(super) fn append_each<Q: Queue>(
    queue: &Q,
    many: PutMany,
    now: UnixMillis,
) -> impl Future<Output = Outcomes> + Send + use<Q> {
    let PutMany { envelope, doors } = many;
    let mut appended: Vec<Appending> = Vec::new();
    for PutDoor { mailbox, token, id } in doors {
        appended.push(Box::pin(queue.append(Put { mailbox, token, id, envelope: envelope.clone() }, now)));
    }
    async move {
        let mut outcomes = Vec::with_capacity(appended.len());
        for one in appended {
            outcomes.push(one.await);
        }
        outcomes
    }
}
