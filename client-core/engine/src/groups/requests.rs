//! Being asked into a group by somebody whom we have not accepted: one row that a person looks at, and nothing else before
//! they say yes.
//!
//! Whoever puts somebody into a group tells them so, in the session between the two. Contacts are followed without a question.
//! Of anybody else it is kept who asks and what they say: the name, how many there are, and whom of our contacts they name. All of
//! that is claimed, since anybody may put anybody into a group of their own. Rows are bounded, and a stranger's further ones
//! change nothing. Keys and changes that come meanwhile are dropped, but for the secret that seals to the group, which says
//! of what comes that it need not be told.
//!
//! A person who accepts asks for the changes, and then each member for their key and what was said since we were put in. One
//! who refuses says to whoever asked that they leave, so that nobody writes to them; it is remembered, and not asked again.
//!
//! Spec: envelope §10.

use hushwire_proto::account::encode_links;
use hushwire_proto::ids::AccountId;
use rand_core::CryptoRng;

use super::{changes, keys, members, repair};
use crate::content::{Content, GroupChanges, GroupInvitation, GroupKey, MEMBERS_TOLD_MAX};
use crate::engine::{Cx, Engine};
use crate::group::{GroupLog, SignedChange};
use crate::input::{Answer, CommandError};
use crate::receive::Dropped;
use crate::store::group_requests::{self, Asked, State};
use crate::store::{StoreError, contacts, conversations, groups, unsealed};
use crate::types::{Contact, ContactId, Event, GroupRequest, GroupStanding, LocalRequest, Standing, Talk};

/// Requests that wait for a person. More are dropped until some were looked at.
const OPEN_MAX: u64 = 64;

/// The same of one stranger.
const OPEN_OF_ONE_MAX: u64 = 3;

/// Requests that were refused and are known for that.
const REFUSED_MAX: usize = 64;

/// Contacts who are named in a request.
const KNOWN_MAX: usize = 8;

/// Tells those whom a change of ours put in that they are.
pub(crate) fn invite<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    log: &GroupLog,
    who: impl Iterator<Item = AccountId>,
) -> Result<(), StoreError> {
    let state = log.state();
    for account in who.filter(|account| *account != cx.keys.account) {
        let Some(contact) = contacts::by_account(cx.db, account)? else { continue };
        let Some(member) = state.members.get(&account) else { continue };
        let Some(since) = log.get(&member.since).filter(|change| change.author() == cx.keys.account) else { continue };
        let others = state.members.keys().filter(|other| **other != account && **other != cx.keys.account);
        let told = GroupInvitation {
            group: log.id(),
            name: state.name.clone(),
            members: u32::try_from(state.members.len()).unwrap_or(u32::MAX),
            some: others.take(MEMBERS_TOLD_MAX).copied().collect(),
            since: since.hash(),
            height: since.height(),
        };
        unsealed::add(cx.db, Talk::Contact(contact.id), None, &Content::GroupInvitation(told).encode())?;
    }
    Ok(())
}

/// Whether one more request of this stranger would be kept.
pub(crate) fn has_room<R: CryptoRng>(cx: &Cx<'_, R>, from: Option<ContactId>) -> Result<bool, StoreError> {
    let (all, theirs) = group_requests::open(cx.db, from)?;
    Ok(all < OPEN_MAX && theirs < OPEN_OF_ONE_MAX)
}

/// Somebody says that they have put us into a group.
pub(crate) fn came<R: CryptoRng>(cx: &mut Cx<'_, R>, from: &Contact, told: &GroupInvitation) -> Result<(), Dropped> {
    match from.standing {
        // Their changes bring us in.
        Standing::Accepted => return Ok(()),
        Standing::Blocked => return Err(Dropped::Unwanted),
        Standing::Request | Standing::Known => {}
    }
    if let Some(group) = groups::by_id(cx.db, told.group)?
        && matches!(groups::standing(cx.db, group)?, GroupStanding::Member | GroupStanding::Asked)
    {
        return Ok(());
    }
    let before = group_requests::of(cx.db, told.group, from.id)?;
    let is_new = match before {
        None => true,
        Some((_, State::Open)) => false,
        Some((_, State::Refused | State::Accepted)) => return Err(Dropped::Unwanted),
    };
    if is_new && !has_room(cx, Some(from.id))? {
        return Err(Dropped::Unwanted);
    }
    let mut known = Vec::new();
    for account in &told.some {
        let contact = contacts::by_account(cx.db, *account)?;
        if known.len() < KNOWN_MAX && contact.is_some_and(|contact| contact.standing == Standing::Accepted) {
            known.push(*account);
        }
    }
    let asked = Asked {
        id: LocalRequest(0),
        group: told.group,
        contact: from.id,
        name: told.name.clone(),
        members: told.members,
        known,
        since: told.since,
        height: told.height,
        at: cx.now,
        secret: None,
    };
    group_requests::put(cx.db, &asked)?;
    if is_new
        && let Some((id, _)) = group_requests::of(cx.db, told.group, from.id)?
        && let Some(request) = shown(cx.db, Asked { id, ..asked })?
    {
        cx.event(Event::GroupRequest(Box::new(request)));
    }
    Ok(())
}

