//! Whoever was put out changes nothing any more, also not by what pretends to be older.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// What an admin who was put out may try. A way back in is left out: that is what an invite is for.
fn ops(what: u8, target: usize) -> Vec<Op> {
    let account = person(target).account;
    let op = match what {
        0 => Op::Add(vec![person(target).member(Role::Member)]),
        1 => Op::Add(vec![person(5).member(Role::Admin)]),
        2 => Op::Remove(account),
        3 => Op::Ban(account),
        4 => Op::Unban(person(6).account),
        5 => Op::Leave,
        6 => Op::SetRole(account, Role::Owner),
        7 => Op::SetRole(account, Role::ReadOnly),
        8 => Op::SetRole(person(1).account, Role::Member),
        9 => Op::Rename("mine".to_owned()),
        10 => Op::Announce(true),
        11 => Op::Timer(Some(1)),
        12 => invite(7).0,
        13 => Op::CloseInvite(InviteId([1; 16])),
        14 => Op::Admit(account),
        15 => Op::SetRole(person(1).account, Role::Admin),
        _ => person(1).drop_second(),
    };
    vec![op]
}

/// A group in which an admin (the second person) did a lot and was then put out.
fn after_the_admin_was_put_out(by: usize, how: &Op) -> GroupLog {
    let mut log = owner_two_admins_and_a_member();
    let admin = person(1);
    admin.does(&mut log, vec![Op::Add(vec![person(4).member(Role::Member)])]);
    admin.does(&mut log, vec![Op::Ban(person(6).account)]);
    admin.does(&mut log, vec![invite(1).0]);
    let heads = log.heads();
    let second = admin.sign_with(1, &log, &heads, vec![Op::Rename("hikes".to_owned())]);
    assert!(insert(&mut log, &second).is_ok());
    person(0).does(&mut log, vec![Op::SetRole(person(3).account, Role::Admin)]);
    admin.does(&mut log, vec![Op::Remove(person(4).account)]);
    person(by).does(&mut log, vec![how.clone()]);
    person(2).does(&mut log, vec![Op::Timer(Some(3600))]);
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn late_and_backdated_changes_of_an_admin_who_was_put_out_have_no_effect(
        how in prop_oneof![
            Just(Op::Remove(person(1).account)),
            Just(Op::Ban(person(1).account)),
        ],
        late in vec((0..17u8, 2..7usize, 0..2usize, vec(any::<Index>(), 1..3)), 1..20),
    ) {
        let mut log = after_the_admin_was_put_out(0, &how);
        let before = log.state().clone();
        for (what, target, device, seen) in late {
            let hashes: Vec<ChangeHash> = log.iter().map(SignedChange::hash).collect();
            let seen: Vec<ChangeHash> = seen.iter().map(|index| *index.get(&hashes)).collect();
            let mut ops = ops(what, target);
            if device == 1 && matches!(ops.first(), Some(Op::DropDevice { .. })) {
                ops = vec![Op::Leave];
            }
            let change = person(1).sign_with(device, &log, &seen, ops);
            prop_assert!(insert(&mut log, &change).is_ok());
            prop_assert_eq!(log.state(), &before);
        }
    }

    #[test]
    fn late_changes_of_an_admin_who_was_made_a_member_do_nothing_but_let_it_go(
        late in vec((0..17u8, 2..7usize, vec(any::<Index>(), 1..3)), 1..20),
    ) {
        let how = Op::SetRole(person(1).account, Role::Member);
        let mut log = after_the_admin_was_put_out(0, &how);
        let before = log.state().clone();
        for (what, target, seen) in late {
            let hashes: Vec<ChangeHash> = log.iter().map(SignedChange::hash).collect();
            let seen: Vec<ChangeHash> = seen.iter().map(|index| *index.get(&hashes)).collect();
            let change = person(1).sign(&log, &seen, ops(what, target));
            prop_assert!(insert(&mut log, &change).is_ok());
            let mut now = log.state().clone();
            let mut then = before.clone();
            for state in [&mut now, &mut then] {
                state.members.remove(&person(1).account);
            }
            prop_assert_eq!(now, then);
        }
    }
}

