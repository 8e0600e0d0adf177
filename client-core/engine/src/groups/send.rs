//! How what waits for a group gets out: once everybody has our sender key, encrypted once, sealed once, and put into the
//! outbox as one envelope to many mailboxes. The new key and the envelope are one transaction.

use hushwire_crypto::EncryptError;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{AccountId, ChangeHash, DepositId, DeviceId, UnixMillis};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::members::{self, Members};
use super::{keys, log_of};
use crate::content::Content;
use crate::engine::Cx;
use crate::identity;
use crate::outbox::relay_address;
use crate::seal::{GroupInside, GroupPlain};
use crate::store::groups::Ours;
use crate::store::{StoreError, contacts, damaged, groups, outbox, unsealed};
use crate::types::{Contact, ContactId, GroupStanding, LocalGroup};

/// Messages encrypted after one input, over all groups. More wait for the next.
const SEALED_AT_ONCE_MAX: usize = 64;

/// Seals what waits for groups. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let (mut sealed, mut stays) = (0, false);
    for group in unsealed::groups(cx.db)? {
        let mut behind = 0;
        while let Some(next) = unsealed::next_for_group(cx.db, group, behind)? {
            if sealed == SEALED_AT_ONCE_MAX {
                return Ok(Some(cx.now));
            }
            match one(cx, group, &next)? {
                Step::Sealed => sealed += 1,
                Step::Stays => (behind, stays) = (next.id, true),
                Step::Waits => break,
            }
        }
        if groups::standing(cx.db, group)? == GroupStanding::Gone {
            keys::leave(cx, group)?;
        }
    }
    // With prekeys it is looked at anyway.
    let lookups = cx.flight.members.values().map(|failed| failed.due);
    Ok(lookups.filter(|due| stays && *due > cx.now).min())
}

/// Contents that wait for some of a group.
const LATER_MAX: u64 = 256;

enum Step {
    Sealed,
    /// Those whom it is for cannot be reached yet; others are not held up.
    Stays,
    /// For an answer, with which it is looked at again.
    Waits,
}

/// Seals one content for all members, or for those whom it is for.
fn one<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup, next: &unsealed::ForGroup) -> Result<Step, StoreError> {
    // Keys are on their way, each in a session that is still to begin: a thousand members are not gone through for each of
    // a thousand answers.
    if cx.flight.keys_given.contains(&group) && unsealed::is_hoped_for(cx.db)? {
        return Ok(Step::Waits);
    }
    cx.flight.keys_given.remove(&group);
    if let Some(only_for) = &next.only_for {
        let log = log_of(cx, group)?;
        let member = |account: &AccountId| Some((*account, log.state().members.get(account)?.keyserver.clone()));
        let still: Vec<_> = only_for.iter().filter_map(member).collect();
        let is_reached = is_any_reached(cx, &still)?;
        if still.is_empty() || (!is_reached && groups::standing(cx.db, group)? == GroupStanding::Gone) {
            unsealed::remove(cx.db, next.id)?;
            return Ok(Step::Sealed);
        }
        if !is_reached {
            return Ok(Step::Stays);
        }
    }
    let Members { known, mut unknown, soon } = members::all(cx, group)?;
    if soon {
        return Ok(Step::Waits);
    }
    // What was said before somebody came is not for them, however long it has waited.
    let too_late = match Content::parse(&next.content) {
        Ok(Content::Said(said)) => groups::joined_behind(cx.db, group, said.counter)?,
        Ok(_) | Err(_) => Vec::new(),
    };
    let wanted = |account: &AccountId| {
        next.only_for.as_ref().is_none_or(|only| only.contains(account)) && !too_late.contains(account)
    };
    let recipients: Vec<Contact> = known.iter().filter(|contact| wanted(&contact.account)).cloned().collect();
    unknown.retain(wanted);
    if recipients.is_empty() {
        if !unknown.is_empty() && next.only_for.is_some() && groups::standing(cx.db, group)? == GroupStanding::Member {
            return Ok(Step::Stays);
        }
        put_off(cx, group, &unknown, next)?;
        unsealed::remove(cx.db, next.id)?;
        return Ok(Step::Sealed);
    }
    let all = keys::devices(cx, &known)?;
    let ours = keys::ours(cx, group, &all)?;
    let heads = log_of(cx, group)?.heads();
    let concerned: Vec<(ContactId, DeviceId)> =
        all.iter().filter(|(contact, _)| recipients.iter().any(|one| one.id == *contact)).copied().collect();
    keys::give(cx, group, &ours, &concerned, heads.clone())?;
    // Behind our key, which goes to each in a session of its own: whoever cannot be reached for that is left out, and asks
    // for what was missed once it has come.
    for contact in &recipients {
        if unsealed::waits_for(cx.db, contact.id)? == Some(false) {
            cx.flight.keys_given.insert(group);
            return Ok(Step::Waits);
        }
    }
    // A key that is used up is replaced by the next step, which comes to the same content.
    if broadcast(cx, group, ours, (&recipients, unknown), heads, next)? {
        unsealed::remove(cx.db, next.id)?;
    }
    Ok(Step::Sealed)
}

