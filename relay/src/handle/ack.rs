//! Forgets what its owner has kept. Spec: relay §6.

use hushwire_proto::{
    ids::{MailboxId, Seq},
    relay::{Answer, RefusedReason},
};

use super::{Later, later, not_open, now, refused, storage};
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
) -> Later {
    let Some(owned) = connection.owned(mailbox) else { return not_open(mailbox) };
    let Some(flow) = connection.drain(owned) else {
        return now(refused(RefusedReason::BadRequest, "drain the mailbox on this connection first"));
    };
    if !flow.has_given(through) {
        return now(refused(RefusedReason::BadRequest, "this was not given out on this connection"));
    }
    reach(Step::Acknowledging);
    let removed = relay.queue.remove(owned.id(), through);
    later(async move {
        match removed.await {
            Ok(()) => {
                reach(Step::Acknowledged);
                flow.acknowledged(through);
                Answer::Acknowledged
            }
            Err(error @ RemoveError::NotGivenYet { .. }) => refused(RefusedReason::BadRequest, error.to_string()),
            Err(RemoveError::Storage(error)) => storage(error),
        }
    })
}
