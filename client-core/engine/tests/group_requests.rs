//! Being put into a group by somebody whom one has not accepted: a person is asked, and nothing else happens before.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::group::Op;
use hushwire_engine::{
    Answer, Command, CommandError, ConversationId, Event, GroupRequest, GroupStanding, LocalRequest, Page, Talk,
};
use world::{Person, World};

fn settle(world: &mut World, people: &mut [Person]) {
    for _ in 0..4 {
        let mut all: Vec<&mut Person> = people.iter_mut().collect();
        world.settle(&mut all);
        world.wait(60_000);
    }
}

/// Mallory, who founds a group with bob and carol. Carol has accepted her; bob knows carol only.
fn founded(world: &mut World, name: &str) -> (Vec<Person>, ConversationId) {
    let (mut mallory, mut bob, mut carol) = (world.person("mallory"), world.person("bob"), world.person("carol"));
    world.add(&mut carol, "mallory");
    world.add(&mut bob, "carol");
    let members = ["bob", "carol"].map(|handle| world.add(&mut mallory, handle).id).to_vec();
    let Answer::Group(group) = world.command(&mut mallory, Command::FoundGroup { name: name.into(), members }) else {
        panic!()
    };
    let mut people = vec![mallory, bob, carol];
    settle(world, &mut people);
    (people, group)
}

fn requests(person: &Person) -> Vec<GroupRequest> {
    person.engine().group_requests().unwrap()
}

fn groups(person: &Person) -> Vec<ConversationId> {
    let all = person.engine().conversations().unwrap();
    all.into_iter().filter(|one| matches!(one.with, Talk::Group(_))).map(|one| one.id).collect()
}

fn invited(person: &Person, group: ConversationId) -> usize {
    person.engine().group(group).unwrap().unwrap().invited.len()
}

fn members(person: &Person) -> usize {
    person.engine().group(groups(person)[0]).unwrap().unwrap().state.members.len()
}

fn say(world: &mut World, person: &mut Person, text: &str) {
    let to = groups(person)[0];
    let answer = world.command(person, Command::Send { to, text: text.into() });
    assert!(matches!(answer, Answer::Queued(_)), "{answer:?}");
}

fn heard(person: &Person) -> Vec<String> {
    let page = Page { limit: 1000, ..Page::default() };
    let mut all: Vec<String> =
        person.engine().history(None, page).unwrap().into_iter().map(|message| message.text).collect();
    all.sort();
    all
}

fn troubles(person: &Person) -> usize {
    person.events.iter().filter(|event| matches!(event, Event::Undecryptable { .. } | Event::Gap { .. })).count()
}

fn asked(person: &Person) -> usize {
    person.events.iter().filter(|event| matches!(event, Event::GroupRequest(_))).count()
}

#[test]
fn who_is_asked_by_a_stranger_sees_who_asks_and_is_in_once_they_accept() {
    let mut world = World::seeded(1);
    let (mut people, group) = founded(&mut world, "friends");
    let [request] = requests(&people[1]).try_into().unwrap();
    assert_eq!((request.name.as_str(), request.members), ("friends", 3));
    assert_eq!(request.known, ["carol"]);
    assert!(request.from.claimed_handle.as_deref().unwrap().starts_with("mallory@"));
    assert_eq!((asked(&people[1]), groups(&people[1]).len()), (1, 0));
    assert_eq!((invited(&people[0], group), invited(&people[2], groups(&people[2])[0])), (1, 0));

    // What is said meanwhile is no trouble to somebody who has not answered.
    say(&mut world, &mut people[0], "before, by mallory");
    say(&mut world, &mut people[2], "before, by carol");
    settle(&mut world, &mut people);
    assert_eq!((heard(&people[1]), troubles(&people[1])), (vec![], 0));
    people[1].crash();

    assert!(matches!(world.command(&mut people[1], Command::AcceptGroup(request.id)), Answer::Group(_)));
    people[1].crash();
    settle(&mut world, &mut people);
    assert!(people[1].events.iter().any(|event| matches!(event, Event::GroupJoined { .. })));
    assert_eq!((requests(&people[1]).len(), invited(&people[0], group), members(&people[1])), (0, 0, 3));
    for (place, text) in [(0, "by mallory"), (1, "by bob"), (2, "by carol")] {
        say(&mut world, &mut people[place], text);
        settle(&mut world, &mut people);
    }
    for person in &people {
        assert_eq!(heard(person), ["before, by carol", "before, by mallory", "by bob", "by carol", "by mallory"]);
        assert_eq!(troubles(person), 0, "{}", person.name);
    }
    let again = world.command(&mut people[1], Command::AcceptGroup(request.id));
    assert_eq!(again, Answer::Refused(CommandError::NoSuchRequest));
}

