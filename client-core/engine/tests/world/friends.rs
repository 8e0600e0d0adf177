//! A group called "friends", and what people do there.

use hushwire_engine::group::Op;
use hushwire_engine::{Answer, Command, ContactId, ConversationId, Event, GroupStanding, Message, Page, State};

use super::{Person, World};

/// So many people, of whom the first knows all others and has founded a group with them.
pub fn group(world: &mut World, names: &[&'static str]) -> (Vec<Person>, ConversationId) {
    let mut people: Vec<Person> = names.iter().map(|name| world.person(name)).collect();
    let (first, others) = people.split_first_mut().unwrap();
    let members = others.iter_mut().map(|other| meet(world, first, other)).collect();
    let answer = world.command(first, Command::FoundGroup { name: "friends".into(), members });
    let Answer::Group(group) = answer else { panic!("{answer:?}") };
    settle(world, &mut people);
    (people, group)
}

/// Nobody is brought into a group by strangers.
pub fn meet(world: &mut World, one: &mut Person, other: &mut Person) -> ContactId {
    world.add(other, one.name);
    world.add(one, other.name).id
}

pub fn settle(world: &mut World, people: &mut [Person]) {
    // Held back receipts, and answers to what was asked for.
    for _ in 0..4 {
        let mut all: Vec<&mut Person> = people.iter_mut().collect();
        world.settle(&mut all);
        world.wait(60_000);
    }
}

pub fn the_group(person: &Person) -> ConversationId {
    let all = person.engine().conversations().unwrap();
    all.into_iter().find(|conversation| conversation.name == "friends").unwrap().id
}

pub fn say(world: &mut World, person: &mut Person, text: &str) {
    let to = the_group(person);
    let answer = world.command(person, Command::Send { to, text: text.into() });
    assert!(matches!(answer, Answer::Queued(_)), "{answer:?}");
}

pub fn messages(person: &Person) -> Vec<Message> {
    let page = Page { limit: 1000, ..Page::default() };
    person.engine().history(Some(the_group(person)), page).unwrap()
}

pub fn heard(person: &Person) -> Vec<String> {
    messages(person).into_iter().map(|message| message.text).collect()
}

pub fn members(person: &Person) -> usize {
    person.engine().group(the_group(person)).unwrap().unwrap().state.members.len()
}

pub fn troubles(person: &Person) -> Vec<&Event> {
    let bad = |event: &&Event| matches!(event, Event::Undecryptable { .. } | Event::Gap { .. });
    person.events.iter().filter(bad).collect()
}

pub fn nothing_went_wrong(people: &[Person]) {
    for person in people {
        assert_eq!(troubles(person), Vec::<&Event>::new(), "{}", person.name);
    }
}

pub fn change(world: &mut World, person: &mut Person, op: Op) {
    let group = the_group(person);
    let answer = world.command(person, Command::ChangeGroup { group, ops: vec![op] });
    assert_eq!(answer, Answer::Done, "{}", person.name);
}

pub fn is_in(person: &Person) -> bool {
    person.engine().group(the_group(person)).unwrap().unwrap().standing == GroupStanding::Member
}

pub fn add(world: &mut World, people: &mut [Person], who: usize, whom: &str) {
    let op = Op::Add(people[who].engine().new_members(&[people[who].contact(whom).id]).unwrap());
    change(world, &mut people[who], op);
}

pub fn states(person: &Person) -> Vec<State> {
    messages(person).into_iter().filter(|message| message.outgoing).map(|message| message.state).collect()
}
