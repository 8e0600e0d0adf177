//! What a large group costs, measured on this machine; `cargo xtask bench groups` runs it.
//!
//! A relay and a keyserver run as programs. Each member is a whole client with an encrypted database, many in this process,
//! and speaks to the servers over connections of its own. Measured are founding the group, the first message, which gives
//! each member the sender's key, further ones, one to members of whom most are not there, somebody who is put out, the message
//! after that, which needs a new key, somebody who comes, somebody who leaves, what a new key costs then and when the old one
//! is a week old, and in the same run the same message to each by itself. Beside these stands the memory of a client.
//!
//! All members share this machine's cores and disk with the servers: the time until the last one has a message is that of
//! so many decryptions and as many synced writes, which elsewhere many machines do at once. So each row also says how long
//! a core was busy for all clients together, and for the relay.
//!
//! With `--programs` each member is the program `hush`, and what is measured is what a person at a terminal waits for.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print a table")]

mod people;
mod programs;
mod rows;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hushwire_client::group::Op;
use hushwire_client::{Command, Event};
use hushwire_sim::Failure;
use hushwire_sim::person::said;
use hushwire_sim::server::{Kind, Server};
use hushwire_sim::usage::{Process, disk_bytes};
use people::{Crowd, all_hear, heard_by_all};
use programs::Programs;
use rows::{Lap, Rows};

const HELP: &str = "groupload [--members N] [--programs] [--json]";

/// Everybody comes from one address here: what is measured for each would send members away.
const RELAY: &str = "\nconnections_max = 10000\nconnections_per_address_max = 10000\nmailboxes_max = 20000\n\
    requests_per_second_per_address = 1000000\nin_flight_mib_per_address = 32\n";
const KEYSERVER: &str = "\nwork_bits = 0\nrequests_per_second_per_connection = 10000\nconnections_per_address_max = 10000\n\
    fetches_per_hour_per_address = 1000000000\nlookups_per_hour_per_address = 1000000000\n";

/// Programs that run at once.
const PROGRAMS_MAX: usize = 64;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("groupload: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let (mut members, mut programs, mut json) = (20, false, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--members" => {
                let number = args.next().and_then(|number| number.parse().ok());
                members = number.filter(|number| (3..=1024).contains(number)).ok_or(HELP)?;
            }
            "--programs" => programs = true,
            "--json" => json = true,
            _ => return Err(HELP.to_owned()),
        }
    }
    let dir = tempfile::tempdir().map_err(said)?;
    let rows = Rows { members, json };
    match programs {
        true if members > PROGRAMS_MAX => Err(format!("at most {PROGRAMS_MAX} members are a program each")),
        true => as_programs(dir.path(), rows).await,
        false => measure(dir.path(), rows).await,
    }
}

/// The same group, each member a program of its own.
async fn as_programs(dir: &Path, rows: Rows) -> Result<(), Failure> {
    let relay = Server::start_with(Kind::Relay, dir, RELAY)?;
    let keyserver = Server::start_with(Kind::Keyserver, dir, KEYSERVER)?;
    let (mut crowd, keyserver) = Crowd::gather(dir, &relay, keyserver, rows.members + 1).await?;
    crowd.found(rows.members).await?;
    let (gone, comes) = (crowd.account(rows.members - 1).await?, crowd.account(rows.members).await?);
    crowd.sent().await?;
    crowd.disperse().await;
    let dir = dir.to_owned();
    let measured = tokio::task::spawn_blocking(move || {
        let measured = Programs::new(&dir, &relay, rows).measure(gone, comes);
        relay.kill();
        measured
    });
    measured.await.map_err(said)??;
    keyserver.kill();
    Ok(())
}

