//! What both programs say, and where to: answers on standard output, the log on standard error, and systemd.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

pub use sd_notify::NotifyState;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::check::Finding;

/// Who may write to the log, whatever RUST_LOG says: what the network's libraries would has addresses in it.
const OURS: &str = "hushwire_";

/// Of every so many turns of a thread, one is for what another thread woke: connections whose answer is ready, which comes from
/// a queue's writer or a thread that checks signatures. With the usual 61 they wait for seconds behind packets that have just
/// arrived, when there are many.
const TURNS_BETWEEN_ANSWERS: u32 = 2;

/// Turns after which the socket and the clock are looked at. With the usual 61, times are some milliseconds late under load.
const TURNS_BETWEEN_EVENTS: u32 = 16;

/// How a command ended, or why it did not.
pub type Done = Result<ExitCode, Box<dyn Error>>;

/// The storage failed: do not start again before somebody has looked at the disk.
pub const STORAGE_FAILED: u8 = 2;

/// What a server runs on: a thread for each core, and at most so many beside them that may block.
///
/// # Errors
/// The system gives no threads.
pub fn runtime(may_block: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(may_block)
        .global_queue_interval(TURNS_BETWEEN_ANSWERS)
        .event_interval(TURNS_BETWEEN_EVENTS)
        .build()
}

/// A script may wait for this line, so it leaves at once.
///
/// # Errors
/// Nobody reads it.
pub fn say(text: &str) -> Done {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Says what was found, a line each or as JSON; failed if anything is not fine.
///
/// # Errors
/// Nobody reads it.
pub fn report(findings: &[Finding], json: bool) -> Done {
    if json {
        say(&serde_json::to_string(findings)?)?;
    } else {
        for Finding { what, ok, says } in findings {
            say(&format!("{:<6} {what}: {says}", if *ok { "ok" } else { "NOT OK" }))?;
        }
    }
    Ok(if findings.iter().all(|finding| finding.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the log to standard error: by default what `usual` says, else what RUST_LOG does.
pub fn log(usual: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let ours = filter_fn(|said| said.target().starts_with(OURS));
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(log.with_filter(filter.and(ours))).init();
}

/// Tells systemd, if it started this.
pub fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
