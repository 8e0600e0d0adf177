//! How fast somebody who was away has everything, measured on this machine; `cargo xtask bench backlog` runs it.
//!
//! A relay and a keyserver run as programs. Fifty people write to one who is away, forty-five to them alone, and five
//! each to a group with them. Then `hush receive --json` fetches all of it: a program of its own, so that its memory is
//! that of one client. It runs twice: once before anything waits, for what a start costs, and once for the backlog.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print a table")]

mod watched;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use hushwire_sim::Failure;
use hushwire_sim::backlog::Backlog;
use hushwire_sim::person::said;
use hushwire_sim::usage::disk_bytes;
use serde_json::json;
use watched::Watched;

const HELP: &str = "backlog [--messages N] [--conversations N] [--json]";

/// Of ten conversations one is a group.
const GROUP_OF: usize = 10;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("backlog: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let (mut messages, mut conversations, mut json) = (10_000, 50, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--messages" => {
                let number = args.next().and_then(|number| number.parse().ok());
                messages = number.filter(|number| (1..=1_000_000).contains(number)).ok_or(HELP)?;
            }
            "--conversations" => {
                let number = args.next().and_then(|number| number.parse().ok());
                conversations = number.filter(|number| (1..=1000).contains(number)).ok_or(HELP)?;
            }
            "--json" => json = true,
            _ => return Err(HELP.to_owned()),
        }
    }
    let dir = tempfile::tempdir().map_err(said)?;
    for row in measure(dir.path(), conversations, (messages / conversations).max(1)).await? {
        if json {
            println!("{}", json!({"what": row.what, "value": row.value, "unit": row.unit}));
        } else {
            println!("  {:<64} {:>14.1} {}", row.what, row.value, row.unit);
        }
    }
    Ok(())
}

/// One thing that was measured.
struct Row {
    what: &'static str,
    value: f64,
    unit: &'static str,
}

async fn measure(dir: &Path, conversations: usize, each: usize) -> Result<Vec<Row>, Failure> {
    let messages = each * conversations;
    let groups = conversations / GROUP_OF;
    let mut backlog = Backlog::prepare(dir, conversations - groups, groups).await?;
    Watched::run(backlog.receive()?)?; // the hellos
    let nothing = Watched::run(backlog.receive()?)?;
    let database_before = disk_bytes(&backlog.account());
    let began = Instant::now();
    backlog.write(each).await?;
    let written = began.elapsed();
    let all = Watched::run(backlog.receive()?)?;
    if all.messages != messages {
        return Err(format!("{} of {messages} messages were shown", all.messages));
    }
    let left = backlog.waiting().await?;
    if left > 0 {
        return Err(format!("{left} envelopes were not acknowledged"));
    }
    let kept: usize = backlog.kept().await?.iter().map(Vec::len).sum();
    if kept != messages {
        return Err(format!("{kept} of {messages} messages are kept"));
    }
    let database = disk_bytes(&backlog.account());
    let mib = |kib: f64| kib / 1024.0;
    let row = |what, value, unit| Row { what, value, unit };
    Ok(vec![
        row("messages", messages as f64, ""),
        row("written, all writers together", messages as f64 / written.as_secs_f64(), "per second"),
        row("nothing waits: `hush receive` from start to end", nothing.took.as_secs_f64(), "s"),
        row("nothing waits: memory at most", mib(nothing.memory_kib), "MiB"),
        row("the backlog: the last message is shown after", all.last_shown.as_secs_f64(), "s"),
        row("the backlog: all is acknowledged and the program has ended", all.took.as_secs_f64(), "s"),
        row("the backlog: shown", messages as f64 / all.last_shown.as_secs_f64(), "per second"),
        row("the backlog: processor, of which one core has 1 s a second", all.cpu_s, "s"),
        row("the backlog: memory at most", mib(all.memory_kib), "MiB"),
        row("database before", mib(database_before / 1024.0), "MiB"),
        row("database after", mib(database / 1024.0), "MiB"),
    ])
}
