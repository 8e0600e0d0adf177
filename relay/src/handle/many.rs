//! Keeps one envelope for many mailboxes. Spec: relay §5.

use std::time::Duration;

use hushwire_proto::{
    ids::Seq,
    limits::FANOUT_ENTRY_BYTES,
    relay::{Answer, DepositMany, Door, Outcome, RefusedReason, StoredMany},
};

use super::{Answering, BUSY_RETRY, SPACE_RETRY, put, refused, storage, too_much_in_work};
use crate::{
    connection::Connection,
    metrics::TurnedAway,
    queue::{AppendError, PutDoor, PutMany, Queue, StorageError},
    service::Relay,
};

pub(super) fn deposit<Q: Queue>(relay: &Relay<Q>, connection: &Connection, deposit: DepositMany, answering: Answering) {
    if connection.deposits().is_err() {
        let answer = refused(RefusedReason::OwnerMayNotDeposit, put::IS_OWNER);
        return answering.turn_away(TurnedAway::Owner, answer);
    }
    let DepositMany { envelope, doors } = deposit;
    let bytes = envelope.len().saturating_add(doors.len().saturating_mul(FANOUT_ENTRY_BYTES));
    let Some(held) = connection.address().hold(bytes) else {
        return answering.turn_away(TurnedAway::BytesInWork, too_much_in_work());
    };
    let Some(turn) = relay.patience.take_turn() else {
        return answering.turn_away(TurnedAway::Patience, storage(StorageError::Busy));
    };
    let held = (held, turn);
    let mut open = Vec::with_capacity(doors.len());
    let ask = |Door { mailbox, token, id }: Door| {
        let token = token.hash();
        let wait = relay.doors.wait(mailbox, &token);
        if wait.is_none() {
            open.push(PutDoor { mailbox, token, id });
        }
        (wait, mailbox, token)
    };
    let asked: Vec<_> = doors.into_iter().map(ask).collect();
    let (bytes, many) = (envelope.len(), PutMany { envelope, doors: open });
    let (metrics, accounts) = (relay.queue.metrics().clone(), relay.doors.clone());
    let stored = relay.queue.append_many(many, relay.time.now());
    tokio::spawn(async move {
        let mut stored = stored.await.into_iter();
        drop(held);
        let mut told = Told::default();
        for (wait, mailbox, token) in asked {
            if let Some(wait) = wait {
                metrics.deposited(told.too_fast(wait));
                metrics.deposits_turned_away.count(TurnedAway::Door);
                continue;
            }
            let stored = stored.next().unwrap_or(Err(AppendError::Storage(StorageError::Failed))); // there is one for each
            if stored.is_ok() {
                accounts.stored(mailbox, &token, bytes);
            }
            metrics.deposited(told.add(stored));
        }
        if told.failed {
            return answering.say(storage(StorageError::Failed)); // of no door is anything known
        }
        answering.say_large(Answer::StoredMany(told.finish())).await;
    });
}

/// What is told of all doors together.
#[derive(Default)]
struct Told {
    outcomes: Vec<Outcome>,
    /// After which the doors that can be tried again soon are to be.
    later: Duration,
    /// The same of mailboxes that are full, or take nothing now.
    full: Duration,
    failed: bool,
}

impl Told {
    /// One more. Returns what to count.
    fn add(&mut self, stored: Result<Seq, AppendError>) -> Result<(), RefusedReason> {
        let none = Duration::ZERO;
        let (outcome, counted, wait) = match stored {
            Ok(_) => (Outcome::Stored, Ok(()), none),
            Err(AppendError::NoSuchDoor) => (Outcome::NoSuchDoor, Err(RefusedReason::NoSuchDoor), none),
            Err(AppendError::Full(_)) => (Outcome::Full, Err(RefusedReason::MailboxFull), put::FULL_RETRY),
            Err(AppendError::NoSpace) => (Outcome::Later, Err(RefusedReason::StorageFull), SPACE_RETRY),
            Err(AppendError::Storage(StorageError::Busy)) => {
                (Outcome::Later, Err(RefusedReason::Overloaded), BUSY_RETRY)
            }
            Err(AppendError::Storage(StorageError::Failed)) => {
                self.failed = true;
                (Outcome::Later, Err(RefusedReason::StorageFailed), none)
            }
        };
        match outcome {
            Outcome::Stored | Outcome::NoSuchDoor => {}
            Outcome::Full => self.full = self.full.max(wait),
            Outcome::Later => self.later = self.later.max(wait),
        }
        self.outcomes.push(outcome);
        counted
    }

    /// One more that takes nothing now.
    fn too_fast(&mut self, wait: Duration) -> Result<(), RefusedReason> {
        self.outcomes.push(Outcome::Full);
        self.full = self.full.max(wait);
        Err(RefusedReason::TooFast)
    }

    /// One time is for all doors: a mailbox that is full does not make the others wait as long. It is told so again.
    fn finish(self) -> StoredMany {
        let retry_after = if self.later.is_zero() { self.full } else { self.later };
        let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
        StoredMany { outcomes: self.outcomes, retry_after_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Full;

    const STORED: Result<Seq, AppendError> = Ok(Seq(1));
    const NO_DOOR: Result<Seq, AppendError> = Err(AppendError::NoSuchDoor);
    const FULL: Result<Seq, AppendError> = Err(AppendError::Full(Full::Mailbox));
    const NO_SPACE: Result<Seq, AppendError> = Err(AppendError::NoSpace);
    const BUSY: Result<Seq, AppendError> = Err(AppendError::Storage(StorageError::Busy));
    const FAILED: Result<Seq, AppendError> = Err(AppendError::Storage(StorageError::Failed));

    fn told(each: &[Result<Seq, AppendError>]) -> (Told, Vec<Result<(), RefusedReason>>) {
        let mut told = Told::default();
        let counted = each.iter().map(|stored| told.add(*stored)).collect();
        (told, counted)
    }

    #[test]
    fn the_time_to_come_back_is_that_of_the_doors_that_can_be_tried_again_soon() {
        for (each, expected) in [
            (&[STORED, NO_DOOR][..], Duration::ZERO),
            (&[STORED, FULL], put::FULL_RETRY),
            (&[BUSY, STORED], BUSY_RETRY),
            (&[BUSY, NO_SPACE, BUSY], SPACE_RETRY),
            (&[FULL, BUSY, FULL], BUSY_RETRY),
            (&[NO_SPACE, FULL], SPACE_RETRY),
        ] {
            let StoredMany { outcomes, retry_after_ms } = told(each).0.finish();
            assert_eq!((outcomes.len(), u128::from(retry_after_ms)), (each.len(), expected.as_millis()), "{each:?}");
        }
    }

    #[test]
    fn every_door_is_counted_also_behind_one_whose_fate_nobody_knows() {
        let (all, counted) = told(&[STORED, FAILED, STORED, FULL]);
        assert!(all.failed);
        let (failed, full) = (Err(RefusedReason::StorageFailed), Err(RefusedReason::MailboxFull));
        assert_eq!(counted, [Ok(()), failed, Ok(()), full]);
    }
}
