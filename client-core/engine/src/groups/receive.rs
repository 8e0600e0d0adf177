//! What happens to an envelope of a group: opened with the group's secret, decrypted with its sender's key, kept if the
//! sender is a member. What fails changes nothing.

use hushwire_crypto::{GroupDecryptError, SenderKeyMessage};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId};
use rand_core::CryptoRng;

use super::{changes, is_member, keys, log_of, repair, requests, tell};
use crate::content::{self, Content, GroupKey, Origin, Receipt};
use crate::engine::Cx;
use crate::group::GroupState;
use crate::identity;
use crate::keep;
use crate::receive::{Dropped, bad};
use crate::repair::Reason;
use crate::seal::{GroupInside, GroupPlain};
use crate::store::{self, StoreError, contacts, conversations, damaged, groups, heard, messages, unheard};
use crate::types::{Contact, ContactId, Event, GroupStanding, LocalGroup, Policy, Talk};

/// Contents that wait until their author is known to be a member, in one group; and of one author.
const EARLY_MAX: (usize, usize) = (256, 64);

/// Groups that contacts have told of and that we are not in.
const HEARD_OF_MAX: usize = 64;

/// An envelope sealed to a group came.
pub(crate) fn envelope<R: CryptoRng>(cx: &mut Cx<'_, R>, envelope: &Envelope) -> Result<(), Dropped> {
    let Some((group, inside)) = keys::open(cx, envelope)? else {
        // Or under a key that was not taken, of somebody who is no member as far as is known: asked for once they are.
        if requests::is_about_one(cx, envelope)? || unheard::are_there(cx.db)? {
            return Err(Dropped::Unwanted);
        }
        return Err(bad(Reason::NotForUs, "sealed for a group that is not known here"));
    };
    if groups::standing(cx.db, group)? != GroupStanding::Gone {
        return opened(cx, group, &inside);
    }
    match opened(cx, group, &inside) {
        Ok(()) => Ok(()),
        Err(Dropped::Store(error)) => Err(Dropped::Store(error)),
        // Somebody has not heard yet that we are out, or we not yet that we are in.
        Err(_) => {
            repair::later(cx, groups::id_of(cx.db, group)?, inside.account, inside.device)?;
            repair::ask_whether_in(cx, group, inside.account)?;
            Err(Dropped::Unwanted)
        }
    }
}

