//! Groups with real servers: made, written to, changed, joined by a link, left; and what each sees of it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use serde_json::Value;
use support::{Person, Servers, introduce, of_type, only};

/// Alice, Bob and Carol, registered. Alice knows both, and they know Alice.
fn three(servers: &Servers) -> (Person, Person, Person) {
    let (alice, bob, carol) = (Person::new(), Person::new(), Person::new());
    for (person, name) in [(&alice, "alice"), (&bob, "bob"), (&carol, "carol")] {
        person.register(servers, name);
    }
    introduce(&alice, "bob", &bob, "alice");
    introduce(&alice, "carol", &carol, "alice");
    (alice, bob, carol)
}

/// What changes of groups in these lines say, with their authors.
fn changes(lines: &[Value]) -> Vec<String> {
    let said = of_type(lines, "group_change").into_iter().flat_map(|change| {
        let author = change["author"].as_str().unwrap().to_owned();
        let words = change["what"].as_array().unwrap().iter().map(|what| what["words"].as_str().unwrap().to_owned());
        words.map(move |words| format!("{author} {words}")).collect::<Vec<_>>()
    });
    said.collect()
}

/// Receives until this holds of everything received.
fn until(person: &Person, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend(person.json(["receive"]));
        if holds(&all) {
            return all;
        }
    }
    panic!("not received: {all:#?}");
}

fn role_of(group: &Value, name: &str) -> Option<String> {
    let members = group["members"].as_array().unwrap();
    let member = members.iter().find(|member| member["contact"] == name);
    member.map(|member| member["role"].as_str().unwrap().to_owned())
}

#[test]
fn a_group_is_made_written_to_and_changed_and_everybody_sees_it() {
    let servers = Servers::start();
    let (alice, bob, carol) = three(&servers);
    let made = only(alice.json(["group", "create", "team", "bob", "carol"]));
    assert_eq!((&made["type"], &made["role"], &made["standing"]), (&"group".into(), &"owner".into(), &"member".into()));
    assert_eq!(made["members"].as_array().unwrap().len(), 3);
    for person in [&bob, &carol] {
        let received = until(person, |lines| !of_type(lines, "group_joined").is_empty());
        assert_eq!(of_type(&received, "group_joined")[0]["conversation"], "team");
    }

    let sent = only(alice.json(["send", "team", "hello all"]));
    assert_eq!((&sent["group"], &sent["of"], &sent["conversation"]), (&true.into(), &2.into(), &"team".into()));
    let received = until(&bob, |lines| !of_type(lines, "message").is_empty());
    let message = of_type(&received, "message")[0];
    assert_eq!((&message["text"], &message["contact"]), (&"hello all".into(), &"alice".into()));
    let number = sent["id"].as_i64().unwrap().to_string();
    let has_come = |_: &[Value]| alice.json(["message", "status", &number])[0]["delivered_to"] == 1;
    until(&alice, has_come);
    let shown = alice.hush(["history", "team"]);
    assert!(shown.out.contains("you: hello all  ✓✓ 1/2"), "{}", shown.out);
    let about = alice.json(["message", "show", &number]);
    assert_eq!((about[0]["delivered_to"].as_i64(), about[0]["of"].as_i64()), (Some(1), Some(2)));
    assert_eq!(of_type(&about, "heard_by")[0]["contact"], "bob");
    assert_eq!(of_type(&about, "lacked_by")[0]["contact"], "carol");
    let people = alice.hush(["message", "show", &number]);
    assert!(people.out.contains("    bob has it\n    carol lacks it"), "{}", people.out);
    let status = only(alice.json(["message", "status", &number]));
    let on = |name: &str| {
        let devices = status["devices"].as_array().unwrap().iter();
        only(devices.filter(|device| device["contact"] == name).cloned().collect())["state"].clone()
    };
    assert_eq!((on("bob"), on("carol")), ("delivered".into(), Value::Null));

    assert_eq!(changes(&alice.json(["group", "role", "team", "bob", "admin"])), ["you made bob an admin"]);
    let received = until(&bob, |lines| !changes(lines).is_empty());
    assert_eq!(changes(&received), ["alice made you an admin"]);
    assert_eq!(changes(&bob.json(["group", "rename", "team", "the team"])), ["you called the group “the team”"]);
    assert_eq!(changes(&bob.json(["group", "announce", "the team", "on"])), ["you let only admins write"]);
    assert_eq!(changes(&bob.json(["timer", "the team", "1h"])), Vec::<String>::new(), "timer shows the conversation");
    until(&carol, |lines| changes(lines).len() >= 4);
    let refused = carol.hush(["send", "the team", "may I?"]);
    assert!(
        refused.code == 1 && refused.err.contains("only read") && refused.err.contains("hush group show"),
        "{refused:?}"
    );
    let group = only(carol.json(["group", "show", "the team"]));
    assert_eq!((&group["announce"], &group["timer"], &group["role"]), (&true.into(), &3600.into(), &"member".into()));
    let people = carol.hush(["group", "show", "the team"]);
    for words in ["owners and admins", "disappear after 1h", "alice", "you", "owner", "admin"] {
        assert!(people.out.contains(words), "{words}: {}", people.out);
    }

    // by a clash of names the contact is meant, unless it is said otherwise
    only(alice.json(["contact", "rename", "carol", "the team"]));
    until(&alice, |lines| changes(lines).len() >= 3);
    assert_eq!(only(alice.json(["send", "the team", "to carol"]))["group"], false);
    assert_eq!(only(alice.json(["send", "group:the team", "to all"]))["group"], true);

    assert_eq!(changes(&alice.json(["group", "remove", "group:the team", "bob"])), ["you removed bob"]);
    until(&bob, |lines| !of_type(lines, "group_left").is_empty());
    let out = bob.hush(["send", "the team", "still here?"]);
    assert!(out.code == 1 && out.err.contains("not a member"), "{out:?}");
    assert_eq!(changes(&carol.json(["group", "leave", "the team"])), ["you left"]);
    until(&alice, |lines| changes(lines).iter().any(|said| said == "the team left"));
    let log = alice.hush(["group", "log", "group:the team"]);
    let said: Vec<&str> = log.out.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert!(said[0].starts_with("you founded the group “team” with "), "{}", said[0]);
    assert_eq!(said.len(), 7, "{}", log.out);
}

