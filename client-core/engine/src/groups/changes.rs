//! How changes of groups are made and come: kept once verified, followed, asked for where they are missing. Who hears of them
//! from us is `tell`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use hushwire_proto::account::{Chain, encode_links, parse_links};
use hushwire_proto::ids::{AccountId, ChangeHash};
use rand_core::CryptoRng;

use super::tell::{pass_on, refused_by, tell_who_is_in_all_the_same, tell_whom_we_brought};
use super::{log_of, our_chain};
use crate::account::verify_links;
use crate::content::{Content, GroupAsk, GroupChanges, HEADS_MAX};
use crate::engine::Cx;
use crate::group::{BadChange, GroupLink, GroupLog, GroupState, Inserted, Op, SignedChange, Void};
use crate::groups::{keys, members, receive, requests};
use crate::input::{Answer, CommandError};
use crate::lookup;
use crate::store::{StoreError, contacts, conversations, damaged, group_requests, groups, unsealed};
use crate::types::{Contact, Event, GroupEntry, GroupStanding, LocalGroup, Standing, Talk};
use crate::whisper;

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
    if matches!(inserted, Ok(Inserted::New { .. } | Inserted::Waiting { .. })) {
        groups::add_change(cx.db, group, &change)?;
    }
    if let Ok(Inserted::New { dropped, .. } | Inserted::Waiting { dropped, .. } | Inserted::TooMany { dropped }) =
        &inserted
    {
        dropped.iter().try_for_each(|hash| groups::remove_change(cx.db, group, *hash))?;
    }
    Ok(inserted)
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
            if standing == GroupStanding::Asked && parsed.iter().any(|change| refuses_us(cx, from, change)) {
                not_let_in(cx, group)?;
                return Ok(Ok(()));
            }
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
    let log = log_of(cx, group)?;
    // Once for all that comes at once: each that is apart from others would have the whole group computed anew.
    let may_bring = is_trusted || log.state().members.contains_key(&from.account);
    if !may_bring && changes.len() > 1 {
        return Ok(Err("changes of a group, brought by somebody who is not in it"));
    }
    let was_member = groups::standing(cx.db, group)? == GroupStanding::Member;
    let was_here = groups::is_here(cx.db, group, from.account)?;
    let before = if was_member { log.state().clone() } else { nobody(log.state()) };
    drop(log);
    let (mut new, mut refused, mut is_refused) = (Vec::new(), None, false);
    for change in changes {
        let (author, refuses) = (change.author(), refuses_us(cx, from, &change));
        if !may_bring {
            let log = log_of(cx, group)?;
            if !was_member || !is_let_in(cx, &log, from.account, &change) {
                refused = Some(match change.ops() {
                    [Op::Join { .. }] if author == from.account => {
                        "a wish to come into a group by a link that is closed, expired or used up, or by who may not or asks already"
                    }
                    _ => "a change of a group, brought by somebody who is not in it",
                });
                continue;
            }
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
        match keep(cx, group, change, &chain)? {
            Ok(Inserted::New { complete, .. }) => {
                is_refused |= refuses;
                new.extend(complete);
                members::learn(cx, &chain)?;
            }
            Ok(Inserted::Waiting { .. }) => {
                is_refused |= refuses;
                members::learn(cx, &chain)?;
            }
            // Whoever brings one more than are kept may not have those that come before it.
            Ok(Inserted::Known | Inserted::TooMany { .. }) => {}
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
    if is_refused && groups::standing(cx.db, group)? == GroupStanding::Asked {
        not_let_in(cx, group)?;
    }
    if matches!(was, GroupStanding::HeardOf | GroupStanding::Gone)
        && groups::standing(cx.db, group)? == GroupStanding::Member
    {
        // Whoever brought us in sees by this that we are in.
        ask(cx, log.id(), from, log.heads())?;
    }
    Ok(refused.map_or(Ok(()), Err))
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

/// Whether they say that they did not let us in. If they may cannot be told by those who are not in the group: it is their word,
/// after which we have still asked.
fn refuses_us<R: CryptoRng>(cx: &Cx<'_, R>, from: &Contact, change: &SignedChange) -> bool {
    change.author() == from.account && change.ops().contains(&Op::Refuse(cx.keys.account))
}

/// We asked, and are told that we do not come in.
fn not_let_in<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup) -> Result<(), StoreError> {
    let name = groups::name(cx.db, group)?;
    cx.event(Event::GroupNotJoined { name, reason: "an admin refused; to ask again, get a new link".to_owned() });
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
