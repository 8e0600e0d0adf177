//! Groups of honest people: who is in them, who reads what, and what they are told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unreachable_pub)]

mod world;

use hushwire_engine::group::{GroupLink, Op, Role};
use hushwire_engine::{Answer, Command, Event, GroupStanding, State};
use world::friends::{
    add, change, group, heard, is_in, meet, members, messages, nothing_went_wrong, say, settle, states, the_group,
    troubles,
};
use world::{Person, World};

#[test]
fn what_one_says_to_a_group_everybody_hears_once_and_it_is_told_how_far_it_came() {
    let mut world = World::seeded(60);
    let (mut people, group) = group(&mut world, &["alice", "bob", "carol", "dave"]);
    for person in &people {
        assert_eq!(members(person), 4, "{}", person.name);
    }
    for place in 0..4 {
        let text = format!("I am {}", people[place].name);
        say(&mut world, &mut people[place], &text);
        settle(&mut world, &mut people);
    }
    let expected: Vec<String> = people.iter().map(|person| format!("I am {}", person.name)).collect();
    for person in &people {
        assert_eq!(heard(person), expected, "{}", person.name);
    }
    nothing_went_wrong(&people);
    assert_eq!(states(&people[0]), [State::Delivered]);
    for person in people.iter_mut().skip(1) {
        let conversation = the_group(person);
        let through = messages(person).last().unwrap().id;
        world.command(person, Command::MarkRead { conversation, through });
    }
    settle(&mut world, &mut people);
    assert_eq!(states(&people[0]), [State::Read]);
    let message = messages(&people[0]).into_iter().find(|message| message.outgoing).unwrap();
    assert_eq!(people[0].engine().heard(message.id).unwrap().len(), 3);
    assert_eq!(the_group(&people[0]), group);
    let authors: Vec<String> = messages(&people[3]).into_iter().map(|message| message.author_name).collect();
    assert_eq!(authors, ["alice", "~bob", "~carol", ""], "whom dave only knows from here is marked");
}

#[test]
fn who_is_put_out_reads_nothing_that_is_said_afterwards_and_who_comes_nothing_from_before() {
    let mut world = World::seeded(61);
    let (mut people, group) = group(&mut world, &["alice", "bob", "carol"]);
    say(&mut world, &mut people[1], "before");
    settle(&mut world, &mut people);
    let carol = people[2].engine().profile().unwrap().account;
    assert_eq!(
        world.command(&mut people[0], Command::ChangeGroup { group, ops: vec![Op::Remove(carol)] }),
        Answer::Done
    );
    settle(&mut world, &mut people);
    assert!(people[2].events.iter().any(|event| matches!(event, Event::GroupLeft { .. })));
    assert_eq!(people[2].engine().group(the_group(&people[2])).unwrap().unwrap().standing, GroupStanding::Gone);
    let seen = world.seen.len();
    for place in [0, 1] {
        say(&mut world, &mut people[place], "without carol");
    }
    settle(&mut world, &mut people);
    assert!(world.seen.len() > seen);
    assert_eq!(heard(&people[2]), ["before"]);
    let to = the_group(&people[2]);
    let answer = world.command(&mut people[2], Command::Send { to, text: "still here".into() });
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");

    let mut dave = world.person("dave");
    let contact = meet(&mut world, &mut people[0], &mut dave);
    let ops = vec![Op::Add(people[0].engine().new_members(&[contact]).unwrap())];
    assert_eq!(world.command(&mut people[0], Command::ChangeGroup { group, ops }), Answer::Done);
    people.push(dave);
    settle(&mut world, &mut people);
    dave = people.pop().unwrap();
    assert_eq!(heard(&dave), Vec::<String>::new());
    people.push(dave);
    say(&mut world, &mut people[3], "hello from dave");
    settle(&mut world, &mut people);
    for place in [0, 1, 3] {
        assert_eq!(heard(&people[place]).last().unwrap(), "hello from dave", "{}", people[place].name);
    }
    assert_eq!(heard(&people[2]), ["before"]);
    nothing_went_wrong(&people);
}

