//! Whoever has the same changes has the same group.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::group::fold::Fold;

/// What somebody does, after what, as numbers.
#[derive(Clone, Debug)]
struct Step {
    author: usize,
    device: usize,
    target: usize,
    invite: u8,
    what: u8,
    /// Which changes it has seen; none: all.
    seen: Vec<Index>,
}

fn step() -> impl Strategy<Value = Step> {
    let seen = prop_oneof![1 => Just(Vec::new()), 3 => vec(any::<Index>(), 1..3)];
    let device = prop_oneof![4 => Just(0usize), 1 => Just(1usize)];
    (0..7usize, device, 0..7usize, 0..3u8, 0..20u8, seen)
        .prop_map(|(author, device, target, invite, what, seen)| Step { author, device, target, invite, what, seen })
}

fn ops(step: &Step, number: usize, log: &GroupLog) -> Option<Vec<Op>> {
    let author = person(step.author);
    let target = person(step.target);
    let of_invite = InviteId([step.invite; 16]);
    Some(vec![match step.what {
        0 | 1 => Op::Add(vec![target.member(Role::Member), person((step.target + 1) % 7).member(Role::ReadOnly)]),
        2 => Op::Add(vec![target.member(Role::Admin)]),
        3 | 4 if author.account != target.account => Op::Remove(target.account),
        5 if author.account != target.account => Op::Ban(target.account),
        6 if author.account != target.account => Op::Unban(target.account),
        7 => Op::Leave,
        8 => Op::SetRole(target.account, Role::Owner),
        9 => Op::SetRole(target.account, Role::Admin),
        10 => Op::SetRole(target.account, Role::Member),
        11 => Op::SetRole(target.account, Role::ReadOnly),
        12 => Op::Rename(format!("walks {number}")),
        13 => Op::Announce(number.is_multiple_of(2)),
        14 => {
            let (mut op, _) = invite(step.invite);
            if let Op::Invite { approval, uses, .. } = &mut op {
                *approval = number.is_multiple_of(2);
                *uses = Some(1);
            }
            op
        }
        15 => Op::CloseInvite(of_invite),
        16 if author.account != target.account => Op::Admit(target.account),
        17 if step.device == 0 => author.drop_second(),
        18 | 19 => {
            let opens = |op: &Op| matches!(op, Op::Invite { id, .. } if *id == of_invite);
            let opened = log.iter().find(|change| change.ops().iter().any(opens))?;
            let joining = join(author, &link(log, opened, step.invite), None);
            joining.ops().first()?.clone()
        }
        _ => return None,
    }])
}

/// A history, in an order in which each change comes after those that it has seen.
fn history(steps: &[Step]) -> GroupLog {
    let mut log = owner_two_admins_and_a_member();
    for (number, step) in steps.iter().enumerate() {
        let hashes: Vec<ChangeHash> = log.iter().map(SignedChange::hash).collect();
        let seen = match step.seen.is_empty() {
            true => log.heads().into_iter().take(8).collect(),
            false => step.seen.iter().map(|index| *index.get(&hashes)).collect::<Vec<_>>(),
        };
        let Some(ops) = ops(step, number, &log) else { continue };
        let author = person(step.author);
        let change = author.sign_with(step.device, &log, &seen, ops);
        // Changes of people who were never named are refused here as they are everywhere.
        let _ = log.insert(change, &author.chain);
    }
    log
}

fn assert_same(a: &GroupLog, b: &GroupLog) {
    assert_eq!(a.state(), b.state());
    assert_eq!(a.heads(), b.heads());
    assert_eq!(a.entries(), b.entries());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whoever_has_the_same_changes_has_the_same_group_in_whatever_order_they_came(
        steps in vec(step(), 1..40),
        orders in vec(vec(any::<Index>(), 60), 2),
    ) {
        let whole = history(&steps);
        let changes: Vec<&SignedChange> = whole.iter().collect();
        for order in orders {
            let mut log = owner_two_admins_and_a_member();
            // Some in a random order with repeats, and asked for the state in between; then all.
            for index in &order {
                let change = *index.get(&changes);
                prop_assert!(insert(&mut log, change).is_ok());
                if index.index(3) == 0 {
                    let _ = log.state();
                }
            }
            for change in changes.iter().rev() {
                prop_assert!(insert(&mut log, change).is_ok());
            }
            prop_assert_eq!(log.missing(), vec![]);
            assert_same(&log, &whole);
            let rows: Vec<Vec<u8>> = log.iter().map(SignedChange::encode).collect();
            assert_same(&GroupLog::load(rows.iter().rev()).unwrap(), &whole);
        }
    }

    /// What the specification argues: each pass decides for good what the next one needs.
    #[test]
    fn what_was_decided_first_is_what_holds_in_the_end(steps in vec(step(), 1..60)) {
        let whole = history(&steps);
        let fold = Fold::of(&whole.graph, whole.id());
        prop_assert_eq!(fold.strips.decided(), fold.found.decided());
    }

    #[test]
    fn what_somebody_lacks_is_what_they_are_sent(steps in vec(step(), 1..40), known in 1usize..30) {
        let whole = history(&steps);
        let mut log = owner_two_admins_and_a_member();
        for change in whole.changes_after(&log.heads()).into_iter().take(known) {
            let waits = matches!(insert(&mut log, change), Ok(Inserted::Waiting { .. }) | Err(_));
            prop_assert!(!waits);
        }
        for change in whole.changes_after(&log.heads()) {
            let waits = matches!(insert(&mut log, change), Ok(Inserted::Waiting { .. }) | Err(_));
            prop_assert!(!waits);
        }
        assert_same(&log, &whole);
    }
}

#[test]
fn concurrent_changes_of_two_admins_both_hold() {
    let mut log = owner_two_admins_and_a_member();
    let heads = log.heads();
    let adds = person(1).sign(&log, &heads, vec![Op::Add(vec![person(4).member(Role::Member)])]);
    let renames = person(2).sign(&log, &heads, vec![Op::Rename("hikes".to_owned()), Op::Timer(Some(60))]);
    for change in [&adds, &renames] {
        assert!(insert(&mut log, change).is_ok());
    }
    assert_eq!(log.heads().len(), 2);
    assert_eq!(log.state().role(&person(4).account), Some(Role::Member));
    assert_eq!((log.state().name.as_str(), log.state().timer), ("hikes", Some(60)));
    person(0).does(&mut log, vec![Op::Announce(true)]);
    assert_eq!(log.heads().len(), 1);
}

#[test]
fn a_change_waits_for_what_it_names_and_then_counts() {
    let mut whole = owner_two_admins_and_a_member();
    let first = person(1).does(&mut whole, vec![Op::Rename("a".to_owned())]);
    let second = person(1).does(&mut whole, vec![Op::Rename("b".to_owned())]);
    let mut log = owner_two_admins_and_a_member();
    let [first, second] = [first, second].map(|hash| whole.get(&hash).unwrap());
    assert_eq!(insert(&mut log, second), Ok(Inserted::Waiting { lacks: vec![first.hash()], dropped: vec![] }));
    assert_eq!(log.missing(), [first.hash()]);
    assert_eq!(log.state().name, "walks");
    let complete = vec![first.hash(), second.hash()];
    assert_eq!(insert(&mut log, first), Ok(Inserted::New { complete, dropped: vec![] }));
    assert_eq!(insert(&mut log, second), Ok(Inserted::Known));
    assert_same(&log, &whole);
}
