//! The relay as a program. Prints one line on standard output once it serves: its address.

use std::{
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use hushwire_relay::{
    Failure, Operation, Parts,
    check::{self, Finding},
    clock::Clock,
    config::{self, Config},
    disk::Disk,
    du::{self, Source},
    queue::{Usage, rocks::RocksQueue},
};
use hushwire_server::program::{self, Done, NotifyState, STORAGE_FAILED, say, tell_systemd};
use tikv_jemallocator::Jemalloc;
use tokio::signal::unix::{SignalKind, signal};

/// Of the whole program, RocksDB's allocations too.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Threads that read from the disk for drains. A small machine's disk does no more at once.
const READERS_MAX: usize = 16;

/// An envelope is kept at most so much longer than the configuration says, and the hour that an engine may add. The
/// relay's time is kept as often: so much of it a crash may lose.
const SWEEP_EVERY: Duration = Duration::from_millis(if cfg!(feature = "fail-points") { 100 } else { 60_000 });

/// Free bytes with which the queue can be opened after the disk was full.
const START_BYTES: u64 = 16 * 1024 * 1024;

/// How often a disk that was full is looked at.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_secs(1);

/// The blind relay of Hushwire: keeps sealed envelopes until they are fetched.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Option<WithConfig>,
}

#[derive(Subcommand)]
enum Command {
    /// Make a directory with a configuration, a certificate and its key
    Init {
        /// The directory
        #[arg(long, default_value = "hushwire-relay")]
        dir: PathBuf,
        /// How clients reach this relay; the first is in its address, all are in its certificate
        #[arg(long, default_value = "localhost")]
        host: Vec<String>,
    },
    /// Serve (also without the word)
    Run(WithConfig),
    /// Look at everything a relay with this configuration needs: each line says ok, or what to do
    Check(Asked),
    /// Say what the relay holds, whether it runs or not: mailboxes, envelopes, bytes
    Du(Asked),
    /// Print the address that clients need
    Address(WithConfig),
}

#[derive(Args)]
struct Asked {
    #[command(flatten)]
    with: WithConfig,
    /// For programs: one JSON value on one line
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct WithConfig {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "HUSHWIRE_RELAY_CONFIG")]
    config: PathBuf,
}

pub(crate) fn main() -> ExitCode {
    let Cli { command, run } = Cli::parse();
    let done = match command.or(run.map(Command::Run)) {
        Some(Command::Init { dir, host }) => init(&dir, &host),
        Some(Command::Run(WithConfig { config })) => serve(&config),
        Some(Command::Check(Asked { with, json })) => check(&with.config, json),
        Some(Command::Du(Asked { with, json })) => du(&with.config, json),
        Some(Command::Address(WithConfig { config })) => address(&config),
        None => Err("--config FILE is missing; make one with: hushwire-relay init".into()),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "hushwire-relay: {error}");
        ExitCode::FAILURE
    })
}

fn init(dir: &Path, hosts: &[String]) -> Done {
    let path = config::init(dir, hosts)?;
    let config = Config::load(&path)?;
    let address = config.address(&config.identity()?, config.listen.port())?;
    let (path, key) = (path.display(), config.key.display());
    say(&format!(
        "Wrote {path}, a certificate and its key. Next:\n\
         \x20 1. Back up {key}: clients know this relay by it.\n\
         \x20 2. Open UDP port {port} in the firewall.\n\
         \x20 3. hushwire-relay check --config {path}\n\
         \x20 4. hushwire-relay run --config {path}\n\
         To watch it, write admin = \"127.0.0.1:4441\" in {path}: metrics and health over HTTP, for this machine only.\n\
         Clients need this address:\n\
         {address}",
        port = config.listen.port(),
    ))
}

fn check(path: &Path, json: bool) -> Done {
    let config = Config::load(path);
    let what = "configuration";
    let findings = match &config {
        Ok(config) => {
            let mut findings = vec![Finding { what, ok: true, says: format!("{} is understood", path.display()) }];
            findings.extend(check::run(config));
            findings
        }
        Err(error) => vec![Finding { what, ok: false, says: error.to_string() }],
    };
    program::report(&findings, json)
}

