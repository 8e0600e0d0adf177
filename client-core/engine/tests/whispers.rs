//! What need not arrive: who types and who is there. Nothing of it is kept, nothing else depends on it, and strangers have no
//! part in it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{Answer, Call, Command, CommandError, Contact, ConversationId, Event, Input, Seen, State};
use hushwire_proto::envelope::Envelope;
use world::{Person, World};

const MINUTE: u64 = 60_000;

/// Two who have written to each other, so that each has the other's key, and look at it. Nothing is under way.
fn acquainted(seed: u64) -> (World, Person, Person) {
    let mut world = World::seeded(seed);
    let (mut alice, mut bob) = world.friends();
    for _ in 0..2 {
        world.send(&mut alice, "bob", "hello");
        world.settle(&mut [&mut alice, &mut bob]);
        world.send(&mut bob, "alice", "hello");
        world.settle(&mut [&mut alice, &mut bob]);
    }
    looks_at(&mut world, &mut alice, "bob", true);
    looks_at(&mut world, &mut bob, "alice", true);
    (alice.events, bob.events) = (Vec::new(), Vec::new());
    (world, alice, bob)
}

/// A command of which nothing but whispers comes.
fn does(world: &mut World, person: &mut Person, command: impl FnOnce(Contact) -> Command, whom: &str) {
    let contact = person.contact(whom);
    assert_eq!(world.command(person, command(contact)), Answer::Done);
    assert!(person.calls.iter().all(|(_, call)| matches!(call, Call::Whisper { .. })), "{:?}", person.calls);
    world.answer_calls(person);
}

fn looks_at(world: &mut World, person: &mut Person, whom: &str, on: bool) {
    does(world, person, |contact| Command::LookAt(contact.conversation, on), whom);
}

fn types(world: &mut World, person: &mut Person, whom: &str, on: bool) {
    does(world, person, |contact| Command::Typing(contact.conversation, on), whom);
}

fn shares_presence(world: &mut World, person: &mut Person, whom: &str, on: bool) {
    does(world, person, |contact| Command::SharePresence(contact.id, on), whom);
}

/// What was heard of those who type, or are there. Chores of every day tell something now and then as well.
fn heard(person: &mut Person) -> Vec<Event> {
    let events = std::mem::take(&mut person.events);
    events.into_iter().filter(|event| matches!(event, Event::Typing { .. } | Event::Presence { .. })).collect()
}

fn typing(person: &Person, whom: &str, on: bool) -> Event {
    let Contact { conversation, id: contact, .. } = person.contact(whom);
    Event::Typing { conversation, contact, on }
}

fn presence(person: &Person, whom: &str, seen: Seen) -> Event {
    Event::Presence { contact: person.contact(whom).id, seen }
}

#[test]
fn who_types_is_seen_until_they_stop_or_are_not_heard_for_a_while() {
    let (mut world, mut alice, mut bob) = acquainted(101);
    types(&mut world, &mut alice, "bob", true);
    assert_eq!(world.whispers_to(&mut bob), 1);
    assert_eq!(heard(&mut bob), [typing(&bob, "alice", true)]);
    types(&mut world, &mut alice, "bob", false);
    assert_eq!(world.whispers_to(&mut bob), 1);
    assert_eq!(heard(&mut bob), [typing(&bob, "alice", false)]);
    types(&mut world, &mut alice, "bob", false);
    assert_eq!(world.whispers_to(&mut bob), 0, "who did not say that they type need not say that they stopped");
    world.wait(5_000);
    // And if the end of it is lost.
    types(&mut world, &mut alice, "bob", true);
    world.whispers_to(&mut bob);
    let begun = heard(&mut bob);
    assert_eq!(begun, [typing(&bob, "alice", true)]);
    assert_eq!(bob.wake, Some(world.now.plus(15_000)));
    world.wait(14_999);
    world.input(&mut bob, Input::Tick);
    assert_eq!(heard(&mut bob), []);
    world.wait(1);
    world.input(&mut bob, Input::Tick);
    assert_eq!(heard(&mut bob), [typing(&bob, "alice", false)]);
}

