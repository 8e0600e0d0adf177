//! What people make of a group, each after what they say they have seen, whether they may or not; and what becomes of it
//! for whoever hears it in another order.
//!
//! Changes are written by hand, from the specification, and signed by whoever makes them. All are shown to one reader as
//! they are made and to two others in orders of their own, some twice and some altered on the way. In the end the three have
//! the same group, and so has whoever reads what one of them has kept.
//!
//! Spec: group §2 to §7.

mod wire;

use std::sync::LazyLock;

use ed25519_dalek::{Signer as _, SigningKey};
use hushwire_engine::group::{BadChange, CHANGE_BYTES_MAX, GroupLog, Inserted, MEMBERS_MAX, SignedChange};
use hushwire_proto::account::{Chain, Device, Link, Signatory};
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, LinkHash, MailboxId, Token};
use hushwire_proto::signing::{Label, Transcript};
use prost::Message as _;

use self::wire::{Change, Invite, Join, Op, Signed};
use crate::edit::edited;
use crate::input::Input;

/// More changes would show nothing new for their time.
const CHANGES_MAX: usize = 24;

/// Of one author. Of more than these some are dropped and asked for again, by which what is shown once is not the same.
const OF_ONE_AUTHOR_MAX: usize = 16;

/// The first four are in the group from the beginning.
const PEOPLE: usize = 6;

/// As an address is written.
const KEYSERVER: &str = "hush://keys.example.org:4432";

/// Accounts of two devices, of which the second was revoked.
static PEOPLE_KNOWN: LazyLock<[Person; PEOPLE]> = LazyLock::new(|| std::array::from_fn(Person::new));

struct Person {
    account: AccountId,
    keys: [SigningKey; 2],
    chain: Chain,
    revoked: LinkHash,
}

/// The bytes are what is made, and then how it comes.
pub fn changes(data: &[u8]) {
    let mut input = Input::new(data);
    let mut made = Made::begin();
    while made.all.len() < CHANGES_MAX && made.step(&mut input).is_some() {}
    let Made { whole, all, founding } = made;
    for _ in 0..2 {
        let mut log = founded(&founding);
        for _ in 0..all.len() {
            let (Some(place), Some(how)) = (input.pick(all.len()), input.byte()) else { break };
            let change = &all[place];
            match how % 8 {
                0 => altered(&mut log, change, &mut input),
                1 => assert_eq!(log.state().id, log.id()),
                _ => drop(insert(&mut log, change)),
            }
        }
        all.iter().rev().for_each(|change| drop(insert(&mut log, change)));
        assert_same(&log, &whole);
        let rows: Vec<Vec<u8>> = log.iter().map(SignedChange::encode).collect();
        assert_same(&GroupLog::load(rows.iter().rev()).expect("what was kept is read"), &whole);
        told_what_is_missing(&whole, &founding, &mut input);
    }
}

/// Changes as they are made.
struct Made {
    /// Whoever hears each at once.
    whole: GroupLog,
    /// Those that nobody takes too.
    all: Vec<SignedChange>,
    founding: SignedChange,
}

impl Made {
    fn begin() -> Self {
        let roles = [(0, 4), (1, 3), (2, 3), (3, 2)];
        let found = wire::Found { name: "walks".to_owned(), members: members(&roles) };
        let op = Op { found: Some(found), ..Op::default() };
        let founding = sign(0, 0, None, &[], 0, vec![op]).expect("a change of the right form");
        Self { whole: founded(&founding), all: vec![founding.clone()], founding }
    }

