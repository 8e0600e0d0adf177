//! What people do every day beside writing: answer, edit, take back, react, pin, forward, search, and what they say of a
//! conversation as a whole. With real servers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use serde_json::Value;
use support::{Person, Servers, introduce, of_type, only};

/// Alice and Bob, who know each other.
fn friends(servers: &Servers) -> (Person, Person) {
    let (alice, bob) = (Person::new(), Person::new());
    alice.register(servers, "alice");
    bob.register(servers, "bob");
    introduce(&alice, "bob", &bob, "alice");
    (alice, bob)
}

fn number(message: &Value) -> String {
    message["id"].as_i64().unwrap().to_string()
}

/// The one line of that type among those that came.
#[track_caller]
fn one(lines: &[Value], kind: &str) -> Value {
    only(of_type(lines, kind).into_iter().cloned().collect())
}

#[test]
fn a_message_is_answered_edited_felt_about_pinned_forwarded_and_taken_back() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    let sent = only(alice.json(["send", "bob", "dinner at eight?"]));
    let (ours, got) = (number(&sent), one(&bob.json(["receive"]), "message"));
    let theirs = number(&got);
    let answer = only(bob.json(["send", "alice", "--reply-to", &theirs, "--mention", "alice", "at nine"]));
    assert_eq!((&answer["reply_to"], &answer["mentions"][0]), (&got["id"], &"alice".into()));
    let received = one(&alice.json(["receive"]), "message");
    assert_eq!((&received["reply_to"], &received["mentions"][0]), (&sent["id"], &"you".into()));
    let shown = alice.hush(["history", "bob"]);
    for words in ["bob: > you #", "dinner at eight?", "(names you)", "at nine"] {
        assert!(shown.out.contains(words), "{words}: {}", shown.out);
    }

    assert_eq!(only(alice.json(["message", "edit", &ours, "dinner", "at", "nine?"]))["edits"], 1);
    assert_eq!(only(alice.json(["message", "pin", &ours]))["pinned"], true);
    let reacted = only(alice.json(["message", "react", &number(&received), "👍"]));
    assert_eq!((&reacted["reactions"][0]["emoji"], &reacted["reactions"][0]["count"]), (&"👍".into(), &1.into()));
    let changed = bob.json(["receive"]);
    let now: Vec<&Value> = of_type(&changed, "message_changed");
    assert!(now.iter().any(|message| message["text"] == "dinner at nine?"), "{changed:#?}");
    assert!(now.iter().any(|message| message["reactions"][0]["emoji"] == "👍"), "{changed:#?}");
    let felt = now.iter().find(|message| message["change"] == "reacted").unwrap();
    assert_eq!((&felt["by"], &felt["emoji"]), (&"alice".into(), &"👍".into()));
    let felt = one(&bob.json(["message", "show", &felt["id"].to_string()]), "reaction");
    assert_eq!((&felt["by"], &felt["emoji"]), (&"alice".into(), &"👍".into()));
    let people = bob.hush(["message", "show", &felt["id"].to_string()]);
    assert!(people.out.contains("what people feel about it:\n    alice: 👍"), "{}", people.out);
    let about = bob.json(["message", "show", &theirs]);
    let texts: Vec<&str> = of_type(&about, "edit").iter().map(|edit| edit["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["dinner at eight?", "dinner at nine?"]);
    let pinned = only(bob.json(["message", "pinned", "alice"]));
    assert_eq!((&pinned["text"], &pinned["pinned_by"]), (&"dinner at nine?".into(), &"alice".into()));
    let people = bob.hush(["message", "show", &theirs]);
    assert!(people.out.contains("(edited, pinned by alice)") && people.out.contains("what it said:"), "{}", people.out);

    let forwarded = only(alice.json(["message", "forward", &ours, "bob"]));
    assert_eq!((&forwarded["forwarded"], &forwarded["text"]), (&true.into(), &"dinner at nine?".into()));
    assert_eq!(one(&bob.json(["receive"]), "message")["forwarded"], true);

    let not_mine = bob.hush(["message", "delete", &theirs]);
    assert!(not_mine.code == 1 && not_mine.err.contains("--here"), "{not_mine:?}");
    let not_mine = bob.hush(["message", "edit", &theirs, "mine now"]);
    assert!(not_mine.code == 1 && not_mine.err.contains("not yours"), "{not_mine:?}");
    let nothing = bob.hush(["message", "edit", "999", "what?"]);
    assert!(nothing.code == 1 && nothing.err.contains("no message #999"), "{nothing:?}");
    assert_eq!(only(alice.json(["message", "delete", &ours]))["deleted"], true);
    let gone = one(&bob.json(["receive"]), "message_changed");
    assert_eq!((&gone["deleted"], &gone["text"]), (&true.into(), &"".into()));
    assert!(bob.hush(["history", "alice"]).out.contains("alice: (taken back)"));
    let here = bob.hush(["message", "delete", &theirs, "--here"]);
    assert!(here.code == 0 && here.err.contains("gone on this device"), "{here:?}");
    assert!(!bob.hush(["history", "alice"]).out.contains("(taken back)"));
}

#[test]
fn a_conversation_is_listed_muted_put_away_and_has_a_draft_and_a_timer() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    only(alice.json(["send", "bob", "one"]));
    only(alice.json(["send", "bob", "two"]));
    bob.json(["receive"]);
    let listed = only(bob.json(["list"]));
    assert_eq!(
        (&listed["conversation"], &listed["unread"], &listed["group"]),
        (&"alice".into(), &2.into(), &false.into())
    );
    assert_eq!((&listed["last"]["text"], &listed["last"]["contact"]), (&"two".into(), &"alice".into()));
    let list = bob.hush(["list"]).out;
    assert!(list.contains("2 unread") && list.contains("\n    alice: two"), "{list}");
    let last = bob.hush(["--json", "history", "alice", "--limit", "1"]);
    assert_eq!(only(last.objects())["text"], "two");
    let older = "1 older message is unread, so nothing was marked as read: `hush history alice --unread` begins there.";
    assert!(last.err.contains(older), "{}", last.err);
    assert_eq!(only(bob.json(["list"]))["unread"], 2, "the first of them was not shown");
    let unread = bob.json(["history", "alice", "--unread"]);
    assert_eq!(unread.len(), 2);
    assert_eq!(bob.json(["history", "alice", "--unread"]), Vec::<Value>::new(), "now they are read");

    assert!(only(bob.json(["mute", "alice"]))["muted_until_ms"].is_u64());
    assert!(bob.hush(["list"]).out.contains("muted"));
    assert!(only(bob.json(["mute", "alice", "off"]))["muted_until_ms"].is_null());
    assert!(bob.hush(["mute", "alice", "8h"]).out.contains("muted until 20"));
    assert_eq!(only(bob.json(["archive", "alice"]))["archived"], true);
    let away = bob.hush(["list"]);
    assert!(away.out.is_empty() && away.err.contains("hush list --all"), "{away:?}");
    assert_eq!(bob.json(["list", "--all"]).len(), 1);
    assert_eq!(only(bob.json(["archive", "alice", "--undo"]))["archived"], false);
    assert_eq!(only(bob.json(["draft", "alice", "Dear Al\u{1b}ice,\nI"]))["draft"], "Dear Al\u{1b}ice,\nI");
    assert_eq!(bob.hush(["draft", "alice"]).out, "Dear Alice,\nI\n");
    assert!(bob.hush(["list"]).out.contains("draft: Dear Alice, I"));
    assert!(only(bob.json(["draft", "alice", ""]))["draft"].is_null());
    assert_eq!(only(bob.json(["receipts", "alice", "off"]))["receipts"], false);
    assert!(bob.hush(["typing", "alice", "off"]).err.contains("does not see when you type"));
    assert!(bob.hush(["presence", "alice", "on"]).err.contains("may see whether you are there"));

    assert_eq!(only(bob.json(["timer", "alice", "1s"]))["timer"], 1);
    let timer = one(&alice.json(["receive"]), "timer");
    assert_eq!((&timer["seconds"], &timer["by"]), (&1.into(), &"bob".into()));
    let brief = only(alice.json(["send", "bob", "--wait", "sent", "in a moment I am gone"]));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    alice.json(["receive"]);
    assert!(!alice.hush(["history", "bob"]).out.contains("in a moment"), "{brief}");
    let wrong = alice.hush(["timer", "bob", "0.5s"]);
    assert!(wrong.code == 1 && wrong.err.contains("whole seconds"), "{wrong:?}");
}

