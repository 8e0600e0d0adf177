//! What two people do at the same time, whichever of it comes first in the order: each test is tried with many hashes.

use super::*;

/// Something that changes the hash and nothing else of interest.
fn salt(number: u32) -> Op {
    Op::Timer(Some(number))
}

#[test]
fn an_admin_who_left_or_stepped_down_does_nothing_late() {
    let bob = person(1);
    for op in [Op::Leave, Op::SetRole(bob.account, Role::Member)] {
        let mut log = owner_two_admins_and_a_member();
        let before = log.heads();
        bob.does(&mut log, vec![op]);
        let was = log.state().clone();
        for late in [Op::Remove(person(3).account), Op::Rename("late".to_owned()), invite(1).0] {
            let late = bob.sign(&log, &before, vec![late]);
            assert!(insert(&mut log, &late).is_ok());
            assert_eq!(log.state(), &was);
        }
    }
}

#[test]
fn who_is_removed_and_promoted_at_the_same_time_by_two_owners_is_out() {
    let bob = person(3);
    for number in 1..16 {
        let mut log = group(&[(0, Role::Owner), (1, Role::Owner), (3, Role::Member)]);
        let heads = log.heads();
        let out = person(0).sign(&log, &heads, vec![Op::Remove(bob.account), salt(number)]);
        let up = person(1).sign(&log, &heads, vec![Op::SetRole(bob.account, Role::Admin)]);
        for change in [&out, &up] {
            assert!(insert(&mut log, change).is_ok());
        }
        assert_eq!(log.state().role(&bob.account), None);
    }
}

#[test]
fn an_owner_who_makes_somebody_admin_outranks_the_admin_who_removes_them() {
    let bob = person(3);
    for number in 1..16 {
        let mut log = owner_two_admins_and_a_member();
        let heads = log.heads();
        let out = person(1).sign(&log, &heads, vec![Op::Remove(bob.account), salt(number)]);
        let up = person(0).sign(&log, &heads, vec![Op::SetRole(bob.account, Role::Admin)]);
        for change in [&out, &up] {
            assert!(insert(&mut log, change).is_ok());
        }
        assert_eq!(log.state().role(&bob.account), Some(Role::Admin));
    }
}

#[test]
fn who_was_an_owner_is_stripped_only_by_whoever_knows_that_they_are_none() {
    let bob = person(1);
    for number in 1..16 {
        let mut log = group(&[(0, Role::Owner), (1, Role::Owner), (3, Role::Member)]);
        let heads = log.heads();
        let down = bob.sign(&log, &heads, vec![Op::SetRole(bob.account, Role::Member)]);
        let early = person(0).sign(&log, &heads, vec![Op::Remove(bob.account), salt(number)]);
        for change in [&down, &early] {
            assert!(insert(&mut log, change).is_ok());
        }
        assert_eq!(log.state().role(&bob.account), Some(Role::Member));
        person(0).does(&mut log, vec![Op::Remove(bob.account)]);
        assert_eq!(log.state().role(&bob.account), None);
    }
}

#[test]
fn what_was_signed_while_out_does_not_count_once_its_author_is_in_again() {
    let bob = person(1);
    let mut log = owner_two_admins_and_a_member();
    person(0).does(&mut log, vec![Op::Remove(bob.account)]);
    let mut planted = log.clone();
    person(0).does(&mut log, vec![Op::Add(vec![bob.member(Role::Admin)])]);
    // A long line of changes, so that the last ones come after the return in the order.
    for number in 0..4 {
        bob.does(&mut planted, vec![Op::Rename(format!("planted {number}")), Op::Remove(person(3).account)]);
    }
    for change in planted.iter() {
        assert!(insert(&mut log, change).is_ok());
    }
    assert_eq!(log.heads().len(), 2);
    assert_eq!(log.state().name, "walks");
    assert_eq!(log.state().role(&person(3).account), Some(Role::Member));
}

#[test]
fn a_late_join_of_somebody_banned_takes_nobodys_place() {
    let mut log = owner_two_admins_and_a_member();
    let mut op = invite(1).0;
    if let Op::Invite { uses, .. } = &mut op {
        *uses = Some(1);
    }
    let opened = person(0).does(&mut log, vec![op]);
    let way = link(&log, log.get(&opened).unwrap(), 1);
    assert!(insert(&mut log, &join(person(4), &way, None)).is_ok());
    person(1).does(&mut log, vec![Op::Ban(person(5).account)]);
    let (device, key) = &person(5).devices[0];
    for at in 0..16 {
        let late = way.join(None, person(5).account, *device, keyserver(), key, UnixMillis(at)).unwrap();
        assert!(insert(&mut log, &late).is_ok());
        assert_eq!(log.state().role(&person(4).account), Some(Role::Member));
        assert_eq!(log.state().role(&person(5).account), None);
    }
}
