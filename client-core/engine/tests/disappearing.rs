//! Messages that disappear: when, and that nothing of them stays in any file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{Answer, Command, ConversationId, Event, Input, LocalId, NewText};
use world::{Person, World};

const MINUTE: u64 = 60 * 1000;

fn done(world: &mut World, person: &mut Person, command: Command) {
    assert_eq!(world.command(person, command), Answer::Done);
}

fn say(world: &mut World, person: &mut Person, to: ConversationId, text: NewText) -> LocalId {
    match world.command(person, Command::Send { to, text }) {
        Answer::Queued(message) => message.id,
        other => panic!("{other:?}"),
    }
}

/// Two people whose messages disappear after a minute.
fn with_timer(seed: u64) -> (World, Person, Person) {
    let mut world = World::seeded(seed);
    let (mut alice, mut bob) = world.friends();
    let conversation = alice.contact("bob").conversation;
    done(&mut world, &mut alice, Command::SetTimer { conversation, seconds: Some(60) });
    world.settle(&mut [&mut alice, &mut bob]);
    (world, alice, bob)
}

fn read(world: &mut World, person: &mut Person, of: &str) {
    let command = person.mark_all_read(person.contact(of).id).unwrap();
    done(world, person, command);
}

#[test]
fn a_timer_holds_for_both_and_says_who_wanted_it() {
    let (mut world, mut alice, mut bob) = with_timer(1);
    let (alices, bobs) = (bob.contact("alice"), alice.contact("bob"));
    let mine = Event::TimerChanged { conversation: bobs.conversation, by: None, seconds: Some(60) };
    let theirs = Event::TimerChanged { conversation: alices.conversation, by: Some(alices.id), seconds: Some(60) };
    assert!(alice.events.contains(&mine) && bob.events.contains(&theirs));
    assert_eq!(bob.engine().conversation(alices.conversation).unwrap().unwrap().timer_s, Some(60));
    // Both at once: one of the two holds on both sides.
    let conversation = bobs.conversation;
    done(&mut world, &mut alice, Command::SetTimer { conversation, seconds: Some(30) });
    done(&mut world, &mut bob, Command::SetTimer { conversation: alices.conversation, seconds: None });
    world.settle(&mut [&mut alice, &mut bob]);
    let timers = [(&alice, conversation), (&bob, alices.conversation)]
        .map(|(person, conversation)| person.engine().conversation(conversation).unwrap().unwrap().timer_s);
    assert_eq!(timers[0], timers[1]);
}

#[test]
fn ours_count_from_when_they_are_sent_and_theirs_from_when_they_are_read() {
    let (mut world, mut alice, mut bob) = with_timer(2);
    world.send(&mut alice, "bob", "for a minute");
    world.settle(&mut [&mut alice, &mut bob]);
    world.wait(MINUTE);
    world.settle(&mut [&mut alice, &mut bob]);
    assert!(alice.history().is_empty());
    assert_eq!(bob.history(), ["for a minute"], "not read yet");
    read(&mut world, &mut bob, "alice");
    world.wait(MINUTE - 1);
    world.input(&mut bob, Input::Tick);
    assert_eq!(bob.history(), ["for a minute"]);
    assert!(bob.wake.is_some_and(|wake| wake <= world.now.plus(1)));
    world.wait(1);
    world.input(&mut bob, Input::Tick);
    assert!(bob.history().is_empty());
    assert!(bob.events.iter().any(|event| matches!(event, Event::Disappeared { .. })));
}

#[test]
fn a_clock_that_went_back_keeps_nothing_longer_than_its_time() {
    let (mut world, mut alice, mut bob) = with_timer(3);
    let right = world.now;
    world.wait(1000 * MINUTE);
    world.send(&mut alice, "bob", "sent in the future");
    world.settle(&mut [&mut alice, &mut bob]);
    world.now = right;
    for restarted in [false, true] {
        if restarted {
            alice.crash();
        }
        world.settle(&mut [&mut alice]);
    }
    assert_eq!(alice.history().len(), 1);
    world.wait(MINUTE);
    world.settle(&mut [&mut alice]);
    assert!(alice.history().is_empty());
}

