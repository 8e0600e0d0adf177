//! Evil members, and people who are none: what they do to a group's changes.

use hushwire_engine::group::{NewMember, Op, Role};
use hushwire_engine::{Answer, Call, CallFailed, Command, GroupStanding, Input, Reason};
use hushwire_proto::account::encode_links;
use hushwire_proto::ids::{AccountId, ChangeHash};
use rand::RngExt as _;

use crate::accepted;
use crate::group::{change, codes, heard, rows, say, settle, state, the_group, three, tip};
use crate::world::member::{Member, hash, remove, rename, sign};
use crate::world::peer::Peer;
use crate::world::wire::{ChangeWire, Content, Found, GroupAsk, GroupPlain, OpWire, Receipt, SetRole};
use crate::world::{World, server};

/// A group of this peer's own, with nobody but itself.
fn founded(member: &mut Member, number: u64) -> Vec<u8> {
    let members = [&member.peer.account().0[..], &[0, 4]].concat();
    let found = Found { name: format!("group {number}"), members };
    let op = OpWire { found: Some(found), ..OpWire::default() };
    let change = ChangeWire {
        group: Vec::new(),
        servers: vec![server(4432).to_string()],
        at_ms: number,
        ..member.change(&[], 0, vec![op])
    };
    let signed = sign(&member.peer, &change);
    member.group = hash(&signed).0.to_vec();
    signed
}

#[test]
fn strangers_who_bring_changes_of_groups_leave_no_trace() {
    let mut world = World::seeded(200);
    let mut three = three(&mut world);
    let before = rows(&three.bob);
    let (parent, height) = tip(&three.bob);
    for number in 0..20 {
        let peer = Peer::new(&mut world);
        let mut stranger = Member::new(&mut world, peer, &three.alice);
        let own = founded(&mut stranger, number);
        let content = stranger.changes(&[own]);
        stranger.tell(&mut world, &mut three.bob, &content);
        stranger.group = three.mallory.group.clone();
        let wish = sign(&stranger.peer, &stranger.change(&[parent], height + 1, vec![rename("mine")]));
        let content = stranger.changes(&[wish]);
        stranger.tell(&mut world, &mut three.bob, &content);
    }
    assert_eq!(rows(&three.bob), before);
    assert_eq!(tip(&three.bob), (parent, height));
    assert_eq!(codes(&three.bob), vec![Reason::NotAllowed; 40]);
}

#[test]
fn a_contact_tells_of_so_many_groups_and_what_is_about_them_stops_nobody() {
    let mut world = World::seeded(201);
    let mut alice = world.person("alice");
    let (peer, contact) = accepted(&mut world, &mut alice);
    let mut mallory = Member::new(&mut world, peer, &alice);
    mallory.secret = vec![7; 32];
    // Of a group of which only a key is known, nothing was read that could be confirmed or asked for.
    mallory.group = vec![8; 32];
    mallory.give_key(&mut world, &mut alice);
    let group = mallory.group.clone();
    let receipt = Receipt { author: 1, delivered: vec![1], read_through: 1, group: group.clone() };
    mallory.tell(&mut world, &mut alice, &Content { receipt: Some(receipt), ..Content::default() });
    let ask = GroupAsk { group, heads: Vec::new() };
    mallory.tell(&mut world, &mut alice, &Content { group_ask: Some(ask), ..Content::default() });
    assert_eq!(codes(&alice), [Reason::NotAllowed]);
    // Groups without us are not shown, and there is room for so many.
    for number in 0..70 {
        let own = founded(&mut mallory, number);
        let content = mallory.changes(&[own]);
        mallory.tell(&mut world, &mut alice, &content);
    }
    assert_eq!(codes(&alice).len(), 1 + 7);
    assert_eq!(alice.engine().conversations().unwrap().len(), 1);
    world.command(&mut alice, Command::Send { to: contact.conversation, text: "still here".into() });
    assert!(alice.history().contains(&"still here".to_owned()));
}