/// Whether whoever put us into this group is one whom we follow without a question. If not, a person is asked.
pub(crate) fn is_agreed<R: CryptoRng>(cx: &mut Cx<'_, R>, log: &GroupLog) -> Result<bool, StoreError> {
    let state = log.state();
    let since = state.members.get(&cx.keys.account).and_then(|member| log.get(&member.since));
    let Some(since) = since.filter(|change| change.author() != cx.keys.account) else { return Ok(true) };
    let Some(from) = contacts::by_account(cx.db, since.author())? else { return Ok(false) };
    if from.standing == Standing::Accepted {
        return Ok(true);
    }
    let told = GroupInvitation {
        group: log.id(),
        name: state.name.clone(),
        members: u32::try_from(state.members.len()).unwrap_or(u32::MAX),
        some: state.members.keys().copied().collect(),
        since: since.hash(),
        height: since.height(),
    };
    match came(cx, &from, &told) {
        Err(Dropped::Store(error)) => Err(error),
        Ok(()) | Err(_) => Ok(false),
    }
}

/// Something else about a group into which we are asked, of somebody whom we have not accepted: nothing but what tells us what
/// is sealed to it. `None`: nobody asks us into that one.
pub(crate) fn meanwhile<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    from: Option<&Contact>,
    content: &Content,
) -> Result<Option<Dropped>, StoreError> {
    let Some(group) = content.group() else { return Ok(None) };
    let is_theirs = from.is_some_and(|contact| contact.standing == Standing::Accepted);
    if is_theirs || matches!(content, Content::GroupInvitation(_)) || !group_requests::is_any(cx.db, group)? {
        return Ok(None);
    }
    if let Some(local) = groups::by_id(cx.db, group)?
        && matches!(groups::standing(cx.db, local)?, GroupStanding::Member | GroupStanding::Asked)
    {
        return Ok(None);
    }
    if let (Content::GroupKey(GroupKey { secret, .. }), Some(contact)) = (content, from)
        && let Some((id, _)) = group_requests::of(cx.db, group, contact.id)?
    {
        group_requests::set_secret(cx.db, id, secret)?;
    }
    Ok(Some(Dropped::Unwanted))
}

/// A person says yes: we ask for the group's changes.
pub(crate) fn accept<R: CryptoRng>(cx: &mut Cx<'_, R>, id: LocalRequest) -> Result<Answer, StoreError> {
    let (asked, contact) = match decided(cx, id)? {
        Ok(found) => found,
        Err(why) => return Ok(Answer::Refused(why)),
    };
    let (group, conversation) = match groups::by_id(cx.db, asked.group)? {
        Some(group) => (group, conversations::of(cx.db, group)?),
        None => groups::insert(cx.db, asked.group, &asked.name, GroupStanding::Asked, cx.now)?,
    };
    groups::set(cx.db, group, &asked.name, GroupStanding::Asked)?;
    conversations::note_activity(cx.db, conversation, cx.now)?;
    if let Some(secret) = &asked.secret {
        keys::keep_secret(cx, group, Some(contact.id), secret)?;
    }
    group_requests::set_state(cx.db, id, State::Accepted, REFUSED_MAX)?;
    // Of a group that we were in before, everything is asked for again: they forget by that what they gave us.
    changes::ask(cx, asked.group, &contact, Vec::new())?;
    Ok(Answer::Group(conversation))
}

