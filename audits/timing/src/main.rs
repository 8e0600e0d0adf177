//! Does the time that `hushwire-crypto` takes depend on its secrets? Measured, as dudect does it.
//!
//! Each act is timed with inputs of two kinds, mixed at random, and Welch's test says whether the two kinds can be told apart
//! by their durations. With them go comparisons that leak: when they are not found, the whole run fails, because then it
//! shows nothing. `README.md` says what the figures include and what they do not.
//!
//! | file | what it is about |
//! |---|---|
//! | `targets` | what is measured, with which two kinds of input |
//! | `measure` | timing them, and when to measure more |
//! | `welch` | the test |

// Talking is all that this program does.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what cannot be measured is not measured, by panicking"
)]

mod measure;
mod targets;
mod welch;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use measure::{Claim, How, LEAK, Measured, SUSPICIOUS};

const HELP: &str = "cargo run -p hushwire-timing -- [--seconds N] [--seed N]

  --seconds N   how long each act is measured, 4 by default; four and sixteen times as long when it looks suspicious
  --seed N      other inputs than by default";

fn main() -> ExitCode {
    let Some(how) = how(&env::args().skip(1).collect::<Vec<_>>()) else {
        eprintln!("{HELP}");
        return ExitCode::from(2);
    };
    println!("{:48} {:>9} {:>9} {:>8} {:>10} {:>8}", "", "timed", "median", "|t|", "difference", "visible");
    let (mut leaks, mut missed, mut suspicious) = (0, 0, 0);
    for measured in targets::all(how) {
        let found = measured.verdict.t.abs() > LEAK;
        leaks += u32::from(found && measured.claim == Claim::Alike);
        missed += u32::from(!found && measured.claim == Claim::Control);
        suspicious += u32::from(!found && measured.verdict.t.abs() > SUSPICIOUS);
        println!("{}", line(&measured));
    }
    println!("\n{leaks} leaks, {suspicious} suspicious, {missed} controls not found");
    if leaks + missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line(Measured { name, claim, count, median, verdict }: &Measured) -> String {
    let t = verdict.t.abs();
    let word = match (claim, t > LEAK) {
        (Claim::Control, true) => "found, as it must be",
        (Claim::Control, false) => "NOT FOUND",
        (Claim::Alike, true) => "LEAK",
        (Claim::Nothing, true) => "differs; nothing is claimed",
        (Claim::Alike | Claim::Nothing, false) if t > SUSPICIOUS => "suspicious",
        (Claim::Alike | Claim::Nothing, false) => "",
    };
    let (difference, visible) = (verdict.difference, verdict.visible);
    format!("{name:48} {count:9} {median:6} ns {t:8.2} {difference:7.1} ns {visible:5.1} ns  {word}")
}

fn how(words: &[String]) -> Option<How> {
    let mut how = How { seed: 1, time: Duration::from_secs(4) };
    for pair in words.chunks(2) {
        let [name, value] = pair else { return None };
        let value = value.parse().ok()?;
        match name.as_str() {
            "--seconds" => how.time = Duration::from_secs(value),
            "--seed" => how.seed = value,
            _ => return None,
        }
    }
    Some(how)
}
