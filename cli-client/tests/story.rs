//! The whole story with real servers: register, add, send, receive, history, verify, outbox, doctor. Everything with
//! `--json`, and every line of it read.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hushwire_keyserver::Registration;
use serde_json::Value;
use support::{Person, Servers, ended, link_of, of_type, only};

/// Alice and Bob, registered; Alice has added Bob by handle, Bob has added Alice by link.
fn friends(servers: &Servers) -> (Person, Person) {
    let (alice, bob) = (Person::new(), Person::new());
    alice.register(servers, "alice");
    bob.register(servers, "bob");
    only(alice.json(["contact", "add", "bob"]));
    only(bob.json(["contact", "add", &link_of(&alice), "--name", "al"]));
    (alice, bob)
}

#[test]
fn two_people_register_add_each_other_write_and_read() {
    let servers = Servers::start();
    let (alice, bob) = (Person::new(), Person::new());
    let made = alice.register(&servers, "alice");
    assert_eq!(made["type"], "registered");
    assert_eq!(made["registered"], true);
    assert_eq!(made["recovery_words"].as_str().unwrap().split(' ').count(), 24);
    bob.register(&servers, "bob");

    // by handle: unverified; by link: verified
    let added = only(alice.json(["contact", "add", "bob"]));
    assert_eq!(
        (&added["contact"], &added["verified"], &added["standing"]),
        (&"bob".into(), &false.into(), &"accepted".into())
    );
    let added = only(bob.json(["contact", "add", &link_of(&alice), "--name", "al"]));
    assert_eq!((&added["contact"], &added["verified"]), (&"al".into(), &true.into()));

    let text = "hello \u{202e}bob\u{1b}[31m\nsecond line";
    let sent = only(alice.json(["send", "bob", text]));
    assert_eq!((&sent["type"], &sent["state"], &sent["direction"]), (&"message".into(), &"sent".into(), &"out".into()));

    let received = bob.json(["receive"]);
    let message = only(of_type(&received, "message").into_iter().cloned().collect());
    assert_eq!((message["text"].as_str(), &message["contact"]), (Some(text), &"al".into()));
    assert_eq!(message["message_id"], sent["message_id"]);
    assert_eq!(bob.json(["receive"]), Vec::<Value>::new(), "printed once");

    // what people see has lost what a terminal obeys
    let shown = bob.hush(["history", "al"]);
    assert!(shown.out.contains("al: hello bob[31m\n") && !shown.out.contains('\u{1b}'), "{}", shown.out);
    assert!(shown.out.lines().nth(1).unwrap().starts_with("      "), "{}", shown.out);

    let states = alice.json(["receive"]);
    let last = of_type(&states, "state").pop().unwrap().clone();
    assert_eq!((&last["state"], &last["id"]), (&"read".into(), &sent["id"]));
    let history = alice.json(["history", "bob"]);
    assert_eq!(only(history)["state"], "read");

    // both see the same number
    let (ours, theirs) = (only(alice.json(["verify", "bob"])), only(bob.json(["verify", "al"])));
    assert_eq!(ours["digits"], theirs["digits"]);
    assert_eq!(ours["digits"].as_str().unwrap().len(), 60);
    assert_eq!(only(alice.json(["verify", "bob", "--confirm"]))["verified"], true);
    assert_eq!(only(alice.json(["contact", "list"]))["verified"], true);
    assert_eq!(only(alice.json(["verify", "bob", "--undo"]))["verified"], false);

    assert_eq!(alice.json(["outbox"]), Vec::<Value>::new());
    let checks = alice.json(["doctor"]);
    let names: Vec<&str> = checks.iter().filter_map(|check| check["check"].as_str()).collect();
    for name in ["database", "account", "relay", "keyserver"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(checks.iter().all(|check| check["verdict"] != "failed"), "{checks:?}");
    assert_eq!(only(alice.json(["whoami"]))["handle"].as_str().unwrap().split('@').next(), Some("alice"));
}

#[test]
fn what_is_written_offline_waits_and_goes_out_later() {
    let (alice, bob);
    let relay_gone = {
        let servers = Servers::start();
        (alice, bob) = friends(&servers);
        only(alice.json(["send", "bob", "first"]));
        only(of_type(&bob.json(["receive", "--read"]), "message").into_iter().cloned().collect());
        only(alice.json(["send", "bob", "--wait", "sent", "second"]));
        servers.relay.clone()
    };
    let queued = only(alice.json(["send", "bob", "third", "--timeout", "1"]));
    assert_eq!(queued["state"], "queued", "exit 0 without --wait: {relay_gone}");
    let waited = alice.hush(["--json", "send", "bob", "--wait", "sent", "--timeout", "1", "fourth"]);
    assert_eq!((waited.code, waited.out.as_str()), (7, ""), "{waited:?}");
    let waiting = alice.json(["outbox"]);
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert!(waiting.iter().all(|row| row["type"] == "waiting" && row["conversation"] == "bob"));
    let offline = bob.hush(["receive", "--timeout", "1"]);
    assert_eq!((offline.code, offline.out.as_str()), (3, ""), "{offline:?}");
}

#[test]
fn a_stranger_is_a_request_until_accepted_and_nothing_once_blocked() {
    let servers = Servers::start();
    let (alice, eve) = (Person::new(), Person::new());
    alice.register(&servers, "alice");
    eve.register(&servers, "eve");
    only(eve.json(["contact", "add", "alice"]));
    only(eve.json(["send", "alice", "you do not know me"]));

    let received = alice.json(["receive"]);
    let request = of_type(&received, "contact_request").pop().unwrap().clone();
    assert_eq!((&request["standing"], &request["verified"]), (&"request".into(), &false.into()));
    assert!(request["claimed_handle"].as_str().unwrap().starts_with("eve@"), "{request}");
    assert_eq!(of_type(&received, "message").len(), 1);
    let states = eve.json(["receive"]);
    assert!(of_type(&states, "state").is_empty(), "strangers get no receipts: {states:?}");

    let name = request["contact"].as_str().unwrap();
    assert_eq!(only(alice.json(["contact", "rename", name, "eve the first"]))["contact"], "eve the first");
    assert_eq!(only(alice.json(["contact", "accept", "eve the first"]))["standing"], "accepted");
    only(eve.json(["send", "alice", "thank you"]));
    assert_eq!(of_type(&alice.json(["receive"]), "message").len(), 1);

    assert_eq!(only(alice.json(["contact", "block", "eve the first"]))["standing"], "blocked");
    only(eve.json(["send", "alice", "still there?", "--timeout", "2"]));
    assert!(of_type(&alice.json(["receive"]), "message").is_empty());
    assert_eq!(alice.hush(["send", "eve the first", "no"]).code, 1);
}

#[test]
fn a_handle_that_is_taken_leaves_an_account_that_can_choose_again() {
    let servers = Servers::start();
    let (alice, other) = (Person::new(), Person::new());
    alice.register(&servers, "alice");
    let taken = |handle: &str| {
        other.hush([
            "register",
            "--relay",
            &servers.relay,
            "--keyserver",
            &servers.keyserver,
            "--protect",
            "key-file",
            "--handle",
            handle,
        ])
    };
    let refused = taken("alice");
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
    assert!(refused.err.contains("24 recovery words") && refused.err.contains("another --handle"), "{}", refused.err);
    let again = taken("alice2");
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("alice2@"), "{}", again.out);
    assert_eq!(taken("alice3").code, 1, "registered is registered");
}

