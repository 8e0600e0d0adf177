//! What a member missed of what another said to the group: asked for in the session between the two, and said once more,
//! to that member alone. So it is shown once, and nobody gets what was said before they came.
//!
//! Spec: envelope §10.

use hushwire_proto::ids::{AccountId, DeviceId, GroupId, UnixMillis};
use rand_core::CryptoRng;

use crate::content::{Again, Content};
use crate::engine::Cx;
use crate::groups::{changes, members};
use crate::store::{StoreError, contacts, conversations, groups, repair, unheard, unsealed};
use crate::times::{self, Way};
use crate::types::{Contact, GroupStanding, LocalGroup, Talk};

/// Something that this member's device said to the group is missing here, or did not open. Whether it was asked for, or will be.
pub(crate) fn ask<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    contact: &Contact,
    device: DeviceId,
) -> Result<bool, StoreError> {
    if !super::is_member(cx, group, contact.account)? {
        return later(cx, groups::id_of(cx.db, group)?, contact.account, device);
    }
    let asked = Way::Asked(group, device);
    if !times::once_more(cx, contact.id, asked)? {
        // What was asked for a moment ago comes with this.
        return times::is_recent(cx, contact.id, asked);
    }
    let conversation = conversations::of(cx.db, group)?;
    let heard = conversations::author(cx.db, conversation, contact.id, device)?;
    let again = Again { group: Some(groups::id_of(cx.db, group)?), device, asks: true, heard };
    unsealed::add(cx.db, Talk::Contact(contact.id), None, &Content::Again(again).encode())?;
    Ok(true)
}

/// Somebody said something to a group, and they or we are not known here to be in it: it is asked for if that turns out. Whether
/// it may be.
pub(crate) fn later<R: CryptoRng>(
    cx: &Cx<'_, R>,
    group: GroupId,
    account: AccountId,
    device: DeviceId,
) -> Result<bool, StoreError> {
    Ok(account != cx.keys.account && unheard::add(cx.db, group, account, device)?)
}

/// Somebody writes to a group that we are in no longer. They have not heard of that, or we not of what they know, by which we
/// are in all the same: they are asked, if they are a member as far as we know.
pub(super) fn ask_whether_in<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    account: AccountId,
) -> Result<(), StoreError> {
    let Some(contact) = contacts::writer(cx.db, account)? else { return Ok(()) };
    let log = super::log_of(cx, group)?;
    let is_member = log.state().members.contains_key(&account);
    if is_member && times::once_more(cx, contact.id, Way::WhetherIn(group))? {
        changes::ask(cx, log.id(), &contact, log.heads())?;
    }
    Ok(())
}

/// Asks those who turned out to be members for what they said before. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let mut wake: Option<UnixMillis> = None;
    for (group, account, device) in unheard::all(cx.db)? {
        if groups::standing(cx.db, group)? != GroupStanding::Member {
            continue;
        }
        let log = super::log_of(cx, group)?;
        let keyserver = log.state().members.get(&account).map(|member| member.keyserver.clone());
        let Some(keyserver) = keyserver else { continue };
        match contacts::by_account(cx.db, account)? {
            Some(contact) => {
                ask(cx, group, &contact, device)?;
                unheard::remove(cx.db, group, account, device)?;
            }
            None => {
                members::look_up(cx, account, keyserver, None)?;
                wake = wake.into_iter().chain(cx.flight.members.get(&account).map(|failed| failed.due)).min();
            }
        }
    }
    Ok(wake.filter(|wake| *wake > cx.now))
}

/// A member's device misses something that we said to the group.
pub(crate) fn asked<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    device: DeviceId,
    again: &Again,
) -> Result<(), StoreError> {
    let group = again.group.map(|group| groups::by_id(cx.db, group)).transpose()?.flatten();
    let Some(group) = group.filter(|_| again.device == cx.keys.device && again.asks) else { return Ok(()) };
    // What was said before they came is not for them, whatever they say that they have heard.
    let Some(came) = groups::said_when_joined(cx.db, group, contact.account)? else { return Ok(()) };
    if !times::once_more(cx, contact.id, Way::Answered(group, device))? {
        return Ok(());
    }
    let heard = again.heard.map_or(0, |(counter, _)| counter);
    groups::forget_given_to(cx.db, group, contact.id)?;
    let conversation = conversations::of(cx.db, group)?;
    for one in repair::said_after(cx.db, conversation, came.max(heard))? {
        unsealed::add_for_some(cx.db, group, &[contact.account], one.message, &one.content)?;
    }
    Ok(())
}
