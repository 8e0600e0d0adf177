//! One change: what is signed, its hash, and what makes it one that may be looked at. What it does to a group is not
//! decided here.
//!
//! Spec: group §1, §2.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hushwire_proto::account::{Chain, Link};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, InviteId, LinkHash, UnixMillis};
use hushwire_proto::signing::{Label, Transcript};
use sha2::{Digest, Sha256};

use super::{MEMBERS_MAX, NewMember, Op, Role, is_group_name, wire};

/// The largest signed change, in bytes: a thousand members fit, and it fits into one envelope.
pub const CHANGE_BYTES_MAX: usize = 40 * 1024;

/// Changes that one names as those before it.
pub(super) const PARENTS_MAX: usize = 8;

/// Things that one change does.
const OPS_MAX: usize = 1024;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// Absent in the founding change, whose hash it is.
    pub(super) group: Option<GroupId>,
    pub(super) parents: Vec<ChangeHash>,
    pub(super) height: u64,
    pub(super) author: AccountId,
    pub(super) device: DeviceId,
    pub(super) at: UnixMillis,
    pub(super) ops: Vec<Op>,
}

/// A change as it was signed. The bytes are kept, because the hash covers them. Read, and not verified by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedChange {
    body: Body,
    bytes: Vec<u8>,
    signature: SignatureBytes,
    hash: ChangeHash,
}

/// Why a change is not taken. The group is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChange {
    /// Not the bytes of a change.
    #[error("not the bytes of a change of a group")]
    Encoding,
    /// A field breaks its form.
    #[error("field `{0}` of the change breaks its form")]
    Form(&'static str),
    /// It has something in it that this program does not know; to leave it out would be to read another group.
    #[error("the change is of a later version, which this program does not know; update it")]
    Newer,
    /// Another group's.
    #[error("the change is another group's")]
    OtherGroup,
    /// The device lists are another account's than the author's.
    #[error("these device lists are not those of the change's author")]
    OtherAuthor,
    /// Look the author's device lists up, and try again if there are newer ones.
    #[error("no device list of the author has the device that signed the change")]
    UnknownDevice,
    /// Look the author's device lists up, and try again if there are newer ones.
    #[error("no device list of the author says that the device was revoked")]
    UnknownLink,
    /// Not by the device that it names.
    #[error("the change is not signed by the device that it names")]
    Signature,
    /// Its height is not one more than that of the highest change it names.
    #[error("the change lies about its place")]
    Height,
    /// Its author was never put in by any change that it has seen, and does not come by a link.
    #[error("the author of the change was never in the group")]
    Stranger,
    /// It comes by a link that no change it has seen has opened.
    #[error("the way into the group does not exist")]
    NoSuchInvite,
    /// No room for it; what is known stays. Ask for it again once what is missing has come.
    #[error("too many changes wait for others; ask for it again later")]
    TooManyWaiting,
    /// Only whoever is or was an admin or an owner may do that, or name changes of other members as those before it.
    #[error("the author of the change was never an admin or an owner, and it is about more than its author")]
    NotEntrusted,
    /// An admin or owner has to see the others first, which they do by whatever they change.
    #[error("too many changes that no admin or owner has seen yet; have one of them change something and try again")]
    TooManyLoose,
    /// The group has as many changes as it may.
    #[error("the group has as many changes as it may have; found another")]
    Full,
}

impl Body {
    /// Signs it. Nothing is checked but its form.
    pub(super) fn sign(self, key: &SigningKey) -> Result<SignedChange, BadChange> {
        self.check()?;
        let bytes = wire::encode(&self);
        let signature = key.sign(signed_transcript(&bytes).bytes()).to_bytes();
        if wire::encode_signed(&bytes, &signature).len() > CHANGE_BYTES_MAX {
            return Err(BadChange::Form("length"));
        }
        Ok(SignedChange { hash: hash(&bytes), body: self, bytes, signature })
    }

    fn check(&self) -> Result<(), BadChange> {
        let founding = matches!(self.ops.first(), Some(Op::Found { .. }));
        let place = match founding {
            true => self.group.is_none() && self.parents.is_empty() && self.height == 0,
            false => self.group.is_some() && (1..=PARENTS_MAX).contains(&self.parents.len()) && self.height > 0,
        };
        if !place || !self.parents.is_sorted_by(|a, b| a < b) {
            return Err(BadChange::Form("parents"));
        }
        let distinct: BTreeSet<&Op> = self.ops.iter().collect();
        if !(1..=OPS_MAX).contains(&self.ops.len()) || distinct.len() != self.ops.len() {
            return Err(BadChange::Form("ops"));
        }
        if !wire::has_room_for_servers(&self.ops) {
            return Err(BadChange::Form("servers"));
        }
        self.ops.iter().enumerate().try_for_each(|(place, op)| self.check_op(op, place == 0))
    }

