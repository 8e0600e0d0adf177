//! A sync that fails, once: what was not synced of that file is gone, and later syncs say that all is well.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::shim::Shim;
use super::storm::{Outcome, Size, Storm};
use crate::Failure;
use crate::server::Around;

/// How long a relay may take until its sync has come, and to end after that.
const ENDS: Duration = Duration::from_secs(30);

/// What an operator is told, when the disk fails under a relay that serves or one that starts.
const TOLD: [&str; 2] = ["look at the disk, then start again", "if the disk is damaged, restore a backup"];

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who is there.
    pub size: Size,
    /// Each of the first syncs of a process up to here fails once, in a process of its own; and some later ones.
    pub first: u32,
}

/// Fails syncs, and judges.
///
/// # Errors
/// What is missing here, or the relay does not come back.
pub async fn run(dir: &Path, plan: Plan) -> Result<Outcome, Failure> {
    let shim = Shim::build(dir)?;
    let around = Around::default();
    let mut storm = Storm::begin(dir, &dir.join("relay"), &around, plan.size).await?;
    let report = dir.join("syncs");
    let (mut wrong, mut ends) = (Vec::new(), 0);
    let later = [plan.first + 10, plan.first + 30, plan.first + 100, plan.first + 300];
    let syncs: BTreeSet<u32> = (1..=plan.first).chain(later).collect();
    for sync in syncs {
        storm.until_stored(storm.stored() + 20).await?;
        storm.kill().await;
        let _ = std::fs::remove_file(&report); // of the one before
        let bad = shim.around(&around, "HUSHWIRE_SHIM_SYNC", &format!("fail:{sync}"));
        let bad = shim.around(&bad, "HUSHWIRE_SHIM_REPORT", &report.to_string_lossy());
        let ended = match storm.start(&bad).await? {
            Some(ended) => Some(ended),
            None => storm.ended(ENDS).await?,
        };
        let reported = std::fs::read_to_string(&report).unwrap_or_default();
        if !reported.contains("failed") {
            wrong.push(format!("sync {sync} did not come"));
        }
        if reported.contains("again") {
            wrong.push(format!("after sync {sync} had failed, the same file was synced again"));
        }
        match ended {
            None => {
                wrong.push(format!("the relay goes on after sync {sync} has failed"));
                storm.kill().await;
            }
            Some((status, log)) => {
                ends += 1;
                if status.success() || status.code().is_none() {
                    wrong.push(format!("after sync {sync} had failed it ended with {status}"));
                }
                if !TOLD.iter().any(|told| log.contains(told)) {
                    wrong.push(format!("after sync {sync} had failed it did not say what to do: {log}"));
                }
            }
        }
        storm.restart(&around).await?;
    }
    let mut outcome = storm.end("failed syncs").await?.with("ends", f64::from(ends));
    outcome.wrong.extend(wrong);
    Ok(outcome)
}
