//! The engine's simulation under as many seeds as somebody has time for. What happens in one and what must hold of it is
//! the test's, `client-core/engine/tests/sim`.

use crate::{Failure, cargo, preflight};

/// Seeds of a run that was told nothing else.
const SEEDS: u64 = 2_000;

/// Builds and runs it.
pub(crate) fn run(args: &[&str]) -> Result<(), Failure> {
    let asked = Asked::read(args)?;
    preflight::run()?;
    cargo::announce();
    let test = match (asked.evil, asked.groups) {
        (true, true) => "whatever_a_relay_does_to_groups",
        (true, false) => "whatever_a_relay_does_is",
        (false, true) => "whatever_happens_to_groups",
        (false, false) => "whatever_goes_wrong",
    };
    let mut command = cargo::command("test");
    command.args(["--workspace", "--test", "sim", "--", "--nocapture", test]);
    command.env("HUSHWIRE_SIM_SEED", asked.from.to_string()).env("HUSHWIRE_SIM_SEEDS", asked.seeds.to_string());
    cargo::run(&mut command, "something does not hold, as it says above")
}

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    seeds: u64,
    from: u64,
    evil: bool,
    groups: bool,
}

impl Asked {
    fn read(args: &[&str]) -> Result<Self, Failure> {
        let mut asked = Self { seeds: SEEDS, from: 1, evil: false, groups: false };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let mut number = || {
                let number = words.next().and_then(|number| number.parse().ok());
                number.ok_or_else(|| format!("{word} needs a number"))
            };
            match *word {
                "--seeds" => asked.seeds = number()?,
                "--from" => asked.from = number()?,
                "--evil" => asked.evil = true,
                "--groups" => asked.groups = true,
                other => return Err(format!("sim knows no {other}: --seeds N, --from SEED, --evil, --groups")),
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_asked_for_by_number() {
        assert_eq!(Asked::read(&[]), Ok(Asked { seeds: SEEDS, from: 1, evil: false, groups: false }));
        let words = ["--evil", "--from", "7", "--seeds", "1"];
        assert_eq!(Asked::read(&words), Ok(Asked { seeds: 1, from: 7, evil: true, groups: false }));
        assert!(Asked::read(&["--groups"]).is_ok_and(|asked| asked.groups));
        assert!(Asked::read(&["--seeds"]).is_err());
        assert!(Asked::read(&["--seeds", "many"]).is_err());
        assert!(Asked::read(&["7"]).is_err());
    }
}
