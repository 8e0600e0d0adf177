//! One attack on one server while people use it, and the verdict.

use std::time::{Duration, Instant};

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
    /// What the attacker saw.
    pub told: String,
    /// What must not be.
    pub wrong: Vec<String>,
}

/// Runs it on a server of its own.
///
/// # Errors
/// The server does not run, or nobody can use it before anything is done to it.
pub async fn run(kind: Kind, attack: &'static Attack, seconds: u64) -> Result<Trial, Failure> {
    let dir = tempfile::tempdir().map_err(said)?;
    let mut server = Server::start(kind, dir.path())?;
    let people = Honest::start(kind, server.address()).await?;
    let span = Duration::from_secs(seconds);
    sleep(Duration::from_secs(1)).await;
    let _ = people.p99(); // the first answers warm everything up
    sleep(span).await;
    let (before, asked) = people.p99();
    if asked == 0 {
        return Err("nobody was answered before the attack".to_owned());
    }
    let at_first = server.usage()?;
    let ground = Ground { victim: Victim::new(server.address(), kind.alpn())?, until: Instant::now() + span };
    let attacker = tokio::task::spawn_blocking(move || (attack.run)(&ground));
    let (mut most, began) = (at_first, Instant::now());
    while !attacker.is_finished() || began.elapsed() < span {
        sleep(Duration::from_millis(100)).await;
        if let Ok(now) = server.usage() {
            most = Use { memory_kib: most.memory_kib.max(now.memory_kib), ..now };
        }
    }
    let lasted = began.elapsed().as_secs_f64();
    let (during, answered) = people.p99();
    let mut wrong = Vec::new();
    let told = attacker.await.map_err(said)?.unwrap_or_else(|told| {
        wrong.push("the attacker saw what must not be".to_owned());
        told
    });
    if answered == 0 {
        wrong.push("nobody was answered".to_owned());
    }
    if let Err(let_down) = people.end().await {
        wrong.push(format!("somebody was let down: {let_down}"));
    }
    let left = afterwards(&mut server, at_first, &mut wrong).await;
    let memory_kib = most.memory_kib.saturating_sub(at_first.memory_kib);
    if memory_kib > MEMORY_KIB_MAX {
        wrong.push(format!("{} MiB more", memory_kib / 1024));
    }
    if during > SHORT && during.as_secs_f64() > SLOWER_MAX * before.as_secs_f64() {
        wrong.push(format!("people waited {:.1} times as long", during.as_secs_f64() / before.as_secs_f64()));
    }
    if server.log().contains("panicked") {
        wrong.push("it panicked".to_owned());
    }
    let cores = most.ticks.saturating_sub(at_first.ticks) as f64 / 100.0 / lasted;
    Ok(Trial { name: attack.name, memory_kib, memory_left_kib: left, cores, before, during, told, wrong })
}

/// Waits until nothing is left of it. Returns the memory that is, in KiB.
async fn afterwards(server: &mut Server, at_first: Use, wrong: &mut Vec<String>) -> u64 {
    if !server.is_alive() {
        wrong.push("it ended".to_owned());
        return 0;
    }
    if let Err(failure) = newcomer(server).await {
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

async fn newcomer(server: &Server) -> Result<(), Failure> {
    let address = ServerAddress::parse(server.address(), KEYSERVER_PORT).map_err(said)?;
    Connection::connect(&address, server.kind().alpn(), CONNECT_DEADLINE).await.map(|_| ()).map_err(said)
}