#[test]
fn changes_that_are_forged_or_another_groups_or_another_accounts_change_nothing() {
    let mut world = World::seeded(202);
    let mut three = three(&mut world);
    let before = state(&three.bob);
    let (parent, height) = tip(&three.bob);
    let mallory = &mut three.mallory;
    let reads_only = SetRole { account: mallory.peer.account().0.to_vec(), role: 1 };
    let reads_only = OpWire { set_role: Some(reads_only), ..OpWire::default() };
    let honest = mallory.change(&[parent], height + 1, vec![reads_only]);
    let as_alice = ChangeWire { author: three.alice.account().0.to_vec(), ..honest.clone() };
    let elsewhere = ChangeWire { group: vec![9; 32], ..honest.clone() };
    let higher = ChangeWire { height: u64::MAX, ..honest.clone() };
    let as_another_device = ChangeWire { device: 2, ..honest.clone() };
    let mut altered = sign(&mallory.peer, &honest);
    *altered.last_mut().unwrap() ^= 1;
    for change in [as_alice, elsewhere, higher, as_another_device] {
        let signed = sign(&mallory.peer, &change);
        let content = mallory.changes(&[signed]);
        mallory.tell(&mut world, &mut three.bob, &content);
    }
    let mut content = mallory.changes(&[altered]);
    mallory.tell(&mut world, &mut three.bob, &content);
    // With somebody else's lists.
    let lists = encode_links(&world.accounts[&three.alice.account()].links).to_vec();
    let signed = sign(&mallory.peer, &honest);
    content = mallory.changes(&[signed]);
    content.group_changes.as_mut().unwrap().changes[0].chain = lists;
    mallory.tell(&mut world, &mut three.bob, &content);
    assert_eq!(state(&three.bob), before);
    assert_eq!(tip(&three.bob), (parent, height));
    assert_eq!(codes(&three.bob), vec![Reason::NotAllowed; 6]);
    // Of right she has none but over herself.
    let rename = sign(&mallory.peer, &mallory.change(&[parent], height + 1, vec![rename("mine")]));
    let content = mallory.changes(&[rename]);
    mallory.tell(&mut world, &mut three.bob, &content);
    assert_eq!(tip(&three.bob), (parent, height));
    let signed = sign(&mallory.peer, &honest);
    let content = mallory.changes(&[signed]);
    for _ in 0..3 {
        mallory.tell(&mut world, &mut three.bob, &content);
    }
    let now = state(&three.bob).state;
    assert_eq!((&now.name, now.role(&mallory.peer.account())), (&before.state.name, Some(Role::ReadOnly)));
    assert_eq!(tip(&three.bob).1, height + 1);
}

#[test]
fn what_a_removed_admin_signs_with_an_old_date_does_nothing_whoever_brings_it() {
    let mut world = World::seeded(203);
    let mut three = three(&mut world);
    let (mallorys, bobs) = (three.mallory.peer.account(), three.bob.account());
    change(&mut world, &mut three.alice, vec![Op::SetRole(mallorys, Role::Admin)]);
    settle(&mut world, &mut three.alice, &mut three.bob);
    let old = tip(&three.bob);
    change(&mut world, &mut three.alice, vec![Op::Remove(mallorys)]);
    settle(&mut world, &mut three.alice, &mut three.bob);
    assert_eq!(state(&three.bob).state.members.len(), 2);
    let before = state(&three.alice);
    let late =
        sign(&three.mallory.peer, &three.mallory.change(&[old.0], old.1 + 1, vec![remove(bobs), rename("mine")]));
    let content = three.mallory.changes(&[late]);
    three.bob.events.clear();
    three.alice.events.clear();
    // By herself.
    three.mallory.tell(&mut world, &mut three.alice, &content);
    three.mallory.tell(&mut world, &mut three.bob, &content);
    assert_eq!((codes(&three.alice), codes(&three.bob)), (vec![Reason::NotAllowed], vec![Reason::NotAllowed]));
    // By somebody who is still in the group.
    let (peer, contact) = accepted(&mut world, &mut three.alice);
    let mut friend = Member::new(&mut world, peer, &three.alice);
    let ops = vec![Op::Add(three.alice.engine().new_members(&[contact.id]).unwrap())];
    change(&mut world, &mut three.alice, ops);
    settle(&mut world, &mut three.alice, &mut three.bob);
    friend.listen(&mut world, &three.alice);
    friend.tell(&mut world, &mut three.alice, &content);
    friend.tell(&mut world, &mut three.bob, &content);
    settle(&mut world, &mut three.alice, &mut three.bob);
    for person in [&three.alice, &three.bob] {
        let state = state(person).state;
        assert_eq!((state.name, state.members.len()), (before.state.name.clone(), 3));
        assert!(state.members.contains_key(&bobs));
    }
    say(&mut world, &mut three.alice, "bob is here");
    settle(&mut world, &mut three.alice, &mut three.bob);
    assert_eq!(heard(&three.bob), ["bob is here"]);
}

#[test]
fn who_asks_for_changes_over_and_over_is_answered_so_often_and_nobody_else_at_all() {
    let mut world = World::seeded(204);
    let mut three = three(&mut world);
    let ask = |group: &[u8]| GroupAsk { group: group.to_vec(), heads: Vec::new() };
    let group = three.mallory.group.clone();
    let before = world.seen.len();
    for _ in 0..100 {
        let content = Content { group_ask: Some(ask(&group)), ..Content::default() };
        three.mallory.tell(&mut world, &mut three.bob, &content);
        three.bob.crash();
    }
    assert!((1..=64).contains(&(world.seen.len() - before)), "{}", world.seen.len() - before);
    let peer = Peer::new(&mut world);
    let mut stranger = Member::new(&mut world, peer, &three.alice);
    let before = world.seen.len();
    let content = Content { group_ask: Some(ask(&group)), ..Content::default() };
    stranger.tell(&mut world, &mut three.bob, &content);
    assert_eq!(world.seen.len(), before);
}