#[test]
fn more_than_go_at_once_go_one_batch_after_the_other() {
    let (mut world, mut alice, mut bob) = with_timer(4);
    for number in 0..300 {
        world.send(&mut alice, "bob", &format!("m{number}"));
    }
    world.settle(&mut [&mut alice, &mut bob]);
    world.wait(MINUTE);
    world.settle(&mut [&mut alice]);
    assert!(alice.history().is_empty());
    let gone = alice.events.iter().filter(|event| matches!(event, Event::Disappeared { .. })).count();
    assert_eq!(gone, 300);
}

#[test]
fn what_disappeared_while_the_program_did_not_run_is_gone_before_anything_is_shown() {
    let (mut world, mut alice, mut bob) = with_timer(13);
    for number in 0..300 {
        world.send(&mut alice, "bob", &format!("zebra {number}"));
    }
    world.settle(&mut [&mut alice, &mut bob]);
    world.wait(MINUTE);
    alice.crash();
    assert_eq!(alice.history().len(), 300);
    alice.engine.as_mut().unwrap().forget_expired(world.now, &mut world.rng).unwrap();
    assert!(alice.history().is_empty() && !traces(&alice, b"zebra"));
}

#[test]
fn what_disappeared_before_it_could_leave_is_not_sent() {
    let (mut world, mut alice, mut bob) = with_timer(5);
    world.send(&mut alice, "bob", "before");
    world.settle(&mut [&mut alice, &mut bob]);
    world.relay_down = true;
    world.send(&mut alice, "bob", "too late");
    world.settle(&mut [&mut alice]);
    world.wait(2 * MINUTE);
    world.settle(&mut [&mut alice]);
    world.relay_down = false;
    world.wait(2 * MINUTE);
    world.send(&mut alice, "bob", "after");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["before", "after"]);
}

#[test]
fn what_is_gone_does_not_come_back_by_a_late_edit() {
    let (mut world, mut alice, mut bob) = with_timer(6);
    let mine = world.send(&mut alice, "bob", "soon gone").id;
    world.settle(&mut [&mut alice, &mut bob]);
    read(&mut world, &mut bob, "alice");
    done(&mut world, &mut alice, Command::Edit { message: mine, text: "not so soon".into() });
    world.settle(&mut [&mut alice]);
    world.wait(MINUTE);
    // The clock comes to it before the edit comes.
    world.input(&mut bob, Input::Tick);
    world.settle(&mut [&mut alice, &mut bob]);
    assert!(bob.history().is_empty());
    assert!(!traces(&bob, b"not so soon"));
}

#[test]
fn an_edit_of_a_message_that_never_comes_waits_for_it_a_day_and_is_gone() {
    let (mut world, mut alice, mut bob) = with_timer(9);
    let mine = world.send(&mut alice, "bob", "withheld").id;
    world.settle(&mut [&mut alice]);
    world.mailboxes.get_mut(&bob.mailbox()).unwrap().envelopes.clear();
    done(&mut world, &mut alice, Command::Edit { message: mine, text: "said otherwise".into() });
    world.settle(&mut [&mut alice]);
    world.settle(&mut [&mut bob]);
    assert!(traces(&bob, b"said otherwise"), "it waits");
    world.wait(2 * 24 * 60 * MINUTE);
    world.settle(&mut [&mut bob]);
    assert!(!traces(&bob, b"said otherwise"));
}

#[test]
fn what_is_deleted_here_is_gone_here_and_nowhere_else() {
    let mut world = World::seeded(7);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "an embarrassment");
    world.settle(&mut [&mut alice, &mut bob]);
    let theirs = bob.messages()[0].id;
    assert!(traces(&bob, b"an embarrassment"));
    done(&mut world, &mut bob, Command::DeleteHere(theirs));
    assert!(bob.history().is_empty() && !traces(&bob, b"an embarrassment"));
    assert_eq!(alice.history(), ["an embarrassment"]);
    assert_eq!(bob.contact("alice").unread, 0);
}

/// Whether bytes stand anywhere in the files of this person's database, decrypted page by page: also in pages that are
/// free, in what is unused of a page, and in the log. What a disk keeps of blocks that a file system gave up is beyond
/// this.
fn traces(person: &Person, needle: &[u8]) -> bool {
    holds(&person.pages().to_ascii_lowercase(), needle)
}

