//! Hands over what need not arrive, or drops it. Spec: relay §9.

use std::sync::Arc;

use hushwire_proto::relay::{Answer, RefusedReason, TokenClass, Whisper, Whispered};

use super::{Answering, put, refused, storage};
use crate::{
    connection::Connection,
    metrics::Unheard,
    queue::{AppendError, Queue},
    service::Relay,
};

/// Hundredths of the queue's line from which on nothing is whispered: before anything else is shed.
const WHISPERS_SHED_AT: u64 = 25;

/// Whispers whose door is looked at, of all connections.
pub(crate) const WHISPERS_IN_WORK_MAX: usize = 64;

pub(super) fn whisper<Q: Queue>(
    relay: &Arc<Relay<Q>>,
    connection: &Connection,
    whisper: Whisper,
    answering: Answering,
) {
    if connection.deposits().is_err() {
        return answering.say(refused(RefusedReason::OwnerMayNotDeposit, put::IS_OWNER));
    }
    let metrics = relay.queue.metrics().clone();
    let has_time = !relay.overload.is_on() && metrics.pressure() < WHISPERS_SHED_AT;
    let Some(place) = has_time.then(|| relay.whispers.clone().try_acquire_owned().ok()).flatten() else {
        metrics.whispered(Err(Unheard::Shed));
        return answering.say(Answer::Passed);
    };
    let Whisper { mailbox, token, envelope } = whisper;
    let token = token.hash();
    let relay = relay.clone();
    tokio::spawn(async move {
        let door = relay.queue.door(mailbox, token).await;
        drop(place);
        match door {
            Ok(Some(TokenClass::Contact)) => {}
            // Strangers do not whisper: for them there is no such door.
            Ok(Some(TokenClass::Request) | None) => {
                return answering.say(refused(RefusedReason::NoSuchDoor, AppendError::NoSuchDoor.to_string()));
            }
            Err(error) => return answering.say(storage(error)),
        }
        // Before anybody looks who is there: neither the answer nor its time tells.
        answering.say(Answer::Passed);
        metrics.whispered(match relay.drains.ear(&mailbox) {
            None => Err(Unheard::Absent),
            Some(ear) => ear.hear(token, Whispered { mailbox, envelope }),
        });
    });
}
