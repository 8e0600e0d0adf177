//! Devices and recovery words with real servers and real programs: what a person types, sees and is refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Ended, Person, Servers, ended, link_of, only};

fn numbers(devices: &[Value]) -> Vec<u64> {
    devices.iter().filter(|line| line["type"] == "device").map(|device| device["device"].as_u64().unwrap()).collect()
}

fn words_of(made: &Value) -> String {
    made["recovery_words"].as_str().unwrap().to_owned()
}

/// A file that only its owner can read, with this in it.
fn words_file(person: &Person, words: &str) -> String {
    person.passphrase_file("words", words).display().to_string()
}

/// `hush device request` on a new machine: the program, which waits, and what it asks for.
fn request(new: &Person, servers: &Servers, link: &str, name: &str) -> (Child, String) {
    let args =
        ["--json", "device", "request", link, "--relay", &servers.relay, "--name", name, "--protect", "key-file"];
    let mut program = new.spawn(args, Stdio::null());
    let mut out = BufReader::new(program.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let request: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(request["type"], "device_request");
    program.stdout = Some(out.into_inner());
    (program, request["request"].as_str().unwrap().to_owned())
}

/// A second device, listed.
fn second(person: &Person, servers: &Servers, name: &str) -> Person {
    let new = Person::new();
    let (program, request) = request(&new, servers, &link_of(person), name);
    person.json(["device", "add", &request]);
    let waited = ended(program.wait_with_output().unwrap());
    assert_eq!(waited.code, 0, "{waited:?}");
    new
}

fn recover(new: &Person, servers: &Servers, handle: &str, words: &str) -> Ended {
    let file = words_file(new, words);
    let args = ["--json", "recover", handle, "--keyserver", &servers.keyserver, "--relay", &servers.relay];
    ended(new.command().args(args).args(["--protect", "key-file", "--words-file", &file]).output().unwrap())
}

/// Everything of a person's folder, in other hands.
fn stolen(from: &Person) -> Person {
    let thief = Person::new();
    std::fs::create_dir_all(thief.account()).unwrap();
    #[cfg(unix)]
    for dir in [thief.account().parent().unwrap().to_owned(), thief.account()] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    for file in std::fs::read_dir(from.account()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), thief.account().join(file.file_name())).unwrap();
    }
    thief
}

