//! Bare envelopes through a relay: one connection deposits, another drains.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding, prove_mailbox};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DepositId, MailboxId, Seq, Token};
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::RELAY_ALPN;
use hushwire_proto::net::call::{Connection, Pushes};
use hushwire_proto::relay::{Answer, Deposit, Push, Request, TokenClass};
use hushwire_sim::Failure;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::said;
use crate::table::{Times, per_second};

/// A later message of some words.
pub(crate) const ENVELOPE_BYTES: usize = 1024;

/// Not counted: connections find their speed first.
pub(crate) const WARM_UP: usize = 100;

/// Envelopes between two acknowledgements.
const ACKNOWLEDGED_AT_ONCE: u64 = 32;

/// From when a deposit was written.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Until the answer that it is stored.
    pub(crate) stored: Times,
    /// Until its device had it.
    pub(crate) pushed: Times,
    pub(crate) per_second: f64,
}

/// So many, with so many under way at the same time.
pub(crate) async fn measure(relay: &ServerAddress, count: usize, in_flight: usize) -> Result<Measured, Failure> {
    let mut way = Way::open(relay).await?;
    way.run(WARM_UP, in_flight).await?;
    way.run(count, in_flight).await
}

/// A mailbox that is drained, and a connection that deposits into it.
struct Way {
    device: Connection,
    pushes: Pushes,
    sender: Connection,
    mailbox: MailboxId,
    token: Token,
    next: u64,
}

impl Way {
    async fn open(relay: &ServerAddress) -> Result<Self, Failure> {
        let key = SigningKey::from_bytes(&rand::random());
        let mailbox = MailboxId(key.verifying_key().to_bytes());
        let token = Token::generate(&mut rand::rng());
        let device = Connection::connect(relay, RELAY_ALPN, CONNECT_DEADLINE).await.map_err(said)?;
        let pushes = device.pushes().ok_or("somebody else has the pushes")?;
        let proof = prove_mailbox(SessionBinding(device.exporter(EXPORTER_LABEL, b"").map_err(said)?), &key);
        ask(&device, Request::Open { mailbox, proof }, Answer::Opened).await?;
        let tokens = vec![(token.hash(), TokenClass::Contact)];
        ask(&device, Request::Grant { mailbox, tokens }, Answer::Granted).await?;
        ask(&device, Request::Drain { mailbox, after: Seq(0) }, Answer::Draining { waiting: 0 }).await?;
        let sender = Connection::connect(relay, RELAY_ALPN, CONNECT_DEADLINE).await.map_err(said)?;
        Ok(Self { device, pushes, sender, mailbox, token, next: 0 })
    }

    async fn run(&mut self, count: usize, in_flight: usize) -> Result<Measured, Failure> {
        let mut measured = Measured::default();
        let (mut sent, mut stored, mut pushed) = (0, 0, 0);
        let mut began_at: BTreeMap<u64, Instant> = BTreeMap::new();
        let mut answers = JoinSet::new();
        let began = Instant::now();
        while stored < count || pushed < count {
            while sent < count && sent - stored.min(pushed) < in_flight {
                let (mark, request) = self.deposit()?;
                let at = Instant::now();
                let pending = self.sender.start(request).map_err(said)?;
                answers.spawn(async move { (at, pending.answer(CALL_DEADLINE).await, Instant::now()) });
                began_at.insert(mark, at);
                sent += 1;
            }
            tokio::select! {
                Some(answered) = answers.join_next() => {
                    let (at, answer, now) = answered.map_err(said)?;
                    expect(&answer.map_err(said)?, &Answer::Stored)?;
                    measured.stored.add(now - at);
                    stored += 1;
                }
                push = timeout(CALL_DEADLINE, self.pushes.next()), if pushed < count => {
                    let now = Instant::now();
                    let push = push.map_err(|_| "nothing is pushed")?.ok_or("the relay is gone")?;
                    let Push::Deliveries(deliveries) = Push::parse(&push).map_err(said)? else { continue };
                    for delivery in deliveries.deliveries {
                        let mark = u64::from_be_bytes(*delivery.envelope.bytes().first_chunk().ok_or("no mark")?);
                        let at = began_at.remove(&mark).ok_or("pushed twice")?;
                        measured.pushed.add(now - at);
                        pushed += 1;
                        self.acknowledge(delivery.seq)?;
                    }
                }
            }
        }
        measured.per_second = per_second(count, began.elapsed());
        Ok(measured)
    }

    fn deposit(&mut self) -> Result<(u64, bytes::Bytes), Failure> {
        self.next += 1;
        let mut body = vec![0xEE; ENVELOPE_BYTES];
        body.iter_mut().zip(self.next.to_be_bytes()).for_each(|(byte, of)| *byte = of);
        let envelope = Envelope::new(body.into()).map_err(said)?;
        let id = DepositId(rand::random());
        let deposit = Deposit { mailbox: self.mailbox, token: self.token.clone(), id, envelope };
        Ok((self.next, Request::Deposit(deposit).encode()))
    }

    /// Now and then, without waiting for the answer.
    fn acknowledge(&self, through: Seq) -> Result<(), Failure> {
        if through.0.is_multiple_of(ACKNOWLEDGED_AT_ONCE) {
            let request = Request::Acknowledge { mailbox: self.mailbox, through };
            drop(self.device.start(request.encode()).map_err(said)?);
        }
        Ok(())
    }
}

async fn ask(connection: &Connection, request: Request, expected: Answer) -> Result<(), Failure> {
    expect(&connection.call(request.encode(), Duration::from_secs(20)).await.map_err(said)?, &expected)
}

fn expect(answer: &bytes::Bytes, expected: &Answer) -> Result<(), Failure> {
    match Answer::parse(answer) {
        Ok(answer) if answer == *expected => Ok(()),
        other => Err(format!("{other:?} instead of {expected:?}")),
    }
}