#[test]
fn each_key_pressed_is_no_whisper() {
    let (mut world, mut alice, mut bob) = acquainted(102);
    let mut whispers = 0;
    for _ in 0..100 {
        types(&mut world, &mut alice, "bob", true);
        whispers += world.whispers_to(&mut bob);
        world.wait(100);
    }
    assert_eq!(whispers, 2, "one in five seconds, for ten");
}

#[test]
fn to_begin_and_stop_again_and_again_is_not_more_than_two_whispers_in_five_seconds() {
    let (mut world, mut alice, mut bob) = acquainted(110);
    let mut whispers = 0;
    for _ in 0..50 {
        types(&mut world, &mut alice, "bob", true);
        types(&mut world, &mut alice, "bob", false);
        whispers += world.whispers_to(&mut bob);
        world.wait(200);
    }
    assert_eq!(whispers, 4, "in ten seconds");
}

#[test]
fn who_looks_away_types_no_more() {
    let (mut world, mut alice, mut bob) = acquainted(111);
    types(&mut world, &mut alice, "bob", true);
    assert_eq!(world.whispers_to(&mut bob), 1);
    looks_at(&mut world, &mut alice, "bob", false);
    assert_eq!(world.whispers_to(&mut bob), 1);
    assert_eq!(heard(&mut bob), [typing(&bob, "alice", true), typing(&bob, "alice", false)]);
    world.wait(6_000);
    types(&mut world, &mut alice, "bob", true);
    assert_eq!(world.whispers_to(&mut bob), 0, "a conversation that is not open");
}

#[test]
fn what_is_whispered_is_kept_nowhere_and_moves_no_ratchet() {
    let (mut world, mut alice, mut bob) = acquainted(103);
    looks_at(&mut world, &mut bob, "alice", false);
    shares_presence(&mut world, &mut alice, "bob", true);
    shares_presence(&mut world, &mut bob, "alice", true);
    (alice.events, bob.events) = (Vec::new(), Vec::new());
    world.whispered.clear();
    let before = (world.disk(&alice), world.disk(&bob));
    for _ in 0..20 {
        world.wait(5_500);
        types(&mut world, &mut alice, "bob", true);
        looks_at(&mut world, &mut alice, "bob", false);
        looks_at(&mut world, &mut alice, "bob", true);
        assert_eq!(world.whispers_to(&mut bob), 3, "types, stops, and whether he is there");
        assert_eq!(world.whispers_to(&mut alice), 1);
    }
    let there = presence(&alice, "bob", Seen::Now);
    assert_eq!(alice.events.iter().filter(|event| **event == there).count(), 20, "and something was heard");
    assert!(before == (world.disk(&alice), world.disk(&bob)), "a byte of a database has changed");
    world.send(&mut alice, "bob", "after all that");
    world.settle(&mut [&mut alice, &mut bob]);
    assert!(before.0 != world.disk(&alice), "as it does by a message");
}

#[test]
fn whispers_that_are_lost_or_come_between_leave_messages_as_they_are() {
    let (mut world, mut alice, mut bob) = acquainted(104);
    let (mut said, mut arrived) = (0, 0);
    for n in 0..20 {
        types(&mut world, &mut alice, "bob", true);
        said += world.whispered.len();
        if n % 2 == 0 {
            world.whispered.clear(); // nobody is there
        }
        world.send(&mut alice, "bob", &format!("message {n}"));
        if n % 3 == 0 {
            bob.crash();
        }
        arrived += world.whispers_to(&mut bob);
        world.settle(&mut [&mut alice, &mut bob]);
        world.wait(6_000);
    }
    assert_eq!((said, arrived), (20, 10));
    let expected: Vec<_> = (0..20).map(|n| format!("message {n}")).collect();
    assert_eq!(bob.shown(), expected);
    assert!(alice.states().iter().all(|state| *state == State::Delivered));
    let bad = |event: &Event| matches!(event, Event::Undecryptable { .. } | Event::Gap { .. });
    assert!(!alice.events.iter().chain(&bob.events).any(bad));
}

