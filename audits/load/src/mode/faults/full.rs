//! A disk that is full: first with the reserve that a relay keeps, then with none, so that a write fails.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::disk::Disk;
use super::storm::{Outcome, Size, Storm};
use crate::server::Around;
use crate::{Failure, said};

/// MiB of the disk, and of the reserve.
const DISK_MIB: u64 = 384;
const RESERVE_MIB: u64 = 160;

/// MiB that somebody else leaves: less than the reserve, or too little for what is sent.
const BELOW_RESERVE_MIB: u64 = 120;
const NEARLY_NONE_MIB: u64 = 4;

/// Once there is room a deposit must be answered stored within this.
const RECOVERY: Duration = Duration::from_secs(10);

/// How long a handshake may take on a busy machine before it is begun anew.
const ANEW: Duration = Duration::from_secs(2);

/// How long it is full.
const FULL: Duration = Duration::from_secs(5);

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fills and judges: with a reserve, and without.
///
/// # Errors
/// What is missing here, or it does not become full.
pub async fn run(dir: &Path, size: Size) -> Result<Vec<Outcome>, Failure> {
    let size = Size { one_by_one: true, ..size };
    Ok(vec![with_reserve(&dir.join("reserve"), size).await?, without(&dir.join("none"), size).await?])
}

fn around(dir: &Path, reserve_mib: u64) -> Around {
    let settings = format!("disk_reserve_mib = {reserve_mib}\n");
    Around { settings, log: Some(dir.join("relay.log")), ..Around::default() }
}

/// What is new is refused, while what is there is fetched and forgotten.
async fn with_reserve(dir: &Path, size: Size) -> Result<Outcome, Failure> {
    let disk = Disk::make(dir, DISK_MIB)?;
    let size = Size { devices: false, ..size };
    let mut storm = Storm::begin(dir, &disk.at().join("relay"), &around(dir, RESERVE_MIB), size).await?;
    storm.until_stored(2000).await?;
    let hog = disk.hog(BELOW_RESERVE_MIB)?;
    until(|| storm.refused() > 100, "nothing is refused on a disk that is nearly full").await?;
    let (stored, began) = (storm.stored(), Instant::now());
    storm.come();
    until(|| storm.shown() >= stored, "what is there is not given out while the disk is nearly full").await?;
    let fetched = began.elapsed();
    sleep(FULL).await;
    let more = storm.stored() - stored;
    fs::remove_file(hog).map_err(said)?;
    let recovery = recovered(&mut storm).await?;
    let outcome = storm.end("full but for the reserve").await?;
    Ok(outcome
        .with("fetched while full", stored as f64)
        .with("fetched while full in s", fetched.as_secs_f64())
        .with("stored again after s", recovery.as_secs_f64())
        .must(more == 0, || format!("{more} were stored on a disk that was below its reserve"))
        .must(recovery <= RECOVERY, || format!("nothing was stored for {recovery:?} though there was room")))
}

/// Not a byte is free: a write fails.
async fn without(dir: &Path, size: Size) -> Result<Outcome, Failure> {
    let disk = Disk::make(dir, DISK_MIB)?;
    let mut storm = Storm::begin(dir, &disk.at().join("relay"), &around(dir, 0), size).await?;
    storm.until_stored(2000).await?;
    let hog = disk.hog(NEARLY_NONE_MIB)?;
    let log = dir.join("relay.log");
    let waits = || fs::read_to_string(&log).is_ok_and(|log| log.contains("waiting for room"));
    until(waits, "the disk did not become full").await?;
    let stored = storm.stored();
    sleep(FULL).await;
    let more = storm.stored() - stored;
    fs::remove_file(hog).map_err(said)?;
    let recovery = recovered(&mut storm).await?;
    let outcome = storm.end("full to the last byte").await?;
    Ok(outcome
        .with("stored again after s", recovery.as_secs_f64())
        .must(more == 0, || format!("{more} were stored without room"))
        .must(recovery <= RECOVERY, || format!("nothing was stored for {recovery:?} though there was room")))
}

/// How long it takes until something more is stored.
async fn recovered(storm: &mut Storm) -> Result<Duration, Failure> {
    let (began, stored) = (Instant::now(), storm.stored());
    let mut tried = began;
    while storm.stored() <= stored {
        if began.elapsed() > PATIENCE {
            return Err("it does not come back though there is room".to_owned());
        }
        if tried.elapsed() > ANEW {
            tried = Instant::now();
            storm.reconnect()?; // whoever connects to a relay that is away does not notice that it is back
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(began.elapsed())
}

async fn until(holds: impl Fn() -> bool, otherwise: &str) -> Result<(), Failure> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return Err(otherwise.to_owned());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
