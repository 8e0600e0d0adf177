//! The relay that ends where it is told to. For `hushload faults points`, and for nobody who serves anybody.

#[path = "../main.rs"]
mod program;

use std::{
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some("fail-points") {
        return program::main();
    }
    for (name, often) in hushwire_relay::fail_points::STEPS {
        let _ = writeln!(io::stdout(), "{name} {often}");
    }
    ExitCode::SUCCESS
}
