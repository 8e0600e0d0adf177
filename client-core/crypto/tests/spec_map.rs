//! The map of the specification: which file holds each section, and which tests hold it to account.
//!
//! `audits/spec-map.md` is made from the `Spec: signal-wire §x.y` lines of this crate. A line in a file's head speaks for
//! the file; one above a test speaks for that test in its file's stead. Sections without code or without a test fail here,
//! and so does a map that is no longer true. To write it anew:
//!
//! `cargo test -p hushwire-crypto --test spec_map -- --ignored write`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const MARK: &str = "Spec: signal-wire ";

/// The first section that asks for code; before it there is only notation. And the last.
const FIRST: Section = (1, 2);
const LAST: Section = (8, 6);

/// Section and subsection; 0 where there is none.
type Section = (u32, u32);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The sections that the specification has, with their titles. A section with parts is its parts.
fn sections() -> BTreeMap<Section, String> {
    let spec = fs::read_to_string(root().join("audits/spec/signal-wire.md")).unwrap();
    let headings = spec.lines().filter_map(|line| line.strip_prefix("### ").or(line.strip_prefix("## ")));
    let mut all = BTreeMap::new();
    for heading in headings {
        let (number, title) = heading.split_once(' ').unwrap_or((heading, ""));
        if let Some(section) = section(number.trim_end_matches('.')) {
            all.insert(section, title.to_owned());
        }
    }
    let with_parts: BTreeSet<u32> = all.keys().filter(|(_, part)| *part > 0).map(|(whole, _)| *whole).collect();
    all.retain(|section, _| (section.1 > 0 || !with_parts.contains(&section.0)) && (FIRST..=LAST).contains(section));
    all
}

fn section(number: &str) -> Option<Section> {
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    Some((whole.parse().ok()?, part.parse().ok()?))
}

/// The sections that a line names behind the mark: `§1.2, §1.4` or `§3.1 to §3.6`.
fn named(line: &str) -> BTreeSet<Section> {
    let mut named = BTreeSet::new();
    let mut last = None;
    let mut range = false;
    for part in line.split_once(MARK).map_or("", |(_, behind)| behind).split('§').skip(1) {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(part.len());
        let this = section(part[..end].trim_end_matches('.')).expect("a section behind the sign");
        if let Some((whole, from)) = last.filter(|_| range) {
            assert_eq!(whole, this.0, "a range within one section: {line}");
            named.extend((from..=this.1).map(|part| (whole, part)));
        }
        named.insert(this);
        range = part[end..].trim() == "to";
        last = Some(this);
    }
    named
}

/// What one file says.
#[derive(Default)]
struct Found {
    code: BTreeSet<Section>,
    tests: Vec<(String, BTreeSet<Section>)>,
}

/// Lines of comments up to `#[cfg(test)]` speak for code, in files that are not tests as a whole.
fn read(path: &Path, is_test: bool) -> Found {
    let text = fs::read_to_string(path).unwrap();
    let mut found = Found::default();
    let heads = text.lines().take_while(|line| line.starts_with("//!"));
    let head: BTreeSet<Section> = heads.flat_map(named).collect();
    let mut in_tests = is_test;
    let mut above = BTreeSet::new();
    let mut is_next = false;
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    for (number, line) in lines.iter().enumerate() {
        in_tests |= *line == "#[cfg(test)]"
            && lines.get(number + 1).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
        if line.starts_with("//") {
            let sections = named(line);
            if in_tests && line.starts_with("///") {
                above.extend(sections);
            } else if !in_tests {
                found.code.extend(sections);
            }
        } else if *line == "#[test]" {
            is_next = true;
        } else if !line.starts_with("#[") {
            if let Some(name) = line.strip_prefix("fn ").filter(|_| is_next) {
                let name = name.split('(').next().unwrap().to_owned();
                let sections = if above.is_empty() { head.clone() } else { above.clone() };
                found.tests.push((name, sections));
                is_next = false;
            }
            above.clear();
        }
    }
    found
}

/// The `.rs` files under a folder, in order.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files(&entry, into);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            into.push(entry);
        }
    }
}

