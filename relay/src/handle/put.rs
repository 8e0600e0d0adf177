//! Keeps an envelope. Spec: relay §5.

use std::time::Duration;

use hushwire_proto::relay::{Answer, Deposit, RefusedReason};

use super::{Answering, no_space, refused, refused_for, storage, too_much_in_work};
use crate::{
    connection::Connection,
    fail_points::{Step, reach},
    metrics::TurnedAway,
    queue::{AppendError, Put, Queue, StorageError},
    service::Relay,
};

/// When to try a full mailbox again. Its owner may be back any moment, or in a week.
pub(super) const FULL_RETRY: Duration = Duration::from_secs(10 * 60);

/// Why a connection deposits nothing.
pub(super) const IS_OWNER: &str = "this connection owns a mailbox; deposit on another one";

/// Why nothing is taken at a door now.
const TOO_FAST: &str = "more comes here than this relay takes for one mailbox, or with one token";

pub(super) fn deposit<Q: Queue>(relay: &Relay<Q>, connection: &Connection, deposit: Deposit, answering: Answering) {
    if connection.deposits().is_err() {
        let answer = refused(RefusedReason::OwnerMayNotDeposit, IS_OWNER);
        return answering.turn_away(TurnedAway::Owner, answer);
    }
    reach(Step::Received);
    let Deposit { mailbox, token, id, envelope } = deposit;
    let token = token.hash();
    if let Some(wait) = relay.doors.wait(mailbox, &token) {
        return answering.turn_away(TurnedAway::Door, refused_for(RefusedReason::TooFast, TOO_FAST, wait));
    }
    let Some(held) = connection.address().hold(envelope.len()) else {
        return answering.turn_away(TurnedAway::BytesInWork, too_much_in_work());
    };
    let Some(turn) = relay.patience.take_turn() else {
        return answering.turn_away(TurnedAway::Patience, storage(StorageError::Busy));
    };
    let (held, doors, bytes) = ((held, turn), relay.doors.clone(), envelope.len());
    let put = Put { mailbox, token, id, envelope };
    relay.queue.append_then(put, relay.time.now(), move |stored| {
        drop(held);
        reach(Step::Answering);
        let answer = match stored {
            Ok(_) => {
                doors.stored(mailbox, &token, bytes);
                Answer::Stored // which number is its owner's business
            }
            Err(error @ AppendError::NoSuchDoor) => refused(RefusedReason::NoSuchDoor, error.to_string()),
            Err(AppendError::Full(full)) => refused_for(RefusedReason::MailboxFull, full.to_string(), FULL_RETRY),
            Err(AppendError::NoSpace) => no_space(),
            Err(AppendError::Storage(error)) => storage(error),
        };
        answering.metrics.deposited(match &answer {
            Answer::Refused(refused) => Err(refused.reason),
            _ => Ok(()),
        });
        answering.say(answer);
    });
}
