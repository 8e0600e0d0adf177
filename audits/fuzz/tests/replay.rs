//! Every input that was worth keeping, once more through its target. No libFuzzer and no sanitizer: what was found once
//! is not to come back.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hushwire_fuzz::TARGETS;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names in a directory, without those that are hidden.
fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with('.')).collect()
}

#[test]
fn every_kept_input_still_holds_at_its_target() {
    for (name, target) in TARGETS {
        let dir = here("corpus").join(name);
        let inputs = names(&dir);
        assert!(!inputs.is_empty(), "nothing is kept for {name}");
        for input in inputs {
            let path = dir.join(input);
            let bytes = fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| target(&bytes));
            assert!(outcome.is_ok(), "{} does not hold at {name}", path.display());
        }
    }
}

#[test]
fn any_target_takes_no_bytes_at_all_and_the_same_byte_over_and_over() {
    for (_, target) in TARGETS {
        target(&[]);
        for byte in [0x00, 0x01, 0x7F, 0x80, 0xFF] {
            target(&[byte; 100]);
        }
    }
}

#[test]
fn each_target_has_a_corpus_and_a_program_and_there_are_no_others() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&here("corpus")), targets);
    let programs = names(&here("libfuzzer/fuzz_targets"));
    assert_eq!(programs, targets.iter().map(|name| format!("{name}.rs")).collect());
    let manifest = fs::read_to_string(here("libfuzzer/Cargo.toml")).unwrap();
    assert!(targets.iter().all(|name| manifest.contains(&format!("\nname = \"{name}\"\n"))));
}

/// What is fuzzed is what is shipped: the same version of every dependency.
#[test]
fn the_programs_are_locked_to_the_dependencies_of_the_workspace() {
    let packages = |path: &str| -> BTreeSet<(String, String)> {
        let lock = fs::read_to_string(here(path)).unwrap();
        let value = |line: Option<&str>| line.and_then(|line| line.split('"').nth(1)).unwrap_or_default().to_owned();
        lock.split("[[package]]\n")
            .skip(1)
            .map(|package| (value(package.lines().next()), value(package.lines().nth(1))))
            .collect()
    };
    let (ours, theirs) = (packages("../../Cargo.lock"), packages("libfuzzer/Cargo.lock"));
    let only_theirs: BTreeSet<_> = theirs.difference(&ours).map(|(name, _)| name.as_str()).collect();
    assert_eq!(only_theirs, BTreeSet::from(["arbitrary", "hushwire-libfuzzer", "libfuzzer-sys"]));
}