/// Files of the crate that are there for tests only: those of `tests/`, and modules behind `#[cfg(test)]`.
fn is_test(path: &Path, all: &[PathBuf]) -> bool {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    path.starts_with(crate_root.join("tests"))
        || all.iter().any(|parent| {
            let text = fs::read_to_string(parent).unwrap();
            let modules = text.split("#[cfg(test)]\nmod ").skip(1).filter_map(|behind| behind.split_once(';'));
            let is_root = parent.ends_with("src/lib.rs");
            let folder = if is_root { parent.parent().unwrap().to_owned() } else { parent.with_extension("") };
            modules.filter(|(name, _)| !name.contains(char::is_whitespace)).any(|(name, _)| {
                let module = folder.join(name);
                path.with_extension("") == module || path.starts_with(&module)
            })
        })
}

/// The whole map, and what is missing in it.
fn map() -> (String, Vec<String>) {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    files(&crate_root.join("src"), &mut all);
    files(&crate_root.join("tests"), &mut all);
    all.retain(|path| !path.ends_with(file!().rsplit('/').next().unwrap())); // this file speaks of the lines themselves
    let mut code: BTreeMap<Section, Vec<String>> = BTreeMap::new();
    let mut tests: BTreeMap<Section, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for path in &all {
        let name = path.strip_prefix(crate_root).unwrap().to_str().unwrap().replace('\\', "/");
        let found = read(path, is_test(path, &all));
        for section in found.code {
            code.entry(section).or_default().push(name.clone());
        }
        for (test, sections) in found.tests {
            for section in sections {
                tests.entry(section).or_default().entry(name.clone()).or_default().push(test.clone());
            }
        }
    }

    let mut text = String::from(HEAD);
    let mut missing = Vec::new();
    for ((whole, part), title) in sections() {
        let number = if part == 0 { whole.to_string() } else { format!("{whole}.{part}") };
        let (code, tests) = (code.get(&(whole, part)), tests.get(&(whole, part)));
        if code.is_none() {
            missing.push(format!("no code names §{number}"));
        }
        if tests.is_none() {
            missing.push(format!("no test names §{number}"));
        }
        let code: Vec<String> = code.into_iter().flatten().map(|file| format!("`{file}`")).collect();
        write!(text, "\n## §{number} {title}\n\nCode: {}\n\n", code.join(", ")).unwrap();
        for (file, names) in tests.into_iter().flatten() {
            writeln!(text, "- `{file}`").unwrap();
            names.iter().for_each(|name| writeln!(text, "  - {}", name.replace('_', " ")).unwrap());
        }
    }
    (text, missing)
}

const HEAD: &str = "# Specification to code to tests\n\n\
    For each section of [spec/signal-wire.md](spec/signal-wire.md): the files of `client-core/crypto` that hold it, and\n\
    the tests that hold them to it. Test names are written with spaces for underscores.\n\n\
    Made from the `Spec: signal-wire` lines in the code, and checked by `client-core/crypto/tests/spec_map.rs`. Not\n\
    edited by hand. To write it anew:\n\n\
    ```\ncargo test -p hushwire-crypto --test spec_map -- --ignored write\n```\n";

fn checked_in() -> PathBuf {
    root().join("audits/spec-map.md")
}

#[test]
fn every_section_has_code_and_a_test() {
    let (_, missing) = map();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_checked_in_map_is_true() {
    let written = fs::read_to_string(checked_in()).unwrap_or_default();
    assert!(
        written == map().0,
        "audits/spec-map.md is out of date; the head of tests/spec_map.rs says how to renew it"
    );
}

#[test]
#[ignore = "writes audits/spec-map.md anew"]
fn write() {
    fs::write(checked_in(), map().0).unwrap();
}

#[test]
fn sections_are_read_out_of_a_line_alone_in_lists_and_in_ranges() {
    let line = |text: &str| named(text).into_iter().collect::<Vec<_>>();
    assert_eq!(line("/// Spec: signal-wire §1.2, §3.4 steps 1 to 4."), [(1, 2), (3, 4)]);
    assert_eq!(line("//! Vectors: a. Spec: signal-wire §3.1 to §3.3, §7."), [(3, 1), (3, 2), (3, 3), (7, 0)]);
    assert_eq!(line("/// Spec: relay §4.2. And §3 of something."), []);
}