/// `false`: the key is used up, and there will be another one. Nothing was sent.
fn broadcast<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    ours: Ours,
    (recipients, later): (&[Contact], Vec<AccountId>),
    heads: Vec<ChangeHash>,
    next: &unsealed::ForGroup,
) -> Result<bool, StoreError> {
    let id = groups::id_of(cx.db, group)?;
    let plain = GroupPlain { group: id, heads, content: next.content.clone() };
    let message = match ours.key.encrypt(&plain.encode(), cx.rng) {
        Ok(message) => message,
        Err(EncryptError::UsedUp) => {
            groups::forget_our_key(cx.db, group)?;
            return Ok(false);
        }
        // What may be said and what changes may hold leave no way to be too long.
        Err(_) => return Err(damaged("unsealed")),
    };
    let inside = GroupInside { account: cx.keys.account, device: cx.keys.device, message: message.message };
    let Ok(envelope) = inside.seal(&keys::seal(id, &ours.secret), cx.rng) else {
        return Err(damaged("unsealed"));
    };
    put(cx, group, &ours.secret, (recipients, later), next, &envelope)?;
    let ours = Ours { key: message.key, messages: ours.messages.saturating_add(1), ..ours };
    groups::set_our_key(cx.db, group, &ours)?;
    Ok(true)
}

/// Puts one envelope into the outbox for each device of each recipient. `later`: for whom it waits besides.
fn put<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    secret: &Zeroizing<[u8; 32]>,
    (recipients, mut later): (&[Contact], Vec<AccountId>),
    next: &unsealed::ForGroup,
    envelope: &Envelope,
) -> Result<(), StoreError> {
    let id_of_group = groups::id_of(cx.db, group)?;
    let body = outbox::add_body(cx.db, envelope)?;
    let mut doors = 0;
    for contact in recipients {
        if unsealed::waits_for(cx.db, contact.id)?.is_some() {
            later.push(contact.account);
            continue;
        }
        let links = contacts::links(cx.db, contact.id)?;
        for device in identity::agreed(cx.db, contact.id, &links)? {
            let Some(relay) = relay_address(&device.relay) else { continue };
            let token = match contacts::their_token(cx.db, contact.id, device.id)? {
                Some(token) => token,
                // Who has not come by yet accepts strangers' tokens only.
                None if !groups::has_it(cx.db, group, contact.id, device.id)? => device.request_token.clone(),
                None => keys::door(id_of_group, secret, device.mailbox),
            };
            let mut id = DepositId([0; 16]);
            cx.rng.fill_bytes(&mut id.0);
            let door = outbox::Door { contact: contact.id, relay: &relay, mailbox: device.mailbox, token: &token, id };
            outbox::add_door(cx.db, body, next.message, &door)?;
            doors += 1;
        }
    }
    if doors == 0 {
        outbox::remove_body(cx.db, body)?;
    }
    put_off(cx, group, &later, next)
}

/// It waits for those who cannot be reached yet. Beyond that they miss it, see so with the next that comes, and ask.
fn put_off<R: CryptoRng>(
    cx: &Cx<'_, R>,
    group: LocalGroup,
    whom: &[AccountId],
    next: &unsealed::ForGroup,
) -> Result<(), StoreError> {
    if !whom.is_empty() && unsealed::count_for_some(cx.db, group)? < LATER_MAX {
        unsealed::add_for_some(cx.db, group, whom, next.message, &next.content)?;
    }
    Ok(())
}

/// Whether one of these can be written to, as far as that was tried. Whom their keyserver did not name is looked up again in
/// time.
fn is_any_reached<R: CryptoRng>(cx: &mut Cx<'_, R>, whom: &[(AccountId, ServerAddress)]) -> Result<bool, StoreError> {
    for (account, keyserver) in whom {
        match contacts::writer(cx.db, *account)? {
            Some(contact) if unsealed::waits_for(cx.db, contact.id)? == Some(true) => {}
            Some(_) => return Ok(true),
            None if members::look_up(cx, *account, keyserver.clone(), None)? => return Ok(true),
            None => {}
        }
    }
    Ok(false)
}
