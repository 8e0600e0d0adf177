//! Owners of one address who ask without end for what is never refused, or seldom: nothing illegal, and of their own
//! mailboxes only.

use std::time::{Duration, Instant};

use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DepositId, MailboxId, Seq, Token, TokenHash};
use hushwire_proto::limits::{ENVELOPE_BYTES_MAX, TOKENS_PER_GRANT_MAX};
use hushwire_proto::relay::{Deposit, DepositMany, Door, Request, TokenClass};
use quinn::Endpoint;
use rand::RngExt;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Ground, address};
use crate::client::{Client, Mailbox, Told, endpoint};
use crate::{Failure, said};

/// Connections of the one address, each with as many mailboxes as it may open.
const CONNECTIONS: usize = 32;

/// Envelopes that wait in the first mailbox of each connection at first.
const ENVELOPES: usize = 400;

/// Of the largest ones that wait in each mailbox of one who will not read them, and how long they then do not.
const LARGE_ENVELOPES: usize = 4;
const DEAF_FOR: Duration = Duration::from_secs(3);

/// What comes into those of all connections in a second while they are acknowledged.
const DEPOSITS_PER_SECOND: f64 = 500.0;

/// How often somebody comes with new mailboxes.
const NEWCOMER_EVERY: Duration = Duration::from_millis(50);

/// How long such a one waits.
const NEWCOMER_WAITS: Duration = Duration::from_secs(1);

/// One connection, its mailboxes, and the token of them all.
struct Owner {
    client: Client,
    mailboxes: Vec<Mailbox>,
    token: Token,
}

impl Owner {
    /// Opens and makes as many mailboxes as a connection may.
    async fn come(ground: &Ground, by: &Endpoint) -> Result<Self, Failure> {
        Self::with(Client::connect(&ground.victim, by).await?).await
    }

    async fn with(mut client: Client) -> Result<Self, Failure> {
        let (mailboxes, token) = (Mailbox::all(), Token::from_slice(&rand::rng().random::<[u8; 32]>()));
        let token = token.ok_or("no token")?;
        let mut requests = Vec::new();
        for mailbox in &mailboxes {
            requests.push(client.opening(mailbox)?);
            let tokens = vec![(token.hash(), TokenClass::Contact)];
            requests.push(Request::Grant { mailbox: mailbox.id, tokens });
        }
        client.ask(&requests).await?;
        Ok(Self { client, mailboxes, token })
    }

    async fn all(ground: &Ground, by: &Endpoint) -> Result<Vec<Self>, Failure> {
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            all.push(Self::come(ground, by).await?);
        }
        Ok(all)
    }

    /// Where its first mailbox is deposited into.
    fn door(&self) -> Option<(MailboxId, Token)> {
        Some((self.mailboxes.first()?.id, self.token.clone()))
    }

    /// A request for each of its mailboxes.
    fn each(&self, request: impl Fn(MailboxId) -> Request) -> Vec<Request> {
        self.mailboxes.iter().map(|mailbox| request(mailbox.id)).collect()
    }
}

/// Has somebody of another address deposit. Returns their connection.
async fn filled(ground: &Ground, by: &Endpoint, owners: &[Owner]) -> Result<Client, Failure> {
    let mut sender = Client::connect(&ground.victim, by).await?;
    for (mailbox, token) in owners.iter().filter_map(Owner::door) {
        let deposits = (0..ENVELOPES).map(|_| deposit(mailbox, token.clone())).collect::<Result<Vec<_>, _>>()?;
        sender.ask(&deposits).await?;
    }
    Ok(sender)
}

fn deposit(mailbox: MailboxId, token: Token) -> Result<Request, Failure> {
    let envelope = Envelope::new(vec![7; 512].into()).map_err(said)?;
    Ok(Request::Deposit(Deposit { mailbox, token, id: DepositId(rand::rng().random()), envelope }))
}

/// In a thread and a runtime of its own, so that it takes no turns of those who behave.
fn alone(attack: impl Future<Output = Result<String, Failure>>) -> Result<String, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(said)?.block_on(attack)
}

