//! Evil relays: what they answer, withhold, repeat and number anew.

use hushwire_engine::{Call, CallFailed, CallId, Event, Input};
use hushwire_proto::ids::{DepositId, Seq};
use hushwire_proto::relay::{Deliveries, Refused, RefusedReason};

use crate::world::{Person, World};

#[test]
fn a_relay_that_answers_some_deposits_never_is_not_asked_for_others_before_their_time() {
    let mut world = World::seeded(30);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "first");
    world.settle(&mut [&mut alice, &mut bob]);
    for number in 0..3 {
        world.send(&mut alice, "bob", &format!("{number}"));
    }
    let deposits = take_deposits(&mut alice);
    assert_eq!(deposits.len(), 3);
    for (id, _) in &deposits[1..] {
        world.input(&mut alice, Input::Replied { call: *id, reply: Err(overloaded()) });
    }
    for _ in 0..3 {
        world.input(&mut alice, Input::Tick);
    }
    assert_eq!(take_deposits(&mut alice), []);
    assert!(alice.wake.unwrap() > world.now);
}

#[test]
fn a_token_that_is_not_taken_any_more_is_followed_by_the_one_for_strangers_at_once() {
    let mut world = World::seeded(31);
    let (mut alice, mut bob) = world.friends();
    for _ in 0..2 {
        world.send(&mut alice, "bob", "hello");
        world.send(&mut bob, "alice", "hello");
        world.settle(&mut [&mut alice, &mut bob]);
    }
    world.mailboxes.get_mut(&bob.mailbox()).unwrap().tokens.truncate(1);
    let before = world.now;
    for number in 0..5 {
        world.send(&mut alice, "bob", &format!("{number}"));
    }
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown().len(), 7);
    assert!(world.now.since(before) < 10_000);
}

#[test]
fn a_relay_whose_numbers_were_set_back_is_still_heard() {
    let mut world = World::seeded(32);
    let (mut alice, mut bob) = world.friends();
    for number in 0..3 {
        world.send(&mut alice, "bob", &format!("{number}"));
        world.settle(&mut [&mut alice, &mut bob]);
    }
    world.mailboxes.get_mut(&bob.mailbox()).unwrap().last = 0;
    world.send(&mut alice, "bob", "after");
    world.settle(&mut [&mut alice]);
    let mailbox = bob.mailbox();
    let deliveries = world.mailboxes[&mailbox].envelopes.clone();
    let expired_through = Seq(0);
    world.input(&mut bob, Input::Delivered(Deliveries { mailbox, expired_through, deliveries }));
    assert_eq!(bob.shown(), ["0", "1", "2", "after"]);
    assert_eq!(bob.engine().drained_to().unwrap().0, 1);
}

#[test]
fn a_relay_that_lost_its_disk_is_told_the_tokens_anew_and_drained_from_the_beginning() {
    let mut world = World::seeded(33);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "before");
    world.settle(&mut [&mut alice, &mut bob]);
    world.mailboxes.clear();
    world.input(&mut bob, Input::RelaySetBack);
    assert_eq!(bob.engine().drained_to().unwrap(), Seq(0));
    world.settle(&mut [&mut bob]);
    world.send(&mut alice, "bob", "after");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["before", "after"]);
}

#[test]
fn who_was_never_given_anything_tells_the_tokens_again_and_hears_of_what_expired_once() {
    let mut world = World::seeded(35);
    let (mut alice, mut bob) = (world.person("alice"), world.person("bob"));
    let mailbox = bob.mailbox();
    let deliveries = || Deliveries { mailbox, expired_through: Seq(5), deliveries: Vec::new() };
    world.mailboxes.clear();
    for _ in 0..3 {
        world.input(&mut bob, Input::RelayMayBeNew);
        world.input(&mut bob, Input::Delivered(deliveries()));
        world.input(&mut bob, Input::Online);
        assert!(bob.calls.iter().any(|(_, call)| matches!(call, Call::Grant { .. })));
        world.settle(&mut [&mut bob]);
    }
    assert_eq!(bob.events.iter().filter(|event| **event == Event::Expired).count(), 1);
    world.add(&mut alice, "bob");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut alice, "bob", "the first");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["the first"]);
}

#[test]
fn behind_a_deposit_that_failed_nothing_is_called_in_its_turn_and_all_comes_in_order_in_the_next() {
    let mut world = World::seeded(34);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "zero");
    world.settle(&mut [&mut alice, &mut bob]);
    for text in ["one", "two", "three"] {
        world.send(&mut alice, "bob", text);
    }
    let mut calls = turns(&mut alice);
    assert_eq!(calls.iter().map(|(_, turn)| *turn).collect::<Vec<_>>(), [1, 1, 1]);
    let (first, _) = calls.remove(0);
    let lost = Err(CallFailed::Unreachable("lost".into()));
    world.input(&mut alice, Input::Replied { call: first, reply: lost.clone() });
    world.send(&mut alice, "bob", "four");
    assert_eq!(turns(&mut alice), [], "the first waits for its next try, and nothing overtakes it");
    world.wait(1_000);
    world.input(&mut alice, Input::Tick);
    let again = turns(&mut alice);
    assert_eq!(again.iter().map(|(_, turn)| *turn).collect::<Vec<_>>(), [2], "what is still under way is not repeated");
    for (call, _) in calls.into_iter().chain(again) {
        world.input(&mut alice, Input::Replied { call, reply: lost.clone() });
    }
    world.wait(60_000);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["zero", "one", "two", "three", "four"]);
}

/// Takes the deposits that were called, with their turns.
fn turns(person: &mut Person) -> Vec<(CallId, u64)> {
    let called = person.calls.drain(..).filter_map(|(id, call)| match call {
        Call::Deposit { turn, .. } => Some((id, turn)),
        _ => None,
    });
    called.collect()
}

#[test]
fn deliveries_of_another_mailbox_and_empty_ones_change_nothing() {
    let mut world = World::seeded(33);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "hello");
    world.settle(&mut [&mut alice, &mut bob]);
    let before = bob.engine().drained_to().unwrap();
    for (mailbox, deliveries) in
        [(alice.mailbox(), world.mailboxes[&alice.mailbox()].envelopes.clone()), (bob.mailbox(), Vec::new())]
    {
        let expired_through = Seq(0);
        let input = Deliveries { mailbox, expired_through, deliveries };
        world.input(&mut bob, Input::Delivered(input));
        assert!(bob.calls.is_empty());
    }
    assert_eq!(bob.engine().drained_to().unwrap(), before);
}

#[test]
fn whatever_servers_do_not_do_the_next_try_lies_ahead() {
    for (relay_down, keyserver_down) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = World::seeded(34);
        let (mut alice, _bob) = world.friends();
        (world.relay_down, world.keyserver_down) = (relay_down, keyserver_down);
        for number in 0..70 {
            world.send(&mut alice, "bob", &format!("{number}"));
        }
        world.settle(&mut [&mut alice]);
        world.input(&mut alice, Input::Tick);
        assert!(alice.calls.is_empty());
        assert!(alice.wake.unwrap() > world.now);
    }
}

fn take_deposits(person: &mut Person) -> Vec<(CallId, DepositId)> {
    let mut taken = Vec::new();
    person.calls.retain(|(id, call)| match call {
        Call::Deposit { deposit, .. } => {
            taken.push((*id, deposit.id));
            false
        }
        _ => true,
    });
    taken
}

fn overloaded() -> CallFailed {
    CallFailed::Relay(Refused { reason: RefusedReason::Overloaded, detail: String::new(), retry_after_ms: 0 })
}
