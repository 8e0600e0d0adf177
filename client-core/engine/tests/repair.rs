//! What cannot be decrypted is asked for again, and comes; nobody can make us ask without end.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{Command, Event, Input, Reason, State};
use prost::Message as _;
use world::member::{said, saying};
use world::peer::{Peer, accepted, text};
use world::wire::{Again, Content, GroupInvitation, PlainWire, Rewords, Said};
use world::{Person, World};

const HOUR: u64 = 3600 * 1000;

/// What could not be opened: why, and whether it was asked for again.
fn dropped(person: &Person) -> Vec<(Reason, bool)> {
    let dropped = person.events.iter().filter_map(|event| match event {
        Event::Undecryptable { code, asked_again, .. } => Some((*code, *asked_again)),
        _ => None,
    });
    dropped.collect()
}

fn talk(world: &mut World, alice: &mut Person, bob: &mut Person, rounds: u32, what: &str) {
    for round in 0..rounds {
        world.send(alice, "bob", &format!("{what} a{round}"));
        world.settle(&mut [alice, bob]);
        world.send(bob, "alice", &format!("{what} b{round}"));
        world.settle(&mut [alice, bob]);
    }
}

/// How often this text stands in the history.
fn times(person: &Person, text: &str) -> usize {
    person.history().iter().filter(|line| *line == text).count()
}

/// Bob's database is set back to before some exchanges that both have had.
fn set_back(seed: u64) -> (World, Person, Person) {
    let mut world = World::seeded(seed);
    let (mut alice, mut bob) = world.friends();
    talk(&mut world, &mut alice, &mut bob, 2, "before");
    let copy = bob.copy();
    talk(&mut world, &mut alice, &mut bob, 3, "lost");
    bob.set_back(&copy);
    (world, alice, bob)
}

#[test]
fn what_a_restored_database_cannot_open_is_said_anew_and_shown_once() {
    let (mut world, mut alice, mut bob) = set_back(1);
    for text in ["after one", "after two"] {
        world.send(&mut alice, "bob", text);
    }
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(dropped(&bob).first(), Some(&(Reason::Forged, true)));
    assert_eq!(dropped(&bob).iter().filter(|(_, asked)| *asked).count(), 1);
    for text in ["after one", "after two"] {
        assert_eq!(times(&bob, text), 1);
    }
    assert!(alice.states().iter().all(|state| *state >= State::Delivered));
}

#[test]
fn after_four_exchanges_both_talk_as_before_whoever_speaks_first() {
    for alice_first in [true, false] {
        let (mut world, mut alice, mut bob) = set_back(2);
        for round in 0..4 {
            let alices = |world: &mut World, alice: &mut Person| world.send(alice, "bob", &format!("a{round}"));
            if alice_first {
                alices(&mut world, &mut alice);
                world.settle(&mut [&mut alice, &mut bob]);
            }
            world.send(&mut bob, "alice", &format!("b{round}"));
            world.settle(&mut [&mut alice, &mut bob]);
            if !alice_first {
                alices(&mut world, &mut alice);
                world.settle(&mut [&mut alice, &mut bob]);
            }
        }
        alice.events.clear();
        bob.events.clear();
        talk(&mut world, &mut alice, &mut bob, 4, "again");
        assert_eq!((dropped(&alice), dropped(&bob)), (Vec::new(), Vec::new()));
        let gaps = |person: &Person| person.events.iter().any(|event| matches!(event, Event::Gap { .. }));
        assert!(!gaps(&alice) && !gaps(&bob));
        for round in 0..4 {
            for (text, who) in [(format!("a{round}"), &bob), (format!("b{round}"), &alice)] {
                assert_eq!(times(who, &text), 1, "{text} first {alice_first}");
                assert_eq!(times(who, &format!("again {text}")), 1);
            }
        }
        assert!(alice.states().iter().chain(&bob.states()).all(|state| *state >= State::Delivered));
        assert_eq!(alice.history().len(), 26);
    }
}

#[test]
fn edits_and_reactions_that_did_not_open_come_as_well() {
    let (mut world, mut alice, mut bob) = set_back(3);
    let mine = world.send(&mut alice, "bob", "first").id;
    world.command(&mut alice, Command::Edit { message: mine, text: "second".into() });
    world.command(&mut alice, Command::React { message: mine, emoji: Some("👍".into()) });
    world.settle(&mut [&mut alice, &mut bob]);
    let message = bob.messages().pop().unwrap();
    assert_eq!((message.text.as_str(), message.edits, message.reactions.len()), ("second", 1, 1));
}

/// The ratchet message in a first message. Spec: signal-wire §3.4.
#[derive(Clone, PartialEq, prost::Message)]
struct FirstWire {
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
}

/// Sealed as it should be, and nothing that any session opens.
fn nonsense(world: &mut World, peer: &mut Peer, to: &mut Person, number: u64) {
    let mut inside = peer.inside(world, to, &text(number, "nonsense"));
    // The last byte of what the ratchet made, around which a first message carries more.
    let inner = match inside.kind {
        1 => FirstWire::decode(&inside.message[1..]).unwrap().message,
        _ => inside.message.clone(),
    };
    let begin = inside.message.windows(inner.len()).position(|window| window == inner).unwrap();
    inside.message[begin + inner.len() - 1] ^= 1;
    let envelope = peer.seal(world, to, &inside);
    world.inject(to.mailbox(), envelope);
    world.settle(&mut [to]);
}

