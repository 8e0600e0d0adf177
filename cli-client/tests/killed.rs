//! What the real program leaves in its files when it is killed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, unreachable_pub, missing_docs)]

#[path = "../../client-core/engine/tests/world/pages.rs"]
mod pages;
mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use support::{Person, Servers, introduce, only};

/// Whether these words stand anywhere in the account's folder: in clear in any file, or in the database and its log once they
/// are opened.
fn traces(person: &Person, words: &str) -> bool {
    let folder = person.account();
    let key: [u8; 32] = std::fs::read(folder.join("database.key")).unwrap().try_into().unwrap();
    let mut found = false;
    for file in files(&folder) {
        found |= holds(&std::fs::read(&file).unwrap(), words);
        if file.extension().is_some_and(|extension| extension == "db") {
            found |= holds(&pages::of(&file, &key), words);
        }
    }
    found
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.is_file()).collect()
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
    only(alice.json(["timer", "bob", "2s"]));
    only(alice.json(["send", "bob", "zebra for a moment"]));
    only(alice.json(["timer", "bob", "off"]));
    only(alice.json(["send", "bob", "zebra to be deleted"]));
    // It keeps and marks both, and is killed in the middle of whatever it does then.
    let mut following = bob.spawn(["receive", "--follow", "--read"], Stdio::null());
    bob.is_open_in(&following);
    let is_here = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        traces(&bob, "zebra to be deleted")
    });
    following.kill().unwrap();
    following.wait().unwrap();
    assert!(is_here, "the scan finds what is there");
    std::thread::sleep(Duration::from_secs(3));
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
