//! Strangers: they may write, are named, get nothing back, and can be blocked.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{Answer, Command, CommandError, Event, Input, NewContact, Standing, State};
use world::World;

#[test]
fn a_stranger_may_write_but_gets_no_receipt_until_accepted() {
    let mut world = World::seeded(13);
    let (mut mallory, mut bob) = (world.person("mallory"), world.person("bob"));
    world.add(&mut mallory, "bob");
    world.send(&mut mallory, "bob", "do you know me");
    world.settle(&mut [&mut mallory, &mut bob]);
    let stranger = bob.only_contact();
    assert_eq!(stranger.standing, Standing::Request);
    assert!(stranger.name.starts_with("unknown-"));
    assert!(stranger.claimed_handle.as_deref().unwrap().starts_with("mallory@"));
    assert_eq!(mallory.states(), [State::Sent]);
    let read = bob.mark_all_read(stranger.id).unwrap();
    world.command(&mut bob, read);
    world.settle(&mut [&mut mallory, &mut bob]);
    assert_eq!(mallory.states(), [State::Sent]);
    world.command(&mut bob, Command::Accept(stranger.id));
    world.send(&mut mallory, "bob", "and now");
    world.settle(&mut [&mut mallory, &mut bob]);
    assert_eq!(mallory.states(), [State::Delivered, State::Delivered]);
}

#[test]
fn a_stranger_is_introduced_by_name_even_before_their_relay_took_the_token() {
    let mut world = World::seeded(33);
    let (mut mallory, mut bob) = (world.person("mallory"), world.person("bob"));
    world.relay_down = true;
    world.input(&mut mallory, Input::Command(adding("bob")));
    while let Some((call, asked)) = mallory.calls.pop_front() {
        let reply = world.answer(&mallory, asked);
        world.input(&mut mallory, Input::Replied { call, reply });
    }
    world.relay_down = false;
    world.send(&mut mallory, "bob", "first");
    while let Some((call, asked)) = mallory.calls.pop_front() {
        let reply = world.answer(&mallory, asked);
        world.input(&mut mallory, Input::Replied { call, reply });
    }
    assert_eq!(world.mailboxes[&mallory.mailbox()].tokens.len(), 1, "only the one for strangers");
    world.deliver(&mut bob);
    assert_eq!(bob.shown(), ["first"]);
    assert!(bob.only_contact().claimed_handle.unwrap().starts_with("mallory@"));
}

#[test]
fn what_a_stranger_changes_is_shown_once_they_are_accepted_and_nothing_is_missing() {
    let mut world = World::seeded(34);
    let (mut mallory, mut bob) = (world.person("mallory"), world.person("bob"));
    world.add(&mut mallory, "bob");
    let first = world.send(&mut mallory, "bob", "do you know em").id;
    let second = world.send(&mut mallory, "bob", "no matter").id;
    world.settle(&mut [&mut mallory, &mut bob]);
    world.command(&mut mallory, Command::Edit { message: first, text: "do you know me".into() });
    world.command(&mut mallory, Command::TakeBack(second));
    world.send(&mut mallory, "bob", "mallory");
    world.settle(&mut [&mut mallory, &mut bob]);
    assert_eq!(bob.history(), ["do you know em", "no matter", "mallory"], "a stranger takes nothing back");
    let stranger = bob.only_contact().id;
    world.command(&mut bob, Command::Accept(stranger));
    for _ in 0..3 {
        world.settle(&mut [&mut mallory, &mut bob]);
        world.wait(10_000);
    }
    assert_eq!(bob.history(), ["do you know me", "", "mallory"]);
    assert!(!bob.events.iter().any(|event| matches!(event, Event::Gap { .. } | Event::Undecryptable { .. })));
}

fn adding(name: &str) -> Command {
    let handle = hushwire_proto::address::Handle::new(name, world::server(4432)).unwrap();
    Command::AddContact { who: NewContact::Handle(handle, world::server(4432)), name: None }
}

#[test]
fn who_is_blocked_is_not_heard_and_their_token_opens_nothing() {
    let mut world = World::seeded(14);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "hello");
    world.settle(&mut [&mut alice, &mut bob]);
    let alices = bob.contact("alice").id;
    world.command(&mut bob, Command::Block(alices));
    world.settle(&mut [&mut bob]);
    let tokens = &world.mailboxes[&bob.mailbox()].tokens;
    assert_eq!(tokens.len(), 1, "only the one for strangers is left");
    world.send(&mut alice, "bob", "are you there");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(bob.shown(), ["hello"]);
    let to = bob.contact("alice").conversation;
    let answer = world.command(&mut bob, Command::Send { to, text: "no".into() });
    assert_eq!(answer, Answer::Refused(CommandError::Blocked));
}
