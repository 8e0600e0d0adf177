//! What must hold before a change goes in, besides the tests. Warnings are errors.

use std::process::Command;

use crate::{Failure, cargo, preflight, tidy};

/// The version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

type Check = (&'static str, fn() -> Result<(), Failure>);

const CHECKS: [Check; 5] = [("tidy", tidy::run), ("fmt", fmt), ("deny", deny), ("clippy", clippy), ("doc", doc)];

/// Runs all checks, or the named ones, to the end: one that fails does not hide the others.
pub(crate) fn run(only: &[&str]) -> Result<(), Failure> {
    if let Some(unknown) = only.iter().find(|name| CHECKS.iter().all(|(known, _)| known != *name)) {
        return Err(format!("there is no check called {unknown}"));
    }
    let mut failed = Vec::new();
    for (name, check) in CHECKS.iter().filter(|(name, _)| only.is_empty() || only.contains(name)) {
        println!("  · {name}");
        match check() {
            Ok(()) => println!("  ✓ {name}"),
            Err(why) => {
                println!("  ✗ {name}: {why}");
                failed.push(*name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("these do not hold: {}", failed.join(", "))) }
}

fn fmt() -> Result<(), Failure> {
    component("fmt", "rustfmt")?;
    cargo::run(cargo::command("fmt").args(["--all", "--check"]), "`cargo fmt --all` puts it right")
}

fn clippy() -> Result<(), Failure> {
    component("clippy", "clippy")?;
    preflight::run()?;
    cargo::announce();
    let arguments = ["--workspace", "--all-targets", "--", "-D", "warnings"];
    cargo::run(cargo::command("clippy").args(arguments), "see above")
}

fn doc() -> Result<(), Failure> {
    preflight::run()?;
    let flags = "-D warnings";
    cargo::run(cargo::command("doc").args(["--workspace", "--no-deps"]).env("RUSTDOCFLAGS", flags), "see above")
}

/// Licences, bans, sources. Not the advisories: their database cannot be fetched everywhere that this must pass.
fn deny() -> Result<(), Failure> {
    let program = cargo::tool("cargo-deny", CARGO_DENY, "nothing was checked")?;
    let mut deny = Command::new(program);
    deny.current_dir(cargo::root()).args(["--workspace", "--all-features", "check", "licenses", "bans", "sources"]);
    cargo::run(&mut deny, "see above; `deny.toml` gives the reason of each rule")
}

/// A part of Rust that a minimal installation lacks.
fn component(subcommand: &str, component: &str) -> Result<(), Failure> {
    let version = Command::new(cargo::binary()).args([subcommand, "--version"]).output();
    if version.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    println!("    {component} is not here; adding it");
    let added = Command::new("rustup").args(["component", "add", component]).status();
    if added.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!("install {component}: rustup component add {component}"))
}
