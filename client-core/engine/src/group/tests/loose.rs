//! What whoever was never an admin can do to everybody's set of changes.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rand::seq::SliceRandom;

use super::*;
use crate::group::fold::APPLIED;
use crate::group::loose::OF_ONE_AUTHOR_MAX;
use crate::group::{CannotChange, Void};

/// An owner, an admin and three members. A link is open.
fn attacked() -> (GroupLog, GroupLink) {
    let mut log = group(&[(0, Role::Owner), (1, Role::Admin), (3, Role::Member), (4, Role::Member), (5, Role::Member)]);
    let opened = person(0).does(&mut log, vec![invite(1).0]);
    let way = link(&log, log.get(&opened).unwrap(), 1);
    (log, way)
}

/// A change of anybody after any others, told apart from its like by a number.
fn sign(log: &GroupLog, author: &Person, seen: &[&SignedChange], ops: Vec<Op>, number: u64) -> SignedChange {
    let mut parents: Vec<ChangeHash> = seen.iter().map(|change| change.hash()).collect();
    parents.sort_unstable();
    parents.dedup();
    let height = seen.iter().map(|change| change.height()).max().unwrap() + 1;
    let (device, key) = &author.devices[0];
    let (author, at) = (author.account, UnixMillis(number));
    Body { group: Some(log.id()), parents, height, author, device: *device, at, ops }.sign(key).unwrap()
}

/// So many leaves of one member that are apart from each other, in the order.
fn leaves(log: &GroupLog, author: &Person, count: u64) -> Vec<SignedChange> {
    let (parents, _) = log.parents_of(author.account, &[]);
    let seen: Vec<&SignedChange> = parents.iter().map(|parent| log.get(parent).unwrap()).collect();
    let mut leaves: Vec<SignedChange> =
        (0..count).map(|number| sign(log, author, &seen, vec![Op::Leave], number)).collect();
    leaves.sort_by_key(SignedChange::hash);
    leaves
}

fn of(log: &GroupLog, author: &Person) -> usize {
    log.iter().filter(|change| change.author() == author.account).count()
}

fn hashes(log: &GroupLog) -> BTreeSet<ChangeHash> {
    log.changes_after(&[]).into_iter().map(SignedChange::hash).collect()
}

/// With those that wait.
fn rows(log: &GroupLog) -> BTreeSet<ChangeHash> {
    log.iter().map(SignedChange::hash).collect()
}

#[derive(Clone, Debug)]
struct Step {
    author: usize,
    what: u8,
    keeps_the_rules: bool,
    seen: Vec<Index>,
}

fn step() -> impl Strategy<Value = Step> {
    let author = prop_oneof![1 => 0..2usize, 8 => 3..5usize, 1 => 5..8usize];
    (author, 0..10u8, prop::bool::weighted(0.9), vec(any::<Index>(), 1..4))
        .prop_map(|(author, what, keeps_the_rules, seen)| Step { author, what, keeps_the_rules, seen })
}

fn op(step: &Step, way: &GroupLink) -> Op {
    let author = person(step.author);
    match (step.author, step.what) {
        (0, 0) => Op::SetRole(person(5).account, Role::Admin),
        (0, 1) => Op::SetRole(person(1).account, Role::Member),
        (0 | 1, 2) => Op::Remove(person(3).account),
        (0 | 1, 3) => Op::Add(vec![person(4).member(Role::Member)]),
        (_, 4) => Op::Rename("mine".to_owned()),
        (0, _) => Op::Timer(Some(60)),
        (6 | 7, 0..8) | (_, 5) => join(author, way, None).ops()[0].clone(),
        (_, 6) => author.drop_second(),
        (_, 7) => Op::SetRole(author.account, Role::ReadOnly),
        _ => Op::Leave,
    }
}

/// What is kept by the words of the specification, written down a second time.
#[derive(Default)]
struct Kept {
    changes: Vec<SignedChange>,
    pasts: Vec<BTreeSet<usize>>,
    /// `None`: nobody takes it.
    entrusted: Vec<Option<Option<Role>>>,
}

