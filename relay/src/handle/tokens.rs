//! Who may deposit? Spec: relay §4.

use hushwire_proto::{
    ids::{MailboxId, TokenHash},
    relay::{Answer, RefusedReason, TokenClass},
};

use super::{Answering, no_space, not_open, refused, storage};
use crate::{
    connection::Connection,
    queue::{GrantError, Queue},
    service::Relay,
};

pub(super) fn grant<Q: Queue>(
    relay: &Relay<Q>,
    connection: &Connection,
    mailbox: MailboxId,
    tokens: Vec<(TokenHash, TokenClass)>,
    answering: Answering,
) {
    let Some(owned) = connection.owned(mailbox) else { return answering.say(not_open()) };
    let granted = relay.queue.grant(owned.id(), tokens);
    answering.later(async move {
        match granted.await {
            Ok(()) => Answer::Granted,
            Err(GrantError::Storage(error)) => storage(error),
            Err(GrantError::NoSpace) => no_space(),
            Err(many @ (GrantError::TooManyTokens { .. } | GrantError::TooManyMailboxes)) => {
                refused(RefusedReason::TooMany, many.to_string())
            }
        }
    });
}

pub(super) fn revoke<Q: Queue>(
    relay: &Relay<Q>,
    connection: &Connection,
    mailbox: MailboxId,
    hashes: Vec<TokenHash>,
    answering: Answering,
) {
    let Some(owned) = connection.owned(mailbox) else { return answering.say(not_open()) };
    let revoked = relay.queue.revoke(owned.id(), hashes);
    answering.later(async move { revoked.await.map_or_else(storage, |()| Answer::Revoked) });
}
