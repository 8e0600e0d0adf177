//! SIGKILL at random moments.

use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use tokio::time::sleep;

use super::storm::{Outcome, Size, Storm};
use crate::Failure;
use crate::server::Around;

/// How long the relay lives between two kills, and is away after one, in milliseconds.
const LIVES_MS: std::ops::Range<u64> = 50..1_500;
const AWAY_MS: std::ops::Range<u64> = 0..100;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who is there.
    pub size: Size,
    /// How many deposits are to be answered stored before it ends.
    pub stored: u64,
    /// How many kills there must have been as well.
    pub kills: u64,
}

/// Kills and judges. The relay's files and the ledger are left in `dir`.
///
/// # Errors
/// The relay does not come back.
pub async fn run(dir: &Path, plan: Plan) -> Result<Outcome, Failure> {
    let around = Around::default();
    let mut storm = Storm::begin(dir, &dir.join("relay"), &around, plan.size).await?;
    let mut kills = 0;
    while storm.stored() < plan.stored || kills < plan.kills {
        sleep(Duration::from_millis(rand::rng().random_range(LIVES_MS))).await;
        storm.kill().await;
        sleep(Duration::from_millis(rand::rng().random_range(AWAY_MS))).await;
        storm.restart(&around).await?;
        kills += 1;
    }
    storm.end("SIGKILL").await
}

/// Kills a relay that holds so many envelopes, several times, and says how long it is away.
///
/// # Errors
/// The relay does not come back.
pub async fn with_much_waiting(dir: &Path, size: Size, stored: u64, kills: u32) -> Result<Outcome, Failure> {
    let around = Around::default();
    let size = Size { devices: false, ..size };
    let mut storm = Storm::begin(dir, &dir.join("relay"), &around, size).await?;
    storm.until_stored(stored).await?;
    for _ in 0..kills {
        storm.kill().await;
        storm.restart(&around).await?;
        let more = storm.stored() + 1000;
        storm.until_stored(more).await?;
    }
    storm.end("SIGKILL with much waiting").await
}
