//! Who hears of changes from us: those whom they concern, those who are new, and those who ask.

use std::collections::{BTreeMap, BTreeSet};

use hushwire_proto::account::encode_links;
use hushwire_proto::ids::{AccountId, ChangeHash};
use rand_core::CryptoRng;

use super::{changes, is_member, log_of, queue};
use crate::content::{CHANGES_BYTES_MAX, CHANGES_MAX, Content, GroupAsk, GroupChanges};
use crate::engine::Cx;
use crate::group::{GroupLog, GroupState, Op, Role, SignedChange};
use crate::store::{StoreError, contacts, damaged, groups, unsealed};
use crate::times::{self, Way};
use crate::types::{Contact, LocalGroup, Talk};

/// Contents of changes that one request for them is answered with. What is left is asked for again.
const ANSWERED_AT_ONCE_MAX: usize = 32;

/// Tells everybody whom they concern of these changes: those who stay, those who are out, and those who are new, who get
/// all there is.
pub(super) fn pass_on<R: CryptoRng>(
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

/// Somebody whom we had put in never came in, and refuses. They know nobody else there, so the others hear it from us.
pub(super) fn refused_by<R: CryptoRng>(
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
pub(super) fn tell_whom_we_brought<R: CryptoRng>(
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
pub(super) fn tell_who_is_in_all_the_same<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    log: &GroupLog,
    hashes: &[ChangeHash],
) -> Result<(), StoreError> {
    let (members, us) = (&log.state().members, cx.keys.account);
    for change in hashes.iter().filter_map(|hash| log.get(hash)) {
        let out = change.ops().iter().filter_map(|op| match op {
            Op::Remove(account) | Op::Ban(account) => Some(*account),
            Op::Leave => Some(change.author()),
            _ => None,
        });
        for account in out.filter(|account| *account != us && members.contains_key(account)) {
            let Some(contact) = contacts::by_account(cx.db, account)? else { continue };
            groups::forget_given_to(cx.db, group, contact.id)?;
            if is_told_by_us(log.state(), us, account) {
                for content in contents(cx, log, &log.changes_after(&[change.hash()]))? {
                    unsealed::add(cx.db, Talk::Contact(contact.id), None, &Content::GroupChanges(content).encode())?;
                }
            }
        }
    }
    Ok(())
}

/// A member who wrote with these heads lacks changes, and may have refused them: they are told. Others who write are asked for
/// what they know and that member does not. Who only reads is asked for nothing, and tells what nobody but they made.
pub(super) fn what_was_refused<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    by: &Contact,
    heads: &[ChangeHash],
) -> Result<(), StoreError> {
    let log = log_of(cx, group)?;
    if log.heads().iter().all(|head| heads.contains(head)) {
        return Ok(());
    }
    let lacks = log.changes_after(heads);
    let us = cx.keys.account;
    let is_ours_alone = !log.state().may_write(&us) && lacks.iter().any(|change| change.author() == us);
    if is_ours_alone || log.may_be_refused(&lacks) { told(cx, group, by, &log, &lacks) } else { Ok(()) }
}

/// Somebody who is out wrote with these heads, and has not heard of it: whoever administers the group tells them, or whoever
/// put them in, who alone may tell those who never were in what became of that.
pub(super) fn that_they_are_out<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    by: &Contact,
    heads: &[ChangeHash],
) -> Result<(), StoreError> {
    let log = log_of(cx, group)?;
    let us = cx.keys.account;
    let lacks = log.changes_for(&by.account, &us, heads);
    let is_ours_to_tell = || is_told_by_us(log.state(), us, by.account) || log.was_brought(&by.account, &us);
    if !lacks.is_empty() && is_ours_to_tell() { told(cx, group, by, &log, &lacks) } else { Ok(()) }
}

/// These changes, unless they were told such a moment ago.
fn told<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    whom: &Contact,
    log: &GroupLog,
    changes: &[&SignedChange],
) -> Result<(), StoreError> {
    if !times::once_more(cx, whom.id, Way::Told(group))? {
        return Ok(());
    }
    for content in contents(cx, log, changes)?.into_iter().take(ANSWERED_AT_ONCE_MAX) {
        unsealed::add(cx.db, Talk::Contact(whom.id), None, &Content::GroupChanges(content).encode())?;
    }
    Ok(())
}

/// Whoever administers a group tells somebody what became of them; where nobody else does, each member.
fn is_told_by_us(state: &GroupState, us: AccountId, whom: AccountId) -> bool {
    let is_admin = |account: &AccountId| state.members.get(account).is_some_and(|member| member.role >= Role::Admin);
    is_admin(&us) || !state.members.keys().any(|other| *other != whom && is_admin(other))
}

/// Somebody asks for what follows, also where they or we are in no longer.
pub(crate) fn asked<R: CryptoRng>(cx: &mut Cx<'_, R>, from: &Contact, asked: &GroupAsk) -> Result<(), StoreError> {
    let Some(group) = groups::by_id(cx.db, asked.group)? else { return Ok(()) };
    if asked.heads.is_empty() {
        // Who knows nothing of the group has dropped what they were given of it.
        groups::forget_given_to(cx.db, group, from.id)?;
    }
    let log = log_of(cx, group)?;
    // They keep what never came here, so that they may not take what we have: both have to know all of it.
    if asked.heads.iter().any(|head| !log.has_all_of(head))
        && is_member(cx, group, from.account)?
        && times::once_more(cx, from.id, Way::Back(group))?
    {
        changes::ask(cx, log.id(), from, log.heads())?;
    }
    let after = log.changes_for(&from.account, &cx.keys.account, &asked.heads);
    if after.is_empty() || !times::once_more(cx, from.id, Way::Changes(group))? {
        return Ok(());
    }
    for content in contents(cx, &log, &after)?.into_iter().take(ANSWERED_AT_ONCE_MAX) {
        unsealed::add(cx.db, Talk::Contact(from.id), None, &Content::GroupChanges(content).encode())?;
    }
    Ok(())
}
