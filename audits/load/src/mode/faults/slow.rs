//! A disk whose syncs take long, and more deposits than it can take.

use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::shim::Shim;
use super::storm::{Outcome, Size, Storm};
use crate::Failure;
use crate::server::Around;
use crate::usage::Process;

/// Milliseconds of each sync: some ten times those of a bad disk.
const SYNC_MS: u32 = 500;

/// MiB that a relay may have more than before: its line of 32, two unwritten tables of each family in use (80), blocks in
/// memory (32), and for each of 256 senders the quarter of one that may be on its way.
const GROWTH_MIB: f64 = 32.0 + 80.0 + 32.0 + 64.0;

/// How often its memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Slows down for so long, and judges.
///
/// # Errors
/// What is missing here, or the relay ends.
pub async fn run(dir: &Path, size: Size, seconds: u32) -> Result<Outcome, Failure> {
    let around = Around::default();
    let slow = Shim::build(dir)?.around(&around, "HUSHWIRE_SHIM_SYNC", &format!("slow:{SYNC_MS}"));
    let size = Size { one_by_one: true, ..size };
    let mut storm = Storm::begin(dir, &dir.join("relay"), &around, size).await?;
    storm.kill().await;
    storm.restart(&slow).await?;
    let memory = |storm: &Storm| storm.pid().map_or(0.0, |pid| Process::of(pid).memory_kib / 1024.0);
    let before = memory(&storm);
    let mut most = before;
    for _ in 0..seconds * 10 {
        sleep(LOOK_EVERY).await;
        most = memory(&storm).max(most);
    }
    let (stored, refused) = (storm.stored(), storm.refused());
    let outcome = storm.end("slow disk").await?;
    Ok(outcome
        .with("sync ms", f64::from(SYNC_MS))
        .with("memory before MiB", before)
        .with("memory most MiB", most)
        .must(stored > 0, || "nothing is stored on a slow disk".to_owned())
        .must(refused > 0, || "nothing was refused: the disk was not too slow for its clients".to_owned())
        .must(most - before < GROWTH_MIB, || format!("its memory grew from {before:.0} to {most:.0} MiB")))
}
