//! When a message of a contact does not open: one of the two has lost what the session had become, as by a database
//! that was restored from a copy. Whoever notices puts the session aside, begins a new one and asks in it for what was
//! not confirmed, and both say it anew under the same ids. So it is shown once.
//!
//! Spec: envelope §9.

use hushwire_proto::ids::DeviceId;
use rand_core::CryptoRng;

use crate::content::{self, Again, Content, What};
use crate::engine::Cx;
use crate::groups;
use crate::store::repair::{self, Asked, Unconfirmed};
use crate::store::{StoreError, conversations, sessions, unsealed};
use crate::times::{self, Way};
use crate::types::{Contact, ContactId, ConversationId, Standing, Talk};

/// How often a device is asked within [`WINDOW_MS`].
const ASKED_MAX: u32 = 3;

/// A day, in milliseconds.
const WINDOW_MS: u64 = 24 * 3600 * 1000;

/// How long after asking nothing of that device need open before it is asked again, in milliseconds: what it sent before
/// it heard of it does not.
const PATIENCE_MS: u64 = 3600 * 1000;

/// How often one content is said anew.
const AGAIN_MAX: u32 = 3;

/// How many numbers a database may lack that was set back. More than anybody says between two copies, and too little
/// for a peer to wear the numbers out.
const SET_BACK_MAX: u64 = 1 << 20;

/// Why an envelope was thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not sealed for this device of this account, or altered on its way.
    NotForUs,
    /// It opened, and what is inside has not the form that it must have.
    Malformed,
    /// From a device that the sender's device list does not have.
    NotListed,
    /// There is no session with that device.
    NoSession,
    /// No session with that device opens it: not made in it, or one of the two has lost its state.
    Forged,
    /// A first message under a prekey that was used or has expired.
    PrekeyGone,
    /// Authentic, and not accepted from there.
    NotAllowed,
    /// Authentic, and of a kind that this version does not know, or about what is not known here.
    Unknown,
    /// Its author used its number for something else.
    NumberUsed,
}

/// A message from this device did not open. Whether it was asked to say it anew.
pub(crate) fn ask<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact, device: DeviceId) -> Result<bool, StoreError> {
    let is_wanted = match contact.standing {
        Standing::Accepted => true,
        // Keys of groups go through this session. Who is in none with us is a stranger.
        Standing::Known => groups::shares_one(cx, Some(contact))?,
        Standing::Request | Standing::Blocked => false,
    };
    if !is_wanted || !cx.keys.is_listed() {
        return Ok(false);
    }
    // A clock that went back begins a new window.
    let within = |from, length| cx.now >= from && cx.now.since(from) < length;
    let before = repair::asked(cx.db, contact.id, device)?.filter(|asked| within(asked.since, WINDOW_MS));
    if before.is_some_and(|asked| asked.times >= ASKED_MAX || (asked.unanswered && within(asked.last, PATIENCE_MS))) {
        return Ok(false);
    }
    let asked = Asked {
        since: before.map_or(cx.now, |before| before.since),
        times: before.map_or(0, |before| before.times) + 1,
        last: cx.now,
        unanswered: true,
    };
    repair::set_asked(cx.db, contact.id, device, &asked)?;
    let archived = sessions::load(cx.db, contact.id, device)?.archive_current();
    sessions::save(cx.db, contact.id, device, &archived)?;
    tell(cx, contact, device, true)?;
    // What was said in that session may not have come either.
    send_anew(cx, contact)?;
    Ok(true)
}

/// A person agreed to a device, or to somebody, of whom something was not taken in: what they were not told of the receipt
/// of, they say anew.
pub(crate) fn ask_for_kept_back<R: CryptoRng>(
    cx: &Cx<'_, R>,
    contact: &Contact,
    device: DeviceId,
) -> Result<(), StoreError> {
    match contact.standing {
        Standing::Accepted if cx.keys.is_listed() => tell(cx, contact, device, true),
        Standing::Accepted | Standing::Request | Standing::Known | Standing::Blocked => Ok(()),
    }
}

