//! Every kind of change as bytes, which lie on people's disks.

use super::*;

fn ops() -> Vec<Op> {
    let account = |n| AccountId([n; 32]);
    let server = |name: &str| ServerAddress::parse(&format!("hush://{name}.example.org"), KEYSERVER_PORT).unwrap();
    let new = |n, name, role| NewMember { account: account(n), keyserver: server(name), role };
    vec![
        Op::Add(vec![new(2, "b", Role::Member), new(3, "a", Role::ReadOnly), new(4, "b", Role::Admin)]),
        Op::Remove(account(5)),
        Op::Ban(account(6)),
        Op::Unban(account(7)),
        Op::Leave,
        Op::SetRole(account(8), Role::Owner),
        Op::Rename("Wandern & Klettern ⛰".to_owned()),
        Op::Announce(false),
        Op::Announce(true),
        Op::Timer(None),
        Op::Timer(Some(86_400)),
        Op::Invite { id: InviteId([9; 16]), key: [10; 32], approval: false, expires_at: None, uses: None },
        Op::Invite {
            id: InviteId([11; 16]),
            key: [12; 32],
            approval: true,
            expires_at: Some(UnixMillis(1_700_000_000_000)),
            uses: Some(3),
        },
        Op::CloseInvite(InviteId([9; 16])),
        Op::Admit(account(13)),
        Op::Refuse(account(14)),
        Op::DropDevice { device: DeviceId::new(2).unwrap(), link: LinkHash([15; 32]) },
    ]
}

#[test]
fn the_bytes_of_changes_are_these() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let author = AccountId([1; 32]);
    let (device, at) = (DeviceId::FIRST, UnixMillis(1_700_000_000_000));
    let members = vec![NewMember { account: author, keyserver: keyserver(), role: Role::Owner }];
    let found = SignedChange::found("walks", members, author, device, &key, at).unwrap();
    let group = Some(found.group());
    let sign = |ops| {
        let parents = vec![found.hash(), ChangeHash([0xFF; 32])];
        Body { group, parents, height: 300, author, device, at, ops }.sign(&key).unwrap()
    };
    let join = Op::Join { invite: InviteId([9; 16]), proof: [16; 64], keyserver: keyserver() };
    let changes = [found.clone(), sign(ops()), sign(vec![join])];
    for change in &changes {
        assert_eq!(SignedChange::parse(&change.encode()).as_ref(), Ok(change));
    }
    let lengths = changes.iter().map(|change| change.encode().len());
    assert_eq!(lengths.collect::<Vec<_>>(), [188, 829, 335]);
    let hashes = changes.iter().map(|change| change.hash().to_string());
    assert_eq!(
        hashes.collect::<Vec<_>>(),
        [
            "77e8de829f37ca546f8df83a0e5e9512b29469ebf3cba9ea962e2b6eece72376",
            "df132ac93bd922868d6de972eaf0038f5697154fb2a75cfb57c3ff8a174c576b",
            "5ccf5ae4040a02d19be3205b53125d4d76b84fc29f38b4125ca15962ae30ef40"
        ]
    );
}
