//! Whether a relay stays as fast as it grows: with more connections, with more mailboxes, and with more envelopes that
//! wait, also after it was killed and opens what it has.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pairs::{self, Pace, Plan};
use super::{mailboxes, offline};
use crate::Failure;
use crate::report::{Case, Report};
use crate::server::Server;
use crate::target::{Kind, Target};
use crate::tongue::Mailbox;
use crate::usage::Process;

/// How far it goes.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How long each row is measured, for rates and again for times.
    measured: Duration,
    /// Connections, half of them senders.
    connections: &'static [u32],
    /// Mailboxes that exist.
    mailboxes: &'static [u32],
    /// Envelopes that wait, in ten thousand mailboxes or fewer.
    waiting: &'static [u32],
}

impl Size {
    /// A relay of a town. Some fifteen minutes.
    pub const WHOLE: Self = Self {
        measured: Duration::from_secs(5),
        connections: &[2, 10, 100, 1000, 10_000],
        mailboxes: &[1000, 100_000, 1_000_000],
        waiting: &[10_000, 1_000_000, 10_000_000],
    };
    /// The same in little.
    pub const QUICK: Self = Self {
        measured: Duration::from_secs(1),
        connections: &[2, 10, 100],
        mailboxes: &[100, 1000],
        waiting: &[1000, 100_000],
    };
}

/// Messages under way in all pairs together, at most 16 in each.
const UNDER_WAY: u32 = 1600;

/// Messages in a second while times are measured.
const RATE: u64 = 1000;

/// Pairs that measure where something else grows.
const PAIRS: u32 = 50;

/// Mailboxes in which envelopes wait.
const WAITING_MAILBOXES: u32 = 10_000;

/// The smallest envelope: what grows is their number.
const WAITING_BYTES: usize = 512;

/// Deposits spread over all mailboxes that exist.
const SPREAD: usize = 20_000;

/// Measures three tables, each at a relay of its own within `dir`.
///
/// # Errors
/// The relay does not start, or somebody could not connect.
pub async fn run(dir: &Path, size: Size, bytes: usize) -> Result<Vec<Report>, Failure> {
    let connections = connections(&dir.join("connections"), size, bytes).await?;
    let mailboxes = many_mailboxes(&dir.join("mailboxes"), size, bytes).await?;
    let waiting = waiting(&dir.join("waiting"), size, bytes).await?;
    Ok(vec![
        Report::new("connections, all of them busy", connections),
        Report::new("mailboxes that exist", mailboxes),
        Report::new(format!("envelopes of {WAITING_BYTES} bytes that wait"), waiting),
    ])
}

async fn connections(dir: &Path, size: Size, bytes: usize) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for count in size.connections {
        let server = Server::start(Kind::Relay, dir)?; // its own, so that what was freed is not counted
        let case = probe(&Target::of(&server)?, count.to_string(), (count / 2).max(1), size, bytes).await?;
        cases.push(case);
        drop(server);
        std::fs::remove_dir_all(dir).map_err(crate::said)?;
    }
    Ok(cases)
}

async fn many_mailboxes(dir: &Path, size: Size, bytes: usize) -> Result<Vec<Case>, Failure> {
    let server = Server::start(Kind::Relay, dir)?;
    let target = Target::of(&server)?;
    let mut made: Vec<Mailbox> = Vec::new();
    let mut cases = Vec::new();
    for count in size.mailboxes {
        let there = u32::try_from(made.len()).unwrap_or(u32::MAX);
        let began = Instant::now();
        made.extend(mailboxes::make(&target, there, count.saturating_sub(there)).await?);
        let took = began.elapsed().as_secs_f64();
        // One in so many of them, so that what is touched is spread over all.
        let step = made.len().div_ceil(SPREAD).max(1);
        let some = Arc::new(made.iter().step_by(step).cloned().collect());
        let stored = offline::fill(&target, &some, u64::try_from(SPREAD).unwrap_or(u64::MAX), bytes).await?;
        let case = probe(&target, count.to_string(), PAIRS, size, bytes).await?;
        cases.push(
            case.with("made/s", f64::from(count.saturating_sub(there)) / took)
                .with("spread over all: stored p99 ms", stored.quantile(0.99)),
        );
    }
    Ok(cases)
}

async fn waiting(dir: &Path, size: Size, bytes: usize) -> Result<Vec<Case>, Failure> {
    let mut server = Server::start(Kind::Relay, dir)?;
    let mut target = Target::of(&server)?;
    let most = size.waiting.iter().max().copied().unwrap_or_default();
    let boxes = WAITING_MAILBOXES.min(most / 100).max(1);
    let mailboxes = mailboxes::make(&target, 0, boxes).await?;
    let (mut cases, mut in_each) = (Vec::new(), 0);
    for (count, mailbox) in size.waiting.iter().zip(&mailboxes) {
        let each = (count / boxes).saturating_sub(in_each);
        in_each += each;
        let began = Instant::now();
        mailboxes::fill(&target, &mailboxes, each, WAITING_BYTES).await?;
        let filled = f64::from(each * boxes) / began.elapsed().as_secs_f64();
        server.kill();
        let began = Instant::now();
        server = Server::start(Kind::Relay, dir)?;
        let opened = began.elapsed().as_secs_f64();
        let memory = Process::of(server.pid()).memory_kib / 1024.0;
        target = Target::of(&server)?;
        let began = Instant::now();
        let drained = offline::drain(&target, mailbox, in_each.into()).await?; // another one in each row
        let drained = drained as f64 / began.elapsed().as_secs_f64();
        let case = probe(&target, count.to_string(), PAIRS, size, bytes).await?;
        cases.push(
            case.with("filled/s", filled)
                .with("one mailbox drained/s", drained)
                .with("opened after a kill in s", opened)
                .with("memory when opened MiB", memory)
                .with("disk MiB", crate::usage::disk_bytes(dir) / 1024.0 / 1024.0),
        );
    }
    Ok(cases)
}

/// As fast as it goes, and then the times of a message at a rate that is far from it.
async fn probe(target: &Target, name: String, pairs: u32, size: Size, bytes: usize) -> Result<Case, Failure> {
    let window = u64::from((UNDER_WAY / pairs).clamp(1, 16));
    let plan = |pace| Plan { pairs, pace, bytes, warm_up: size.measured / 4, measured: size.measured };
    let fast = pairs::run(target, plan(Pace::Closed(window))).await?;
    let calm = pairs::run(target, plan(Pace::Open(RATE))).await?;
    let of = |case: &Case, name: &str| case.figure(name).unwrap_or(f64::NAN);
    Ok(Case::new(name)
        .with("messages/s", of(&fast, "messages/s"))
        .with("server cpu us/message", of(&fast, "server cpu us/message"))
        .with("delivered p50 ms", of(&calm, "delivered p50 ms"))
        .with("delivered p99 ms", of(&calm, "delivered p99 ms"))
        .with("server memory MiB", of(&fast, "server memory MiB"))
        .with("others' cpu %", of(&calm, "others' cpu %")))
}
