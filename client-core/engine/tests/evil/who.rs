//! Evil peers: who is speaking, and to whom.

use hushwire_engine::{Command, State};
use hushwire_proto::account::{Device, encode_links};
use hushwire_proto::ids::DeviceId;

use crate::world::peer::{Peer, text};
use crate::world::wire::InsideWire;
use crate::world::{Keys, World};
use crate::{accepted, dropped, link_of};

#[test]
fn nobody_gets_their_own_envelope_back_as_a_message() {
    let mut world = World::seeded(1);
    let mut alice = world.person("alice");
    let mut mallory = Peer::new(&mut world);
    mallory.begin(&mut world, &alice);
    let mut inside = mallory.inside(&mut world, &alice, &text(1, "I said so"));
    inside.account = alice.account().0.to_vec();
    inside.links = encode_links(&world.accounts[&alice.account()].links);
    let envelope = mallory.seal(&mut world, &alice, &inside);
    world.inject(alice.mailbox(), envelope);
    world.settle(&mut [&mut alice]);
    assert_eq!(alice.shown(), [""; 0]);
    assert!(alice.engine().contacts().unwrap().is_empty());
}

#[test]
fn nobody_speaks_as_somebody_else_or_as_another_device() {
    let mut world = World::seeded(2);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "hello");
    world.settle(&mut [&mut alice, &mut bob]);
    let alices = encode_links(&world.accounts[&alice.account()].links);
    let mut mallory = Peer::new(&mut world);
    mallory.begin(&mut world, &bob);
    let honest = mallory.inside(&mut world, &bob, &text(1, "it is me"));
    for (account, device, links) in [
        (alice.account().0.to_vec(), 1, honest.links.clone()),
        (alice.account().0.to_vec(), 1, alices.clone()),
        (mallory.account().0.to_vec(), 1, alices),
        (mallory.account().0.to_vec(), 2, honest.links.clone()),
        (mallory.account().0.to_vec(), 1, Vec::new()),
    ] {
        let inside = InsideWire { account, device, links, ..honest.clone() };
        let envelope = mallory.seal(&mut world, &bob, &inside);
        world.inject(bob.mailbox(), envelope);
        world.settle(&mut [&mut bob]);
    }
    assert_eq!(bob.shown(), ["hello"]);
    assert_eq!(dropped(&bob), 5);
    assert_eq!(bob.engine().contacts().unwrap().len(), 1);
}

#[test]
fn what_is_said_to_an_account_is_not_heard_by_another_whose_device_it_lists_as_its_own() {
    let mut world = World::seeded(3);
    let (mut alice, mut bob) = world.friends();
    // Mallory's account lists Alice's device, whose keys do vouch for each other, and Alice's prekeys.
    let mut mallory = Peer::new(&mut world);
    let stolen = world.accounts[&alice.account()].links[0].link().devices.clone();
    mallory.links.clear();
    mallory.add_link(stolen);
    let publish = world.accounts[&alice.account()].publish.clone();
    let keys = Keys { links: mallory.links.clone(), publish, ..Keys::default() };
    world.accounts.insert(mallory.account(), keys);
    let who = link_of(&world, &mallory);
    world.command(&mut bob, Command::AddContact { who, name: Some("mallory".into()) });
    world.settle(&mut [&mut bob]);
    world.send(&mut bob, "mallory", "I owe you a thousand");
    world.settle(&mut [&mut bob, &mut alice]);
    assert_eq!(world.seen.len(), 1);
    assert_eq!(alice.shown(), [""; 0]);
    assert_eq!(dropped(&alice), 1);
}

#[test]
fn a_device_that_was_taken_off_the_list_is_not_heard_whatever_list_it_shows() {
    let mut world = World::seeded(4);
    let mut bob = world.person("bob");
    let (mut peer, _) = accepted(&mut world, &mut bob);
    let second = Peer::new(&mut world);
    let (one, two) = (peer.links[0].link().devices[0].clone(), second.as_device(&mut world, DeviceId::new(2).unwrap()));
    peer.add_link(vec![one.clone(), two.clone()]);
    let mut removed = Peer { recovery: peer.recovery.clone(), links: peer.links.clone(), device: two.id, ..second };
    removed.begin(&mut world, &bob);
    removed.say(&mut world, &mut bob, &text(1, "still here"));
    assert_eq!(bob.shown(), ["hello", "still here"]);
    peer.add_link(vec![one.clone()]);
    peer.say(&mut world, &mut bob, &text(2, "one device less"));
    removed.say(&mut world, &mut bob, &text(2, "and I?"));
    // Another continuation of the same list, by the recovery key: nothing that was seen is taken back.
    removed.add_link(vec![two.clone()]);
    removed.say(&mut world, &mut bob, &text(3, "and now?"));
    removed.add_link(vec![one, two]);
    removed.say(&mut world, &mut bob, &text(4, "and now?"));
    assert_eq!(bob.shown(), ["hello", "still here", "one device less"]);
    assert_eq!(dropped(&bob), 3);
}

#[test]
fn a_device_with_new_keys_under_an_old_number_gets_a_new_session_and_nothing_is_lost() {
    let mut world = World::seeded(5);
    let mut bob = world.person("bob");
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    let (renewed, second) = (Peer::new(&mut world), Peer::new(&mut world));
    let (one, two) = (DeviceId::FIRST, DeviceId::new(2).unwrap());
    let devices = vec![renewed.as_device(&mut world, one), second.as_device(&mut world, two)];
    peer.add_link(devices.clone());
    let renewed = Peer { recovery: peer.recovery.clone(), links: peer.links.clone(), ..renewed };
    renewed.publish(&mut world);
    // Bob has a session with the old device 1, and learns of the new one by a list that device 2 sends along.
    let mut other = Peer { recovery: peer.recovery.clone(), links: peer.links.clone(), device: two, ..second };
    other.begin(&mut world, &bob);
    other.say(&mut world, &mut bob, &text(1, "I have a new telephone"));
    world.command(&mut bob, Command::Send { to: contact.conversation, text: "good".into() });
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.states(), [State::Sent]);
    assert_eq!(world.mailboxes[&devices[0].mailbox].envelopes.len(), 2, "a receipt and a text");
    assert!(!bob.engine().has_work().unwrap());
}

#[test]
fn a_text_for_a_device_list_without_a_usable_relay_waits_and_says_why() {
    let mut world = World::seeded(6);
    let mut bob = world.person("bob");
    let mut peer = Peer::new(&mut world);
    let good = peer.links[0].link().devices[0].clone();
    peer.links.clear();
    peer.add_link(vec![Device { relay: "nowhere".into(), ..good.clone() }]);
    peer.publish(&mut world);
    let who = link_of(&world, &peer);
    world.command(&mut bob, Command::AddContact { who, name: Some("peer".into()) });
    world.settle(&mut [&mut bob]);
    world.send(&mut bob, "peer", "hello");
    world.settle(&mut [&mut bob]);
    assert!(world.seen.is_empty());
    let waiting = bob.engine().waiting().unwrap();
    assert!(waiting[0].reason.as_ref().unwrap().contains("relay"), "{waiting:?}");
    assert!(bob.engine().has_work().unwrap());
    // A newer list, and it goes out.
    peer.add_link(vec![good]);
    peer.publish(&mut world);
    world.wait(60_000);
    world.settle(&mut [&mut bob]);
    world.wait(60_000);
    world.settle(&mut [&mut bob]);
    assert_eq!(world.seen.len(), 1);
    assert_eq!(bob.states(), [State::Sent]);
}
