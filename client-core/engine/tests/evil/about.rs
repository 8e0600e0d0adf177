//! Evil peers: what they say about messages, their own and others'.

use hushwire_engine::{Command, ContactId, Event, Message, Reason, Standing};
use hushwire_proto::ids::AccountId;
use prost::Message as _;

use crate::world::member::{said, saying};
use crate::world::peer::{Peer, text};
use crate::world::wire::{About, Again, Content, PlainWire, Reference, Rewords, Said};
use crate::world::{Person, World};
use crate::{accepted, dropped};

/// Says the one of the three that is set, later than anything else.
fn about(counter: u64, about: Said) -> PlainWire {
    let Said { message_id, counter, previous, lamport, sent_at_ms, .. } = said(counter);
    let said = Said { message_id, counter, previous, lamport, sent_at_ms, ..about };
    PlainWire { content: saying(said).encode_to_vec(), introduction: None }
}

fn edit(of: &[u8], text: &str) -> Said {
    Said { edit: Some(Rewords { of: of.to_vec(), text: text.into() }), ..Said::default() }
}

fn take_back(of: &[u8]) -> Said {
    Said { take_back: Some(Rewords { of: of.to_vec(), text: String::new() }), ..Said::default() }
}

fn react(author: AccountId, message_id: &[u8], emoji: &str) -> Said {
    let to = Some(Reference { author: author.0.to_vec(), message_id: message_id.to_vec() });
    Said { react: Some(About { to, emoji: emoji.into() }), ..Said::default() }
}

fn only(person: &Person, text: &str) -> Message {
    let mut found = person.messages().into_iter().filter(|message| message.text == text);
    let message = found.next().unwrap();
    assert!(found.next().is_none());
    message
}

#[test]
fn nobody_edits_or_takes_back_what_another_said_by_naming_it() {
    let mut world = World::seeded(60);
    let mut bob = world.person("bob");
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    world.command(&mut bob, Command::Send { to: contact.conversation, text: "bob's own".into() });
    world.settle(&mut [&mut bob]);
    let before = only(&bob, "bob's own");
    for (counter, what) in (2..).zip([edit, |of: &[u8], _: &str| take_back(of)]) {
        peer.say(&mut world, &mut bob, &about(counter, what(&before.message_id.0, "what the peer wants")));
    }
    assert_eq!(only(&bob, "bob's own"), before);
    // Of its own it may.
    let hello = only(&bob, "hello").message_id;
    peer.say(&mut world, &mut bob, &about(4, edit(&hello.0, "good day")));
    assert_eq!(only(&bob, "good day").edits, 1);
}

#[test]
fn what_names_a_message_of_another_conversation_changes_nothing_there() {
    let mut world = World::seeded(61);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "between us");
    world.settle(&mut [&mut alice, &mut bob]);
    let (mut peer, _) = accepted(&mut world, &mut bob);
    let before = only(&bob, "between us");
    let alices = alice.account();
    peer.say(&mut world, &mut bob, &about(2, react(alices, &before.message_id.0, "seen")));
    peer.say(&mut world, &mut bob, &about(3, take_back(&before.message_id.0)));
    assert_eq!(only(&bob, "between us"), before);
    assert_eq!(dropped(&bob), 0);
}

#[test]
fn reactions_that_are_none_and_what_strangers_say_about_messages_change_nothing() {
    let mut world = World::seeded(62);
    let mut bob = world.person("bob");
    let (mut peer, _) = accepted(&mut world, &mut bob);
    let hello = only(&bob, "hello");
    for (counter, emoji) in (2..).zip(["\u{1b}[2J", "\u{1e}", &"x".repeat(65)]) {
        peer.say(&mut world, &mut bob, &about(counter, react(peer.account(), &hello.message_id.0, emoji)));
    }
    assert_eq!(only(&bob, "hello"), hello);
    let mut stranger = Peer::new(&mut world);
    stranger.begin(&mut world, &bob);
    stranger.say(&mut world, &mut bob, &text(1, "anyone there"));
    let words = only(&bob, "anyone there").message_id;
    stranger.say(&mut world, &mut bob, &about(2, edit(&words.0, "edited")));
    only(&bob, "anyone there");
    let requests = |bob: &Person| {
        let all = bob.engine().contacts().unwrap();
        all.into_iter().filter(|contact| contact.standing == Standing::Request).count()
    };
    let mut unknown = Peer::new(&mut world);
    unknown.begin(&mut world, &bob);
    unknown.say(&mut world, &mut bob, &about(1, edit(&words.0, "edited")));
    assert_eq!(requests(&bob), 1, "nobody becomes one by what cannot be shown");
    let codes: Vec<Reason> = bob
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Undecryptable { code, asked_again: false, .. } => Some(*code),
            _ => None,
        })
        .collect();
    assert_eq!(codes, [Reason::Unknown, Reason::Unknown, Reason::Unknown]);
}

#[test]
fn who_says_only_something_about_messages_hears_nothing_of_us_and_only_so_many_are_kept() {
    let mut world = World::seeded(64);
    let mut bob = world.person("bob");
    let mut stranger = Peer::new(&mut world);
    stranger.publish(&mut world);
    stranger.begin(&mut world, &bob);
    stranger.say(&mut world, &mut bob, &about(1, edit(&[1; 16], "edited")));
    let again = Content { again: Some(Again { device: 1, asks: true, ..Again::default() }), ..Content::default() };
    stranger.say(&mut world, &mut bob, &PlainWire { content: again.encode_to_vec(), introduction: None });
    assert_eq!((dropped(&bob), world.seen.len()), (1, 0));
    for keys in world.accounts.values_mut() {
        keys.publish.one_time.clear();
        keys.publish.one_time_kyber.clear();
    }
    for _ in 0..260 {
        let mut peer = Peer::new(&mut world);
        peer.begin(&mut world, &bob);
        let inside = peer.inside(&mut world, &bob, &about(1, edit(&[1; 16], "edited")));
        let envelope = peer.seal(&mut world, &bob, &inside);
        world.inject(bob.mailbox(), envelope);
    }
    world.settle(&mut [&mut bob]);
    let kept = (1..400).filter(|id| bob.engine().contact(ContactId(*id)).unwrap().is_some()).count();
    assert_eq!(kept, 256);
}

#[test]
fn an_edit_as_late_as_it_gets_wears_no_clock_out() {
    let mut world = World::seeded(63);
    let mut bob = world.person("bob");
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    let hello = only(&bob, "hello").message_id;
    let largest = Said { lamport: i64::MAX as u64, ..edit(&hello.0, "for ever last") };
    let mut plain = about(2, largest.clone());
    let mut content = Content::decode(&plain.content[..]).unwrap();
    content.said.as_mut().unwrap().lamport = largest.lamport;
    plain.content = content.encode_to_vec();
    peer.say(&mut world, &mut bob, &plain);
    assert_eq!(only(&bob, "for ever last").edits, 1);
    world.command(&mut bob, Command::Send { to: contact.conversation, text: "still here".into() });
    world.settle(&mut [&mut bob]);
    only(&bob, "still here");
}
