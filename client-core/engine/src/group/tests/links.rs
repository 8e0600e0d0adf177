//! Coming in by a link, with all its conditions.

use super::*;
use crate::group::Void;

/// A group with one link that its owner opened, changed by `change`.
fn open(change: impl Fn(&mut bool, &mut Option<UnixMillis>, &mut Option<u32>)) -> (GroupLog, GroupLink) {
    let mut log = owner_two_admins_and_a_member();
    let mut op = invite(1).0;
    if let Op::Invite { approval, expires_at, uses, .. } = &mut op {
        change(approval, expires_at, uses);
    }
    let opened = person(0).does(&mut log, vec![op]);
    let way = link(&log, log.get(&opened).unwrap(), 1);
    (log, way)
}

#[test]
fn a_link_reads_back_and_a_character_that_is_wrong_anywhere_is_noticed() {
    let (_, way) = open(|_, _, _| {});
    let text = way.to_string();
    assert_eq!(text.parse(), Ok(way.clone()));
    assert!(!format!("{way:?}").contains(&format!("{:?}", way.key.as_bytes())));
    for place in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        assert!(String::from_utf8(changed).unwrap().parse::<GroupLink>().is_err(), "{place}");
        assert!(text[..place].parse::<GroupLink>().is_err());
    }
}

#[test]
fn whoever_has_the_link_comes_in_and_whoever_has_not_does_not() {
    let (mut log, way) = open(|_, _, _| {});
    assert!(insert(&mut log, &join(person(5), &way, None)).is_ok());
    assert_eq!(log.state().role(&person(5).account), Some(Role::Member));
    assert_eq!(log.state().invites[&way.invite].used, 1);
    assert_eq!(log.lets_in(&join(person(6), &way, None)), Ok(()));
    assert_eq!(log.lets_in(&join(person(5), &way, None)), Err(Void::AlreadyMember));
    let rename = person(5).sign(&log, &log.heads(), vec![Op::Rename("hikes".to_owned())]);
    assert_eq!(log.lets_in(&rename), Err(Void::NotAMember));
    // Another key, another invite, or somebody else's proof.
    let was = log.state().clone();
    let other_key = GroupLink { key: SigningKey::from_bytes(&[9; 32]), ..way.clone() };
    let other_invite = GroupLink { invite: InviteId([9; 16]), ..way.clone() };
    for wrong in [other_key, other_invite] {
        assert_eq!(insert(&mut log, &join(person(6), &wrong, None)), Err(BadChange::NoSuchInvite));
    }
    let stolen = join(person(5), &way, None).ops().to_vec();
    let stolen = person(6).sign(&log, &[way.opened], stolen);
    assert_eq!(insert(&mut log, &stolen), Err(BadChange::NoSuchInvite));
    assert_eq!(log.state(), &was);
}

#[test]
fn who_needs_approval_waits_until_an_admin_decides() {
    let (mut log, way) = open(|approval, _, _| *approval = true);
    for number in [4, 5] {
        assert!(insert(&mut log, &join(person(number), &way, None)).is_ok());
        assert_eq!(log.state().role(&person(number).account), None);
        assert_eq!(log.lets_in(&join(person(number), &way, None)), Err(Void::AlreadyAsks));
    }
    person(1).does(&mut log, vec![Op::Admit(person(4).account), Op::Refuse(person(5).account)]);
    assert_eq!(log.state().role(&person(4).account), Some(Role::Member));
    assert_eq!(log.state().role(&person(5).account), None);
    assert!(log.state().requests.is_empty());
}

#[test]
fn a_link_lets_in_as_many_as_it_says_and_everybody_agrees_whom() {
    let (log, way) = open(|_, _, uses| *uses = Some(2));
    let joins: Vec<SignedChange> = (4..8).map(|number| join(person(number), &way, None)).collect();
    let mut states = Vec::new();
    for turn in 0..joins.len() {
        let mut log = log.clone();
        for (place, _) in joins.iter().enumerate() {
            assert!(insert(&mut log, &joins[(place + turn) % joins.len()]).is_ok());
        }
        assert_eq!(log.state().members.len(), 4 + 2);
        states.push(log.state().clone());
    }
    assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_link_that_has_expired_lets_nobody_in() {
    let (mut log, way) = open(|_, expires_at, _| *expires_at = Some(UnixMillis(4999)));
    assert!(insert(&mut log, &join(person(5), &way, None)).is_ok());
    assert_eq!(log.state().role(&person(5).account), None);
    let (mut log, way) = open(|_, expires_at, _| *expires_at = Some(UnixMillis(5000)));
    assert!(insert(&mut log, &join(person(5), &way, None)).is_ok());
    assert_eq!(log.state().role(&person(5).account), Some(Role::Member));
}

#[test]
fn a_link_that_was_closed_lets_in_only_whom_the_closer_had_seen() {
    let (mut log, way) = open(|_, _, uses| *uses = Some(2));
    assert!(insert(&mut log, &join(person(4), &way, None)).is_ok());
    person(1).does(&mut log, vec![Op::CloseInvite(way.invite)]);
    for number in [5, 6, 7] {
        let late = join(person(number), &way, None);
        assert_eq!(log.lets_in(&late), Err(Void::InviteClosed));
        assert!(insert(&mut log, &late).is_ok());
        assert_eq!(log.state().role(&person(number).account), None);
        assert_eq!(log.state().role(&person(4).account), Some(Role::Member));
    }
}

#[test]
fn who_was_put_out_comes_back_only_having_heard_of_it_and_the_banned_not_at_all() {
    for (how, comes_back) in [(Op::Remove(person(3).account), true), (Op::Ban(person(3).account), false)] {
        let (mut log, way) = open(|_, _, _| {});
        let before = join(person(3), &way, Some(&log));
        person(1).does(&mut log, vec![how]);
        for unaware in [before, join(person(3), &way, None)] {
            assert!(insert(&mut log, &unaware).is_ok());
            assert_eq!(log.state().role(&person(3).account), None);
        }
        let aware = join(person(3), &way, Some(&log));
        assert!(insert(&mut log, &aware).is_ok());
        assert_eq!(log.state().role(&person(3).account).is_some(), comes_back);
    }
}

#[test]
fn who_left_comes_back_by_a_link_without_knowing_anything_more() {
    let (mut log, way) = open(|_, _, _| {});
    person(3).does(&mut log, vec![Op::Leave]);
    let back = join(person(3), &way, None);
    assert!(insert(&mut log, &back).is_ok());
    assert_eq!(log.state().role(&person(3).account), Some(Role::Member));
}

#[test]
fn a_second_invite_of_the_same_id_lets_in_nobody_by_its_own_key() {
    let (mut log, way) = open(|_, _, _| {});
    let mut second = invite(1).0;
    let another = SigningKey::from_bytes(&[2; 32]);
    if let Op::Invite { key, .. } = &mut second {
        *key = another.verifying_key().to_bytes();
    }
    let again = person(1).does(&mut log, vec![second]);
    let again = GroupLink { opened: again, height: way.height + 1, key: another, ..way.clone() };
    for link in [&again, &GroupLink { key: way.key.clone(), ..again.clone() }] {
        assert_eq!(insert(&mut log, &join(person(5), link, None)), Err(BadChange::NoSuchInvite));
    }
    assert!(insert(&mut log, &join(person(5), &way, None)).is_ok());
    assert_eq!(log.state().role(&person(5).account), Some(Role::Member));
}
