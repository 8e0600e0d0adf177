//! Who may do what to whom.

use super::*;
use crate::group::{CannotChange, Void};

const ROLES: [Option<Role>; 5] = [None, Some(Role::ReadOnly), Some(Role::Member), Some(Role::Admin), Some(Role::Owner)];

/// For each thing that is done to somebody: to whom each author may do it, with an effect. Authors and targets in the order
/// of [`ROLES`]: `-` nobody of the group, `r` reads only, `m` member, `a` admin, `o` owner.
#[rustfmt::skip]
const TO_OTHERS: [(&str, [&str; 5]); 10] = [
    //                    -    r    m    a      o
    ("add",              ["", "", "", "-",   "-"   ]),
    ("add an admin",     ["", "", "", "",    "-rma"]),
    ("remove",           ["", "", "", "rm",  "rma" ]),
    ("ban",              ["", "", "", "-rm", "-rma"]),
    ("to read only",     ["", "", "", "rm",  "rma" ]),
    ("to member",        ["", "", "", "rm",  "rma" ]),
    ("to admin",         ["", "", "", "",    "-rma"]),
    ("to owner",         ["", "", "", "",    "-rma"]),
    ("unban",            ["", "", "", "",    ""    ]),
    ("admit",            ["", "", "", "",    ""    ]),
];

fn op(name: &str, target: &Person) -> Op {
    match name {
        "add" => Op::Add(vec![target.member(Role::Member)]),
        "add an admin" => Op::Add(vec![target.member(Role::Admin)]),
        "remove" => Op::Remove(target.account),
        "ban" => Op::Ban(target.account),
        "unban" => Op::Unban(target.account),
        "admit" => Op::Admit(target.account),
        "to read only" => Op::SetRole(target.account, Role::ReadOnly),
        "to member" => Op::SetRole(target.account, Role::Member),
        "to admin" => Op::SetRole(target.account, Role::Admin),
        _ => Op::SetRole(target.account, Role::Owner),
    }
}

/// The third person is the author and the fourth the target; both were in the group once.
fn group_with(author: Option<Role>, target: Option<Role>) -> GroupLog {
    let role = |role: Option<Role>| role.unwrap_or(Role::Member);
    let mut log = group(&[(0, Role::Owner), (2, role(author)), (3, role(target))]);
    for (number, role) in [(2, author), (3, target)] {
        if role.is_none() {
            person(0).does(&mut log, vec![Op::Remove(person(number).account)]);
        }
    }
    log
}

#[test]
fn each_role_may_do_to_each_other_what_the_table_says() {
    let (author, target) = (person(2), person(3));
    let letters = ['-', 'r', 'm', 'a', 'o'];
    for (name, rows) in TO_OTHERS {
        for (role, allowed) in ROLES.into_iter().zip(rows) {
            for (target_role, letter) in ROLES.into_iter().zip(letters) {
                let mut log = group_with(role, target_role);
                let expected = allowed.contains(letter);
                let before = log.state().clone();
                let (device, key) = &author.devices[0];
                let made = log.change(vec![op(name, target)], author.account, *device, key, UnixMillis(1));
                assert_eq!(made.is_ok(), expected, "{role:?} does '{name}' to {target_role:?}: {made:?}");
                let (parents, _) = log.parents_of(author.account, &[op(name, target)]);
                let change = author.sign(&log, &parents, vec![op(name, target)]);
                let inserted = insert(&mut log, &change);
                if role < Some(Role::Admin) {
                    assert_eq!(inserted, Err(BadChange::NotEntrusted), "{role:?} does '{name}' to {target_role:?}");
                    continue;
                }
                let entries = log.entries();
                let (_, void) = entries.last().unwrap().what[0];
                assert_eq!(void.is_none(), expected, "{role:?} does '{name}' to {target_role:?}: {void:?}");
                assert!(expected || log.state() == &before, "{role:?} does '{name}' to {target_role:?}");
            }
        }
    }
}

#[test]
fn admins_and_owners_run_the_group_and_others_do_not() {
    let author = person(2);
    for role in ROLES {
        let ops = [
            Op::Rename("hikes".to_owned()),
            Op::Announce(true),
            Op::Timer(Some(60)),
            invite(1).0,
            Op::CloseInvite(InviteId([2; 16])),
            Op::Admit(person(4).account),
            Op::Refuse(person(4).account),
            Op::Unban(person(5).account),
        ];
        for op in ops {
            let mut log = group_with(role, Some(Role::Member));
            let mut asks = invite(2).0;
            if let Op::Invite { approval, .. } = &mut asks {
                *approval = true;
            }
            let opened = person(0).does(&mut log, vec![asks, Op::Ban(person(5).account)]);
            let opened = log.get(&opened).unwrap().clone();
            let asking = join(person(4), &link(&log, &opened, 2), None);
            assert!(insert(&mut log, &asking).is_ok());
            assert!(log.state().requests.contains_key(&person(4).account));
            let before = log.state().clone();
            let (parents, _) = log.parents_of(author.account, std::slice::from_ref(&op));
            let change = author.sign(&log, &parents, vec![op.clone()]);
            let inserted = insert(&mut log, &change);
            let may = role >= Some(Role::Admin);
            assert_eq!(inserted.is_ok(), may, "{role:?}: {op:?}");
            assert_eq!(log.state() != &before, may, "{role:?}: {op:?}");
        }
    }
}

#[test]
fn everyone_goes_and_steps_down_alone_and_nobody_rises() {
    let author = person(2);
    for role in ROLES {
        for to in ROLES {
            let mut log = group_with(role, Some(Role::Member));
            let op = to.map_or(Op::Leave, |to| Op::SetRole(author.account, to));
            author.does(&mut log, vec![op]);
            assert_eq!(log.state().role(&author.account), role.min(to), "{role:?} to {to:?}");
        }
    }
}

#[test]
fn only_admins_write_while_the_group_is_for_announcements() {
    for role in ROLES {
        let mut log = group_with(role, Some(Role::Member));
        let author = person(2).account;
        assert_eq!(log.state().may_write(&author), role >= Some(Role::Member));
        person(0).does(&mut log, vec![Op::Announce(true)]);
        assert_eq!(log.state().may_write(&author), role >= Some(Role::Admin));
    }
}

#[test]
fn a_change_is_made_only_if_it_has_an_effect_and_leaves_an_owner() {
    let log = owner_two_admins_and_a_member();
    let make = |number: usize, ops: Vec<Op>| {
        let (device, key) = &person(number).devices[0];
        log.change(ops, person(number).account, *device, key, UnixMillis(1))
    };
    assert_eq!(make(0, vec![Op::Leave]), Err(CannotChange::LastOwner));
    assert_eq!(make(0, vec![Op::SetRole(person(0).account, Role::Admin)]), Err(CannotChange::LastOwner));
    let hands_over = vec![Op::SetRole(person(1).account, Role::Owner), Op::Leave];
    assert!(make(0, hands_over).is_ok());
    let why = Void::NeedsOwner;
    assert_eq!(make(1, vec![Op::Timer(None), Op::Remove(person(2).account)]), Err(CannotChange::Void { op: 1, why }));
    let why = Void::AlreadyMember;
    let again = vec![Op::Add(vec![person(3).member(Role::Member)])];
    assert_eq!(make(1, again), Err(CannotChange::Void { op: 0, why }));
    assert_eq!(CannotChange::Void { op: 0, why }.to_string(), "the account is in the group already");
    assert_eq!(log.iter().count(), 1);
}
