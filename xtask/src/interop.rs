//! `hushwire-crypto` and the official Signal library, talking to each other.
//!
//! Owns fetching the library: exactly what the lock file names, by its hashes, into the cache and not into the clone. What is
//! said, judged and measured is `audits/interop`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, cargo, preflight};

/// Messages with `--quick`: enough for every kind of thing to happen once.
const QUICK_MESSAGES: &str = "2000";

/// The files that say what to fetch.
const PACKAGE: [&str; 2] = ["package.json", "package-lock.json"];

/// What was fetched: a copy of the lock file, written when all of it was there.
const FETCHED: &str = "fetched.json";

/// Fetches, builds and talks.
pub(crate) fn run(args: &[&str]) -> Result<(), Failure> {
    let mut interop = program("oracle.mjs", &[], &arguments(args)?)?;
    cargo::run(&mut interop, "the two libraries do not agree, or could not be run; see above")
}

/// Fetches, builds and measures one beside the other.
pub(crate) fn bench(args: &[&str]) -> Result<(), Failure> {
    let mut bench = program("bench.mjs", &["bench"], args)?;
    cargo::run(&mut bench, "measuring failed")
}

/// The program of `audits/interop` with all it needs.
fn program(script: &str, mode: &[&str], args: &[&str]) -> Result<Command, Failure> {
    preflight::run()?;
    preflight::run_for_node()?;
    let oracle = cargo::root().join("audits/interop/oracle");
    let package = fetch(&oracle)?;
    cargo::build()?;
    // The program as the whole workspace built it, and not `cargo run --package`: see `cargo`.
    let mut program = Command::new(cargo::program("interop"));
    program.args(mode).arg("--oracle").arg(oracle.join(script)).arg("--package-dir").arg(package).args(args);
    Ok(program)
}

/// What the program is given. Numbers are its own to read.
fn arguments<'a>(args: &[&'a str]) -> Result<Vec<&'a str>, Failure> {
    let mut given = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => given.extend(["--messages", QUICK_MESSAGES]),
            "--seed" | "--messages" => {
                let number = words.next().filter(|number| number.parse::<u64>().is_ok());
                given.extend([*word, number.ok_or_else(|| format!("{word} needs a number"))?]);
            }
            _ => return Err(format!("{word} is not known; try cargo xtask help")),
        }
    }
    Ok(given)
}

/// The directory that has the library, fetched if the lock file is another than last time.
fn fetch(oracle: &Path) -> Result<PathBuf, Failure> {
    let dir = cargo::cache_dir().join("interop");
    let failed = |error| format!("{} cannot be used: {error}", dir.display());
    fs::create_dir_all(&dir).map_err(failed)?;
    let wanted = fs::read(oracle.join("package-lock.json")).map_err(failed)?;
    if fs::read(dir.join(FETCHED)).is_ok_and(|fetched| fetched == wanted) {
        return Ok(dir);
    }
    println!("  · fetching the official Signal library into {}, once: about 150 MB", dir.display());
    for file in PACKAGE {
        fs::copy(oracle.join(file), dir.join(file)).map_err(failed)?;
    }
    let mut npm = Command::new("npm");
    // Its scripts are not run: it is a program built before.
    npm.current_dir(&dir).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    cargo::run(&mut npm, "npm could not fetch it, as it says above")?;
    fs::write(dir.join(FETCHED), wanted).map_err(failed)?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_is_fewer_messages_and_what_is_not_known_is_refused() {
        assert_eq!(arguments(&["--quick", "--seed", "7"]), Ok(vec!["--messages", "2000", "--seed", "7"]));
        for wrong in [&["--seed"][..], &["--seed", "x"], &["--fast"]] {
            assert!(arguments(wrong).is_err());
        }
    }
}
