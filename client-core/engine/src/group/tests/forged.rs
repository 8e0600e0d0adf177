//! What nobody of the group signed changes nothing, and what breaks a form is no change.

use proptest::prelude::*;

use super::*;

fn unchanged(log: &GroupLog, was: &GroupLog) {
    assert_eq!((log.state(), log.heads()), (was.state(), was.heads()));
    assert_eq!(log.iter().count(), was.iter().count());
}

#[test]
fn a_change_with_any_one_byte_altered_is_not_taken() {
    let mut log = owner_two_admins_and_a_member();
    let heads = log.heads();
    let add = Op::Add(vec![person(4).member(Role::Member)]);
    let change = person(1).sign(&log, &heads, vec![add, Op::Rename("hikes".to_owned()), person(1).drop_second()]);
    let was = log.clone();
    let bytes = change.encode();
    for place in 0..bytes.len() {
        for bit in [0x01, 0x80] {
            let mut altered = bytes.clone();
            altered[place] ^= bit;
            if let Ok(altered) = SignedChange::parse(&altered) {
                let author = (0..8).map(person).find(|person| person.account == altered.author());
                let chain = author.map_or(&person(1).chain, |author| &author.chain);
                assert!(log.insert(altered, chain).is_err(), "byte {place}");
            }
        }
    }
    for end in 0..bytes.len() {
        assert!(SignedChange::parse(&bytes[..end]).is_err());
    }
    unchanged(&log, &was);
    assert!(matches!(insert(&mut log, &SignedChange::parse(&bytes).unwrap()), Ok(Inserted::New { .. })));
}

#[test]
fn bytes_with_something_more_are_of_a_later_version() {
    let log = owner_two_admins_and_a_member();
    let mut bytes = person(1).sign(&log, &log.heads(), vec![Op::Leave]).encode();
    bytes.extend_from_slice(&[0x18, 1]);
    assert_eq!(SignedChange::parse(&bytes), Err(BadChange::Newer));
}

#[test]
fn what_is_not_of_this_group_and_this_author_is_refused() {
    let mut log = owner_two_admins_and_a_member();
    let was = log.clone();
    let other = group(&[(0, Role::Owner), (1, Role::Admin)]);
    let heads = log.heads();
    let rename = || vec![Op::Rename("hikes".to_owned())];

    let of_other = person(1).sign(&other, &other.heads(), rename());
    assert_eq!(insert(&mut log, &of_other), Err(BadChange::OtherGroup));
    assert_eq!(insert(&mut log, &founding(&[(0, Role::Owner)])), Err(BadChange::OtherGroup));

    let owners = Body {
        group: Some(log.id()),
        parents: heads.clone(),
        height: 1,
        author: person(0).account,
        device: DeviceId::FIRST,
        at: UnixMillis(1),
        ops: rename(),
    };
    let by_another = owners.clone().sign(&person(1).devices[0].1).unwrap();
    assert_eq!(insert(&mut log, &by_another), Err(BadChange::Signature));
    assert_eq!(log.insert(by_another, &person(1).chain), Err(BadChange::OtherAuthor));
    let device = DeviceId::new(3).unwrap();
    let by_no_device = Body { device, ..owners.clone() }.sign(&person(0).devices[0].1).unwrap();
    assert_eq!(insert(&mut log, &by_no_device), Err(BadChange::UnknownDevice));
    for height in [2, 7, u64::MAX] {
        let lies = Body { height, ..owners.clone() }.sign(&person(0).devices[0].1).unwrap();
        assert_eq!(insert(&mut log, &lies), Err(BadChange::Height));
    }
    let stranger = person(5).sign(&log, &heads, rename());
    assert_eq!(insert(&mut log, &stranger), Err(BadChange::Stranger));
    unchanged(&log, &was);
}

#[test]
fn a_change_after_one_that_does_not_exist_waits_and_changes_nothing() {
    let mut log = owner_two_admins_and_a_member();
    let was = log.clone();
    let lacks = vec![ChangeHash([7; 32])];
    let changes = waiting(&log, person(1), 65);
    let waits = |dropped| Ok(Inserted::Waiting { lacks: lacks.clone(), dropped });
    for change in &changes[..64] {
        assert_eq!(insert(&mut log, change), waits(vec![]));
    }
    assert_eq!(insert(&mut log, &changes[64]), Err(BadChange::TooManyWaiting));
    assert_eq!(log.missing(), lacks);
    assert_eq!((log.state(), log.heads()), (was.state(), was.heads()));
}

