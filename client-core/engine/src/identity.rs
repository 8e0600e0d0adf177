//! What is done when a contact has new devices: a policy for each conversation with one person, and one for all others.
//!
//! What is looked at here is signed by the account itself, by a device or by its 24 words; lists that contradict each other,
//! or another account under a known handle, are refused in `lookup` whatever the policy. But a signature says only that
//! somebody has a device or the words, and a thief has that too.
//!
//! | policy | what we send to them | what a new device says |
//! |---|---|---|
//! | accept | goes to all their devices | is taken in |
//! | hold | waits, until a person agrees or the device is gone | texts are shown with a mark; all else waits |
//! | block | goes to the devices agreed to; waits if there are none | is not shown |
//!
//! A device that is *revoked* is dropped at once under each: waiting with that would help whoever has stolen it.
//!
//! **Whom a person has verified is held unless they say otherwise.** They compared numbers, or had a link from somebody's own
//! hand, so they care who is at the other end; and what they have checked was the account, not a device that somebody adds
//! to it later. For everybody else the default is to accept and tell, because most new devices are new phones, and who is
//! asked about each learns to say yes.
//!
//! **In groups** the policy of the conversation with a member counts for that member. What the group *is* does not depend on it:
//! changes count by the signed lists alone, or two members would see two groups. Nobody else waits: what is said to the group
//! goes to the others, and to that member once a person has agreed. The new device gets no key of ours before.
//!
//! What was not taken in is not kept: its author was told nothing, so has it still, and is asked for it once a person agrees.
//! So nothing that an unknown device does takes back, changes or confirms anything here.

use hushwire_proto::account::{Chain, Device, SignedLink};
use hushwire_proto::ids::DeviceId;
use rand_core::CryptoRng;

use crate::engine::{Cx, Engine};
use crate::groups;
use crate::repair;
use crate::store::identity::{self, Row};
use crate::store::{StoreError, contacts};
use crate::types::{Contact, ContactId, GroupStanding, Identity, NewDevice, Policy, Standing, device_label};

/// What is done about new devices of this contact. A stranger whom nobody has accepted has no devices that were agreed to,
/// so nothing about them can be new.
fn policy(db: &rusqlite::Connection, contact: &Contact) -> Result<Policy, StoreError> {
    if contact.standing == Standing::Request {
        return Ok(Policy::Accept);
    }
    if let Some(chosen) = identity::policy(db, contact.id)? {
        return Ok(chosen);
    }
    let of_all = identity::default_policy(db)?;
    Ok(if contact.verified { of_all.max(Policy::Hold) } else { of_all })
}

/// A contact's list is another one from now on; what is done about what is new in it.
pub(crate) fn changed<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: ContactId,
    before: &[SignedLink],
    after: &Chain,
) -> Result<Policy, StoreError> {
    let Some(known) = contacts::get(cx.db, contact)? else { return Ok(Policy::Accept) };
    let policy = policy(cx.db, &known)?;
    let was = before.last().map_or(&[][..], |link| &link.link().devices);
    for row in identity::of(cx.db, contact)? {
        if after.device(row.device).is_none() {
            identity::note_gone(cx.db, contact, row.device)?;
        }
    }
    let is_same = |one: &Device, other: &Device| (one.id, one.identity_key) == (other.id, other.identity_key);
    for device in after.devices().iter().filter(|device| !was.iter().any(|before| is_same(before, device))) {
        match policy {
            Policy::Accept => identity::remove(cx.db, contact, device.id)?,
            Policy::Hold | Policy::Block => identity::add(cx.db, contact, device.id, cx.now)?,
        }
    }
    settle(cx, &known)?;
    Ok(policy)
}

/// What was chosen is another thing now: what waits by it goes on, or waits.
pub(crate) fn settle_all<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<(), StoreError> {
    for contact in identity::contacts(cx.db)? {
        if let Some(contact) = contacts::get(cx.db, contact)? {
            settle(cx, &contact)?;
        }
    }
    Ok(())
}

