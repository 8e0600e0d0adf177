//! People with real device lists, changes that any of them might sign, and what must hold of them.

use std::sync::OnceLock;

use ed25519_dalek::SigningKey;
use hushwire_proto::account::{Chain, Device, Link, Signatory};
use hushwire_proto::address::{KEYSERVER_PORT, RELAY_PORT, ServerAddress};
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, InviteId, LinkHash, UnixMillis};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::change::{BadChange, Body, SignedChange};
use super::link::GroupLink;
use super::log::{GroupLog, Inserted};
use super::{NewMember, Op, Role};
use crate::account::{NewDevice, verify_links};

mod apart;
mod bytes;
mod converge;
mod forged;
mod late;
mod links;
mod loose;
mod roles;
mod scale;

/// An account that had a second device, which was revoked.
struct Person {
    account: AccountId,
    devices: [(DeviceId, SigningKey); 2],
    chain: Chain,
    /// The list that has the second device no longer.
    revoked: LinkHash,
}

/// The same eight people in all tests.
fn person(number: usize) -> &'static Person {
    static PEOPLE: OnceLock<Vec<Person>> = OnceLock::new();
    let people = PEOPLE.get_or_init(|| (0..8).map(Person::new).collect());
    people.get(number).unwrap()
}

impl Person {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let relay = ServerAddress::parse("hush://relay.example.org", RELAY_PORT).unwrap();
        let [first, second] = [1, 2].map(|id| {
            let id = DeviceId::new(id).unwrap();
            NewDevice::generate(id, String::new(), &relay, &mut rng)
        });
        let list = |version, previous, devices: &[&Device]| Link {
            version,
            previous,
            devices: devices.iter().copied().cloned().collect(),
            recovery_key: [9; 32],
        };
        let sign = |link: Link| link.sign(Signatory::Device(DeviceId::FIRST), &first.signing);
        let begin = sign(list(0, None, &[&first.device]));
        let both = sign(list(1, Some(begin.hash()), &[&first.device, &second.device]));
        let one = sign(list(2, Some(both.hash()), &[&first.device]));
        let revoked = one.hash();
        let chain = verify_links(vec![begin, both, one]).unwrap();
        let devices = [(first.device.id, first.signing), (second.device.id, second.signing)];
        Self { account: chain.account(), devices, chain, revoked }
    }

    fn member(&self, role: Role) -> NewMember {
        NewMember { account: self.account, keyserver: keyserver(), role }
    }

    fn drop_second(&self) -> Op {
        Op::DropDevice { device: self.devices[1].0, link: self.revoked }
    }

    /// A change after these, whether it would have an effect or not.
    fn sign_with(&self, device: usize, log: &GroupLog, parents: &[ChangeHash], ops: Vec<Op>) -> SignedChange {
        let mut parents = parents.to_vec();
        parents.sort_unstable();
        parents.dedup();
        let height = parents.iter().map(|parent| log.get(parent).unwrap().height()).max().unwrap() + 1;
        let (device, key) = &self.devices[device];
        let (author, at) = (self.account, UnixMillis(1000 + height));
        Body { group: Some(log.id()), parents, height, author, device: *device, at, ops }.sign(key).unwrap()
    }

    fn sign(&self, log: &GroupLog, parents: &[ChangeHash], ops: Vec<Op>) -> SignedChange {
        self.sign_with(0, log, parents, ops)
    }

    /// A change after what its author has to know of, taken in.
    fn does(&self, log: &mut GroupLog, ops: Vec<Op>) -> ChangeHash {
        let (parents, _) = log.parents_of(self.account, &ops);
        let change = self.sign(log, &parents, ops);
        let hash = change.hash();
        assert!(matches!(log.insert(change, &self.chain), Ok(Inserted::New { .. })));
        hash
    }
}

fn chain_of(account: AccountId) -> &'static Chain {
    let of = |number: &usize| person(*number).account == account;
    &person((0..8).find(of).unwrap()).chain
}

fn keyserver() -> ServerAddress {
    ServerAddress::parse("hush://keys.example.org", KEYSERVER_PORT).unwrap()
}

fn founding(members: &[(usize, Role)]) -> SignedChange {
    let members = members.iter().map(|(number, role)| person(*number).member(*role)).collect();
    let founder = person(0);
    let (device, key) = &founder.devices[0];
    SignedChange::found("walks", members, founder.account, *device, key, UnixMillis(1000)).unwrap()
}

/// Founded by the first person, who is an owner.
fn group(members: &[(usize, Role)]) -> GroupLog {
    GroupLog::found(founding(members), &person(0).chain).unwrap()
}

fn owner_two_admins_and_a_member() -> GroupLog {
    group(&[(0, Role::Owner), (1, Role::Admin), (2, Role::Admin), (3, Role::Member)])
}

/// A key for each invite, by its number.
fn invite(number: u8) -> (Op, SigningKey) {
    let key = SigningKey::from_bytes(&[number; 32]);
    let public = key.verifying_key().to_bytes();
    let id = InviteId([number; 16]);
    (Op::Invite { id, key: public, approval: false, expires_at: None, uses: None }, key)
}

/// The way in that this change has opened.
fn link(log: &GroupLog, opened: &SignedChange, number: u8) -> GroupLink {
    GroupLink {
        group: log.id(),
        name: "walks".to_owned(),
        inviter: opened.author(),
        keyserver: keyserver(),
        opened: opened.hash(),
        height: opened.height(),
        invite: InviteId([number; 16]),
        key: invite(number).1,
    }
}

fn join(joiner: &Person, link: &GroupLink, log: Option<&GroupLog>) -> SignedChange {
    let (device, key) = &joiner.devices[0];
    link.join(log, joiner.account, *device, keyserver(), key, UnixMillis(5000)).unwrap()
}

/// Takes it in, and says whether it was.
fn insert(log: &mut GroupLog, change: &SignedChange) -> Result<Inserted, BadChange> {
    log.insert(change.clone(), chain_of(change.author()))
}
