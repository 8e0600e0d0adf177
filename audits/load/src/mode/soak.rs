//! A long time at a load that can be sustained, with everybody coming and going: whether anything grows, and whether
//! anything that was stored is lost.

mod churn;
mod promise;
mod sample;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use self::churn::Town;
use self::promise::Promises;
use self::sample::{Sample, Table};
use super::capacity::sustained;
use super::crowd::{Crowd, Guests};
use super::pairs::{self, Pace};
use super::{mailboxes, until};
use crate::Failure;
use crate::judgement::{Bound, Judgement};
use crate::report::Case;
use crate::server::Server;
use crate::target::Target;
use crate::usage::{Process, disk_bytes};

/// Of C: what an operator should not exceed for long.
const OF_CAPACITY: f64 = 0.7;

/// How long C is measured for each rate that is tried.
const MEASURED: Duration = Duration::from_secs(5);

/// How often is looked.
const EVERY: Duration = Duration::from_secs(5);

/// How long whatever is still owed may take to come when nothing more is sent.
const TAIL: Duration = Duration::from_secs(120);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// How long.
    pub lasts: Duration,
    /// Senders, and as many devices.
    pub pairs: u32,
    /// Messages in a second; `None`: seven tenths of what is sustained, which is measured first.
    pub rate: Option<f64>,
    /// Bytes of an envelope.
    pub bytes: usize,
    /// Where the table and the pictures go.
    pub out: &'a Path,
}

/// Soaks, draws and judges.
///
/// # Errors
/// Somebody could not connect at first, or a file could not be written.
pub async fn run(server: &Server, plan: Plan<'_>) -> Result<(Case, Vec<Judgement>), Failure> {
    let Plan { lasts, pairs, rate, bytes, out } = plan;
    let target = Target::of(server)?;
    let mut table = Table::create(out)?;
    let rate = match rate {
        Some(rate) => rate,
        None => OF_CAPACITY * capacity(&target, pairs, bytes).await?,
    };
    let town = Arc::new(Town::new(target.clone(), bytes));
    let mut everybody = JoinSet::new();
    everybody.spawn(churn::visitors(town.clone()));
    let pause = Duration::from_secs_f64(f64::from(pairs) / rate.max(1.0));
    let mut promises = Vec::new();
    for mailbox in mailboxes::make(&target, 0, pairs).await? {
        let promised = Arc::new(Promises::default());
        everybody.spawn(churn::device(town.clone(), mailbox.clone(), promised.clone()));
        everybody.spawn(churn::sender(town.clone(), mailbox, promised.clone(), pause));
        promises.push(promised);
    }
    watch(server, &town, lasts, &mut table).await?;
    town.no_more.store(true, Relaxed);
    let owed = || promises.iter().map(|promises| promises.owed()).sum::<u64>();
    sleep(EVERY).await; // the last answers
    until(TAIL, || owed() == 0).await;
    town.over.store(true, Relaxed);
    while everybody.join_next().await.is_some() {}
    table.draw(out)?;
    let wrong: u64 = promises.iter().map(|promises| promises.wrong()).sum();
    let mut judged = table.judge();
    judged.push(Judgement::new("stored and never given", owed() as f64, Bound::AtMost(0.0)));
    judged.push(Judgement::new("given again or damaged", wrong as f64, Bound::AtMost(0.0)));
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Relaxed) as f64;
    judged.push(Judgement::new("connections lost or not had", of(&town.lost), Bound::AtMost(0.0)));
    judged.push(Judgement::new("messages stored", of(&town.stored), Bound::AtLeast(1.0)));
    let case = Case::new(target.kind().name())
        .with("minutes", lasts.as_secs_f64() / 60.0)
        .with("messages/s", rate)
        .with("sent", of(&town.sent))
        .with("stored", of(&town.stored))
        .with("shown", of(&town.shown))
        .with("refused", of(&town.refused))
        .with("connects", of(&town.connects));
    Ok((case, judged))
}

async fn capacity(target: &Target, pairs: u32, bytes: usize) -> Result<f64, Failure> {
    let warm_up = Duration::from_secs(1);
    let closed = pairs::Plan { pairs, pace: Pace::Closed(4), bytes, warm_up, measured: MEASURED };
    let most = pairs::run(target, closed).await?.figure("stored/s").unwrap_or_default();
    let crowd = Crowd::gather(target, Guests { pairs, hot: 0, window: 0, bytes }).await?;
    let found = sustained(&crowd, target, most, MEASURED).await;
    crowd.leave(TAIL).await;
    found
}

/// Looks every few seconds until it is over.
async fn watch(server: &Server, town: &Town, lasts: Duration, table: &mut Table) -> Result<(), Failure> {
    let began = Instant::now();
    let counts = || [&town.sent, &town.stored, &town.shown, &town.connects].map(|count| count.load(Relaxed) as f64);
    let (mut before, mut used, mut at) = (counts(), Process::of(server.pid()), began);
    town.stored_times.clear();
    while began.elapsed() < lasts {
        sleep_until(at + EVERY).await;
        let seconds = at.elapsed().as_secs_f64();
        at = Instant::now();
        let (now, process) = (counts(), Process::of(server.pid()));
        let [sent, stored, shown, connects] =
            std::array::from_fn(|of| now.get(of).zip(before.get(of)).map_or(0.0, |(now, before)| now - before));
        table.add(Sample {
            seconds: began.elapsed().as_secs_f64(),
            memory_mib: process.memory_kib / 1024.0,
            descriptors: process.descriptors,
            threads: process.threads,
            disk_mib: disk_bytes(server.dir()) / 1024.0 / 1024.0,
            cpu_percent: 100.0 * (process.cpu - used.cpu) / seconds,
            stored_p50_ms: town.stored_times.quantile(0.5),
            stored_p99_ms: town.stored_times.quantile(0.99),
            sent: sent / seconds,
            stored: stored / seconds,
            shown: shown / seconds,
            waiting: now.get(1).zip(now.get(2)).map_or(0.0, |(stored, shown)| stored - shown),
            connects: connects / seconds,
            refused: town.refused.load(Relaxed) as f64,
        })?;
        town.stored_times.clear();
        (before, used) = (now, process);
    }
    Ok(())
}