#[test]
fn whom_two_owners_fight_over_no_owner_loses_by_it() {
    let mut log = group(&[(0, Role::Owner), (1, Role::Owner), (2, Role::Admin)]);
    let heads = log.heads();
    let one = person(0).sign(&log, &heads, vec![Op::Remove(person(1).account)]);
    let other = person(1).sign(&log, &heads, vec![Op::Ban(person(0).account)]);
    let admin = person(2).sign(&log, &heads, vec![Op::Remove(person(0).account)]);
    for change in [&one, &other, &admin] {
        assert!(insert(&mut log, change).is_ok());
    }
    assert_eq!(log.state().members.len(), 3);
}

#[test]
fn a_removed_admin_lets_nobody_in_by_a_link_made_before() {
    for removal in [Op::Remove(person(1).account), Op::SetRole(person(1).account, Role::Member)] {
        let mut log = owner_two_admins_and_a_member();
        let opened = person(1).does(&mut log, vec![invite(1).0]);
        let opened = log.get(&opened).unwrap().clone();
        let way = link(&log, &opened, 1);
        assert!(insert(&mut log, &join(person(4), &way, None)).is_ok());
        assert_eq!(log.state().role(&person(4).account), Some(Role::Member));
        // The owner has not seen the next one, which comes late.
        person(0).does(&mut log, vec![removal]);
        assert_eq!(log.state().role(&person(4).account), Some(Role::Member));
        for late in [join(person(5), &way, None), join(person(6), &way, Some(&log))] {
            assert!(insert(&mut log, &late).is_ok());
            assert_eq!(log.state().role(&late.author()), None);
        }
        assert_eq!(log.state().role(&person(4).account), Some(Role::Member));
    }
}

#[test]
fn a_device_that_was_dropped_changes_nothing_more_and_the_other_one_does() {
    for (author, role) in [(person(0), Role::Owner), (person(1), Role::Admin)] {
        let mut log = owner_two_admins_and_a_member();
        let before = log.heads();
        let kept = author.sign_with(1, &log, &before, vec![Op::Rename("before".to_owned())]);
        assert!(insert(&mut log, &kept).is_ok());
        let seen = log.heads();
        author.does(&mut log, vec![author.drop_second()]);
        for parents in [before, seen, log.heads()] {
            for op in [Op::Rename("stolen".to_owned()), Op::Remove(person(3).account), Op::Leave] {
                let late = author.sign_with(1, &log, &parents, vec![op]);
                assert!(insert(&mut log, &late).is_ok());
            }
            assert_eq!(log.state().name, "before");
            assert_eq!(log.state().members.len(), 4);
            assert_eq!(log.state().role(&author.account), Some(role));
        }
        author.does(&mut log, vec![Op::Rename("after".to_owned())]);
        assert_eq!(log.state().name, "after");
    }
}

#[test]
fn only_a_list_that_says_so_drops_a_device() {
    let mut log = owner_two_admins_and_a_member();
    let heads = log.heads();
    let first = person(1).devices[0].0;
    // The stolen device has no list that leaves out the other one and has itself.
    for link in person(1).chain.links() {
        let ops = vec![Op::DropDevice { device: first, link: link.hash() }];
        let stolen = person(1).sign_with(1, &log, &heads, ops);
        assert_eq!(insert(&mut log, &stolen), Err(BadChange::UnknownLink));
    }
}

#[test]
fn who_comes_back_may_do_what_the_new_role_allows_and_no_more() {
    let mut log = owner_two_admins_and_a_member();
    let bob = person(1);
    person(0).does(&mut log, vec![Op::Remove(bob.account)]);
    // Prepared while out, to count once it is an admin again.
    let heads = log.heads();
    let planted = bob.sign(&log, &heads, vec![Op::Remove(person(3).account)]);
    assert!(insert(&mut log, &planted).is_ok());
    person(0).does(&mut log, vec![Op::Add(vec![bob.member(Role::Admin)])]);
    let late = bob.sign(&log, &heads, vec![Op::Remove(person(2).account), Op::Remove(person(3).account)]);
    assert!(insert(&mut log, &late).is_ok());
    assert_eq!(log.state().role(&person(3).account), Some(Role::Member));
    bob.does(&mut log, vec![Op::Remove(person(3).account)]);
    assert_eq!(log.state().role(&person(3).account), None);
}