fn holds(pages: &[u8], needle: &[u8]) -> bool {
    pages.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn after_its_time_no_file_has_a_trace_of_a_message_and_before_it_has() {
    let (mut world, mut alice, mut bob) = with_timer(8);
    let markers: Vec<String> = (0..120).map(|number| format!("zebra{number}marker")).collect();
    // Beside what stays, of many lengths, so that pages are split and rows move.
    let mut stays = Vec::new();
    for (number, marker) in markers.iter().enumerate() {
        let text = format!("{marker} {}", "filling ".repeat(number * number % 977));
        let mine = world.send(&mut alice, "bob", &text).id;
        let conversation = alice.contact("bob").conversation;
        done(&mut world, &mut alice, Command::SetTimer { conversation, seconds: None });
        stays.push(world.send(&mut alice, "bob", &format!("stays {number}")).id);
        done(&mut world, &mut alice, Command::SetTimer { conversation, seconds: Some(60) });
        if number % 3 == 0 {
            let text = format!("edited {marker} {}", "enlarged ".repeat(number * 7 % 501));
            done(&mut world, &mut alice, Command::Edit { message: mine, text });
        }
        if number % 5 == 0 {
            done(&mut world, &mut alice, Command::React { message: mine, emoji: Some(format!("zebra{number}felt")) });
        }
        if number % 30 == 0 {
            done(&mut world, &mut alice, Command::Pin { message: mine, pinned: true });
        }
        if number >= 80 && number % 4 == 0 {
            let text = format!("answering {marker}");
            say(&mut world, &mut alice, conversation, NewText { reply_to: Some(mine), ..text.into() });
            world.command(&mut alice, Command::Forward { message: mine, to: conversation });
        }
        if number == 99 {
            // What stays answers something that goes.
            done(&mut world, &mut alice, Command::SetTimer { conversation, seconds: None });
            let answer = NewText { reply_to: Some(mine), ..NewText::from("stays and answers") };
            stays.push(say(&mut world, &mut alice, conversation, answer));
            done(&mut world, &mut alice, Command::SetTimer { conversation, seconds: Some(60) });
        }
    }
    let conversation = alice.contact("bob").conversation;
    done(&mut world, &mut alice, Command::SetDraft { conversation, draft: Some("zebra jotted".into()) });
    world.settle(&mut [&mut alice, &mut bob]);
    assert!(traces(&alice, b"zebra jotted"));
    say(&mut world, &mut alice, conversation, "zebra said instead".into());
    world.settle(&mut [&mut alice, &mut bob]);
    for person in [&alice, &bob] {
        let pages = person.pages().to_ascii_lowercase();
        let found = |marker: &String| holds(&pages, marker.as_bytes());
        assert!(markers.iter().step_by(10).all(found), "the scan finds what is there");
        assert!(holds(&pages, b"zebra5felt") && holds(&pages, b"edited zebra3") && holds(&pages, b"answering zebra84"));
        assert_eq!(person.engine().pinned(person.only_contact().conversation).unwrap().len(), 4);
        assert_eq!(person.engine().search("zebra7", None, None, 100).unwrap().len(), 11);
    }
    read(&mut world, &mut bob, "alice");
    world.wait(MINUTE);
    world.settle(&mut [&mut alice, &mut bob]);
    for person in [&alice, &bob] {
        assert_eq!(person.history().len(), stays.len());
        let pages = person.pages().to_ascii_lowercase();
        // The index has of a word only what it does not have in common with the one before.
        for trace in ["zebra", "marker", "felt", "edited", "enlarged", "filling", "answering", "jotted"] {
            assert!(!holds(&pages, trace.as_bytes()), "{trace} of {}", person.name);
        }
        assert!(holds(&pages, b"stays 100"));
        assert!(person.engine().pinned(person.only_contact().conversation).unwrap().is_empty());
        assert!(person.engine().search("zebra7", None, None, 100).unwrap().is_empty());
    }
}

#[test]
fn of_a_draft_that_was_dropped_no_file_has_a_trace() {
    let mut world = World::seeded(14);
    let (mut alice, _bob) = world.friends();
    let conversation = alice.contact("bob").conversation;
    for _ in 0..2 {
        done(&mut world, &mut alice, Command::SetDraft { conversation, draft: Some("dear zebra".into()) });
        assert!(traces(&alice, b"dear zebra"));
        done(&mut world, &mut alice, Command::SetDraft { conversation, draft: None });
        assert!(!traces(&alice, b"zebra"));
    }
}

#[test]
fn what_is_taken_back_leaves_no_trace_on_either_side() {
    let mut world = World::seeded(9);
    let (mut alice, mut bob) = world.friends();
    let mine: Vec<LocalId> =
        (0..40).map(|number| world.send(&mut alice, "bob", &format!("zebra {}", "z".repeat(number * 90))).id).collect();
    world.settle(&mut [&mut alice, &mut bob]);
    for message in mine {
        done(&mut world, &mut alice, Command::Edit { message, text: "zebra again".into() });
        done(&mut world, &mut alice, Command::TakeBack(message));
    }
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.history(), [""; 40]);
    for person in [&alice, &bob] {
        assert!(!traces(person, b"zebra"), "{}", person.name);
    }
}

