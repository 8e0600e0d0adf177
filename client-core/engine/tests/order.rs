//! Where messages stand, in whatever order they come: what is unread, what is missing, what came late.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod world;

use hushwire_engine::{Command, LocalId, Page};
use hushwire_proto::envelope::Envelope;
use world::{Person, World};

/// Says it, and the relay keeps it back.
fn withheld(world: &mut World, from: &mut Person, to: &Person, name: &str, text: &str) -> Envelope {
    world.send(from, name, text);
    world.settle(&mut [from]);
    world.mailboxes.get_mut(&to.mailbox()).unwrap().envelopes.pop().unwrap().envelope
}

fn row(person: &Person, text: &str) -> LocalId {
    person.messages().into_iter().find(|message| message.text == text).unwrap().id
}

#[test]
fn what_came_late_and_stands_before_is_the_first_unread_and_is_read_with_what_was_shown_behind_it() {
    let mut world = World::seeded(300);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "one");
    world.settle(&mut [&mut alice, &mut bob]);
    let conversation = bob.contact("alice").conversation;
    let through = row(&bob, "one");
    world.command(&mut bob, Command::MarkRead { conversation, through });
    let late = withheld(&mut world, &mut alice, &bob, "bob", "two");
    world.send(&mut alice, "bob", "three");
    world.settle(&mut [&mut alice, &mut bob]);
    world.inject(bob.mailbox(), late);
    world.settle(&mut [&mut alice, &mut bob]);
    let (two, three) = (row(&bob, "two"), row(&bob, "three"));
    assert!(two > three, "it came later");
    let engine = bob.engine();
    assert_eq!(engine.conversation(conversation).unwrap().unwrap().first_unread, Some(two));
    let behind = Page { after: Some(two), limit: 10, ..Page::default() };
    assert_eq!(engine.history(Some(conversation), behind).unwrap().len(), 1, "three stands behind it");
    assert_eq!([before(&bob, two), before(&bob, three)], [0, 1]);
    // Whoever was shown what came up to three has not seen two, which stands before it.
    assert_eq!(engine.read_through(conversation, three).unwrap(), None);
    assert_eq!(engine.read_through(conversation, two).unwrap(), Some(three));
    world.command(&mut bob, Command::MarkRead { conversation, through: two });
    assert_eq!(bob.contact("alice").unread, 1, "three stands behind it");
    assert_eq!(bob.engine().read_through(conversation, three).unwrap(), Some(three));
}

fn before(person: &Person, id: LocalId) -> u32 {
    person.engine().unread_before(id).unwrap()
}
