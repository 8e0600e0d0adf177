//! Keeps one envelope for many mailboxes. Spec: relay §5.

use std::time::Duration;

use hushwire_proto::{
    limits::FANOUT_ENTRY_BYTES,
    relay::{Answer, DepositMany, Door, Outcome, RefusedReason, StoredMany},
};

use super::{Answering, SPACE_RETRY, put, refused, storage, too_much_in_work};
use crate::{
    connection::Connection,
    queue::{AppendError, PutDoor, PutMany, Queue, StorageError},
    service::Relay,
};

pub(super) fn deposit<Q: Queue>(relay: &Relay<Q>, connection: &Connection, deposit: DepositMany, answering: Answering) {
    if connection.deposits().is_err() {
        return answering.say(refused(RefusedReason::OwnerMayNotDeposit, put::IS_OWNER));
    }
    let DepositMany { envelope, doors } = deposit;
    let bytes = envelope.len().saturating_add(doors.len().saturating_mul(FANOUT_ENTRY_BYTES));
    let Some(held) = connection.address().hold(bytes) else { return answering.say(too_much_in_work()) };
    let doors = doors.into_iter().map(|Door { mailbox, token, id }| PutDoor { mailbox, token: token.hash(), id });
    let many = PutMany { envelope, doors: doors.collect() };
    let (metrics, stored) = (relay.queue.metrics().clone(), relay.queue.append_many(many, relay.time.now()));
    tokio::spawn(async move {
        let mut outcomes = Vec::new();
        let mut retry_after = Duration::ZERO;
        let stored = stored.await;
        drop(held);
        for stored in stored {
            let (outcome, counted) = match stored {
                Ok(_) => (Outcome::Stored, Ok(())),
                Err(AppendError::NoSuchDoor) => (Outcome::NoSuchDoor, Err(RefusedReason::NoSuchDoor)),
                Err(AppendError::Full(_)) => (Outcome::Full, Err(RefusedReason::MailboxFull)),
                Err(AppendError::NoSpace) => (Outcome::Later, Err(RefusedReason::StorageFull)),
                Err(AppendError::Storage(StorageError::Busy)) => (Outcome::Later, Err(RefusedReason::Overloaded)),
                Err(AppendError::Storage(failed @ StorageError::Failed)) => return answering.say(storage(failed)),
            };
            metrics.deposited(counted);
            retry_after = match outcome {
                Outcome::Stored | Outcome::NoSuchDoor => retry_after,
                Outcome::Full => retry_after.max(put::FULL_RETRY),
                Outcome::Later => retry_after.max(SPACE_RETRY),
            };
            outcomes.push(outcome);
        }
        let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
        answering.say_large(Answer::StoredMany(StoredMany { outcomes, retry_after_ms })).await;
    });
}