#[test]
fn of_a_deleted_conversation_no_file_has_a_trace_and_it_is_listed_again_once_something_is_said() {
    let mut world = World::seeded(10);
    let (mut alice, mut bob) = world.friends();
    for number in 0..60 {
        let id = world.send(&mut alice, "bob", &format!("zebra {}", "z".repeat(number * 90))).id;
        done(&mut world, &mut alice, Command::React { message: id, emoji: Some("felt".into()) });
    }
    world.settle(&mut [&mut alice, &mut bob]);
    world.relay_down = true;
    world.send(&mut bob, "alice", "zebra that has not left");
    let conversation = bob.contact("alice").conversation;
    done(&mut world, &mut bob, Command::SetDraft { conversation, draft: Some("dear zebra".into()) });
    world.settle(&mut [&mut bob]);
    assert!(traces(&bob, b"zebra"));
    done(&mut world, &mut bob, Command::DeleteConversation(conversation));
    assert!(bob.events.contains(&Event::ConversationDeleted(conversation)));
    assert!(!traces(&bob, b"zebra") && !traces(&bob, b"felt"));
    assert!(bob.history().is_empty() && bob.engine().conversations().unwrap().is_empty());
    assert_eq!(bob.engine().waiting().unwrap().len(), 0, "it is not sent");
    world.relay_down = false;
    world.wait(MINUTE);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(alice.history().len(), 60, "the others keep what they have");
    // What is said about what is gone brings nothing back.
    let first = alice.messages()[0].id;
    done(&mut world, &mut alice, Command::Edit { message: first, text: "zebra again".into() });
    world.settle(&mut [&mut alice, &mut bob]);
    assert!(bob.history().is_empty() && !traces(&bob, b"zebra"));
    world.send(&mut alice, "bob", "hello again");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.history(), ["hello again"]);
    assert_eq!(bob.engine().conversations().unwrap().len(), 1);
}

/// The only group that this person has.
fn the_group(person: &Person) -> ConversationId {
    let all = person.engine().conversations().unwrap();
    all.into_iter().find(|conversation| conversation.name == "friends").unwrap().id
}

fn settle(world: &mut World, people: &mut [Person]) {
    for _ in 0..4 {
        world.settle(&mut people.iter_mut().collect::<Vec<_>>());
        world.wait(1_000);
    }
}

