//! A relay that has too much to do tells whoever deposits when to come back: until then it is asked for no deposit, whoever it
//! is for.
//!
//! Spec: relay §8.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{Call, CallFailed, Event, Input};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::relay::{Refused, RefusedReason};
use world::{Person, World, server};

/// The relay of everybody but dave.
const BUSY: u16 = 4431;

/// That of dave.
const OTHER: u16 = 4433;

/// Alice, who has written with the others: bob, carol, and dave, who is at another relay.
fn people(world: &mut World) -> [Person; 4] {
    let (mut alice, mut bob) = world.friends();
    let (mut carol, mut dave) = (world.person("carol"), world.person_at("dave", OTHER));
    for name in ["bob", "carol", "dave"] {
        if name != "bob" {
            world.add(&mut alice, name);
        }
        world.send(&mut alice, name, "hello");
    }
    world.settle(&mut [&mut alice, &mut bob, &mut carol, &mut dave]);
    [alice, bob, carol, dave]
}

/// Alice writes to bob, and her deposit is refused: she is to come back after this time. Until when that is.
fn sent_away(world: &mut World, alice: &mut Person, retry_after_ms: u64) -> UnixMillis {
    world.send(alice, "bob", "one");
    let (call, Call::Deposit { .. }) = alice.calls.pop_front().unwrap() else { panic!() };
    let refused = Refused { reason: RefusedReason::Overloaded, detail: String::new(), retry_after_ms };
    world.input(alice, Input::Replied { call, reply: Err(CallFailed::Relay(refused)) });
    world.now.plus(retry_after_ms)
}

/// Where a person wants to deposit.
fn deposits(person: &Person) -> Vec<ServerAddress> {
    let deposits = person.calls.iter().filter_map(|(_, call)| match call {
        Call::Deposit { relay, .. } | Call::DepositMany { relay, .. } => Some(relay.clone()),
        _ => None,
    });
    deposits.collect()
}

#[test]
fn a_relay_that_has_too_much_to_do_gets_no_deposit_for_anybody_before_the_time_it_told() {
    let mut world = World::seeded(70);
    let [mut alice, mut bob, mut carol, mut dave] = people(&mut world);
    let until = sent_away(&mut world, &mut alice, 30_000);
    world.send(&mut alice, "carol", "two");
    assert!(deposits(&alice).is_empty(), "of the same relay");
    world.send(&mut alice, "dave", "three");
    assert_eq!(deposits(&alice), [server(OTHER)]);
    world.settle(&mut [&mut alice, &mut carol, &mut dave]);
    assert_eq!((carol.shown(), dave.shown()), (vec!["hello".into()], vec!["hello".into(), "three".into()]));
    for input in [Input::Tick, Input::Online] {
        world.input(&mut alice, input);
        assert!(deposits(&alice).is_empty() && world.now < until);
        assert_eq!(alice.wake, Some(until));
    }
    world.now = UnixMillis(until.0 - 1);
    world.input(&mut alice, Input::Tick);
    assert!(deposits(&alice).is_empty());
    world.now = until;
    world.input(&mut alice, Input::Tick);
    assert_eq!(deposits(&alice), [server(BUSY), server(BUSY)]);
    world.settle(&mut [&mut alice, &mut bob, &mut carol]);
    assert_eq!((bob.shown(), carol.shown()), (vec!["hello".into(), "one".into()], vec!["hello".into(), "two".into()]));
}

#[test]
fn what_is_no_deposit_does_not_wait_for_a_relay_that_has_too_much_to_do() {
    let mut world = World::seeded(71);
    let [mut alice, mut bob, ..] = people(&mut world);
    let until = sent_away(&mut world, &mut alice, 30_000);
    world.send(&mut bob, "alice", "four");
    world.settle(&mut [&mut bob]);
    assert!(world.deliver(&mut alice));
    assert_eq!(alice.shown(), ["four"]);
    assert!(alice.calls.iter().any(|(_, call)| matches!(call, Call::Acknowledge { .. })));
    let _erin = world.person("erin");
    let begun = alice.events.len();
    world.add(&mut alice, "erin");
    assert!(alice.events[begun..].iter().any(|event| matches!(event, Event::ContactAdded(_))));
    assert!(world.now < until && deposits(&alice).is_empty());
}

#[test]
fn the_newest_time_counts_and_a_clock_that_is_set_back_is_not_waited_for() {
    let mut world = World::seeded(72);
    let [mut alice, ..] = people(&mut world);
    let until = sent_away(&mut world, &mut alice, 5_000);
    world.now = until;
    world.input(&mut alice, Input::Tick);
    assert_eq!(deposits(&alice), [server(BUSY)]);
    let (call, _) = alice.calls.pop_front().unwrap();
    let reason = RefusedReason::Overloaded;
    // For ever is not believed.
    let refused = Refused { reason, detail: String::new(), retry_after_ms: u64::MAX };
    world.input(&mut alice, Input::Replied { call, reply: Err(CallFailed::Relay(refused)) });
    world.send(&mut alice, "carol", "two");
    let told = world.now;
    world.now = UnixMillis(told.0 + 3600 * 1000 - 1);
    world.input(&mut alice, Input::Tick);
    assert!(deposits(&alice).is_empty(), "for an hour");
    world.now = UnixMillis(told.0 - 1000);
    world.input(&mut alice, Input::Tick);
    assert_eq!(deposits(&alice), [server(BUSY)], "to carol");
}
