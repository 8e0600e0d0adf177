//! How changes of groups come and go: kept once verified, passed on by whoever made them, asked for where they are
//! missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hushwire_proto::account::{Chain, encode_links, parse_links};
use hushwire_proto::ids::{AccountId, ChangeHash};
use rand_core::CryptoRng;

use super::{log_of, our_chain, queue};
use crate::account::verify_links;
use crate::content::{CHANGES_BYTES_MAX, CHANGES_MAX, Content, GroupAsk, GroupChanges, HEADS_MAX};
use crate::engine::Cx;
use crate::group::{BadChange, GroupLink, GroupLog, GroupState, Inserted, Op, Role, SignedChange, Void};
use crate::groups::repair::Way;
use crate::groups::{keys, members, receive, requests};
use crate::input::{Answer, CommandError};
use crate::lookup;
use crate::store::{StoreError, contacts, conversations, damaged, group_requests, groups, unsealed};
use crate::types::{Contact, Event, GroupEntry, GroupStanding, LocalGroup, Standing, Talk};
use crate::whisper;

/// Contents of changes that one request for them is answered with. What is left is asked for again.
const ANSWERED_AT_ONCE_MAX: usize = 32;

/// A change of ours: kept, and told to everybody whom it concerns.
pub(crate) fn made<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    change: SignedChange,
) -> Result<(), StoreError> {
    let before = log_of(cx, group)?.state().clone();
    let chain = our_chain(cx)?;
    let Ok(Inserted::New { complete, .. }) = keep(cx, group, change, &chain)? else {
        return Err(damaged("group_changes"));
    };
    let log = log_of(cx, group)?;
    let is_new = |account: &&AccountId| !before.members.contains_key(account);
    requests::invite(cx, &log, log.state().members.keys().filter(is_new).copied())?;
    pass_on(cx, group, &log, &before, &complete)?;
    follow(cx, group, &log, &before, &complete)
}

/// Keeps a change, if it holds.
fn keep<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    change: SignedChange,
    author: &Chain,
) -> Result<Result<Inserted, BadChange>, StoreError> {
    let mut log = log_of(cx, group)?;
    // Held by nobody else now, so that it need not be copied.
    cx.flight.groups.remove(&group);
    let inserted = Arc::make_mut(&mut log).insert(change.clone(), author);
    cx.flight.groups.insert(group, log);
    if matches!(inserted, Ok(Inserted::New { .. } | Inserted::Waiting(_))) {
        groups::add_change(cx.db, group, &change)?;
    }
    if let Ok(Inserted::New { dropped, .. }) = &inserted {
        dropped.iter().try_for_each(|hash| groups::remove_change(cx.db, group, *hash))?;
    }
    Ok(inserted)
}

/// Tells everybody whom they concern of these changes: those who stay, those who are out, and those who are new, who get
/// all there is.
fn pass_on<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    log: &GroupLog,
    before: &GroupState,
    hashes: &[ChangeHash],
) -> Result<(), StoreError> {
    let new: Vec<&SignedChange> = hashes.iter().filter_map(|hash| log.get(hash)).collect();
    let after = log.state();
    let is_new = |account: &AccountId| !before.members.contains_key(account);
    let stay: Vec<AccountId> =
        after.members.keys().filter(|account| !is_new(account) && **account != cx.keys.account).copied().collect();
    for content in contents(cx, log, &new)? {
        queue(cx, group, &stay, content)?;
    }
    let out = before.members.keys().filter(|account| !after.members.contains_key(account));
    let refused = before.requests.keys().filter(|account| !after.requests.contains_key(account));
    for account in out.chain(refused).filter(|account| !after.members.contains_key(account)) {
        let Some(contact) = contacts::by_account(cx.db, *account)? else { continue };
        for content in contents(cx, log, &new)? {
            unsealed::add(cx.db, Talk::Contact(contact.id), None, &Content::GroupChanges(content).encode())?;
        }
    }
    welcome(cx, group, log, after.members.keys().filter(|account| is_new(account)).copied().collect())
}