#[test]
fn presence_is_told_by_who_shares_it_to_who_shares_it_and_looks() {
    let (mut world, mut alice, mut bob) = acquainted(105);
    looks_at(&mut world, &mut bob, "alice", false);
    let asks = |world: &mut World, alice: &mut Person, bob: &mut Person| {
        world.wait(6_000);
        world.settle(&mut [alice, bob]); // what is due once a day
        looks_at(world, alice, "bob", false);
        world.wait(6_000);
        (alice.events, bob.events) = (Vec::new(), Vec::new());
        world.whispered.clear();
        looks_at(world, alice, "bob", true);
        let asked = world.whispers_to(bob);
        world.whispers_to(alice);
        (asked, heard(alice), heard(bob))
    };
    assert_eq!(asks(&mut world, &mut alice, &mut bob), (0, vec![], vec![]), "who does not share does not ask");
    shares_presence(&mut world, &mut alice, "bob", true);
    assert_eq!(asks(&mut world, &mut alice, &mut bob), (1, vec![], vec![]), "and is not answered");
    shares_presence(&mut world, &mut bob, "alice", true);
    let answered = |alice: &Person, seen| (1, vec![presence(alice, "bob", seen)], vec![]);
    assert_eq!(asks(&mut world, &mut alice, &mut bob), answered(&alice, Seen::Now));
    world.wait(10 * MINUTE);
    assert_eq!(asks(&mut world, &mut alice, &mut bob), answered(&alice, Seen::Today));
    world.wait(24 * 60 * MINUTE);
    assert_eq!(asks(&mut world, &mut alice, &mut bob), answered(&alice, Seen::ThisWeek));
    world.wait(7 * 24 * 60 * MINUTE);
    assert_eq!(asks(&mut world, &mut alice, &mut bob), answered(&alice, Seen::Hidden));
    bob.crash(); // and since it began again nobody did anything there
    assert_eq!(asks(&mut world, &mut alice, &mut bob), answered(&alice, Seen::Hidden));
    shares_presence(&mut world, &mut bob, "alice", false);
    assert_eq!(asks(&mut world, &mut alice, &mut bob), (1, vec![], vec![]));
}

/// Everything that was whispered reaches whom it is for, and what is answered as well; how much that was.
fn both_hear(world: &mut World, alice: &mut Person, bob: &mut Person) -> usize {
    let mut all = 0;
    while !world.whispered.is_empty() {
        for (mailbox, envelope) in std::mem::take(&mut world.whispered) {
            let person = if mailbox == alice.mailbox() { &mut *alice } else { &mut *bob };
            world.input(person, Input::Whispered(envelope));
            world.answer_calls(person);
            all += 1;
        }
    }
    all
}

#[test]
fn while_both_look_each_sees_the_other_there_and_who_goes_is_seen_to_be_gone() {
    let (mut world, mut alice, mut bob) = acquainted(112);
    shares_presence(&mut world, &mut alice, "bob", true);
    shares_presence(&mut world, &mut bob, "alice", true);
    // Nobody writes anything.
    let (mut to_alice, mut to_bob, mut whispers) = (Vec::new(), Vec::new(), 0);
    for _ in 0..30 {
        for person in [&mut alice, &mut bob] {
            world.input(person, Input::Tick);
            world.answer_calls(person);
        }
        whispers += both_hear(&mut world, &mut alice, &mut bob);
        to_alice.extend(heard(&mut alice));
        to_bob.extend(heard(&mut bob));
        world.wait(3_000);
        types(&mut world, &mut bob, "alice", false); // a person is there
        types(&mut world, &mut alice, "bob", false);
    }
    assert!(!to_alice.is_empty() && to_alice.iter().all(|event| *event == presence(&alice, "bob", Seen::Now)));
    assert!(!to_bob.is_empty() && to_bob.iter().all(|event| *event == presence(&bob, "alice", Seen::Now)));
    assert!(whispers <= 8, "a question and an answer of each in 45 seconds: {whispers}");
    // Bob's program ends.
    let end = world.now.plus(5 * MINUTE);
    let mut told = Vec::new();
    while let Some(wake) = alice.wake.filter(|wake| *wake <= end) {
        world.now = world.now.max(wake);
        world.input(&mut alice, Input::Tick);
        alice.calls.clear();
        told.extend(heard(&mut alice));
    }
    assert_eq!(told, [presence(&alice, "bob", Seen::Today)]);
}

