//! A group of two honest people and an evil member, for what follows: alice has founded it, bob is in it.

use hushwire_engine::group::Op;
use hushwire_engine::{Answer, Command, ContactId, ConversationId, Event, Group, LocalId, Message, Page, Reason};

use crate::accepted;
use crate::world::member::Member;
use crate::world::{Person, World};

pub(crate) struct Three {
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) mallory: Member,
    /// Mallory, as alice knows her.
    pub(crate) contact: ContactId,
}

/// Both know each other; mallory is a contact of alice's alone, and has told bob her key.
pub(crate) fn three(world: &mut World) -> Three {
    let (mut alice, mut bob) = world.friends();
    let (peer, contact) = accepted(world, &mut alice);
    let mut mallory = Member::new(world, peer, &alice);
    let members = vec![alice.contact("bob").id, contact.id];
    let answer = world.command(&mut alice, Command::FoundGroup { name: "friends".into(), members });
    assert!(matches!(answer, Answer::Group(_)), "{answer:?}");
    settle(world, &mut alice, &mut bob);
    mallory.listen(world, &alice);
    assert!(!mallory.secret.is_empty(), "alice has given her key");
    mallory.give_key(world, &mut bob);
    mallory.give_key(world, &mut alice);
    alice.events.clear();
    bob.events.clear();
    Three { alice, bob, mallory, contact: contact.id }
}

/// With what was held back, and what was asked for.
pub(crate) fn settle(world: &mut World, one: &mut Person, other: &mut Person) {
    for _ in 0..3 {
        world.settle(&mut [one, other]);
        world.wait(60_000);
    }
}

pub(crate) fn the_group(person: &Person) -> ConversationId {
    let all = person.engine().conversations().unwrap();
    all.into_iter().find(|conversation| conversation.name == "friends").unwrap().id
}

pub(crate) fn state(person: &Person) -> Group {
    person.engine().group(the_group(person)).unwrap().unwrap()
}

/// The newest changes: hashes and height.
pub(crate) fn tip(person: &Person) -> (hushwire_proto::ids::ChangeHash, u64) {
    let entries = person.engine().group_entries(the_group(person)).unwrap();
    let last = entries.last().unwrap();
    (last.hash, last.height)
}

pub(crate) fn change(world: &mut World, person: &mut Person, ops: Vec<Op>) {
    let group = the_group(person);
    let answer = world.command(person, Command::ChangeGroup { group, ops });
    assert_eq!(answer, Answer::Done);
}

pub(crate) fn say(world: &mut World, person: &mut Person, text: &str) -> LocalId {
    let to = the_group(person);
    match world.command(person, Command::Send { to, text: text.into() }) {
        Answer::Queued(message) => message.id,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn messages(person: &Person) -> Vec<Message> {
    person.engine().history(Some(the_group(person)), Page { limit: 10_000, ..Page::default() }).unwrap()
}

pub(crate) fn heard(person: &Person) -> Vec<String> {
    messages(person).into_iter().map(|message| message.text).collect()
}

pub(crate) fn codes(person: &Person) -> Vec<Reason> {
    let code = |event: &Event| match event {
        Event::Undecryptable { code, .. } => Some(*code),
        _ => None,
    };
    person.events.iter().filter_map(code).collect()
}

/// Everybody whom this person has a row for, whatever they are.
pub(crate) fn rows(person: &Person) -> usize {
    (1..1000).filter(|id| person.engine().contact(ContactId(*id)).unwrap().is_some()).count()
}
