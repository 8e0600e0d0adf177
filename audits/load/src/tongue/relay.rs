//! A relay's protocol. Spec: relay.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use hushwire_proto::envelope::Envelope;
use hushwire_proto::frame::{self, Frame, RequestId};
use hushwire_proto::ids::{DepositId, MailboxId, Seq};
use hushwire_proto::relay::{
    self, Answer, Deliveries, DepositMany, Outcome, Push, Refused, RefusedReason, Request, StoredMany,
};

use super::{Deposit, Event, Many};
use crate::{Failure, said};

/// Acknowledgements have numbers from here on, so that no deposit has one.
const FIRST_ACKNOWLEDGEMENT: u64 = 1 << 63;

/// One connection to a relay: a sender's, or with a mailbox a device's.
#[derive(Debug, Default)]
pub struct Relay {
    mailbox: Option<MailboxId>,
    /// By number: through, and how many envelopes.
    acknowledging: BTreeMap<u64, (u64, u64)>,
    last: u64,
}

impl Relay {
    /// One that drains `mailbox`.
    #[must_use]
    pub fn of(mailbox: MailboxId) -> Self {
        Self { mailbox: Some(mailbox), ..Self::default() }
    }

    pub(super) fn hear(
        &mut self,
        frame: Frame,
        output: &mut BytesMut,
        on: &mut impl FnMut(Event),
    ) -> Result<(), Failure> {
        if frame.id == RequestId::PUSH {
            let Push::Deliveries(deliveries) = Push::parse(&frame.payload).map_err(said)? else {
                return Err("a whisper that nobody sent".to_owned());
            };
            return self.delivered(deliveries, output, on);
        }
        let number = frame.id.0;
        match (Answer::parse(&frame.payload).map_err(said)?, self.acknowledging.remove(&number)) {
            (Answer::Stored, None) => on(Event::Stored(number)),
            (Answer::StoredMany(many), None) => on(match refused_by_some(&many) {
                None => Event::Stored(number),
                Some(refused) => Event::Refused(number, refused),
            }),
            (Answer::Refused(refused), None) => on(Event::Refused(number, refused)),
            (Answer::Acknowledged, Some((through, count))) => on(Event::Acknowledged { through, count }),
            (answer, _) => return Err(format!("an answer that belongs to no request: {answer:?}")),
        }
        Ok(())
    }

    fn delivered(
        &mut self,
        deliveries: Deliveries,
        output: &mut BytesMut,
        on: &mut impl FnMut(Event),
    ) -> Result<(), Failure> {
        let Deliveries { mailbox, expired_through: _, deliveries } = deliveries;
        if self.mailbox != Some(mailbox) {
            return Err("a push of a mailbox that is not this device's".to_owned());
        }
        let Some(newest) = deliveries.last() else {
            on(Event::CaughtUp);
            return Ok(());
        };
        let (through, count) = (newest.seq, u64::try_from(deliveries.len()).unwrap_or(u64::MAX));
        for delivery in deliveries {
            on(Event::Delivered { seq: delivery.seq.0, body: delivery.envelope.bytes().clone() });
        }
        self.last += 1;
        let number = FIRST_ACKNOWLEDGEMENT + self.last;
        self.acknowledging.insert(number, (through.0, count));
        put(number, &Request::Acknowledge { mailbox, through: Seq(through.0) }, output)
    }
}

/// `None` if every mailbox has it.
fn refused_by_some(many: &StoredMany) -> Option<Refused> {
    let reason = many.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Stored => None,
        Outcome::Full => Some(RefusedReason::MailboxFull),
        Outcome::NoSuchDoor => Some(RefusedReason::NoSuchDoor),
        Outcome::Later => Some(RefusedReason::Overloaded),
    })?;
    Some(Refused { reason, detail: "not stored for all".to_owned(), retry_after_ms: many.retry_after_ms })
}

pub(super) fn deposit_many(many: &Many, output: &mut BytesMut) -> Result<(), Failure> {
    let envelope = Envelope::new(many.body.clone()).map_err(said)?;
    let door = |door: &Arc<super::Door>| relay::Door {
        mailbox: door.mailbox,
        token: door.token.clone(),
        id: DepositId(many.id),
    };
    let doors = many.to.iter().map(door).collect();
    put(many.number, &Request::DepositMany(DepositMany { envelope, doors }), output)
}

pub(super) fn deposit(deposit: Deposit, output: &mut BytesMut) -> Result<(), Failure> {
    let Deposit { to, number, id, body } = deposit;
    let envelope = Envelope::new(body).map_err(said)?;
    let request = relay::Deposit { mailbox: to.mailbox, token: to.token.clone(), id: DepositId(id), envelope };
    put(number, &Request::Deposit(request), output)
}

fn put(number: u64, request: &Request, output: &mut BytesMut) -> Result<(), Failure> {
    frame::encode(&Frame { id: RequestId(number), payload: request.encode() }, output).map_err(said)
}
