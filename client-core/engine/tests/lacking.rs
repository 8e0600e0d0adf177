//! Who of a group lacks a message, and what it waits for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::group::Op;
use hushwire_engine::{Answer, Command, ContactId, ConversationId, Input, LocalId, Page};
use world::{Person, World};

/// Alice, who has founded a group with Bob and Carol.
fn group(world: &mut World) -> (Vec<Person>, ConversationId) {
    let mut people: Vec<Person> = ["alice", "bob", "carol"].map(|name| world.person(name)).into();
    let (first, others) = people.split_first_mut().unwrap();
    let members = others.iter_mut().map(|other| meet(world, first, other)).collect();
    let answer = world.command(first, Command::FoundGroup { name: "friends".into(), members });
    let Answer::Group(group) = answer else { panic!("{answer:?}") };
    settle(world, &mut people);
    (people, group)
}

fn meet(world: &mut World, one: &mut Person, other: &mut Person) -> ContactId {
    world.add(other, one.name);
    world.add(one, other.name).id
}

fn settle(world: &mut World, people: &mut [Person]) {
    // Held back receipts, and answers to what was asked for.
    for _ in 0..4 {
        world.settle(&mut people.iter_mut().collect::<Vec<_>>());
        world.wait(60_000);
    }
}

fn say(world: &mut World, person: &mut Person, to: ConversationId, text: &str) {
    let answer = world.command(person, Command::Send { to, text: text.into() });
    assert!(matches!(answer, Answer::Queued(_)), "{answer:?}");
}

fn last(person: &Person, of: ConversationId) -> LocalId {
    person.engine().history(Some(of), Page { limit: 1, ..Page::default() }).unwrap()[0].id
}

#[test]
fn it_is_told_who_of_a_group_lacks_a_message_and_for_whose_keys_it_waits() {
    let mut world = World::seeded(90);
    let (mut people, group) = group(&mut world);
    say(&mut world, &mut people[0], group, "before dave");
    world.settle(&mut [&mut people[0]]);
    let first = last(&people[0], group);
    let lacking = |person: &Person, id| -> Vec<String> {
        let all = person.engine().lacked_by(id).unwrap();
        let mut names: Vec<String> = all.into_iter().map(|lacking| lacking.name).collect();
        names.sort();
        names
    };
    assert_eq!(lacking(&people[0], first), ["bob", "carol"]);
    let (alice, others) = people.split_first_mut().unwrap();
    for _ in 0..3 {
        world.settle(&mut [alice, &mut others[0]]);
        world.wait(60_000);
    }
    assert_eq!(lacking(&people[0], first), ["carol"]);
    let mut dave = world.person("dave");
    let contact = meet(&mut world, &mut people[0], &mut dave);
    world.keyserver_down = true;
    let ops = vec![Op::Add(people[0].engine().new_members(&[contact]).unwrap())];
    assert_eq!(world.command(&mut people[0], Command::ChangeGroup { group, ops }), Answer::Done);
    say(&mut world, &mut people[0], group, "hello dave");
    settle(&mut world, &mut people);
    let second = last(&people[0], group);
    assert_eq!(lacking(&people[0], first), Vec::<String>::new(), "who came later does not get it");
    assert_eq!(lacking(&people[0], second), ["dave"]);
    let sealing = people[0].engine().explain(second).unwrap().unwrap().sealing.unwrap();
    let [waits] = sealing.members.try_into().unwrap();
    assert_eq!((waits.contact, waits.without_session), (Some(contact), vec![dave.device()]));
    assert!(waits.attempts > 0 && waits.reason.is_some(), "{:?}", waits.reason);
    assert_eq!(waits.keyserver.to_string(), world::server(4432).to_string());
    world.keyserver_down = false;
    world.input(&mut people[0], Input::Online);
    people.push(dave);
    settle(&mut world, &mut people);
    assert_eq!(lacking(&people[0], second), Vec::<String>::new());
    assert_eq!(people[0].engine().explain(second).unwrap().unwrap().sealing, None);
}
