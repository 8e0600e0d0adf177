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
    Parts,
    clock::Clock,
    config::{self, Config},
    queue::rocks::RocksQueue,
};
use sd_notify::NotifyState;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

/// The storage failed: do not start again before somebody has looked at the disk.
const STORAGE_FAILED: u8 = 2;

/// Threads that read from the disk for drains. A small machine's disk does no more at once.
const READERS_MAX: usize = 16;

/// An envelope is kept at most so much longer than the configuration says, and the hour that an engine may add.
const SWEEP_EVERY: Duration = Duration::from_secs(10 * 60);

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
    /// Say whether the configuration can be used
    Check(WithConfig),
    /// Print the address that clients need
    Address(WithConfig),
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
        Some(Command::Check(WithConfig { config })) => check(&config),
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
         \x20 3. hushwire-relay run --config {path}\n\
         Clients need this address:\n\
         {address}",
        port = config.listen.port(),
    ))
}

fn check(path: &Path) -> Done {
    let config = Config::load(path)?;
    let address = config.address(&config.identity()?, config.listen.port())?;
    say(&format!("{} can be used. Listens on UDP {}; clients need:\n{address}", path.display(), config.listen))
}

fn address(path: &Path) -> Done {
    let config = Config::load(path)?;
    say(&config.address(&config.identity()?, config.listen.port())?.to_string())
}

fn serve(path: &Path) -> Done {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,hushwire_relay=info"));
    let ansi = io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(ansi).init();
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
