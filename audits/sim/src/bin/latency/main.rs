//! What a relay adds to the time of a message, measured on this machine; `cargo xtask bench latency` runs it.
//!
//! A relay and a keyserver run as programs; two people with an encrypted database each are in this process. Measured are
//! the whole way of a message, the way of a bare envelope through the relay without any cryptography of messages, and in
//! the same run yardsticks: a round trip of as many bytes over a bare QUIC stream, and an `fdatasync` of as many bytes
//! written to a file in the relay's directory. A relay that promises durability cannot be faster than both together.
//! Absolute numbers say more about the disk and the machine than about it, and on a busy machine more about how long a
//! thread waits for a core after its disk has answered: compare runs on a machine that does nothing else.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print a table")]

mod envelopes;
mod messages;
mod table;
mod yardsticks;

use std::process::ExitCode;

use hushwire_sim::Failure;
use hushwire_sim::server::{Kind, Server};
use table::Table;
use yardsticks::Into;

/// Envelopes under way at the same time, where not one by one.
const IN_FLIGHT: usize = 16;

/// Appends that are synced. Each waits for the disk; more say nothing new.
const APPENDS_MAX: usize = 2_000;

const HELP: &str = "latency [--messages N] [--json]";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("latency: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let (mut count, mut json) = (10_000, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--messages" => {
                let number = args.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                count = number.ok_or(HELP)?;
            }
            "--json" => json = true,
            _ => return Err(HELP.to_owned()),
        }
    }
    let dir = tempfile::tempdir().map_err(said)?;
    let relay = Server::start(Kind::Relay, dir.path())?;
    let keyserver = Server::start(Kind::Keyserver, dir.path())?;
    let mut table = Table::default();

    let echo = yardsticks::echo(count).await?;
    let (growing, prepared) = (relay.dir().join("yardstick-1"), relay.dir().join("yardstick-2"));
    let append = yardsticks::synced(&growing, Into::Growing, count.min(APPENDS_MAX)).await?;
    let sync = yardsticks::synced(&prepared, Into::Prepared, count.min(APPENDS_MAX)).await?;
    let one = envelopes::measure(relay.address(), count, 1).await?;
    let many = envelopes::measure(relay.address(), count, IN_FLIGHT).await?;
    let people = messages::People::meet(dir.path(), &relay, &keyserver).await?;
    let talk = people.measure(count, 1).await?;
    let busy = people.measure(count, IN_FLIGHT).await?;

    table.row("yardstick: QUIC round trip", 1, &echo);
    table.row("yardstick: fdatasync of a growing file", 1, &append);
    table.row("yardstick: fdatasync of a file with room", 1, &sync);
    table.row("envelope: deposit -> stored", 1, &one.stored);
    table.row("envelope: deposit -> pushed to its device", 1, &one.pushed);
    table.row("envelope: deposit -> stored", IN_FLIGHT, &many.stored);
    table.row("envelope: deposit -> pushed to its device", IN_FLIGHT, &many.pushed);
    table.row("message: send -> queued (kept here)", 1, &talk.queued);
    table.row("message: send -> received (kept and shown there)", 1, &talk.received);
    table.row("message: send -> sent (known to be stored)", 1, &talk.sent);
    table.row("message: send -> queued (kept here)", IN_FLIGHT, &busy.queued);
    table.row("message: send -> received (kept and shown there)", IN_FLIGHT, &busy.received);
    table.row("message: send -> sent (known to be stored)", IN_FLIGHT, &busy.sent);
    // What is left of an envelope's way when the network's part is taken away.
    table.added("added by the relay, at the median", &one.pushed, &echo, 0.5);
    table.added("added by the relay, at the 99th percentile", &one.pushed, &echo, 0.99);
    table.ratio("that against one fdatasync with room, medians", &one.pushed, &echo, &sync);
    table.rate("envelopes through the relay, 16 in flight", many.per_second);
    table.rate("messages end to end, 16 in flight", busy.per_second);
    people.leave().await?;
    if json {
        println!("{}", table.json())
    } else {
        print!("{}", table.text())
    }
    Ok(())
}

fn said(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}
