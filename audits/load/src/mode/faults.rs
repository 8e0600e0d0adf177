//! A relay that is killed again and again, and a ledger of what it promised.
//!
//! So many clients, each a sender and a device. A sender keeps some deposits under way and repeats under the same ids,
//! in their order, whatever was not answered before a kill. A device shows what it has not shown, and comes back either
//! where it was or, every other time, at the beginning, so that the relay is asked for what it should have forgotten.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rand::RngExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::ledger::{self, Entry, Id, Ledger, Verdict, check, control, hash};
use crate::line::Line;
use crate::report::Case;
use crate::server::Server;
use crate::target::{Kind, Target};
use crate::times::{Times, nanos, now};
use crate::tongue::{Deposit, Event, Mailbox};
use crate::{Failure, said};

/// How long the relay lives between two kills, and is away after one, in milliseconds.
const LIVES_MS: std::ops::Range<u64> = 50..1_500;
const AWAY_MS: std::ops::Range<u64> = 0..100;

/// What a relay had sent when it was killed still arrives, and counts.
const LAST_WORDS: Duration = Duration::from_millis(5);

/// Deposits that a sender has under way.
const WINDOW: usize = 16;

/// Mailboxes to which one sender sends in turn.
const FRIENDS: u32 = 4;

/// Whoever was not answered for so long connects anew.
const SILENCE: Duration = Duration::from_secs(10);

/// How long everything may take to arrive once nobody is killed any more.
const QUIET: Duration = Duration::from_secs(120);

/// Between two tries to connect to a relay that is away.
const PAUSE: Duration = Duration::from_millis(20);

/// Id, sender, mailbox and number, at the beginning of a body.
const HEAD_BYTES: usize = 32;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Each a sender and a device.
    pub clients: u32,
    /// How many deposits are to be answered stored before it ends.
    pub stored: u64,
    /// How many kills there must have been as well.
    pub kills: u64,
    /// Bytes of an envelope.
    pub bytes: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The checker's.
    pub verdict: Verdict,
    /// Breaches that the checker would not have found.
    pub missed: Vec<String>,
    /// Figures.
    pub case: Case,
}

/// What all clients share.
struct Storm {
    ledger: Ledger,
    mailboxes: Vec<Mailbox>,
    bytes: usize,
    /// The relay of now; `None` while it is away. Every change ends every connection.
    relay: watch::Receiver<Option<Target>>,
    /// Nothing new is sent.
    enough: AtomicBool,
    intents: AtomicU64,
    stored: AtomicU64,
    shown: AtomicU64,
    /// When the relay was back, until the first answer after that.
    back: AtomicU64,
    first_answers: Times,
}

