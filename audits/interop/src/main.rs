//! `hushwire-crypto` and the official Signal library, talking to each other.
//!
//! The library runs as a process of its own (`oracle/`) and is a black box. Nothing of it is linked or read here.
//!
//! | file | what it is about |
//! |---|---|
//! | `oracle` | the process and its lines |
//! | `device`, `ours`, `theirs` | a device, of either library |
//! | `kind`, `wire`, `model` | what the specification expects: why refused, what is seen, what opens |
//! | `conversation` | two devices and a bad line |
//! | `twins` | one device in both libraries |
//! | `groups` | sender keys, to a member of either library |
//! | `sealed`, `many` | sealed sender to one and to many, opened by both libraries |
//! | `numbers` | safety numbers, keys, changed identities |
//! | `limits` | how far ahead a message may be |
//! | `ages` | how long a session that nobody answers is sent in |
//! | `tally` | what was done |
//! | `bench` | both measured side by side; `interop bench` |

#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an audit prints, and stops at the first thing that is wrong"
)]

mod ages;
mod bench;
mod conversation;
mod device;
mod groups;
mod kind;
mod limits;
mod many;
mod model;
mod numbers;
mod oracle;
mod ours;
mod sealed;
mod tally;
mod theirs;
mod twins;
mod wire;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use conversation::Style;
use oracle::Oracle;
use tally::Tally;
use theirs::SharedOracle;

/// What was found to be different, or what broke the run, as a sentence.
type Checked<T> = Result<T, String>;

/// The usual bad line.
const USUAL: Style = Style {
    name: "",
    starters: &[0],
    burst_max: 12,
    lost: 60,
    late: 60,
    late_turns: 10,
    repeated: 40,
    altered: 30,
    crashes: 30,
    fresh: 0,
    archived: 0,
    one_account: false,
};

/// The conversations of a run, each with the same number of messages.
const CONVERSATIONS: [Style; 9] = [
    Style { name: "we begin", ..USUAL },
    Style { name: "they begin", starters: &[1], ..USUAL },
    Style { name: "both begin at once", starters: &[0, 1], ..USUAL },
    Style { name: "both begin at once, word for word", starters: &[1, 0], burst_max: 2, ..USUAL },
    Style { name: "long monologues, held back for epochs", burst_max: 80, late: 120, ..USUAL },
    Style { name: "the same, they begin", starters: &[1], burst_max: 80, late: 120, ..USUAL },
    Style { name: "a third is lost", lost: 330, repeated: 100, ..USUAL },
    Style { name: "two devices of one account", one_account: true, starters: &[0, 1], fresh: 20, ..USUAL },
    Style {
        name: "new and archived sessions",
        burst_max: 6,
        late: 150,
        late_turns: 40,
        fresh: 120,
        archived: 80,
        ..USUAL
    },
];

/// From this many messages on, the limits are tried too: they alone need 150,000.
const LIMITS_FROM: u64 = 10_000;

/// What was typed.
struct Options {
    /// Both are measured, and do not talk.
    is_bench: bool,
    seed: u64,
    messages: u64,
    rounds: u64,
    as_json: bool,
    oracle: PathBuf,
    package_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    if options.is_bench {
        let Options { rounds, as_json, oracle, package_dir, .. } = &options;
        return match bench::run(oracle, package_dir.as_deref(), *rounds, *as_json) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("\n{why}");
                ExitCode::FAILURE
            }
        };
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let Options { seed, messages, .. } = options;
            eprintln!("\nDIFFERENT: {why}\nagain: cargo xtask interop --seed {seed} --messages {messages}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Checked<()> {
    let oracle = Oracle::start(&options.oracle, options.package_dir.as_deref())?;
    let oracle: SharedOracle = Rc::new(RefCell::new(oracle));
    let (library, node) = oracle.borrow_mut().versions()?;
    println!("libsignal {library} in node {node}, seed {}\n\n{}", options.seed, Tally::HEAD);
    let mut total = Tally::new("all");
    let mut done = |tally: Tally| {
        println!("{tally}");
        total.add(&tally);
    };
    let each = options.messages.div_ceil(CONVERSATIONS.len() as u64);
    for (number, style) in CONVERSATIONS.into_iter().enumerate() {
        let seed = options.seed.wrapping_mul(1000).wrapping_add(number as u64);
        done(conversation::run(&oracle, style, each, seed).map_err(|why| format!("{}: {why}", style.name))?);
    }
    done(ages::run(&oracle, options.seed.wrapping_mul(86_028_121))?);
    done(twins::run(&oracle, options.messages / 5, options.seed.wrapping_mul(7919))?);
    done(groups::run(&oracle, options.messages / 5, options.seed.wrapping_mul(104_729))?);
    done(sealed::run(&oracle, options.messages.div_ceil(800), options.seed.wrapping_mul(15_485_863))?);
    done(numbers::run(&oracle, options.messages.div_ceil(400), options.seed.wrapping_mul(32_452_843))?);
    if options.messages >= LIMITS_FROM {
        done(limits::run(&oracle, options.seed.wrapping_mul(49_979_687))?);
        done(limits::of_own_devices(&oracle, options.seed.wrapping_mul(67_867_967))?);
    }
    println!("{total}\n\nrefused, as the specification has it: {:?}", total.refused);
    Ok(())
}

fn options() -> Checked<Options> {
    const USAGE: &str = "interop --oracle FILE [--package-dir DIR] [--seed N] [--messages N]
interop bench --oracle FILE [--package-dir DIR] [--rounds N] [--json]";
    let mut words = std::env::args().skip(1).peekable();
    let mut options = Options {
        is_bench: words.next_if(|word| word == "bench").is_some(),
        seed: 1,
        messages: 20_000,
        rounds: 21,
        as_json: false,
        oracle: PathBuf::new(),
        package_dir: None,
    };
    while let Some(word) = words.next() {
        if word == "--json" && options.is_bench {
            options.as_json = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
        let number = || value.parse().map_err(|_| format!("{word} needs a number\n{USAGE}"));
        match word.as_str() {
            "--seed" if !options.is_bench => options.seed = number()?,
            "--messages" if !options.is_bench => options.messages = number()?,
            "--rounds" if options.is_bench => options.rounds = number()?.max(1),
            "--oracle" => options.oracle = value.into(),
            "--package-dir" => options.package_dir = Some(value.into()),
            _ => return Err(format!("{word} is not known\n{USAGE}")),
        }
    }
    if options.oracle.as_os_str().is_empty() { Err(USAGE.to_owned()) } else { Ok(options) }
}
