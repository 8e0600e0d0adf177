//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use hushwire_load::Failure;
use hushwire_load::cores::Cores;
use hushwire_load::mode::compare::Work;
use hushwire_load::mode::faults::{Fault, Sizes};

/// Load on a relay, and a ledger of what it promised. Starts the relay that was built beside it, unless told otherwise.
#[derive(Parser)]
#[command(name = "hushload")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) load: Load,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args)]
pub(crate) struct Common {
    /// Drive the relay at this address instead
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) relay: Option<String>,
    /// The process of that relay, to see what it uses
    #[arg(long, global = true, requires = "relay")]
    pub(crate) pid: Option<u32>,
    /// Drive the yardstick
    #[arg(long, global = true, conflicts_with = "relay")]
    pub(crate) floor: bool,
    /// Where the server that is started keeps its files, and what stays of a run; a temporary directory if absent
    #[arg(long, global = true)]
    pub(crate) dir: Option<PathBuf>,
    /// Bytes of an envelope: one of the eight sizes
    #[arg(long, global = true, default_value_t = 1024)]
    pub(crate) bytes: usize,
    /// For programs: one line for each table
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Add those lines to this file as well
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Cores of the server that is started, as `taskset -c` reads them: 0, 0-3
    #[arg(long, global = true, value_name = "LIST")]
    pub(crate) server_cores: Option<String>,
    /// Per cent of one core that it gets; needs root
    #[arg(long, global = true, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) server_share: Option<u32>,
    /// Cores of this program
    #[arg(long, global = true, value_name = "LIST")]
    pub(crate) own_cores: Option<String>,
}

impl Common {
    pub(crate) fn cores(&self) -> Cores {
        Cores { server: self.server_cores.clone(), own: self.own_cores.clone(), share: self.server_share }
    }
}

#[derive(Subcommand)]
pub(crate) enum Load {
    #[command(flatten)]
    One(Loaded),
    #[command(flatten)]
    Judged(Judged),
    #[command(flatten)]
    Many(Many),
}

/// Loads on one server.
#[derive(Subcommand)]
pub(crate) enum Loaded {
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
    /// One envelope to many devices, by one request and by one for each
    Fanout {
        /// How many devices
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=5000))]
        members: u32,
        /// How many envelopes, one after another
        #[arg(long, default_value_t = 20)]
        messages: u64,
        /// The devices are not there
        #[arg(long)]
        away: bool,
    },
}

/// Runs that end in a verdict.
#[derive(Subcommand)]
pub(crate) enum Judged {
    /// Two, five and ten times what can be sustained, and one mailbox that gets nearly all
    Overload {
        /// How many pairs: half of the connections
        #[arg(long, default_value_t = 2500, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        /// Seconds of each rate
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// A long time at seven tenths of what can be sustained, with everybody coming and going
    Soak {
        /// How long
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        /// How many pairs
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        /// Messages in a second, instead of measuring what can be sustained
        #[arg(long)]
        rate: Option<f64>,
        /// Where the table and the pictures go
        #[arg(long, default_value = "audits/load/soak")]
        out: PathBuf,
    },
    /// Everything happens to a relay that can happen to a machine, and it must keep what it promised
    Faults(Faults),
    /// Judge the ledger that a run of `faults --dir DIR` left
    Check {
        /// The file
        ledger: PathBuf,
    },
}

/// What happens, and how much of it.
#[derive(Args)]
pub(crate) struct Faults {
    /// One or more; all of them if absent
    #[arg(value_enum)]
    pub(crate) faults: Vec<Fault>,
    /// Some seconds of each, instead of what must be shown
    #[arg(long)]
    quick: bool,
    /// Each a sender and a device
    #[arg(long)]
    clients: Option<u32>,
    /// kill: deposits that are to be answered stored
    #[arg(long)]
    stored: Option<u64>,
    /// kill: kills that there must have been as well
    #[arg(long)]
    kills: Option<u64>,
    /// power: cuts
    #[arg(long)]
    cuts: Option<u32>,
    /// corrupt: damages
    #[arg(long)]
    placements: Option<u32>,
}

impl Faults {
    /// How much.
    pub(crate) fn sizes(&self, bytes: usize) -> Sizes {
        let usual = if self.quick { Sizes::QUICK } else { Sizes::FULL };
        Sizes {
            bytes,
            clients: self.clients.unwrap_or(usual.clients),
            stored: self.stored.unwrap_or(usual.stored),
            kills: self.kills.unwrap_or(usual.kills),
            cuts: self.cuts.unwrap_or(usual.cuts),
            placements: self.placements.unwrap_or(usual.placements),
            ..usual
        }
    }
}

/// Loads on several servers.
#[derive(Subcommand)]
pub(crate) enum Many {
    /// The relay and the yardstick in one run, and their ratio
    Compare {
        /// thr1, thr16, lat2000, offline, idle, idle20k, fanon, fanoff; all of them if absent
        #[arg(long, value_delimiter = ',')]
        work: Vec<String>,
        /// Seconds that are measured where time counts
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// One of so many messages and connections where they count
        #[arg(long, default_value_t = 1)]
        part: u32,
        /// A harness that drives other servers through the same loads
        #[arg(long, value_name = "DIR")]
        peers: Option<PathBuf>,
    },
    /// The time of a message, rates and memory with 1 to 10,000 connections, up to a million mailboxes, and up to ten
    /// million envelopes that wait
    Growth {
        /// In little
        #[arg(long)]
        quick: bool,
    },
}

/// Those of these names, or all.
pub(crate) fn works(names: &[String]) -> Result<Vec<(&'static str, Work)>, Failure> {
    if names.is_empty() {
        return Ok(Work::ALL.to_vec());
    }
    let found = names.iter().map(|name| {
        let work = Work::ALL.into_iter().find(|(known, _)| known == name);
        work.ok_or_else(|| format!("{name} is no load; there are {}", Work::ALL.map(|(name, _)| name).join(", ")))
    });
    found.collect()
}