#[test]
fn a_device_is_added_renamed_and_revoked_and_refused_from_then_on() {
    let servers = Servers::start();
    let (alice, bob) = (Person::new(), Person::new());
    alice.register(&servers, "alice");
    bob.register(&servers, "bob");
    only(bob.json(["contact", "add", &link_of(&alice), "--name", "al"]));
    only(alice.json(["contact", "add", "bob"]));
    only(alice.json(["send", "bob", "before"]));
    bob.json(["receive"]);
    alice.json(["receive"]);

    let laptop = second(&alice, &servers, "laptop");
    for person in [&alice, &laptop] {
        assert_eq!(numbers(&person.json(["device", "list"])), [1, 2]);
    }
    assert_eq!(only(laptop.json(["whoami"]))["membership"], "listed");
    alice.json(["device", "rename", "1", "phone"]);
    let listed = laptop.hush(["device", "list"]);
    assert!(listed.out.contains("phone") && listed.out.contains("this device"), "{listed:?}");
    let taken = alice.hush(["device", "rename", "laptop", "phone"]);
    assert_eq!(taken.code, 1, "{taken:?}");

    // A contact sees it, and what they write reaches both.
    only(alice.json(["send", "bob", "I have a laptop"]));
    let seen = bob.json(["receive"]);
    let change = seen.iter().find(|line| line["type"] == "devices_changed").unwrap_or_else(|| panic!("{seen:?}"));
    assert_eq!((&change["contact"], &change["added"][0]), (&"al".into(), &"laptop (device 2)".into()));
    let waits = bob.hush(["send", "al", "--wait", "sent", "for both"]);
    assert!(waits.code == 4 && waits.err.contains("hush identity trust al"), "known by a link, so held: {waits:?}");
    let outbox = bob.hush(["outbox"]);
    assert!(outbox.out.contains("to which you have not agreed"), "{outbox:?}");
    assert!(outbox.err.contains("What is for al goes out once you agree"), "{outbox:?}");
    bob.json(["identity", "trust", "al"]);
    assert!(!bob.hush(["outbox"]).err.contains("once you agree"));
    only(bob.json(["send", "al", "--wait", "sent", "and this"]));
    for person in [&alice, &laptop] {
        let got = person.json(["receive"]);
        assert!(got.iter().any(|line| line["text"] == "for both"), "{got:?}");
    }

    let left = alice.json(["device", "revoke", "laptop"]);
    assert_eq!(numbers(&left), [1]);
    let refused = laptop.hush(["--json", "device", "rename", "1", "mine"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    let told = laptop.hush(["device", "list"]);
    assert!(told.err.contains("not one of them any more"), "{told:?}");
    assert_eq!(only(laptop.json(["whoami"]))["membership"], "revoked");
    let name = only(laptop.json(["contact", "list"]))["contact"].as_str().unwrap().to_owned();
    let send = laptop.hush(["send", &name, "still me"]);
    assert!(send.code == 1 && send.err.contains("not one of its account"), "{send:?}");
    only(alice.json(["send", "bob", "the laptop is gone"]));
    let seen = bob.json(["receive"]);
    assert!(seen.iter().any(|line| line["removed"][0] == "laptop (device 2)"), "{seen:?}");
}

#[test]
fn the_words_take_the_account_back_after_everything_is_lost() {
    let servers = Servers::start();
    let (alice, bob) = (Person::new(), Person::new());
    let words = words_of(&alice.register(&servers, "alice"));
    bob.register(&servers, "bob");
    only(bob.json(["contact", "add", "alice"]));
    only(bob.json(["send", "alice", "hello"]));
    alice.json(["receive"]);
    let number = only(bob.json(["verify", "alice"]))["digits"].clone();
    let account = only(alice.json(["whoami"]))["account_id"].clone();
    let handle = only(alice.json(["whoami"]))["handle"].as_str().unwrap().to_owned();
    drop(alice);

    let new = Person::new();
    let mut swapped: Vec<&str> = words.split(' ').collect();
    swapped.swap(0, 23);
    for wrong in [&words[..words.len() / 2], &swapped.join(" "), &words.replace(' ', "x "), ""] {
        let refused = recover(&new, &servers, &handle, wrong);
        assert!(refused.code == 1 && !new.account().exists(), "{refused:?}");
        // One or two of them may be words of the sentence itself, such as `order`.
        let repeated = words.split(' ').filter(|word| refused.err.contains(*word)).count();
        assert!(repeated < 6, "the words are not repeated: {refused:?}");
    }
    let back = recover(&new, &servers, &handle, &words);
    assert_eq!(back.code, 0, "{back:?}");
    let profile = only(back.objects());
    assert_eq!((&profile["account_id"], &profile["membership"]), (&account, &"listed".into()));
    assert_eq!(numbers(&new.json(["device", "list"])), [2]);
    only(new.json(["contact", "add", "bob"]));
    only(new.json(["send", "bob", "it is me again"]));
    let seen = bob.json(["receive"]);
    let change = seen.iter().find(|line| line["type"] == "devices_changed").unwrap_or_else(|| panic!("{seen:?}"));
    assert_eq!((&change["by_recovery"], &change["contact"]), (&true.into(), &"alice".into()));
    assert!(seen.iter().any(|line| line["text"] == "it is me again"));
    assert_eq!(only(bob.json(["verify", "alice"]))["digits"], number);

    // Renewed words count, and the old ones do not.
    let file = words_file(&new, &words);
    let renewed = only(new.json(["recovery", "renew", "--words-file", &file]));
    let fresh = words_of(&renewed);
    assert_ne!(fresh, words);
    let third = Person::new();
    let refused = recover(&third, &servers, &handle, &words);
    assert!(refused.code == 1 && refused.err.contains("renewed"), "{refused:?}");
    assert_eq!(recover(&third, &servers, &handle, &fresh).code, 0);
}

#[test]
fn a_thief_with_a_copy_of_a_device_loses_the_account_to_the_words() {
    let servers = Servers::start();
    let alice = Person::new();
    let words = words_of(&alice.register(&servers, "alice"));
    let handle = only(alice.json(["whoami"]))["handle"].as_str().unwrap().to_owned();
    let laptop = second(&alice, &servers, "laptop");
    let thief = stolen(&laptop);
    assert_eq!(numbers(&thief.json(["device", "revoke", "1"])), [2]);
    // The owner is told on the device that the thief took out.
    let told = alice.hush(["device", "list"]);
    assert!(told.err.contains("not one of them any more"), "{told:?}");
    assert!(told.out.contains("hush recover"), "{told:?}");

    let new = Person::new();
    let back = recover(&new, &servers, &handle, &words);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(numbers(&new.json(["device", "list"])), [3]);
    let tries = [thief.hush(["device", "revoke", "2"]), thief.hush(["device", "rename", "2", "mine"])];
    assert!(tries.iter().all(|tried| tried.code != 0), "{tries:?}");
    let list = thief.json(["device", "list"]);
    assert_eq!(numbers(&list), [3], "{list:?}");
    assert_eq!(only(thief.json(["whoami"]))["membership"], "revoked");
    assert_eq!(numbers(&new.json(["device", "list"])), [3]);
}

#[test]
fn killed_in_the_middle_of_adding_the_same_change_arrives_or_none() {
    let servers = Servers::start();
    let alice = Person::new();
    alice.register(&servers, "alice");
    let mut expected = vec![1];
    for (round, wait) in [0, 3, 8, 15, 25, 40, 60].into_iter().enumerate() {
        let new = Person::new();
        let name = format!("device of round {round}");
        let (mut waiting, request) = request(&new, &servers, &link_of(&alice), &name);
        let mut adding = alice.spawn(["device", "add", &request], Stdio::null());
        alice.is_open_in(&adding);
        std::thread::sleep(Duration::from_millis(wait));
        adding.kill().unwrap();
        adding.wait().unwrap();
        // Typed again, it is done: what was signed before is finished first, and is no second device.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let again = alice.hush(["device", "add", &request]);
            if again.code == 0 {
                break;
            }
            assert!(again.err.contains("still on its way") && Instant::now() < deadline, "{again:?}");
            alice.json(["device", "list"]);
        }
        expected.push(round as u64 + 2);
        assert_eq!(numbers(&alice.json(["device", "list"])), expected);
        let waited = waiting.wait().unwrap();
        assert!(waited.success(), "the new device sees itself");
        if expected.len() > 5 {
            let gone = expected.remove(1).to_string();
            assert_eq!(numbers(&alice.json(["device", "revoke", &gone])), expected);
        }
    }
}

#[test]
fn the_log_is_explained_in_words() {
    let servers = Servers::start();
    let (alice, bob) = (Person::new(), Person::new());
    alice.register(&servers, "alice");
    bob.register(&servers, "bob");
    only(bob.json(["contact", "add", "alice"]));
    let handle = only(alice.json(["whoami"]))["handle"].as_str().unwrap().to_owned();

    let said = bob.hush(["verify", "--log", &handle]);
    assert_eq!(said.code, 0, "{said:?}");
    for part in [
        "your contact alice",
        "every signature",
        "names exactly this list",
        "signed by the key that the address pins",
        "no older than the newest",
        "your own handle",
        "auditors",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let report = only(bob.json(["verify", "--log", "alice"]));
    assert_eq!((&report["type"], &report["who"], &report["version"]), (&"log".into(), &"contact".into(), &0.into()));
    assert_eq!(report["root"].as_str().unwrap().len(), 64);
    assert_eq!(only(alice.json(["verify", "--log", "alice"]))["who"], "myself");
    assert_eq!(only(alice.json(["verify", "--log", "bob"]))["who"], "stranger");
    let nobody = alice.hush(["verify", "--log", "carol"]);
    assert!(nobody.code == 0 && nobody.out.contains("is nobody") && nobody.out.contains("ever had"), "{nobody:?}");
    let elsewhere = alice.hush(["verify", "--log", "carol@elsewhere.example"]);
    assert!(elsewhere.code == 1 && elsewhere.err.contains("fingerprint"), "{elsewhere:?}");
}

#[test]
fn wrong_words_and_requests_say_what_to_do() {
    let servers = Servers::start();
    let alice = Person::new();
    alice.register(&servers, "alice");
    let said = |ended: Ended, code: i32, part: &str| {
        assert!(ended.code == code && ended.err.contains(part), "{part}: {ended:?}");
    };
    said(alice.hush(["device", "add", "hushwire:c#abc"]), 1, "hushwire:d#");
    said(alice.hush(["device", "add", "hushwire:d#AQAB"]), 1, "copy it again");
    said(alice.hush(["device", "revoke", "7"]), 1, "hush device list");
    said(alice.hush(["device", "revoke", "1"]), 1, "on another device");
    said(alice.hush(["recovery", "renew"]), 1, "--words-file");
    said(alice.hush_with_stdin(["recovery", "renew", "--words-file", "-"], "abandon ability"), 1, "24 recovery words");
    let new = Person::new();
    let relay = servers.relay.as_str();
    said(new.hush(["device", "request", "alice", "--relay", relay]), 1, "--keyserver");
    let args = ["device", "request", "nobody", "--relay", relay, "--keyserver", &servers.keyserver];
    said(new.hush(args), 1, "no such account");
    let (_, nowhere) = Servers::nowhere();
    let args = ["--timeout", "2", "recover", "alice", "--relay", relay, "--keyserver", &nowhere];
    said(new.hush(args), 3, "cannot be asked");
    let link = link_of(&alice);
    let in_argv = new.hush(["recover", &link, "--relay", relay, "abandon"]);
    said(in_argv, 1, "unexpected argument");
    assert!(!new.account().exists());
}
