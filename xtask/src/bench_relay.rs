//! The relay under load, beside the yardstick and, if somebody has them, beside other servers.
//!
//! The yardstick is part of the tree, so that one command on any machine gives ratios. Other servers are not: whoever has
//! a harness that drives them names its directory, and `hushload` takes them through the same loads in the same run.

use std::process::Command;

use crate::{Failure, cargo, preflight};

/// Builds and measures; everything goes to `hushload compare`.
pub(crate) fn run(args: &[&str]) -> Result<(), Failure> {
    preflight::run()?;
    cargo::build()?;
    // The program as the whole workspace built it, and not `cargo run --package`: see `cargo`.
    let mut compare = Command::new(cargo::program("hushload"));
    cargo::run(compare.arg("compare").args(args), "measuring failed")
}
