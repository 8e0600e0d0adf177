//! Whether a message takes longer, and how much memory it takes, as connections, mailboxes and waiting envelopes grow.

use std::sync::Arc;
use std::time::Duration;

use super::offline;
use super::pairs::{self, Pace, Plan};
use super::{all, idle};
use crate::Failure;
use crate::line::Line;
use crate::report::Case;
use crate::target::Target;
use crate::tongue::Mailbox;

/// How long each row is measured, one message after another.
const MEASURED: Duration = Duration::from_secs(2);

/// Connections of one row that are made at the same time.
const CONNECTING: usize = 64;

/// Measures: rows for 1, 10, 100 and so on, up to `most`. Each row finds what those before it have left.
///
/// # Errors
/// Somebody could not connect, or was refused.
pub async fn run(target: &Target, most: u32, bytes: usize) -> Result<Vec<Case>, Failure> {
    let mut cases = vec![probe(target, "nothing".to_owned(), bytes).await?];
    let steps: Vec<u32> = std::iter::successors(Some(1), |step: &u32| step.checked_mul(10)).collect();
    let steps = || steps.iter().copied().filter(|step| *step <= most);
    let mut lines = Vec::new();
    for step in steps() {
        let more = step.saturating_sub(u32::try_from(lines.len()).unwrap_or(u32::MAX));
        lines.extend(idle::connect(target, more).await?);
        cases.push(probe(target, format!("{step} connections"), bytes).await?);
    }
    drop(lines);
    for step in steps() {
        let made = all(step, CONNECTING, |index| {
            let target = target.clone();
            async move { Line::owner(&target, &Mailbox::new(index)).await.map(drop) }
        });
        made.await?;
        cases.push(probe(target, format!("{step} mailboxes"), bytes).await?);
    }
    for step in steps() {
        let mailbox = Arc::new(vec![Mailbox::new(0)]);
        Line::owner(target, mailbox.first().ok_or("no mailbox")?).await?;
        offline::fill(target, &mailbox, step.into(), bytes).await?;
        cases.push(probe(target, format!("{step} queued in one"), bytes).await?);
    }
    Ok(cases)
}

/// One pair, one message after another.
async fn probe(target: &Target, name: String, bytes: usize) -> Result<Case, Failure> {
    let plan = Plan { pairs: 1, pace: Pace::Closed(1), bytes, warm_up: MEASURED / 4, measured: MEASURED };
    let case = pairs::run(target, plan).await?;
    let names = ["messages/s", "delivered p50 ms", "delivered p99 ms", "server cpu us/message", "server memory MiB"];
    Ok(names.into_iter().fold(Case::new(name), |row, of| match case.figure(of) {
        Some(value) => row.with(of, value),
        None => row,
    }))
}