/// Tells new members all there is.
pub(crate) fn welcome<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    log: &GroupLog,
    mut who: Vec<AccountId>,
) -> Result<(), StoreError> {
    who.retain(|account| *account != cx.keys.account);
    if who.is_empty() {
        return Ok(());
    }
    for content in contents(cx, log, &log.changes_after(&[]))? {
        queue(cx, group, &who, content)?;
    }
    Ok(())
}

/// Changes with the device lists of their authors, in as many contents as it takes. Each list stands once in each.
fn contents<R: CryptoRng>(
    cx: &Cx<'_, R>,
    log: &GroupLog,
    changes: &[&SignedChange],
) -> Result<Vec<GroupChanges>, StoreError> {
    let mut chains: BTreeMap<AccountId, Vec<u8>> = BTreeMap::new();
    let mut made = Vec::new();
    let mut open = GroupChanges { group: log.id(), changes: Vec::new() };
    let (mut bytes, mut told) = (0, BTreeSet::new());
    for change in changes {
        let author = change.author();
        let chain = match chains.get(&author) {
            Some(chain) => chain.clone(),
            None => chains.entry(author).or_insert(chain_of(cx, author)?).clone(),
        };
        let encoded = change.encode();
        if bytes + encoded.len() + chain.len() > CHANGES_BYTES_MAX || open.changes.len() == CHANGES_MAX {
            made.push(std::mem::replace(&mut open, GroupChanges { group: log.id(), changes: Vec::new() }));
            (bytes, told) = (0, BTreeSet::new());
        }
        let chain = if told.insert(author) { chain } else { Vec::new() };
        bytes += encoded.len() + chain.len();
        open.changes.push((encoded, chain));
    }
    if !open.changes.is_empty() {
        made.push(open);
    }
    Ok(made)
}

/// The device lists of an author, as they are known.
fn chain_of<R: CryptoRng>(cx: &Cx<'_, R>, author: AccountId) -> Result<Vec<u8>, StoreError> {
    if author == cx.keys.account {
        return Ok(encode_links(&cx.keys.links));
    }
    match contacts::by_account(cx.db, author)? {
        Some(contact) => Ok(encode_links(&contacts::links(cx.db, contact.id)?)),
        None => Err(damaged("group_changes")),
    }
}

/// Why changes that came were not taken. Nothing of them was kept.
pub(crate) type NotTaken = &'static str;

/// Whether this is the wish to come in of somebody whom we do not know, with what lets them in. Nobody else leaves a trace by
/// what they bring.
pub(crate) fn is_wish<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    chain: &Chain,
    told: &GroupChanges,
) -> Result<bool, StoreError> {
    let [(change, _)] = told.changes.as_slice() else { return Ok(false) };
    let Ok(change) = SignedChange::parse(change) else { return Ok(false) };
    let Some(group) = groups::by_id(cx.db, told.group)? else { return Ok(false) };
    if change.group() != told.group || groups::standing(cx.db, group)? != GroupStanding::Member {
        return Ok(false);
    }
    let log = log_of(cx, group)?;
    let joins = is_let_in(cx, &log, chain.account(), &change);
    Ok(joins && matches!(GroupLog::clone(&log).insert(change, chain), Ok(Inserted::New { .. })))
}

