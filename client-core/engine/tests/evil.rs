//! Evil relays, keyservers and peers against one honest engine: each rule is a fact about what they do not achieve.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{
    Answer, Call, CallFailed, CallId, Command, Contact, Event, Input, NewContact, Output, Reply, Standing, State,
};
use hushwire_proto::address::Handle;
use hushwire_proto::ids::{DepositId, DeviceId};
use hushwire_proto::keyserver::{Found, Stock};
use hushwire_proto::relay::{Refused, RefusedReason};
use prost::Message as _;
use world::peer::{IntroductionWire, Peer, PlainWire, receipt, text};
use world::{Person, World, server};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// A peer whom this person has accepted.
fn accepted(world: &mut World, by: &mut Person) -> (Peer, Contact) {
    let mut peer = Peer::new(world);
    peer.begin(world, by);
    Peer::take_keys(world, by);
    peer.say(world, by, &text(1, "hello"));
    let contact = by.engine().contacts().unwrap().pop().unwrap();
    world.command(by, Command::Accept(contact.id));
    peer.publish(world);
    world.settle(&mut [by]);
    (peer, contact)
}

fn dropped(person: &Person) -> usize {
    person.events.iter().filter(|event| matches!(event, Event::Undecryptable { .. })).count()
}

fn link_of(world: &World, peer: &Peer) -> NewContact {
    let engine = hushwire_engine::ContactLink { account: peer.account(), keyserver: server(4432) };
    assert!(world.accounts.contains_key(&peer.account()));
    NewContact::Link(engine)
}

// Peers: who is speaking, and to whom.

#[test]
fn nobody_gets_their_own_envelope_back_as_a_message() {
    let mut world = World::seeded(1);
    let mut alice = world.person("alice");
    let mut mallory = Peer::new(&mut world);
    mallory.begin(&mut world, &alice);
    let mut inside = mallory.inside(&mut world, &alice, &text(1, "I said so"));
    inside.account = alice.account().0.to_vec();
    inside.links = hushwire_proto::account::encode_links(&world.accounts[&alice.account()].links);
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
    let alices = hushwire_proto::account::encode_links(&world.accounts[&alice.account()].links);
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
        let inside = world::peer::InsideWire { account, device, links, ..honest.clone() };
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
    let keys = world::Keys { links: mallory.links.clone(), handle: None, publish };
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
    let renewed = Peer::new(&mut world);
    let device = renewed.as_device(&mut world, DeviceId::FIRST);
    peer.add_link(vec![device]);
    let mut renewed = Peer { recovery: peer.recovery.clone(), links: peer.links.clone(), ..renewed };
    renewed.publish(&mut world);
    // Bob learns of it by a list that the other device would send along.
    let second = Peer::new(&mut world);
    let (one, two) =
        (renewed.links[1].link().devices[0].clone(), second.as_device(&mut world, DeviceId::new(2).unwrap()));
    renewed.add_link(vec![one.clone(), two]);
    let mut other = Peer {
        recovery: peer.recovery.clone(),
        links: renewed.links.clone(),
        device: DeviceId::new(2).unwrap(),
        ..second
    };
    other.begin(&mut world, &bob);
    other.say(&mut world, &mut bob, &text(1, "I have a new telephone"));
    renewed.add_link(vec![one]);
    other.links.clone_from(&renewed.links);
    renewed.begin(&mut world, &bob);
    renewed.say(&mut world, &mut bob, &text(2, "this one"));
    let before = world.seen.len();
    world.command(&mut bob, Command::Send { to: contact.id, text: "good".into() });
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.states(), [State::Sent]);
    assert!(world.seen.len() > before);
    assert!(!bob.engine().has_work().unwrap());
}