#[test]
fn who_refuses_is_out_for_all_hears_nothing_and_is_not_asked_again() {
    let mut world = World::seeded(2);
    let (mut people, group) = founded(&mut world, "friends");
    let request = requests(&people[1])[0].id;
    assert_eq!(world.command(&mut people[1], Command::RefuseGroup(request)), Answer::Done);
    people[1].crash();
    settle(&mut world, &mut people);
    assert_eq!((members(&people[0]), members(&people[2])), (2, 2));
    say(&mut world, &mut people[0], "without bob");
    let contacts = vec![people[0].contact("bob").id];
    let add = Op::Add(people[0].engine().new_members(&contacts).unwrap());
    assert_eq!(world.command(&mut people[0], Command::ChangeGroup { group, ops: vec![add] }), Answer::Done);
    say(&mut world, &mut people[2], "with bob?");
    settle(&mut world, &mut people);
    assert_eq!((asked(&people[1]), requests(&people[1]).len(), groups(&people[1]).len()), (1, 0, 0));
    assert_eq!((heard(&people[1]), troubles(&people[1])), (vec![], 0));
    assert_eq!(heard(&people[2]), ["with bob?", "without bob"]);
}

#[test]
fn who_is_blocked_asks_nobody_and_is_told_nothing() {
    let mut world = World::seeded(3);
    let (mut people, group) = founded(&mut world, "friends");
    let from = requests(&people[1])[0].from.id;
    let sent = world.mailboxes[&people[0].mailbox()].last;
    assert_eq!(world.command(&mut people[1], Command::Block(from)), Answer::Done);
    settle(&mut world, &mut people);
    assert_eq!(requests(&people[1]), []);
    assert_eq!(world.mailboxes[&people[0].mailbox()].last, sent);
    let members = vec![people[0].contact("bob").id];
    world.command(&mut people[0], Command::FoundGroup { name: "another".into(), members });
    say(&mut world, &mut people[0], "hello");
    settle(&mut world, &mut people);
    assert_eq!((asked(&people[1]), groups(&people[1]).len()), (1, 0));
    assert_eq!(invited(&people[0], group), 1);
}

#[test]
fn one_stranger_asks_into_few_groups_at_a_time() {
    let mut world = World::seeded(4);
    let (mut people, _) = founded(&mut world, "friends");
    for round in 0..20 {
        let members = vec![people[0].contact("bob").id];
        world.command(&mut people[0], Command::FoundGroup { name: format!("group {round}"), members });
    }
    settle(&mut world, &mut people);
    assert_eq!((requests(&people[1]).len(), asked(&people[1]), groups(&people[1]).len()), (3, 3, 0));
    // Each that is answered makes room for another that comes.
    let request = requests(&people[1])[0].id;
    world.command(&mut people[1], Command::RefuseGroup(request));
    let members = vec![people[0].contact("bob").id];
    world.command(&mut people[0], Command::FoundGroup { name: "one more".into(), members });
    settle(&mut world, &mut people);
    assert_eq!(requests(&people[1]).last().unwrap().name, "one more");
    assert_eq!(requests(&people[1]).len(), 3);
}

#[test]
fn whoever_is_accepted_is_followed_without_a_question_and_seen_to_be_in() {
    let mut world = World::seeded(5);
    let (mut alice, mut bob) = world.friends();
    let members = vec![alice.contact("bob").id];
    let Answer::Group(group) = world.command(&mut alice, Command::FoundGroup { name: "two".into(), members }) else {
        panic!()
    };
    world.settle(&mut [&mut alice]);
    assert_eq!(invited(&alice, group), 1, "bob was not online since");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!((invited(&alice, group), asked(&bob), groups(&bob).len()), (0, 0, 1));
}

