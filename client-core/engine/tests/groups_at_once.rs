//! Groups in which several do something before they hear of each other, or hear of it in another order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::group::{Op, Role};
use hushwire_engine::{Answer, Command, GroupStanding, State};
use world::friends::{
    add, change, group, heard, is_in, meet, members, nothing_went_wrong, say, settle, states, the_group,
};
use world::{Person, World};

#[test]
fn who_was_brought_in_by_somebody_who_was_no_admin_any_more_is_told_so() {
    let mut world = World::seeded(68);
    let (mut people, group) = group(&mut world, &["alice", "bob"]);
    let bob = people[1].engine().profile().unwrap().account;
    let role = |role| Command::ChangeGroup { group, ops: vec![Op::SetRole(bob, role)] };
    assert_eq!(world.command(&mut people[0], role(Role::Admin)), Answer::Done);
    settle(&mut world, &mut people);
    let mut carol = world.person("carol");
    let contact = meet(&mut world, &mut people[1], &mut carol);
    people.push(carol);
    let add = Op::Add(people[1].engine().new_members(&[contact]).unwrap());
    let add = Command::ChangeGroup { group: the_group(&people[1]), ops: vec![add] };
    assert_eq!(world.command(&mut people[0], role(Role::Member)), Answer::Done);
    assert_eq!(world.command(&mut people[1], add), Answer::Done);
    settle(&mut world, &mut people);
    assert_eq!((members(&people[0]), members(&people[1])), (2, 2));
    let at_carol = people[2].engine().group(the_group(&people[2])).unwrap().unwrap();
    assert_eq!(at_carol.standing, GroupStanding::Gone);
}

#[test]
fn who_is_put_out_and_missed_what_came_before_that_hears_that_they_are_out() {
    let mut world = World::seeded(41);
    let (mut people, _) = group(&mut world, &["alice", "bob", "carol"]);
    change(&mut world, &mut people[0], Op::Rename("friends".into()));
    world.settle(&mut [&mut people[0]]);
    world.mailboxes.get_mut(&people[1].mailbox()).unwrap().envelopes.clear();
    let bob = people[1].account();
    change(&mut world, &mut people[0], Op::Remove(bob));
    settle(&mut world, &mut people);
    assert!(!is_in(&people[1]) && members(&people[0]) == 2);
}

#[test]
fn who_leaves_while_an_owner_makes_them_an_admin_hears_whether_they_are_in() {
    let mut came_back = 0;
    for seed in 42..50 {
        let mut world = World::seeded(seed);
        let (mut people, _) = group(&mut world, &["alice", "bob", "carol"]);
        let bob = people[1].account();
        change(&mut world, &mut people[0], Op::SetRole(bob, Role::Admin));
        change(&mut world, &mut people[1], Op::Leave);
        say(&mut world, &mut people[0], "are you there?");
        settle(&mut world, &mut people);
        let is_in = is_in(&people[1]);
        assert_eq!(is_in, members(&people[0]) == 3);
        assert_eq!(heard(&people[1]).len(), usize::from(is_in), "what was said meanwhile comes too");
        came_back += usize::from(is_in);
    }
    assert!((1..8).contains(&came_back), "both ways: {came_back}");
}

#[test]
fn what_a_stranger_says_to_a_group_before_it_is_known_who_is_in_it_is_asked_for() {
    let mut world = World::seeded(52);
    let (mut people, _) = group(&mut world, &["alice", "bob"]);
    people.push(world.person("carol"));
    let [alice, _, carol] = people.as_mut_slice() else { panic!() };
    meet(&mut world, alice, carol);
    add(&mut world, &mut people, 0, "carol");
    let [alice, bob, carol] = people.as_mut_slice() else { panic!() };
    world.settle(&mut [alice]);
    let held = std::mem::take(&mut world.mailboxes.get_mut(&carol.mailbox()).unwrap().envelopes);
    world.settle(&mut [alice, bob]);
    say(&mut world, bob, "hello");
    world.settle(&mut [bob, carol]);
    held.into_iter().for_each(|delivery| world.inject(carol.mailbox(), delivery.envelope));
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[2]), ["hello"]);
}

