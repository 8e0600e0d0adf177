//! Evil keyservers: what they name, give out and claim to have.

use hushwire_engine::{Answer, Call, CallId, Command, Input, NewContact, Reply, State};
use hushwire_proto::address::Handle;
use hushwire_proto::keyserver::{Found, Stock};

use crate::world::peer::{Peer, text};
use crate::world::{World, server};
use crate::{dropped, link_of};

const DAY_MS: u64 = 24 * 3600 * 1000;

#[test]
fn who_was_away_for_weeks_opens_first_messages_of_all_that_time() {
    let mut world = World::seeded(40);
    let (mut alice, mut carol, mut bob) = (world.person("alice"), world.person("carol"), world.person("bob"));
    for name in ["alice", "carol"] {
        let writer = if name == "alice" { &mut alice } else { &mut carol };
        if name == "carol" {
            let publish = &mut world.accounts.get_mut(&bob.account()).unwrap().publish;
            publish.one_time.clear();
            publish.one_time_kyber.clear();
        }
        world.wait(20 * DAY_MS);
        world.add(writer, "bob");
        world.send(writer, "bob", name);
        world.settle(&mut [writer]);
    }
    bob.crash();
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.shown(), ["alice", "carol"]);
}

#[test]
fn prekeys_that_nobody_can_name_any_more_are_forgotten() {
    let mut world = World::seeded(41);
    let mut bob = world.person("bob");
    let mut peer = Peer::new(&mut world);
    peer.begin(&mut world, &bob);
    let inside = peer.inside(&mut world, &bob, &text(1, "under a key of 160 days ago"));
    let envelope = peer.seal(&mut world, &bob, &inside);
    for _ in 0..20 {
        world.wait(8 * DAY_MS);
        world.settle(&mut [&mut bob]);
    }
    world.inject(bob.mailbox(), envelope);
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.shown(), [""; 0]);
    assert_eq!(dropped(&bob), 1);
}

#[test]
fn a_keyserver_that_always_says_it_has_no_prekeys_is_not_published_to_for_ever() {
    let mut world = World::seeded(42);
    let mut bob = world.person("bob");
    let mut published = 0;
    bob.crash();
    world.input(&mut bob, Input::Tick);
    for _ in 0..200 {
        let Some((id, call)) = bob.calls.pop_front() else { break };
        published += usize::from(matches!(call, Call::Publish { .. }));
        let stock = Stock { one_time: 0, one_time_kyber: 0, signed_prekey_id: None };
        world.input(&mut bob, Input::Replied { call: id, reply: Ok(Reply::Stock(stock)) });
    }
    assert_eq!(published, 1);
}

#[test]
fn who_asks_for_prekeys_and_never_writes_makes_us_make_only_so_many() {
    let mut world = World::seeded(43);
    let mut bob = world.person("bob");
    let mut made = 0;
    for _ in 0..40 {
        let publish = &mut world.accounts.get_mut(&bob.account()).unwrap().publish;
        made += publish.one_time.len();
        publish.one_time.clear();
        publish.one_time_kyber.clear();
        bob.crash();
        world.settle(&mut [&mut bob]);
    }
    assert_eq!(made, 1_000);
}

#[test]
fn another_keyserver_cannot_rename_or_move_a_contact_we_know() {
    let mut world = World::seeded(44);
    let (mut alice, bob) = world.friends();
    let evil = server(6666);
    let who = NewContact::Handle(Handle::new("eve", evil.clone()).unwrap(), evil.clone());
    world.command(&mut alice, Command::AddContact { who, name: None });
    let (id, _) = alice.calls.pop_front().unwrap();
    let links = world.accounts[&bob.account()].links.clone();
    let proven = Some(world.log.says("eve", &links));
    let found = Found { account: bob.account(), links, handle_name: Some("eve".into()), proven };
    world.input(&mut alice, Input::Replied { call: id, reply: Ok(Reply::Found(found)) });
    assert!(alice.contact("bob").handle.unwrap().starts_with("bob@"));
    world.send(&mut alice, "bob", "hello");
    let asked = alice.calls.iter().find_map(|(_, call)| match call {
        Call::Fetch { keyserver, .. } => Some(keyserver.clone()),
        _ => None,
    });
    assert_eq!(asked, Some(server(4432)));
}

#[test]
fn a_name_that_a_keyserver_gives_is_a_handle_or_is_not_shown() {
    let mut world = World::seeded(45);
    let mut bob = world.person("bob");
    let peer = Peer::new(&mut world);
    peer.publish(&mut world);
    world.accounts.get_mut(&peer.account()).unwrap().handle = Some("b\u{200b}ob\u{202e}".into());
    let who = link_of(&world, &peer);
    let answer = world.command(&mut bob, Command::AddContact { who, name: None });
    assert_eq!(answer, Answer::Done);
    world.settle(&mut [&mut bob]);
    assert!(bob.only_contact().name.starts_with("unknown-"));
}

#[test]
fn an_answer_that_nobody_asked_for_or_of_another_kind_changes_nothing() {
    let mut world = World::seeded(46);
    let (mut alice, bob) = world.friends();
    world.send(&mut alice, "bob", "hello");
    let (id, _) = alice.calls.pop_front().unwrap();
    world.input(&mut alice, Input::Replied { call: CallId(u64::MAX), reply: Ok(Reply::Stored) });
    world.input(&mut alice, Input::Replied { call: id, reply: Ok(Reply::Registered) });
    world.input(&mut alice, Input::Replied { call: id, reply: Ok(Reply::Bundles(Vec::new())) });
    assert_eq!(alice.states(), [State::Queued]);
    world.wait(60_000);
    let mut bob = bob;
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["hello"]);
}