#[test]
fn a_text_for_a_device_list_without_a_usable_relay_waits_and_says_why() {
    let mut world = World::seeded(6);
    let mut bob = world.person("bob");
    let mut peer = Peer::new(&mut world);
    let good = peer.links[0].link().devices[0].clone();
    peer.links.clear();
    peer.add_link(vec![hushwire_proto::account::Device { relay: "nowhere".into(), ..good.clone() }]);
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

// Peers: what they say.

#[test]
fn what_is_exchanged_with_others_does_not_show_in_what_a_contact_gets() {
    let mut world = World::seeded(10);
    let (mut alice, mut bob) = world.friends();
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    let mut place_of_next = |world: &mut World, bob: &mut Person| {
        world.command(bob, Command::Send { to: contact.id, text: "a".into() });
        world.settle(&mut [bob]);
        let envelope = world.seen.last().unwrap().clone();
        peer.open(world, bob, &envelope).lamport
    };
    let first = place_of_next(&mut world, &mut bob);
    for _ in 0..5 {
        world.send(&mut alice, "bob", "x");
        world.send(&mut bob, "alice", "y");
        world.settle(&mut [&mut alice, &mut bob]);
    }
    // Nor whether a stranger's text was fetched.
    let mut stranger = Peer::new(&mut world);
    stranger.begin(&mut world, &bob);
    stranger.say(&mut world, &mut bob, &text(1, "anyone there"));
    assert_eq!(place_of_next(&mut world, &mut bob), first + 1);
}

#[test]
fn numbers_as_large_as_they_get_wear_nothing_out() {
    let mut world = World::seeded(11);
    let mut bob = world.person("bob");
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    let largest = |counter: u64, lamport: u64, sent_at_ms: u64| {
        let mut plain = text(counter, "large");
        let mut content = world::peer::ContentWire::decode(&plain.content[..]).unwrap();
        let text = content.text.as_mut().unwrap();
        (text.lamport, text.sent_at_ms) = (lamport, sent_at_ms);
        plain.content = content.encode_to_vec();
        plain
    };
    peer.say(&mut world, &mut bob, &largest(u64::MAX, 1, 1));
    peer.say(&mut world, &mut bob, &largest(2, u64::MAX, 1));
    assert_eq!(dropped(&bob), 2);
    peer.say(&mut world, &mut bob, &largest(3, i64::MAX as u64, u64::MAX));
    peer.say(&mut world, &mut bob, &largest(i64::MAX as u64, i64::MAX as u64, 0));
    peer.say(&mut world, &mut bob, &receipt(1, vec![u64::MAX, 0], u64::MAX));
    for _ in 0..3 {
        world.command(&mut bob, Command::Send { to: contact.id, text: "still here".into() });
    }
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.history(), ["hello", "large", "large", "still here", "still here", "still here"]);
    assert_eq!(bob.states(), [State::Sent; 3]);
}

#[test]
fn a_second_text_under_a_used_number_replaces_nothing_and_is_told() {
    let mut world = World::seeded(12);
    let mut bob = world.person("bob");
    let (mut peer, _) = accepted(&mut world, &mut bob);
    let mut other = text(1, "I never said hello");
    let mut content = world::peer::ContentWire::decode(&other.content[..]).unwrap();
    content.text.as_mut().unwrap().message_id = vec![9; 16];
    other.content = content.encode_to_vec();
    peer.say(&mut world, &mut bob, &other);
    assert_eq!(bob.history(), ["hello"]);
    assert_eq!(dropped(&bob), 1);
}

#[test]
fn a_receipt_moves_only_texts_to_its_sender() {
    let mut world = World::seeded(13);
    let (alice, mut bob) = world.friends();
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    world.send(&mut bob, "alice", "to alice");
    world.command(&mut bob, Command::Send { to: contact.id, text: "to the peer".into() });
    world.settle(&mut [&mut bob]);
    let mut stranger = Peer::new(&mut world);
    stranger.begin(&mut world, &bob);
    stranger.say(&mut world, &mut bob, &receipt(1, vec![1], 1));
    peer.say(&mut world, &mut bob, &receipt(2, vec![1], 1));
    assert_eq!(bob.states(), [State::Sent, State::Sent]);
    peer.say(&mut world, &mut bob, &receipt(1, vec![1], 1));
    assert_eq!(bob.states(), [State::Sent, State::Read]);
    drop(alice);
}

