//! What a large group costs, measured on this machine; `cargo xtask bench groups` runs it.
//!
//! A relay and a keyserver run as programs. Each member is a whole client with an encrypted database, many in this process,
//! and speaks to the servers over connections of its own. Measured are founding the group, the first message, which gives
//! each member the sender's key, further ones, one to members of whom most are not there, somebody who comes, somebody
//! who goes, the message after that, which needs a new key, and in the same run the same message to each by itself.
//!
//! All members share this machine's cores and disk with the servers: the time until the last one has a message is that of
//! so many decryptions and as many synced writes, which elsewhere many machines do at once.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print a table")]

mod people;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hushwire_client::group::Op;
use hushwire_client::{Command, Event};
use hushwire_sim::Failure;
use hushwire_sim::person::said;
use hushwire_sim::server::{Kind, Server};
use people::{Crowd, Row, disk_bytes, heard_by_all};

const HELP: &str = "groupload [--members N] [--json]";

/// Everybody comes from one address here: what is measured for each would send members away.
const RELAY: &str = "\nconnections_max = 10000\nconnections_per_address_max = 10000\nmailboxes_max = 20000\n\
    requests_per_second_per_address = 1000000\nin_flight_mib_per_address = 32\n";
const KEYSERVER: &str = "\nwork_bits = 0\nrequests_per_second_per_connection = 10000\nconnections_per_address_max = 10000\n\
    fetches_per_hour_per_address = 1000000000\nlookups_per_hour_per_address = 1000000000\n";

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
    let (mut members, mut json) = (20, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--members" => {
                let number = args.next().and_then(|number| number.parse().ok());
                members = number.filter(|number| (3..=1024).contains(number)).ok_or(HELP)?;
            }
            "--json" => json = true,
            _ => return Err(HELP.to_owned()),
        }
    }
    let dir = tempfile::tempdir().map_err(said)?;
    let rows = measure(dir.path(), members).await?;
    if json {
        for row in &rows {
            println!("{}", row.json(members));
        }
    } else {
        println!("a group of {members}");
        for row in &rows {
            println!("  {row}");
        }
    }
    Ok(())
}

async fn measure(dir: &Path, members: usize) -> Result<Vec<Row>, Failure> {
    let relay = Server::start_with(Kind::Relay, dir, RELAY)?;
    let keyserver = Server::start_with(Kind::Keyserver, dir, KEYSERVER)?;
    let mut rows = Vec::new();
    let began = Instant::now();
    // One more, who comes later.
    let (mut crowd, keyserver) = Crowd::gather(dir, &relay, keyserver, members + 1).await?;
    rows.push(Row::new("accounts made, all of whom know the founder", began.elapsed(), 0));

    let (before, began) = (crowd.uploaded(), Instant::now());
    let group = crowd.found(members).await?;
    rows.push(Row::new("founded: the last member is in it", began.elapsed(), crowd.uploaded() - before));

    for what in ["first message: the last member has it", "second message", "third message"] {
        let (before, began) = (crowd.uploaded(), Instant::now());
        crowd.say(group, what).await?;
        heard_by_all(crowd.members(1..members), what).await?;
        let took = began.elapsed();
        rows.push(Row::new(what, took, crowd.uploaded() - before));
        crowd.rest().await;
    }

    crowd.leave_for_a_while(members / 10 + 1..members).await?;
    let (disk, before, began) = (disk_bytes(relay.dir())?, crowd.uploaded(), Instant::now());
    let what = "a message, with nine of ten away: the last who is there has it";
    crowd.say(group, what).await?;
    heard_by_all(crowd.members(1..members / 10 + 1), what).await?;
    rows.push(Row::new(what, began.elapsed(), crowd.uploaded() - before));
    crowd.sent().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let away = members.saturating_sub(members / 10 + 1).max(1);
    let grown = disk_bytes(relay.dir())?.saturating_sub(disk) / away as u64;
    rows.push(Row::new("relay's disk for each who is away, bytes", Duration::ZERO, grown));
    let began = Instant::now();
    crowd.come_back(members / 10 + 1..members).await?;
    heard_by_all(crowd.members(members / 10 + 1..members), what).await?;
    rows.push(Row::new("all are back and have it", began.elapsed(), 0));
    crowd.rest().await;

    let (before, began) = (crowd.uploaded(), Instant::now());
    crowd.add(group, members).await?;
    crowd.wait_for_change(members, |event| matches!(event, Event::GroupJoined { .. })).await?;
    rows.push(Row::new("somebody comes: is in it", began.elapsed(), crowd.uploaded() - before));
    crowd.rest().await;

    let gone = crowd.account(members).await?;
    let (before, began) = (crowd.uploaded(), Instant::now());
    crowd.command(0, Command::ChangeGroup { group, ops: vec![Op::Remove(gone)] }).await?;
    crowd.wait_for_change(1, |event| matches!(event, Event::GroupChanged { .. })).await?;
    rows.push(Row::new("somebody is put out: a member knows", began.elapsed(), crowd.uploaded() - before));
    crowd.rest().await;

    let (before, began) = (crowd.uploaded(), Instant::now());
    let what = "the message after that, under a new key";
    crowd.say(group, what).await?;
    heard_by_all(crowd.members(1..members), what).await?;
    rows.push(Row::new(what, began.elapsed(), crowd.uploaded() - before));
    crowd.rest().await;

    let (before, began) = (crowd.uploaded(), Instant::now());
    let what = "the same to each by itself";
    crowd.say_to_each(members, what).await?;
    heard_by_all(crowd.members(1..members), what).await?;
    rows.push(Row::new(what, began.elapsed(), crowd.uploaded() - before));
    crowd.disperse().await;
    keyserver.kill();
    relay.kill();
    Ok(rows)
}
