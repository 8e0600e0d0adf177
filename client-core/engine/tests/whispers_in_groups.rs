//! Who types in a group: told by members who chose it to members who chose it, while they look; in small groups.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::group::{Op, Role};
use hushwire_engine::{Answer, Call, Command, ConversationId, Event, Input};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::MailboxId;
use world::{Person, World};

/// So many people, of whom the first knows all others and has founded a group with them. Each has said something there,
/// looks at it, and shares that they type.
fn group(world: &mut World, names: &[&'static str]) -> Vec<Person> {
    let mut people: Vec<Person> = names.iter().map(|name| world.person(name)).collect();
    let (first, others) = people.split_first_mut().unwrap();
    let mut members = Vec::new();
    for other in others.iter_mut() {
        world.add(other, first.name);
        members.push(world.add(first, other.name).id);
    }
    let answer = world.command(first, Command::FoundGroup { name: "friends".into(), members });
    assert!(matches!(answer, Answer::Group(_)), "{answer:?}");
    settle(world, &mut people);
    for place in 0..people.len() {
        say(world, &mut people[place], "hello");
        settle(world, &mut people);
    }
    for person in &mut people {
        let group = the_group(person);
        does(world, person, Command::ShareTyping(group, true));
        does(world, person, Command::LookAt(group, true));
    }
    forget(world, &mut people);
    people
}

fn settle(world: &mut World, people: &mut [Person]) {
    for _ in 0..4 {
        let mut all: Vec<&mut Person> = people.iter_mut().collect();
        world.settle(&mut all);
        world.wait(10_000);
    }
}

fn forget(world: &mut World, people: &mut [Person]) {
    world.whispered.clear();
    people.iter_mut().for_each(|person| person.events.clear());
}

fn the_group(person: &Person) -> ConversationId {
    let all = person.engine().conversations().unwrap();
    all.into_iter().find(|conversation| conversation.name == "friends").unwrap().id
}

fn say(world: &mut World, person: &mut Person, text: &str) {
    let to = the_group(person);
    assert!(matches!(world.command(person, Command::Send { to, text: text.into() }), Answer::Queued(_)));
}

fn does(world: &mut World, person: &mut Person, command: Command) {
    assert_eq!(world.command(person, command), Answer::Done);
    world.answer_calls(person);
}

/// What is whispered to anybody when this person begins to type, or stops.
fn types(world: &mut World, person: &mut Person, on: bool) -> Vec<(MailboxId, Envelope)> {
    world.whispered.clear();
    let group = the_group(person);
    does(world, person, Command::Typing(group, on));
    std::mem::take(&mut world.whispered)
}

/// Who is seen typing by this person, by what they are called there, once they have heard their part of this.
fn sees(world: &mut World, person: &mut Person, whispered: &[(MailboxId, Envelope)]) -> Vec<(String, bool)> {
    let mine = person.mailbox();
    for (_, envelope) in whispered.iter().filter(|(mailbox, _)| *mailbox == mine) {
        world.input(person, Input::Whispered(envelope.clone()));
    }
    seen(person)
}

fn seen(person: &mut Person) -> Vec<(String, bool)> {
    let group = the_group(person);
    let events = std::mem::take(&mut person.events);
    let typing = events.into_iter().filter_map(|event| match event {
        Event::Typing { conversation, contact, on } => {
            assert_eq!(conversation, group);
            Some((person.engine().contact(contact).unwrap().unwrap().account, on))
        }
        _ => None,
    });
    typing.map(|(account, on)| (account.to_string(), on)).collect()
}

fn typing(whom: &Person, on: bool) -> Vec<(String, bool)> {
    vec![(whom.account().to_string(), on)]
}

fn change(world: &mut World, people: &mut [Person], ops: Vec<Op>) {
    let group = the_group(&people[0]);
    assert_eq!(world.command(&mut people[0], Command::ChangeGroup { group, ops }), Answer::Done);
    settle(world, people);
}

#[test]
fn members_see_who_types_also_if_they_are_no_contacts() {
    let mut world = World::seeded(201);
    let mut people = group(&mut world, &["alice", "bob", "carol"]);
    let before = world.disk(&people[1]);
    for on in [true, false] {
        let whispered = types(&mut world, &mut people[1], on);
        assert_eq!(whispered.len(), 2);
        assert!(whispered.iter().all(|(_, envelope)| envelope.len() == 512 && *envelope == whispered[0].1));
        let bob = typing(&people[1], on);
        assert_eq!(sees(&mut world, &mut people[0], &whispered), bob, "alice knows him");
        assert_eq!(sees(&mut world, &mut people[2], &whispered), bob, "carol does not");
    }
    assert!(before == world.disk(&people[1]), "a byte of a database has changed");
    // And if the end of it is lost.
    world.wait(6_000);
    let whispered = types(&mut world, &mut people[1], true);
    assert_eq!(sees(&mut world, &mut people[2], &whispered), typing(&people[1], true));
    world.wait(15_000);
    world.input(&mut people[2], Input::Tick);
    assert_eq!(seen(&mut people[2]), typing(&people[1], false));
}

#[test]
fn who_has_not_chosen_it_or_does_not_look_neither_tells_nor_sees_it() {
    let mut world = World::seeded(202);
    let mut people = group(&mut world, &["alice", "bob", "carol"]);
    let there = the_group(&people[1]);
    for off in [Command::ShareTyping(there, false), Command::LookAt(there, false)] {
        does(&mut world, &mut people[1], off);
        assert_eq!(types(&mut world, &mut people[1], true), []);
        world.wait(6_000);
        let whispered = types(&mut world, &mut people[0], true);
        assert_eq!(whispered.len(), 2, "nobody knows who wants to hear it");
        assert_eq!(sees(&mut world, &mut people[1], &whispered), []);
        assert_eq!(sees(&mut world, &mut people[2], &whispered), typing(&people[0], true));
        for on in [Command::ShareTyping(there, true), Command::LookAt(there, true)] {
            does(&mut world, &mut people[1], on);
        }
    }
    let fresh = the_group(&people[2]);
    people[2].crash();
    assert!(people[2].engine().shares(fresh).unwrap().typing, "it is remembered");
    assert_eq!(types(&mut world, &mut people[2], true), [], "but not what was open");
}

#[test]
fn one_persons_typing_is_two_whispers_in_five_seconds_for_each_device_and_none_in_large_groups() {
    let mut world = World::seeded(203);
    let mut people = group(&mut world, &["alice", "bob", "carol"]);
    let mut whispers = 0;
    for _ in 0..100 {
        whispers += types(&mut world, &mut people[0], true).len();
        whispers += types(&mut world, &mut people[0], false).len();
        world.wait(100);
    }
    assert_eq!(whispers, 8, "to two others, for ten seconds");
    // Thirty of whom nothing is known but that they are members make 33.
    let contact = people[0].contact("bob").id;
    let bob = people[0].engine().new_members(&[contact]).unwrap().remove(0);
    let many = (0..31u8).map(|n| {
        let mut account = bob.account;
        account.0[0] ^= n + 1;
        hushwire_engine::group::NewMember { account, ..bob.clone() }
    });
    let group = the_group(&people[0]);
    let ops = vec![Op::Add(many.collect())];
    assert_eq!(world.command(&mut people[0], Command::ChangeGroup { group, ops }), Answer::Done);
    people[0].calls.clear();
    world.wait(6_000);
    let _ = world.command(&mut people[0], Command::Typing(group, true));
    assert!(!people[0].calls.iter().any(|(_, call)| matches!(call, Call::Whisper { .. })));
}

#[test]
fn who_is_put_out_neither_hears_nor_is_heard_and_stops_typing_at_once() {
    let mut world = World::seeded(204);
    let mut people = group(&mut world, &["alice", "bob", "carol"]);
    let early = types(&mut world, &mut people[2], true);
    assert_eq!(sees(&mut world, &mut people[0], &early), typing(&people[2], true));
    let carol = people[2].account();
    let group = the_group(&people[0]);
    assert_eq!(
        world.command(&mut people[0], Command::ChangeGroup { group, ops: vec![Op::Remove(carol)] }),
        Answer::Done
    );
    assert_eq!(seen(&mut people[0]), typing(&people[2], false), "with the change itself");
    // Carol has not heard of it, and goes on.
    world.wait(6_000);
    let late = types(&mut world, &mut people[2], true);
    assert_eq!(late.len(), 2);
    assert_eq!(sees(&mut world, &mut people[0], &late), []);
    // Nothing leaves that she could open: what says that she is out was written with a new key.
    let whispered = types(&mut world, &mut people[0], true);
    assert_eq!(whispered.iter().map(|(mailbox, _)| *mailbox).collect::<Vec<_>>(), [people[1].mailbox()]);
    let copy: Vec<_> = whispered.iter().map(|(_, envelope)| (people[2].mailbox(), envelope.clone())).collect();
    assert_eq!(sees(&mut world, &mut people[2], &copy), []);
    settle(&mut world, &mut people);
    say(&mut world, &mut people[0], "without carol");
    settle(&mut world, &mut people);
    say(&mut world, &mut people[1], "indeed");
    settle(&mut world, &mut people);
    forget(&mut world, &mut people);
    let whispered = types(&mut world, &mut people[0], true);
    let to: Vec<MailboxId> = whispered.iter().map(|(mailbox, _)| *mailbox).collect();
    assert_eq!(to, [people[1].mailbox()]);
    let copy: Vec<_> = whispered.iter().map(|(_, envelope)| (people[2].mailbox(), envelope.clone())).collect();
    assert_eq!(sees(&mut world, &mut people[2], &copy), [], "also if somebody hands it to her");
    assert_eq!(sees(&mut world, &mut people[1], &whispered), typing(&people[0], true));
    assert_eq!(types(&mut world, &mut people[2], true), [], "who is out does not type");
}

#[test]
fn who_has_said_nothing_since_somebody_left_is_seen_from_the_second_time_on_that_it_is_told() {
    let mut world = World::seeded(207);
    let mut people = group(&mut world, &["alice", "bob", "carol", "dave"]);
    let carol = people[2].account();
    change(&mut world, &mut people, vec![Op::Remove(carol)]);
    forget(&mut world, &mut people);
    // Dave knows alice; bob and dave know of each other by the group alone.
    for (place, others) in [(3, [0, 1]), (1, [0, 3])] {
        assert_eq!(types(&mut world, &mut people[place], true), [], "a key goes out first");
        settle(&mut world, &mut people);
        forget(&mut world, &mut people);
        let whispered = types(&mut world, &mut people[place], true);
        assert_eq!(whispered.len(), 2, "carol gets none");
        for other in others {
            let seen = typing(&people[place], true);
            assert_eq!(sees(&mut world, &mut people[other], &whispered), seen, "{}", people[other].name);
        }
        let copy: Vec<_> = whispered.iter().map(|(_, envelope)| (people[2].mailbox(), envelope.clone())).collect();
        assert_eq!(sees(&mut world, &mut people[2], &copy), []);
    }
    // It is the key of what is said next: nobody is given another one.
    let given = world.seen.len();
    say(&mut world, &mut people[3], "hello");
    settle(&mut world, &mut people);
    assert!(
        people.iter().all(|person| !person.events.iter().any(|event| matches!(event, Event::Undecryptable { .. })))
    );
    assert!(world.seen.len() - given <= 2 + 2 * 2, "one envelope for each, and a receipt of each");
}

#[test]
fn who_may_only_read_does_not_type_and_who_is_blocked_is_not_seen() {
    let mut world = World::seeded(205);
    let mut people = group(&mut world, &["alice", "bob", "carol"]);
    let bob = people[1].account();
    change(&mut world, &mut people, vec![Op::SetRole(bob, Role::ReadOnly)]);
    assert_eq!(types(&mut world, &mut people[1], true), []);
    change(&mut world, &mut people, vec![Op::SetRole(bob, Role::Member)]);
    forget(&mut world, &mut people);
    let whispered = types(&mut world, &mut people[1], true);
    assert_eq!(sees(&mut world, &mut people[0], &whispered), typing(&people[1], true));
    let contact = people[0].contact("bob").id;
    assert_eq!(world.command(&mut people[0], Command::Block(contact)), Answer::Done);
    assert_eq!(seen(&mut people[0]), typing(&people[1], false));
    world.wait(6_000);
    let whispered = types(&mut world, &mut people[1], true);
    assert_eq!(sees(&mut world, &mut people[0], &whispered), []);
    let heard: Vec<MailboxId> = types(&mut world, &mut people[0], true).iter().map(|(mailbox, _)| *mailbox).collect();
    assert_eq!(heard, [people[2].mailbox()], "nor is he told");
}

#[test]
fn a_whisper_to_a_group_is_heard_once_and_not_when_it_is_old_or_altered() {
    let mut world = World::seeded(206);
    let mut people = group(&mut world, &["alice", "bob", "carol"]);
    let to_bob = |whispered: Vec<(MailboxId, Envelope)>, bob: &Person| -> Envelope {
        whispered.into_iter().find(|(mailbox, _)| *mailbox == bob.mailbox()).unwrap().1
    };
    let whispered = types(&mut world, &mut people[0], true);
    let envelope = to_bob(whispered, &people[1]);
    for place in 0..envelope.len() {
        let mut bytes = envelope.bytes().to_vec();
        bytes[place] ^= 1;
        world.input(&mut people[1], Input::Whispered(Envelope::new(bytes.into()).unwrap()));
    }
    assert_eq!(seen(&mut people[1]), [], "altered");
    world.input(&mut people[0], Input::Whispered(envelope.clone()));
    assert_eq!(seen(&mut people[0]), [], "one's own");
    for times in [typing(&people[0], true), vec![]] {
        world.input(&mut people[1], Input::Whispered(envelope.clone()));
        assert_eq!(seen(&mut people[1]), times);
    }
    world.wait(6_000);
    let late = types(&mut world, &mut people[0], true);
    let late = to_bob(late, &people[1]);
    world.wait(60_001);
    world.input(&mut people[1], Input::Whispered(late));
    assert!(!seen(&mut people[1]).contains(&typing(&people[0], true)[0]), "late");
}