/// What this holds was sealed by somebody who knows the group's secret.
fn opened<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup, inside: &GroupInside) -> Result<(), Dropped> {
    let Some(contact) = contacts::writer(cx.db, inside.account)? else {
        let why = "to a group, by somebody who is not known here";
        return match repair::later(cx, groups::id_of(cx.db, group)?, inside.account, inside.device)? {
            true => Err(Dropped::Later(why.to_owned())),
            false => Err(bad(Reason::NotListed, why)),
        };
    };
    let links = contacts::links(cx.db, contact.id)?;
    if links.last().and_then(|link| link.link().device(inside.device)).is_none() {
        return Err(bad(Reason::NotListed, "to a group, by a device that its sender's list does not have"));
    }
    if identity::about(cx, &contact, inside.device)? == Policy::Block {
        store::identity::note_kept_back(cx.db, contact.id, inside.device)?;
        return Err(Dropped::Unwanted);
    }
    let message = SenderKeyMessage::parse(&inside.message).map_err(|error| bad(Reason::Malformed, error))?;
    let from = (contact.id, inside.device);
    let known = groups::sender_keys(cx.db, group, from.0, from.1, message.distribution())?;
    let opened = match known.decrypt(&message) {
        Ok(opened) => opened,
        Err(GroupDecryptError::Repeated) => return Err(Dropped::Repeated),
        Err(error @ (GroupDecryptError::NoSenderKey | GroupDecryptError::TooFarAhead { .. })) => {
            return Err(Dropped::LostInGroup(Box::new(contact), inside.device, group, error.to_string()));
        }
        Err(error) => return Err(bad(Reason::Forged, error)),
    };
    keys::save(cx, group, from, &opened.keys)?;
    // The key has moved, whatever was said.
    let plain = GroupPlain::parse(&opened.plaintext)
        .ok_or_else(|| bad(Reason::Unknown, "to a group, and nothing that is known"))?;
    if plain.group != groups::id_of(cx.db, group)? {
        return Err(bad(Reason::Malformed, "said to another group"));
    }
    groups::note_has_it(cx.db, group, contact.id, inside.device)?;
    groups::note_here(cx.db, plain.group, contact.account)?;
    let content =
        Content::parse(&plain.content).map_err(|_| bad(Reason::Unknown, "to a group, and nothing that is known"))?;
    if !content::allowed(&content, Origin::Group) {
        return Err(bad(Reason::NotAllowed, "a content that is not accepted from a group"));
    }
    if let Content::GroupChanges(told) = &content {
        return changes::came(cx, &contact, told)?.map_err(|why| bad(Reason::NotAllowed, why));
    }
    if groups::standing(cx.db, group)? == GroupStanding::Gone {
        if !log_of(cx, group)?.state().members.contains_key(&contact.account) {
            tell::that_they_are_out(cx, group, &contact, &plain.heads)?;
        }
        return Err(Dropped::Unwanted);
    }
    let log = match groups::changes_count(cx.db, group)? {
        0 => None,
        _ => Some(log_of(cx, group)?),
    };
    let is_here = |head: &ChangeHash| log.as_ref().is_some_and(|log| log.has_all_of(head));
    let lacks = groups::standing(cx.db, group)? != GroupStanding::Member || !plain.heads.iter().all(is_here);
    if lacks {
        changes::ask(cx, plain.group, &contact, log.map(|log| log.heads()).unwrap_or_default())?;
    }
    if is_member(cx, group, contact.account)? {
        if !lacks {
            tell::what_was_refused(cx, group, &contact, &plain.heads)?;
        }
        return said(cx, group, (&contact, inside.device), content, &plain.content);
    }
    if !lacks {
        tell::that_they_are_out(cx, group, &contact, &plain.heads)?;
    }
    match lacks && groups::add_early(cx.db, group, from, &plain.content, EARLY_MAX)? {
        true => Ok(()),
        false => Err(bad(Reason::NotAllowed, "said to a group by somebody who is no member")),
    }
}

/// What a member said.
fn said<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    (contact, device): (&Contact, DeviceId),
    content: Content,
    bytes: &[u8],
) -> Result<(), Dropped> {
    let Content::Said(said) = content else {
        return Err(bad(Reason::NotAllowed, "a content that is not accepted from a group"));
    };
    if !log_of(cx, group)?.state().may_write(&contact.account) {
        return Err(bad(Reason::NotAllowed, "said to a group by a member who may only read"));
    }
    let conversation = conversations::of(cx.db, group)?;
    let last = conversations::author(cx.db, conversation, contact.id, device)?.map_or(0, |(last, _)| last);
    if said.counter > last.saturating_add(1) {
        repair::ask(cx, group, contact, device)?;
    }
    match keep::said(cx, conversation, (contact.id, device), said, bytes)? {
        true => Ok(()),
        false => Err(bad(Reason::NumberUsed, "a second text under a number that its author has used")),
    }
}

/// The group has changed: what waited for its author to be a member is looked at again.
pub(crate) fn again<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup, state: &GroupState) -> Result<(), StoreError> {
    let conversation = conversations::of(cx.db, group)?;
    for (contact, device, bytes) in groups::take_early(cx.db, group)? {
        let Some(author) = contacts::get(cx.db, contact)? else { continue };
        match Content::parse(&bytes) {
            Ok(Content::Said(what)) if state.may_write(&author.account) => {
                let last = conversations::author(cx.db, conversation, contact, device)?.map_or(0, |(last, _)| last);
                if what.counter > last.saturating_add(1) {
                    repair::ask(cx, group, &author, device)?;
                }
                keep::said(cx, conversation, (contact, device), what, &bytes)?;
            }
            Ok(_) if state.members.contains_key(&author.account) => {}
            Ok(_) | Err(_) => drop(groups::add_early(cx.db, group, (contact, device), &bytes, EARLY_MAX)?),
        }
    }
    Ok(())
}

