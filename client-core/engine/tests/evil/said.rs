//! Evil peers: what they say, how much of it, and how large its numbers are.

use hushwire_engine::{Call, Command, Standing, State};
use prost::Message as _;

use crate::world::peer::{Peer, receipt, text};
use crate::world::wire::{Content, IntroductionWire, PlainWire};
use crate::world::{Person, World};
use crate::{accepted, dropped};

#[test]
fn what_is_exchanged_with_others_does_not_show_in_what_a_contact_gets() {
    let mut world = World::seeded(10);
    let (mut alice, mut bob) = world.friends();
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    let mut place_of_next = |world: &mut World, bob: &mut Person| {
        world.command(bob, Command::Send { to: contact.conversation, text: "a".into() });
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
        let mut content = Content::decode(&plain.content[..]).unwrap();
        let said = content.said.as_mut().unwrap();
        (said.lamport, said.sent_at_ms) = (lamport, sent_at_ms);
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
        world.command(&mut bob, Command::Send { to: contact.conversation, text: "still here".into() });
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
    let mut content = Content::decode(&other.content[..]).unwrap();
    content.said.as_mut().unwrap().message_id = vec![9; 16];
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
    world.command(&mut bob, Command::Send { to: contact.conversation, text: "to the peer".into() });
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
    let read = bob.mark_all_read(bob.contact("alice").id).unwrap();
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
        let mut peer = Peer::new(&mut world);
        let mut envelopes = Vec::new();
        for counter in 1..=8 {
            if run_out {
                let publish = &mut world.accounts.get_mut(&bob.account()).unwrap().publish;
                publish.one_time.clear();
                publish.one_time_kyber.clear();
            }
            peer.begin(&mut world, &bob);
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