#[test]
fn who_looks_first_sees_at_once_that_the_other_has_come_and_so_does_who_was_not_online_when_asking() {
    let (mut world, mut alice, mut bob) = acquainted(114);
    looks_at(&mut world, &mut bob, "alice", false);
    shares_presence(&mut world, &mut alice, "bob", true);
    shares_presence(&mut world, &mut bob, "alice", true);
    world.whispered.clear(); // bob is not there
    world.wait(20_000);
    looks_at(&mut world, &mut bob, "alice", true);
    assert!(both_hear(&mut world, &mut alice, &mut bob) <= 6);
    assert!(heard(&mut alice).contains(&presence(&alice, "bob", Seen::Now)));
    assert!(heard(&mut bob).contains(&presence(&bob, "alice", Seen::Now)));
    // An answer that comes to no open mailbox is lost; once it is open she asks again.
    looks_at(&mut world, &mut alice, "bob", false);
    world.wait(20_000);
    looks_at(&mut world, &mut alice, "bob", true);
    assert_eq!(world.whispers_to(&mut bob), 1);
    world.whispered.clear();
    world.input(&mut alice, Input::Online);
    assert_eq!(alice.wake, Some(world.now.plus(1_000)));
    world.wait(1_000);
    world.input(&mut alice, Input::Tick);
    world.answer_calls(&mut alice);
    assert!(both_hear(&mut world, &mut alice, &mut bob) >= 2);
    assert!(heard(&mut alice).contains(&presence(&alice, "bob", Seen::Now)));
}

#[test]
fn whispers_that_overtake_each_other_are_heard_all_the_same() {
    let (mut world, mut alice, mut bob) = acquainted(115);
    shares_presence(&mut world, &mut bob, "alice", true);
    world.wait(20_000);
    world.whispered.clear(); // she did not hear that he asked
    shares_presence(&mut world, &mut alice, "bob", true);
    assert_eq!(world.whispers_to(&mut bob), 1);
    world.whispered.reverse();
    assert_eq!(world.whispers_to(&mut alice), 2, "an answer, behind a question");
    assert_eq!(heard(&mut alice), [presence(&alice, "bob", Seen::Now)]);
}

#[test]
fn nobody_is_told_who_is_there_without_looking() {
    let (mut world, mut alice, mut bob) = acquainted(113);
    looks_at(&mut world, &mut bob, "alice", false);
    shares_presence(&mut world, &mut alice, "bob", true);
    shares_presence(&mut world, &mut bob, "alice", true);
    both_hear(&mut world, &mut alice, &mut bob);
    world.wait(MINUTE);
    world.input(&mut alice, Input::Tick);
    world.answer_calls(&mut alice);
    looks_at(&mut world, &mut alice, "bob", false);
    alice.events.clear();
    assert_eq!(both_hear(&mut world, &mut alice, &mut bob), 2, "a question and an answer");
    assert_eq!(heard(&mut alice), [], "which comes when she looks no more");
    world.wait(10 * MINUTE);
    world.input(&mut alice, Input::Tick);
    assert!(
        !alice.calls.iter().any(|(_, call)| matches!(call, Call::Whisper { .. })),
        "who does not look asks nothing"
    );
}

#[test]
fn who_does_not_share_typing_neither_tells_nor_sees_it() {
    let (mut world, mut alice, mut bob) = acquainted(106);
    does(&mut world, &mut bob, |contact| Command::ShareTyping(contact.conversation, false), "alice");
    types(&mut world, &mut bob, "alice", true);
    assert_eq!(world.whispers_to(&mut alice), 0);
    types(&mut world, &mut alice, "bob", true);
    assert_eq!(world.whispers_to(&mut bob), 1);
    assert_eq!(heard(&mut bob), []);
}

/// The one whisper that is under way.
fn caught(world: &mut World) -> Envelope {
    let [(_, envelope)] = <[_; 1]>::try_from(std::mem::take(&mut world.whispered)).unwrap();
    envelope
}

