//! `hush`: the Hushwire messenger for the command line.
//!
//! | I want to know | look at |
//! |---|---|
//! | what can be typed | `args` |
//! | how the account is opened and closed | `app`, `passphrase` |
//! | who is meant by a name | `find` |
//! | what a command does | `command/NAME` |
//! | how something looks, for people and as JSON | `show` |
//! | how the program ends | `exit` |
//! | what is taken out of text that others wrote | `text` |

mod app;
mod args;
mod around;
mod command;
mod cursor;
mod exit;
mod find;
mod gaps;
mod mentions;
mod passphrase;
mod show;
mod text;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use tracing_subscriber::EnvFilter;

use app::App;
use args::Cli;
use exit::{Exit, Failure};
use show::Out;

/// A thread may still wait for a key on the terminal when everything else is done.
const THREADS_END: Duration = Duration::from_millis(100);

/// They name an option that has less to say than `hush help COMMAND`.
const CLAPS_LAST_WORDS: &str = "For more information, try '--help'.";

fn main() -> ExitCode {
    let cli = match args::parsed() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let out = Out::new(&cli.global);
    log(cli.global.verbose, out.stderr_has_colours());
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::new(Exit::Unexpected, format!("the program cannot start: {error}"));
            out.failure(&failure);
            return failure.exit.into();
        }
    };
    let exit = runtime.block_on(run(cli, &out));
    runtime.shutdown_timeout(THREADS_END);
    exit.into()
}

/// Carries the command out until it is done or a signal comes; closes the account in either case.
async fn run(cli: Cli, out: &Out) -> Exit {
    let app = App::new(cli.global, out.clone());
    let outlasts = cli.command.ends_when_told();
    let result = tokio::select! {
        result = command::run(&app, cli.command) => result,
        stop = stopped() => {
            let told = outlasts && stop == Exit::Terminated;
            Err(Failure::new(if told { Exit::Ok } else { stop }, "stopped"))
        }
    };
    app.close().await;
    match result {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            if !matches!(failure.exit, Exit::Ok | Exit::Interrupted | Exit::Terminated) {
                out.failure(&failure);
            }
            failure.exit
        }
    }
}

/// Ctrl-C or SIGTERM. Never, where signals cannot be listened to.
async fn stopped() -> Exit {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        {
            return tokio::select! {
                _ = interrupt.recv() => Exit::Interrupted,
                _ = terminate.recv() => Exit::Terminated,
            };
        }
    }
    match tokio::signal::ctrl_c().await {
        Ok(()) => Exit::Interrupted,
        Err(_) => std::future::pending().await,
    }
}

/// Help and version are what was asked for; everything else is a slip of the person.
fn not_understood(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return Exit::Ok.into();
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Exit::Usage.into();
    }
    let (global, command) = args::parsed_in_part();
    let help = ["hush help"].into_iter().chain(command.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let hint = format!("`{help}` explains it and shows an example");
    match global.filter(|global| global.json) {
        Some(global) => {
            let text = error.to_string();
            let message = text.split("\n\n").next().unwrap_or_default();
            let message = message.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
            Out::new(&global).failure(&Failure::usage(message, hint));
        }
        // What is wrong in clap's words, and where to go on from there in ours.
        None => {
            let text = error.to_string().trim_end().replace(CLAPS_LAST_WORDS, &format!("{hint}."));
            let _ = writeln!(std::io::stderr(), "{text}"); // nobody is left to tell
        }
    }
    Exit::Usage.into()
}

/// To stderr. `RUST_LOG` wins over `-v`.
fn log(verbose: u8, colours: bool) {
    let level = match verbose {
        0 => "off",
        1 => "hush=info,hushwire_client=info",
        2 => "hush=debug,hushwire_client=debug,hushwire_engine=debug,hushwire_proto=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A second logger in one process would be a defect; without one the program works all the same.
    let _ = logger.try_init();
}
