//! Evil relays, keyservers and peers against one honest engine: each rule is a fact about what they do not achieve.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unreachable_pub)]

mod about;
mod auditor;
mod changes;
mod flood;
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

use hushwire_engine::{ContactLink, Event, NewContact};
use world::peer::Peer;
pub(crate) use world::peer::accepted;
use world::{Person, World, server};

pub(crate) fn dropped(person: &Person) -> usize {
    person.events.iter().filter(|event| matches!(event, Event::Undecryptable { .. })).count()
}

pub(crate) fn link_of(world: &World, peer: &Peer) -> NewContact {
    assert!(world.accounts.contains_key(&peer.account()));
    NewContact::Link(ContactLink { account: peer.account(), keyserver: server(4432) })
}
