//! What many members and many changes cost, counted in changes that are gone through and not in time.

use hushwire_proto::account::encode_links;

use super::*;
use crate::account::Setup;
use crate::content::GroupChanges;
use crate::engine::{Cx, Engine};
use crate::group::fold::APPLIED;
use crate::group::{CHANGE_BYTES_MAX, MEMBERS_MAX};
use crate::groups::changes;
use crate::store::{Store, contacts, groups};
use crate::types::Standing;

fn applied() -> usize {
    APPLIED.with(std::cell::Cell::get)
}

fn many(from: usize, count: usize) -> Vec<NewMember> {
    let member = |number: usize| {
        let mut account = [0xAA; 32];
        account[..8].copy_from_slice(&number.to_be_bytes());
        NewMember { account: AccountId(account), keyserver: keyserver(), role: Role::Member }
    };
    (from..from + count).map(member).collect()
}

#[test]
fn a_group_of_a_thousand_is_founded_in_one_change_and_takes_no_more() {
    let founder = person(0);
    let members: Vec<NewMember> = [founder.member(Role::Owner)].into_iter().chain(many(0, MEMBERS_MAX - 1)).collect();
    let (device, key) = &founder.devices[0];
    let found = SignedChange::found("all", members, founder.account, *device, key, UnixMillis(1)).unwrap();
    assert!(found.encode().len() <= CHANGE_BYTES_MAX);
    let mut log = GroupLog::found(found, &founder.chain).unwrap();
    assert_eq!(log.state().members.len(), MEMBERS_MAX);
    founder.does(&mut log, vec![Op::Add(many(5000, 1))]);
    assert_eq!(log.state().members.len(), MEMBERS_MAX);
    founder.does(&mut log, vec![Op::Remove(many(3, 1)[0].account), Op::Add(many(5000, 2))]);
    assert_eq!(log.state().members.len(), MEMBERS_MAX);
}

#[test]
fn a_change_that_has_seen_all_others_costs_one_step_and_loading_costs_three_for_each() {
    const CHANGES: usize = 5000;
    let mut log = owner_two_admins_and_a_member();
    person(0).does(&mut log, vec![Op::Add(many(0, 1000))]);
    let _ = log.state();
    let before = applied();
    for number in 2..CHANGES {
        let op = match number % 5 {
            0 => Op::Remove(many(number % 1000, 1)[0].account),
            1 => Op::Add(many(number % 1000, 1)),
            _ => Op::Rename(format!("{number}")),
        };
        person(1 + number % 2).does(&mut log, vec![op]);
        let _ = log.state();
    }
    assert_eq!(applied() - before, CHANGES - 2);

    let rows: Vec<Vec<u8>> = log.iter().map(SignedChange::encode).collect();
    let before = applied();
    let loaded = GroupLog::load(&rows).unwrap();
    assert_eq!(loaded.state(), log.state());
    assert_eq!(applied() - before, 3 * CHANGES);
}

#[test]
fn many_changes_that_come_before_anybody_asks_cost_one_computation() {
    let mut log = owner_two_admins_and_a_member();
    let founding = log.heads();
    let _ = log.state();
    let before = applied();
    for number in 0..300 {
        let op = Op::Rename(format!("{number}"));
        let change = person(1 + number % 2).sign(&log, &founding, vec![op]);
        assert!(insert(&mut log, &change).is_ok());
    }
    assert_eq!(log.heads().len(), 300);
    let _ = log.state();
    // The first has seen everything that there was.
    assert_eq!(applied() - before, 1 + 3 * 301);
    // A next change names eight of them; its eight names leave 293 heads.
    let (device, key) = &person(1).devices[0];
    let made = log.change(vec![Op::Announce(true)], person(1).account, *device, key, UnixMillis(1)).unwrap();
    assert!(insert(&mut log, &made).is_ok());
    assert_eq!(log.heads().len(), 300 - 8 + 1);
    assert!(log.state().announce);
}

#[test]
fn many_changes_apart_from_each_other_that_a_member_brings_at_once_cost_one_computation() {
    let mut rng = StdRng::seed_from_u64(100);
    let relay = ServerAddress::parse("hush://relay.example.org", RELAY_PORT).unwrap();
    let setup = Setup { relay, keyserver: keyserver(), handle_name: None };
    let (mut us, _) = Engine::create(Store::memory().unwrap(), &setup, UnixMillis(1), &mut rng).unwrap();
    let tx = us.store.begin().unwrap();
    let (keys, flight) = (&mut us.keys, &mut us.flight);
    let mut cx = Cx { db: &tx, keys, flight, now: UnixMillis(2000), rng: &mut rng, out: Vec::new() };
    let founder = person(0);
    let row = contacts::NewRow {
        chain: &founder.chain,
        name: "founder",
        handle: None,
        claimed_handle: None,
        keyserver: None,
        standing: Standing::Accepted,
        verified: false,
    };
    let id = contacts::insert(cx.db, &row, cx.now).unwrap();
    let contact = contacts::get(cx.db, id).unwrap().unwrap();

    let us = NewMember { account: cx.keys.account, keyserver: keyserver(), role: Role::Member };
    let (device, key) = &founder.devices[0];
    let members = vec![founder.member(Role::Owner), us];
    let found = SignedChange::found("walks", members, founder.account, *device, key, UnixMillis(1000)).unwrap();
    let log = GroupLog::found(found.clone(), &founder.chain).unwrap();
    let apart = (0..200).map(|number| founder.sign(&log, &log.heads(), vec![Op::Rename(format!("{number}"))]));
    let chain = encode_links(founder.chain.links());
    let told = |changes: &mut dyn Iterator<Item = SignedChange>| GroupChanges {
        group: log.id(),
        changes: changes.map(|change| (change.encode(), chain.clone())).collect(),
    };
    assert_eq!(changes::came(&mut cx, &contact, &told(&mut [found].into_iter())).unwrap(), Ok(()));
    let before = applied();
    assert_eq!(changes::came(&mut cx, &contact, &told(&mut apart.into_iter())).unwrap(), Ok(()));
    // The first has seen everything that there was.
    assert_eq!(applied() - before, 1 + 3 * 201);
    let group = groups::by_id(cx.db, log.id()).unwrap().unwrap();
    assert_eq!(groups::changes_count(cx.db, group).unwrap(), 201);
}