#[test]
fn whoever_has_a_link_comes_in_and_whoever_leaves_is_out() {
    let mut world = World::seeded(62);
    let (mut people, group) = group(&mut world, &["alice", "bob"]);
    let open = Command::OpenInvite { group, approval: false, expires_at: None, uses: Some(1) };
    let Answer::GroupLink(link) = world.command(&mut people[0], open) else { panic!() };
    let link: GroupLink = link.to_string().parse().unwrap();
    people.push(world.person("erin"));
    world.command(&mut people[2], Command::JoinGroup(Box::new(link)));
    settle(&mut world, &mut people);
    for person in &people {
        assert_eq!(members(person), 3, "{}", person.name);
    }
    say(&mut world, &mut people[2], "hello");
    say(&mut world, &mut people[1], "welcome");
    settle(&mut world, &mut people);
    for person in &people {
        let mut all = heard(person);
        all.sort();
        assert_eq!(all, ["hello", "welcome"], "{}", person.name);
    }
    let leave = Command::ChangeGroup { group: the_group(&people[1]), ops: vec![Op::Leave] };
    assert_eq!(world.command(&mut people[1], leave), Answer::Done);
    settle(&mut world, &mut people);
    assert_eq!((members(&people[0]), members(&people[2])), (2, 2));
    say(&mut world, &mut people[0], "bob is gone");
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[1]).len(), 2);
    assert_eq!(heard(&people[2]).last().unwrap(), "bob is gone");
    nothing_went_wrong(&people);
}

#[test]
fn two_admins_who_change_a_group_at_once_see_the_same_group_in_the_end() {
    let mut world = World::seeded(63);
    let (mut people, group) = group(&mut world, &["alice", "bob", "carol", "dave"]);
    let bob = people[1].engine().profile().unwrap().account;
    let ops = vec![Op::SetRole(bob, Role::Admin)];
    assert_eq!(world.command(&mut people[0], Command::ChangeGroup { group, ops }), Answer::Done);
    settle(&mut world, &mut people);
    let (carol, dave) = (people[2].engine().profile().unwrap().account, people[3].engine().profile().unwrap().account);
    let at_bob = the_group(&people[1]);
    let first = Command::ChangeGroup { group, ops: vec![Op::Remove(carol), Op::Rename("friends".into())] };
    let second = Command::ChangeGroup { group: at_bob, ops: vec![Op::Remove(dave)] };
    assert_eq!(world.command(&mut people[0], first), Answer::Done);
    assert_eq!(world.command(&mut people[1], second), Answer::Done);
    settle(&mut world, &mut people);
    let state = |person: &Person| person.engine().group(the_group(person)).unwrap().unwrap().state;
    assert_eq!(state(&people[0]), state(&people[1]));
    assert_eq!(state(&people[0]).members.len(), 2);
    say(&mut world, &mut people[1], "only us two");
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[0]), ["only us two"]);
    assert_eq!((heard(&people[2]).len(), heard(&people[3]).len()), (0, 0));
    nothing_went_wrong(&people);
}

#[test]
fn who_comes_later_misses_nothing_and_is_told_of_no_gap() {
    let mut world = World::seeded(64);
    let (mut people, group) = group(&mut world, &["alice", "bob"]);
    for number in 0..3 {
        say(&mut world, &mut people[0], &format!("old {number}"));
    }
    settle(&mut world, &mut people);
    let mut carol = world.person("carol");
    let contact = meet(&mut world, &mut people[0], &mut carol);
    people.push(carol);
    let ops = vec![Op::Add(people[0].engine().new_members(&[contact]).unwrap())];
    assert_eq!(world.command(&mut people[0], Command::ChangeGroup { group, ops }), Answer::Done);
    settle(&mut world, &mut people);
    for number in 0..3 {
        say(&mut world, &mut people[0], &format!("new {number}"));
    }
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[2]), ["new 0", "new 1", "new 2"]);
    nothing_went_wrong(&people);
}

