//! `hushload`: what it is told to do, and what it found.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print tables")]

mod args;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use args::{Cli, Common, Judged, Load, Loaded, Many};
use clap::Parser;
use hushwire_load::ledger::{self, Verdict};
use hushwire_load::mode::compare::{self, Size};
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
        Load::Judged(judged) => show(common, &judge(common, &dir, judged).await?),
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

/// Kills a relay, or reads what an earlier run has left, and judges.
async fn judge(common: &Common, dir: &Path, judged: &Judged) -> Result<Report, Failure> {
    match judged {
        Judged::Faults { clients, stored, kills } => {
            let plan = faults::Plan { clients: *clients, stored: *stored, kills: *kills, bytes: common.bytes };
            let outcome = faults::run(dir, plan).await?;
            let case = verdict(&outcome.verdict, &outcome.missed, outcome.case)?;
            Ok(Report::new(format!("{clients} clients of a relay that is killed: every invariant holds"), vec![case]))
        }
        Judged::Check { ledger } => {
            let entries = ledger::read(ledger)?;
            let (found, missed) = (ledger::check(&entries), ledger::control(&entries));
            let figures =
                [("stored", found.stored), ("given", found.given), ("shown", found.shown), ("kills", found.kills)];
            let case =
                figures.into_iter().fold(Case::new("ledger"), |case, (name, count)| case.with(name, count as f64));
            Ok(Report::new("every invariant holds", vec![verdict(&found, &missed, case)?]))
        }
    }
}

/// The case, if nothing was broken and the checker would have found it.
fn verdict(found: &Verdict, missed: &[String], case: Case) -> Result<Case, Failure> {
    let broken =
        found.broken.iter().map(|(what, (count, first))| format!("\n    {what}: {count} times; first: {first}"));
    let broken: String = broken.chain(missed.iter().map(|missed| format!("\n    control: {missed}"))).collect();
    if broken.is_empty() {
        Ok(case)
    } else {
        Err(format!("promises were not kept:{broken}\n{}", Report::new("", vec![case]).text()))
    }
}