    fn check_op(&self, op: &Op, first: bool) -> Result<(), BadChange> {
        let (fits, field) = match op {
            Op::Found { name, members } => {
                let founder = |member: &NewMember| member.account == self.author && member.role == Role::Owner;
                (first && is_group_name(name) && are_members(members) && members.iter().any(founder), "found")
            }
            Op::Add(members) => (are_members(members), "members"),
            Op::Remove(account) | Op::Ban(account) | Op::Unban(account) | Op::Admit(account) | Op::Refuse(account) => {
                (*account != self.author, "account")
            }
            Op::Rename(name) => (is_group_name(name), "name"),
            Op::Timer(seconds) => (*seconds != Some(0), "timer"),
            Op::Invite { expires_at, uses, .. } => (*expires_at != Some(UnixMillis(0)) && *uses != Some(0), "invite"),
            Op::Join { .. } => (self.ops.len() == 1, "join"),
            Op::DropDevice { device, .. } => (*device != self.device, "device"),
            Op::Leave | Op::SetRole(..) | Op::Announce(_) | Op::CloseInvite(_) => (true, "ops"),
        };
        if fits { Ok(()) } else { Err(BadChange::Form(field)) }
    }
}

impl SignedChange {
    /// Reads what [`SignedChange::encode`] wrote. Who signed it is checked when it comes into a log.
    ///
    /// # Errors
    /// [`BadChange::Encoding`], [`BadChange::Form`] or [`BadChange::Newer`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadChange> {
        if bytes.len() > CHANGE_BYTES_MAX {
            return Err(BadChange::Form("length"));
        }
        let (change, signature) = wire::parse_signed(bytes)?;
        let body = wire::parse(&change)?;
        body.check()?;
        if wire::encode(&body) != change || wire::encode_signed(&change, &signature) != bytes {
            return Err(BadChange::Newer);
        }
        Ok(Self { hash: hash(&change), body, bytes: change, signature })
    }

    /// As it travels and is kept: at most [`CHANGE_BYTES_MAX`] bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode_signed(&self.bytes, &self.signature)
    }

    /// Which it is. It covers what was signed and not the signature, which its author can make anew.
    #[must_use]
    pub fn hash(&self) -> ChangeHash {
        self.hash
    }

    /// Of which group.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.body.group.unwrap_or(GroupId(self.hash.0))
    }

    /// Whether it begins a group.
    #[must_use]
    pub fn is_founding(&self) -> bool {
        self.body.group.is_none()
    }

    /// The changes before it, sorted: none if it is the founding one, else at most eight.
    #[must_use]
    pub fn parents(&self) -> &[ChangeHash] {
        &self.body.parents
    }

    /// One more than that of the highest parent; 0 of the founding one.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.body.height
    }

    /// Who made it.
    #[must_use]
    pub fn author(&self) -> AccountId {
        self.body.author
    }

    /// With which device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.body.device
    }

    /// When, by its author's clock. Shown; it decides only whether an invite that it joins by has expired.
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        self.body.at
    }

    /// What it does, in this order.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.body.ops
    }

    /// Whether a device of the author signed it, today's or one of before, and whether what it says of devices is so.
    pub(super) fn verify(&self, author: &Chain) -> Result<(), BadChange> {
        if author.account() != self.author() {
            return Err(BadChange::OtherAuthor);
        }
        let mut result = Err(BadChange::UnknownDevice);
        let mut tried = None;
        for signed in author.links().iter().rev() {
            let Some(device) = signed.link().device(self.device()) else { continue };
            if tried == Some(device.signing_key) {
                continue;
            }
            tried = Some(device.signing_key);
            result = verify(&device.signing_key, &signed_transcript(&self.bytes), &self.signature)
                .map_err(|()| BadChange::Signature);
            if result.is_ok() {
                break;
            }
        }
        result?;
        self.verify_drops(author)
    }

    fn verify_drops(&self, author: &Chain) -> Result<(), BadChange> {
        let drop = |op: &Op| if let Op::DropDevice { device, link } = op { Some((*device, *link)) } else { None };
        let mut drops = self.ops().iter().filter_map(drop).peekable();
        if drops.peek().is_none() {
            return Ok(());
        }
        let lists: BTreeMap<LinkHash, &Link> =
            author.links().iter().map(|signed| (signed.hash(), signed.link())).collect();
        let says_so = |list: &&Link, device| list.device(device).is_none() && list.device(self.device()).is_some();
        match drops.all(|(device, link)| lists.get(&link).is_some_and(|list| says_so(list, device))) {
            true => Ok(()),
            false => Err(BadChange::UnknownLink),
        }
    }
}

/// What the key of an invite signs for one account.
pub(super) fn invite_transcript(group: &GroupId, invite: &InviteId, joiner: &AccountId) -> Transcript {
    Transcript::new(Label::GroupInvite).part(&group.0).part(&invite.0).part(&joiner.0)
}

pub(super) fn verify(key: &[u8; 32], transcript: &Transcript, signature: &SignatureBytes) -> Result<(), ()> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| ())?;
    key.verify_strict(transcript.bytes(), &Signature::from_bytes(signature)).map_err(|_| ())
}

fn are_members(members: &[NewMember]) -> bool {
    let accounts: BTreeSet<AccountId> = members.iter().map(|member| member.account).collect();
    (1..=MEMBERS_MAX).contains(&members.len()) && accounts.len() == members.len()
}

fn hash(body: &[u8]) -> ChangeHash {
    ChangeHash(Sha256::digest(Transcript::new(Label::GroupChange).part(body).bytes()).into())
}

fn signed_transcript(body: &[u8]) -> Transcript {
    Transcript::new(Label::GroupChangeSignature).part(body)
}