#[test]
fn what_a_relay_withholds_from_one_member_is_missed_asked_for_and_shown_once() {
    let mut world = World::seeded(65);
    let (mut people, _) = group(&mut world, &["alice", "bob", "carol"]);
    say(&mut world, &mut people[0], "one");
    settle(&mut world, &mut people);
    say(&mut world, &mut people[0], "two");
    world.settle(&mut [&mut people[0]]);
    let bob = people[1].mailbox();
    world.mailboxes.get_mut(&bob).unwrap().envelopes.clear();
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[1]), ["one"]);
    say(&mut world, &mut people[0], "three");
    settle(&mut world, &mut people);
    assert!(people[1].events.iter().any(|event| matches!(event, Event::Gap { missing: 1, .. })));
    for person in &people {
        assert_eq!(heard(person), ["one", "two", "three"], "{}", person.name);
    }
    let shown = people[1].shown();
    assert_eq!(shown.iter().filter(|text| *text == "three").count(), 1, "{shown:?}");
    assert!(states(&people[0]).iter().all(|state| *state >= State::Delivered), "{:?}", states(&people[0]));
}

#[test]
fn who_is_put_out_and_never_heard_of_it_is_told_once_they_write() {
    let mut world = World::seeded(69);
    let (mut people, group) = group(&mut world, &["alice", "bob", "carol"]);
    let carol = people[2].account();
    let remove = Command::ChangeGroup { group, ops: vec![Op::Remove(carol)] };
    assert_eq!(world.command(&mut people[0], remove), Answer::Done);
    let (first, last) = people.split_at_mut(2);
    let (alice, bob) = first.split_at_mut(1);
    world.settle(&mut [&mut alice[0], &mut bob[0]]);
    world.mailboxes.get_mut(&last[0].mailbox()).unwrap().envelopes.clear();
    settle(&mut world, &mut people);
    assert!(is_in(&people[2]), "a relay kept it from her");
    say(&mut world, &mut people[2], "hello");
    settle(&mut world, &mut people);
    assert!(!is_in(&people[2]));
    for person in &people[..2] {
        assert_eq!(heard(person), Vec::<String>::new(), "{}", person.name);
    }
}

#[test]
fn whoever_is_not_in_a_group_changes_nothing_in_it() {
    let mut world = World::seeded(66);
    let (mut people, group) = group(&mut world, &["alice", "bob", "carol"]);
    let carol = people[2].engine().profile().unwrap().account;
    let remove = Command::ChangeGroup { group, ops: vec![Op::Remove(carol)] };
    // Carol has not heard of it when she brings somebody in.
    let mallory = {
        let mut mallory = world.person("mallory");
        let contact = meet(&mut world, &mut people[2], &mut mallory);
        let ops = vec![Op::Rename("mallory's".into())];
        let at_carol = the_group(&people[2]);
        let answer = world.command(&mut people[2], Command::ChangeGroup { group: at_carol, ops });
        assert!(matches!(answer, Answer::Refused(_)), "a member is no admin: {answer:?}");
        let ops = vec![Op::Add(people[2].engine().new_members(&[contact]).unwrap())];
        let answer = world.command(&mut people[2], Command::ChangeGroup { group: at_carol, ops });
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
        mallory
    };
    assert_eq!(world.command(&mut people[0], remove), Answer::Done);
    people.push(mallory);
    settle(&mut world, &mut people);
    assert_eq!((members(&people[0]), members(&people[1])), (2, 2));
    let leave = Command::ChangeGroup { group: the_group(&people[2]), ops: vec![Op::Leave] };
    assert!(matches!(world.command(&mut people[2], leave), Answer::Refused(_)));
}

#[test]
fn members_who_were_away_for_29_days_read_all_of_it() {
    let mut world = World::seeded(67);
    let (mut people, _) = group(&mut world, &["alice", "bob", "carol", "dave", "erin"]);
    for day in 0..29 {
        for place in [0, 1] {
            let text = format!("day {day} {}", people[place].name);
            say(&mut world, &mut people[place], &text);
        }
        let (alice, others) = people.split_first_mut().unwrap();
        let mut there = [alice, &mut others[0]];
        world.settle(&mut there);
        world.wait(24 * 3600 * 1000);
    }
    for person in people.iter().skip(2) {
        assert_eq!(heard(person), Vec::<String>::new(), "{}", person.name);
    }
    settle(&mut world, &mut people);
    for person in &people {
        assert_eq!(heard(person).len(), 58, "{}: {:?} {:?}", person.name, heard(person), troubles(person));
    }
    nothing_went_wrong(&people);
    assert!(states(&people[0]).iter().all(|state| *state == State::Delivered));
}

