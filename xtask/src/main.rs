//! What a person types, and what continuous integration types.
//!
//! Owns the tools that a build needs, the one target directory, the demonstration and the tidiness of the tree. Leaves
//! everything that Hushwire does to the programs it builds: this one knows them only by their command lines.
//!
//! | file | what it is about |
//! |---|---|
//! | `preflight` | what a machine must have before anything is built |
//! | `cargo` | every cargo that is started, and where it builds |
//! | `demo`, `up` | a relay, a keyserver, Alice and Bob |
//! | `stack`, `person`, `program`, `workshop`, `guard` | what these two are made of |
//! | `fuzz` | looking for bytes at which something does not hold |
//! | `page` | the auditor's page, looked at in a browser |
//! | `sim` | the engine under more seeds than a test has time for |
//! | `interop` | `hushwire-crypto` and the official Signal library, talking or measured |
//! | `bench_relay` | the relay under load, beside the yardstick |
//! | `scan` | looking for a text in files, in every form it may have |
//! | `check`, `tidy` | what must hold before a change goes in |

// Talking is all that this program does.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench_relay;
mod cargo;
mod check;
mod demo;
mod fuzz;
mod guard;
mod interop;
mod page;
mod person;
mod preflight;
mod program;
mod scan;
mod sim;
mod stack;
mod tidy;
mod up;
mod workshop;

use std::path::PathBuf;
use std::process::ExitCode;

/// What went wrong, as a sentence for the person who typed the command.
type Failure = String;

const HELP: &str = "\
cargo xtask COMMAND

  demo [--keep]        build, start a relay and a keyserver, let Alice and Bob talk, kill the relay, and check
                       that nothing is lost or readable; --keep leaves the files for you to look at
  up [--dir DIR]       the same, left running: prints what to type in two terminals; Ctrl-C ends it.
                       With --dir it can be started again where it was
  test [ARGS]          build and run every test; ARGS go to `cargo test --workspace`
  check                format, clippy, documentation, licences and dependencies, tidiness; warnings are errors
  check tidy           one of them: fmt, clippy, doc, deny, tidy
  fuzz [TARGET…] [--seconds N] [--keep]
                       look for bytes at which a target of audits/fuzz does not hold, 600 seconds each; --keep puts
                       the inputs that reached most into the clone, where the tests replay them
  sim [--seeds N] [--from SEED] [--evil] [--groups]
                       people, servers and time at random under one seed, 2,000 times, or N; --evil: with a relay that
                       lies; --groups: what they do in groups. A seed at which something does not hold is printed: --from SEED --seeds 1 shows it again
  interop [--quick] [--seed N] [--messages N]
                       fetch the official Signal library into the cache, as a program of its own, and let
                       hushwire-crypto talk to it: 20,000 messages, or 2,000 with --quick; needs node and npm
  page [--pictures DIR]
                       look at the auditor's page in a browser, with verdicts of every kind; needs Chromium. --pictures:
                       keep what it looked like
  bench groups [--members N]  measure what a large group costs
  bench backlog [--messages N] [--json]
                       measure how fast somebody who was away has 10,000 messages of 50 conversations, and what it takes
  bench latency [ARGS] measure what a relay adds to the time of a message; ARGS go to the measuring program
  bench crypto [ARGS]  measure hushwire-crypto beside the official Signal library, in the same run: --rounds N, --json;
                       needs node and npm
  bench relay [ARGS]   measure the relay under load beside a bare QUIC server with a synced log, and their ratio; ARGS go
                       to `hushload compare`: --work thr1,thr16,lat2000,offline,idle,idle20k,fanon,fanoff, --seconds N,
                       --part N, --json, --save FILE; --peers DIR: the same loads for other servers, by the harness there
  bench keyserver [ARGS]
                       measure a keyserver with 1,000, 100,000 and 1,000,000 handles: lookups and fetches in a second,
                       epochs, proofs, memory and disk; --quick: 1,000 and 10,000; --handles N,N, --seconds N, --json
  help                 this text

Everything but this program itself is built in $HUSHWIRE_TARGET_DIR, else $CARGO_TARGET_DIR, else
~/.cache/hushwire/target, so that RocksDB is compiled once per machine and not once per clone.
";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = words.collect();
    match run(&command, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\ncargo xtask {command}: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, rest: &[String]) -> Result<(), Failure> {
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (command, rest.as_slice()) {
        ("demo", []) => demo::run(false),
        ("demo", ["--keep"]) => demo::run(true),
        ("up", []) => up::run(None),
        ("up", ["--dir", dir]) => up::run(Some(PathBuf::from(dir))),
        ("test", args) => test(args),
        ("check", only) => check::run(only),
        ("fuzz", args) => fuzz::run(args),
        ("sim", args) => sim::run(args),
        ("interop", args) => interop::run(args),
        ("page", []) => page::run(None),
        ("page", ["--pictures", dir]) => page::run(Some(std::path::Path::new(dir))),
        ("bench", ["latency", args @ ..]) => measure("latency", args),
        ("bench", ["groups", args @ ..]) => measure("groupload", args),
        ("bench", ["backlog", args @ ..]) => measure("backlog", args),
        ("bench", ["keyserver", args @ ..]) => measure("keyload", args),
        ("bench", ["crypto", args @ ..]) => interop::bench(args),
        ("bench", ["relay", args @ ..]) => bench_relay::run(args),
        ("bench", _) => {
            Err("which: bench latency, bench groups, bench backlog, bench crypto, bench relay, or bench keyserver?"
                .to_owned())
        }
        ("help" | "--help" | "-h", []) => {
            print!("{HELP}");
            Ok(())
        }
        (guard::COMMAND, []) => guard::watch_over_stdin(),
        ("demo" | "up" | "page" | "help", _) => Err(format!("that option is not known.\n\n{HELP}")),
        _ => Err(format!("there is no such command.\n\n{HELP}")),
    }
}

fn test(args: &[&str]) -> Result<(), Failure> {
    preflight::run()?;
    cargo::announce();
    if args.is_empty() {
        // A relay that ends where it is told to; of the whole workspace, so that nothing else is built another time.
        let mut ends = cargo::command("build");
        ends.args(["--workspace", "--bin", "hushwire-relay-fail-points", "--features", "hushwire-relay/fail-points"]);
        cargo::run(&mut ends, "the relay with fail-points could not be built")?;
    }
    cargo::run(cargo::command("test").arg("--workspace").args(args), "the tests failed")
}

fn measure(program: &str, args: &[&str]) -> Result<(), Failure> {
    preflight::run()?;
    cargo::build()?;
    // The program as the whole workspace built it, and not `cargo run --package`: see `cargo`.
    let mut measuring = std::process::Command::new(cargo::program(program));
    cargo::run(measuring.args(args), "measuring failed")
}
