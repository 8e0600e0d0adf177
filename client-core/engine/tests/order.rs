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

#[test]
fn what_is_missing_stays_shown_until_it_comes_and_what_came_late_is_marked() {
    let mut world = World::seeded(301);
    let (mut alice, mut bob) = world.friends();
    world.send(&mut alice, "bob", "one");
    world.settle(&mut [&mut alice, &mut bob]);
    let lost: Vec<Envelope> =
        ["two", "three", "four"].map(|text| withheld(&mut world, &mut alice, &bob, "bob", text)).into();
    world.send(&mut alice, "bob", "five");
    world.settle(&mut [&mut alice, &mut bob]);
    assert_eq!(gaps(&bob), [(3, Some("five".to_owned()))]);
    bob.crash();
    assert_eq!(gaps(&bob), [(3, Some("five".to_owned()))], "it is kept");
    // The one in the middle: what is missing is on both sides of it.
    for (which, left) in [(1, vec![(1, "three"), (1, "five")]), (0, vec![(1, "five")]), (2, vec![])] {
        world.inject(bob.mailbox(), lost[which].clone());
        world.settle(&mut [&mut alice, &mut bob]);
        let left: Vec<_> = left.into_iter().map(|(missing, before)| (missing, Some(before.to_owned()))).collect();
        assert_eq!(gaps(&bob), left);
    }
    let late: Vec<bool> = bob.messages().into_iter().map(|message| message.late).collect();
    assert_eq!(late, [false, true, true, true, false]);
    assert_eq!(bob.history(), ["one", "two", "three", "four", "five"]);
}

#[test]
fn what_is_said_about_messages_and_does_not_come_is_missing_too_and_the_newest_gaps_are_kept() {
    let mut world = World::seeded(302);
    let (mut alice, mut bob) = world.friends();
    let of = world.send(&mut alice, "bob", "one").id;
    world.settle(&mut [&mut alice, &mut bob]);
    for number in 0..100 {
        withheld(&mut world, &mut alice, &bob, "bob", "lost");
        let text = format!("edit {number}");
        world.command(&mut alice, Command::Edit { message: of, text });
        world.settle(&mut [&mut alice, &mut bob]);
    }
    assert_eq!(bob.history(), ["edit 99"]);
    let all = gaps(&bob);
    assert_eq!(all.len(), 64, "nobody fills the database");
    assert!(all.iter().all(|gap| *gap == (1, None)), "nothing stands behind them yet: {all:?}");
}

/// How much is missing before which message.
fn gaps(person: &Person) -> Vec<(u64, Option<String>)> {
    let text = |id: LocalId| person.engine().message(id).unwrap().unwrap().text;
    let all = person.engine().gaps(person.only_contact().conversation).unwrap();
    all.into_iter().map(|gap| (gap.missing, gap.before.map(text))).collect()
}
