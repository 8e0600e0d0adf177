//! What the real program leaves in its files when it is killed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, unreachable_pub, missing_docs)]

#[path = "../../client-core/engine/tests/world/pages.rs"]
mod pages;
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use support::{Person, Servers, introduce, only};

/// Whether these words stand anywhere in the person's home, temporary files included: in clear in any file, or in the database
/// and its log once they are opened, whatever their pages are used for.
fn traces(person: &Person, words: &str) -> bool {
    let key: [u8; 32] = std::fs::read(person.account().join("database.key")).unwrap().try_into().unwrap();
    let mut found = false;
    for file in files(person.path()) {
        found |= holds(&std::fs::read(&file).unwrap(), words);
        if file.extension().is_some_and(|extension| extension == "db") {
            found |= holds(&pages::of(&file, &key), words);
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (folders, files): (Vec<_>, Vec<_>) = all.partition(|path| path.is_dir());
        open.extend(folders);
        found.extend(files);
    }
    found
}

fn holds(bytes: &[u8], words: &str) -> bool {
    bytes.to_ascii_lowercase().windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn of_what_disappeared_or_was_deleted_a_killed_program_leaves_no_trace() {
    let servers = Servers::start();
    let (alice, bob) = (Person::new(), Person::new());
    alice.register(&servers, "alice");
    bob.register(&servers, "bob");
    introduce(&alice, "bob", &bob, "alice");
    only(alice.json(["timer", "bob", "5s"]));
    only(alice.json(["send", "bob", "zebra for a moment"]));
    only(alice.json(["timer", "bob", "off"]));
    // It keeps and marks both, and is killed in the middle of whatever it does then.
    let mut following = bob.spawn(["receive", "--follow", "--read"], Stdio::null());
    bob.is_open_in(&following);
    let last = alice.json(["send", "bob", "--wait", "read", "--timeout", "60", "zebra to be deleted"]);
    following.kill().unwrap();
    following.wait().unwrap();
    assert_eq!(only(last)["state"], "read");
    assert!(traces(&bob, "zebra to be deleted"), "the scan finds what is there");
    std::thread::sleep(Duration::from_secs(6));
    let left = bob.json(["history", "alice"]);
    assert!(left.iter().all(|message| message["text"] != "zebra for a moment"), "{left:?}");
    assert!(!traces(&bob, "zebra for a moment"));
    let id = only(left)["id"].to_string();
    let mut following = bob.spawn(["receive", "--follow"], Stdio::null());
    bob.is_open_in(&following);
    following.kill().unwrap();
    following.wait().unwrap();
    assert_eq!(bob.hush(["message", "delete", &id, "--here"]).code, 0);
    assert!(!traces(&bob, "zebra"));
}

/// The number of what was said last.
fn number(said: Vec<serde_json::Value>) -> String {
    only(said)["id"].to_string()
}

#[test]
fn of_what_disappeared_in_a_group_with_all_that_was_said_about_it_a_killed_program_leaves_no_trace() {
    let servers = Servers::start();
    let (alice, bob) = (Person::new(), Person::new());
    alice.register(&servers, "alice");
    bob.register(&servers, "bob");
    introduce(&alice, "bob", &bob, "alice");
    only(alice.json(["group", "create", "team", "bob"]));
    let is_in = (0..20).any(|_| bob.json(["receive"]).iter().any(|line| line["type"] == "group_joined"));
    assert!(is_in);
    only(alice.json(["timer", "team", "30s"]));
    let first = number(alice.json(["send", "team", "zebra at first"]));
    for args in [
        &["message", "edit", &first, "zebra on second thought"][..],
        &["message", "react", &first, "stripes"],
        &["message", "pin", &first],
        &["message", "forward", &first, "team"],
        &["send", "team", "--reply-to", &first, "zebra in answer"],
    ] {
        assert!(alice.command().args(args).output().unwrap().status.success(), "{args:?}");
    }
    let all = ["zebra at first", "zebra on second thought", "stripes", "zebra in answer"];
    let mut following = bob.spawn(["receive", "--follow", "--read"], Stdio::null());
    bob.is_open_in(&following);
    let are_here = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        all.iter().all(|words| traces(&bob, words))
    });
    std::thread::sleep(Duration::from_secs(1)); // and marked as read
    following.kill().unwrap();
    following.wait().unwrap();
    assert!(are_here, "the scan finds what is there");
    std::thread::sleep(Duration::from_secs(30));
    for (person, other) in [(&bob, "alice"), (&alice, "bob")] {
        // Whatever they ask first, nothing is there to be shown.
        assert!(person.json(["search", "zebra"]).is_empty(), "beside {other}");
        assert!(person.json(["history", "team"]).iter().all(|line| line["type"] != "message"), "beside {other}");
        for words in ["zebra", "stripes"] {
            assert!(!traces(person, words), "{words} beside {other}");
        }
        assert!(files(&person.temporary()).is_empty());
    }
}
