//! An end at every step between what arrives and what is answered, and between every kind of write and its sync.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use std::os::unix::process::ExitStatusExt;

use super::shim::Shim;
use super::storm::{Outcome, Size, Storm};
use crate::server::{Around, Server, Started, beside_us};
use crate::{Failure, said};

/// The relay that ends where it is told to.
pub const PROGRAM: &str = "hushwire-relay-fail-points";

/// SIGABRT: how it ends there, and nowhere else.
const ABORTED: i32 = 6;

/// How long a process may take to reach a step.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who is there.
    pub size: Size,
    /// The first, or the first, the tenth, and about the last that a process of some seconds reaches.
    pub thrice: bool,
}

/// A step of the relay, and how often a process reaches it; 0: once, if its queue is new.
struct Step {
    name: String,
    often: u32,
}

/// Ends a relay at every step, and judges.
///
/// # Errors
/// The relay does not come back, or the program that can end is not built.
pub async fn run(dir: &Path, plan: Plan) -> Result<Outcome, Failure> {
    let steps = steps()?;
    let around = Around { program: Some(PROGRAM), ..Around::default() };
    let mut never = Vec::new();
    for step in steps.iter().filter(|step| step.often == 0) {
        if !ends_when_new(&dir.join(&step.name), &around, step)? {
            never.push(step.name.clone());
        }
    }
    let mut storm = Storm::begin(dir, &dir.join("relay"), &around, plan.size).await?;
    let mut ends = 0;
    let rounds: &[fn(u32) -> u32] = if plan.thrice { &[|_| 1, |_| 10, |often| often] } else { &[|_| 1] };
    for times in rounds {
        for step in steps.iter().filter(|step| step.often > 0) {
            storm.until_stored(storm.stored() + 50).await?;
            let times = times(step.often).min(step.often);
            storm.kill().await;
            let told = ("HUSHWIRE_FAIL_POINT", format!("{} {times}", step.name).into());
            let there = Around { env: vec![told], ..around.clone() };
            if ends_there(&mut storm, &there).await? {
                ends += 1;
            } else {
                never.push(format!("{} for the {times}th time", step.name));
                storm.kill().await;
            }
            storm.restart(&around).await?;
        }
    }
    let shim = Shim::build(dir)?;
    // The first syncs are those of a start; the hundredth is one of a batch.
    let syncs: BTreeSet<u32> =
        if plan.thrice { (1..=40).chain([60, 80, 100, 200, 300]).collect() } else { [1, 10, 40].into() };
    for sync in syncs {
        storm.until_stored(storm.stored() + 50).await?;
        storm.kill().await;
        if ends_there(&mut storm, &shim.around(&around, "HUSHWIRE_SHIM_SYNC", &format!("abort:{sync}"))).await? {
            ends += 1;
        } else {
            never.push(format!("sync {sync}"));
            storm.kill().await;
        }
        storm.restart(&around).await?;
    }
    let outcome = storm.end("fail-points").await?;
    let outcome = outcome.with("steps", steps.len() as f64).with("ends there", f64::from(ends));
    Ok(outcome.must(never.is_empty(), || format!("never reached: {}", never.join(", "))))
}

fn steps() -> Result<Vec<Step>, Failure> {
    let said = Command::new(beside_us(PROGRAM)?).arg("fail-points").output().map_err(said)?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let steps: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let (name, often) = line.split_once(' ')?;
            Some(Step { name: name.to_owned(), often: often.parse().ok()? })
        })
        .collect();
    if steps.is_empty() { Err(format!("{PROGRAM} has no steps")) } else { Ok(steps) }
}

/// A relay that ends while it makes its queue is one that makes it the next time.
fn ends_when_new(dir: &Path, around: &Around, step: &Step) -> Result<bool, Failure> {
    let there = Around { env: vec![("HUSHWIRE_FAIL_POINT", format!("{} 1", step.name).into())], ..around.clone() };
    let ended = match Server::start_relay(dir, &there)? {
        Started::Ended { status, .. } => aborted(status),
        Started::Serves(_) => false,
    };
    Server::start_relay(dir, around)?.serving()?;
    Ok(ended)
}

/// Whether it ended, and as it was told to. It is away then.
async fn ends_there(storm: &mut Storm, around: &Around) -> Result<bool, Failure> {
    let ended = match storm.start(around).await? {
        Some(ended) => Some(ended),
        None => storm.ended(PATIENCE).await?,
    };
    match ended {
        Some((status, _)) if aborted(status) => Ok(true),
        Some((status, log)) => Err(format!("it ended with {status} and not at its step:\n{log}")),
        None => Ok(false),
    }
}

fn aborted(status: ExitStatus) -> bool {
    status.signal() == Some(ABORTED)
}