/// Changes came from this contact.
pub(crate) fn came<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    from: &Contact,
    told: &GroupChanges,
) -> Result<Result<(), NotTaken>, StoreError> {
    let standing = match groups::by_id(cx.db, told.group)? {
        Some(group) => groups::standing(cx.db, group)?,
        None => GroupStanding::HeardOf,
    };
    // Nobody is brought into a group by strangers, nor by acquaintances unless we have asked.
    let is_trusted = match from.standing {
        Standing::Accepted => true,
        Standing::Known | Standing::Request => standing == GroupStanding::Asked,
        Standing::Blocked => false,
    };
    let mut parsed = Vec::with_capacity(told.changes.len());
    let mut chains: BTreeMap<AccountId, Chain> = BTreeMap::new();
    for (change, chain) in &told.changes {
        let Ok(change) = SignedChange::parse(change) else { return Ok(Err("changes of a group that are none")) };
        if change.group() != told.group {
            return Ok(Err("changes of another group than they say"));
        }
        if !chain.is_empty() {
            let chain = parse_links(chain).ok().and_then(|links| verify_links(links).ok());
            match chain.filter(|chain| chain.account() == change.author()) {
                Some(chain) => drop(chains.insert(change.author(), chain)),
                None => return Ok(Err("changes of a group without the device lists of their authors")),
            }
        }
        parsed.push(change);
    }
    let group = match groups::by_id(cx.db, told.group)? {
        Some(group) => group,
        None if !is_trusted => return Ok(Err("changes of a group that is not known here")),
        None => match receive::heard_of(cx, told.group)? {
            Some(group) => group,
            None => return Ok(Err("changes of one more group that we are not in")),
        },
    };
    if groups::changes_count(cx.db, group)? == 0 {
        if !is_trusted {
            return Ok(Err("changes of a group of which nothing is known here"));
        }
        let Some(founding) = parsed.iter().find(|change| change.is_founding()).cloned() else {
            ask(cx, told.group, from, Vec::new())?;
            return Ok(Ok(()));
        };
        let Some(chain) = chains.get(&founding.author()) else { return Ok(Err("a group without its founder")) };
        let Ok(log) = GroupLog::found(founding.clone(), chain) else { return Ok(Err("a group that was not founded")) };
        groups::add_change(cx.db, group, &founding)?;
        members::learn(cx, chain)?;
        cx.flight.groups.insert(group, Arc::new(log));
    }
    let is_trusted = is_trusted && standing != GroupStanding::Member;
    take(cx, group, (from, is_trusted), parsed, &chains)
}

fn take<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    (from, is_trusted): (&Contact, bool),
    changes: Vec<SignedChange>,
    chains: &BTreeMap<AccountId, Chain>,
) -> Result<Result<(), NotTaken>, StoreError> {
    let is_member = |log: &GroupLog| log.state().members.contains_key(&from.account);
    let log = log_of(cx, group)?;
    if !is_trusted && !is_member(&log) && changes.len() > 1 {
        return Ok(Err("changes of a group, brought by somebody who is not in it"));
    }
    let was_member = groups::standing(cx.db, group)? == GroupStanding::Member;
    let was_here = groups::is_here(cx.db, group, from.account)?;
    let before = if was_member { log.state().clone() } else { nobody(log.state()) };
    drop(log);
    let (mut new, mut refused) = (Vec::new(), None);
    for change in changes {
        let author = change.author();
        let log = log_of(cx, group)?;
        if !(is_trusted || is_member(&log) || was_member && is_let_in(cx, &log, from.account, &change)) {
            refused = Some("a change of a group, brought by somebody who is not in it");
            continue;
        }
        let chain = match chains.get(&author) {
            Some(chain) => chain.clone(),
            None => match contacts::by_account(cx.db, author)? {
                Some(contact) => verify_links(contacts::links(cx.db, contact.id)?).map_err(|_| damaged("links"))?,
                None if author == cx.keys.account => our_chain(cx)?,
                None => {
                    refused = Some("a change of a group without the device lists of its author");
                    continue;
                }
            },
        };
        drop(log);
        match keep(cx, group, change, &chain)? {
            Ok(Inserted::New { complete, .. }) => {
                new.extend(complete);
                members::learn(cx, &chain)?;
            }
            Ok(Inserted::Waiting(_)) => members::learn(cx, &chain)?,
            Ok(Inserted::Known) => {}
            Err(BadChange::UnknownDevice | BadChange::UnknownLink) => {
                if let Some(contact) = contacts::by_account(cx.db, author)? {
                    lookup::refresh(cx, contact.id)?;
                }
                refused = Some("a change of a group by a device that its author's lists do not have");
            }
            Err(_) => refused = Some("a change of a group that does not hold"),
        }
    }
    let log = log_of(cx, group)?;
    if !log.missing().is_empty() {
        ask(cx, log.id(), from, log.heads())?;
    }
    let joins = |hash: &ChangeHash| {
        log.get(hash)
            .is_some_and(|change| change.author() == from.account && matches!(change.ops(), [Op::Join { .. }, ..]))
    };
    let brought: Vec<ChangeHash> = new.iter().filter(|hash| joins(hash)).copied().collect();
    if !brought.is_empty() && was_member {
        // Whoever comes by a link tells one member; the others, and what there is, hear of each other from that one.
        pass_on(cx, group, &log, &before, &brought)?;
    }
    if was_member && !was_here {
        refused_by(cx, group, &log, from, &new)?;
    }
    if was_member {
        tell_whom_we_brought(cx, &log, &before, &new)?;
        tell_who_is_in_all_the_same(cx, group, &log, &new)?;
    }
    let was = groups::standing(cx.db, group)?;
    follow(cx, group, &log, &before, &new)?;
    if matches!(was, GroupStanding::HeardOf | GroupStanding::Gone)
        && groups::standing(cx.db, group)? == GroupStanding::Member
    {
        // Whoever brought us in sees by this that we are in.
        ask(cx, log.id(), from, log.heads())?;
    }
    Ok(refused.map_or(Ok(()), Err))
}