    /// One more; nothing when the bytes are used up.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (who, seen) = (input.byte()?, input.byte()?);
        let (author, device) = (usize::from(who) % PEOPLE, usize::from(who >> 7));
        let account = PEOPLE_KNOWN[author].account;
        if self.all.iter().filter(|change| change.author() == account).count() >= OF_ONE_AUTHOR_MAX {
            return Some(());
        }
        let mut ops = Vec::new();
        for _ in 0..=usize::from(who >> 5 & 1) {
            ops.push(self.op(author, input)?);
        }
        let mut parents = Vec::new();
        for _ in 0..seen % 4 {
            parents.push(&self.all[input.pick(self.all.len())?]);
        }
        if parents.is_empty() {
            parents = self.whole.heads().iter().take(8).filter_map(|head| self.whole.get(head)).collect();
        }
        let height = parents.iter().map(|parent| parent.height()).max()? + 1 + u64::from(seen >> 4 == 0xF);
        let hashes: Vec<ChangeHash> = parents.iter().map(|parent| parent.hash()).collect();
        let Some(change) = sign(author, device, Some(self.whole.id()), &hashes, height, ops) else { return Some(()) };
        // What names people who were never named, or a device as one that it is not, is taken by nobody.
        let _ = insert(&mut self.whole, &change);
        self.all.push(change);
        Some(())
    }

    fn op(&self, author: usize, input: &mut Input<'_>) -> Option<Op> {
        let (what, more) = (input.byte()?, input.byte()?);
        let target = usize::from(more) % PEOPLE;
        let account = || Some(PEOPLE_KNOWN[target].account.0.to_vec());
        let role = 1 + u32::from(more >> 6);
        let invite = || vec![more >> 4 & 3; 16];
        let none = Op::default();
        Some(match what % 20 {
            0 | 1 => Op { add: Some(members(&[(target, role), ((target + 1) % PEOPLE, 2)])), ..none },
            2 => Op { add: Some(members(&[(target, 2)])), ..none },
            3 | 4 => Op { remove: account(), ..none },
            5 => Op { ban: account(), ..none },
            6 => Op { unban: account(), ..none },
            7 => Op { leave: Some(wire::Leave {}), ..none },
            8..11 => Op { set_role: Some(wire::SetRole { account: account()?, role }), ..none },
            11 => Op { rename: Some(format!("walks {more}")), ..none },
            12 => Op { announce: Some(more & 1 == 1), ..none },
            13 => Op { timer: Some(u32::from(more)), ..none },
            14 => {
                let key = invite_key(&invite()).verifying_key().to_bytes().to_vec();
                let (approval, uses) = (more & 1 == 1, u32::from(more >> 1 & 1));
                Op { invite: Some(Invite { id: invite(), key, approval, expires_at_ms: 0, uses }), ..none }
            }
            15 => Op { close_invite: Some(invite()), ..none },
            16 => Op { admit: account(), ..none },
            17 => Op { refuse: account(), ..none },
            18 => {
                let link = PEOPLE_KNOWN[author].revoked.0.to_vec();
                Op { drop_device: Some(wire::DropDevice { device: 1 + u32::from(more & 1), link }), ..none }
            }
            _ => {
                let transcript = Transcript::new(Label::GroupInvite).part(&self.whole.id().0).part(&invite());
                let transcript = transcript.part(&PEOPLE_KNOWN[author].account.0);
                let proof = invite_key(&invite()).sign(transcript.bytes()).to_bytes().to_vec();
                Op { join: Some(Join { invite: invite(), proof, server: 0 }), ..none }
            }
        })
    }
}

fn founded(founding: &SignedChange) -> GroupLog {
    GroupLog::found(founding.clone(), &PEOPLE_KNOWN[0].chain).expect("a group that begins")
}

fn insert(log: &mut GroupLog, change: &SignedChange) -> Result<Inserted, BadChange> {
    let author = PEOPLE_KNOWN.iter().find(|person| person.account == change.author()).expect("one of them");
    log.insert(change.clone(), &author.chain)
}

/// Somebody on the way has changed it.
fn altered(log: &mut GroupLog, change: &SignedChange, input: &mut Input<'_>) {
    let bytes = change.encode();
    let other = edited(&bytes, input);
    let Ok(read) = SignedChange::parse(&other) else { return };
    assert_eq!(read.encode(), other, "two forms of one change");
    if other == bytes {
        return;
    }
    let (before, rows) = (log.heads(), log.iter().count());
    for person in PEOPLE_KNOWN.iter() {
        let taken = matches!(log.insert(read.clone(), &person.chain), Ok(Inserted::New { .. }));
        assert!(!taken, "a change that nobody signed was taken");
    }
    assert_eq!((log.heads(), log.iter().count()), (before, rows), "a change that nobody signed was kept");
}