impl Kept {
    fn place(&self, hash: &ChangeHash) -> usize {
        self.changes.iter().position(|change| change.hash() == *hash).unwrap()
    }

    fn is_taken(&self, change: &SignedChange) -> bool {
        self.entrusted[self.place(&change.hash())].is_some()
    }

    fn push(&mut self, change: SignedChange) {
        let parents: Vec<usize> = change.parents().iter().map(|hash| self.place(hash)).collect();
        let mut past: BTreeSet<usize> = parents.iter().copied().collect();
        past.extend(parents.iter().flat_map(|parent| self.pasts[*parent].iter().copied()));
        let author = change.author();
        let gives = |place: &usize| {
            self.changes[*place].ops().iter().filter_map(|op| match op {
                Op::Found { members, .. } => members.iter().find(|new| new.account == author).map(|new| new.role),
                Op::SetRole(account, role) if *account == author => Some(*role),
                _ => None,
            })
        };
        let by_owner = |place: &&usize| self.entrusted[**place] == Some(Some(Role::Owner));
        let role = past.iter().filter(by_owner).flat_map(gives).max().filter(|role| *role >= Role::Admin);
        let role = if change.is_founding() { Some(Role::Owner) } else { role };
        let joins = |change: &SignedChange| matches!(change.ops(), [Op::Join { .. }]);
        let came = |place: &usize| self.changes[*place].author() == author && joins(&self.changes[*place]);
        let is_own = |op: &Op| match op {
            Op::Leave | Op::Join { .. } | Op::DropDevice { .. } => true,
            Op::SetRole(account, _) => *account == author,
            _ => false,
        };
        let named = [6, 7].iter().all(|number| person(*number).account != author) || past.iter().any(came);
        let opened = past.contains(&1);
        let alone = parents.iter().all(|place| {
            self.changes[*place].author() == author || self.entrusted[*place].is_some_and(|role| role.is_some())
        });
        let taken = parents.iter().all(|place| self.entrusted[*place].is_some())
            && (if joins(&change) { opened } else { named })
            && (role.is_some() || alone && change.ops().iter().all(is_own));
        self.changes.push(change);
        self.pasts.push(past);
        self.entrusted.push(taken.then_some(role));
    }