#[test]
fn a_whisper_is_heard_once_and_not_when_it_is_old_or_altered() {
    let (mut world, mut alice, mut bob) = acquainted(107);
    types(&mut world, &mut alice, "bob", true);
    let first = caught(&mut world);
    assert_eq!(first.len(), 512);
    for place in 0..first.len() {
        let mut bytes = first.bytes().to_vec();
        bytes[place] ^= 1;
        world.input(&mut bob, Input::Whispered(Envelope::new(bytes.into()).unwrap()));
    }
    assert_eq!(heard(&mut bob), [], "altered");
    world.input(&mut alice, Input::Whispered(first.clone()));
    assert_eq!(heard(&mut alice), [], "one's own");
    world.wait(6_000);
    types(&mut world, &mut alice, "bob", true);
    let second = caught(&mut world);
    world.input(&mut bob, Input::Whispered(second.clone()));
    assert_eq!(heard(&mut bob).len(), 1);
    for repeated in [&second, &first] {
        world.input(&mut bob, Input::Whispered(repeated.clone()));
        assert_eq!(heard(&mut bob), [], "again, or before one that was heard");
    }
    world.wait(6_000);
    types(&mut world, &mut alice, "bob", true);
    let late = caught(&mut world);
    world.wait(MINUTE + 1);
    world.input(&mut bob, Input::Whispered(late.clone()));
    assert!(!heard(&mut bob).contains(&typing(&bob, "alice", true)), "late");
    bob.crash();
    world.input(&mut bob, Input::Whispered(late));
    assert_eq!(heard(&mut bob), [], "also by a program that began anew");
}

#[test]
fn strangers_neither_whisper_nor_are_whispered_to() {
    let mut world = World::seeded(108);
    let (mut mallory, mut bob) = (world.person("mallory"), world.person("bob"));
    world.add(&mut mallory, "bob");
    for _ in 0..2 {
        world.send(&mut mallory, "bob", "do you know me");
        world.settle(&mut [&mut mallory, &mut bob]);
    }
    let stranger = bob.only_contact().name;
    shares_presence(&mut world, &mut bob, &stranger, true);
    looks_at(&mut world, &mut bob, &stranger, true);
    types(&mut world, &mut bob, &stranger, true);
    looks_at(&mut world, &mut mallory, "bob", true);
    types(&mut world, &mut mallory, "bob", true);
    assert!(world.whispered.is_empty(), "neither has the other's key, or uses it");
    for command in [Command::Typing(ConversationId(999), true), Command::LookAt(ConversationId(999), true)] {
        assert_eq!(world.command(&mut bob, command), Answer::Refused(CommandError::NoSuchConversation));
    }
}

#[test]
fn who_is_blocked_is_not_heard_though_the_relay_lets_it_pass() {
    let (mut world, mut alice, mut bob) = acquainted(109);
    types(&mut world, &mut alice, "bob", true);
    let (first, blocked) = (caught(&mut world), bob.contact("alice").id);
    assert_eq!(world.command(&mut bob, Command::Block(blocked)), Answer::Done);
    world.settle(&mut [&mut bob]);
    world.input(&mut bob, Input::Whispered(first));
    assert_eq!(heard(&mut bob), []);
    types(&mut world, &mut bob, "alice", true);
    assert!(world.whispered.is_empty());
    // Accepted again, they are heard by a new key only, once they have it.
    assert_eq!(world.command(&mut bob, Command::Accept(blocked)), Answer::Done);
    world.wait(6_000);
    types(&mut world, &mut alice, "bob", true);
    assert!(world.whispered.is_empty(), "their token opens nothing");
    world.settle(&mut [&mut alice, &mut bob]);
    for _ in 0..2 {
        world.send(&mut bob, "alice", "again");
        world.settle(&mut [&mut alice, &mut bob]);
    }
    bob.events.clear();
    world.wait(6_000);
    types(&mut world, &mut alice, "bob", true);
    assert_eq!(world.whispers_to(&mut bob), 1);
    assert_eq!(heard(&mut bob), [typing(&bob, "alice", true)]);
}
