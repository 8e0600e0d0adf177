//! Power cuts: what was not synced is gone from the disk. And the control: with syncs that do nothing, something must
//! be lost, or the cuts cut nothing.

use std::path::Path;
use std::time::Duration;

use super::disk::Disk;
use super::shim::Shim;
use super::storm::{Outcome, Size, Storm};
use crate::Failure;
use crate::ledger::Invariant;
use crate::server::Around;

/// MiB of the disk.
const DISK_MIB: u64 = 1024;

/// How long a relay may take to notice that its disk is gone.
const NOTICES: Duration = Duration::from_secs(10);

/// How long the control waits for what is lost.
const LOST_QUIET: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who is there.
    pub size: Size,
    /// Cuts.
    pub cuts: u32,
    /// What must be answered stored between two of them.
    pub stored: u64,
}

/// Cuts and judges.
///
/// # Errors
/// What is missing here, or the relay does not come back.
pub async fn run(dir: &Path, plan: Plan) -> Result<Outcome, Failure> {
    let shim = Shim::build(dir)?;
    let lost = control(&dir.join("control"), &shim, plan).await?;
    let mut disk = Disk::make(dir, DISK_MIB)?;
    let around = around(dir);
    let mut storm = Storm::begin(dir, &disk.at().join("relay"), &around, plan.size).await?;
    for _ in 0..plan.cuts {
        storm.until_stored(storm.stored() + plan.stored).await?;
        disk.cut()?;
        if storm.ended(NOTICES).await?.is_none() {
            return Err("the relay goes on although its disk is gone".to_owned());
        }
        disk.again()?;
        storm.restart(&around).await?;
    }
    let outcome = storm.end("power cuts").await?.with("cuts", f64::from(plan.cuts));
    Ok(outcome
        .with("control: lost without syncs", lost as f64)
        .must(lost > 0, || "with syncs that do nothing, nothing was lost: the cuts cut nothing".to_owned()))
}

/// A relay that takes what it is given on so small a disk, and whose log stays.
fn around(dir: &Path) -> Around {
    let settings = "disk_reserve_mib = 16\n".to_owned();
    Around { settings, log: Some(dir.join("relay.log")), ..Around::default() }
}

/// How many acknowledged envelopes one cut takes when syncs do nothing.
async fn control(dir: &Path, shim: &Shim, plan: Plan) -> Result<usize, Failure> {
    let mut disk = Disk::make(dir, DISK_MIB)?;
    let around = around(dir);
    let unsynced = shim.around(&around, "HUSHWIRE_SHIM_SYNC", "off");
    // Nobody fetches: what is lost is not with its device already.
    let size = Size { devices: false, ..plan.size };
    let mut storm = Storm::begin(dir, &disk.at().join("relay"), &unsynced, size).await?;
    disk.settle()?; // an empty queue, so that only what was answered later can be lost
    storm.until_stored(plan.stored).await?;
    disk.cut()?;
    storm.kill().await;
    disk.again()?;
    storm.enough();
    storm.be_quiet_for(LOST_QUIET);
    if storm.start(&around).await?.is_some() {
        return Ok(usize::try_from(storm.stored()).unwrap_or(usize::MAX)); // not even its database is there
    }
    let Outcome { verdict, .. } = storm.end("control").await?;
    Ok(verdict.broken.get(&Invariant::Durability).map_or(0, |(count, _)| *count))
}
