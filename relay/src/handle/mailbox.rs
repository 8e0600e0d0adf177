//! Whose mailbox is this? Spec: relay §3.

use hushwire_proto::{
    auth::{BadProof, SignatureBytes},
    ids::MailboxId,
    limits::MAILBOXES_PER_CONNECTION_MAX,
    relay::{Answer, RefusedReason},
};

use super::refused;
use crate::connection::{Connection, OpenRefused};

/// Makes nothing on disk: a mailbox that was never granted a token costs nothing.
pub(super) fn open(connection: &Connection, mailbox: MailboxId, proof: &SignatureBytes) -> Answer {
    match connection.open(mailbox, proof) {
        Ok(()) => Answer::Opened,
        Err(OpenRefused::BadProof) => refused(RefusedReason::BadProof, BadProof.to_string()),
        Err(OpenRefused::Sender) => {
            refused(RefusedReason::OwnerMayNotDeposit, "this connection has deposited; open mailboxes on another one")
        }
        Err(OpenRefused::TooMany) => refused(
            RefusedReason::TooMany,
            format!("a connection has at most {MAILBOXES_PER_CONNECTION_MAX} mailboxes open"),
        ),
    }
}