#[test]
fn a_withheld_text_is_not_shown_as_read_because_a_later_one_was() {
    let mut world = World::seeded(14);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "meet me at nine");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut alice, "bob", "do not come");
    world.settle(&mut [&mut alice]);
    let withheld = world.mailboxes.get_mut(&bob.mailbox()).unwrap().envelopes.pop().unwrap();
    world.send(&mut alice, "bob", "see you");
    world.settle(&mut [&mut alice, &mut bob]);
    let read = bob.mark_all_read(bob.contact("alice").id).unwrap();
    world.command(&mut bob, read);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(alice.states(), [State::Read, State::Sent, State::Read]);
    // Once it has come and was seen, it is.
    world.inject(bob.mailbox(), withheld.envelope);
    world.settle(&mut [&mut alice, &mut bob]);
    let read = Command::MarkRead { contact: bob.contact("alice").id, through: hushwire_engine::LocalId(i64::MAX) };
    world.command(&mut bob, read);
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(alice.states(), [State::Read; 3]);
}

#[test]
fn a_claimed_handle_that_is_no_handle_is_not_shown() {
    for (claimed, shown) in
        [("mallory@\u{202e}moc.elpmaxe", None), ("\u{1b}[2Jbob", None), ("Bob@Example.org", Some("bob@example.org"))]
    {
        let mut world = World::seeded(15);
        let mut bob = world.person("bob");
        let mut peer = Peer::new(&mut world);
        peer.begin(&mut world, &bob);
        let introduction = Some(IntroductionWire { token: vec![1; 32], handle: claimed.into() });
        peer.say(&mut world, &mut bob, &PlainWire { introduction, ..text(1, "hello") });
        assert_eq!(bob.only_contact().claimed_handle.as_deref(), shown);
    }
}

#[test]
fn a_stranger_who_says_nothing_that_can_be_shown_leaves_no_trace() {
    let mut world = World::seeded(16);
    let mut bob = world.person("bob");
    for plain in [
        receipt(1, vec![1], 1),
        PlainWire { content: vec![0xFF; 9], introduction: None },
        text(0, "no number"),
        PlainWire {
            introduction: Some(IntroductionWire { token: vec![1; 31], handle: String::new() }),
            ..text(1, "x")
        },
    ] {
        let mut peer = Peer::new(&mut world);
        peer.begin(&mut world, &bob);
        peer.say(&mut world, &mut bob, &plain);
    }
    assert_eq!(dropped(&bob), 4);
    assert!(bob.engine().contacts().unwrap().is_empty());
}

#[test]
fn strangers_fill_the_database_only_so_far() {
    let mut world = World::seeded(17);
    let mut bob = world.person("bob");
    let mut first = Peer::new(&mut world);
    first.begin(&mut world, &bob);
    Peer::take_keys(&mut world, &bob);
    for counter in 1..=80 {
        let plain = text(counter, "me again");
        let inside = first.inside(&mut world, &bob, &plain);
        let envelope = first.seal(&mut world, &bob, &inside);
        world.inject(bob.mailbox(), envelope);
    }
    world.settle(&mut [&mut bob]);
    assert_eq!(bob.messages().len(), 64);
    for keys in world.accounts.values_mut() {
        keys.publish.one_time.clear();
        keys.publish.one_time_kyber.clear();
    }
    let mut last = None;
    for _ in 0..256 {
        let mut peer = Peer::new(&mut world);
        peer.begin(&mut world, &bob);
        let inside = peer.inside(&mut world, &bob, &text(1, "hello"));
        let envelope = peer.seal(&mut world, &bob, &inside);
        world.inject(bob.mailbox(), envelope.clone());
        last = Some((peer.account(), envelope));
    }
    world.settle(&mut [&mut bob]);
    let contacts = bob.engine().contacts().unwrap();
    let (account, envelope) = last.unwrap();
    assert_eq!(contacts.len(), 256);
    assert!(contacts.iter().all(|contact| contact.account != account));
    // What was dropped left no trace: with room for it, it opens.
    world.command(&mut bob, Command::Block(contacts[0].id));
    world.inject(bob.mailbox(), envelope);
    world.settle(&mut [&mut bob]);
    assert!(bob.engine().contacts().unwrap().iter().any(|contact| contact.account == account));
}

