//! Groups as this device has them: their changes in the database, what a person does to them, what follows from a change
//! for those who write and read there.
//!
//! Owns which groups there are and where we stand in each. What changes mean is `group`'s, which is pure.
//!
//! | I want to know | look at |
//! |---|---|
//! | how changes come, and who hears of them from us | `changes`, `tell` |
//! | who is given the key that we write with, and when it is replaced | `keys` |
//! | how something gets out to a group | `send` |
//! | what happens to an envelope of a group | `receive` |
//! | members whom we do not know yet | `members` |
//! | what a member missed | `repair` |
//! | being asked into a group by a stranger | `requests` |
//!
//! Spec: group, envelope §10.

pub(crate) mod changes;
pub(crate) mod keys;
pub(crate) mod members;
pub(crate) mod receive;
pub(crate) mod repair;
pub(crate) mod requests;
pub(crate) mod send;
pub(crate) mod tell;

use std::collections::BTreeMap;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use hushwire_proto::account::Chain;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{AccountId, DeviceId, GroupId, InviteId, LinkHash, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::Connection;

use crate::account::verify_links;
use crate::contacts as people;
use crate::content::{Content, GroupChanges};
use crate::engine::{Cx, Engine};
use crate::group::{GroupLink, GroupLog, GroupState, NewMember, Op, Role, SignedChange};
use crate::input::{Answer, CommandError};
use crate::lookup;
use crate::store::{StoreError, contacts, conversations, damaged, groups, unsealed};
use crate::types::{Contact, ContactId, ConversationId, Group, GroupEntry, GroupStanding, LocalGroup, Standing, Talk};

/// Begins a group with these contacts.
pub(crate) fn found<R: CryptoRng>(cx: &mut Cx<'_, R>, name: &str, with: &[ContactId]) -> Result<Answer, StoreError> {
    if !cx.keys.is_listed() {
        return Ok(Answer::Refused(CommandError::NotADevice));
    }
    let keyserver = cx.keys.keyserver.clone();
    let mut members = vec![NewMember { account: cx.keys.account, keyserver, role: Role::Owner }];
    for contact in with {
        match new_member(cx, *contact)? {
            Ok(member) => members.push(member),
            Err(why) => return Ok(Answer::Refused(why)),
        }
    }
    let (account, device, now) = (cx.keys.account, cx.keys.device, cx.now);
    let change = match SignedChange::found(name, members, account, device, &cx.keys.signing, now) {
        Ok(change) => change,
        Err(why) => return Ok(Answer::Refused(CommandError::Group(why.into()))),
    };
    let chain = our_chain(cx)?;
    let log = match GroupLog::found(change.clone(), &chain) {
        Ok(log) => log,
        Err(why) => return Ok(Answer::Refused(CommandError::Group(why.into()))),
    };
    let (group, conversation) = groups::insert(cx.db, log.id(), name, GroupStanding::Member, cx.now)?;
    groups::add_change(cx.db, group, &change)?;
    for account in log.state().members.keys() {
        groups::note_joined(cx.db, group, *account)?;
    }
    requests::invite(cx, &log, log.state().members.keys().copied())?;
    tell::welcome(cx, group, &log, log.state().members.keys().copied().collect())?;
    cx.flight.groups.insert(group, Arc::new(log));
    Ok(Answer::Group(conversation))
}

/// Changes a group.
pub(crate) fn change<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    conversation: ConversationId,
    ops: Vec<Op>,
) -> Result<Answer, StoreError> {
    let Some(group) = ours(cx, conversation)? else { return Ok(Answer::Refused(CommandError::NotInGroup)) };
    match sign(cx, group, ops)? {
        Ok(change) => {
            changes::made(cx, group, change)?;
            Ok(Answer::Done)
        }
        Err(why) => Ok(Answer::Refused(why)),
    }
}

