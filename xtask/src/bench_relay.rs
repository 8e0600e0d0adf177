//! The relay under load, beside the yardstick and, if somebody has them, beside other servers.
//!
//! The yardstick is part of the tree, so that one command on any machine gives ratios. Other servers are not: whoever has
//! a harness that drives them names its directory, and it goes through the same loads in the same run.

use std::path::Path;
use std::process::Command;

use crate::{Failure, cargo, preflight};

/// Loads that both know, by our name and by the harness's.
const LOADS: [(&str, &str); 5] =
    [("thr1", "thr1"), ("thr16", "thr16"), ("lat2000", "lat2000"), ("offline", "offline"), ("idle", "idle5k")];

/// Servers of the harness that keep what they acknowledge, and the fastest that does not.
const PEERS: &str = "floor-sync,redis-always,nats-sync,mosquitto";

/// Builds and measures; what is not `--peers DIR` goes to `hushload compare`.
pub(crate) fn run(args: &[&str]) -> Result<(), Failure> {
    let (peers, args) = match args {
        ["--peers", dir, args @ ..] => (Some(Path::new(*dir)), args),
        args => (None, args),
    };
    let works = peers.map(|_| works(args)).transpose()?;
    preflight::run()?;
    cargo::build()?;
    // The program as the whole workspace built it, and not `cargo run --package`: see `cargo`.
    let mut compare = Command::new(cargo::program("hushload"));
    cargo::run(compare.arg("compare").args(args), "measuring failed")?;
    let (Some(dir), Some(works)) = (peers, works) else { return Ok(()) };
    let mut harness = Command::new("python3");
    harness.current_dir(dir).args(["run.py", "--reps", "1", "--peers", PEERS, "--work", &works]);
    cargo::run(&mut harness, "the other servers could not be measured")
}

/// What the harness is to do: the loads that `args` name, or all.
fn works(args: &[&str]) -> Result<String, Failure> {
    let named = args.windows(2).find_map(|pair| match pair {
        ["--work", names] => Some(*names),
        _ => None,
    });
    let all = LOADS.map(|(ours, _)| ours).join(",");
    let theirs = named.unwrap_or(&all).split(',').map(|name| {
        let known = LOADS.iter().find(|(ours, _)| *ours == name);
        known.map(|(_, theirs)| *theirs).ok_or_else(|| format!("{name} is no load; there are {all}"))
    });
    Ok(theirs.collect::<Result<Vec<_>, _>>()?.join(","))
}

#[cfg(test)]
mod tests {
    use super::works;

    #[test]
    fn other_servers_go_through_the_loads_that_were_asked_for() {
        assert_eq!(works(&[]), Ok("thr1,thr16,lat2000,offline,idle5k".to_owned()));
        assert_eq!(works(&["--seconds", "5", "--work", "idle,thr1"]), Ok("idle5k,thr1".to_owned()));
        assert!(works(&["--work", "thr2"]).is_err());
    }
}
