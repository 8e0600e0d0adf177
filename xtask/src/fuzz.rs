//! Looking for bytes at which something does not hold, with libFuzzer and the address sanitizer.
//!
//! Owns building its programs, how long and how far they run, and which inputs are kept. What must hold is
//! `audits/fuzz`'s. All that is found lies in the target directory; the clone is changed by `--keep` only.
//!
//! The sanitizer and the counters of libFuzzer are unstable flags of a compiler that has them all the same, so no other
//! toolchain is needed. On Linux only.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Failure, cargo, preflight};

/// The version of cargo-fuzz that this calls.
const CARGO_FUZZ: &str = "0.13.2";

/// How long each target runs unless told otherwise.
const SECONDS: u64 = 600;

/// What libFuzzer is told. Bounds on lengths have tests of their own; what takes 20 seconds or 2 GB is a finding.
const LIMITS: [&str; 4] = ["-max_len=8192", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"];

/// What makes libFuzzer choose few inputs of many.
const FEW: [&str; 2] = ["-set_cover_merge=1", "-use_counters=0"];

/// How often a run says how far it is.
const HEARTBEAT: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(200);

/// Runs the targets that were named, or all.
pub(crate) fn run(args: &[&str]) -> Result<(), Failure> {
    let asked = Asked::read(args, &targets()?)?;
    preflight::run()?;
    let place = Place { dir: cargo::target_dir().join("fuzz") };
    place.build()?;
    let mut findings = Vec::new();
    for target in &asked.targets {
        match place.fuzz(target, asked.seconds) {
            Ok(summary) => println!("  ✓ {target}: {summary}"),
            Err(finding) => {
                println!("  ✗ {finding}");
                findings.push(finding);
                continue;
            }
        }
        if asked.keep {
            println!("    {}", place.keep(target)?);
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings.join("\n")) }
}

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    targets: Vec<String>,
    seconds: u64,
    keep: bool,
}

impl Asked {
    fn read(args: &[&str], all: &[String]) -> Result<Self, Failure> {
        let mut asked = Self { targets: Vec::new(), seconds: SECONDS, keep: false };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            match *word {
                "--keep" => asked.keep = true,
                "--seconds" => {
                    let seconds = words.next().and_then(|seconds| seconds.parse().ok());
                    asked.seconds = seconds.ok_or("--seconds needs a number")?;
                }
                name if all.iter().any(|known| known == name) => asked.targets.push(name.to_owned()),
                name => return Err(format!("there is no target {name}; there are {}", all.join(", "))),
            }
        }
        if asked.targets.is_empty() {
            asked.targets = all.to_vec();
        }
        Ok(asked)
    }
}

fn fuzz_dir() -> PathBuf {
    cargo::root().join("audits/fuzz")
}

/// The programs there are.
fn targets() -> Result<Vec<String>, Failure> {
    let files = files(&fuzz_dir().join("libfuzzer/fuzz_targets"))?;
    Ok(files.iter().filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect())
}

/// Where programs, inputs and findings lie.
struct Place {
    dir: PathBuf,
}

impl Place {
    /// Builds the programs, and writes down what to begin with.
    fn build(&self) -> Result<(), Failure> {
        let mut build = Command::new(cargo::tool("cargo-fuzz", CARGO_FUZZ, "nothing was looked for")?);
        build
            .args(["build", "--release", "--fuzz-dir"])
            .arg(fuzz_dir().join("libfuzzer"))
            .arg("--target-dir")
            .arg(&self.dir);
        build.current_dir(fuzz_dir()).env("RUSTC_BOOTSTRAP", "1");
        println!("  · building with the address sanitizer in {}", self.dir.display());
        cargo::run(&mut build, "the programs could not be built, as it says above")?;
        let mut seeds = cargo::command("run");
        seeds.args(["--quiet", "--package", "hushwire-fuzz", "--example", "seeds", "--"]).arg(self.dir.join("seeds"));
        cargo::run(&mut seeds, "what to begin with could not be written")
    }

    /// Runs one target; what it found is an error, with the way to see it again.
    fn fuzz(&self, target: &str, seconds: u64) -> Result<String, Failure> {
        let inputs = self.emptied("inputs", target)?;
        for from in [self.dir.join("seeds").join(target), fuzz_dir().join("corpus").join(target)] {
            copy_all(&from, &inputs)?;
        }
        let findings = self.emptied("findings", target)?;
        let log = self.dir.join(target).with_extension("log");
        let mut program = Command::new(self.program(target));
        program.args(LIMITS).arg(format!("-max_total_time={seconds}"));
        program.arg(format!("-artifact_prefix={}/", findings.display())).arg(&inputs);
        println!("  · {target}, {seconds} s, beginning with {} inputs", files(&inputs)?.len());
        let began = Instant::now();
        let mut child = started(&mut program, &log)?;
        let is_well = watched(&mut child, &log)?;
        let text = fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        if is_well {
            return Ok(format!("{}; {}", last_status(&text), cargo::minutes(began.elapsed())));
        }
        let again = match files(&findings)?.first() {
            Some(finding) => format!("{} {}", self.program(target).display(), finding.display()),
            None => self.program(target).display().to_string(),
        };
        Err(format!(
            "{target} does not hold, see {}\n    once more: {again}\n    Once it holds, that file belongs into audits/fuzz/corpus/{target}.",
            log.display()
        ))
    }