#[test]
fn a_first_message_opens_once_however_many_sessions_came_after_it() {
    for run_out in [false, true] {
        let mut world = World::seeded(18);
        let mut bob = world.person("bob");
        if run_out {
            let publish = &mut world.accounts.get_mut(&bob.account()).unwrap().publish;
            publish.one_time.clear();
            publish.one_time_kyber.clear();
        }
        let mut peer = Peer::new(&mut world);
        let mut envelopes = Vec::new();
        for counter in 1..=8 {
            peer.begin(&mut world, &bob);
            if !run_out {
                Peer::take_keys(&mut world, &bob);
            }
            envelopes.push(peer.say(&mut world, &mut bob, &text(counter, "once")));
        }
        let shown = bob.shown();
        assert_eq!(shown.len(), 8);
        for envelope in envelopes {
            world.inject(bob.mailbox(), envelope);
        }
        world.settle(&mut [&mut bob]);
        assert_eq!(bob.shown(), shown);
    }
}

#[test]
fn who_was_blocked_and_is_accepted_again_gets_a_new_token() {
    let mut world = World::seeded(19);
    let (mut alice, mut bob) = world.friends();
    for _ in 0..2 {
        world.send(&mut alice, "bob", "hello");
        world.send(&mut bob, "alice", "hello");
        world.settle(&mut [&mut alice, &mut bob]);
    }
    let alices = bob.contact("alice").id;
    world.command(&mut bob, Command::Block(alices));
    world.settle(&mut [&mut bob]);
    world.command(&mut bob, Command::Accept(alices));
    world.settle(&mut [&mut bob]);
    world.send(&mut bob, "alice", "let us talk");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut alice, "bob", "let us");
    let request = &world.accounts[&bob.account()].links[0].link().devices[0].request_token;
    let shown = alice.calls.iter().find_map(|(_, call)| match call {
        Call::Deposit { deposit, .. } => Some(deposit.token.hash()),
        _ => None,
    });
    assert_ne!(shown, Some(request.hash()));
    assert!(world.mailboxes[&bob.mailbox()].tokens.contains(&shown.unwrap()));
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown().last().unwrap(), "let us");
}

#[test]
fn who_is_blocked_gets_no_receipt_that_was_still_held_back() {
    let mut world = World::seeded(20);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "hello");
    world.settle(&mut [&mut alice]);
    world.deliver(&mut bob);
    let alices = bob.contact("alice").id;
    world.command(&mut bob, Command::Block(alices));
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["hello"]);
    assert_eq!(alice.states(), [State::Sent]);
    assert_eq!(bob.contact("alice").standing, Standing::Blocked);
}

// Relays.

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
    let expired_through = hushwire_proto::ids::Seq(0);
    world.input(&mut bob, Input::Delivered(hushwire_proto::relay::Deliveries { mailbox, expired_through, deliveries }));
    assert_eq!(bob.shown(), ["0", "1", "2", "after"]);
    assert_eq!(bob.engine().drained_to().unwrap().0, 1);
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
        let expired_through = hushwire_proto::ids::Seq(0);
        let input = hushwire_proto::relay::Deliveries { mailbox, expired_through, deliveries };
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

// Keyservers.

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
    for _ in 0..20 {
        world.wait(8 * DAY_MS);
        world.settle(&mut [&mut bob]);
    }
    peer.say(&mut world, &mut bob, &text(1, "under a key of 160 days ago"));
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
    let found = Found { account: bob.account(), links, handle_name: Some("eve".into()) };
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