#[test]
fn people_come_by_a_link_and_those_who_need_approval_wait_for_it() {
    let servers = Servers::start();
    let (alice, bob, carol) = three(&servers);
    only(alice.json(["group", "create", "team"]));
    let link = only(alice.json(["group", "invite", "team", "--uses", "1", "--expires", "1h"]));
    let link = link["link"].as_str().unwrap().to_owned();
    assert!(link.starts_with("hushwire:g#"), "{link}");
    let wrong = bob.hush(["group", "join", "hushwire:g#"]);
    assert!(wrong.code == 1 && wrong.err.contains("damaged") && wrong.err.contains("quotes"), "{wrong:?}");

    // alice is not there, so bob asks and is told to come back
    let asked = bob.hush(["group", "join", &link, "--timeout", "4"]);
    assert!(asked.code == 0 && asked.err.contains("You asked to be let into team"), "{asked:?}");
    assert_eq!(only(bob.json(["group", "list"]))["standing"], "asked");
    until(&alice, |lines| changes(lines).iter().any(|said| said.starts_with("bob came in by the link")));
    until(&bob, |lines| !of_type(lines, "group_joined").is_empty());
    assert_eq!(role_of(&only(bob.json(["group", "show", "team"])), "alice").as_deref(), Some("owner"));

    let late = carol.hush(["group", "join", &link, "--timeout", "4"]);
    assert!(late.code == 0 && late.err.contains("closed, expired or used up"), "{late:?}");
    let told = until(&alice, |lines| !of_type(lines, "undecryptable").is_empty());
    assert!(of_type(&told, "undecryptable")[0]["reason"].as_str().unwrap().contains("a wish to come into a group"));

    let link = only(alice.json(["group", "invite", "team", "--approval"]))["link"].as_str().unwrap().to_owned();
    carol.json(["group", "join", &link, "--timeout", "4"]);
    until(&alice, |lines| changes(lines).iter().any(|said| said.starts_with("carol asked to be let in by the link")));
    assert_eq!(changes(&alice.json(["group", "refuse", "team", "carol"])), ["you did not let carol in"]);
    let refused = until(&carol, |lines| !of_type(lines, "group_not_joined").is_empty());
    assert_eq!(of_type(&refused, "group_not_joined")[0]["conversation"], "team");
    assert!(alice.hush(["group", "show", "team"]).out.contains("used up, 1 came, until"));
    let link = only(alice.json(["group", "invite", "team", "--approval"]))["link"].as_str().unwrap().to_owned();
    carol.json(["group", "join", &link, "--timeout", "4"]);
    until(&alice, |lines| changes(lines).iter().any(|said| said.starts_with("carol asked to be let in by the link")));
    let group = only(alice.json(["group", "show", "team"]));
    assert_eq!(group["requests"][0]["contact"], "carol");
    let nobody = alice.hush(["group", "admit", "team", "bob"]);
    assert!(nobody.code == 1 && nobody.err.contains("among those who ask"), "{nobody:?}");
    assert_eq!(changes(&alice.json(["group", "admit", "team", "carol"])), ["you let carol in"]);
    until(&carol, |lines| !of_type(lines, "group_joined").is_empty());
    // Whom carol knows from here alone is called in the log as everywhere else.
    until(&bob, |lines| changes(lines).iter().any(|said| said.contains("let ")));
    only(bob.json(["send", "team", "welcome"]));
    let heard = until(&carol, |lines| !of_type(lines, "message").is_empty());
    assert_eq!(of_type(&heard, "message")[0]["contact"], "~bob");
    let log = carol.hush(["group", "log", "team"]);
    assert!(log.out.contains("~bob came in by the link"), "{}", log.out);

    let open = group["links"].as_array().unwrap().iter().find(|link| link["approval"] == true).unwrap();
    let number = open["invite"].as_str().unwrap()[..8].to_owned();
    assert_eq!(changes(&alice.json(["group", "close", "team", &number])), [format!("you closed the link {number}")]);
    assert_eq!(changes(&alice.json(["group", "ban", "team", "bob"])), ["you banned bob"]);
    let banned = only(alice.json(["group", "show", "team"]));
    assert_eq!(banned["banned"][0]["contact"], "bob");
    let refused = alice.hush(["group", "add", "team", "bob"]);
    assert!(refused.code == 1 && refused.err.contains("banned"), "{refused:?}");
    assert_eq!(changes(&alice.json(["group", "unban", "team", "bob"])), ["you lifted the ban of bob"]);
    assert_eq!(changes(&alice.json(["group", "add", "team", "bob"])), ["you added bob"]);
    assert_eq!(alice.hush(["group", "leave", "team"]).code, 1, "somebody has to own it");
}