fn settle<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact) -> Result<(), StoreError> {
    let new = listed(cx.db, contact.id)?;
    let held = match policy(cx.db, contact)? {
        Policy::Accept => return agree(cx, contact),
        Policy::Hold => !new.is_empty(),
        Policy::Block => {
            let links = contacts::links(cx.db, contact.id)?;
            let devices = links.last().map_or(&[][..], |link| &link.link().devices);
            !new.is_empty() && devices.iter().all(|device| new.iter().any(|row| row.device == device.id))
        }
    };
    identity::set_held(cx.db, contact.id, held)
}

/// A person agrees to the devices that the contact has now. What they said and was not taken in is asked for.
pub(crate) fn agree<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact) -> Result<(), StoreError> {
    identity::set_held(cx.db, contact.id, false)?;
    for row in listed(cx.db, contact.id)? {
        identity::remove(cx.db, contact.id, row.device)?;
        if !row.kept_back {
            continue;
        }
        repair::ask_for_kept_back(cx, contact, row.device)?;
        for group in crate::store::groups::all(cx.db, GroupStanding::Member)? {
            if groups::is_member(cx, group, contact.account)? {
                groups::repair::ask(cx, group, contact, row.device)?;
            }
        }
    }
    Ok(())
}

fn listed(db: &rusqlite::Connection, contact: ContactId) -> Result<Vec<Row>, StoreError> {
    Ok(identity::of(db, contact)?.into_iter().filter(|row| row.listed).collect())
}

/// What is done about what this device says; [`Policy::Accept`] if a person has agreed to it, or need not.
pub(crate) fn about<R: CryptoRng>(cx: &Cx<'_, R>, contact: &Contact, device: DeviceId) -> Result<Policy, StoreError> {
    if identity::is_new(cx.db, contact.id, device)? { policy(cx.db, contact) } else { Ok(Policy::Accept) }
}

/// The devices of a contact that may be written to, as the newest list has them.
pub(crate) fn agreed<'a>(
    db: &rusqlite::Connection,
    contact: ContactId,
    links: &'a [SignedLink],
) -> Result<Vec<&'a Device>, StoreError> {
    let new = identity::of(db, contact)?;
    let devices = links.last().map_or(&[][..], |link| &link.link().devices);
    Ok(devices.iter().filter(|device| !new.iter().any(|row| row.device == device.id)).collect())
}

impl Engine {
    /// What is done about new devices of those of whom nothing else was chosen, and who are not verified.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn default_policy(&self) -> Result<Policy, StoreError> {
        identity::default_policy(self.store.read())
    }

    /// What is done about new devices of a contact, and which wait for a person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity(&self, contact: ContactId) -> Result<Option<Identity>, StoreError> {
        let db = self.store.read();
        let Some(contact) = contacts::get(db, contact)? else { return Ok(None) };
        let links = contacts::links(db, contact.id)?;
        let device = |row: Row| NewDevice {
            label: links
                .iter()
                .rev()
                .find_map(|link| link.link().device(row.device))
                .map_or_else(|| format!("device {}", row.device), device_label),
            id: row.device,
            since: row.since,
            listed: row.listed,
        };
        Ok(Some(Identity {
            chosen: identity::policy(db, contact.id)?,
            policy: policy(db, &contact)?,
            held: identity::is_held(db, contact.id)?,
            new: identity::of(db, contact.id)?.into_iter().map(device).collect(),
            contact,
        }))
    }

    /// The same of all contacts, and of members of groups who have new devices.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identities(&self) -> Result<Vec<Identity>, StoreError> {
        let db = self.store.read();
        let mut ids: Vec<ContactId> = contacts::all(db)?.into_iter().map(|contact| contact.id).collect();
        let others = identity::contacts(db)?.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>();
        ids.extend(others);
        Ok(ids.into_iter().map(|id| self.identity(id)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}
