//! Other servers through the same loads, by a harness that is no part of this tree: what it says, in our words.
//!
//! The harness is a directory with a `run.py` that takes `--peers`, `--work`, `--reps` and `--out`, and writes one line
//! of JSON for each server and load.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::compare::Work;
use crate::report::Case;
use crate::{Failure, said};

/// Its own yardstick; those that keep what they acknowledge; and the fastest that does not.
pub const PEERS: &str = "floor-sync,redis-always,nats-sync,ejabberd,mosquitto";

/// Our name for a figure, and where it stands in a line of the harness.
type Figure = (&'static str, &'static str);

const PAIRS: &[Figure] = &[
    ("messages/s", "/msgs_per_s"),
    ("delivered p50 ms", "/e2e_ms/p50"),
    ("delivered p99 ms", "/e2e_ms/p99"),
    ("server cpu us/message", "/use/server_us_per_msg"),
    ("server written B/message", "/use/server_write_bytes_per_msg"),
];
const RATE: &[Figure] = &[
    ("messages/s", "/delivered_per_s"),
    ("delivered p50 ms", "/e2e_ms/p50"),
    ("delivered p99 ms", "/e2e_ms/p99"),
    ("server cpu us/message", "/use/server_us_per_msg"),
];
const OFFLINE: &[Figure] = &[("enqueued/s", "/enqueue_per_s"), ("drained/s", "/drain_per_s")];
const IDLE: &[Figure] = &[("connects/s", "/connects_per_s"), ("memory KiB/connection", "/rss_kib_per_conn")];
const FANOUT: &[Figure] = &[
    ("stored for all p50 ms", "/accept_ms/p50"),
    ("last member has it p50 ms", "/last_recipient_ms/p50"),
    ("server cpu us/copy", "/server_us_per_recipient"),
    ("server written B/copy", "/server_write_bytes_per_recipient"),
];

impl Work {
    /// What the harness calls it.
    fn theirs(self) -> &'static str {
        match self {
            Self::Thr1 => "thr1",
            Self::Thr16 => "thr16",
            Self::Lat2000 => "lat2000",
            Self::Offline => "offline",
            Self::Idle => "idle5k",
            Self::Idle20k => "idle19k",
            Self::FanOn => "fanon",
            Self::FanOff => "fanoff",
        }
    }

    fn figures(self) -> &'static [Figure] {
        match self {
            Self::Thr1 | Self::Thr16 => PAIRS,
            Self::Lat2000 => RATE,
            Self::Offline => OFFLINE,
            Self::Idle | Self::Idle20k => IDLE,
            Self::FanOn | Self::FanOff => FANOUT,
        }
    }
}

/// Runs the harness in `dir` for one load and reads what it found. A server that failed has no figures.
///
/// # Errors
/// The harness failed, or wrote nothing that can be read.
pub fn run(dir: &Path, work: Work, out: &Path) -> Result<Vec<Case>, Failure> {
    let _ = fs::remove_file(out); // of an earlier load
    let out = std::path::absolute(out).map_err(said)?;
    let mut harness = Command::new("python3");
    harness.current_dir(dir).args([
        "run.py",
        "--reps",
        "1",
        "--patience",
        "20",
        "--retry-noisy",
        "0",
        "--peers",
        PEERS,
    ]);
    let done = harness.args(["--work", work.theirs(), "--out"]).arg(&out).output().map_err(said)?;
    if !done.status.success() {
        return Err(format!("the harness failed: {}", String::from_utf8_lossy(&done.stderr)));
    }
    Ok(read(work, &fs::read_to_string(&out).map_err(said)?))
}

fn read(work: Work, lines: &str) -> Vec<Case> {
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| case(work, &line)).collect()
}

fn case(work: Work, line: &Value) -> Option<Case> {
    let label = line.get("label")?.as_str()?;
    // The harness has a yardstick of its own, which is not ours.
    let name = if label == "floor-sync" { "harness' floor" } else { label };
    Some(work.figures().iter().fold(
        Case::new(name),
        |case, (name, at)| match line.pointer(at).and_then(Value::as_f64) {
            Some(value) => case.with(name, value),
            None => case,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_harness_says_stands_under_our_names() {
        let lines = "{\"label\": \"redis-always\", \"msgs_per_s\": 5.0, \"e2e_ms\": {\"p50\": 0.5, \"p99\": 2},\
            \"accept_ms\": {\"p50\": 1}, \"use\": {\"server_us_per_msg\": 20.5}}\nnoise\n\
            {\"label\": \"ejabberd\", \"error\": \"did not come up\"}\n{\"label\": \"floor-sync\", \"msgs_per_s\": 7}\n";
        let cases = read(Work::Thr1, lines);
        let of = |index: usize, name| cases.get(index).and_then(|case: &Case| case.figure(name));
        assert_eq!(cases.len(), 3);
        assert_eq!((of(0, "messages/s"), of(0, "delivered p99 ms")), (Some(5.0), Some(2.0)));
        assert_eq!((of(0, "server cpu us/message"), of(1, "messages/s")), (Some(20.5), None));
        assert_eq!((of(2, "messages/s"), cases.get(2).map(Case::name)), (Some(7.0), Some("harness' floor")));
        let fanout = read(Work::FanOn, "{\"label\": \"x\", \"last_recipient_ms\": {\"p50\": 25.0}}");
        assert_eq!(fanout.first().and_then(|case| case.figure("last member has it p50 ms")), Some(25.0));
    }
}
