//! Who types and who is there, over a real relay.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code
)]

mod world;

use std::time::Duration;

use hushwire_client::{Answer, Client, Command, Contact, Event, Seen, State};
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

/// Alice and Bob, who have written to each other, so that each has the other's key.
async fn acquainted(world: &World) -> (Person, Person) {
    let (mut alice, mut bob) = (world.person("alice").await, world.person("bob").await);
    let (at_alice, at_bob) = (alice.add(world.handle("bob")).await, bob.add(world.handle("alice")).await);
    for text in ["one", "two"] {
        let id = alice.send(at_alice.conversation, text).await;
        assert_eq!(bob.receive().await.text, text);
        alice.reached(id, State::Delivered).await;
        let id = bob.send(at_bob.conversation, text).await;
        assert_eq!(alice.receive().await.text, text);
        bob.reached(id, State::Delivered).await;
    }
    (alice, bob)
}

async fn contact(person: &Person) -> Contact {
    let contacts = person.client.query(|engine| engine.contacts()).await.unwrap();
    let [contact] = <[Contact; 1]>::try_from(contacts).unwrap();
    contact
}

async fn does(person: &Person, command: Command) {
    person.client.command(command).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_look_at_a_conversation_see_each_other_type_and_be_there_though_nobody_writes() {
    let world = World::new().await;
    let (alice, bob) = acquainted(&world).await;
    for person in [alice, bob] {
        does(&person, Command::SharePresence(contact(&person).await.id, true)).await;
        person.client.close().await.unwrap();
    }
    // Programs that have begun anew have no connection to the other's relay.
    let (mut alice, mut bob) = (world.reopened("alice").await, world.reopened("bob").await);
    let (at_alice, at_bob) = (contact(&alice).await, contact(&bob).await);
    alice.client.connect().await.unwrap();
    bob.client.connect().await.unwrap();
    does(&alice, Command::LookAt(at_alice.conversation, true)).await;
    does(&bob, Command::LookAt(at_bob.conversation, true)).await;
    for (person, whom) in [(&mut alice, at_alice.id), (&mut bob, at_bob.id)] {
        let there = |event: &Event| (*event == Event::Presence { contact: whom, seen: Seen::Now }).then_some(());
        person.hear(there).await;
    }
    let typing = Event::Typing { conversation: at_bob.conversation, contact: at_bob.id, on: true };
    until_heard(&alice.client, Command::Typing(at_alice.conversation, true), &mut bob, typing).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_look_at_a_group_see_who_types_there() {
    let world = World::new().await;
    let mut people = Vec::new();
    for name in ["alice", "bob", "carol", "dave"] {
        people.push(world.person(name).await);
    }
    let (alice, others) = people.split_first_mut().unwrap();
    let mut members = Vec::new();
    for other in others.iter_mut() {
        other.add(world.handle("alice")).await;
        members.push(alice.add(world.handle(&other.name)).await.id);
    }
    let made = alice.client.command(Command::FoundGroup { name: "friends".into(), members }).await.unwrap();
    let Answer::Group(group) = made else { panic!("{made:?}") };
    let mut groups = vec![group];
    for other in others.iter_mut() {
        let joined = |event: &Event| match event {
            Event::GroupJoined { conversation } => Some(*conversation),
            _ => None,
        };
        groups.push(other.hear(joined).await);
    }
    // A key that each is known to have.
    for place in 0..people.len() {
        people[place].send(groups[place], "hello").await;
        for (other, person) in people.iter_mut().enumerate() {
            if other != place {
                person.receive().await;
            }
        }
    }
    for (person, group) in people.iter().zip(&groups) {
        does(person, Command::ShareTyping(*group, true)).await;
        does(person, Command::LookAt(*group, true)).await;
    }
    let (alice, others) = people.split_first_mut().unwrap();
    for (person, there) in others.iter_mut().zip(&groups[1..]) {
        let author = person.client.query(|engine| engine.find_contact("alice")).await.unwrap().unwrap().id;
        let typing = Event::Typing { conversation: *there, contact: author, on: true };
        until_heard(&alice.client, Command::Typing(groups[0], true), person, typing).await;
    }
    world.end().await;
}