/// Kills and judges. The relay's files and the ledger are left in `dir`.
///
/// # Errors
/// The relay does not come back, or not everything arrives.
pub async fn run(dir: &Path, plan: Plan) -> Result<Outcome, Failure> {
    let path = dir.join("ledger");
    std::fs::create_dir_all(dir).map_err(said)?;
    let (say, relay) = watch::channel(None);
    let storm = Arc::new(Storm {
        ledger: Ledger::create(&path)?,
        mailboxes: (0..plan.clients).map(Mailbox::new).collect(),
        bytes: plan.bytes,
        relay,
        enough: AtomicBool::new(false),
        intents: AtomicU64::new(0),
        stored: AtomicU64::new(0),
        shown: AtomicU64::new(0),
        back: AtomicU64::new(0),
        first_answers: Times::default(),
    });
    let server = Server::start(Kind::Relay, &dir.join("relay"))?;
    let target = Target::of(&server)?;
    // Tokens are granted in peace, so that no deposit comes before its door is there.
    for mailbox in &storm.mailboxes {
        Line::owner(&target, mailbox).await?;
    }
    say.send_replace(Some(target));
    let clients = (0..plan.clients)
        .flat_map(|index| [tokio::spawn(send(storm.clone(), index)), tokio::spawn(receive(storm.clone(), index))]);
    let clients: Vec<_> = clients.collect();

    let began = Instant::now();
    let (restarts, kills) = (Times::default(), rage(&storm, server, &say, plan));
    let (server, kills) = kills.await.map(|(server, kills, times)| {
        times.iter().for_each(|time| restarts.add(*time));
        (server, kills)
    })?;
    let raged = began.elapsed();
    storm.enough.store(true, Relaxed);
    let quiet = Instant::now();
    while storm.shown.load(Relaxed) < storm.intents.load(Relaxed) && quiet.elapsed() < QUIET {
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_millis(200)).await; // what comes too often comes now
    drop(say);
    for client in clients {
        client.await.map_err(said)?;
    }
    drop(server);
    storm.ledger.close()?;
    let entries = ledger::read(&path)?;
    let (verdict, missed) = (check(&entries), control(&entries));
    let broken = verdict.broken.values().map(|(count, _)| *count).sum::<usize>();
    let case = Case::new("relay")
        .with("stored and answered", verdict.stored as f64)
        .with("tries", verdict.tries as f64)
        .with("given on the wire", verdict.given as f64)
        .with("shown", verdict.shown as f64)
        .with("kills", kills as f64)
        .with("stored/s under kills", verdict.stored as f64 / raged.as_secs_f64())
        .with_times("restart", &restarts)
        .with_times("back until first answer", &storm.first_answers)
        .with("until all had arrived s", quiet.elapsed().as_secs_f64())
        .with("violations", broken as f64);
    Ok(Outcome { verdict, missed, case })
}

/// Kills and restarts until enough is stored. Returns how long each restart took, in nanoseconds.
async fn rage(
    storm: &Storm,
    mut server: Server,
    say: &watch::Sender<Option<Target>>,
    plan: Plan,
) -> Result<(Server, u64, Vec<u64>), Failure> {
    let (mut kills, mut restarts) = (0, Vec::new());
    let dir = server.dir().to_owned();
    while storm.stored.load(Relaxed) < plan.stored || kills < plan.kills {
        sleep(Duration::from_millis(rand::rng().random_range(LIVES_MS))).await;
        server.kill();
        storm.ledger.note(Entry::Killed);
        sleep(LAST_WORDS).await;
        say.send_replace(None);
        sleep(Duration::from_millis(rand::rng().random_range(AWAY_MS))).await;
        let began = Instant::now();
        let at = dir.clone();
        let started = tokio::task::spawn_blocking(move || Server::start(Kind::Relay, &at));
        server = started.await.map_err(said)??;
        restarts.push(nanos(began.elapsed()));
        storm.back.store(now(), Relaxed);
        say.send_replace(Some(Target::of(&server)?));
        kills += 1;
    }
    Ok((server, kills, restarts))
}

/// One envelope that is to be deposited.
struct Letter {
    number: u64,
    to: Mailbox,
    id: Id,
    body: Bytes,
}

async fn send(storm: Arc<Storm>, sender: u32) {
    let mut relay = storm.relay.clone();
    let (mut waiting, mut next) = (VecDeque::new(), 1);
    while let Some(target) = present(&mut relay).await {
        let connected = tokio::select! {
            _ = relay.changed() => continue, // nobody says that the relay of a handshake is gone
            connected = Line::sender(&target) => connected,
        };
        let Ok(line) = connected else {
            sleep(PAUSE).await;
            continue;
        };
        let (heard, mut hears) = mpsc::unbounded_channel();
        let (mouth, running) = line.start(move |event| _ = heard.send(event));
        let mut said = 0; // of those that wait, over this connection
        loop {
            while waiting.len() < WINDOW && !storm.enough.load(Relaxed) {
                waiting.push_back(storm.letter(sender, next));
                next += 1;
            }
            for letter in waiting.iter().skip(said) {
                storm.intends(sender, letter);
                let (to, body) = (letter.to.door.clone(), letter.body.clone());
                let _ = mouth.send(Deposit { to, number: letter.number, id: letter.id, body });
                said += 1;
            }
            let event = tokio::select! {
                biased; // an answer that was heard counts, also if the relay is killed by now
                event = timeout(SILENCE, hears.recv()), if !waiting.is_empty() => event,
                _ = relay.changed() => break,
            };
            let Ok(Some(Event::Stored(number))) = event else { break }; // lost, or refused: anew, from the first
            storm.is_stored(sender, number);
            if let Some(at) = waiting.iter().position(|letter: &Letter| letter.number == number) {
                waiting.remove(at);
                said -= 1;
            }
        }
        running.abort();
    }
}