#[test]
fn others_do_not_keep_an_admins_changes_from_waiting_nor_does_what_it_made_later() {
    let mut log = owner_two_admins_and_a_member();
    let lacks = vec![ChangeHash([7; 32])];
    let waits = |dropped| Ok(Inserted::Waiting { lacks: lacks.clone(), dropped });
    let mut others = Vec::new();
    for number in [3, 4, 5, 6] {
        for change in waiting(&log, person(number), 64) {
            assert_eq!(insert(&mut log, &change), waits(vec![]));
            others.push(change);
        }
    }
    let late = waiting(&log, person(7), 1);
    assert_eq!(insert(&mut log, &late[0]), Err(BadChange::TooManyWaiting));
    others.sort_by_key(|change| (change.height(), change.hash()));
    let mut admins = waiting(&log, person(1), 65);
    let first = admins.remove(0);
    for (admins, others) in admins.iter().zip(others.iter().rev()) {
        assert_eq!(insert(&mut log, admins), waits(vec![others.hash()]));
    }
    assert_eq!(insert(&mut log, &first), waits(vec![admins.last().unwrap().hash()]));
    assert_eq!(insert(&mut log, admins.last().unwrap()), Err(BadChange::TooManyWaiting));
    assert_eq!(log.iter().count(), 1 + 256);
    let rows: Vec<Vec<u8>> = log.iter().map(SignedChange::encode).collect();
    assert_eq!(GroupLog::load(&rows).unwrap().iter().count(), 1 + 256);
}

/// Changes after one that nobody has, as they come in the order.
fn waiting(log: &GroupLog, author: &Person, count: u64) -> Vec<SignedChange> {
    let (device, key) = &author.devices[0];
    let body = |number| Body {
        group: Some(log.id()),
        parents: vec![ChangeHash([7; 32])],
        height: 5,
        author: author.account,
        device: *device,
        at: UnixMillis(number),
        ops: vec![Op::Leave],
    };
    let mut changes: Vec<SignedChange> = (0..count).map(|number| body(number).sign(key).unwrap()).collect();
    changes.sort_by_key(SignedChange::hash);
    changes
}

#[test]
fn what_waited_for_a_change_that_lies_is_forgotten_with_it() {
    let mut log = owner_two_admins_and_a_member();
    let of = |parents: Vec<ChangeHash>, height| Body {
        group: Some(log.id()),
        parents,
        height,
        author: person(1).account,
        device: DeviceId::FIRST,
        at: UnixMillis(1),
        ops: vec![Op::Leave],
    };
    let key = &person(1).devices[0].1;
    let first = person(1).sign(&log, &log.heads(), vec![Op::Rename("a".to_owned())]);
    let lies = of(vec![first.hash()], 9).sign(key).unwrap();
    let after = of(vec![lies.hash()], 10).sign(key).unwrap();
    for change in [&after, &lies] {
        assert!(matches!(insert(&mut log, change), Ok(Inserted::Waiting { .. })));
    }
    let mut dropped = vec![lies.hash(), after.hash()];
    dropped.sort_unstable();
    assert_eq!(insert(&mut log, &first), Ok(Inserted::New { complete: vec![first.hash()], dropped }));
    assert_eq!(log.missing(), []);
    assert_eq!(log.iter().count(), 2);
}

#[test]
fn a_change_that_breaks_a_form_is_not_even_signed() {
    let log = owner_two_admins_and_a_member();
    let key = &person(1).devices[0].1;
    let sign = |ops: Vec<Op>| {
        let parents = log.heads();
        let (author, device, at) = (person(1).account, DeviceId::FIRST, UnixMillis(1));
        Body { group: Some(log.id()), parents, height: 1, author, device, at, ops }.sign(key).map(drop)
    };
    let server = |n: usize| ServerAddress::parse(&format!("hush://k{n}.example.org"), KEYSERVER_PORT).unwrap();
    let member = |n: usize, keyserver| {
        let mut account = [0; 32];
        account[..8].copy_from_slice(&n.to_be_bytes());
        NewMember { account: AccountId(account), keyserver, role: Role::Member }
    };
    let members = |n: usize| (0..n).map(|n| member(n, keyserver())).collect::<Vec<_>>();
    let twice = vec![person(4).member(Role::Member), person(4).member(Role::Admin)];
    for (ops, field) in [
        (vec![], "ops"),
        (vec![Op::Leave, Op::Leave], "ops"),
        (vec![Op::Rename(String::new())], "name"),
        (vec![Op::Rename("n".repeat(101))], "name"),
        (vec![Op::Rename("two\nlines".to_owned())], "name"),
        (vec![Op::Rename(" spaced".to_owned())], "name"),
        (vec![Op::Add(vec![])], "members"),
        (vec![Op::Add(twice)], "members"),
        (vec![Op::Add(members(1025))], "members"),
        (vec![Op::Add((0..65).map(|n| member(n, server(n))).collect())], "servers"),
        (vec![Op::Remove(person(1).account)], "account"),
        (vec![Op::Timer(Some(0))], "timer"),
        (vec![Op::DropDevice { device: DeviceId::FIRST, link: LinkHash([1; 32]) }], "device"),
        (vec![Op::Found { name: "again".to_owned(), members: vec![person(1).member(Role::Owner)] }], "parents"),
        (vec![Op::Add(members(1024)), Op::Leave, Op::Add(members(300))], "length"),
    ] {
        assert_eq!(sign(ops), Err(BadChange::Form(field)));
    }
    assert_eq!(sign(vec![Op::Add(members(1024))]), Ok(()));
    assert_eq!(sign(vec![Op::Add((0..64).map(|n| member(n, server(n))).collect())]), Ok(()));
}

proptest! {
    #[test]
    fn any_bytes_are_a_change_or_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedChange::parse(&bytes);
        let _ = GroupLog::load([bytes]);
    }
}