#[test]
fn a_device_is_asked_three_times_a_day_and_not_again_before_it_could_answer() {
    let mut world = World::seeded(4);
    let mut bob = world.person("bob");
    let (mut peer, _) = accepted(&mut world, &mut bob);
    let asked = |bob: &Person| dropped(bob).iter().filter(|(_, asked)| *asked).count();
    for number in 0..5 {
        nonsense(&mut world, &mut peer, &mut bob, 2 + number);
    }
    assert_eq!(asked(&bob), 1);
    for number in 0..10 {
        world.wait(HOUR);
        nonsense(&mut world, &mut peer, &mut bob, 10 + number);
    }
    assert_eq!(asked(&bob), 3);
    world.wait(24 * HOUR);
    nonsense(&mut world, &mut peer, &mut bob, 99);
    assert_eq!(asked(&bob), 4);
}

#[test]
fn strangers_and_who_is_blocked_are_asked_for_nothing() {
    let mut world = World::seeded(5);
    let mut bob = world.person("bob");
    let mut stranger = Peer::new(&mut world);
    stranger.begin(&mut world, &bob);
    stranger.say(&mut world, &mut bob, &text(1, "who am I"));
    stranger.publish(&mut world);
    nonsense(&mut world, &mut stranger, &mut bob, 2);
    assert_eq!(dropped(&bob), [(Reason::Forged, false)]);
    let mut other = Peer::new(&mut world);
    other.begin(&mut world, &bob);
    let edit = Some(Rewords { of: vec![1; 16], text: "who am I".into() });
    let content = saying(Said { edit, text: None, ..said(1) }).encode_to_vec();
    other.say(&mut world, &mut bob, &PlainWire { content, introduction: None });
    other.publish(&mut world);
    nonsense(&mut world, &mut other, &mut bob, 2);
    assert_eq!((dropped(&bob), world.seen.len()), (vec![(Reason::Forged, false); 2], 0));
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    world.command(&mut bob, Command::Block(contact.id));
    world.settle(&mut [&mut bob]);
    let before = world.seen.len();
    nonsense(&mut world, &mut peer, &mut bob, 2);
    assert_eq!((dropped(&bob).len(), world.seen.len()), (2, before));
}

fn asking() -> PlainWire {
    let again = Again { group: Vec::new(), device: 1, asks: true };
    let content = Content { again: Some(again), ..Content::default() };
    PlainWire { content: content.encode_to_vec(), introduction: None }
}

#[test]
fn a_stranger_who_asks_us_into_a_group_is_answered_nothing_and_asked_for_nothing() {
    let mut world = World::seeded(7);
    let mut bob = world.person("bob");
    let mut stranger = Peer::new(&mut world);
    stranger.begin(&mut world, &bob);
    stranger.publish(&mut world);
    let (group, name, since) = (vec![7; 32], "friends".to_owned(), vec![8; 32]);
    let told = GroupInvitation { group, name, members: 2, some: Vec::new(), since, height: 0 };
    let content = Content { group_invitation: Some(told), ..Content::default() };
    stranger.say(&mut world, &mut bob, &PlainWire { content: content.encode_to_vec(), introduction: None });
    assert_eq!(bob.engine().group_requests().unwrap().len(), 1);
    let before = world.seen.len();
    stranger.say(&mut world, &mut bob, &asking());
    nonsense(&mut world, &mut stranger, &mut bob, 2);
    assert_eq!(dropped(&bob), [(Reason::NotAllowed, false), (Reason::Forged, false)]);
    assert_eq!(world.seen.len(), before);
}

#[test]
fn who_asks_again_and_again_is_answered_six_times_a_day() {
    let mut world = World::seeded(8);
    let mut bob = world.person("bob");
    let (mut peer, _) = accepted(&mut world, &mut bob);
    let before = world.seen.len();
    for _ in 0..20 {
        peer.say(&mut world, &mut bob, &asking());
        // What was answered is known to the next process too.
        bob.crash();
    }
    assert_eq!(world.seen.len() - before, 6);
    world.wait(24 * HOUR);
    peer.say(&mut world, &mut bob, &asking());
    assert_eq!(world.seen.len() - before, 7);
}

#[test]
fn nothing_is_said_anew_more_than_three_times() {
    let mut world = World::seeded(6);
    let (mut alice, mut bob) = world.friends();
    talk(&mut world, &mut alice, &mut bob, 1, "before");
    let copy = bob.copy();
    // Bob is set back whenever he has asked, so that he never confirms it.
    world.send(&mut bob, "alice", "moves the session on");
    world.settle(&mut [&mut alice, &mut bob]);
    world.send(&mut alice, "bob", "never confirmed");
    world.settle(&mut [&mut alice]);
    let mut sent = Vec::new();
    for _ in 0..6 {
        bob.set_back(&copy);
        world.wait(25 * HOUR);
        let before = world.seen.len();
        // He fetches and asks, and is set back before he takes in the answer.
        for _ in 0..8 {
            world.deliver(&mut bob);
            world.input(&mut bob, Input::Tick);
            while let Some((call, asked)) = bob.calls.pop_front() {
                let reply = world.answer(&bob, asked);
                world.input(&mut bob, Input::Replied { call, reply });
            }
        }
        world.settle(&mut [&mut alice]);
        sent.push(world.seen.len() - before);
    }
    assert!(times(&bob, "never confirmed") <= 1);
    assert!(sent.iter().sum::<usize>() < 60, "{sent:?}");
}