#[test]
fn who_lies_about_heads_is_asked_once_for_each_lie_and_is_heard() {
    let mut world = World::seeded(205);
    let mut three = three(&mut world);
    let before = world.seen.len();
    for number in 1..=30 {
        let content = crate::world::member::words(number, "believe me");
        let heads = (0..64).map(|_| world.rng.random::<[u8; 32]>().to_vec()).collect();
        let plain = GroupPlain { heads, ..three.mallory.plain(&content) };
        three.mallory.speak_plain(&mut world, &mut three.bob, &plain);
    }
    assert_eq!(heard(&three.bob).len(), 30);
    // One question and one receipt.
    assert!(world.seen.len() - before <= 60, "{}", world.seen.len() - before);
    let peerless = ChangeHash([9; 32]);
    let orphans: Vec<Vec<u8>> = (0..200u64)
        .map(|number| {
            let change = three.mallory.change(&[peerless], 100 + number, vec![rename(&format!("name {number}"))]);
            sign(&three.mallory.peer, &change)
        })
        .collect();
    let mut content = three.mallory.changes(&orphans);
    content.group_changes.as_mut().unwrap().changes.iter_mut().skip(1).for_each(|proven| proven.chain.clear());
    three.bob.events.clear();
    three.mallory.tell(&mut world, &mut three.bob, &content);
    assert_eq!(codes(&three.bob), [Reason::NotAllowed], "beyond 64 of one author none waits");
    assert_eq!(state(&three.bob).state.name, "friends");
}

#[test]
fn somebody_whom_we_know_of_a_group_alone_can_be_asked_for_all_of_it() {
    let mut world = World::seeded(206);
    // Mallory founds a group with bob as an admin, who lets carol in by a link. Carol has never heard of mallory.
    let (mut bob, mut carol) = (world.person("bob"), world.person("carol"));
    let (peer, _) = accepted(&mut world, &mut bob);
    let mut mallory = Member::new(&mut world, peer, &bob);
    let members = [&mallory.peer.account().0[..], &[0, 4], &bob.account().0[..], &[0, 3]];
    let mut pairs = [members[..2].concat(), members[2..].concat()];
    pairs.sort();
    let found = Found { name: "friends".into(), members: pairs.concat() };
    let op = OpWire { found: Some(found), ..OpWire::default() };
    let change =
        ChangeWire { group: Vec::new(), servers: vec![server(4432).to_string()], ..mallory.change(&[], 0, vec![op]) };
    let signed = sign(&mallory.peer, &change);
    mallory.group = hash(&signed).0.to_vec();
    let content = mallory.changes(&[signed]);
    mallory.tell(&mut world, &mut bob, &content);
    assert_eq!(state(&bob).standing, GroupStanding::Member);
    let open = Command::OpenInvite { group: the_group(&bob), approval: false, expires_at: None, uses: None };
    let Answer::GroupLink(link) = world.command(&mut bob, open) else { panic!() };
    world.command(&mut carol, Command::JoinGroup(link));
    settle(&mut world, &mut bob, &mut carol);
    assert_eq!(state(&carol).standing, GroupStanding::Member);
    let ask = GroupAsk { group: mallory.group.clone(), heads: Vec::new() };
    mallory.tell(&mut world, &mut carol, &Content { group_ask: Some(ask), ..Content::default() });
    let own = the_group(&carol);
    assert_eq!(carol.engine().group_entries(own).unwrap().len(), 3);
}

#[test]
fn members_whose_keyservers_never_answer_hold_nobody_up() {
    let mut world = World::seeded(207);
    let mut three = three(&mut world);
    let servers: Vec<_> = (0..62).map(|port| server(5000 + port)).collect();
    let nobody = |world: &mut World, place: usize| NewMember {
        account: AccountId(world.rng.random()),
        keyserver: servers[place % 62].clone(),
        role: Role::Member,
    };
    let members = (0..1000).map(|place| nobody(&mut world, place)).collect();
    change(&mut world, &mut three.alice, vec![Op::Add(members)]);
    for round in 0..2 {
        say(&mut world, &mut three.alice, &format!("round {round}"));
        // The relay answers, and of the keyservers the one of those who are known; the others let each call run out.
        for _ in 0..200 {
            world.input(&mut three.alice, Input::Tick);
            let calls = std::mem::take(&mut three.alice.calls);
            let lookups = calls.iter().filter(|(_, call)| matches!(call, Call::Lookup { .. })).count();
            assert!(lookups <= 32, "{lookups} at once");
            if calls.is_empty() {
                break;
            }
            for (id, call) in calls {
                let reply = match call {
                    Call::Lookup { .. } => Err(CallFailed::Unreachable("no answer".into())),
                    call => world.answer(&three.alice, call),
                };
                world.input(&mut three.alice, Input::Replied { call: id, reply });
            }
        }
        world.settle(&mut [&mut three.bob]);
        assert_eq!(heard(&three.bob).len(), round + 1);
        // By then all are tried again, and nobody waits for that.
        world.wait(24 * 3600 * 1000);
    }
}