/// Opens a way into a group.
pub(crate) fn invite<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    conversation: ConversationId,
    approval: bool,
    expires_at: Option<UnixMillis>,
    uses: Option<u32>,
) -> Result<Answer, StoreError> {
    let Some(group) = ours(cx, conversation)? else { return Ok(Answer::Refused(CommandError::NotInGroup)) };
    let (mut id, mut secret) = (InviteId([0; 16]), zeroize::Zeroizing::new([0; 32]));
    cx.rng.fill_bytes(&mut id.0);
    cx.rng.fill_bytes(&mut secret[..]);
    let key = SigningKey::from_bytes(&secret);
    let op = Op::Invite { id, key: key.verifying_key().to_bytes(), approval, expires_at, uses };
    match sign(cx, group, vec![op])? {
        Ok(change) => {
            let link = GroupLink {
                group: change.group(),
                name: log_of(cx, group)?.state().name.clone(),
                inviter: cx.keys.account,
                keyserver: cx.keys.keyserver.clone(),
                opened: change.hash(),
                height: change.height(),
                invite: id,
                key,
            };
            changes::made(cx, group, change)?;
            Ok(Answer::GroupLink(Box::new(link)))
        }
        Err(why) => Ok(Answer::Refused(why)),
    }
}

/// Somebody to put into a group, from among our contacts.
pub(crate) fn new_member<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ContactId,
) -> Result<Result<NewMember, CommandError>, StoreError> {
    let Some(contact) = contacts::get(cx.db, id)? else { return Ok(Err(CommandError::NoSuchContact)) };
    match contact.standing {
        Standing::Blocked => return Ok(Err(CommandError::Blocked)),
        Standing::Request => people::accept(cx, id)?,
        Standing::Accepted | Standing::Known => {}
    }
    as_member(cx.db, &contact, &cx.keys.keyserver).map(Ok)
}

fn as_member(db: &Connection, contact: &Contact, ours: &ServerAddress) -> Result<NewMember, StoreError> {
    let keyserver = lookup::keyserver_or(db, contact.id, ours)?;
    Ok(NewMember { account: contact.account, keyserver, role: Role::Member })
}

/// The group of a conversation, if we are a member.
pub(crate) fn ours<R: CryptoRng>(cx: &Cx<'_, R>, id: ConversationId) -> Result<Option<LocalGroup>, StoreError> {
    match conversations::talk(cx.db, id)? {
        Some(Talk::Group(group)) => Ok((groups::standing(cx.db, group)? == GroupStanding::Member).then_some(group)),
        Some(Talk::Contact(_)) | None => Ok(None),
    }
}

/// The changes of a group as they are now.
pub(crate) fn log_of<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup) -> Result<Arc<GroupLog>, StoreError> {
    if let Some(log) = cx.flight.groups.get(&group) {
        return Ok(log.clone());
    }
    let log = GroupLog::load(groups::changes(cx.db, group)?).map_err(|_| damaged("group_changes"))?;
    let log = Arc::new(log);
    cx.flight.groups.insert(group, log.clone());
    Ok(log)
}

/// Whether an account is in a group that we are in.
pub(crate) fn is_member<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    account: AccountId,
) -> Result<bool, StoreError> {
    Ok(groups::standing(cx.db, group)? == GroupStanding::Member
        && log_of(cx, group)?.state().members.contains_key(&account))
}

/// Whether this contact is in a group that we are in.
pub(crate) fn shares_one<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: Option<&Contact>) -> Result<bool, StoreError> {
    let Some(contact) = contact else { return Ok(false) };
    for group in groups::all(cx.db, GroupStanding::Member)? {
        if is_member(cx, group, contact.account)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where we stand in a group, if we know it, and whether an account is in it as well as we.
pub(crate) fn stands<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: GroupId,
    account: AccountId,
) -> Result<(Option<GroupStanding>, bool), StoreError> {
    match groups::by_id(cx.db, group)? {
        Some(group) => Ok((Some(groups::standing(cx.db, group)?), is_member(cx, group, account)?)),
        None => Ok((None, false)),
    }
}

/// Whether an account is in a group, or was, as far as we have heard.
pub(crate) fn knows_of<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: GroupId,
    account: AccountId,
) -> Result<bool, StoreError> {
    match groups::by_id(cx.db, group)? {
        Some(group) if groups::changes_count(cx.db, group)? > 0 => {
            Ok(!log_of(cx, group)?.changes_for(&account, &cx.keys.account, &[]).is_empty())
        }
        Some(_) | None => Ok(false),
    }
}

