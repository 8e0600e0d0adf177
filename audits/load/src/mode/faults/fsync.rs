//! A sync that fails, once: what was not synced of that file or directory is gone, and later syncs say that all is well.
//!
//! Of a file it is gone at once. Of a directory the process still sees it, as it would the kernel's copy; it is taken away
//! once the process has ended, as a power cut would then. Whatever was made to rest on it meanwhile is missed by whoever
//! starts next, or by the ledger.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::shim::Shim;
use super::storm::{Outcome, Size, Storm};
use crate::server::Around;
use crate::{Failure, said};

/// How long a relay may take until its sync has come, and to end after that.
const ENDS: Duration = Duration::from_secs(30);

/// What an operator is told, when the disk fails under a relay that serves or one that starts.
const TOLD: [&str; 2] = ["look at the disk, then start again", "if the disk is damaged, begin with an empty data_dir"];

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who is there.
    pub size: Size,
    /// Each of the first syncs of a process up to here fails once, in a process of its own; and some later ones.
    pub first: u32,
    /// The same of its syncs of directories: with so many, also of those that it makes as it writes out and compacts.
    pub of_directories: u32,
}

/// What the shim says of the sync that failed.
#[derive(Debug, Default)]
struct Told {
    failed: bool,
    /// The same file was synced again.
    again: bool,
    /// Entries in doubt: the number of the file, and where it stood.
    lost: Vec<(u64, PathBuf)>,
    /// What `CURRENT` said before, if it is in doubt.
    current: Option<String>,
    /// Manifests that were synced later.
    manifests: u32,
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
    let (mut wrong, mut ends, mut lost, mut manifests) = (Vec::new(), 0, 0, 0);
    let later = [plan.first + 10, plan.first + 30, plan.first + 100, plan.first + 300];
    let syncs: BTreeSet<u32> = (1..=plan.first).chain(later).collect();
    let syncs = syncs.into_iter().map(|sync| format!("fail:{sync}"));
    for what in syncs.chain((1..=plan.of_directories).map(|sync| format!("fail-dir:{sync}"))) {
        storm.until_stored(storm.stored() + 20).await?;
        storm.kill().await;
        let _ = fs::remove_file(&report); // of the one before
        let bad = shim.around(&around, "HUSHWIRE_SHIM_SYNC", &what);
        let bad = shim.around(&bad, "HUSHWIRE_SHIM_REPORT", &report.to_string_lossy());
        let ended = match storm.start(&bad).await? {
            Some(ended) => Some(ended),
            None => storm.ended(ENDS).await?,
        };
        match ended {
            None => {
                wrong.push(format!("the relay goes on after {what}"));
                storm.kill().await;
            }
            Some((status, log)) => {
                ends += 1;
                if status.success() || status.code().is_none() {
                    wrong.push(format!("after {what} it ended with {status}"));
                }
                if !TOLD.iter().any(|told| log.contains(told)) {
                    wrong.push(format!("after {what} it did not say what to do: {log}"));
                }
            }
        }
        let told = Told::parse(&fs::read_to_string(&report).unwrap_or_default());
        if !told.failed {
            wrong.push(format!("{what} did not come"));
        }
        if told.again {
            wrong.push(format!("after {what} the same file was synced again"));
        }
        manifests += told.manifests;
        lost += told.take_away()?;
        storm.restart(&around).await.map_err(|error| format!("after {what}, and {told:?}: {error}"))?;
    }
    let outcome = storm.end("failed syncs").await?.with("ends", f64::from(ends));
    let outcome = outcome.with("entries of directories lost", f64::from(lost));
    let outcome = outcome.with("manifests synced after it", f64::from(manifests));
    let mut outcome = outcome.must(lost > 0, || "no directory lost anything: nothing was shown of them".to_owned());
    outcome.wrong.extend(wrong);
    Ok(outcome)
}

impl Told {
    fn parse(report: &str) -> Self {
        let mut told = Self::default();
        for line in report.lines() {
            let mut words = line.splitn(3, ' ');
            let (what, file, rest) = (words.next(), words.next(), words.next().unwrap_or_default());
            match what {
                Some("failed") => told.failed = true,
                Some("again") => told.again = true,
                Some("manifest") => told.manifests += 1,
                Some("was") => told.current = Some(format!("{rest}\n")),
                Some("lost") => {
                    let file = file.and_then(|file| file.parse().ok()).unwrap_or_default();
                    told.lost.push((file, rest.into()));
                }
                _ => {}
            }
        }
        told
    }

    /// Takes away what a power cut would, unless the process did so itself. How many.
    fn take_away(&self) -> Result<u32, Failure> {
        let mut taken = 0;
        for (number, path) in &self.lost {
            if !fs::symlink_metadata(path).is_ok_and(|file| file.ino() == *number) {
                continue;
            }
            match &self.current {
                Some(before) if path.ends_with("CURRENT") => fs::write(path, before).map_err(said)?,
                _ => fs::remove_file(path).map_err(said)?,
            }
            taken += 1;
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_in_doubt_is_taken_away_unless_another_file_stands_there() {
        let dir = tempfile::tempdir().unwrap();
        let [lost, other, current] = ["a b.sst", "1.log", "CURRENT"].map(|name| dir.path().join(name));
        for path in [&lost, &other, &current] {
            fs::write(path, "MANIFEST-9\n").unwrap();
        }
        let number = |path: &Path| fs::symlink_metadata(path).unwrap().ino();
        let told = Told::parse(&format!(
            "failed 1 /x\nlost {} {}\nlost {} {}\nlost {} {}\nwas {} MANIFEST-5\nmanifest 7 /x/MANIFEST-9\n",
            number(&lost),
            lost.display(),
            number(&lost),
            other.display(),
            number(&current),
            current.display(),
            number(&current),
        ));
        assert!(told.failed && !told.again && told.manifests == 1, "{told:?}");
        assert_eq!(told.take_away(), Ok(2));
        assert!(!lost.exists() && other.exists());
        assert_eq!(fs::read_to_string(current).unwrap(), "MANIFEST-5\n");
    }
}