#[test]
fn a_chat_in_a_group_shows_who_writes_and_what_is_changed() {
    let servers = Servers::start();
    let (alice, bob, _carol) = three(&servers);
    only(alice.json(["group", "create", "team", "bob"]));
    until(&bob, |lines| !of_type(lines, "group_joined").is_empty());
    let mut chat = bob.spawn(["chat", "team"], Stdio::piped());
    bob.is_open_in(&chat);
    let read = only(alice.json(["send", "team", "--wait", "read", "--timeout", "30", "who is there?"]));
    assert_eq!((&read["read_by"], &read["of"]), (&1.into(), &1.into()));
    chat.stdin.as_mut().unwrap().write_all(b"I am\n").unwrap();
    until(&alice, |lines| of_type(lines, "message").iter().any(|message| message["text"] == "I am"));
    alice.json(["group", "add", "team", "carol"]);
    let edited = read["id"].as_i64().unwrap().to_string();
    alice.json(["message", "edit", &edited, "who is where?"]);
    let mut lines = BufReader::new(chat.stdout.take().unwrap()).lines().map(Result::unwrap);
    let shown: Vec<String> =
        lines.by_ref().take_while(|line| !line.contains("is now: who is where? (edited)")).collect();
    let shown = shown.join("\n");
    for words in ["alice: who is there?", "you: I am", "-- team: alice added "] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    drop(chat.stdin.take());
    assert_eq!(chat.wait().unwrap().code(), Some(0));
}

#[test]
fn of_groups_of_one_name_the_one_that_we_are_in_is_meant_and_two_of_them_are_told_apart_by_number() {
    let servers = Servers::start();
    let (alice, _bob, _carol) = three(&servers);
    only(alice.json(["group", "create", "team", "bob"]));
    let alone = alice.hush(["group", "create", "team"]);
    for words in ["this one is group:", "Nobody else is in it", "hush group add group:"] {
        assert!(alone.code == 0 && alone.err.contains(words), "{words}: {alone:?}");
    }
    let number = alone.err.split("this one is ").nth(1).unwrap().split('.').next().unwrap();
    let several = alice.hush(["group", "show", "team"]);
    assert!(several.code == 1 && several.err.contains(number), "{several:?}");
    assert_eq!(alice.hush(["group", "leave", number]).code, 0);
    assert_eq!(only(alice.json(["group", "show", "team"]))["members"].as_array().unwrap().len(), 2);
    let last = alice.hush(["group", "leave", "team"]);
    assert!(last.code == 1 && last.err.contains("hush group role NAME WHO owner"), "{last:?}");
}