/// Devices of ours were revoked: what they sign to groups has no effect from now on, also under an old date. The change
/// brings our newest list to every member, also to those who would never look it up. `link`: of our list without them.
pub(crate) fn drop_devices<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    devices: &[DeviceId],
    link: LinkHash,
) -> Result<(), StoreError> {
    if devices.is_empty() || !cx.keys.is_listed() {
        return Ok(());
    }
    for group in groups::all(cx.db, GroupStanding::Member)? {
        let ops = devices.iter().map(|device| Op::DropDevice { device: *device, link }).collect();
        // Else dropped already, or the group takes no changes any more.
        if let Ok(change) = sign(cx, group, ops)? {
            changes::made(cx, group, change)?;
        }
    }
    Ok(())
}

pub(crate) fn our_chain<R: CryptoRng>(cx: &Cx<'_, R>) -> Result<Chain, StoreError> {
    verify_links(cx.keys.links.clone()).map_err(|_| damaged("links"))
}

fn sign<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    ops: Vec<Op>,
) -> Result<Result<SignedChange, CommandError>, StoreError> {
    if !cx.keys.is_listed() {
        return Ok(Err(CommandError::NotADevice));
    }
    let made = log_of(cx, group)?.change(ops, cx.keys.account, cx.keys.device, &cx.keys.signing, cx.now);
    Ok(made.map_err(CommandError::Group))
}

/// Puts contents about changes behind what waits for a group.
pub(crate) fn queue<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    only_for: &[AccountId],
    changes: GroupChanges,
) -> Result<(), StoreError> {
    unsealed::add_for_some(cx.db, group, only_for, None, &Content::GroupChanges(changes).encode())
}

impl Engine {
    /// A group as it is now; `None` if the conversation is none of a group, or nothing is known of it yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn group(&self, id: ConversationId) -> Result<Option<Group>, StoreError> {
        let db = self.store.read();
        let Some(Talk::Group(group)) = conversations::talk(db, id)? else {
            return Ok(None);
        };
        let standing = groups::standing(db, group)?;
        let Some(log) = self.group_log(group)? else { return Ok(None) };
        let state = log.state().clone();
        let names = self.names(&state)?;
        let invited = requests::invited(&log, self.keys.account, &groups::not_here(db, group)?);
        Ok(Some(Group { conversation: id, standing, state, names, invited }))
    }

    /// What happened in a group, in the order in which it counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn group_entries(&self, id: ConversationId) -> Result<Vec<GroupEntry>, StoreError> {
        let db = self.store.read();
        let Some(Talk::Group(group)) = conversations::talk(db, id)? else {
            return Ok(Vec::new());
        };
        let Some(log) = self.group_log(group)? else { return Ok(Vec::new()) };
        let entries = log.entries();
        Ok(entries.iter().map(|entry| changes::entry(entry.change, &entry.what)).collect())
    }

    /// Contacts as what [`Op::Add`] takes; without those who are none any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn new_members(&self, contacts: &[ContactId]) -> Result<Vec<NewMember>, StoreError> {
        let db = self.store.read();
        let mut members = Vec::with_capacity(contacts.len());
        for id in contacts {
            if let Some(contact) = contacts::get(db, *id)? {
                members.push(as_member(db, &contact, &self.keys.keyserver)?);
            }
        }
        Ok(members)
    }

    pub(crate) fn group_log(&self, group: LocalGroup) -> Result<Option<Arc<GroupLog>>, StoreError> {
        if let Some(log) = self.flight.groups.get(&group) {
            return Ok(Some(log.clone()));
        }
        let rows = groups::changes(self.store.read(), group)?;
        if rows.is_empty() {
            return Ok(None);
        }
        GroupLog::load(rows).map(|log| Some(Arc::new(log))).map_err(|_| damaged("group_changes"))
    }

    /// What accounts that a group names are called here.
    fn names(&self, state: &GroupState) -> Result<BTreeMap<AccountId, String>, StoreError> {
        let mut names = BTreeMap::new();
        for account in state.members.keys().chain(&state.banned).chain(state.requests.keys()) {
            if let Some(contact) = contacts::by_account(self.store.read(), *account)? {
                names.insert(*account, contact.name);
            }
        }
        Ok(names)
    }
}
