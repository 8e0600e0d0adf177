//! SIGTERM at random moments: what has begun is answered, and whoever is there comes back to the next relay.

use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use tokio::time::sleep;

use super::storm::{Outcome, Size, Storm};
use crate::Failure;
use crate::server::Around;

/// How long the relay lives between two of them, in milliseconds.
const LIVES_MS: std::ops::Range<u64> = 50..1_500;

/// A relay lets requests end for ten seconds, and then takes a few to close.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stops it so often, and judges. The relay's files and the ledger are left in `dir`.
///
/// # Errors
/// The relay does not end, or does not come back.
pub async fn run(dir: &Path, size: Size, stops: u32) -> Result<Outcome, Failure> {
    let around = Around::default();
    let mut storm = Storm::begin(dir, &dir.join("relay"), &around, size).await?;
    let (mut failed, mut cut) = (Vec::new(), 0);
    for _ in 0..stops {
        sleep(Duration::from_millis(rand::rng().random_range(LIVES_MS))).await;
        storm.terminate()?;
        let Some((status, log)) = storm.ended(PATIENCE).await? else {
            return Err(format!("the relay goes on {} s after SIGTERM", PATIENCE.as_secs()));
        };
        if !status.success() || log.contains("panicked") {
            failed.push(format!("{status}: {log}"));
        }
        cut += u32::from(!log.contains("cut=0"));
        storm.restart(&around).await?;
    }
    let outcome = storm.end("SIGTERM").await?;
    Ok(outcome
        .must(failed.is_empty(), || {
            format!("{} of {stops} ends were no success; first: {}", failed.len(), failed.concat())
        })
        .must(cut == 0, || format!("{cut} of {stops} times requests had no answer by the end")))
}
