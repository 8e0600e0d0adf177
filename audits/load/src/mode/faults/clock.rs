//! A clock on the wall that jumps, while envelopes wait and while the relay is started under it.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::shim::Shim;
use super::storm::{Outcome, Size, Storm};
use crate::server::Around;
use crate::{Failure, said};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Seconds by which the clock is wrong, one after the other.
const JUMPS: [(&str, i64); 6] = [
    ("an hour on", HOUR),
    ("an hour back", -HOUR),
    ("45 days on", 45 * DAY),
    ("a day back", -DAY),
    ("20 years back", -7300 * DAY),
    ("right", 0),
];

/// More than a relay takes between two looks for what expired.
const SWEEP: Duration = Duration::from_secs(62);

/// Turns the clock, and judges. In little, without waiting for the sweep of a relay that runs.
///
/// # Errors
/// What is missing here, or the relay ends.
pub async fn run(dir: &Path, size: Size, in_full: bool) -> Result<Outcome, Failure> {
    let shim = Shim::build(dir)?;
    let clock = dir.join("clock");
    // Never empty: the relay looks into it while it is written.
    let mut hands = File::create(&clock).map_err(said)?;
    let mut turn = |seconds: i64| {
        let turned = hands.seek(SeekFrom::Start(0)).and_then(|_| hands.write_all(&seconds.to_ne_bytes()));
        turned.map_err(said)
    };
    turn(0)?;
    let around = shim.around(&Around::default(), "HUSHWIRE_SHIM_CLOCK", &clock.to_string_lossy());
    let size = Size { devices: false, ..size };
    let mut storm = Storm::begin(dir, &dir.join("relay"), &around, size).await?;
    for (_, seconds) in JUMPS {
        storm.until_stored(storm.stored() + 200).await?;
        turn(seconds)?;
        storm.until_stored(storm.stored() + 200).await?;
        if in_full && seconds > DAY {
            sleep(SWEEP).await;
        }
        storm.kill().await; // the next one looks for what expired as it starts
        storm.restart(&around).await?;
    }
    for step in 1..=if in_full { 30 } else { 3 } {
        turn(-5 * step)?;
        sleep(Duration::from_secs(1)).await;
    }
    let more = storm.stored() + 200;
    storm.until_stored(more).await?;
    let outcome = storm.end("clock that jumps").await?;
    let log = fs::read_to_string(dir.join("relay/server.log")).unwrap_or_default();
    let expired = log.contains("envelopes expired");
    Ok(outcome
        .with("jumps", JUMPS.len() as f64)
        .must(!expired, || "something expired early".to_owned())
        .must(!log.contains("panicked"), || format!("a panic:\n{log}")))
}