/// A member, or a contact who brings us into a group, gives us the key that it writes with.
pub(crate) fn key<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    device: DeviceId,
    told: &GroupKey,
) -> Result<(), Dropped> {
    let Some(group) = heard_of(cx, told.group)? else {
        return Err(bad(Reason::NotAllowed, "a key of one more group of which nothing is known"));
    };
    match keys::take(cx, group, (contact.id, device), told)? {
        true => {
            let conversation = conversations::of(cx.db, group)?;
            conversations::note_lamport(cx.db, conversation, told.lamport)?;
            // What was said before that is not for us.
            if let Some((counter, hash)) = &told.said
                && conversations::author(cx.db, conversation, contact.id, device)?.is_none()
            {
                conversations::set_author(cx.db, conversation, contact.id, device, *counter, hash)?;
            }
            groups::note_has_it(cx.db, group, contact.id, device)?;
            Ok(())
        }
        false => Err(bad(Reason::Malformed, "a key of a group that is none")),
    }
}

/// A group that a contact tells of, from now on known if it was not; `None` if there are too many such.
pub(crate) fn heard_of<R: CryptoRng>(cx: &Cx<'_, R>, id: GroupId) -> Result<Option<LocalGroup>, StoreError> {
    match groups::by_id(cx.db, id)? {
        Some(group) => Ok(Some(group)),
        None if groups::all(cx.db, GroupStanding::HeardOf)?.len() >= HEARD_OF_MAX => Ok(None),
        None => Ok(Some(groups::insert(cx.db, id, "", GroupStanding::HeardOf, cx.now)?.0)),
    }
}

/// Something about a group that we are in no longer. What comes under a new secret is to be known for what it is.
pub(crate) fn gone<R: CryptoRng, T>(
    cx: &mut Cx<'_, R>,
    (account, device): (AccountId, DeviceId),
    content: &Content,
) -> Result<T, Dropped> {
    if let Content::GroupKey(told) = content
        && let Some(group) = groups::by_id(cx.db, told.group)?
        && log_of(cx, group)?.state().members.contains_key(&account)
    {
        repair::later(cx, told.group, account, device)?;
        repair::ask_whether_in(cx, group, account)?;
        let by = contacts::by_account(cx.db, account)?.map(|contact| contact.id);
        keys::keep_shut(cx, group, by, &told.secret)?;
    }
    Err(Dropped::Unwanted)
}

/// How far what we said to a group has come with this member.
pub(crate) fn receipt<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    device: DeviceId,
    receipt: &Receipt,
) -> Result<(), StoreError> {
    let group = receipt.group.map(|group| groups::by_id(cx.db, group)).transpose()?.flatten();
    let Some(group) = group.filter(|_| receipt.author == cx.keys.device) else { return Ok(()) };
    // Nobody else can have read it.
    if !is_member(cx, group, contact.account)? {
        return Ok(());
    }
    groups::note_has_it(cx.db, group, contact.id, device)?;
    let conversation = conversations::of(cx.db, group)?;
    let mut moved = Vec::new();
    let ours = |counter| heard::Ours { conversation, device: receipt.author, counter };
    for counter in &receipt.delivered {
        moved.extend(heard::note(cx.db, &ours(*counter), (contact.id, device))?);
    }
    moved.extend(heard::note_read_through(cx.db, &ours(receipt.read_through), (contact.id, device))?);
    moved.sort_unstable();
    moved.dedup();
    let (us, log) = (cx.keys.account, log_of(cx, group)?);
    let others: Vec<AccountId> = log.state().members.keys().filter(|account| **account != us).copied().collect();
    for id in moved {
        if let Some(state) = heard::least(cx.db, id, &others)?
            && messages::advance(cx.db, id, state)?
        {
            cx.event(Event::StateChanged { id, conversation, state });
        }
    }
    Ok(())
}

/// In which conversation a member is told how far what they said has come, and whether.
pub(crate) fn gets_receipts<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    with: Talk,
    author: ContactId,
) -> Result<bool, StoreError> {
    let Talk::Group(group) = with else { return Ok(false) };
    let account = contacts::account(cx.db, author)?.ok_or_else(|| damaged("contacts"))?;
    is_member(cx, group, account)
}
