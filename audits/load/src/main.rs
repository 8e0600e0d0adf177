//! `hushload`: what it is told to do, and what it found.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print tables")]

mod args;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use args::{Cli, Common, Faults, Judged, Load, Loaded, Many};
use clap::{Parser, ValueEnum};
use hushwire_load::ledger;
use hushwire_load::mode::compare::{self, Size};
use hushwire_load::mode::faults::Fault;
use hushwire_load::mode::pairs::{Pace, Plan};
use hushwire_load::mode::{fanout, faults, growth, idle, offline, overload, pairs};
use hushwire_load::report::{Case, Report};
use hushwire_load::server::Server;
use hushwire_load::target::{Kind, Target};
use hushwire_load::{Failure, said};

/// How long connections find their speed, uncounted.
const WARM_UP: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hushload: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(cli: &Cli) -> Result<(), Failure> {
    let common = &cli.common;
    let temporary = tempfile::tempdir().map_err(said)?;
    let dir = common.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    match &cli.load {
        Load::One(load) => show(common, &one(common, &dir, load).await?),
        Load::Judged(Judged::Faults(asked)) => happen(common, &dir, asked).await?,
        Load::Judged(Judged::Check { ledger }) => show(common, &judge(ledger)?),
        Load::Many(Many::Compare { work, seconds, part }) => {
            let size = Size { measured: Duration::from_secs(*seconds), part: *part, bytes: common.bytes };
            for (name, work) in args::works(work)? {
                show(common, &compare::run(&dir, name, work, size).await?);
            }
        }
    }
    Ok(())
}

fn show(common: &Common, report: &Report) {
    if common.json { println!("{}", report.json()) } else { println!("{}", report.text()) }
}

/// Drives one server.
async fn one(common: &Common, dir: &Path, load: &Loaded) -> Result<Report, Failure> {
    let kind = if common.floor { Kind::Floor } else { Kind::Relay };
    let (_server, target) = match &common.relay {
        Some(address) => (None, Target::new(Kind::Relay, address, common.pid)?),
        None => {
            let server = Server::start(kind, dir)?;
            let target = Target::of(&server)?;
            (Some(server), target)
        }
    };
    let bytes = common.bytes;
    Ok(match *load {
        Loaded::Pairs { pairs, window, rate, seconds } => {
            let pace = rate.map_or(Pace::Closed(window), Pace::Open);
            let plan = Plan { pairs, pace, bytes, warm_up: WARM_UP, measured: Duration::from_secs(seconds) };
            Report::new(format!("{pairs} pairs, {pace:?}"), vec![pairs::run(&target, plan).await?])
        }
        Loaded::Offline { mailboxes, messages } => {
            let case = offline::run(&target, mailboxes, messages, bytes).await?;
            Report::new(format!("{messages} envelopes into {mailboxes} mailboxes, then drained"), vec![case])
        }
        Loaded::Idle { connections, seconds } => {
            let case = idle::run(&target, connections, Duration::from_secs(seconds)).await?;
            Report::new(format!("{connections} idle connections"), vec![case])
        }
        Loaded::Fanout { members, messages, away } => {
            let case = fanout::run(&target, members, messages, bytes, !away).await?;
            Report::new(format!("{messages} envelopes, each to {members} devices"), vec![case])
        }
        Loaded::Growth { most } => Report::new("what grows", growth::run(&target, most, bytes).await?),
        Loaded::Overload { pairs, seconds } => {
            Report::new(format!("overload, {pairs} pairs"), overload::run(&target, pairs, bytes, seconds).await?)
        }
    })
}

/// Lets faults happen, one after the other, all of them whatever the others show.
async fn happen(common: &Common, dir: &Path, asked: &Faults) -> Result<(), Failure> {
    let faults = if asked.faults.is_empty() { Fault::value_variants() } else { &asked.faults };
    let sizes = asked.sizes(common.bytes);
    let mut broken = 0;
    for fault in faults {
        let name = fault.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let began = Instant::now();
        eprintln!("{name} …");
        match faults::run(&dir.join(&name), *fault, sizes).await {
            Ok(report) => show(common, &report),
            Err(failure) => {
                broken += 1;
                eprintln!("hushload: {name}: {failure}");
            }
        }
        eprintln!("{name}: {} s", began.elapsed().as_secs());
    }
    if broken == 0 { Ok(()) } else { Err(format!("{broken} of {} kinds of faults did not end well", faults.len())) }
}

/// Reads what an earlier run has left, and judges.
fn judge(path: &Path) -> Result<Report, Failure> {
    let entries = ledger::read(path)?;
    let (found, missed) = (ledger::check(&entries), ledger::control(&entries));
    let figures = [("stored", found.stored), ("given", found.given), ("shown", found.shown), ("kills", found.kills)];
    let case = figures.into_iter().fold(Case::new("ledger"), |case, (name, count)| case.with(name, count as f64));
    Ok(Report::new("every invariant holds", vec![faults::judged(&found, &missed, case)?]))
}
