//! One attack on one server while people use it, and the verdict.

use std::time::{Duration, Instant};

use hushwire_load::usage::Span;
use hushwire_proto::address::{KEYSERVER_PORT, ServerAddress};
use hushwire_proto::limits::CONNECT_DEADLINE;
use hushwire_proto::net::call::Connection;
use tokio::time::sleep;

use crate::attack::{Attack, Ground};
use crate::honest::Honest;
use crate::peer::Victim;
use crate::server::{Kind, Server, Use};
use crate::{Failure, said};

/// What an attack may make a server hold.
pub const MEMORY_KIB_MAX: u64 = 64 * 1024;

/// How many times as long as before people may wait.
pub const SLOWER_MAX: f64 = 2.0;

/// Below this nobody waits long: on a busy machine one turn of another process is as much.
pub const SHORT: Duration = Duration::from_millis(10);

/// Per cent of a core beyond which others had the machine too, and how often what was slow then is tried.
pub const OTHERS_PERCENT: f64 = 5.0;
const TRIES: usize = 4;

/// Everything of an attack is gone after this: idle connections take the longest.
const BACK_TO_NORMAL: Duration = Duration::from_secs(100);

/// What was seen.
#[derive(Debug)]
pub struct Trial {
    /// Which attack.
    pub name: &'static str,
    /// KiB more than before, at their most.
    pub memory_kib: u64,
    /// KiB more than before, at the end.
    pub memory_left_kib: u64,
    /// Cores that the server used.
    pub cores: f64,
    /// What people waited before it, of a hundred the slowest.
    pub before: Duration,
    /// And while it ran.
    pub during: Duration,
    /// Per cent of a core that others took meanwhile, as far as this machine knows.
    pub others: f64,
    /// What the attacker saw.
    pub told: String,
    /// What must not be.
    pub wrong: Vec<String>,
    /// The same, of how long people waited and whether they were served.
    pub slow: Vec<String>,
}

/// Runs it on a server of its own; a few times if people wait too long while others have the machine too.
///
/// # Errors
/// The server does not run, or nobody can use it before anything is done to it.
pub async fn run(kind: Kind, attack: &'static Attack, seconds: u64) -> Result<Trial, Failure> {
    let mut trial = once(kind, attack, seconds).await?;
    for _ in 1..TRIES {
        if !trial.wrong.is_empty() || trial.slow.is_empty() || trial.others <= OTHERS_PERCENT {
            break;
        }
        trial = once(kind, attack, seconds).await?;
    }
    Ok(trial)
}

async fn once(kind: Kind, attack: &'static Attack, seconds: u64) -> Result<Trial, Failure> {
    let dir = tempfile::tempdir().map_err(said)?;
    let mut server = Server::start(kind, dir.path())?;
    let people = Honest::start(kind, server.address()).await?;
    let span = Duration::from_secs(seconds);
    sleep(Duration::from_secs(1)).await;
    let _ = people.p99(); // the first answers warm everything up
    let machine = Span::begin(Some(server.pid()));
    sleep(span).await;
    let (before, asked) = people.p99();
    if asked == 0 {
        return Err("nobody was answered before the attack".to_owned());
    }
    let at_first = server.usage()?;
    let ground = Ground { victim: Victim::new(server.address(), kind.alpn())?, until: Instant::now() + span };
    let attacker = tokio::task::spawn_blocking(move || (attack.run)(&ground));
    let (mut most, began) = (at_first, Instant::now());
    let came = tokio::spawn(newcomer(kind, server.address().to_owned(), span / 2));
    while !attacker.is_finished() || began.elapsed() < span {
        sleep(Duration::from_millis(100)).await;
        if let Ok(now) = server.usage() {
            most = Use { memory_kib: most.memory_kib.max(now.memory_kib), ..now };
        }
    }
    let lasted = began.elapsed().as_secs_f64();
    let (during, answered) = people.p99();
    let others = machine.end().others;
    let (mut wrong, mut slow) = (Vec::new(), Vec::new());
    let told = attacker.await.map_err(said)?.unwrap_or_else(|told| {
        wrong.push("the attacker saw what must not be".to_owned());
        told
    });
    if answered == 0 {
        wrong.push("nobody was answered".to_owned());
    }
    if let Err(failure) = came.await.map_err(said)? {
        slow.push(format!("a newcomer could not come: {failure}"));
    }
    if let Err(let_down) = people.end().await {
        slow.push(format!("somebody was let down: {let_down}"));
    }
    let left = afterwards(&mut server, at_first, &mut wrong).await;
    let memory_kib = most.memory_kib.saturating_sub(at_first.memory_kib);
    if memory_kib > MEMORY_KIB_MAX {
        wrong.push(format!("{} MiB more", memory_kib / 1024));
    }
    if during > SHORT && during.as_secs_f64() > SLOWER_MAX * before.as_secs_f64() {
        slow.push(format!("people waited {:.1} times as long", during.as_secs_f64() / before.as_secs_f64()));
    }
    if server.log().contains("panicked") {
        wrong.push("it panicked".to_owned());
    }
    let cores = most.ticks.saturating_sub(at_first.ticks) as f64 / 100.0 / lasted;
    Ok(Trial { name: attack.name, memory_kib, memory_left_kib: left, cores, before, during, others, told, wrong, slow })
}

/// Waits until nothing is left of it. Returns the memory that is, in KiB.
async fn afterwards(server: &mut Server, at_first: Use, wrong: &mut Vec<String>) -> u64 {
    if !server.is_alive() {
        wrong.push("it ended".to_owned());
        return 0;
    }
    if let Err(failure) = newcomer(server.kind(), server.address().to_owned(), Duration::ZERO).await {
        wrong.push(format!("afterwards nobody could come: {failure}"));
    }
    let deadline = Instant::now() + BACK_TO_NORMAL;
    loop {
        let Ok(now) = server.usage() else {
            wrong.push("it ended".to_owned());
            return 0;
        };
        // The people left too, so that there are no more files than when they were there.
        if now.files <= at_first.files + 2 {
            return now.memory_kib.saturating_sub(at_first.memory_kib);
        }
        if Instant::now() > deadline {
            wrong.push(format!("{} files are open and were {}", now.files, at_first.files));
            return now.memory_kib.saturating_sub(at_first.memory_kib);
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// Connects after a while.
async fn newcomer(kind: Kind, address: String, after: Duration) -> Result<(), Failure> {
    sleep(after).await;
    let address = ServerAddress::parse(&address, KEYSERVER_PORT).map_err(said)?;
    Connection::connect(&address, kind.alpn(), CONNECT_DEADLINE).await.map(|_| ()).map_err(said)
}
