//! A member who was never an admin, and makes changes of a group without end.

use hushwire_engine::group::Op;
use hushwire_engine::{ConversationId, Page, Reason};
use hushwire_proto::ids::ChangeHash;

use crate::group::{Three, change, codes, heard, say, settle, state, the_group, three, tip};
use crate::world::member::{hash, rename, sign};
use crate::world::wire::{ChangeWire, DropDevice, Leave, OpWire, SetRole};
use crate::world::{Person, World};

/// Changes of a member that are kept which no admin has seen.
const KEPT: usize = 16;

fn flood(three: &Three, parent: (ChangeHash, u64), count: u64, op: &OpWire) -> Vec<Vec<u8>> {
    let mallory = &three.mallory;
    let one = |number: u64| {
        let change = mallory.change(&[parent.0], parent.1 + 1, vec![op.clone()]);
        sign(&mallory.peer, &ChangeWire { at_ms: number, ..change })
    };
    let mut changes: Vec<Vec<u8>> = (0..count).map(one).collect();
    changes.sort_by_key(|change| std::cmp::Reverse(hash(change)));
    changes
}

/// Tells it a hundred at a time, her device lists once in each.
fn tell(world: &mut World, three: &mut Three, changes: &[Vec<u8>], to_bob: bool) {
    for some in changes.chunks(100) {
        let mut content = three.mallory.changes(some);
        content.group_changes.as_mut().unwrap().changes.iter_mut().skip(1).for_each(|proven| proven.chain.clear());
        let to = if to_bob { &mut three.bob } else { &mut three.alice };
        three.mallory.tell(world, to, &content);
    }
}

fn entries(person: &Person) -> Vec<hushwire_engine::GroupEntry> {
    person.engine().group_entries(the_group(person)).unwrap()
}

fn heard_in(person: &Person, group: ConversationId) -> Vec<String> {
    let messages = person.engine().history(Some(group), Page { limit: 100, ..Page::default() }).unwrap();
    messages.into_iter().map(|message| message.text).collect()
}

fn reads_only(three: &Three) -> OpWire {
    let account = three.mallory.peer.account().0.to_vec();
    OpWire { set_role: Some(SetRole { account, role: 1 }), ..OpWire::default() }
}

fn drops_device(three: &Three) -> OpWire {
    let link = three.mallory.peer.links.last().unwrap().hash().0.to_vec();
    OpWire { drop_device: Some(DropDevice { device: 9, link }), ..OpWire::default() }
}

#[test]
fn a_group_that_a_member_floods_with_changes_goes_on_and_keeps_few_of_them() {
    let mut world = World::seeded(210);
    let mut three = three(&mut world);
    let group = the_group(&three.bob);
    let before = entries(&three.bob).len();
    let start = tip(&three.bob);
    let leaves = OpWire { leave: Some(Leave {}), ..OpWire::default() };
    for op in [rename("mine"), drops_device(&three), reads_only(&three), leaves] {
        let changes = flood(&three, start, 1500, &op);
        for to_bob in [true, false] {
            tell(&mut world, &mut three, &changes, to_bob);
        }
        assert!(entries(&three.bob).len() <= before + KEPT, "{}", entries(&three.bob).len());
        assert_eq!(entries(&three.bob), entries(&three.alice));
        // What has no right to be is told, and what is too much is not.
        if op.leave.is_none() {
            let told = if op.rename.is_some() { 15 } else { 0 };
            assert_eq!(codes(&three.bob), vec![Reason::NotAllowed; told]);
        }
        three.bob.events.clear();
    }
    assert_eq!(entries(&three.bob).len(), before + KEPT);
    say(&mut world, &mut three.alice, "never mind her");
    change(&mut world, &mut three.alice, vec![Op::Rename("still friends".to_owned())]);
    settle(&mut world, &mut three.alice, &mut three.bob);
    three.bob.crash();
    assert_eq!(three.bob.engine().group(group).unwrap().unwrap().state.name, "still friends");
    assert_eq!(three.bob.engine().group_entries(group).unwrap().len(), before + KEPT + 1);
    assert_eq!(heard_in(&three.bob, group), ["never mind her"]);
}

#[test]
fn whoever_shows_each_of_two_other_changes_has_both_ask_each_other_until_they_have_the_same() {
    for reads_only_first in [true, false] {
        let mut world = World::seeded(211);
        let mut three = three(&mut world);
        let start = tip(&three.bob);
        let (bobs, mut alices) =
            (flood(&three, start, 60, &drops_device(&three)), flood(&three, start, 60, &reads_only(&three)));
        if reads_only_first {
            alices.reverse();
        }
        tell(&mut world, &mut three, &bobs, true);
        tell(&mut world, &mut three, &alices, false);
        assert_ne!(entries(&three.alice), entries(&three.bob));
        // She names what bob may not have kept.
        change(&mut world, &mut three.alice, vec![Op::Timer(Some(3600))]);
        settle(&mut world, &mut three.alice, &mut three.bob);
        assert_eq!(entries(&three.alice), entries(&three.bob));
        assert_eq!(state(&three.bob).state.timer, Some(3600));
        assert!(entries(&three.bob).len() <= 1 + 1 + 1 + KEPT);
        // Nobody asks any more.
        let seen = world.seen.len();
        say(&mut world, &mut three.alice, "are we of one mind?");
        settle(&mut world, &mut three.alice, &mut three.bob);
        let said = world.seen.len() - seen;
        let seen = world.seen.len();
        say(&mut world, &mut three.alice, "we are");
        settle(&mut world, &mut three.alice, &mut three.bob);
        assert_eq!((world.seen.len() - seen, said), (said, said));
        assert_eq!(heard(&three.bob), ["are we of one mind?", "we are"]);
    }
}