async fn receive(storm: Arc<Storm>, index: u32) {
    let mut relay = storm.relay.clone();
    let (mut shown, mut kept, mut times) = (HashSet::new(), 0, 0_u64);
    let Some(mailbox) = storm.mailboxes.get(usize::try_from(index).unwrap_or(usize::MAX)) else { return };
    while let Some(target) = present(&mut relay).await {
        times += 1;
        let after = if times.is_multiple_of(2) { 0 } else { kept };
        let connected = tokio::select! {
            _ = relay.changed() => continue,
            connected = Line::drain(&target, mailbox, after) => connected,
        };
        let Ok(line) = connected else {
            sleep(PAUSE).await;
            continue;
        };
        let (_mouth, deposits) = mpsc::unbounded_channel();
        let heard = |event| match event {
            Event::Delivered { seq, body } => {
                let id = body.first_chunk().copied().unwrap_or_default();
                storm.ledger.note(Entry::Given { mailbox: index, seq, id, hash: hash(&body) });
                if shown.insert(id) {
                    storm.ledger.note(Entry::Shown { mailbox: index, id });
                    storm.shown.fetch_add(1, Relaxed);
                }
                kept = seq.max(kept);
            }
            Event::Acknowledged { through, count: _ } => {
                storm.ledger.note(Entry::Acknowledged { mailbox: index, through });
            }
            Event::CaughtUp | Event::Stored(_) | Event::Refused(..) => {}
        };
        tokio::select! {
            _ = relay.changed() => {}
            _ = line.run(deposits, heard) => {}
        }
    }
}

/// The relay, once it is there; `None` when the storm is over.
async fn present(relay: &mut watch::Receiver<Option<Target>>) -> Option<Target> {
    let target = relay.wait_for(Option::is_some).await.ok()?.clone();
    relay.has_changed().is_ok().then_some(target)?
}

impl Storm {
    fn letter(&self, sender: u32, number: u64) -> Letter {
        let friend = sender + 1 + u32::try_from(number % u64::from(FRIENDS)).unwrap_or(0);
        let count = self.mailboxes.len().max(1);
        let to = self.mailboxes.iter().cycle().nth(usize::try_from(friend).unwrap_or(0) % count);
        let to = to.cloned().unwrap_or_else(|| Mailbox::new(0));
        let id: Id = rand::random();
        let mut body = BytesMut::with_capacity(self.bytes);
        body.put_slice(&id);
        body.put_u32(sender);
        body.put_u32(to.door.index);
        body.put_u64(number);
        let filling = (&id[..]).get_u64().wrapping_add(number);
        while body.len() < self.bytes.max(HEAD_BYTES) {
            body.put_u64(filling.wrapping_mul(u64::try_from(body.len()).unwrap_or(1)));
        }
        self.intents.fetch_add(1, Relaxed);
        Letter { number, to, id, body: body.freeze() }
    }

    fn intends(&self, sender: u32, letter: &Letter) {
        let Letter { number, to, id, body } = letter;
        let (mailbox, hash) = (to.door.index, hash(body));
        self.ledger.note(Entry::Intent { sender, mailbox, number: *number, id: *id, hash });
    }

    fn is_stored(&self, sender: u32, number: u64) {
        self.ledger.note(Entry::Stored { sender, number });
        self.stored.fetch_add(1, Relaxed);
        let back = self.back.swap(0, Relaxed);
        if back > 0 {
            self.first_answers.since(back);
        }
    }
}
