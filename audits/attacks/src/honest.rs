//! Somebody who behaves while others do not: asks at a steady pace and notes how long each answer takes.
//!
//! At a relay a device and a sender: from the deposit to its delivery, and the acknowledgement after it. At a keyserver the
//! newest root of its log, which every client asks for.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use hushwire_proto::address::{KEYSERVER_PORT, RELAY_PORT, ServerAddress};
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding, prove_mailbox};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DepositId, MailboxId, Seq, Token};
use hushwire_proto::keyserver;
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::call::{Connection, Pushes};
use hushwire_proto::relay::{Answer, Deposit, Push, Request, TokenClass};
use rand::RngExt;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::server::Kind;
use crate::{Failure, said};

/// How often a pair says something.
const EVERY: Duration = Duration::from_millis(20);

/// How often one asker asks a keyserver: less than what a connection may.
const KEYS_EVERY: Duration = Duration::from_millis(80);

/// So many pairs or askers.
const PEOPLE: usize = 4;

/// People that are there and go on until they are dropped.
pub struct Honest {
    waits: Arc<Mutex<Waits>>,
    tasks: JoinSet<Result<(), Failure>>,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct Waits {
    times: Vec<Duration>,
}

impl Honest {
    /// Connects them.
    ///
    /// # Errors
    /// Somebody could not.
    pub async fn start(kind: Kind, address: &str) -> Result<Self, Failure> {
        let (waits, stop) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for _ in 0..PEOPLE {
            let (waits, stop) = (Arc::clone(&waits), Arc::clone(&stop));
            match kind {
                Kind::Relay => {
                    let pair = Pair::connect(address).await?;
                    tasks.spawn(pair.talk(waits, stop));
                }
                Kind::Keyserver => {
                    let address = ServerAddress::parse(address, KEYSERVER_PORT).map_err(said)?;
                    let asker = Connection::connect(&address, kind.alpn(), CONNECT_DEADLINE).await.map_err(said)?;
                    tasks.spawn(ask(asker, waits, stop));
                }
            }
        }
        Ok(Self { waits, tasks, stop })
    }

    /// What the slowest of a hundred waited since this was last asked, and how many there were.
    #[must_use]
    pub fn p99(&self) -> (Duration, usize) {
        let mut times = std::mem::take(&mut self.waits.lock().unwrap_or_else(PoisonError::into_inner).times);
        times.sort_unstable();
        (times.get(times.len() * 99 / 100).copied().unwrap_or_default(), times.len())
    }

    /// Ends, and says whether anybody was let down.
    ///
    /// # Errors
    /// A connection was lost, an answer was wrong or did not come.
    pub async fn end(mut self) -> Result<(), Failure> {
        self.stop.store(true, Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(said)??;
        }
        Ok(())
    }
}

fn note(waits: &Mutex<Waits>, since: Instant) {
    waits.lock().unwrap_or_else(PoisonError::into_inner).times.push(since.elapsed());
}

struct Pair {
    device: Connection,
    pushes: Pushes,
    sender: Connection,
    mailbox: MailboxId,
    token: Token,
}

impl Pair {
    async fn connect(address: &str) -> Result<Self, Failure> {
        let address = ServerAddress::parse(address, RELAY_PORT).map_err(said)?;
        let connect = || Connection::connect(&address, Kind::Relay.alpn(), CONNECT_DEADLINE);
        let (device, sender) = (connect().await.map_err(said)?, connect().await.map_err(said)?);
        let pushes = device.pushes().ok_or("no pushes")?;
        let key = SigningKey::from_bytes(&rand::rng().random());
        let mailbox = MailboxId(key.verifying_key().to_bytes());
        let token = Token::from_slice(&rand::rng().random::<[u8; 32]>()).ok_or("no token")?;
        let binding = SessionBinding(device.exporter(EXPORTER_LABEL, &[]).map_err(said)?);
        let pair = Self { device, pushes, sender, mailbox, token };
        let opening = Request::Open { mailbox, proof: prove_mailbox(binding, &key) };
        let grant = Request::Grant { mailbox, tokens: vec![(pair.token.hash(), TokenClass::Contact)] };
        for request in [opening, grant, Request::Drain { mailbox, after: Seq(0) }] {
            said_well(&pair.device, request).await?;
        }
        Ok(pair)
    }

    async fn talk(mut self, waits: Arc<Mutex<Waits>>, stop: Arc<AtomicBool>) -> Result<(), Failure> {
        let mut clock = interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.load(Relaxed) {
            clock.tick().await;
            let began = Instant::now();
            let id: [u8; 16] = rand::rng().random();
            let mut body = vec![0; 1024];
            body.iter_mut().zip(id).for_each(|(to, byte)| *to = byte);
            let envelope = Envelope::new(body.into()).map_err(said)?;
            let (mailbox, token) = (self.mailbox, self.token.clone());
            let deposit = Request::Deposit(Deposit { mailbox, token, id: DepositId(id), envelope });
            said_well(&self.sender, deposit).await?;
            let through = self.delivered(&id).await?;
            note(&waits, began);
            said_well(&self.device, Request::Acknowledge { mailbox, through }).await?;
        }
        Ok(())
    }

    async fn delivered(&mut self, id: &[u8; 16]) -> Result<Seq, Failure> {
        loop {
            let push =
                timeout(CALL_DEADLINE, self.pushes.next()).await.map_err(said)?.ok_or("the device was cut off")?;
            let Push::Deliveries(pushed) = Push::parse(&push).map_err(said)? else { continue };
            if let Some(found) = pushed.deliveries.iter().find(|one| one.envelope.bytes().starts_with(id)) {
                return Ok(found.seq);
            }
        }
    }
}

async fn said_well(to: &Connection, request: Request) -> Result<(), Failure> {
    let answer = to.call(request.encode(), CALL_DEADLINE).await.map_err(said)?;
    match Answer::parse(&answer).map_err(said)? {
        Answer::Refused(refused) => Err(said(refused)),
        _ => Ok(()),
    }
}

async fn ask(asker: Connection, waits: Arc<Mutex<Waits>>, stop: Arc<AtomicBool>) -> Result<(), Failure> {
    let mut clock = interval(KEYS_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Relaxed) {
        clock.tick().await;
        let began = Instant::now();
        let question = keyserver::Request::GetRoot { epoch: None };
        let answer = asker.call(question.encode(), CALL_DEADLINE).await.map_err(said)?;
        let keyserver::Answer::Root(_) = keyserver::Answer::parse(&answer).map_err(said)? else {
            return Err("no root".to_owned());
        };
        note(&waits, began);
    }
    Ok(())
}
