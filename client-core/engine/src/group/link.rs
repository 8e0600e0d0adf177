//! Group links: `hushwire:g#…`, by which somebody comes into a group. Whoever has one can use it: it holds the private half
//! of an invite's key. What is needed to join stands behind `#`, so that no server that a link is pasted into gets to see it.
//!
//! Spec: group §8.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer as _, SigningKey};
use hushwire_proto::address::{KEYSERVER_PORT, ServerAddress};
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, InviteId, UnixMillis};
use hushwire_proto::limits::ADDRESS_BYTES_MAX;
use hushwire_proto::signing::{Label, Transcript};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::change::{BadChange, Body, SignedChange, invite_transcript};
use super::log::GroupLog;
use super::{NAME_CHARS_MAX, Op, is_group_name};

const PREFIX: &str = "hushwire:g#";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + 4 + 32 + 32 + 8 + 16 + 32 + 32 + 2;

/// A way into a group.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupLink {
    /// Which.
    pub group: GroupId,
    /// What whoever made the link says it is called; the group itself says it to members.
    pub name: String,
    /// Whom to send the change to that joins.
    pub inviter: AccountId,
    /// Where the inviter's device list and prekeys are.
    pub keyserver: ServerAddress,
    /// The change that opened the invite: what a joiner has seen who knows nothing else of the group.
    pub opened: ChangeHash,
    /// The height of that change.
    pub height: u64,
    /// Which invite.
    pub invite: InviteId,
    /// Its private key.
    pub key: SigningKey,
}

/// Why a text is not a group link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGroupLink {
    /// It begins otherwise.
    #[error("a group link begins with `hushwire:g#`")]
    Prefix,
    /// A character is missing or wrong.
    #[error("the group link is damaged: a part is missing or mistyped; ask for it again")]
    Damaged,
    /// From a later program.
    #[error("the group link is of version {0}, which this program does not know; update it")]
    Version(u8),
}

impl GroupLink {
    /// The change by which this account asks to come in. `log`: what is known of the group from having been in it;
    /// whoever was put out or left comes back only with that.
    ///
    /// # Errors
    /// [`BadChange::OtherGroup`] if the log is another's, [`BadChange::Form`].
    pub fn join(
        &self,
        log: Option<&GroupLog>,
        author: AccountId,
        device: DeviceId,
        keyserver: ServerAddress,
        key: &SigningKey,
        at: UnixMillis,
    ) -> Result<SignedChange, BadChange> {
        let (parents, height) = match log {
            Some(log) if log.id() != self.group => return Err(BadChange::OtherGroup),
            Some(log) if log.graph.place(&self.opened).is_some() => log.parents_of(author, &[]),
            Some(_) | None => (vec![self.opened], self.height.saturating_add(1)),
        };
        let proof = self.key.sign(invite_transcript(&self.group, &self.invite, &author).bytes()).to_bytes();
        let ops = vec![Op::Join { invite: self.invite, proof, keyserver }];
        Body { group: Some(self.group), parents, height, author, device, at, ops }.sign(key)
    }
}

impl fmt::Debug for GroupLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, name: _, inviter: _, keyserver: _, opened: _, height: _, invite, key: _ } = self;
        f.debug_struct("GroupLink").field("group", group).field("invite", invite).finish_non_exhaustive()
    }
}

impl fmt::Display for GroupLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = Zeroizing::new(Vec::new());
        rest.extend_from_slice(&self.group.0);
        rest.extend_from_slice(&self.opened.0);
        rest.extend_from_slice(&self.height.to_be_bytes());
        rest.extend_from_slice(&self.invite.0);
        rest.extend_from_slice(self.key.as_bytes());
        rest.extend_from_slice(&self.inviter.0);
        rest.extend_from_slice(&u16::try_from(self.name.len()).map_err(|_| fmt::Error)?.to_be_bytes());
        rest.extend_from_slice(self.name.as_bytes());
        rest.extend_from_slice(self.keyserver.to_string().as_bytes());
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend_from_slice(&checksum(&rest));
        bytes.extend_from_slice(&rest);
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for GroupLink {
    type Err = BadGroupLink;

    fn from_str(text: &str) -> Result<Self, BadGroupLink> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(BadGroupLink::Prefix)?;
        if encoded.len() > (HEAD_BYTES + 4 * NAME_CHARS_MAX + ADDRESS_BYTES_MAX) * 4 / 3 + 4 {
            return Err(BadGroupLink::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| BadGroupLink::Damaged)?;
        let bytes = Zeroizing::new(bytes);
        let (version, rest) = bytes.split_first().ok_or(BadGroupLink::Damaged)?;
        if *version != VERSION {
            return Err(BadGroupLink::Version(*version));
        }
        let (found, rest) = rest.split_first_chunk::<4>().ok_or(BadGroupLink::Damaged)?;
        if checksum(rest) != *found {
            return Err(BadGroupLink::Damaged);
        }
        parts(rest).ok_or(BadGroupLink::Damaged)
    }
}

fn parts(rest: &[u8]) -> Option<GroupLink> {
    let (group, rest) = rest.split_first_chunk::<32>()?;
    let (opened, rest) = rest.split_first_chunk::<32>()?;
    let (height, rest) = rest.split_first_chunk::<8>()?;
    let (invite, rest) = rest.split_first_chunk::<16>()?;
    let (key, rest) = rest.split_first_chunk::<32>()?;
    let (inviter, rest) = rest.split_first_chunk::<32>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (name, address) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let name = std::str::from_utf8(name).ok().filter(|name| is_group_name(name))?;
    let address = std::str::from_utf8(address).ok()?;
    Some(GroupLink {
        group: GroupId(*group),
        name: name.to_owned(),
        inviter: AccountId(*inviter),
        keyserver: ServerAddress::parse(address, KEYSERVER_PORT).ok()?,
        opened: ChangeHash(*opened),
        height: u64::from_be_bytes(*height),
        invite: InviteId(*invite),
        key: SigningKey::from_bytes(key),
    })
}

/// Tells a mistyped link from one that leads nowhere.
fn checksum(rest: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(Transcript::new(Label::GroupLink).part(rest).bytes()));
    [a, b, c, d]
}
