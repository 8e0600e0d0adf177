//! The relay and the yardstick through the same loads, one after the other in one run: what counts is the ratio. How
//! fast a machine is, and how busy, is the same for both, or nearly.

use std::path::Path;
use std::time::Duration;

use super::pairs::{self, Pace, Plan};
use super::{idle, offline};
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
}

impl Work {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("thr1", Self::Thr1),
        ("thr16", Self::Thr16),
        ("lat2000", Self::Lat2000),
        ("offline", Self::Offline),
        ("idle", Self::Idle),
    ];
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

/// Both servers through one load; each is started for it in a directory of its own within `dir`.
///
/// # Errors
/// A server does not start, or somebody could not connect.
pub async fn run(dir: &Path, name: &str, work: Work, size: Size) -> Result<Report, Failure> {
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
    Ok(Report::new(name, cases))
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
    }
}
