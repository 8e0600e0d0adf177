//! The auditor as a program. Prints one line on standard output once it serves: its address.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use hushwire_auditor::config::{self, Config};
use hushwire_server::program::{self, Done, NotifyState, STORAGE_FAILED, say, tell_systemd};
use tokio::signal::unix::{SignalKind, signal};

/// The auditor of Hushwire: checks that keyservers change nothing of what they said, and say the same to everybody.
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
    /// Make a directory with a configuration and a key
    Init {
        /// The directory
        #[arg(long, default_value = "hushwire-auditor")]
        dir: PathBuf,
        /// How people and their programs reach this auditor
        #[arg(long, default_value = "localhost")]
        host: String,
        /// A keyserver to follow, as `hushwire-keyserver address` prints it; may be given several times
        #[arg(long, value_name = "ADDRESS", required = true)]
        keyserver: Vec<String>,
    },
    /// Follow and serve (also without the word)
    Run(WithConfig),
    /// Say whether the configuration can be used
    Check(WithConfig),
    /// Print the address that clients need
    Address(WithConfig),
}

#[derive(Args)]
struct WithConfig {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "HUSHWIRE_AUDITOR_CONFIG")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let Cli { command, run } = Cli::parse();
    let done = match command.or(run.map(Command::Run)) {
        Some(Command::Init { dir, host, keyserver }) => init(&dir, &host, &keyserver),
        Some(Command::Run(WithConfig { config })) => serve(&config),
        Some(Command::Check(WithConfig { config })) => check(&config),
        Some(Command::Address(WithConfig { config })) => address(&config),
        None => Err("--config FILE is missing; make one with: hushwire-auditor init".into()),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "hushwire-auditor: {error}");
        ExitCode::FAILURE
    })
}

fn init(dir: &Path, host: &str, keyservers: &[String]) -> Done {
    let path = config::init(dir, host, keyservers)?;
    let config = Config::load(&path)?;
    let (address, port) = (config.address()?, config.listen.port());
    let (path, key) = (path.display(), config.key.display());
    say(&format!(
        "Wrote {path} and a key. Next:\n\
         \x20 1. Back up {key}: people know this auditor by it.\n\
         \x20 2. Open TCP port {port} in the firewall.\n\
         \x20 3. hushwire-auditor run --config {path}\n\
         Clients need this address:\n\
         {address}"
    ))
}

fn check(path: &Path) -> Done {
    let config = Config::load(path)?;
    let (address, keyservers) = (config.address()?, config.keyservers.len());
    let (path, listen) = (path.display(), config.listen);
    say(&format!("{path} can be used: {keyservers} keyservers. Listens on TCP {listen}; clients need:\n{address}"))
}

fn address(path: &Path) -> Done {
    say(&Config::load(path)?.address()?.to_string())
}

fn serve(path: &Path) -> Done {
    program::log("warn,hushwire_auditor=info");
    let parts = Config::load(path)?.parts()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut auditor = hushwire_auditor::start(parts).await?;
        say(&auditor.address().to_string())?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %auditor.local_addr(), "following");
        tell_systemd(NotifyState::Ready);
        let code = tokio::select! {
            _ = terminate.recv() => ExitCode::SUCCESS,
            _ = interrupt.recv() => ExitCode::SUCCESS,
            error = auditor.failed() => {
                tracing::error!(%error, "stopping: look at the disk, then start again");
                ExitCode::from(STORAGE_FAILED)
            }
        };
        tell_systemd(NotifyState::Stopping);
        Done::Ok(code)
    })?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(code)
}