/// Somebody whom we had put in never came in, and refuses. They know nobody else there, so the others hear it from us.
fn refused_by<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    log: &GroupLog,
    from: &Contact,
    hashes: &[ChangeHash],
) -> Result<(), StoreError> {
    let leaves = |change: &&SignedChange| change.author() == from.account && matches!(change.ops(), [Op::Leave]);
    let left: Vec<&SignedChange> = hashes.iter().filter_map(|hash| log.get(hash)).filter(leaves).collect();
    let stay: Vec<AccountId> =
        log.state().members.keys().filter(|account| **account != cx.keys.account).copied().collect();
    if left.is_empty() || stay.is_empty() {
        return Ok(());
    }
    for content in contents(cx, log, &left)? {
        queue(cx, group, &stay, content)?;
    }
    Ok(())
}

/// Those whom we had brought in are out by these changes: perhaps their author did not know of them, so they hear it from
/// us.
fn tell_whom_we_brought<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    log: &GroupLog,
    before: &GroupState,
    hashes: &[ChangeHash],
) -> Result<(), StoreError> {
    let new: Vec<&SignedChange> = hashes.iter().filter_map(|hash| log.get(hash)).collect();
    let by_us = |since: &ChangeHash| log.get(since).is_some_and(|change| change.author() == cx.keys.account);
    let out = before.members.iter().filter(|(account, _)| !log.state().members.contains_key(account));
    let ours = out.filter(|(account, member)| **account != cx.keys.account && by_us(&member.since));
    for account in ours.map(|(account, _)| *account).collect::<Vec<_>>() {
        let Some(contact) = contacts::by_account(cx.db, account)? else { continue };
        for content in contents(cx, log, &new)? {
            unsealed::add(cx.db, Talk::Contact(contact.id), None, &Content::GroupChanges(content).encode())?;
        }
    }
    Ok(())
}

