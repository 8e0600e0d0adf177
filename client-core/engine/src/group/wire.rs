//! Changes as bytes, and back. There is one encoding of each change: bytes that would be encoded otherwise are refused,
//! so that no two programs understand one change differently.
//!
//! Spec: group §2.

use hushwire_proto::address::{KEYSERVER_PORT, ServerAddress};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, InviteId, LinkHash, UnixMillis};
use prost::Message as _;

use super::change::{BadChange, Body};
use super::{NewMember, Op, Role};

/// Keyservers that the members of one change may have together.
const SERVERS_MAX: usize = 64;

/// One member in a list: account, place of its keyserver in the table, role.
const MEMBER_BYTES: usize = 32 + 1 + 1;

#[derive(Clone, PartialEq, prost::Message)]
struct SignedWire {
    #[prost(bytes = "vec", tag = "1")]
    change: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ChangeWire {
    #[prost(bytes = "vec", tag = "1")]
    group: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    parents: Vec<Vec<u8>>,
    #[prost(uint64, tag = "3")]
    height: u64,
    #[prost(bytes = "vec", tag = "4")]
    author: Vec<u8>,
    #[prost(uint32, tag = "5")]
    device: u32,
    #[prost(uint64, tag = "6")]
    at_ms: u64,
    #[prost(string, repeated, tag = "7")]
    servers: Vec<String>,
    #[prost(message, repeated, tag = "8")]
    ops: Vec<OpWire>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OpWire {
    #[prost(oneof = "KindWire", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16")]
    kind: Option<KindWire>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum KindWire {
    #[prost(message, tag = "1")]
    Found(FoundWire),
    #[prost(bytes, tag = "2")]
    Add(Vec<u8>),
    #[prost(bytes, tag = "3")]
    Remove(Vec<u8>),
    #[prost(bytes, tag = "4")]
    Ban(Vec<u8>),
    #[prost(bytes, tag = "5")]
    Unban(Vec<u8>),
    #[prost(message, tag = "6")]
    Leave(LeaveWire),
    #[prost(message, tag = "7")]
    SetRole(SetRoleWire),
    #[prost(string, tag = "8")]
    Rename(String),
    #[prost(bool, tag = "9")]
    Announce(bool),
    #[prost(uint32, tag = "10")]
    Timer(u32),
    #[prost(message, tag = "11")]
    Invite(InviteWire),
    #[prost(bytes, tag = "12")]
    CloseInvite(Vec<u8>),
    #[prost(message, tag = "13")]
    Join(JoinWire),
    #[prost(bytes, tag = "14")]
    Admit(Vec<u8>),
    #[prost(bytes, tag = "15")]
    Refuse(Vec<u8>),
    #[prost(message, tag = "16")]
    DropDevice(DropDeviceWire),
}

#[derive(Clone, PartialEq, prost::Message)]
struct FoundWire {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    members: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct LeaveWire {}

#[derive(Clone, PartialEq, prost::Message)]
struct SetRoleWire {
    #[prost(bytes = "vec", tag = "1")]
    account: Vec<u8>,
    #[prost(uint32, tag = "2")]
    role: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InviteWire {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(bool, tag = "3")]
    approval: bool,
    #[prost(uint64, tag = "4")]
    expires_at_ms: u64,
    #[prost(uint32, tag = "5")]
    uses: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct JoinWire {
    #[prost(bytes = "vec", tag = "1")]
    invite: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    proof: Vec<u8>,
    #[prost(uint32, tag = "3")]
    server: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DropDeviceWire {
    #[prost(uint32, tag = "1")]
    device: u32,
    #[prost(bytes = "vec", tag = "2")]
    link: Vec<u8>,
}

/// A signed change as it travels and is kept.
pub(super) fn encode_signed(change: &[u8], signature: &SignatureBytes) -> Vec<u8> {
    SignedWire { change: change.to_vec(), signature: signature.to_vec() }.encode_to_vec()
}

/// The change and the signature in it.
pub(super) fn parse_signed(bytes: &[u8]) -> Result<(Vec<u8>, SignatureBytes), BadChange> {
    let wire = SignedWire::decode(bytes).map_err(|_| BadChange::Encoding)?;
    let signature = array(&wire.signature, "signature")?;
    Ok((wire.change, signature))
}

/// What is signed and hashed.
pub(super) fn encode(body: &Body) -> Vec<u8> {
    let mut servers = Servers::default();
    let ops = body.ops.iter().map(|op| OpWire { kind: Some(op_to_wire(op, &mut servers)) }).collect();
    ChangeWire {
        group: body.group.map(|group| group.0.to_vec()).unwrap_or_default(),
        parents: body.parents.iter().map(|parent| parent.0.to_vec()).collect(),
        height: body.height,
        author: body.author.0.to_vec(),
        device: body.device.get().into(),
        at_ms: body.at.0,
        servers: servers.0.iter().map(ToString::to_string).collect(),
        ops,
    }
    .encode_to_vec()
}

/// Reads what [`encode`] wrote. That nothing is left over or written otherwise is for the caller to compare.
pub(super) fn parse(bytes: &[u8]) -> Result<Body, BadChange> {
    let wire = ChangeWire::decode(bytes).map_err(|_| BadChange::Encoding)?;
    if wire.servers.len() > SERVERS_MAX {
        return Err(BadChange::Form("servers"));
    }
    let address = |text: &String| ServerAddress::parse(text, KEYSERVER_PORT).map_err(|_| BadChange::Form("servers"));
    let servers = Servers(wire.servers.iter().map(address).collect::<Result<_, _>>()?);
    let group = match wire.group.as_slice() {
        [] => None,
        group => Some(GroupId(array(group, "group")?)),
    };
    Ok(Body {
        group,
        parents: wire.parents.iter().map(|hash| array(hash, "parents").map(ChangeHash)).collect::<Result<_, _>>()?,
        height: wire.height,
        author: account(&wire.author)?,
        device: device(wire.device)?,
        at: UnixMillis(wire.at_ms),
        ops: wire.ops.into_iter().map(|op| op_from_wire(op, &servers)).collect::<Result<_, _>>()?,
    })
}

/// Whether the table of keyservers has room for those of these ops.
pub(super) fn has_room_for_servers(ops: &[Op]) -> bool {
    let mut servers = Servers::default();
    for op in ops {
        op_to_wire(op, &mut servers);
    }
    servers.0.len() <= SERVERS_MAX
}

/// Keyservers in the order in which members first name them.
#[derive(Default)]
struct Servers(Vec<ServerAddress>);

impl Servers {
    fn place(&mut self, server: &ServerAddress) -> usize {
        self.0.iter().position(|known| known == server).unwrap_or_else(|| {
            self.0.push(server.clone());
            self.0.len().saturating_sub(1)
        })
    }

    fn get(&self, place: usize) -> Result<ServerAddress, BadChange> {
        self.0.get(place).cloned().ok_or(BadChange::Form("servers"))
    }

    fn write(&mut self, members: &[NewMember]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(members.len().saturating_mul(MEMBER_BYTES));
        for member in members {
            bytes.extend_from_slice(&member.account.0);
            bytes.push(u8::try_from(self.place(&member.keyserver)).unwrap_or(u8::MAX));
            bytes.push(role_to_wire(member.role));
        }
        bytes
    }

    fn read(&self, bytes: &[u8]) -> Result<Vec<NewMember>, BadChange> {
        let (members, []) = bytes.as_chunks::<MEMBER_BYTES>() else { return Err(BadChange::Form("members")) };
        let member = |bytes: &[u8; MEMBER_BYTES]| {
            let (account, [place, role]) = bytes.split_first_chunk::<32>().ok_or(BadChange::Form("members"))? else {
                return Err(BadChange::Form("members"));
            };
            let keyserver = self.get(usize::from(*place))?;
            Ok(NewMember { account: AccountId(*account), keyserver, role: role_from_wire(u32::from(*role))? })
        };
        members.iter().map(member).collect()
    }
}

fn op_to_wire(op: &Op, servers: &mut Servers) -> KindWire {
    match op {
        Op::Found { name, members } => {
            KindWire::Found(FoundWire { name: name.clone(), members: servers.write(members) })
        }
        Op::Add(members) => KindWire::Add(servers.write(members)),
        Op::Remove(account) => KindWire::Remove(account.0.to_vec()),
        Op::Ban(account) => KindWire::Ban(account.0.to_vec()),
        Op::Unban(account) => KindWire::Unban(account.0.to_vec()),
        Op::Leave => KindWire::Leave(LeaveWire {}),
        Op::SetRole(account, role) => {
            KindWire::SetRole(SetRoleWire { account: account.0.to_vec(), role: role_to_wire(*role).into() })
        }
        Op::Rename(name) => KindWire::Rename(name.clone()),
        Op::Announce(on) => KindWire::Announce(*on),
        Op::Timer(seconds) => KindWire::Timer(seconds.unwrap_or(0)),
        Op::Invite { id, key, approval, expires_at, uses } => KindWire::Invite(InviteWire {
            id: id.0.to_vec(),
            key: key.to_vec(),
            approval: *approval,
            expires_at_ms: expires_at.map_or(0, |at| at.0),
            uses: uses.unwrap_or(0),
        }),
        Op::CloseInvite(id) => KindWire::CloseInvite(id.0.to_vec()),
        Op::Join { invite, proof, keyserver } => KindWire::Join(JoinWire {
            invite: invite.0.to_vec(),
            proof: proof.to_vec(),
            server: u32::try_from(servers.place(keyserver)).unwrap_or(u32::MAX),
        }),
        Op::Admit(account) => KindWire::Admit(account.0.to_vec()),
        Op::Refuse(account) => KindWire::Refuse(account.0.to_vec()),
        Op::DropDevice { device, link } => {
            KindWire::DropDevice(DropDeviceWire { device: device.get().into(), link: link.0.to_vec() })
        }
    }
}

fn op_from_wire(op: OpWire, servers: &Servers) -> Result<Op, BadChange> {
    Ok(match op.kind.ok_or(BadChange::Newer)? {
        KindWire::Found(found) => Op::Found { name: found.name, members: servers.read(&found.members)? },
        KindWire::Add(members) => Op::Add(servers.read(&members)?),
        KindWire::Remove(bytes) => Op::Remove(account(&bytes)?),
        KindWire::Ban(bytes) => Op::Ban(account(&bytes)?),
        KindWire::Unban(bytes) => Op::Unban(account(&bytes)?),
        KindWire::Leave(LeaveWire {}) => Op::Leave,
        KindWire::SetRole(set) => Op::SetRole(account(&set.account)?, role_from_wire(set.role)?),
        KindWire::Rename(name) => Op::Rename(name),
        KindWire::Announce(on) => Op::Announce(on),
        KindWire::Timer(seconds) => Op::Timer(Some(seconds).filter(|seconds| *seconds > 0)),
        KindWire::Invite(invite) => Op::Invite {
            id: InviteId(array(&invite.id, "invite")?),
            key: array(&invite.key, "invite")?,
            approval: invite.approval,
            expires_at: Some(UnixMillis(invite.expires_at_ms)).filter(|at| at.0 > 0),
            uses: Some(invite.uses).filter(|uses| *uses > 0),
        },
        KindWire::CloseInvite(id) => Op::CloseInvite(InviteId(array(&id, "invite")?)),
        KindWire::Join(join) => Op::Join {
            invite: InviteId(array(&join.invite, "join")?),
            proof: array(&join.proof, "join")?,
            keyserver: servers.get(usize::try_from(join.server).unwrap_or(usize::MAX))?,
        },
        KindWire::Admit(bytes) => Op::Admit(account(&bytes)?),
        KindWire::Refuse(bytes) => Op::Refuse(account(&bytes)?),
        KindWire::DropDevice(drop) => {
            Op::DropDevice { device: device(drop.device)?, link: LinkHash(array(&drop.link, "link")?) }
        }
    })
}

fn role_to_wire(role: Role) -> u8 {
    match role {
        Role::ReadOnly => 1,
        Role::Member => 2,
        Role::Admin => 3,
        Role::Owner => 4,
    }
}

fn role_from_wire(role: u32) -> Result<Role, BadChange> {
    match role {
        1 => Ok(Role::ReadOnly),
        2 => Ok(Role::Member),
        3 => Ok(Role::Admin),
        4 => Ok(Role::Owner),
        _ => Err(BadChange::Form("role")),
    }
}

fn account(bytes: &[u8]) -> Result<AccountId, BadChange> {
    array(bytes, "account").map(AccountId)
}

fn device(id: u32) -> Result<DeviceId, BadChange> {
    DeviceId::new(id).ok_or(BadChange::Form("device"))
}

fn array<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], BadChange> {
    bytes.try_into().map_err(|_| BadChange::Form(field))
}