#[test]
fn who_was_put_out_and_is_added_again_reads_what_is_said_from_then_on() {
    let mut world = World::seeded(67);
    let (mut people, group) = group(&mut world, &["alice", "bob", "carol"]);
    say(&mut world, &mut people[1], "before");
    settle(&mut world, &mut people);
    let carol = people[2].engine().profile().unwrap().account;
    let remove = Command::ChangeGroup { group, ops: vec![Op::Remove(carol)] };
    assert_eq!(world.command(&mut people[0], remove), Answer::Done);
    settle(&mut world, &mut people);
    say(&mut world, &mut people[1], "without carol");
    settle(&mut world, &mut people);
    let contact = people[0].contact("carol").id;
    let add = Op::Add(people[0].engine().new_members(&[contact]).unwrap());
    let add = Command::ChangeGroup { group, ops: vec![add] };
    assert_eq!(world.command(&mut people[0], add), Answer::Done);
    settle(&mut world, &mut people);
    assert_eq!(people[2].engine().group(the_group(&people[2])).unwrap().unwrap().standing, GroupStanding::Member);
    for place in [0, 1, 2] {
        let text = format!("{} again", people[place].name);
        say(&mut world, &mut people[place], &text);
        settle(&mut world, &mut people);
    }
    assert_eq!(heard(&people[2]), ["before", "alice again", "bob again", "carol again"]);
    assert_eq!(heard(&people[0]).last().unwrap(), "carol again");
    nothing_went_wrong(&people);
}

#[test]
fn what_is_deleted_before_a_member_can_be_reached_is_not_said_to_them_any_more() {
    let mut world = World::seeded(70);
    let mut people: Vec<Person> = ["alice", "bob", "carol"].map(|name| world.person(name)).into();
    let (alice, others) = people.split_first_mut().unwrap();
    let members = others.iter_mut().map(|other| meet(&mut world, alice, other)).collect();
    let carol = others[1].engine().profile().unwrap();
    let keys = |world: &mut World| world.accounts.get_mut(&carol.account).unwrap().of(carol.device).clone();
    let published = keys(&mut world);
    *world.accounts.get_mut(&carol.account).unwrap().of(carol.device) = hushwire_proto::keyserver::Publish::default();
    let answer = world.command(alice, Command::FoundGroup { name: "friends".into(), members });
    assert!(matches!(answer, Answer::Group(_)), "{answer:?}");
    for text in ["stays", "goes"] {
        settle(&mut world, &mut people);
        say(&mut world, &mut people[0], text);
    }
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[1]), ["stays", "goes"], "who cannot be reached holds up nobody");
    assert!(states(&people[0]).iter().all(|state| *state >= State::Sent));
    let goes = messages(&people[0]).last().unwrap().id;
    assert_eq!(world.command(&mut people[0], Command::DeleteHere(goes)), Answer::Done);
    *world.accounts.get_mut(&carol.account).unwrap().of(carol.device) = published;
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[2]), ["stays"]);
}

#[test]
fn who_was_away_gives_a_newcomer_nothing_that_they_said_before_also_if_both_had_been_in_before() {
    let mut world = World::seeded(40);
    let (mut people, _) = group(&mut world, &["alice", "bob", "carol"]);
    change(&mut world, &mut people[1], Op::Leave);
    change(&mut world, &mut people[2], Op::Leave);
    settle(&mut world, &mut people);
    add(&mut world, &mut people, 0, "bob");
    settle(&mut world, &mut people);
    say(&mut world, &mut people[1], "before");
    settle(&mut world, &mut people);
    add(&mut world, &mut people, 0, "carol");
    settle(&mut world, &mut people);
    say(&mut world, &mut people[1], "after");
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[2]), ["after"]);
    nothing_went_wrong(&people);
}

#[test]
fn what_is_said_before_a_member_could_be_looked_up_comes_to_them_all_the_same() {
    let mut world = World::seeded(51);
    let (mut people, _) = group(&mut world, &["alice", "bob", "carol"]);
    world.keyserver_down = true;
    say(&mut world, &mut people[1], "to both");
    settle(&mut world, &mut people);
    assert_eq!((heard(&people[0]).len(), heard(&people[2]).len()), (1, 0));
    world.keyserver_down = false;
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[2]), ["to both"]);
}