fn du(path: &Path, json: bool) -> Done {
    let config = Config::load(path)?;
    let (usage, source) = du::usage(&config)?;
    if json {
        return say(&serde_json::to_string(&usage)?);
    }
    let Usage { mailboxes, mailboxes_empty, mailboxes_full, envelopes, bytes, .. } = usage;
    let from = match source {
        Source::Running => "the relay that runs",
        Source::Files => "its files",
    };
    say(&format!(
        "mailboxes      {mailboxes}: {mailboxes_empty} empty, {waiting} with envelopes, {mailboxes_full} of them full\n\
         tokens         {tokens}\n\
         envelopes      {envelopes}, {bytes} bytes; {requests} bytes of them first contacts\n\
         to many        {shared} envelopes stored once for many mailboxes, {body_bytes} bytes\n\
         on the disk    {disk} bytes\n\
         counted in {from}",
        waiting = mailboxes.saturating_sub(mailboxes_empty),
        tokens = usage.tokens,
        requests = usage.bytes_of_requests,
        shared = usage.shared_bodies,
        body_bytes = usage.body_bytes,
        disk = usage.disk_bytes,
    ))
}

fn address(path: &Path) -> Done {
    let config = Config::load(path)?;
    say(&config.address(&config.identity()?, config.listen.port())?.to_string())
}

fn serve(path: &Path) -> Done {
    program::log("warn,hushwire_relay=info");
    let config = Config::load(path)?;
    let disk = Disk::of(&config.data_dir, config.disk_reserve);
    let runtime = program::runtime(READERS_MAX)?;
    let (mut listen, mut first) = (config.listen, true);
    let code = loop {
        let parts = Parts {
            queue: match first {
                true => RocksQueue::open(&config.data_dir, config.rules)?,
                false => RocksQueue::open_again(&config.data_dir, config.rules)?,
            },
            identity: config.identity()?,
            listen,
            host: config.host.clone(),
            connections: config.connections,
            clock: Clock::system(),
            sweep_every: SWEEP_EVERY,
            operation: Operation { admin: config.admin, disk: disk.clone(), rates: config.rates, doors: config.doors },
        };
        match runtime.block_on(run(parts, first, &disk))? {
            Next::Exit(code) => break code,
            Next::Again(local) => (listen, first) = (local, false),
        }
    };
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(code)
}

enum Next {
    Exit(ExitCode),
    /// The disk was full and has room again: open the queue anew and listen where it did.
    Again(SocketAddr),
}

async fn run(parts: Parts<RocksQueue>, first: bool, disk: &Disk) -> Result<Next, Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut relay = hushwire_relay::start(parts)?;
    if first {
        say(&relay.address().to_string())?;
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "listening");
    tell_systemd(NotifyState::Ready);
    let failure = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        failure = relay.failed() => Some(failure),
    };
    tracing::info!("stopping");
    if failure != Some(Failure::OutOfSpace) {
        tell_systemd(NotifyState::Stopping);
    }
    let local = relay.local_addr();
    let drained = relay.shutdown().await; // also tells everyone that the disk failed
    tracing::info!(cut = drained.cut, "stopped");
    match failure {
        None => Ok(Next::Exit(ExitCode::SUCCESS)),
        Some(Failure::Disk) => {
            tracing::error!("look at the disk, then start again; what was acknowledged is on it");
            Ok(Next::Exit(ExitCode::from(STORAGE_FAILED)))
        }
        Some(Failure::OutOfSpace) => {
            tracing::error!("the disk is full; waiting for room; what was acknowledged is on it");
            tokio::select! {
                _ = terminate.recv() => Ok(Next::Exit(ExitCode::SUCCESS)),
                _ = interrupt.recv() => Ok(Next::Exit(ExitCode::SUCCESS)),
                () = room(disk) => Ok(Next::Again(local)),
            }
        }
    }
}

/// Resolves once more is free than the reserve, and than a start may write: the log once more, as files.
async fn room(disk: &Disk) {
    while disk.space().is_some_and(|space| disk.is_low(space, true) || space.free < START_BYTES) {
        tokio::time::sleep(LOOK_FOR_ROOM_EVERY).await;
    }
}
