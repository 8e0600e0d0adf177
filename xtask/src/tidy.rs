//! What no compiler says about the tree: files that have grown too long, things left behind, links that lead nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Failure, cargo};

/// A file longer than this is about more than one thing.
const LINES_MAX: usize = 500;

/// Left behind by somebody who meant to come back. In two halves, so that this file does not name them.
const LEFT_BEHIND: &[(&str, &str)] =
    &[("todo", "!("), ("unimplemented", "!("), ("dbg", "!("), ("FIX", "ME"), ("XX", "X:")];

/// A test's name is a sentence; other names have fewer words.
const TEST_NAME_GAPS_MIN: usize = 3;

/// Looks at everything.
pub(crate) fn run() -> Result<(), Failure> {
    let root = cargo::root();
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    let mut complaints = Vec::new();
    let sources = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let facts: BTreeSet<String> =
        sources.filter_map(|file| fs::read_to_string(file).ok()).flat_map(|text| functions(&text)).collect();
    for file in &files {
        let Ok(text) = fs::read_to_string(file) else { continue };
        let name = file.strip_prefix(&root).unwrap_or(file).display();
        let found = match file.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => rust(&text),
            Some("md") => [markdown(&text, file.parent().unwrap_or(&root)), unshown(&text, &facts)].concat(),
            _ => Vec::new(),
        };
        complaints.extend(found.into_iter().map(|complaint| format!("\n    {name}: {complaint}")));
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.concat()) }
}

/// Files of the tree, without what is built and what is hidden.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error| format!("{} cannot be read: {error}", dir.display());
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || matches!(&*name, "target" | "node_modules") {
            continue;
        }
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    files.sort();
    Ok(())
}

fn rust(text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        complaints.push(format!("{lines} lines, at most {LINES_MAX}: it is about more than one thing"));
    }
    if !text.starts_with("//!") {
        complaints.push("begins without a line that says what it owns (//!)".to_owned());
    }
    for (number, line) in text.lines().enumerate() {
        for word in LEFT_BEHIND.iter().map(|(head, tail)| format!("{head}{tail}")).filter(|word| line.contains(word)) {
            complaints.push(format!("line {}: {word} was left behind", number + 1));
        }
    }
    complaints
}

/// Links to files that are not there.
fn markdown(text: &str, dir: &Path) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    let local = targets.filter(|target| !target.is_empty() && !target.contains(':'));
    local
        .filter(|target| !dir.join(target).exists())
        .map(|target| format!("links to {target}, which is not there"))
        .collect()
}

/// Names of functions that are defined here.
fn functions(text: &str) -> Vec<String> {
    text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next()).map(str::to_owned).collect()
}

/// Tests that a page names and nobody wrote. A name in code with so many words in it is a test's.
fn unshown(text: &str, facts: &BTreeSet<String>) -> Vec<String> {
    let is_name =
        |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let named = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(is_name)
        .filter(|word| word.matches('_').count() >= TEST_NAME_GAPS_MIN);
    named
        .filter(|word| !facts.contains(*word))
        .map(|word| format!("names the test {word}, which does not exist"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_what_is_wrong_with_it() {
        assert_eq!(rust("//! Short and about one thing.\nfn main() {}\n"), Vec::<String>::new());
        assert_eq!(rust("fn main() {}\n").len(), 1);
        assert_eq!(rust(&format!("//! Long.\n{}", "\n".repeat(LINES_MAX))).len(), 1);
        let left = format!("//! Unfinished.\nfn main() {{ {}{}); }}\n", "todo", "!(");
        assert_eq!(rust(&left), [format!("line 2: {}{} was left behind", "todo", "!(")]);
    }

    #[test]
    fn a_link_leads_somewhere() {
        let dir = cargo::root();
        assert!(markdown("[a](Cargo.toml) [b](https://example.org/x) [c](#below) [d](Cargo.toml#x)", &dir).is_empty());
        assert_eq!(markdown("[a](no/such.md)", &dir), ["links to no/such.md, which is not there"]);
    }

    #[test]
    fn a_page_names_tests_that_exist() {
        let facts = functions("fn a_message_is_shown_once() {}\nfn helper() {}").into_iter().collect();
        assert!(unshown("shown by `a_message_is_shown_once`, not `some_field`", &facts).is_empty());
        assert_eq!(unshown("`a_message_is_shown_twice`", &facts).len(), 1);
    }
}