    fn hashes(&self) -> BTreeSet<ChangeHash> {
        let mut kept = BTreeSet::new();
        for (place, _) in self.entrusted.iter().enumerate().filter(|(_, role)| matches!(role, Some(Some(_)))) {
            kept.extend(self.pasts[place].iter().chain([&place]).map(|place| self.changes[*place].hash()));
        }
        let places = 0..self.changes.len();
        let loose = places.filter(|place| self.entrusted[*place] == Some(None)).map(|place| &self.changes[place]);
        let mut loose: Vec<&SignedChange> = loose.filter(|change| !kept.contains(&change.hash())).collect();
        loose.sort_by_key(|change| (change.height(), change.hash()));
        for number in 0..8 {
            let theirs = loose.iter().filter(|change| change.author() == person(number).account);
            kept.extend(theirs.take(16).map(|change| change.hash()));
        }
        kept
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn in_whatever_order_a_flood_comes_everybody_keeps_the_same_of_it(
        steps in vec(step(), 60..160),
        seeds in vec(any::<u64>(), 3),
    ) {
        let (start, way) = attacked();
        let mut kept = Kept::default();
        start.iter().for_each(|change| kept.push(change.clone()));
        for (number, step) in steps.iter().enumerate() {
            let author = person(step.author);
            let mut seen: Vec<&SignedChange> = step.seen.iter().map(|index| index.get(&kept.changes)).collect();
            seen.push(&kept.changes[1]);
            // Whoever was entrusted with a group names what it has taken, and something that shows it.
            let made_admin = |change: &&SignedChange| change.ops() == [Op::SetRole(person(5).account, Role::Admin)];
            let shows_it = kept.changes.iter().find(made_admin).filter(|_| step.author == 5 && step.what < 5);
            seen.extend(shows_it);
            let is_entrusted = step.author < 2 || shows_it.is_some();
            seen.retain(|seen| !is_entrusted || kept.is_taken(seen));
            if !is_entrusted && (step.keeps_the_rules || step.author == 5) {
                seen.retain(|seen| [author, person(0), person(1)].iter().any(|by| by.account == seen.author()));
            }
            let change = sign(&start, author, &seen, vec![op(step, &way)], number as u64);
            kept.push(change);
        }
        let expected = kept.hashes();
        for seed in seeds {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut log = start.clone();
            // Whoever lacks something asks until nothing new comes of it, nor anything that waits.
            let mut quiet = 0;
            while quiet < 2 {
                let before = rows(&log);
                kept.changes.shuffle(&mut rng);
                for change in &kept.changes {
                    let _ = insert(&mut log, change);
                    if change.height() % 7 == 0 {
                        let _ = log.state();
                    }
                }
                quiet = if rows(&log) == before { quiet + 1 } else { 0 };
            }
            prop_assert_eq!(&hashes(&log), &expected);
            let rows: Vec<Vec<u8>> = log.changes_after(&[]).iter().map(|change| change.encode()).collect();
            let loaded = GroupLog::load(&rows).unwrap();
            prop_assert_eq!((loaded.state(), loaded.heads()), (log.state(), log.heads()));
            prop_assert_eq!(loaded.entries(), log.entries());
        }
    }
}

#[test]
fn a_member_who_floods_a_group_leaves_sixteen_changes_in_it_and_those_are_the_first() {
    let (mut log, _) = attacked();
    let leaves = leaves(&log, person(3), 1000);
    for change in leaves.iter().rev() {
        assert!(insert(&mut log, change).is_ok());
    }
    assert_eq!(of(&log, person(3)), OF_ONE_AUTHOR_MAX);
    for change in &leaves[..OF_ONE_AUTHOR_MAX] {
        assert!(log.get(&change.hash()).is_some());
    }
    let bytes: usize = log.iter().map(|change| change.encode().len()).sum();
    assert_eq!(log.graph.bytes(), bytes);
    person(1).does(&mut log, vec![Op::Rename("hikes".to_owned())]);
    person(4).does(&mut log, vec![Op::Leave]);
    assert_eq!((log.state().name.as_str(), log.state().members.len()), ("hikes", 3));
}

#[test]
fn a_member_does_nothing_but_to_itself_and_makes_it_short() {
    let (mut log, way) = attacked();
    let mallory = person(3);
    let found = log.get(&way.opened).unwrap().clone();
    let long = Op::DropDevice { device: DeviceId::new(3).unwrap(), link: mallory.revoked };
    let ops = [
        vec![Op::Rename("mine".to_owned())],
        vec![Op::Add(vec![person(6).member(Role::Member)])],
        vec![invite(2).0],
        vec![Op::Leave, Op::Ban(person(0).account)],
        vec![Op::SetRole(person(4).account, Role::Admin)],
        [long, mallory.drop_second()]
            .into_iter()
            .chain(
                (4..60).map(|device| Op::DropDevice { device: DeviceId::new(device).unwrap(), link: mallory.revoked }),
            )
            .collect(),
    ];
    for ops in ops {
        let change = sign(&log, mallory, &[&found], ops, 1);
        assert_eq!(insert(&mut log, &change), Err(BadChange::NotEntrusted));
    }
    let late = sign(&log, person(6), &[&found], vec![Op::Leave], 1);
    assert_eq!(insert(&mut log, &late), Err(BadChange::Stranger));
    assert_eq!(of(&log, mallory), 0);
}

#[test]
fn two_who_see_each_others_changes_keep_no_more_by_it() {
    let (mut log, _) = attacked();
    let (mallory, eve) = (person(3), person(4));
    let first = mallory.does(&mut log, vec![Op::Leave]);
    let first = log.get(&first).unwrap().clone();
    let of_both = sign(&log, eve, &[&first], vec![Op::Leave], 1);
    assert_eq!(insert(&mut log, &of_both), Err(BadChange::NotEntrusted));
    assert_eq!(of(&log, eve), 0);
    // Nor by waiting for something that is wanted by nobody else.
    let leaves = leaves(&log, mallory, 40);
    for change in &leaves {
        assert!(insert(&mut log, change).is_ok());
    }
    let waits = sign(&log, eve, &[&leaves[39]], vec![Op::Leave], 2);
    assert!(matches!(insert(&mut log, &waits), Ok(Inserted::Waiting { .. })));
    let dropped = vec![waits.hash()];
    assert_eq!(insert(&mut log, &leaves[39]), Ok(Inserted::TooMany { dropped }));
    assert_eq!(of(&log, mallory) + of(&log, eve), OF_ONE_AUTHOR_MAX);
}

#[test]
fn what_was_not_kept_is_taken_once_somebody_entrusted_has_seen_it() {
    let (start, _) = attacked();
    let mallory = person(3);
    let leaves = leaves(&start, mallory, 40);
    let (shown_to_all, shown_to_the_admin) = leaves.split_at(20);
    let (mut admins, mut log) = (start.clone(), start.clone());
    for change in shown_to_the_admin {
        assert!(insert(&mut admins, change).is_ok());
    }
    for change in shown_to_all {
        assert!(insert(&mut log, change).is_ok());
    }
    let named = shown_to_the_admin[..7].iter().map(SignedChange::hash).chain(start.heads());
    let named: Vec<ChangeHash> = named.collect();
    let renames = person(1).sign(&admins, &named, vec![Op::Rename("hikes".to_owned())]);
    assert!(insert(&mut admins, &renames).is_ok());
    assert_eq!(insert(&mut log, &shown_to_the_admin[0]), Ok(Inserted::TooMany { dropped: vec![] }));
    assert!(matches!(insert(&mut log, &renames), Ok(Inserted::Waiting { .. })));
    assert_eq!(log.missing().len(), 7);
    for change in admins.changes_after(&log.heads()) {
        assert!(insert(&mut log, change).is_ok());
    }
    assert_eq!((log.missing(), log.state().name.as_str()), (vec![], "hikes"));
    assert_eq!(of(&log, mallory), 7 + OF_ONE_AUTHOR_MAX);
    for change in log.changes_after(&admins.heads()) {
        assert!(insert(&mut admins, change).is_ok());
    }
    assert_eq!((admins.state(), admins.heads()), (log.state(), log.heads()));
}

#[test]
fn what_an_admin_has_seen_waits_in_the_place_of_what_nobody_wants() {
    let (mut log, way) = attacked();
    let mallory = person(3);
    let opened = log.get(&way.opened).unwrap().clone();
    let nobodys = sign(&log, mallory, &[&opened], vec![Op::Leave], 1);
    let mut flood: Vec<SignedChange> =
        (2..67).map(|number| sign(&log, mallory, &[&nobodys], vec![Op::Leave], number)).collect();
    flood.sort_by_key(SignedChange::hash);
    let first = sign(&log, mallory, &[&opened], vec![Op::Leave], 67);
    let second = sign(&log, mallory, &[&first], vec![Op::Leave], 68);
    let renames = sign(&log, person(1), &[&opened, &second], vec![Op::Rename("hikes".to_owned())], 69);
    let waits = |lacks: &SignedChange, dropped| Ok(Inserted::Waiting { lacks: vec![lacks.hash()], dropped });
    for change in &flood[..64] {
        assert_eq!(insert(&mut log, change), waits(&nobodys, vec![]));
    }
    assert_eq!(insert(&mut log, &second), Err(BadChange::TooManyWaiting));
    assert_eq!(insert(&mut log, &renames), waits(&second, vec![]));
    assert_eq!(insert(&mut log, &flood[64]), Err(BadChange::TooManyWaiting));
    assert_eq!(insert(&mut log, &second), waits(&first, vec![flood[63].hash()]));
    let complete = vec![first.hash(), second.hash(), renames.hash()];
    assert_eq!(insert(&mut log, &first), Ok(Inserted::New { complete, dropped: vec![] }));
    assert_eq!(log.state().name, "hikes");
}

#[test]
fn who_has_come_and_gone_too_often_is_told_so_until_an_admin_does_something() {
    let (mut log, way) = attacked();
    let bob = person(4);
    let (device, key) = &bob.devices[0];
    for _ in 0..OF_ONE_AUTHOR_MAX / 2 {
        bob.does(&mut log, vec![Op::Leave]);
        let back = join(bob, &way, Some(&log));
        assert!(insert(&mut log, &back).is_ok());
    }
    let leave = |log: &GroupLog| log.change(vec![Op::Leave], bob.account, *device, key, UnixMillis(1));
    assert_eq!(leave(&log), Err(CannotChange::Bad(BadChange::TooManyLoose)));
    person(1).does(&mut log, vec![Op::Timer(Some(60))]);
    assert_eq!(log.heads().len(), 1);
    let leaves = leave(&log).unwrap();
    assert!(insert(&mut log, &leaves).is_ok());
    assert_eq!(log.state().role(&bob.account), None);
}

#[test]
fn an_admin_names_what_has_an_effect_and_what_it_answers_and_no_flood() {
    let (mut log, _) = attacked();
    let mut asks = invite(2).0;
    if let Op::Invite { approval, .. } = &mut asks {
        *approval = true;
    }
    let opened = person(0).does(&mut log, vec![asks]);
    let way = link(&log, log.get(&opened).unwrap(), 2);
    let asking = join(person(6), &way, None);
    assert!(insert(&mut log, &asking).is_ok());
    for mallory in [3, 4] {
        for change in leaves(&log, person(mallory), 100) {
            assert!(insert(&mut log, &change).is_ok());
        }
    }
    let gone = person(5).does(&mut log, vec![Op::Leave]);
    let (parents, _) = log.parents_of(person(1).account, &[Op::Admit(person(6).account)]);
    assert!(parents.contains(&asking.hash()) && parents.contains(&gone));
    // Each of the two went by one of theirs, and the link shows an admin.
    assert_eq!(parents.len(), 1 + 1 + 2 + 1);
    person(1).does(&mut log, vec![Op::Admit(person(6).account)]);
    assert_eq!(log.state().role(&person(6).account), Some(Role::Member));
    person(1).does(&mut log, vec![Op::Timer(Some(60))]);
    assert_eq!(log.heads().len(), 1 + 2 * (OF_ONE_AUTHOR_MAX - 1));
    // Named to others is what is entrusted first, and then one of each.
    let authors: Vec<AccountId> = log.heads().iter().map(|head| log.get(head).unwrap().author()).collect();
    assert_eq!(authors[0], person(1).account);
    assert_ne!(authors[1], authors[2]);
}

#[test]
fn a_change_that_is_not_kept_costs_no_computation_and_one_that_takes_anothers_place_one() {
    let (mut log, _) = attacked();
    let leaves = leaves(&log, person(3), 100);
    let (first, others) = leaves.split_at(50);
    for change in &first[10..40] {
        assert!(insert(&mut log, change).is_ok());
    }
    let _ = log.state();
    let before = APPLIED.with(std::cell::Cell::get);
    for change in others {
        assert_eq!(insert(&mut log, change), Ok(Inserted::TooMany { dropped: vec![] }));
        let _ = log.state();
    }
    assert_eq!(APPLIED.with(std::cell::Cell::get), before);
    for change in &first[..10] {
        assert!(matches!(insert(&mut log, change), Ok(Inserted::New { dropped, .. }) if dropped.len() == 1));
    }
    let _ = log.state();
    assert_eq!(APPLIED.with(std::cell::Cell::get) - before, 3 * log.iter().count());
}

#[test]
fn who_was_an_admin_can_be_named_by_others_and_by_itself() {
    let (mut log, _) = attacked();
    person(0).does(&mut log, vec![Op::SetRole(person(1).account, Role::Member)]);
    let leaves = person(1).does(&mut log, vec![Op::Leave]);
    let void = person(1).does(&mut log, vec![Op::Rename("mine".to_owned())]);
    assert_eq!(log.entries().last().unwrap().what[0].1, Some(Void::NeedsAdmin));
    let seen = log.get(&void).unwrap().clone();
    let after = sign(&log, person(4), &[&seen], vec![Op::Leave], 1);
    assert!(insert(&mut log, &after).is_ok());
    assert!(log.get(&leaves).is_some());
    assert_eq!(log.state().members.len(), 3);
}