#[test]
fn what_waits_to_be_sent_is_not_for_whom_comes_meanwhile() {
    let mut world = World::seeded(53);
    let mut people: Vec<Person> = ["alice", "bob", "carol"].map(|name| world.person(name)).into();
    let (alice, others) = people.split_first_mut().unwrap();
    let contacts: Vec<_> = others.iter_mut().map(|other| meet(&mut world, alice, other)).collect();
    let found = Command::FoundGroup { name: "friends".into(), members: vec![contacts[0]] };
    assert!(matches!(world.command(alice, found), Answer::Group(_)));
    say(&mut world, alice, "to bob");
    add(&mut world, &mut people, 0, "carol");
    settle(&mut world, &mut people);
    assert!(is_in(&people[2]));
    assert_eq!((heard(&people[1]), heard(&people[2])), (vec!["to bob".to_owned()], vec![]));
    assert_eq!(states(&people[0]), [State::Delivered], "carol need not have it");
    say(&mut world, &mut people[0], "to both");
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[2]), ["to both"]);
    assert_eq!(states(&people[0]), [State::Delivered; 2]);
    nothing_went_wrong(&people);
}

#[test]
fn who_hears_that_they_are_out_before_they_hear_that_they_were_in_asks_and_is_out() {
    let mut world = World::seeded(54);
    let (mut people, _) = group(&mut world, &["alice", "bob"]);
    let bob = people[1].account();
    change(&mut world, &mut people[0], Op::SetRole(bob, Role::Admin));
    settle(&mut world, &mut people);
    people.push(world.person("carol"));
    let [alice, bob, carol] = people.as_mut_slice() else { panic!() };
    meet(&mut world, bob, carol);
    change(&mut world, alice, Op::Remove(bob.account()));
    add(&mut world, &mut people, 1, "carol");
    let [alice, bob, carol] = people.as_mut_slice() else { panic!() };
    world.settle(&mut [bob]);
    world.settle(&mut [alice, bob]);
    let mut held = std::mem::take(&mut world.mailboxes.get_mut(&carol.mailbox()).unwrap().envelopes);
    held.rotate_right(1);
    for delivery in held {
        world.inject(carol.mailbox(), delivery.envelope);
        world.deliver(carol);
    }
    settle(&mut world, &mut people);
    assert_eq!(members(&people[0]), 1);
    assert!(!is_in(&people[1]) && !is_in(&people[2]));
}

#[test]
fn whom_somebody_put_out_who_was_out_already_hears_that_they_are_in() {
    let mut world = World::seeded(55);
    let (mut people, _) = group(&mut world, &["alice", "bob", "carol"]);
    let [bob, carol] = [1, 2].map(|place| people[place].account());
    change(&mut world, &mut people[0], Op::SetRole(bob, Role::Admin));
    say(&mut world, &mut people[1], "hello");
    settle(&mut world, &mut people);
    change(&mut world, &mut people[0], Op::Remove(bob));
    change(&mut world, &mut people[1], Op::Remove(carol));
    let [_, bob, carol] = people.as_mut_slice() else { panic!() };
    world.settle(&mut [bob, carol]);
    assert!(!is_in(carol), "as bob says");
    settle(&mut world, &mut people);
    say(&mut world, &mut people[0], "are you there?");
    settle(&mut world, &mut people);
    assert!(is_in(&people[2]) && members(&people[0]) == 2);
    assert_eq!(heard(&people[2]), ["hello", "are you there?"]);
    say(&mut world, &mut people[2], "yes");
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[0]), ["hello", "are you there?", "yes"]);
}

#[test]
fn what_one_refused_as_an_outsiders_they_hear_of_those_who_took_it_and_only_read() {
    let mut world = World::seeded(56);
    let (mut people, _) = group(&mut world, &["alice", "bob", "carol"]);
    let [bob, carol] = [1, 2].map(|place| people[place].account());
    change(&mut world, &mut people[0], Op::SetRole(bob, Role::Admin));
    change(&mut world, &mut people[0], Op::SetRole(carol, Role::ReadOnly));
    settle(&mut world, &mut people);
    change(&mut world, &mut people[0], Op::Remove(bob));
    change(&mut world, &mut people[1], Op::Rename("foes".into()));
    let [_, bob, carol] = people.as_mut_slice() else { panic!() };
    world.settle(&mut [bob, carol]);
    settle(&mut world, &mut people);
    let changes = |person: &Person| person.engine().group_entries(the_group(person)).unwrap();
    assert_eq!(changes(&people[0]).len() + 1, changes(&people[2]).len(), "alice took it for an outsider's");
    say(&mut world, &mut people[0], "carol?");
    settle(&mut world, &mut people);
    assert_eq!(changes(&people[0]), changes(&people[2]));
}
