//! Devices that are there and say nothing: what one costs a relay, and how fast they come.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::all;
use crate::Failure;
use crate::line::Line;
use crate::report::Case;
use crate::target::Target;
use crate::times::{Times, now};
use crate::tongue::Mailbox;
use crate::usage::Span;

/// Connections that are made at the same time.
const CONNECTING: usize = 64;

/// Buffers of handshakes are given back, and nothing is written any more.
const SETTLE: Duration = Duration::from_secs(3);

/// Measures with so many connections, held for so long.
///
/// # Errors
/// Somebody could not connect.
pub async fn run(target: &Target, connections: u32, held: Duration) -> Result<Case, Failure> {
    let before = Span::begin(target.process()).end().memory_kib;
    let times = Arc::default();
    let span = Span::begin(target.process());
    let lines = timed(target, connections, &times).await?;
    let connecting = span.end();
    sleep(SETTLE).await;
    let span = Span::begin(target.process());
    sleep(held).await;
    let holding = span.end();
    let each = |value: f64| value / f64::from(connections.max(1));
    let grown = holding.memory_kib.zip(before).map(|(after, before)| after - before);
    let mut case = Case::new(target.kind().name()).with("connects/s", f64::from(connections) / connecting.seconds);
    if let Some(grown) = grown {
        case = case
            .with("memory KiB/connection", each(grown))
            .with("idle server cpu %", 100.0 * holding.server_cpu.unwrap_or_default() / holding.seconds);
    }
    drop(lines);
    Ok(case.with_times("connecting", &times).with_use(&connecting, u64::from(connections), "connect"))
}

async fn timed(target: &Target, connections: u32, times: &Arc<Times>) -> Result<Vec<Line>, Failure> {
    let lines = all(connections, CONNECTING, |index| {
        let (target, times) = (target.clone(), times.clone());
        async move {
            let began = now();
            let line = Line::drain(&target, &Mailbox::new(index), 0).await?;
            times.since(began);
            Ok(line)
        }
    });
    lines.await
}
