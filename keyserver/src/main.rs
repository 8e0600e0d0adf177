//! The keyserver as a program. Prints one line on standard output once it serves: its address.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand};
use hushwire_keyserver::Parts;
use hushwire_keyserver::check::{self, Finding};
use hushwire_keyserver::config::{self, Config};
use hushwire_keyserver::invites::Invites;
use hushwire_server::program::{self, Done, NotifyState, STORAGE_FAILED, say, tell_systemd};
use tikv_jemallocator::Jemalloc;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// Of the whole program, RocksDB's allocations too.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Threads that check signatures. More would only take turns on the cores of a small machine.
const CHECKERS_MAX: usize = 16;

/// How long the process goes on after its storage failed, to say so to those who wait. Nothing is written meanwhile.
const GOODBYE: Duration = Duration::from_secs(1);

/// The keyserver of Hushwire: gives out public keys, each one-time key once.
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
        #[arg(long, default_value = "hushwire-keyserver")]
        dir: PathBuf,
        /// How clients reach this keyserver; the first is in its address, all are in its certificate
        #[arg(long, default_value = "localhost")]
        host: Vec<String>,
    },
    /// Serve (also without the word)
    Run(WithConfig),
    /// Look at everything a keyserver with this configuration needs: each line says ok, or what to do
    Check {
        #[command(flatten)]
        with: WithConfig,
        /// For programs: one JSON value on one line
        #[arg(long)]
        json: bool,
    },
    /// Make codes that let one person each make an account, also while the keyserver runs; each is printed this once
    Invite {
        #[command(flatten)]
        with: WithConfig,
        /// How many
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        count: u32,
        /// How long they can be used: a number and h or d
        #[arg(long, default_value = "7d", value_name = "TIME", value_parser = lifetime)]
        expires: Duration,
    },
    /// Print the address that clients need
    Address(WithConfig),
    /// Copy the database to a new directory; the keyserver must not run
    Backup {
        #[command(flatten)]
        with: WithConfig,
        /// The directory, which is made
        to: PathBuf,
    },
    /// Put a copy back in the place of a database that is lost; clients will say that the log was set back
    Restore {
        #[command(flatten)]
        with: WithConfig,
        /// What `backup` made
        from: PathBuf,
    },
}

#[derive(Args)]
struct WithConfig {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "HUSHWIRE_KEYSERVER_CONFIG")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let Cli { command, run } = Cli::parse();
    let done = match command.or(run.map(Command::Run)) {
        Some(Command::Init { dir, host }) => init(&dir, &host),
        Some(Command::Run(WithConfig { config })) => serve(&config),
        Some(Command::Check { with: WithConfig { config }, json }) => check(&config, json),
        Some(Command::Invite { with: WithConfig { config }, count, expires }) => invite(&config, count, expires),
        Some(Command::Address(WithConfig { config })) => address(&config),
        Some(Command::Backup { with: WithConfig { config }, to }) => backup(&config, &to),
        Some(Command::Restore { with: WithConfig { config }, from }) => restore(&config, &from),
        None => Err("--config FILE is missing; make one with: hushwire-keyserver init".into()),
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "hushwire-keyserver: {error}");
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
         \x20 1. Back up {key}: clients know this keyserver by it.\n\
         \x20 2. Open UDP port {port} in the firewall.\n\
         \x20 3. hushwire-keyserver check --config {path}\n\
         \x20 4. hushwire-keyserver run --config {path}\n\
         Everyone may make an account; to let in only whom you invite, write registration = \"invites\" in {path},\n\
         and make codes with: hushwire-keyserver invite --config {path}\n\
         To watch it, write admin = \"127.0.0.1:4442\": metrics and health over HTTP, for this machine only.\n\
         Clients need this address:\n\
         {address}",
        port = config.listen.port(),
    ))
}

fn check(path: &Path, json: bool) -> Done {
    let config = Config::load(path);
    let mut findings = vec![Finding::new(
        "configuration",
        config.as_ref().map(|_| format!("{} is understood", path.display())).map_err(ToString::to_string),
    )];
    findings.extend(config.iter().flat_map(check::run));
    program::report(&findings, json)
}

fn invite(path: &Path, count: u32, expires: Duration) -> Done {
    let config = Config::load(path)?;
    for invite in Invites::beside(&config.data_dir).make(count, expires, SystemTime::now(), &mut rand::rng())? {
        say(&invite.to_code())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `7d`, `12h`.
fn lifetime(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time such as 7d or 12h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(3600 * hours) * number)
}

fn address(path: &Path) -> Done {
    let config = Config::load(path)?;
    say(&config.address(&config.identity()?, config.listen.port())?.to_string())
}

fn backup(path: &Path, to: &Path) -> Done {
    let config = Config::load(path)?;
    hushwire_keyserver::backup::backup(&config.data_dir, to)?;
    let (to, key) = (to.display(), config.key.display());
    say(&format!("Copied the database to {to}. Without {key} it is worth nothing: keep both, and apart."))
}

fn restore(path: &Path, from: &Path) -> Done {
    let config = Config::load(path)?;
    hushwire_keyserver::backup::restore(from, &config.data_dir)?;
    say(&format!(
        "Put {} back as {}. Clients that have seen more will say that the log was set back: tell people why, and let them \
         publish new keys.",
        from.display(),
        config.data_dir.display()
    ))
}

fn serve(path: &Path) -> Done {
    program::log("warn,hushwire_keyserver=info");
    let parts = Config::load(path)?.parts()?;
    let runtime = program::runtime(CHECKERS_MAX)?;
    let code = run(&runtime, parts)?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(code)
}

fn run(runtime: &Runtime, parts: Parts) -> Done {
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let keyserver = hushwire_keyserver::start(parts).await?;
        say(&keyserver.address().to_string())?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "listening");
        tell_systemd(NotifyState::Ready);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = keyserver.failed() => {
                tracing::error!("stopping: look at the disk, then start again; what was acknowledged is on it");
                let _ = timeout(GOODBYE, keyserver.shutdown()).await; // clients need not wait until they notice
                return Ok(ExitCode::from(STORAGE_FAILED));
            }
        }
        tracing::info!("stopping");
        tell_systemd(NotifyState::Stopping);
        let drained = keyserver.shutdown().await;
        tracing::info!(cut = drained.cut, "stopped");
        Ok(ExitCode::SUCCESS)
    })
}