/// Waits for all floods, and says what was done in a second; an error if one was refused what never is.
async fn judged(mut floods: JoinSet<Result<Told, Failure>>, began: Instant, what: &str) -> Result<String, Failure> {
    let mut told = Told::default();
    while let Some(flood) = floods.join_next().await {
        told = told.and(flood.map_err(said)??);
    }
    let Told { done, wrong, too_many, slighted, given, .. } = told;
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    let mut line = format!("{:.0} {what} a second", done as f64 / seconds);
    for (count, of) in [(wrong, "refused as wrong"), (too_many, "as too many"), (given, "envelopes pushed")] {
        if count > 0 {
            line += &format!(", {count} {of}");
        }
    }
    if slighted > 0 { Err(format!("{line}; {slighted} refused that never are")) } else { Ok(line) }
}

/// Those requests in turn.
fn over_and_over(requests: Vec<Request>) -> impl FnMut(&Told) -> Option<Request> + Send + 'static {
    let mut turn = 0;
    move |_| {
        turn += 1;
        requests.get(turn % requests.len()).cloned()
    }
}

pub(super) fn drains(ground: &Ground) -> Result<String, Failure> {
    alone(async {
        let (here, elsewhere) = (endpoint(address(0))?, endpoint(address(1))?);
        let owners = Owner::all(ground, &here).await?;
        let _sender = filled(ground, &elsewhere, &owners).await?;
        let (mut floods, began) = (JoinSet::new(), Instant::now());
        for owner in owners {
            let drains = owner.each(|mailbox| Request::Drain { mailbox, after: Seq(0) });
            floods.spawn(owner.client.flood(ground.until, over_and_over(drains)));
        }
        judged(floods, began, "drains").await
    })
}

pub(super) fn deaf_drains(ground: &Ground) -> Result<String, Failure> {
    alone(async {
        let (here, elsewhere) = (endpoint(address(0))?, endpoint(address(1))?);
        let mut sender = Client::connect(&ground.victim, &elsewhere).await?;
        let mut owners = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut owner = Owner::with(Client::connect_narrow(&ground.victim, &here).await?).await?;
            for _ in 0..LARGE_ENVELOPES {
                sender.ask(&[to_all(&owner)?]).await?;
            }
            let drains = owner.each(|mailbox| Request::Drain { mailbox, after: Seq(0) });
            owner.client.tell(&drains).await?;
            owners.push(owner);
        }
        sleep(ground.until.saturating_duration_since(Instant::now()).max(DEAF_FOR)).await;
        Ok(format!("{} connections that read nothing", owners.len()))
    })
}

/// One of the largest envelopes to all mailboxes of one.
fn to_all(owner: &Owner) -> Result<Request, Failure> {
    let envelope = Envelope::new(vec![7; ENVELOPE_BYTES_MAX].into()).map_err(said)?;
    let door = |mailbox: &Mailbox| Door {
        mailbox: mailbox.id,
        token: owner.token.clone(),
        id: DepositId(rand::rng().random()),
    };
    Ok(Request::DepositMany(DepositMany { envelope, doors: owner.mailboxes.iter().map(door).collect() }))
}

pub(super) fn acks(ground: &Ground) -> Result<String, Failure> {
    alone(async {
        let (here, elsewhere) = (endpoint(address(0))?, endpoint(address(1))?);
        let mut owners = Owner::all(ground, &here).await?;
        let sender = filled(ground, &elsewhere, &owners).await?;
        let doors = owners.iter().filter_map(Owner::door).collect();
        let feeding = tokio::spawn(sender.flood(ground.until, deposits(doors)));
        let (mut floods, began) = (JoinSet::new(), Instant::now());
        for owner in &mut owners {
            let drains = owner.each(|mailbox| Request::Drain { mailbox, after: Seq(0) });
            owner.client.ask(&drains).await?;
        }
        for Owner { client, mailboxes, .. } in owners {
            let mailbox = mailboxes.first().ok_or("no mailbox")?.id;
            floods.spawn(client.flood(ground.until, acknowledgements(mailbox)));
        }
        let told = judged(floods, began, "acknowledgements").await?;
        feeding.await.map_err(said)??;
        Ok(told)
    })
}