#[test]
fn a_keyserver_that_wants_an_invite_is_told_about_and_the_code_opens_it() {
    let servers = Servers::admitting(Registration::Invites, 0);
    let alice = Person::new();
    let register = |person: &Person, more: &[&str]| {
        let servers = ["register", "--relay", &servers.relay, "--keyserver", &servers.keyserver];
        ended(person.command().args(servers).args(["--protect", "key-file"]).args(more).output().unwrap())
    };
    let refused = register(&alice, &[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("ask whoever runs the keyserver for a code"), "{}", refused.err);
    let wrong = register(&alice, &["--invite", "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.err.contains("look at the code again"), "{}", wrong.err);
    let mistyped = register(&alice, &["--invite", "aaaa"]);
    assert!(mistyped.code == 1 && mistyped.err.contains("six groups of four"), "{mistyped:?}");
    let code = servers.invite();
    let made = register(&alice, &["--invite", &code]);
    assert_eq!(made.code, 0, "{made:?}");
    let bob = Person::new();
    assert_eq!(register(&bob, &["--invite", &code]).code, 1, "a code is for one");

    let closed = Servers::admitting(Registration::Closed, 0);
    let carol = Person::new();
    let refused =
        carol.hush(["register", "--relay", &closed.relay, "--keyserver", &closed.keyserver, "--protect", "key-file"]);
    assert!(refused.code == 1 && refused.err.contains("choose another keyserver"), "{refused:?}");
}

#[test]
fn the_work_of_a_new_account_is_done_and_said() {
    let servers = Servers::admitting(Registration::Open, 20);
    let alice = Person::new();
    let made =
        alice.hush(["register", "--relay", &servers.relay, "--keyserver", &servers.keyserver, "--protect", "key-file"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.err.contains("some work, about 1048576 tries"), "{}", made.err);
}

#[test]
fn a_long_text_comes_through_a_pipe_whole() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    let text = "lines of text\n".repeat(1000);
    assert_eq!(alice.hush_with_stdin(["send", "bob", "-"], &text).code, 0);
    let received = bob.json(["receive", "--read"]);
    let message = only(of_type(&received, "message").into_iter().cloned().collect());
    assert_eq!(message["text"].as_str(), text.strip_suffix('\n'));
    assert_eq!(alice.hush_with_stdin(["send", "bob", "--message-from-stdin"], "").code, 1);
    assert_eq!(alice.hush_with_stdin(["send", "bob", "-"], &"x".repeat(100_000)).code, 1);
}

#[cfg(unix)]
#[test]
fn following_prints_what_comes_and_ends_when_told() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    let mut following = bob.spawn(["--json", "receive", "--follow", "--read"], Stdio::null());
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let sent = alice.json(["send", "bob", "--wait", "read", "--timeout", "30", "are you there?"]);
    assert_eq!(only(sent)["state"], "read");
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&line["type"], &line["text"]), (&"message".into(), &"are you there?".into()));
    kill("-TERM", following.id());
    assert_eq!(following.wait().unwrap().code(), Some(0), "an orderly end");
    assert_eq!(lines.count(), 0);
    assert_eq!(bob.json(["receive"]), Vec::<Value>::new(), "printed once");

    let following = bob.spawn(["receive", "--follow"], Stdio::null());
    bob.is_open_in(&following);
    kill("-INT", following.id());
    assert_eq!(ended(following.wait_with_output().unwrap()).code, 130);
    assert_eq!(bob.hush(["whoami"]).code, 0, "the account was closed");
}

#[test]
fn a_chat_without_a_terminal_is_lines_in_and_lines_out() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    let mut chat = bob.spawn(["chat", "al"], Stdio::piped());
    only(alice.json(["send", "bob", "hello bob"]));
    let mut typed = chat.stdin.take().unwrap();
    typed.write_all(b"hello alice\n/nonsense\n//slash\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut got = Vec::new();
    while got.len() < 2 && Instant::now() < deadline {
        got.extend(
            of_type(&alice.json(["receive"]), "message").into_iter().map(|m| m["text"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(got, ["hello alice", "/slash"]);
    drop(typed);
    let mut out = String::new();
    chat.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let ended = ended(chat.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(out.contains("al: hello bob") && out.contains("you: hello alice"), "{out}");
    assert!(ended.err.contains("no such command"), "{}", ended.err);
    assert!(!out.contains('\u{1b}'), "{out}");
}

fn kill(signal: &str, id: u32) {
    assert!(Command::new("kill").args([signal, &id.to_string()]).status().unwrap().success());
}
