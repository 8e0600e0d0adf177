//! The relay as a program. Prints one line on standard output once it serves: its address.

use std::{
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use hushwire_relay::{
    Operation, Parts,
    check::{self, Finding},
    clock::Clock,
    config::{self, Config},
    disk::Disk,
    du::{self, Source},
    queue::{Usage, rocks::RocksQueue},
};
use sd_notify::NotifyState;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// The storage failed: do not start again before somebody has looked at the disk.
const STORAGE_FAILED: u8 = 2;

/// Threads that read from the disk for drains. A small machine's disk does no more at once.
const READERS_MAX: usize = 16;

/// An envelope is kept at most so much longer than the configuration says, and the hour that an engine may add.
const SWEEP_EVERY: Duration = Duration::from_secs(10 * 60);

/// Who may write to the log, whatever RUST_LOG says: what the network's libraries would has addresses in it.
const OURS: &str = "hushwire_";

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

fn main() -> ExitCode {
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

type Done = Result<ExitCode, Box<dyn Error>>;

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
    if json {
        say(&serde_json::to_string(&findings)?)?;
    } else {
        for Finding { what, ok, says } in &findings {
            say(&format!("{:<6} {what}: {says}", if *ok { "ok" } else { "NOT OK" }))?;
        }
    }
    Ok(if findings.iter().all(|finding| finding.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
         to many        {shared} envelopes stored once for many mailboxes\n\
         on the disk    {disk} bytes\n\
         counted in {from}",
        waiting = mailboxes.saturating_sub(mailboxes_empty),
        tokens = usage.tokens,
        requests = usage.bytes_of_requests,
        shared = usage.shared_bodies,
        disk = usage.disk_bytes,
    ))
}

fn address(path: &Path) -> Done {
    let config = Config::load(path)?;
    say(&config.address(&config.identity()?, config.listen.port())?.to_string())
}

fn serve(path: &Path) -> Done {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,hushwire_relay=info"));
    let ours = filter_fn(|said| said.target().starts_with(OURS));
    let ansi = io::IsTerminal::is_terminal(&io::stderr());
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(ansi);
    tracing_subscriber::registry().with(log.with_filter(filter.and(ours))).init();
    let config = Config::load(path)?;
    let identity = config.identity()?;
    let queue = RocksQueue::open(&config.data_dir, config.rules)?;
    let runtime = Builder::new_multi_thread().enable_all().max_blocking_threads(READERS_MAX).build()?;
    let parts = Parts {
        queue,
        identity,
        listen: config.listen,
        host: config.host,
        connections: config.connections,
        clock: Clock::system(),
        sweep_every: SWEEP_EVERY,
        operation: Operation { admin: config.admin, disk: Disk::of(&config.data_dir, config.disk_reserve) },
    };
    let code = run(&runtime, parts)?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(code)
}

fn run(runtime: &Runtime, parts: Parts<RocksQueue>) -> Done {
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut relay = hushwire_relay::start(parts)?;
        say(&relay.address().to_string())?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "listening");
        tell_systemd(NotifyState::Ready);
        let code = tokio::select! {
            _ = terminate.recv() => ExitCode::SUCCESS,
            _ = interrupt.recv() => ExitCode::SUCCESS,
            () = relay.failed() => {
                tracing::error!("look at the disk, then start again; what was acknowledged is on it");
                ExitCode::from(STORAGE_FAILED)
            }
        };
        tracing::info!("stopping");
        tell_systemd(NotifyState::Stopping);
        let drained = relay.shutdown().await; // also tells everyone that the disk failed
        tracing::info!(cut = drained.cut, "stopped");
        Ok(code)
    })
}

/// A script may wait for this line, so it leaves at once.
fn say(text: &str) -> Done {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
