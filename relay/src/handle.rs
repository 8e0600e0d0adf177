//! What a request does: one match, one file for each kind.
//!
//! A handler decides and takes its place in line before it returns, so that requests act in the order of their
//! arrival. What is asked all the time, deposits and acknowledgements, is answered by the queue once it is durable; only
//! what is rare has a task that waits.
//!
//! Spec: relay §3 to §9.

mod ack;
mod drain;
mod mailbox;
mod many;
mod put;
mod tokens;
mod whisper;

use std::{sync::Arc, time::Duration};

use hushwire_proto::{
    ids::MailboxId,
    limits::{ENVELOPE_BYTES_MAX, FANOUT_MAX, REQUESTS_IN_FLIGHT_MAX},
    net::serve::Reply,
    relay::{Answer, BadMessage, Limits, Refused, RefusedReason, Request, Welcome},
};

use crate::{
    connection::Connection,
    metrics::{Metrics, TurnedAway},
    pace::Asked,
    queue::{Queue, StorageError},
    service::Relay,
};

pub(crate) use self::whisper::WHISPERS_IN_WORK_MAX;

/// When to try again if too much waits to be written: a few batches later.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// When to try again if the disk is nearly full: it empties as devices fetch and envelopes expire, or by its operator.
const SPACE_RETRY: Duration = Duration::from_secs(60);

/// What a drain counts beside an acknowledgement: a reader looks at the disk for it, and there are few.
const DRAIN_COUNTS: u32 = 16;

/// What an `Open` counts beside a deposit: the proof of its signature costs as much.
const OPEN_COUNTS: usize = 16;

/// What this relay calls itself.
const SOFTWARE: &str = concat!("hushwire-relay ", env!("CARGO_PKG_VERSION"));

/// Says the one answer to a request, and counts it. Keeps nothing that would keep the queue.
pub(crate) struct Answering {
    metrics: Arc<Metrics>,
    reply: Reply,
    /// Its place among what the owners of its address have waiting, if it is for owners.
    asked: Option<Asked>,
}

impl Answering {
    pub(crate) fn new(metrics: Arc<Metrics>, reply: Reply) -> Self {
        Self { metrics, reply, asked: None }
    }

    /// At once, from any thread. Not for answers that grow with their request.
    pub(crate) fn say(self, answer: Answer) {
        self.count(&answer);
        self.reply.send_small(answer.encode());
    }

    /// Once there is room for it.
    async fn say_large(self, answer: Answer) {
        self.count(&answer);
        self.reply.send(answer.encode()).await;
    }

    /// In a task that waits for it.
    fn later(self, answer: impl Future<Output = Answer> + Send + 'static) {
        tokio::spawn(async move { self.say(answer.await) });
    }

    /// To a deposit that nobody will look at.
    fn turn_away(self, why: TurnedAway, answer: Answer) {
        if let Answer::Refused(refused) = &answer {
            self.metrics.deposited(Err(refused.reason));
        }
        self.metrics.deposits_turned_away.count(why);
        self.say(answer);
    }

    fn count(&self, answer: &Answer) {
        if let Answer::Refused(refused) = answer {
            self.metrics.refused.count(refused.reason);
        }
    }
}

/// What a request counts among those that one address may make, and at the pace of its owners.
fn counts(request: &Request, is_open: impl Fn(MailboxId) -> bool) -> (usize, Option<u32>) {
    let each = |count: usize| u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    match request {
        // Of strangers, who would slow down the owners.
        Request::Drain { mailbox, .. }
        | Request::Acknowledge { mailbox, .. }
        | Request::Revoke { mailbox, .. }
        | Request::Grant { mailbox, .. }
            if !is_open(*mailbox) =>
        {
            (1, None)
        }
        // What makes room is never refused for being too much.
        Request::Drain { .. } => (0, Some(DRAIN_COUNTS)),
        Request::Acknowledge { .. } => (0, Some(1)),
        Request::Revoke { hashes, .. } => (0, Some(each(hashes.len()))),
        Request::Grant { tokens, .. } => (tokens.len().max(1), Some(each(tokens.len()))),
        Request::DepositMany(many) => (many.doors.len(), None),
        Request::Open { .. } => (OPEN_COUNTS, None),
        Request::Hello | Request::Deposit(_) | Request::Whisper(_) => (1, None),
    }
}

