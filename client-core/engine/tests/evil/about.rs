//! Evil peers: what they say about messages, their own and others'.

use hushwire_engine::{Command, Event, Message, Reason};
use hushwire_proto::ids::AccountId;
use prost::Message as _;

use crate::world::peer::{Peer, PlainWire, text};
use crate::world::{Person, World};
use crate::{accepted, dropped};

#[derive(Clone, PartialEq, prost::Message)]
struct ContentWire {
    #[prost(message, optional, tag = "1")]
    said: Option<SaidWire>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SaidWire {
    #[prost(bytes = "vec", tag = "1")]
    message_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    counter: u64,
    #[prost(bytes = "vec", tag = "3")]
    previous: Vec<u8>,
    #[prost(uint64, tag = "4")]
    lamport: u64,
    #[prost(message, optional, tag = "7")]
    edit: Option<EditWire>,
    #[prost(message, optional, tag = "8")]
    take_back: Option<EditWire>,
    #[prost(message, optional, tag = "9")]
    react: Option<ReactWire>,
}

/// Of taking back too, which has no text.
#[derive(Clone, PartialEq, prost::Message)]
struct EditWire {
    #[prost(bytes = "vec", tag = "1")]
    of: Vec<u8>,
    #[prost(string, tag = "2")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReactWire {
    #[prost(message, optional, tag = "1")]
    to: Option<ReferenceWire>,
    #[prost(string, tag = "2")]
    emoji: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReferenceWire {
    #[prost(bytes = "vec", tag = "1")]
    author: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    message_id: Vec<u8>,
}

/// Says the one of the three that is set, later than anything else.
fn said(counter: u64, about: SaidWire) -> PlainWire {
    let (message_id, previous) = (counter.to_be_bytes().repeat(2), vec![1; 32]);
    let said = SaidWire { message_id, counter, previous, lamport: 1000 + counter, ..about };
    PlainWire { content: ContentWire { said: Some(said) }.encode_to_vec(), introduction: None }
}

fn edit(of: &[u8], text: &str) -> SaidWire {
    SaidWire { edit: Some(EditWire { of: of.to_vec(), text: text.into() }), ..SaidWire::default() }
}

fn take_back(of: &[u8]) -> SaidWire {
    SaidWire { take_back: Some(EditWire { of: of.to_vec(), text: String::new() }), ..SaidWire::default() }
}

fn react(author: AccountId, message_id: &[u8], emoji: &str) -> SaidWire {
    let to = Some(ReferenceWire { author: author.0.to_vec(), message_id: message_id.to_vec() });
    SaidWire { react: Some(ReactWire { to, emoji: emoji.into() }), ..SaidWire::default() }
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
    for (counter, about) in (2..).zip([edit, |of: &[u8], _: &str| take_back(of)]) {
        peer.say(&mut world, &mut bob, &said(counter, about(&before.message_id.0, "what the peer wants")));
    }
    assert_eq!(only(&bob, "bob's own"), before);
    // Of its own it may.
    let hello = only(&bob, "hello").message_id;
    peer.say(&mut world, &mut bob, &said(4, edit(&hello.0, "good day")));
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
    peer.say(&mut world, &mut bob, &said(2, react(alices, &before.message_id.0, "seen")));
    peer.say(&mut world, &mut bob, &said(3, take_back(&before.message_id.0)));
    assert_eq!(only(&bob, "between us"), before);
    assert_eq!(dropped(&bob), 0);
}

#[test]
fn reactions_that_are_none_and_what_strangers_say_about_messages_are_dropped() {
    let mut world = World::seeded(62);
    let mut bob = world.person("bob");
    let (mut peer, _) = accepted(&mut world, &mut bob);
    let hello = only(&bob, "hello");
    for (counter, emoji) in (2..).zip(["\u{1b}[2J", "\u{1e}", &"x".repeat(65)]) {
        peer.say(&mut world, &mut bob, &said(counter, react(peer.account(), &hello.message_id.0, emoji)));
    }
    assert_eq!(only(&bob, "hello"), hello);
    let mut stranger = Peer::new(&mut world);
    stranger.begin(&mut world, &bob);
    stranger.say(&mut world, &mut bob, &text(1, "anyone there"));
    let words = only(&bob, "anyone there").message_id;
    stranger.say(&mut world, &mut bob, &said(2, edit(&words.0, "edited")));
    only(&bob, "anyone there");
    let codes: Vec<Reason> = bob
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Undecryptable { code, asked_again: false, .. } => Some(*code),
            _ => None,
        })
        .collect();
    assert_eq!(codes, [Reason::Unknown, Reason::Unknown, Reason::Unknown, Reason::NotAllowed]);
}

#[test]
fn an_edit_as_late_as_it_gets_wears_no_clock_out() {
    let mut world = World::seeded(63);
    let mut bob = world.person("bob");
    let (mut peer, contact) = accepted(&mut world, &mut bob);
    let hello = only(&bob, "hello").message_id;
    let largest = SaidWire { lamport: i64::MAX as u64, ..edit(&hello.0, "for ever last") };
    let mut plain = said(2, largest.clone());
    let mut content = ContentWire::decode(&plain.content[..]).unwrap();
    content.said.as_mut().unwrap().lamport = largest.lamport;
    plain.content = content.encode_to_vec();
    peer.say(&mut world, &mut bob, &plain);
    assert_eq!(only(&bob, "for ever last").edits, 1);
    world.command(&mut bob, Command::Send { to: contact.conversation, text: "still here".into() });
    world.settle(&mut [&mut bob]);
    only(&bob, "still here");
}
