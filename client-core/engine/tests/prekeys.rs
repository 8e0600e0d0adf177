//! Prekeys over weeks: refilled before they run out, renewed every week, kept as long as somebody may have fetched them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::Event;
use hushwire_proto::envelope::Envelope;
use world::peer::{Peer, text};
use world::{Person, World};

const MINUTE: u64 = 60 * 1000;
const DAY: u64 = 24 * 60 * MINUTE;

/// The ids of the signed and the last-resort prekey that the keyserver gives out.
fn given_out(world: &World, of: &Person) -> (u32, u32) {
    let publish = &world.accounts[&of.account()].publish;
    (publish.signed_prekey.as_ref().unwrap().id, publish.last_resort_kyber.as_ref().unwrap().id)
}

fn use_up(world: &mut World, of: &Person) {
    let publish = &mut world.accounts.get_mut(&of.account()).unwrap().publish;
    publish.one_time.clear();
    publish.one_time_kyber.clear();
}

/// A first message under what the keyserver gives out now, to be delivered some day.
fn first_message(world: &mut World, to: &Person, said: &str) -> Envelope {
    let mut peer = Peer::new(world);
    peer.begin(world, to);
    let inside = peer.inside(world, to, &text(1, said));
    peer.seal(world, to, &inside)
}

#[test]
fn a_device_that_stays_online_refills_what_others_fetch_without_writing() {
    let mut world = World::seeded(1);
    let mut bob = world.person("bob");
    use_up(&mut world, &bob);
    world.wait(31 * MINUTE);
    world.settle(&mut [&mut bob]);
    let publish = &world.accounts[&bob.account()].publish;
    assert_eq!((publish.one_time.len(), publish.one_time_kyber.len()), (50, 50));
}

#[test]
fn enough_is_left_alone() {
    let mut world = World::seeded(2);
    let mut bob = world.person("bob");
    world.accounts.get_mut(&bob.account()).unwrap().publish.one_time.truncate(20);
    world.wait(31 * MINUTE);
    world.settle(&mut [&mut bob]);
    assert_eq!(world.accounts[&bob.account()].publish.one_time.len(), 20);
    world.accounts.get_mut(&bob.account()).unwrap().publish.one_time.truncate(19);
    world.wait(31 * MINUTE);
    world.settle(&mut [&mut bob]);
    assert_eq!(world.accounts[&bob.account()].publish.one_time.len(), 69);
}

#[test]
fn signed_and_last_resort_prekeys_are_renewed_every_week() {
    let mut world = World::seeded(3);
    let mut bob = world.person("bob");
    let first = given_out(&world, &bob);
    world.wait(7 * DAY - MINUTE);
    world.settle(&mut [&mut bob]);
    assert_eq!(given_out(&world, &bob), first);
    let mut before = first;
    for _ in 0..3 {
        world.wait(7 * DAY + 1);
        world.settle(&mut [&mut bob]);
        let now = given_out(&world, &bob);
        assert!(now.0 > before.0 && now.1 > before.1, "{before:?} {now:?}");
        before = now;
    }
}

#[test]
fn a_first_message_under_old_prekeys_opens_for_two_months_and_not_for_ever() {
    let mut world = World::seeded(4);
    let mut bob = world.person("bob");
    use_up(&mut world, &bob);
    let (after_60, after_100) = (first_message(&mut world, &bob, "sixty"), first_message(&mut world, &bob, "hundred"));
    let weeks = |world: &mut World, bob: &mut Person, number: u64| {
        for _ in 0..number {
            world.wait(7 * DAY + 1);
            world.settle(&mut [bob]);
        }
    };
    weeks(&mut world, &mut bob, 9);
    world.inject(bob.mailbox(), after_60);
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.shown(), ["sixty"]);
    weeks(&mut world, &mut bob, 5);
    world.inject(bob.mailbox(), after_100);
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.shown(), ["sixty"]);
    assert!(bob.events.iter().any(|event| matches!(event, Event::Undecryptable { .. })));
}

#[test]
fn with_nothing_left_the_last_resort_key_carries_first_messages() {
    let mut world = World::seeded(5);
    let (mut alice, mut bob) = (world.person("alice"), world.person("bob"));
    use_up(&mut world, &bob);
    world.add(&mut alice, "bob");
    world.send(&mut alice, "bob", "nothing was left");
    world.settle(&mut [&mut alice]);
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.shown(), ["nothing was left"]);
}