/// Into the doors in turn, as many in a second as there are to be.
fn deposits(doors: Vec<(MailboxId, Token)>) -> impl FnMut(&Told) -> Option<Request> + Send + 'static {
    let (mut turn, mut sent, began) = (doors.into_iter().cycle(), 0.0, Instant::now());
    move |_| {
        if sent > DEPOSITS_PER_SECOND * began.elapsed().as_secs_f64() {
            return None;
        }
        sent += 1.0;
        let (mailbox, token) = turn.next()?;
        deposit(mailbox, token).ok()
    }
}

/// Of each envelope by itself, of what is gone, of all that came, and of what never was.
fn acknowledgements(mailbox: MailboxId) -> impl FnMut(&Told) -> Option<Request> + Send + 'static {
    let (mut turn, mut at) = (0_u64, 0_u64);
    move |told| {
        let newest = told.newest.get(&mailbox).map_or(0, |seq| seq.0);
        turn += 1;
        let through = match turn % 8 {
            0 => newest + 1_000,
            1 => newest.saturating_sub(1_000),
            2 if turn % 1_000 == 2 => newest,
            _ => {
                at = newest.min(at + 1);
                at
            }
        };
        Some(Request::Acknowledge { mailbox, through: Seq(through) })
    }
}

pub(super) fn revokes(ground: &Ground) -> Result<String, Failure> {
    alone(async {
        let here = endpoint(address(0))?;
        let (mut floods, began) = (JoinSet::new(), Instant::now());
        for owner in Owner::all(ground, &here).await? {
            let mut requests = Vec::new();
            for mailbox in &owner.mailboxes {
                let (mailbox, known, unknown) = (mailbox.id, hashes(), hashes());
                let tokens = known.iter().map(|hash| (*hash, TokenClass::Contact)).collect();
                requests.push(Request::Grant { mailbox, tokens });
                requests.push(Request::Revoke { mailbox, hashes: known });
                requests.push(Request::Revoke { mailbox, hashes: unknown });
            }
            floods.spawn(owner.client.flood(ground.until, over_and_over(requests)));
        }
        judged(floods, began, "grants and revocations").await
    })
}

/// With a proof that is none.
fn forged(opening: Request) -> Request {
    match opening {
        Request::Open { mailbox, mut proof } => {
            proof.iter_mut().skip(40).take(1).for_each(|byte| *byte ^= 1);
            Request::Open { mailbox, proof }
        }
        other => other,
    }
}

/// As many as a request may have.
fn hashes() -> Vec<TokenHash> {
    (0..TOKENS_PER_GRANT_MAX).map(|_| TokenHash(rand::rng().random())).collect()
}

pub(super) fn mailboxes(ground: &Ground) -> Result<String, Failure> {
    alone(async {
        let here = endpoint(address(0))?;
        let (mut floods, began) = (JoinSet::new(), Instant::now());
        for owner in Owner::all(ground, &here).await? {
            let openings = owner.mailboxes.iter().map(|mailbox| owner.client.opening(mailbox));
            let again = openings.collect::<Result<_, _>>()?;
            floods.spawn(owner.client.flood(ground.until, over_and_over(again)));
            let stranger = Client::connect(&ground.victim, &here).await?;
            let openings = owner.mailboxes.iter().map(|mailbox| stranger.opening(mailbox));
            let forged = openings.map(|opening| opening.map(forged)).collect::<Result<_, _>>()?;
            floods.spawn(stranger.flood(ground.until, over_and_over(forged)));
        }
        let mut made = 0;
        while Instant::now() < ground.until {
            // One who is told to come later, or has no place, does.
            if let Ok(Ok(owner)) = timeout(NEWCOMER_WAITS, Owner::come(ground, &here)).await {
                made += owner.mailboxes.len();
            }
            sleep(NEWCOMER_EVERY).await;
        }
        let made = made as f64 / began.elapsed().as_secs_f64();
        Ok(format!("{made:.0} mailboxes made a second, {}", judged(floods, began, "openings").await?))
    })
}