/// These changes put somebody out, who is in all the same, by something that was made apart from them. They may know only of
/// being out, and have forgotten our key by then; whoever administers the group tells them what they may lack.
fn tell_who_is_in_all_the_same<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    log: &GroupLog,
    hashes: &[ChangeHash],
) -> Result<(), StoreError> {
    let (members, us) = (&log.state().members, cx.keys.account);
    let is_admin = |account: &AccountId| members.get(account).is_some_and(|member| member.role >= Role::Admin);
    for change in hashes.iter().filter_map(|hash| log.get(hash)) {
        let out = change.ops().iter().filter_map(|op| match op {
            Op::Remove(account) | Op::Ban(account) => Some(*account),
            Op::Leave => Some(change.author()),
            _ => None,
        });
        for account in out.filter(|account| *account != us && members.contains_key(account)) {
            let Some(contact) = contacts::by_account(cx.db, account)? else { continue };
            groups::forget_given_to(cx.db, group, contact.id)?;
            let nobody_else = || !members.keys().any(|other| *other != account && is_admin(other));
            if is_admin(&us) || nobody_else() {
                for content in contents(cx, log, &log.changes_after(&[change.hash()]))? {
                    unsealed::add(cx.db, Talk::Contact(contact.id), None, &Content::GroupChanges(content).encode())?;
                }
            }
        }
    }
    Ok(())
}

/// Whether this is somebody who comes in by a link that is open, by our clock.
fn is_let_in<R: CryptoRng>(cx: &Cx<'_, R>, log: &GroupLog, who: AccountId, change: &SignedChange) -> bool {
    let [Op::Join { invite, .. }] = change.ops() else { return false };
    let expires_at = log.state().invites.get(invite).and_then(|invite| invite.expires_at);
    change.author() == who && expires_at.is_none_or(|expires_at| cx.now <= expires_at) && log.lets_in(change).is_ok()
}

/// What follows from changes for those who write and read there.
fn follow<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    log: &GroupLog,
    before: &GroupState,
    hashes: &[ChangeHash],
) -> Result<(), StoreError> {
    let state = log.state();
    let was = groups::standing(cx.db, group)?;
    let standing = match (was, state.members.contains_key(&cx.keys.account)) {
        // A contact who is in it too may bring the changes of a stranger who put us in.
        (GroupStanding::HeardOf | GroupStanding::Gone, true) if !requests::is_agreed(cx, log)? => was,
        (_, true) => GroupStanding::Member,
        (GroupStanding::Member | GroupStanding::Gone, false) => GroupStanding::Gone,
        (other, false) => other,
    };
    groups::set(cx.db, group, &state.name, standing)?;
    let conversation = conversations::of(cx.db, group)?;
    if before.timer != state.timer || was != standing {
        conversations::set_timer(cx.db, conversation, state.timer)?;
    }
    if standing == GroupStanding::Member {
        for account in state.members.keys().filter(|account| !before.members.contains_key(account)) {
            groups::note_joined(cx.db, group, *account)?;
        }
    }
    let mut left = before.members.keys().filter(|account| !state.members.contains_key(account)).peekable();
    if left.peek().is_some() {
        groups::note_left(cx.db, group, cx.now)?;
        if standing == GroupStanding::Member {
            // Whoever is out knows it, and has forgotten it if they come in again: both need a new one.
            groups::forget_our_key(cx.db, group)?;
        }
    }
    left.try_for_each(|account| groups::forget_joined(cx.db, group, *account))?;
    whisper::group_changed(cx, conversation, state)?;
    match (was, standing) {
        (GroupStanding::Member, GroupStanding::Gone) => {
            keys::leave(cx, group)?;
            groups::forget_all_joined(cx.db, group)?;
            // What is said while we are out is not missing once we are in again.
            conversations::forget_authors(cx.db, conversation)?;
            cx.event(Event::GroupLeft { conversation });
        }
        (GroupStanding::HeardOf | GroupStanding::Asked | GroupStanding::Gone, GroupStanding::Member) => {
            conversations::note_activity(cx.db, conversation, cx.now)?;
            group_requests::forget_others(cx.db, log.id())?;
            cx.event(Event::GroupJoined { conversation });
        }
        _ => {}
    }
    if was == GroupStanding::Member && !hashes.is_empty() {
        for shown in log.entries().iter().filter(|entry| hashes.contains(&entry.change.hash())) {
            cx.event(Event::GroupChanged { conversation, entry: Box::new(entry(shown.change, &shown.what)) });
        }
    }
    if standing == GroupStanding::Member {
        receive::again(cx, group, state)?;
    }
    Ok(())
}