#[test]
fn what_was_written_is_found_by_its_words_and_where_a_message_is_is_said_hop_by_hop() {
    let (alice, bob, waiting);
    {
        let servers = Servers::start();
        (alice, bob) = friends(&servers);
        only(alice.json(["send", "bob", "Übermorgen kommt der Klempner"]));
        only(alice.json(["send", "bob", "das Rohr tropft"]));
        assert_eq!(only(alice.json(["search", "klemp"]))["text"], "Übermorgen kommt der Klempner");
        assert_eq!(alice.json(["search", "--in", "bob", "--limit", "1", "d"]).len(), 1);
        let newest = alice.hush(["--json", "search", "--limit", "1", "d"]);
        let (hit, id) = (only(newest.objects()), |hit: &Value| number(hit));
        let around = format!("hush history bob --around {}", id(&hit));
        assert!(newest.err.contains(&around), "{}", newest.err);
        assert!(newest.err.contains(&format!("--before {}", id(&hit))), "{}", newest.err);
        let older = only(alice.json(["search", "d", "--before", &id(&hit)]));
        assert_eq!(older["text"], "Übermorgen kommt der Klempner");
        let context = alice.json(["history", "bob", "--around", &id(&hit), "--limit", "2"]);
        let texts: Vec<&str> = context.iter().map(|message| message["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["das Rohr tropft"]);
        let context = alice.json(["history", "bob", "--around", &id(&hit), "--limit", "3"]);
        assert_eq!((context.len(), &context[1]["id"]), (2, &hit["id"]), "{context:?}");
        let elsewhere = alice.hush(["history", "bob", "--around", "999"]);
        assert!(elsewhere.code == 1 && elsewhere.err.contains("#999 is not in this conversation"), "{elsewhere:?}");
        let none = alice.hush(["search", "nothing", "like", "it"]);
        assert!(none.code == 0 && none.out.is_empty() && none.err.contains("Only the last"), "{none:?}");
        assert!(alice.hush(["search", "rohr"]).out.contains("you to bob: das Rohr tropft"));
        bob.json(["receive"]);
        alice.json(["receive"]);
        let arrived = number(&only(alice.json(["search", "rohr"])));
        assert_eq!(only(alice.json(["message", "status", &arrived]))["state"], "delivered");
        let hops = alice.hush(["message", "status", &arrived, "--explain"]);
        assert!(hops.out.contains("ok   a device of theirs has it"), "{}", hops.out);
        waiting = servers.relay.clone();
    }
    let queued = only(alice.json(["send", "bob", "nobody is there", "--timeout", "1"]));
    let status = only(alice.json(["message", "status", &number(&queued), "--explain"]));
    let place = waiting.rsplit_once('@').unwrap().1;
    assert!(status["envelopes"][0]["relay"].as_str().unwrap().ends_with(place), "{status}");
    let hops = alice.hush(["message", "status", &number(&queued), "--explain"]);
    for words in ["is queued", "ok   encrypted", "...  on its way to device 1 of bob at the relay", place] {
        assert!(hops.out.contains(words), "{words}: {}", hops.out);
    }
}

#[test]
fn what_is_typed_wrong_is_answered_with_what_to_type() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    for (typed, said) in [
        (&["send", "bbo", "hi"][..], "did you mean bob?"),
        (&["send", "bob", ""], "write something"),
        (&["send", "bob", "--reply-to", "99", "hi"], "after #"),
        (&["timer", "bob", "9999d"], "366 days"),
        (&["timer", "bob", "0"], "30s, 1h or 7d"),
        (&["contact", "add", "hushwire:c#abc"], "copy the link whole"),
        (&["typing", "bob", "perhaps"], "on or off"),
    ] {
        let ended = support::ended(alice.command().args(typed).output().unwrap());
        assert!(ended.code == 1 && ended.err.contains(said), "{typed:?}: {ended:?}");
    }
    let sent = only(alice.json(["send", "bob", "are you there?"]));
    let waits = alice.hush(["send", "bob", "--wait", "read", "--timeout", "0.5", "and now?"]);
    let status = format!("hush message status {}", sent["id"].as_i64().unwrap() + 1);
    assert!(waits.code == 7 && waits.err.contains(&status), "{waits:?}");
    assert_eq!(alice.hush(["contact", "block", "bob"]).code, 0);
    assert!(alice.hush(["send", "bob", "hi"]).err.contains("hush contact unblock"));
    assert_eq!(alice.hush(["contact", "unblock", "bob"]).code, 0);
    // A stranger's name is a number until somebody gives a better one.
    let carol = Person::new();
    carol.register(&servers, "carol");
    only(carol.json(["contact", "add", "bob"]));
    only(carol.json(["send", "bob", "do you remember me?"]));
    let request = one(&bob.json(["receive"]), "contact_request");
    let name = request["contact"].as_str().unwrap().to_owned();
    let claimed = bob.hush(["send", "carol", "who are you?"]);
    let (says, rename) = (format!("{name} says to be carol@"), format!("hush contact rename {name} carol"));
    assert!(claimed.code == 1 && claimed.err.contains(&says) && claimed.err.contains(&rename), "{claimed:?}");
    let accepted = bob.hush(["contact", "accept", &name]);
    assert!(accepted.err.contains(&format!("hush contact rename {name}")), "{accepted:?}");
}

#[test]
fn whether_others_see_who_types_and_who_is_there_is_chosen_and_shown() {
    let servers = Servers::start();
    let (alice, _bob) = friends(&servers);
    only(alice.json(["group", "create", "team", "bob"]));
    let shares = |args: [&str; 2]| {
        let shown = only(alice.json(args));
        (shown["typing"].as_bool().unwrap(), shown["presence"].as_bool().unwrap())
    };
    assert_eq!((shares(["typing", "bob"]), shares(["typing", "team"])), ((true, false), (false, false)));
    for args in [["typing", "bob", "off"], ["typing", "team", "on"], ["presence", "bob", "on"]] {
        assert_eq!(alice.hush(args).code, 0);
    }
    assert_eq!((shares(["presence", "bob"]), shares(["typing", "team"])), ((false, true), (true, false)));
    let group = alice.hush(["presence", "team", "on"]);
    assert!(group.code == 1 && group.err.contains("no contact `team`"), "{group:?}");
}

#[test]
fn a_chat_answers_edits_reacts_pins_and_takes_back() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    only(alice.json(["send", "bob", "dinner?"]));
    assert_eq!(number(&one(&bob.json(["receive"]), "message")), "1");
    let lines = "hello\n/edit hello, Alice\n/reply at nine\n/react \u{1F44D}\n/pin #2\n/delete\n/dance\n/edit #99 x\n\
        /delete #1\n//etc is a folder\n/who\n/help\n";
    let chat = bob.hush_with_stdin(["chat", "alice", "--json"], lines);
    assert_eq!(chat.code, 0, "{chat:?}");
    for words in ["no such command", "no message #99", "/delete #1 here", "/react [#12]"] {
        assert!(chat.err.contains(words), "{words}: {}", chat.err);
    }
    let objects = bob.json(["history", "alice"]);
    let said: Vec<(&str, bool, bool)> = objects
        .iter()
        .map(|one| (one["text"].as_str().unwrap(), one["deleted"].as_bool().unwrap(), one["pinned"].as_bool().unwrap()))
        .collect();
    assert!(said.contains(&("/etc is a folder", false, false)), "{said:?}");
    assert!(said.contains(&("", true, false)), "the answer was taken back: {said:?}");
    assert!(said.contains(&("hello, Alice", false, true)), "{said:?}");
    assert_eq!(objects[0]["reactions"][0]["emoji"], "👍", "{objects:#?}");
}