#[test]
fn after_its_time_no_file_of_a_group_has_a_trace_of_a_message_whoever_has_it_and_whoever_lacks_it() {
    let mut world = World::seeded(11);
    let mut people: Vec<Person> = ["alice", "bob", "carol"].map(|name| world.person(name)).into();
    let (alice, others) = people.split_first_mut().unwrap();
    let members = others.iter_mut().map(|other| {
        world.add(other, "alice");
        world.add(alice, other.name).id
    });
    let members = members.collect();
    world.command(alice, Command::FoundGroup { name: "friends".into(), members });
    settle(&mut world, &mut people);
    let group = the_group(&people[0]);
    done(&mut world, &mut people[0], Command::SetTimer { conversation: group, seconds: Some(60) });
    settle(&mut world, &mut people);
    for number in 0..40 {
        let text = format!("zebra {number} {}", "z".repeat(number * 90));
        let message = say(&mut world, &mut people[0], group, text.into());
        if number % 3 == 0 {
            let text = format!("zebra edited {number}");
            done(&mut world, &mut people[0], Command::Edit { message, text });
        }
        if number % 4 == 0 {
            done(&mut world, &mut people[0], Command::React { message, emoji: Some(format!("felt {number}")) });
            done(&mut world, &mut people[0], Command::Pin { message, pinned: number % 12 == 0 });
        }
        if number % 7 == 0 {
            let answer = NewText { reply_to: Some(message), ..NewText::from(format!("zebra answered {number}")) };
            say(&mut world, &mut people[0], group, answer);
            world.command(&mut people[0], Command::Forward { message, to: group });
        }
        if number % 10 == 0 {
            // One is withheld from carol, who asks for it.
            world.settle(&mut [&mut people[0]]);
            world.mailboxes.get_mut(&people[2].mailbox()).unwrap().envelopes.clear();
        }
    }
    // Bob hears it all; carol only what comes after a minute.
    let (alice, others) = people.split_first_mut().unwrap();
    world.settle(&mut [alice, &mut others[0]]);
    for person in [&people[0], &people[1]] {
        for trace in ["zebra edited 39", "zebra 1 z", "felt 36", "zebra answered 35"] {
            assert!(traces(person, trace.as_bytes()), "{trace} of {}", person.name);
        }
        let of = the_group(person);
        assert!(person.engine().search("zebra", Some(of), None, 100).unwrap().len() > 40);
        assert_eq!(person.engine().pinned(of).unwrap().len(), 4);
    }
    done(&mut world, &mut people[0], Command::SetDraft { conversation: group, draft: Some("dear zebra".into()) });
    // And one that cannot leave.
    world.relay_down = true;
    world.command(&mut people[0], Command::Send { to: group, text: "zebra that waits".into() });
    world.settle(&mut [&mut people[0]]);
    for round in 0..2 {
        for person in &mut people {
            let of = the_group(person);
            let page = hushwire_engine::Page { limit: 1, ..Default::default() };
            if let Some(last) = person.engine().history(Some(of), page).unwrap().pop() {
                done(&mut world, person, Command::MarkRead { conversation: of, through: last.id });
            }
        }
        world.wait(MINUTE);
        world.relay_down = false;
        settle(&mut world, &mut people);
        world.wait(if round == 0 { MINUTE } else { 0 });
    }
    for person in &people {
        for trace in ["zebra", "felt"] {
            assert!(!traces(person, trace.as_bytes()), "{trace} of {}", person.name);
        }
        assert!(person.engine().search("zebra", None, None, 100).unwrap().is_empty());
        assert!(person.engine().pinned(the_group(person)).unwrap().is_empty());
        let page = hushwire_engine::Page { limit: 100, ..Default::default() };
        assert!(person.engine().history(Some(the_group(person)), page).unwrap().is_empty(), "{}", person.name);
    }
}

#[test]
fn what_is_taken_back_in_a_group_leaves_no_trace_with_anybody() {
    let mut world = World::seeded(12);
    let mut people: Vec<Person> = ["alice", "bob"].map(|name| world.person(name)).into();
    let (alice, others) = people.split_first_mut().unwrap();
    world.add(&mut others[0], "alice");
    let members = vec![world.add(alice, "bob").id];
    world.command(alice, Command::FoundGroup { name: "friends".into(), members });
    settle(&mut world, &mut people);
    let group = the_group(&people[0]);
    let answer = world.command(&mut people[0], Command::Send { to: group, text: "a zebra".into() });
    let Answer::Queued(message) = answer else { panic!("{answer:?}") };
    settle(&mut world, &mut people);
    for person in &people {
        assert!(traces(person, b"a zebra"), "{}", person.name);
    }
    done(&mut world, &mut people[0], Command::TakeBack(message.id));
    settle(&mut world, &mut people);
    for person in &people {
        assert!(!traces(person, b"zebra"), "{}", person.name);
    }
}