/// Somebody who has a part of it and asks for the rest gets it in an order in which nothing waits.
fn told_what_is_missing(whole: &GroupLog, founding: &SignedChange, input: &mut Input<'_>) {
    let mut log = founded(founding);
    let known = input.pick(CHANGES_MAX).unwrap_or_default();
    for part in [known, CHANGES_MAX] {
        for change in whole.changes_after(&log.heads()).into_iter().take(part) {
            assert!(matches!(insert(&mut log, change), Ok(Inserted::New { .. })));
        }
    }
    assert_same(&log, whole);
}

fn assert_same(one: &GroupLog, other: &GroupLog) {
    assert_eq!(one.state(), other.state());
    assert_eq!(one.heads(), other.heads());
    assert_eq!(one.entries(), other.entries());
    assert!(one.state().members.len() <= MEMBERS_MAX);
}

/// Its bytes, read again; nothing if it has a form that no change has.
fn sign(
    author: usize,
    device: usize,
    group: Option<GroupId>,
    parents: &[ChangeHash],
    height: u64,
    ops: Vec<Op>,
) -> Option<SignedChange> {
    let person = &PEOPLE_KNOWN[author];
    let mut parents: Vec<Vec<u8>> = parents.iter().map(|parent| parent.0.to_vec()).collect();
    parents.sort();
    parents.dedup();
    let names_server = |op: &Op| op.found.is_some() || op.add.is_some() || op.join.is_some();
    let servers = if ops.iter().any(names_server) { vec![KEYSERVER.to_owned()] } else { Vec::new() };
    let change = Change {
        group: group.map(|group| group.0.to_vec()).unwrap_or_default(),
        parents,
        height,
        author: person.account.0.to_vec(),
        device: 1 + u32::try_from(device).ok()?,
        at_ms: height,
        servers,
        ops,
    };
    let change = change.encode_to_vec();
    let transcript = Transcript::new(Label::GroupChangeSignature).part(&change);
    let signature = person.keys[device].sign(transcript.bytes()).to_bytes().to_vec();
    let bytes = Signed { change, signature }.encode_to_vec();
    assert!(bytes.len() <= CHANGE_BYTES_MAX);
    let read = SignedChange::parse(&bytes).ok()?;
    assert_eq!(read.encode(), bytes, "written otherwise than the specification says");
    Some(read)
}

/// A list of members, all at the first keyserver.
fn members(of: &[(usize, u32)]) -> Vec<u8> {
    let one = |(number, role): &(usize, u32)| {
        let role = u8::try_from(*role).unwrap_or_default();
        [&PEOPLE_KNOWN[*number].account.0[..], &[0, role]].concat()
    };
    of.iter().flat_map(one).collect()
}

fn invite_key(id: &[u8]) -> SigningKey {
    SigningKey::from_bytes(&[0x40 + id[0]; 32])
}

impl Person {
    fn new(number: usize) -> Self {
        let number = u8::try_from(number).unwrap_or_default();
        let keys = [0, 1].map(|device| SigningKey::from_bytes(&[1 + 2 * number + device; 32]));
        let list = |version, previous, devices: &[u8]| {
            let devices = devices.iter().map(|device| self::device(*device, &keys[usize::from(*device)])).collect();
            let recovery_key = SigningKey::from_bytes(&[0x80 + number; 32]).verifying_key().to_bytes();
            Link { version, previous, devices, recovery_key }.sign(Signatory::Device(DeviceId::FIRST), &keys[0])
        };
        let begin = list(0, None, &[0]);
        let both = list(1, Some(begin.hash()), &[0, 1]);
        let one = list(2, Some(both.hash()), &[0]);
        let revoked = one.hash();
        let chain = Chain::verify(vec![begin, both, one], |_, _, _| true).expect("honest device lists");
        Self { account: chain.account(), keys, chain, revoked }
    }
}

fn device(number: u8, key: &SigningKey) -> Device {
    Device {
        id: DeviceId::new(1 + u32::from(number)).expect("a number of a device"),
        registration_id: 1,
        identity_key: [5; 33],
        signing_key: key.verifying_key().to_bytes(),
        identity_proof: [0; 64],
        relay: "hush://relay.example.org".to_owned(),
        mailbox: MailboxId([number; 32]),
        request_token: Token::from_slice(&[3; 32]).expect("32 bytes"),
        name: String::new(),
    }
}