#[test]
fn a_conversation_is_deleted_on_this_device_with_a_yes_only() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    only(alice.json(["send", "bob", "to be forgotten"]));
    bob.json(["receive"]);
    let unasked = bob.hush(["delete", "alice"]);
    assert!(unasked.code == 1 && unasked.err.contains("--yes"), "{unasked:?}");
    assert_eq!(bob.json(["history", "alice"]).len(), 1);
    let deleted = only(bob.json(["delete", "alice", "--yes"]));
    assert_eq!((&deleted["type"], &deleted["conversation"]), (&"conversation_deleted".into(), &"alice".into()));
    assert_eq!(bob.json(["history", "alice"]), Vec::<Value>::new());
    assert_eq!(bob.json(["list"]), Vec::<Value>::new());
    assert_eq!(only(bob.json(["contact", "list"]))["contact"], "alice", "the contact stays");
    assert_eq!(alice.json(["history", "bob"]).len(), 1);
    only(alice.json(["send", "bob", "and again"]));
    bob.json(["receive"]);
    assert_eq!(only(bob.json(["list"]))["unread"], 1);
}

#[test]
fn who_is_named_with_an_at_sign_sees_it_in_the_list_also_when_muted_and_put_away() {
    let servers = Servers::start();
    let (alice, bob) = friends(&servers);
    only(alice.json(["mute", "bob"]));
    only(alice.json(["archive", "bob"]));
    let sent = only(bob.json(["send", "alice", "@Alice, are you there? Write to me@example.org"]));
    assert_eq!(sent["mentions"], Value::from(vec!["alice"]));
    alice.json(["receive"]);
    let listed = only(alice.json(["list"]));
    assert_eq!((&listed["mentions"], &listed["archived"]), (&1.into(), &false.into()));
    assert!(alice.hush(["list"]).out.contains("names you"));
}
