//! Groups some of whose changes never came: whoever lacks them, and whoever nobody has heard of, is told once somebody writes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::GroupEntry;
use hushwire_engine::group::{Op, Role};
use world::friends::{change, group, is_in, meet, members, say, settle, the_group};
use world::{Person, World};

fn changes(person: &Person) -> Vec<GroupEntry> {
    person.engine().group_entries(the_group(person)).unwrap()
}

/// What waits for them at their relay is lost.
fn loses_all(world: &mut World, whom: &Person) {
    let held = world.mailboxes.get_mut(&whom.mailbox()).unwrap();
    assert!(!held.envelopes.is_empty(), "nothing waits for {}", whom.name);
    held.envelopes.clear();
}

fn agree_once_the_first_writes(world: &mut World, people: &mut [Person]) {
    settle(world, people);
    assert_ne!(changes(&people[1]), changes(&people[0]));
    say(world, &mut people[0], "hello");
    settle(world, people);
    assert_eq!(changes(&people[1]), changes(&people[0]));
}

#[test]
fn who_never_got_what_came_before_a_change_asks_again_when_somebody_writes() {
    let mut world = World::seeded(71);
    let (mut people, _) = group(&mut world, &["alice", "bob"]);
    change(&mut world, &mut people[0], Op::Rename("friends".into()));
    world.settle(&mut [&mut people[0]]);
    loses_all(&mut world, &people[1]);
    change(&mut world, &mut people[0], Op::Announce(true));
    // He asks for what comes before it, and the answer is lost too.
    world.settle(&mut [&mut people[0]]);
    world.settle(&mut [&mut people[1]]);
    world.settle(&mut [&mut people[0]]);
    loses_all(&mut world, &people[1]);
    agree_once_the_first_writes(&mut world, &mut people);
}

#[test]
fn what_somebody_changed_who_only_reads_is_told_to_who_writes_and_never_heard_of_it() {
    let mut world = World::seeded(72);
    let (mut people, _) = group(&mut world, &["alice", "bob"]);
    let bob = people[1].account();
    change(&mut world, &mut people[1], Op::SetRole(bob, Role::ReadOnly));
    world.settle(&mut [&mut people[1]]);
    loses_all(&mut world, &people[0]);
    agree_once_the_first_writes(&mut world, &mut people);
}

#[test]
fn whom_somebody_put_out_before_they_left_hears_it_of_them_once_they_write() {
    let mut world = World::seeded(73);
    let (mut people, _) = group(&mut world, &["alice", "bob"]);
    let bob = people[1].account();
    change(&mut world, &mut people[0], Op::Remove(bob));
    change(&mut world, &mut people[0], Op::Leave);
    world.settle(&mut [&mut people[0]]);
    loses_all(&mut world, &people[1]);
    settle(&mut world, &mut people);
    assert!(is_in(&people[1]) && !is_in(&people[0]));
    say(&mut world, &mut people[1], "hello");
    settle(&mut world, &mut people);
    assert!(!is_in(&people[1]));
}

#[test]
fn who_was_brought_in_by_an_admin_who_was_none_any_more_hears_it_of_them_once_they_write() {
    let mut world = World::seeded(74);
    let (mut people, _) = group(&mut world, &["alice", "bob"]);
    let bob = people[1].account();
    change(&mut world, &mut people[0], Op::SetRole(bob, Role::Admin));
    settle(&mut world, &mut people);
    let mut carol = world.person("carol");
    let contact = meet(&mut world, &mut people[1], &mut carol);
    people.push(carol);
    change(&mut world, &mut people[0], Op::SetRole(bob, Role::Member));
    let carol = Op::Add(people[1].engine().new_members(&[contact]).unwrap());
    change(&mut world, &mut people[1], carol);
    let [alice, bob, carol] = people.as_mut_slice() else { panic!() };
    world.settle(&mut [bob, carol]);
    world.settle(&mut [alice, bob]);
    loses_all(&mut world, carol);
    settle(&mut world, &mut people);
    assert!(is_in(&people[2]) && members(&people[0]) == 2 && members(&people[1]) == 2);
    say(&mut world, &mut people[2], "hello");
    settle(&mut world, &mut people);
    assert!(!is_in(&people[2]));
}
