//! `hushload`: what it is told to do, and what it found.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print tables")]

mod args;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use args::{Cli, Common, Faults, Judged, Load, Loaded, Many};
use clap::{Parser, ValueEnum};
use hushwire_load::judgement::{self, Judgement};
use hushwire_load::ledger;
use hushwire_load::mode::compare::{self, Size};
use hushwire_load::mode::faults::Fault;
use hushwire_load::mode::pairs::{Pace, Plan};
use hushwire_load::mode::{fanout, faults, growth, idle, offline, overload, pairs, soak};
use hushwire_load::report::{Case, Report};
use hushwire_load::server::Server;
use hushwire_load::target::{Kind, Target};
use hushwire_load::{Failure, said};
use tokio::runtime::Builder;

/// How long connections find their speed, uncounted.
const WARM_UP: Duration = Duration::from_secs(2);

/// Turns of its own tasks after which a thread takes one that another thread has woken, and after which it looks at the
/// sockets and the time: messages are begun by a thread, and what they wait here would count as the server's time.
const TURNS_BETWEEN_BEGUN: u32 = 2;
const TURNS_BETWEEN_EVENTS: u32 = 16;

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .global_queue_interval(TURNS_BETWEEN_BEGUN)
        .event_interval(TURNS_BETWEEN_EVENTS)
        .build();
    match runtime.map_err(said).and_then(|runtime| runtime.block_on(run(&Cli::parse()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hushload: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<(), Failure> {
    let common = &cli.common;
    common.cores().take()?;
    let temporary = tempfile::tempdir().map_err(said)?;
    let dir = common.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    match &cli.load {
        Load::One(load) => show(common, &one(common, &dir, load).await?)?,
        Load::Judged(judged) => judge(common, &dir, judged).await?,
        Load::Many(Many::Compare { work, seconds, part, peers }) => {
            let size = Size { measured: Duration::from_secs(*seconds), part: *part, bytes: common.bytes };
            let mut loads = Vec::new();
            for (name, work) in args::works(work)? {
                let report = compare::run(&dir, name, work, size, peers.as_deref()).await?;
                show_as(common, &report, Report::columns)?;
                loads.push((work, report));
            }
            show_as(common, &compare::summary(&loads), Report::columns)?;
        }
        Load::Many(Many::Growth { quick }) => {
            let size = if *quick { growth::Size::QUICK } else { growth::Size::WHOLE };
            for report in growth::run(&dir, size, common.bytes).await? {
                show(common, &report)?;
            }
        }
    }
    Ok(())
}

fn show(common: &Common, report: &Report) -> Result<(), Failure> {
    show_as(common, report, Report::text)
}

fn show_as(common: &Common, report: &Report, text: fn(&Report) -> String) -> Result<(), Failure> {
    save(common, &report.json())?;
    if !common.json {
        println!("{}", text(report));
    }
    Ok(())
}

/// Shows what must hold, and fails if something does not.
fn show_judged(common: &Common, judged: &[Judgement]) -> Result<(), Failure> {
    for one in judged {
        save(common, &one.json())?;
    }
    if !common.json {
        println!("{}", judgement::text(judged));
    }
    judgement::all_hold(judged)
}

/// What is for programs: to where it was asked for.
fn save(common: &Common, value: &serde_json::Value) -> Result<(), Failure> {
    if common.json {
        println!("{value}");
    }
    let Some(path) = &common.save else { return Ok(()) };
    let mut file = File::options().create(true).append(true).open(path).map_err(said)?;
    writeln!(file, "{value}").map_err(said)
}

/// The server that was asked for, and the process if it was started here.
fn server(common: &Common, dir: &Path) -> Result<(Option<Server>, Target), Failure> {
    if let Some(address) = &common.relay {
        return Ok((None, Target::new(Kind::Relay, address, common.pid)?));
    }
    let kind = if common.floor { Kind::Floor } else { Kind::Relay };
    let server = Server::start_on(&common.cores(), kind, dir)?;
    let target = Target::of(&server)?;
    Ok((Some(server), target))
}

/// Drives one server.
async fn one(common: &Common, dir: &Path, load: &Loaded) -> Result<Report, Failure> {
    let (_server, target) = server(common, dir)?;
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
            let plan = fanout::Plan { members, messages, bytes, are_there: !away, pairwise: false };
            let there = if away { "not there" } else { "there" };
            let title = format!("{messages} envelopes, each to {members} devices that are {there}");
            Report::new(title, fanout::both(&target, plan).await?)
        }
    })
}

/// Measures, or reads what an earlier run has left, and judges.
async fn judge(common: &Common, dir: &Path, judged: &Judged) -> Result<(), Failure> {
    let bytes = common.bytes;
    match judged {
        Judged::Overload { pairs, seconds } => {
            let (_server, target) = server(common, dir)?;
            let plan = overload::Plan { pairs: *pairs, seconds: *seconds, bytes };
            let (cases, judged) = overload::run(&target, plan).await?;
            show(common, &Report::new(format!("overload, {pairs} senders and as many devices"), cases))?;
            show_judged(common, &judged)
        }
        Judged::Soak { minutes, pairs, rate, out } => {
            let (Some(server), _) = server(common, dir)? else {
                return Err("a soak starts its own server".to_owned());
            };
            let lasts = Duration::from_secs(60 * minutes);
            let plan = soak::Plan { lasts, pairs: *pairs, rate: *rate, bytes, out };
            let (case, judged) = soak::run(&server, plan).await?;
            show(common, &Report::new("soak", vec![case]))?;
            show_judged(common, &judged)
        }
        Judged::Faults(asked) => happen(common, dir, asked).await,
        Judged::Check { ledger } => show(common, &reread(ledger)?),
    }
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
            Ok(report) => show(common, &report)?,
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
fn reread(path: &Path) -> Result<Report, Failure> {
    let entries = ledger::read(path)?;
    let (found, missed) = (ledger::check(&entries), ledger::control(&entries));
    let figures = [("stored", found.stored), ("given", found.given), ("shown", found.shown), ("kills", found.kills)];
    let case = figures.into_iter().fold(Case::new("ledger"), |case, (name, count)| case.with(name, count as f64));
    Ok(Report::new("every invariant holds", vec![faults::judged(&found, &missed, case)?]))
}
