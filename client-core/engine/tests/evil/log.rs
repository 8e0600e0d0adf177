//! Keyservers that lie about handles: what their log does not say is not taken, and a person is told.

use hushwire_engine::{Call, CallFailed, Command, ContactLink, Event, Input, NewContact, Reply};
use hushwire_proto::address::Handle;
use hushwire_proto::ids::LinkHash;
use hushwire_proto::keyserver::{Found, Proven, Refused, RefusedReason};
use hushwire_proto::log::Entry;

use crate::world::{Person, World, server};

/// What a person was told of the keyserver, in a word each.
pub(crate) fn told(person: &Person) -> Vec<&'static str> {
    let lies = person.events.iter().filter_map(|event| match event {
        Event::KeyserverLies { lie, .. } => Some(lie.kind()),
        _ => None,
    });
    lies.collect()
}

pub(crate) fn added(person: &Person) -> usize {
    person.engine().contacts().unwrap().len()
}

/// Alice looks for bob, and is answered this.
pub(crate) fn answer(world: &mut World, alice: &mut Person, reply: impl FnOnce(&World) -> Result<Reply, CallFailed>) {
    let who = NewContact::Handle(Handle::new("bob", server(4432)).unwrap(), server(4432));
    world.command(alice, Command::AddContact { who, name: None });
    let place = alice.calls.iter().position(|(_, call)| matches!(call, Call::Lookup { .. })).unwrap();
    let (call, _) = alice.calls.remove(place).unwrap();
    let reply = reply(world);
    world.input(alice, Input::Replied { call, reply });
}

pub(crate) fn found(world: &World, bob: &Person, proven: Option<Proven>) -> Found {
    let links = world.accounts[&bob.account()].links.clone();
    Found { account: bob.account(), links, handle_name: Some("bob".into()), proven }
}