async fn measure(dir: &Path, rows: Rows) -> Result<(), Failure> {
    let relay = Server::start_with(Kind::Relay, dir, RELAY)?;
    let keyserver = Server::start_with(Kind::Keyserver, dir, KEYSERVER)?;
    let all = rows.members;
    // One more, who comes later.
    let alone = Process::of(std::process::id()).memory_kib;
    let (mut crowd, keyserver) = Crowd::gather(dir, &relay, keyserver, all + 1).await?;
    rows.head();
    rows.memory("memory of all clients before there is a group, in KiB", alone, all + 1);

    let lap = Lap::begin(&crowd, 0);
    let group = crowd.found(all).await?;
    lap.end(rows, &crowd, "founded: the last member is in it").await;

    for what in ["first message: the last member has it", "second message", "third message"] {
        let lap = Lap::begin(&crowd, 0);
        crowd.say(group, what).await?;
        heard_by_all(crowd.members(1..all), what).await?;
        lap.end(rows, &crowd, what).await;
    }
    rows.memory("memory of all clients after three messages, in KiB", alone, all + 1);

    let there = all / 10 + 1;
    crowd.leave_for_a_while(there..all).await?;
    let (disk, lap) = (disk_bytes(relay.dir()), Lap::begin(&crowd, 0));
    let what = "a message, with nine of ten away: the last who is there has it";
    crowd.say(group, what).await?;
    heard_by_all(crowd.members(1..there), what).await?;
    lap.end(rows, &crowd, what).await;
    crowd.sent().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = disk_bytes(relay.dir()) - disk;
    rows.number("bytes of the relay's disk for each who is away", grown / (all - there).max(1) as f64);
    let lap = Lap::begin(&crowd, 0);
    crowd.come_back(there..all).await?;
    heard_by_all(crowd.members(there..all), what).await?;
    lap.end(rows, &crowd, "all are back and have it").await;

    let (stay, gone) = (all - 1, crowd.account(all - 1).await?);
    let lap = Lap::begin(&crowd, 0);
    crowd.command(0, Command::ChangeGroup { group, ops: vec![Op::Remove(gone)] }).await?;
    all_hear(crowd.members(1..stay), "knows who is out", |event| matches!(event, Event::GroupChanged { .. })).await?;
    lap.end(rows, &crowd, "somebody is put out: the last member knows").await;

    let lap = Lap::begin(&crowd, 0);
    let what = "the message after that, under a new key";
    crowd.say(group, what).await?;
    heard_by_all(crowd.members(1..stay), what).await?;
    lap.end(rows, &crowd, what).await;

    let lap = Lap::begin(&crowd, 0);
    crowd.add(group, all).await?;
    all_hear(crowd.members(all..all + 1), "is in it", |event| matches!(event, Event::GroupJoined { .. })).await?;
    lap.end(rows, &crowd, "somebody comes: is in it").await;

    let left = stay - 1;
    let lap = Lap::begin(&crowd, left);
    crowd.leave(left).await?;
    let leaves = |what: &(Op, Option<_>)| matches!(what, (Op::Leave, None));
    let left_by = |event: &Event| matches!(event, Event::GroupChanged { entry, .. } if entry.what.iter().any(leaves));
    all_hear(crowd.members(0..left), "knows who left", left_by).await?;
    all_hear(crowd.members(all..all + 1), "knows who left", left_by).await?;
    lap.end(rows, &crowd, "somebody leaves, who never said anything: the last member knows").await;

    let lap = Lap::begin(&crowd, 0);
    let what = "the message after that, under a new key, which all get";
    crowd.say(group, what).await?;
    heard_by_all(crowd.members(1..left), what).await?;
    heard_by_all(crowd.members(all..all + 1), what).await?;
    lap.end(rows, &crowd, what).await;

    let lap = Lap::begin(&crowd, 0);
    let what = "a week later a message under a new key, which all get";
    crowd.say_a_week_later(group, what).await?;
    heard_by_all(crowd.members(1..left), what).await?;
    heard_by_all(crowd.members(all..all + 1), what).await?;
    lap.end(rows, &crowd, what).await;

    let lap = Lap::begin(&crowd, 0);
    let what = "the same to each by itself";
    crowd.say_to_each(stay, what).await?;
    heard_by_all(crowd.members(1..stay), what).await?;
    lap.end(rows, &crowd, what).await;
    rows.memory("memory of all clients at the end, in KiB", alone, all + 1);
    rows.number("the most that the process ever had, in KiB", Process::of(std::process::id()).peak_kib);
    crowd.disperse().await;
    keyserver.kill();
    relay.kill();
    Ok(())
}
