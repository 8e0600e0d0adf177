//! The keys of a group: when they are replaced, and what whoever has an old one still opens.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{Answer, Command, ConversationId, Event, Membership, Page, Reason};
use hushwire_proto::ids::DeviceId;
use world::{Person, World};

fn settle(world: &mut World, people: &mut [Person]) {
    // Held back receipts, and answers to what was asked for.
    for _ in 0..4 {
        let mut all: Vec<&mut Person> = people.iter_mut().collect();
        world.settle(&mut all);
        world.wait(60_000);
    }
}

/// So many people, of whom the first knows all others and has founded a group with them.
fn group(world: &mut World, names: &[&'static str]) -> Vec<Person> {
    let mut people: Vec<Person> = names.iter().map(|name| world.person(name)).collect();
    let (first, others) = people.split_first_mut().unwrap();
    let mut members = Vec::new();
    for other in others {
        world.add(other, first.name);
        members.push(world.add(first, other.name).id);
    }
    let answer = world.command(first, Command::FoundGroup { name: "friends".into(), members });
    assert!(matches!(answer, Answer::Group(_)), "{answer:?}");
    settle(world, &mut people);
    people
}

fn the_group(person: &Person) -> ConversationId {
    let all = person.engine().conversations().unwrap();
    all.into_iter().find(|conversation| conversation.name == "friends").unwrap().id
}

fn say(world: &mut World, person: &mut Person, text: &str) {
    let to = the_group(person);
    let answer = world.command(person, Command::Send { to, text: text.into() });
    assert!(matches!(answer, Answer::Queued(_)), "{answer:?}");
}

fn heard(person: &Person) -> Vec<String> {
    let page = Page { limit: 2000, ..Page::default() };
    let all = person.engine().history(Some(the_group(person)), page).unwrap();
    all.into_iter().map(|message| message.text).collect()
}

fn nothing_went_wrong(people: &[Person]) {
    for person in people {
        let bad = |event: &&Event| matches!(event, Event::Undecryptable { .. } | Event::Gap { .. });
        assert_eq!(person.events.iter().find(bad), None, "{}", person.name);
    }
}

/// Envelopes that this person's next message to the group takes, one for each mailbox: one for each member, and with a new
/// key one more.
fn envelopes_of_next(world: &mut World, people: &mut [Person], who: usize) -> usize {
    let before = world.seen.len();
    say(world, &mut people[who], "next");
    world.settle(&mut [&mut people[who]]);
    let taken = world.seen.len() - before;
    settle(world, people);
    taken
}

#[test]
fn a_sender_key_is_replaced_after_a_thousand_messages() {
    let mut world = World::seeded(73);
    let mut people = group(&mut world, &["alice", "bob"]);
    for number in 1..999 {
        say(&mut world, &mut people[0], &number.to_string());
    }
    settle(&mut world, &mut people);
    assert_eq!(envelopes_of_next(&mut world, &mut people, 0), 1, "the first told of the group's beginning");
    assert_eq!(envelopes_of_next(&mut world, &mut people, 0), 2, "a new key, and the message");
    assert_eq!(heard(&people[1]).len(), 1000);
    nothing_went_wrong(&people);
}

#[test]
fn a_sender_key_is_replaced_after_a_week() {
    let mut world = World::seeded(68);
    let mut people = group(&mut world, &["alice", "bob", "carol"]);
    assert_eq!(envelopes_of_next(&mut world, &mut people, 0), 2, "they have the key of the group's beginning");
    world.wait(6 * 24 * 3600 * 1000);
    settle(&mut world, &mut people);
    assert_eq!(envelopes_of_next(&mut world, &mut people, 0), 2);
    world.wait(2 * 24 * 3600 * 1000);
    assert_eq!(envelopes_of_next(&mut world, &mut people, 0), 4, "a new key for each, and the message");
    assert_eq!(envelopes_of_next(&mut world, &mut people, 0), 2);
    nothing_went_wrong(&people);
}

/// Alice and carol, and bob, who came by a link and is nobody's contact, with a laptop that is in the group as well. The last
/// is a copy of that laptop in other hands.
fn stolen(world: &mut World) -> (Vec<Person>, Person) {
    let mut people = group(world, &["alice", "carol"]);
    let group = the_group(&people[0]);
    let open = Command::OpenInvite { group, approval: false, expires_at: None, uses: None };
    let Answer::GroupLink(link) = world.command(&mut people[0], open) else { panic!() };
    let mut bob = world.person("bob");
    world.command(&mut bob, Command::JoinGroup(link.clone()));
    people.push(bob);
    settle(world, &mut people);
    let (laptop, request) = world.joins("bob", "laptop");
    assert_eq!(world.command(&mut people[2], Command::AddDevice(Box::new(request))), Answer::Done);
    people.push(laptop);
    settle(world, &mut people);
    assert_eq!(people[3].membership(), Membership::Listed);
    world.command(&mut people[3], Command::JoinGroup(link));
    for _ in 0..2 {
        settle(world, &mut people);
        say(world, &mut people[0], "is everybody here?");
    }
    settle(world, &mut people);
    let laptop = people.pop().unwrap();
    let mut thief = world.stolen(&laptop, "thief");
    let seen = world.seen.len();
    say(world, &mut people[0], "before");
    settle(world, &mut people);
    overhear(world, &mut thief, seen);
    assert_eq!(heard(&thief).last().unwrap(), "before");
    assert!(people[0].engine().contacts().unwrap().iter().all(|contact| contact.account != people[2].account()));
    (people, thief)
}

/// All that any relay was given since then comes to the thief, who asks nobody about anything.
fn overhear(world: &mut World, thief: &mut Person, since: usize) {
    for envelope in world.seen.split_off(since) {
        world.inject(thief.mailbox(), envelope.clone());
        world.seen.push(envelope);
    }
    thief.events.clear();
    world.deliver(thief);
}

/// Bob revokes the laptop, and the others hear nothing of him but what he says to the group by that.
fn revoke(world: &mut World, people: &mut [Person]) {
    assert_eq!(world.command(&mut people[2], Command::RevokeDevice(DeviceId::new(2).unwrap())), Answer::Done);
    settle(world, people);
    assert_eq!(people[2].devices(), [1]);
}

#[test]
fn a_revoked_device_of_a_member_who_is_nobodys_contact_hears_and_says_nothing_more() {
    let mut world = World::seeded(71);
    let (mut people, mut thief) = stolen(&mut world);
    revoke(&mut world, &mut people);
    let seen = world.seen.len();
    for person in &mut people {
        say(&mut world, person, "without the thief");
    }
    settle(&mut world, &mut people);
    overhear(&mut world, &mut thief, seen);
    assert_eq!(heard(&thief).last().unwrap(), "before");
    for person in &people {
        assert_eq!(heard(person).iter().filter(|text| *text == "without the thief").count(), 3, "{}", person.name);
    }
    nothing_went_wrong(&people);
    say(&mut world, &mut thief, "it is me");
    world.settle(&mut [&mut thief]);
    settle(&mut world, &mut people);
    for person in &people {
        assert!(!heard(person).contains(&"it is me".to_owned()), "{}", person.name);
    }
}

#[test]
fn what_seals_to_a_group_is_renewed_by_each_member_once_a_device_of_one_is_revoked() {
    let mut world = World::seeded(72);
    let (mut people, mut thief) = stolen(&mut world);
    revoke(&mut world, &mut people);
    // Each for itself, before it has heard of another's; carol and bob have never written there.
    let seen = world.seen.len();
    for person in &mut people {
        say(&mut world, person, "nobody else sees who speaks");
        world.settle(&mut [person]);
    }
    settle(&mut world, &mut people);
    overhear(&mut world, &mut thief, seen);
    let not_for_the_thief = |event: &Event| matches!(event, Event::Undecryptable { code: Reason::NotForUs, .. });
    assert!(thief.events.len() >= 6 && thief.events.iter().all(not_for_the_thief), "{:?}", thief.events);
    nothing_went_wrong(&people);
}