/// A change in words' reach.
pub(crate) fn entry(change: &SignedChange, what: &[(&Op, Option<Void>)]) -> GroupEntry {
    GroupEntry {
        hash: change.hash(),
        height: change.height(),
        author: change.author(),
        at: change.at(),
        what: what.iter().map(|(op, void)| ((*op).clone(), *void)).collect(),
    }
}

/// Somebody asks for what follows, also where they or we are in no longer.
pub(crate) fn asked<R: CryptoRng>(cx: &mut Cx<'_, R>, from: &Contact, asked: &GroupAsk) -> Result<(), StoreError> {
    let Some(group) = groups::by_id(cx.db, asked.group)? else { return Ok(()) };
    if asked.heads.is_empty() {
        // Who knows nothing of the group has dropped what they were given of it.
        groups::forget_given_to(cx.db, group, from.id)?;
    }
    let log = log_of(cx, group)?;
    let after = log.changes_for(&from.account, &asked.heads);
    if after.is_empty() || !cx.flight.missed.once_more(group, from.id, Way::Changes, cx.now) {
        return Ok(());
    }
    for content in contents(cx, &log, &after)?.into_iter().take(ANSWERED_AT_ONCE_MAX) {
        unsealed::add(cx.db, Talk::Contact(from.id), None, &Content::GroupChanges(content).encode())?;
    }
    Ok(())
}

/// Asks a member for what follows what we have.
pub(crate) fn ask<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: hushwire_proto::ids::GroupId,
    whom: &Contact,
    mut heads: Vec<ChangeHash>,
) -> Result<(), StoreError> {
    heads.truncate(HEADS_MAX);
    let content = Content::GroupAsk(GroupAsk { group, heads }).encode();
    unsealed::add_once(cx.db, whom.id, &content)
}

/// Asks to be let in by a link.
pub(crate) fn join<R: CryptoRng>(cx: &mut Cx<'_, R>, link: &GroupLink) -> Result<Answer, StoreError> {
    if !cx.keys.is_listed() {
        return Ok(Answer::Refused(CommandError::NotADevice));
    }
    let Some(inviter) = contacts::by_account(cx.db, link.inviter)? else {
        members::look_up(cx, link.inviter, link.keyserver.clone(), Some(Box::new(link.clone())))?;
        return Ok(Answer::Done);
    };
    let (group, conversation) = match groups::by_id(cx.db, link.group)? {
        Some(group) => (group, conversations::of(cx.db, group)?),
        None => groups::insert(cx.db, link.group, &link.name, GroupStanding::Asked, cx.now)?,
    };
    if groups::standing(cx.db, group)? == GroupStanding::Member {
        return Ok(Answer::Group(conversation));
    }
    groups::set(cx.db, group, &link.name, GroupStanding::Asked)?;
    let has_changes = groups::changes_count(cx.db, group)? > 0;
    let log = if has_changes { Some(log_of(cx, group)?) } else { None };
    let (account, device) = (cx.keys.account, cx.keys.device);
    let keyserver = cx.keys.keyserver.clone();
    let change = match link.join(log.as_deref(), account, device, keyserver, &cx.keys.signing, cx.now) {
        Ok(change) => change,
        Err(why) => return Ok(Answer::Refused(CommandError::Group(why.into()))),
    };
    let changes = vec![(change.encode(), encode_links(&cx.keys.links))];
    let content = Content::GroupChanges(GroupChanges { group: link.group, changes }).encode();
    unsealed::add(cx.db, Talk::Contact(inviter.id), None, &content)?;
    Ok(Answer::Group(conversation))
}

/// The same group before anybody was in it: all that is true of it now is new to us.
fn nobody(state: &GroupState) -> GroupState {
    GroupState { members: BTreeMap::new(), requests: BTreeMap::new(), timer: None, ..state.clone() }
}