pub(crate) fn handle<Q: Queue>(
    relay: &Arc<Relay<Q>>,
    connection: &Connection,
    request: Request,
    mut answering: Answering,
) {
    let (count, paced) = counts(&request, |mailbox| connection.owned(mailbox).is_some());
    let is_deposit = matches!(request, Request::Deposit(_) | Request::DepositMany(_));
    answering.asked = paced.map(|count| connection.address().pace().asks(count));
    let asked = if count > 0 { ask(connection, count, &mut answering) } else { Ok(()) };
    if let Err(wait) = asked {
        let answer = refused_for(RefusedReason::Overloaded, "more requests than one address may make", wait);
        return match is_deposit {
            true => answering.turn_away(TurnedAway::Rate, answer),
            false => answering.say(answer),
        };
    }
    if is_deposit && let Some(wait) = connection.is_turned_away(&relay.overload) {
        let answer = refused_for(RefusedReason::Overloaded, "more arrives than this relay can take", wait);
        return answering.turn_away(TurnedAway::Overload, answer);
    }
    match request {
        Request::Hello => answering.say(Answer::Welcome(welcome(relay))),
        Request::Open { mailbox, proof } => answering.say(mailbox::open(connection, mailbox, &proof)),
        Request::Grant { mailbox, tokens } => tokens::grant(relay, connection, mailbox, tokens, answering),
        Request::Revoke { mailbox, hashes } => tokens::revoke(relay, connection, mailbox, hashes, answering),
        Request::Deposit(deposit) => put::deposit(relay, connection, deposit, answering),
        Request::DepositMany(many) => many::deposit(relay, connection, many, answering),
        Request::Whisper(whisper) => whisper::whisper(relay, connection, whisper, answering),
        Request::Drain { mailbox, after } => drain::drain(relay, connection, mailbox, after, answering),
        Request::Acknowledge { mailbox, through } => ack::acknowledge(relay, connection, mailbox, through, answering),
    }
}

/// Answers what is no request, which counts as one: it costs as much to read.
pub(crate) fn malformed(connection: &Connection, bad: &BadMessage, mut answering: Answering) {
    let _ = ask(connection, 1, &mut answering); // what is wrong is said either way
    answering.say(refused(RefusedReason::BadRequest, bad.to_string()));
}

/// Counts at the address. A refusal costs something too, so who is refused over and over is slowed down; whoever heeds it never is.
fn ask(connection: &Connection, count: usize, answering: &mut Answering) -> Result<(), Duration> {
    let asked = connection.address().ask(count);
    connection.note_whether_refused(asked.is_err());
    if asked.is_err() {
        answering.asked.get_or_insert_with(|| connection.address().pace().asks(1));
    }
    asked
}

fn welcome<Q: Queue>(relay: &Relay<Q>) -> Welcome {
    let (rules, rates, doors) = (relay.queue.rules(), relay.addresses.rates(), relay.doors.rates());
    Welcome {
        now: relay.time.wall(),
        retention_seconds: rules.retention.as_secs(),
        mailbox_bytes_max: rules.mailbox_bytes_max,
        software: SOFTWARE.to_owned(),
        limits: Limits {
            envelope_bytes_max: u64::try_from(ENVELOPE_BYTES_MAX).unwrap_or(u64::MAX),
            requests_in_flight_max: u32::try_from(REQUESTS_IN_FLIGHT_MAX).unwrap_or(u32::MAX),
            fanout_max: u32::try_from(FANOUT_MAX).unwrap_or(u32::MAX),
            requests_per_second: rates.requests_per_second,
            bytes_in_flight_max: rates.bytes_in_flight.into(),
            token_per_second: doors.token_per_second,
            mailbox_per_second: doors.mailbox_per_second,
        },
    }
}

pub(crate) fn refused(reason: RefusedReason, detail: impl Into<String>) -> Answer {
    Answer::Refused(Refused { reason, detail: detail.into(), retry_after_ms: 0 })
}

fn refused_for(reason: RefusedReason, detail: impl Into<String>, retry_after: Duration) -> Answer {
    let retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX).max(1); // 0 would say: not by waiting
    Answer::Refused(Refused { reason, detail: detail.into(), retry_after_ms })
}

fn not_open() -> Answer {
    refused(RefusedReason::NotOpen, "open the mailbox on this connection first")
}

fn too_much_in_work() -> Answer {
    refused_for(RefusedReason::Overloaded, "more bytes in work than one address may have", BUSY_RETRY)
}

fn no_space() -> Answer {
    let detail = "the disk of this relay is nearly full: nothing new is taken, what is there can be fetched";
    refused_for(RefusedReason::StorageFull, detail, SPACE_RETRY)
}

fn storage(error: StorageError) -> Answer {
    match error {
        StorageError::Busy => refused_for(RefusedReason::Overloaded, error.to_string(), BUSY_RETRY),
        StorageError::Failed => refused(RefusedReason::StorageFailed, error.to_string()),
    }
}