/// A person says no, and whoever asked is told that we leave.
pub(crate) fn refuse<R: CryptoRng>(cx: &mut Cx<'_, R>, id: LocalRequest) -> Result<Answer, StoreError> {
    let (asked, contact) = match decided(cx, id)? {
        Ok(found) => found,
        Err(why) => return Ok(Answer::Refused(why)),
    };
    group_requests::set_state(cx.db, id, State::Refused, REFUSED_MAX)?;
    let (account, device, at) = (cx.keys.account, cx.keys.device, cx.now);
    let after = (asked.since, asked.height);
    // What cannot be signed so was claimed of no group that there is.
    if let Ok(change) = SignedChange::leave(asked.group, after, account, device, &cx.keys.signing, at) {
        let changes = vec![(change.encode(), encode_links(&cx.keys.links))];
        let content = Content::GroupChanges(GroupChanges { group: asked.group, changes }).encode();
        unsealed::add(cx.db, Talk::Contact(contact.id), None, &content)?;
    }
    Ok(Answer::Done)
}

fn decided<R: CryptoRng>(
    cx: &Cx<'_, R>,
    id: LocalRequest,
) -> Result<Result<(Asked, Contact), CommandError>, StoreError> {
    let Some(asked) = group_requests::get(cx.db, id, State::Open)? else {
        return Ok(Err(CommandError::NoSuchRequest));
    };
    let Some(contact) = contacts::get(cx.db, asked.contact)? else { return Ok(Err(CommandError::NoSuchRequest)) };
    if contact.standing == Standing::Blocked {
        return Ok(Err(CommandError::Blocked));
    }
    if cx.keys.is_listed() { Ok(Ok((asked, contact))) } else { Ok(Err(CommandError::NotADevice)) }
}

/// In groups that were accepted each member is asked for their key, and what they said since we were put in, once it is known
/// who they are.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<(), StoreError> {
    for asked in group_requests::all(cx.db, State::Accepted)? {
        let Some(group) = groups::by_id(cx.db, asked.group)? else { continue };
        match groups::standing(cx.db, group)? {
            GroupStanding::Member => {}
            GroupStanding::HeardOf | GroupStanding::Asked => continue,
            GroupStanding::Gone => {
                group_requests::remove(cx.db, asked.id)?;
                continue;
            }
        }
        let members = members::all(cx, group)?;
        if members.soon {
            continue;
        }
        for contact in &members.known {
            let links = contacts::links(cx.db, contact.id)?;
            for device in links.last().map_or(&[][..], |link| &link.link().devices) {
                repair::ask(cx, group, contact, device.id)?;
            }
        }
        group_requests::remove(cx.db, asked.id)?;
    }
    Ok(())
}

/// Whether this is sealed to a group into which we are asked.
pub(crate) fn is_about_one<R: CryptoRng>(
    cx: &Cx<'_, R>,
    envelope: &hushwire_proto::envelope::Envelope,
) -> Result<bool, StoreError> {
    let secrets = group_requests::secrets(cx.db)?;
    let opens = |(group, secret): &(_, zeroize::Zeroizing<[u8; 32]>)| {
        crate::seal::GroupInside::open(envelope, &keys::seal(*group, secret)).is_some()
    };
    Ok(secrets.iter().any(opens))
}

/// Those of these members, of whom nothing about the group has come, whom we have put in.
pub(crate) fn invited(log: &GroupLog, us: AccountId, not_here: &[AccountId]) -> Vec<AccountId> {
    let by_us = |account: &&AccountId| {
        let member = log.state().members.get(account);
        member.and_then(|member| log.get(&member.since)).is_some_and(|change| change.author() == us)
    };
    not_here.iter().filter(|account| **account != us).filter(by_us).copied().collect()
}

fn shown(db: &rusqlite::Connection, asked: Asked) -> Result<Option<GroupRequest>, StoreError> {
    let Some(from) = contacts::get(db, asked.contact)? else { return Ok(None) };
    let mut known = Vec::with_capacity(asked.known.len());
    for account in &asked.known {
        known.extend(contacts::by_account(db, *account)?.map(|contact| contact.name));
    }
    let Asked { id, group, name, members, at, .. } = asked;
    Ok(Some(GroupRequest { id, group, name, from, members, known, at }))
}

impl Engine {
    /// Groups into which somebody asks us whom we have not accepted, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn group_requests(&self) -> Result<Vec<GroupRequest>, StoreError> {
        let db = self.store.read();
        let all = group_requests::all(db, State::Open)?;
        Ok(all
            .into_iter()
            .map(|asked| shown(db, asked))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }
}
