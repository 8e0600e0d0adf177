//! The relay and the yardstick through the same loads, one after the other in one run, and other servers if there is a
//! harness that drives them: what counts is the ratio. How fast a machine is, and how busy, is the same for all, or
//! nearly.

use std::path::Path;
use std::time::Duration;

use super::pairs::{self, Pace, Plan};
use super::{fanout, idle, offline, peers};
use crate::report::{Case, Report};
use crate::server::Server;
use crate::target::{Kind, Target};
use crate::{Failure, said};

/// How long connections find their speed.
const WARM_UP: Duration = Duration::from_secs(2);

/// One load of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// 100 pairs, one message under way in each.
    Thr1,
    /// 100 pairs, 16 messages under way in each.
    Thr16,
    /// 100 pairs, 2,000 messages in a second.
    Lat2000,
    /// 100,000 envelopes into 1,000 mailboxes, then drained.
    Offline,
    /// 5,000 idle connections.
    Idle,
    /// 20,000 idle connections.
    Idle20k,
    /// One envelope to 1,000 devices that are there.
    FanOn,
    /// One envelope to 1,000 devices that are not there.
    FanOff,
}

impl Work {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("thr1", Self::Thr1),
        ("thr16", Self::Thr16),
        ("lat2000", Self::Lat2000),
        ("offline", Self::Offline),
        ("idle", Self::Idle),
        ("idle20k", Self::Idle20k),
        ("fanon", Self::FanOn),
        ("fanoff", Self::FanOff),
    ];

    /// What counts of it: the name of a figure, and how it stands in the table of all loads.
    fn counts(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Thr1 => &[("messages/s", "messages/s, 1 under way")],
            Self::Thr16 => &[
                ("messages/s", "messages/s, 16 under way"),
                ("server cpu us/message", "cpu us/message"),
                ("server written B/message", "written B/message"),
            ],
            Self::Lat2000 => &[
                ("delivered p50 ms", "p50 ms at 2,000/s"),
                ("delivered p99 ms", "p99 ms at 2,000/s"),
                ("server cpu us/message", "cpu us/message at 2,000/s"),
            ],
            Self::Offline => &[("enqueued/s", "enqueued/s"), ("drained/s", "drained/s")],
            Self::Idle => &[("connects/s", "connects/s"), ("memory KiB/connection", "KiB/connection of 5,000")],
            Self::Idle20k => &[("memory KiB/connection", "KiB/connection of 20,000")],
            Self::FanOn => &[("last member has it p50 ms", "1,000 there: last has it ms")],
            Self::FanOff => &[
                ("stored for all p50 ms", "1,000 away: stored ms"),
                ("server written B/copy", "1,000 away: written B/member"),
            ],
        }
    }
}

/// How large a comparison is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How long is measured where time counts.
    pub measured: Duration,
    /// Where messages or connections count, one of so many of them.
    pub part: u32,
    /// Bytes of an envelope.
    pub bytes: usize,
}

/// All servers through one load: ours, each in a directory of its own within `dir`, and those of the harness in `peers`.
///
/// # Errors
/// A server does not start, or somebody could not connect.
pub async fn run(dir: &Path, name: &str, work: Work, size: Size, peers: Option<&Path>) -> Result<Report, Failure> {
    let mut cases = Vec::new();
    for kind in [Kind::Relay, Kind::Floor] {
        let dir = dir.join(format!("{name}-{}", kind.name()));
        let server = Server::start(kind, &dir)?;
        let target = Target::of(&server)?;
        cases.push(load(&target, work, size).await?);
        drop(server);
        std::fs::remove_dir_all(&dir).map_err(said)?; // a later one gets the same disk
    }
    if let [relay, floor] = &cases[..] {
        let ratio = relay.over(floor).named("ratio");
        cases.push(ratio);
    }
    if let Some(harness) = peers {
        let (harness, out) = (harness.to_owned(), dir.join("peers.jsonl"));
        let ran = tokio::task::spawn_blocking(move || peers::run(&harness, work, &out));
        cases.extend(ran.await.map_err(said)??);
    }
    Ok(Report::new(name, cases))
}

/// What counts of each load, a column for each server.
#[must_use]
pub fn summary(loads: &[(Work, Report)]) -> Report {
    let mut columns: Vec<Case> = Vec::new();
    for (work, report) in loads {
        for case in report.cases() {
            let known = columns.iter().position(|column| column.name() == case.name());
            let mut column = known.map_or_else(|| Case::new(case.name()), |at| columns.remove(at));
            for (figure, name) in work.counts() {
                if let Some(value) = case.figure(figure) {
                    column = column.with(name, value);
                }
            }
            columns.insert(known.unwrap_or(columns.len()), column);
        }
    }
    Report::new("all loads", columns)
}

async fn load(target: &Target, work: Work, size: Size) -> Result<Case, Failure> {
    let Size { measured, part, bytes } = size;
    let plan = |pace| Plan { pairs: 100, pace, bytes, warm_up: WARM_UP, measured };
    match work {
        Work::Thr1 => pairs::run(target, plan(Pace::Closed(1))).await,
        Work::Thr16 => pairs::run(target, plan(Pace::Closed(16))).await,
        Work::Lat2000 => pairs::run(target, plan(Pace::Open(2000))).await,
        Work::Offline => offline::run(target, 1000, u64::from(100_000 / part.max(1)), bytes).await,
        Work::Idle => idle::run(target, 5000 / part.max(1), measured).await,
        Work::Idle20k => idle::run(target, 20_000 / part.max(1), measured).await,
        Work::FanOn | Work::FanOff => {
            let are_there = work == Work::FanOn;
            let plan = fanout::Plan { members: 1000 / part.max(1), messages: 20, bytes, are_there, pairwise: false };
            fanout::run(target, plan).await
        }
    }
}
