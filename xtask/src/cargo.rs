//! Every cargo that is started here, and where it builds.
//!
//! Always the whole workspace and always one profile: another choice of packages could give a dependency of RocksDB's
//! build script other features, and RocksDB would be compiled once more.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// How often a build says that it is still there when no terminal shows its progress.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// How often a build is asked whether it has ended.
const POLL: Duration = Duration::from_millis(100);

/// The root of the clone.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where things lie that are made once per machine.
pub(crate) fn cache_dir() -> PathBuf {
    let base =
        set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache"))).unwrap_or_else(env::temp_dir);
    base.join("hushwire")
}

/// Where everything but this program is built.
pub(crate) fn target_dir() -> PathBuf {
    set("HUSHWIRE_TARGET_DIR")
        .or_else(|| set("CARGO_TARGET_DIR"))
        .map_or_else(|| cache_dir().join("target"), |dir| root().join(dir))
}

/// The program of that name, as [`build`] leaves it.
pub(crate) fn program(name: &str) -> PathBuf {
    target_dir().join("debug").join(name)
}

fn set(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Whether this runs where nobody looks on.
pub(crate) fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// The cargo that runs this.
pub(crate) fn binary() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// `cargo SUBCOMMAND` in the root of the clone, building in [`target_dir`].
pub(crate) fn command(subcommand: &str) -> Command {
    CLAIMED.call_once(claim);
    plain(subcommand)
}

/// The target directory was looked at in this run.
static CLAIMED: Once = Once::new();

/// The packages of the workspace: all of ours, and nothing that takes long to build.
const OURS: [&str; 16] = [
    "hushwire-attacks",
    "hushwire-auditor",
    "hushwire-proto",
    "hushwire-server",
    "hushwire-crypto",
    "hushwire-engine",
    "hushwire-client",
    "hushwire-relay",
    "hushwire-keyserver",
    "hushwire-cli",
    "hushwire-sim",
    "hushwire-fuzz",
    "hushwire-interop",
    "hushwire-load",
    "hushwire-log",
    "hushwire-timing",
];

/// Several clones share the target directory, and cargo takes the same package of another clone for ours as long as its
/// files are no newer; but a test has the path of its own clone inside. So what another clone has built of the workspace
/// is thrown away; what takes long stays.
fn claim() {
    let stamp = target_dir().join("hushwire-clone");
    let root = root();
    if fs::read_to_string(&stamp).is_ok_and(|claimed| Path::new(&claimed) == root) {
        return;
    }
    let mut clean = plain("clean");
    clean.args(["--quiet"]).args(OURS.iter().flat_map(|package| ["--package", package]));
    let is_ours = match target_dir().is_dir() {
        true => clean.status().is_ok_and(|status| status.success()),
        false => fs::create_dir_all(target_dir()).is_ok(),
    };
    if is_ours {
        let _ = fs::write(&stamp, root.to_string_lossy().as_bytes()); // or it is looked at again next time
    }
}

fn plain(subcommand: &str) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in env::vars_os() {
        // What `cargo run` told this program about itself is not meant for the build.
        if name.to_str().is_some_and(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of| name.starts_with(of))) {
            command.env_remove(&name);
        }
    }
    command.current_dir(root()).env("CARGO_TARGET_DIR", target_dir()).arg(subcommand);
    if is_ci() && subcommand != "fmt" {
        command.arg("--locked");
    }
    command
}

/// A program of that name and version: from the path, or installed once beside the build. `else_said` is what comes of
/// it otherwise.
pub(crate) fn tool(name: &str, version: &str, else_said: &str) -> Result<PathBuf, Failure> {
    let root = cache_dir().join("tools");
    let ours = root.join("bin").join(name);
    for program in [PathBuf::from(name), ours.clone()] {
        let said = Command::new(&program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        if String::from_utf8_lossy(&said).trim() == format!("{name} {version}") {
            return Ok(program);
        }
    }
    println!("    {name} {version} is not here; building it into {}, once, for a few minutes", root.display());
    let mut install = Command::new(binary());
    install.args(["install", name, "--version", version, "--locked", "--force", "--root"]).arg(&root);
    // Its own dependencies stay out of our target directory.
    run(install.env_remove("CARGO_TARGET_DIR"), &format!("{name} could not be installed, so {else_said}"))?;
    Ok(ours)
}

/// Runs it to its end, showing what it shows.
pub(crate) fn run(command: &mut Command, failure: &str) -> Result<(), Failure> {
    let mut child =
        command.spawn().map_err(|error| format!("{:?} cannot be started: {error}", command.get_program()))?;
    let began = Instant::now();
    let mut spoke = began;
    loop {
        match child.try_wait().map_err(|error| format!("its end cannot be waited for: {error}"))? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(failure.to_owned()),
            None => thread::sleep(POLL),
        }
        if !stderr().is_terminal() && spoke.elapsed() >= HEARTBEAT {
            spoke = Instant::now();
            eprintln!("    … still at it after {}", minutes(began.elapsed()));
        }
    }
}

/// Builds every program.
pub(crate) fn build() -> Result<(), Failure> {
    announce();
    run(command("build").arg("--workspace"), "the build failed; what cargo said stands above")
}

/// Says beforehand when this will take long.
pub(crate) fn announce() {
    if !rocksdb_is_built() {
        println!(
            "  · building in {}\n    The first build compiles RocksDB, SQLCipher and OpenSSL: about half an hour of one core, less\n    \
             with several. It is paid once per machine.",
            target_dir().display()
        );
    }
}

fn rocksdb_is_built() -> bool {
    let Ok(entries) = target_dir().join("debug/build").read_dir() else { return false };
    entries.flatten().any(|entry| {
        entry.file_name().to_string_lossy().starts_with("librocksdb-sys-")
            && entry.path().join("out/librocksdb.a").is_file()
    })
}

/// `3 s`, `12 min 4 s`.
pub(crate) fn minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_another_clone_built_is_thrown_away_of_every_package_but_this_one() {
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let members = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
        let mut names: Vec<_> = members
            .split(',')
            .map(|member| member.trim().trim_matches('"'))
            .filter(|member| !member.is_empty() && *member != "xtask")
            .map(|member| {
                let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
                manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap().trim_matches('"').to_owned()
            })
            .collect();
        let mut ours = OURS.to_vec();
        names.sort_unstable();
        ours.sort_unstable();
        assert_eq!(names, ours);
    }
}
