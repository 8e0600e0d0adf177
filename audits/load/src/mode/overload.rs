//! More than a relay can take: how much of it still goes through, how those who are refused learn it, and how soon
//! everything is as before.

use std::time::Duration;

use super::pairs::{self, Pace, Plan};
use crate::Failure;
use crate::report::Case;
use crate::target::Target;

/// A rate is sustained if the slowest of a hundred answers takes no longer.
const PATIENCE_MS: f64 = 100.0;

/// And nearly all of what was offered is stored.
const SUSTAINED: f64 = 0.95;

/// How much slower the next rate is that is tried.
const STEP: f64 = 0.8;

/// Rates that are tried for one that is sustained.
const TRIES: usize = 10;

/// How much more than can be sustained is offered.
const FACTORS: [f64; 3] = [2.0, 5.0, 10.0];

/// What is offered afterwards, of what can be sustained.
const AFTERWARDS: f64 = 0.7;

/// Measures with so many pairs.
///
/// # Errors
/// Somebody could not connect, or no rate is sustained.
pub async fn run(target: &Target, pairs: u32, bytes: usize, seconds: u64) -> Result<Vec<Case>, Failure> {
    let measured = Duration::from_secs(seconds);
    let plan = |pace| Plan { pairs, pace, bytes, warm_up: Duration::from_secs(1), measured };
    let most = pairs::run(target, plan(Pace::Closed(4))).await?;
    let mut rate = most.figure("messages/s").unwrap_or_default();
    let mut sustained = None;
    for _ in 0..TRIES {
        let case = pairs::run(target, plan(open(rate))).await?;
        let goodput = case.figure("stored/s").unwrap_or_default();
        if goodput >= SUSTAINED * rate && case.figure("stored p99 ms").is_some_and(|p99| p99 <= PATIENCE_MS) {
            sustained = Some(case);
            break;
        }
        rate *= STEP;
    }
    let sustained = sustained.ok_or("no rate was sustained; the machine is too busy")?;
    let mut cases = vec![row(most, "closed loop", rate, None), row(sustained, "sustained: C", rate, Some(rate))];
    for factor in FACTORS {
        let offered = rate * factor;
        cases.push(row(pairs::run(target, plan(open(offered))).await?, &format!("{factor} C"), rate, Some(offered)));
    }
    let after = pairs::run(target, plan(open(rate * AFTERWARDS))).await?;
    cases.push(row(after, &format!("then {AFTERWARDS} C"), rate, Some(rate * AFTERWARDS)));
    Ok(cases)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate, far below any bound")]
fn open(rate: f64) -> Pace {
    Pace::Open(rate.max(1.0) as u64)
}

fn row(case: Case, name: &str, capacity: f64, offered: Option<f64>) -> Case {
    let stored = case.figure("stored/s").unwrap_or_default();
    let names = [
        "stored p99 ms",
        "delivered p99 ms",
        "refused",
        "refused p99 ms",
        "held back",
        "never arrived",
        "connections lost",
        "tail s",
        "server memory MiB",
        "others' cpu %",
    ];
    let begun = Case::new(name)
        .with("offered/s", offered.unwrap_or(stored))
        .with("stored/s", stored)
        .with("stored/C", stored / capacity);
    names.into_iter().fold(begun, |row, of| match case.figure(of) {
        Some(value) => row.with(of, value),
        None => row,
    })
}
