//! Who types and who is there, over a real relay.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub, dead_code)]

mod world;

use std::time::Duration;

use hushwire_client::{Client, Command, Event, Seen, State};
use world::{Person, World};

/// Says it until somebody hears of it: a whisper may be lost.
async fn until_heard(says: &Client, command: Command, hears: &mut Person, what: Event) {
    let whisper = async {
        loop {
            says.command(command.clone()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        () = whisper => unreachable!(),
        () = hears.hear(|event| (*event == what).then_some(())) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_talk_see_each_other_type_and_whether_they_are_there() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let (at_alice, at_bob) = (alice.add(world.handle("bob")).await, bob.add(world.handle("alice")).await);
    let (to_bob, to_alice) = (at_alice.id, at_bob.id);
    for text in ["one", "two"] {
        let id = alice.send(at_alice.conversation, text).await;
        assert_eq!(bob.receive().await.text, text);
        alice.reached(id, State::Delivered).await;
        let id = bob.send(at_bob.conversation, text).await;
        assert_eq!(alice.receive().await.text, text);
        bob.reached(id, State::Delivered).await;
    }
    let typing = Event::Typing { contact: to_alice, on: true };
    until_heard(&alice.client, Command::Typing(to_bob, true), &mut bob, typing).await;
    for (person, contact) in [(&alice, to_bob), (&bob, to_alice)] {
        person.client.command(Command::SharePresence(contact, true)).await.unwrap();
    }
    let there = Event::Presence { contact: to_bob, seen: Seen::Now };
    let asks = alice.client.clone();
    until_heard(&asks, Command::AskPresence(to_bob), &mut alice, there).await;
    world.end().await;
}
