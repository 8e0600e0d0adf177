//! Forgets what its owner has kept. Spec: relay §6.

use hushwire_proto::{
    ids::{MailboxId, Seq},
    relay::{Answer, RefusedReason},
};

use super::{Answering, not_open, refused, storage};
use crate::{
    connection::Connection,
    fail_points::{Step, reach},
    queue::{Queue, RemoveError},
    service::Relay,
};

pub(super) fn acknowledge<Q: Queue>(
    relay: &Relay<Q>,
    connection: &Connection,
    mailbox: MailboxId,
    through: Seq,
    answering: Answering,
) {
    let Some(owned) = connection.owned(mailbox) else { return answering.say(not_open()) };
    let Some(flow) = connection.drain(owned) else {
        return answering.say(refused(RefusedReason::BadRequest, "drain the mailbox on this connection first"));
    };
    if !flow.has_given(through) {
        return answering.say(refused(RefusedReason::BadRequest, "this was not given out on this connection"));
    }
    if flow.has_acknowledged(through) {
        return answering.say(Answer::Acknowledged); // it is gone already: nothing for the queue to do
    }
    reach(Step::Acknowledging);
    relay.queue.remove_then(owned.id(), through, move |removed| {
        answering.say(match removed {
            Ok(()) => {
                reach(Step::Acknowledged);
                flow.acknowledged(through);
                Answer::Acknowledged
            }
            Err(error @ RemoveError::NotGivenYet { .. }) => refused(RefusedReason::BadRequest, error.to_string()),
            Err(RemoveError::Storage(error)) => storage(error),
        });
    });
}