#[test]
fn a_group_that_is_known_from_before_is_asked_about_too_and_comes_back_whole() {
    let mut world = World::seeded(6);
    let (mut people, group) = founded(&mut world, "friends");
    let request = requests(&people[1])[0].id;
    world.command(&mut people[1], Command::AcceptGroup(request));
    settle(&mut world, &mut people);
    let leave = Command::ChangeGroup { group: groups(&people[1])[0], ops: vec![Op::Leave] };
    assert_eq!(world.command(&mut people[1], leave), Answer::Done);
    settle(&mut world, &mut people);
    let contacts = vec![people[0].contact("bob").id];
    let add = Op::Add(people[0].engine().new_members(&contacts).unwrap());
    assert_eq!(world.command(&mut people[0], Command::ChangeGroup { group, ops: vec![add] }), Answer::Done);
    settle(&mut world, &mut people);
    let [request] = requests(&people[1]).try_into().unwrap();
    let standing = |person: &Person| person.engine().group(groups(person)[0]).unwrap().unwrap().standing;
    assert_eq!(standing(&people[1]), GroupStanding::Gone);
    world.command(&mut people[1], Command::AcceptGroup(request.id));
    settle(&mut world, &mut people);
    assert_eq!((standing(&people[1]), members(&people[1])), (GroupStanding::Member, 3));
    say(&mut world, &mut people[2], "welcome back");
    settle(&mut world, &mut people);
    assert_eq!(heard(&people[1]), ["welcome back"]);
}

#[test]
fn what_nobody_asked_is_not_answered() {
    let mut world = World::seeded(7);
    let mut bob = world.person("bob");
    for command in [Command::AcceptGroup(LocalRequest(1)), Command::RefuseGroup(LocalRequest(1))] {
        assert_eq!(world.command(&mut bob, command), Answer::Refused(CommandError::NoSuchRequest));
    }
}

#[test]
fn who_asks_by_a_link_and_is_refused_is_told_so_and_may_ask_again() {
    let mut world = World::seeded(7);
    let mut people = vec![world.person("alice"), world.person("erin")];
    let found = Command::FoundGroup { name: "friends".into(), members: vec![] };
    let Answer::Group(group) = world.command(&mut people[0], found) else { panic!() };
    let open = |world: &mut World, alice: &mut Person| {
        let open = Command::OpenInvite { group, approval: true, expires_at: None, uses: None };
        let Answer::GroupLink(link) = world.command(alice, open) else { panic!() };
        Command::JoinGroup(link)
    };
    let erin = people[1].account();
    let told = |person: &Person| {
        let told = person.events.iter().filter_map(|event| match event {
            Event::GroupNotJoined { name, reason } => Some((name.clone(), reason.clone())),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    // The second time as somebody who was in it, and so knows more than the link says.
    for again in [false, true] {
        let join = open(&mut world, &mut people[0]);
        world.command(&mut people[1], join);
        settle(&mut world, &mut people);
        let asks = |person: &Person| person.engine().group(group).unwrap().unwrap().state.requests.contains_key(&erin);
        assert!(asks(&people[0]) && told(&people[1]).is_empty());
        let refuse = Command::ChangeGroup { group, ops: vec![Op::Refuse(erin)] };
        assert_eq!(world.command(&mut people[0], refuse), Answer::Done);
        settle(&mut world, &mut people);
        assert_eq!(
            told(&people[1]),
            [("friends".to_owned(), "an admin refused; to ask again, get a new link".to_owned())]
        );
        people[1].events.clear();
        // A link from before does not know of the refusal.
        let join = open(&mut world, &mut people[0]);
        world.command(&mut people[1], join);
        settle(&mut world, &mut people);
        assert!(asks(&people[0]));
        let admit = Command::ChangeGroup { group, ops: vec![Op::Admit(erin)] };
        assert_eq!(world.command(&mut people[0], admit), Answer::Done);
        settle(&mut world, &mut people);
        assert_eq!((members(&people[0]), members(&people[1])), (2, 2));
        assert_eq!((told(&people[1]).len(), troubles(&people[0]), troubles(&people[1])), (0, 0, 0), "{again}");
        let at_erin = groups(&people[1])[0];
        assert_eq!(
            world.command(&mut people[1], Command::ChangeGroup { group: at_erin, ops: vec![Op::Leave] }),
            Answer::Done
        );
        settle(&mut world, &mut people);
    }
}
