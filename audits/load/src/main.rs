//! `hushload`: the command line.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its purpose is to print a table")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use hushwire_load::mode::{idle, offline, pairs};
use hushwire_load::report::{Case, Report};
use hushwire_load::server::Server;
use hushwire_load::target::{Kind, Target};
use hushwire_load::{Failure, said};

/// Load on a relay, and a ledger of what it promised. Starts the relay that was built beside it, unless told otherwise.
#[derive(Parser)]
#[command(name = "hushload")]
struct Cli {
    #[command(subcommand)]
    load: Load,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Clone)]
struct Common {
    /// Drive the relay at this address instead
    #[arg(long, global = true, value_name = "ADDRESS")]
    relay: Option<String>,
    /// The process of that relay, to see what it uses
    #[arg(long, global = true, requires = "relay")]
    pid: Option<u32>,
    /// Drive the yardstick
    #[arg(long, global = true, conflicts_with = "relay")]
    floor: bool,
    /// Where the server that is started keeps its files; a temporary directory if absent
    #[arg(long, global = true)]
    dir: Option<std::path::PathBuf>,
    /// Bytes of an envelope: one of the eight sizes
    #[arg(long, global = true, default_value_t = 1024)]
    bytes: usize,
    /// For programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Load {
    /// Senders and devices that are there: rates and times
    Pairs {
        /// How many pairs
        #[arg(long, default_value_t = 100)]
        pairs: u32,
        /// Messages under way in each pair
        #[arg(long, default_value_t = 16)]
        window: u64,
        /// Messages in a second, whatever becomes of those before (instead of the window)
        #[arg(long)]
        rate: Option<u64>,
        /// Seconds that are measured
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Nobody is there; then everybody comes
    Offline {
        /// How many mailboxes
        #[arg(long, default_value_t = 1000)]
        mailboxes: u32,
        /// How many envelopes in all
        #[arg(long, default_value_t = 100_000)]
        messages: u64,
    },
    /// Devices that say nothing
    Idle {
        /// How many
        #[arg(long, default_value_t = 5000)]
        connections: u32,
        /// Seconds that they stay
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
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
    let kind = if common.floor { Kind::Floor } else { Kind::Relay };
    let (server, target) = match &common.relay {
        Some(address) => (None, Target::new(Kind::Relay, address, common.pid)?),
        None => {
            let server = Server::start(kind, &dir)?;
            let target = Target::of(&server)?;
            (Some(server), target)
        }
    };
    let report = match cli.load {
        Load::Pairs { pairs, window, rate, seconds } => {
            let pace = rate.map_or(pairs::Pace::Closed(window), pairs::Pace::Open);
            let (warm_up, measured) = (Duration::from_secs(2), Duration::from_secs(seconds));
            let plan = pairs::Plan { pairs, pace, bytes: common.bytes, warm_up, measured };
            report(format!("{pairs} pairs, {pace:?}"), pairs::run(&target, plan).await?)
        }
        Load::Offline { mailboxes, messages } => {
            let case = offline::run(&target, mailboxes, messages, common.bytes).await?;
            report(format!("{messages} envelopes into {mailboxes} mailboxes, then drained"), case)
        }
        Load::Idle { connections, seconds } => {
            let case = idle::run(&target, connections, Duration::from_secs(seconds)).await?;
            report(format!("{connections} idle connections"), case)
        }
    };
    drop(server);
    if common.json { println!("{}", report.json()) } else { print!("{}", report.text()) }
    Ok(())
}

fn report(title: String, case: Case) -> Report {
    Report::new(title, vec![case])
}
