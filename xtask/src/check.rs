//! What must hold before a change goes in, besides the tests. Warnings are errors.

use std::path::PathBuf;
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
    let program = cargo_deny()?;
    let mut deny = Command::new(program);
    deny.current_dir(cargo::root()).args(["--workspace", "--all-features", "check", "licenses", "bans", "sources"]);
    cargo::run(&mut deny, "see above; `deny.toml` gives the reason of each rule")
}

/// A cargo-deny of the right version: from the path, or installed once beside the build.
fn cargo_deny() -> Result<PathBuf, Failure> {
    let root = cargo::cache_dir().join("tools");
    let ours = root.join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), ours.clone()] {
        let version = Command::new(&program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        if String::from_utf8_lossy(&version).trim() == format!("cargo-deny {CARGO_DENY}") {
            return Ok(program);
        }
    }
    println!("    cargo-deny {CARGO_DENY} is not here; building it into {}, once, for a few minutes", root.display());
    let mut install = Command::new(cargo::binary());
    install.args(["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--force", "--root"]).arg(&root);
    // Its own dependencies stay out of our target directory.
    cargo::run(install.env_remove("CARGO_TARGET_DIR"), "cargo-deny could not be installed, so nothing was checked")?;
    Ok(ours)
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