    /// Puts back into the clone as few inputs as reach every edge that was reached: what is counted beside the edges would
    /// keep several times as many.
    fn keep(&self, target: &str) -> Result<String, Failure> {
        let (found, few) = (self.dir.join("inputs").join(target), self.emptied("kept", target)?);
        let log = self.dir.join(target).with_extension("merge.log");
        let mut program = Command::new(self.program(target));
        let mut child = started(program.args(LIMITS).args(FEW).arg(&few).arg(&found), &log)?;
        if !watched(&mut child, &log)? {
            return Err(format!("the inputs of {target} could not be chosen, see {}", log.display()));
        }
        let corpus = fuzz_dir().join("corpus").join(target);
        let failed = |error| format!("{} cannot be written: {error}", corpus.display());
        if corpus.is_dir() {
            fs::remove_dir_all(&corpus).map_err(failed)?;
        }
        fs::create_dir_all(&corpus).map_err(failed)?;
        copy_all(&few, &corpus)?;
        let kept = files(&corpus)?;
        let bytes: u64 = kept.iter().filter_map(|file| fs::metadata(file).ok()).map(|about| about.len()).sum();
        Ok(format!("kept {} inputs, {} kB, in {}", kept.len(), bytes / 1000, corpus.display()))
    }

    fn program(&self, target: &str) -> PathBuf {
        let built = format!("{}-unknown-linux-gnu/release", std::env::consts::ARCH);
        self.dir.join(built).join(target)
    }

    /// `KIND/TARGET`, with nothing in it.
    fn emptied(&self, kind: &str, target: &str) -> Result<PathBuf, Failure> {
        let dir = self.dir.join(kind).join(target);
        let failed = |error| format!("{} cannot be used: {error}", dir.display());
        if dir.is_dir() {
            fs::remove_dir_all(&dir).map_err(failed)?;
        }
        fs::create_dir_all(&dir).map_err(failed)?;
        Ok(dir)
    }
}

fn started(program: &mut Command, log: &Path) -> Result<Child, Failure> {
    let name = program.get_program().to_string_lossy().into_owned();
    let failed = |error| format!("{name} cannot be started: {error}");
    let to = File::create(log).map_err(failed)?;
    let same = to.try_clone().map_err(failed)?;
    program.stdout(to).stderr(same).spawn().map_err(failed)
}

/// Waits for its end, saying now and then how far it is; whether it ended well.
fn watched(child: &mut Child, log: &Path) -> Result<bool, Failure> {
    let mut spoke = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("its end cannot be waited for: {error}"))? {
            return Ok(status.success());
        }
        thread::sleep(POLL);
        if spoke.elapsed() >= HEARTBEAT {
            spoke = Instant::now();
            let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            println!("    … {}", last_status(&text));
        }
    }
}

/// What libFuzzer said last of itself: `#123 NEW cov: 45 ft: 67 corp: 8/90b lim: 4 exec/s: 5 rss: 6Mb …`.
fn last_status(log: &str) -> String {
    let line = log.lines().rev().find(|line| line.starts_with('#') && line.contains(" cov: ")).unwrap_or_default();
    let mut words = line.split_whitespace();
    let runs = words.next().unwrap_or_default().trim_start_matches('#');
    let mut after = |name: &str| words.by_ref().skip_while(|word| *word != name).nth(1).unwrap_or("?").to_owned();
    let (edges, features, inputs) = (after("cov:"), after("ft:"), after("corp:"));
    format!("{runs} runs, {edges} edges, {features} features, {inputs} inputs")
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{} cannot be read: {error}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

/// Copies the files of a directory, if there is one.
fn copy_all(from: &Path, to: &Path) -> Result<(), Failure> {
    if !from.is_dir() {
        return Ok(());
    }
    for file in files(from)? {
        let name = file.file_name().unwrap_or_default();
        fs::copy(&file, to.join(name)).map_err(|error| format!("{} cannot be copied: {error}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_target_is_all_of_them_and_one_that_is_not_there_is_refused() {
        let all = ["a", "b"].map(str::to_owned);
        let asked = |args: &[&str]| Asked::read(args, &all);
        assert_eq!(asked(&[]), Ok(Asked { targets: all.to_vec(), seconds: SECONDS, keep: false }));
        let some = Asked { targets: vec!["b".to_owned()], seconds: 5, keep: true };
        assert_eq!(asked(&["b", "--seconds", "5", "--keep"]), Ok(some));
        for wrong in [&["c"][..], &["--seconds"], &["--seconds", "x"]] {
            assert!(asked(wrong).is_err());
        }
    }

    #[test]
    fn what_libfuzzer_says_last_is_what_is_told() {
        let log = "#2 INITED cov: 1 ft: 1 corp: 1/1b exec/s: 0 rss: 1Mb\n\
                   #99 DONE   cov: 12 ft: 34 corp: 5/67b lim: 8 exec/s: 9 rss: 10Mb\nDone 99 runs in 1 second(s)\n";
        assert_eq!(last_status(log), "99 runs, 12 edges, 34 features, 5/67b inputs");
    }
}
