//! `hushwire-attacks relay|keyserver [NAME…]`: each attack on a server of its own, and a table.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use std::process::ExitCode;

use clap::Parser;
use hushwire_attacks::attack::{Attack, against};
use hushwire_attacks::server::Kind;
use hushwire_attacks::trial::{self, MEMORY_KIB_MAX, SHORT, SLOWER_MAX};

/// Attacks a relay or a keyserver that it starts, while people use it. Fails if a server holds more than it may, lets
/// somebody down, or is not the same afterwards.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// What is attacked.
    server: Kind,
    /// Which attacks; none: all.
    names: Vec<String>,
    /// How long each lasts, and how long people are watched before it.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let unknown = args.names.iter().find(|name| against(args.server).all(|attack| attack.name != name.as_str()));
    if let Some(name) = unknown {
        let all: Vec<_> = against(args.server).map(|attack| format!("  {:15} {}", attack.name, attack.what)).collect();
        println!("there is no attack {name}; there are\n{}", all.join("\n"));
        return ExitCode::FAILURE;
    }
    let is_asked = |attack: &&Attack| args.names.is_empty() || args.names.iter().any(|name| name == attack.name);
    println!(
        "at most {} MiB more, at most {SLOWER_MAX} times as slow or {SHORT:?}, nothing left afterwards\n\
         attack          MiB more  left  cores  p99 ms before  during  others %  what was seen",
        MEMORY_KIB_MAX / 1024
    );
    let mut failed = 0;
    for attack in against(args.server).filter(is_asked) {
        match trial::run(args.server, attack, args.seconds).await {
            Ok(seen) => {
                println!(
                    "{:15} {:9.1} {:5.1} {:6.2} {:14.1} {:7.1} {:9.1}  {}",
                    seen.name,
                    seen.memory_kib as f64 / 1024.0,
                    seen.memory_left_kib as f64 / 1024.0,
                    seen.cores,
                    seen.before.as_secs_f64() * 1e3,
                    seen.during.as_secs_f64() * 1e3,
                    seen.others,
                    seen.told
                );
                failed += usize::from(!(seen.wrong.is_empty() && seen.slow.is_empty()));
                seen.wrong.iter().chain(&seen.slow).for_each(|wrong| println!("    ✗ {wrong}"));
            }
            Err(failure) => {
                println!("{:15} ✗ {failure}", attack.name);
                failed += 1;
            }
        }
    }
    println!("{failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