/// Something from this device was opened.
pub(crate) fn opened<R: CryptoRng>(cx: &Cx<'_, R>, contact: ContactId, device: DeviceId) -> Result<(), StoreError> {
    repair::answered(cx.db, contact, device)
}

/// A contact's device could not open what we said, or answers how far it has come with us.
pub(crate) fn asked<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    device: DeviceId,
    again: &Again,
) -> Result<(), StoreError> {
    if again.device != cx.keys.device {
        return Ok(());
    }
    if let Some((counter, hash)) = &again.heard {
        go_on_behind(cx, contact, *counter, hash)?;
    }
    if again.asks && times::once_more(cx, contact.id, Way::AnsweredAlone(device))? {
        tell(cx, contact, device, false)?;
        send_anew(cx, contact)?;
    }
    Ok(())
}

/// Tells how far we have come with what this device says, and perhaps asks for the rest.
fn tell<R: CryptoRng>(cx: &Cx<'_, R>, contact: &Contact, device: DeviceId, asks: bool) -> Result<(), StoreError> {
    let heard = conversations::author(cx.db, contact.conversation, contact.id, device)?;
    let again = Content::Again(Again { group: None, device, asks, heard });
    unsealed::add(cx.db, Talk::Contact(contact.id), None, &again.encode())
}

/// Says what was not confirmed once more, as it was.
fn send_anew<R: CryptoRng>(cx: &Cx<'_, R>, contact: &Contact) -> Result<(), StoreError> {
    for one in repair::take_again(cx.db, contact.conversation, contact.id, AGAIN_MAX)? {
        unsealed::add(cx.db, Talk::Contact(contact.id), one.message, &one.content)?;
    }
    Ok(())
}

/// They have heard more of us than we know to have said, or something else: this database was set back. What we said
/// since gets numbers behind theirs; ids stay, so that nothing is shown twice.
fn go_on_behind<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    heard: u64,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    let id = contact.conversation;
    if !is_set_back(cx, id, heard, hash)? {
        return Ok(());
    }
    let (next, _) = conversations::out_position(cx.db, id)?;
    let (mut counter, mut previous) = (heard.max(next.saturating_sub(1)), *hash);
    for one in repair::take_all(cx.db, id)? {
        repair::forget_unsealed(cx.db, contact.id, &one.content)?;
        let Ok(Content::Said(mut said)) = Content::parse(&one.content) else { continue };
        if one.again >= AGAIN_MAX {
            continue;
        }
        counter = counter.saturating_add(1);
        (said.counter, said.previous) = (counter, Some(previous));
        if matches!(said.what, What::Text(_)) {
            repair::renumber(cx.db, id, said.message_id, counter)?;
        }
        let content = Content::Said(said).encode();
        previous = content::hash(&content);
        unsealed::add(cx.db, Talk::Contact(contact.id), one.message, &content)?;
        let message = one.message;
        repair::keep(cx.db, id, &Unconfirmed { counter, message, content, again: one.again + 1 })?;
    }
    conversations::set_out_position(cx.db, id, counter, &previous)
}

/// Whether they have heard something under a number that we have not said, as far as we still know what we said.
fn is_set_back<R: CryptoRng>(
    cx: &Cx<'_, R>,
    id: ConversationId,
    heard: u64,
    hash: &[u8; 32],
) -> Result<bool, StoreError> {
    let (next, last) = conversations::out_position(cx.db, id)?;
    Ok(match heard.cmp(&next.saturating_sub(1)) {
        std::cmp::Ordering::Greater => heard - next < SET_BACK_MAX,
        std::cmp::Ordering::Equal => last.is_some_and(|last| last != *hash),
        std::cmp::Ordering::Less => {
            repair::content(cx.db, id, heard)?.is_some_and(|content| content::hash(&content) != *hash)
        }
    })
}
