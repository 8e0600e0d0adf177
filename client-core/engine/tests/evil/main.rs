//! Evil relays, keyservers and peers against one honest engine: each rule is a fact about what they do not achieve.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unreachable_pub)]

mod about;
mod auditor;
mod changes;
mod group;
mod keys;
mod keyserver;
mod log;
mod relay;
mod said;
mod whispers;
mod who;
#[path = "../world/mod.rs"]
mod world;

use hushwire_engine::{Command, Contact, ContactLink, Event, NewContact};
use world::peer::{Peer, text};
use world::{Person, World, server};

/// A peer whom this person has accepted.
pub(crate) fn accepted(world: &mut World, by: &mut Person) -> (Peer, Contact) {
    let mut peer = Peer::new(world);
    peer.begin(world, by);
    peer.say(world, by, &text(1, "hello"));
    let contact = by.engine().contacts().unwrap().pop().unwrap();
    world.command(by, Command::Accept(contact.id));
    peer.publish(world);
    world.settle(&mut [by]);
    (peer, contact)
}

pub(crate) fn dropped(person: &Person) -> usize {
    person.events.iter().filter(|event| matches!(event, Event::Undecryptable { .. })).count()
}

pub(crate) fn link_of(world: &World, peer: &Peer) -> NewContact {
    assert!(world.accounts.contains_key(&peer.account()));
    NewContact::Link(ContactLink { account: peer.account(), keyserver: server(4432) })
}