#[test]
fn what_the_log_does_not_say_of_a_handle_is_not_taken_and_a_person_is_told() {
    let mut world = World::seeded(60);
    let (mut alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    let links = |world: &World, person: &Person| world.accounts[&person.account()].links.clone();
    let honest = world.log.says("bob", &links(&world, &bob));
    let of_carol = world.log.says("carol", &links(&world, &carol));
    let bad = [
        None,                                                                              // no proof
        Some(of_carol),                                                                    // of another handle
        Some(Proven { root: world.log.signed(honest.root.epoch + 9, [9; 32]), ..honest }), // to another root
    ];
    for (tried, proven) in bad.into_iter().enumerate() {
        let found = found(&world, &bob, proven);
        answer(&mut world, &mut alice, |_| Ok(Reply::Found(found)));
        assert_eq!((added(&alice), told(&alice).len()), (0, tried + 1), "{:?}", told(&alice));
    }
    assert_eq!(told(&alice), ["no_proof", "bad_proof", "bad_proof"]);
}

#[test]
fn another_account_than_the_log_names_is_not_taken() {
    let mut world = World::seeded(61);
    let (mut alice, bob, mallory) = (world.person("alice"), world.person("bob"), world.person("mallory"));
    let links = world.accounts[&bob.account()].links.clone();
    let proven = Some(world.log.says("bob", &links));
    let found = found(&world, &mallory, proven);
    answer(&mut world, &mut alice, |_| Ok(Reply::Found(found)));
    assert_eq!((added(&alice), told(&alice)), (0, vec!["not_its_log"]));
}

#[test]
fn a_handle_that_was_proven_once_is_not_left_out_to_get_around_the_log() {
    let mut world = World::seeded(65);
    let (mut alice, bob) = world.friends();
    world.accounts.get_mut(&bob.account()).unwrap().handle = None;
    let link = ContactLink { account: bob.account(), keyserver: server(4432) };
    world.command(&mut alice, Command::AddContact { who: NewContact::Link(link), name: None });
    world.settle(&mut [&mut alice]);
    assert_eq!(told(&alice), ["no_proof"]);
    assert!(!alice.contact("bob").verified);
}

#[test]
fn nobody_is_believed_to_be_nobody_without_a_proof() {
    let mut world = World::seeded(62);
    let (mut alice, bob) = (world.person("alice"), world.person("bob"));
    let refused = Refused { reason: RefusedReason::Unknown, detail: String::new(), retry_after_ms: 0 };
    answer(&mut world, &mut alice, |_| Err(CallFailed::Keyserver(refused)));
    let not_found =
        |event: &Event| matches!(event, Event::ContactNotFound { reason, .. } if reason.contains("not prove"));
    assert!(alice.events.iter().any(not_found));
    let absence = world.log.absence("bob"); // of the log before bob
    let links = world.accounts[&bob.account()].links.clone();
    let root = world.log.says("bob", &links).root;
    answer(&mut world, &mut alice, |_| Ok(Reply::Absent(Proven { root, ..absence })));
    assert_eq!(told(&alice), ["bad_proof"]);
}

#[test]
fn a_log_that_was_set_back_or_that_is_another_for_others_is_told_and_nothing_of_it_is_taken() {
    let mut world = World::seeded(63);
    let (mut alice, bob) = (world.person("alice"), world.person("bob"));
    let links = world.accounts[&bob.account()].links.clone();
    let before = world.log.says("bob", &links);
    let after = {
        let entry = Entry { account: bob.account(), head: LinkHash([5; 32]), version: 0 };
        world.log.publish("somebody", entry);
        world.log.absence("nobody")
    };
    let epoch = after.root.epoch;
    answer(&mut world, &mut alice, |_| Ok(Reply::Absent(after)));
    let known = told(&alice).len();
    let set_back = found(&world, &bob, Some(before.clone()));
    answer(&mut world, &mut alice, |_| Ok(Reply::Found(set_back)));
    let two = found(&world, &bob, Some(Proven { root: world.log.signed(epoch, [1; 32]), ..before }));
    alice.crash(); // what it has seen, it remembers
    answer(&mut world, &mut alice, |_| Ok(Reply::Found(two)));
    let told = told(&alice);
    assert_eq!(added(&alice), 0);
    assert!(told[known..].contains(&"set_back"), "{told:?}");
    assert!(told[known..].contains(&"two_roots"), "{told:?}");
}

#[test]
fn an_answer_that_a_later_one_overtook_is_no_lie() {
    let mut world = World::seeded(66);
    let (mut alice, bob) = (world.person("alice"), world.person("bob"));
    let links = world.accounts[&bob.account()].links.clone();
    let who = |name: &str| NewContact::Handle(Handle::new(name, server(4432)).unwrap(), server(4432));
    for name in ["bob", "nobody"] {
        world.command(&mut alice, Command::AddContact { who: who(name), name: None });
    }
    let mut asked = Vec::new();
    while let Some(place) = alice.calls.iter().position(|(_, call)| matches!(call, Call::Lookup { .. })) {
        asked.push(alice.calls.remove(place).unwrap().0);
    }
    let [of_bob, of_nobody] = asked[..] else { panic!("two questions, not {asked:?}") };
    let first = found(&world, &bob, Some(world.log.says("bob", &links)));
    let entry = Entry { account: bob.account(), head: LinkHash([5; 32]), version: 0 };
    world.log.publish("somebody", entry);
    let later = world.log.absence("nobody");
    assert!(later.root.epoch > first.proven.as_ref().unwrap().root.epoch);
    world.input(&mut alice, Input::Replied { call: of_nobody, reply: Ok(Reply::Absent(later)) });
    world.input(&mut alice, Input::Replied { call: of_bob, reply: Ok(Reply::Found(first.clone())) });
    assert_eq!((told(&alice), added(&alice)), (vec![], 1));
    // Asked from here on, the same answer is one of a log that was set back.
    answer(&mut world, &mut alice, |_| Ok(Reply::Found(first)));
    assert!(told(&alice).contains(&"set_back"), "{:?}", told(&alice));
}

#[test]
fn whoever_says_something_of_our_handle_that_we_have_not_signed_is_found_out_within_a_day() {
    let mut world = World::seeded(64);
    let mut alice = world.person("alice");
    world.settle(&mut [&mut alice]);
    assert_eq!(told(&alice), [""; 0]);
    let forged = Entry { account: alice.account(), head: LinkHash([6; 32]), version: 1 };
    world.log.publish("alice", forged);
    world.wait(25 * 3600 * 1000);
    world.settle(&mut [&mut alice]);
    assert_eq!(told(&alice), ["our_list_forged"]);
    // Also if it says the right thing again.
    alice.crash();
    world.settle(&mut [&mut alice]);
    assert!(told(&alice).len() > 1, "{:?}", told(&alice));
}
