//! What an authentic content that is accepted from its sender does here: history, states, receipts, tokens.

use hushwire_proto::address::Handle;
use hushwire_proto::ids::DeviceId;
use rand_core::CryptoRng;

use crate::content::{self, Introduction, Receipt, Text};
use crate::engine::Cx;
use crate::receipts as due_receipts;
use crate::store::{StoreError, contacts, damaged, messages, receipts, sessions, whispers};
use crate::types::{Contact, ContactId, Event, Standing, State};

/// How they want to be written to, and what they call themselves.
pub(crate) fn introduction<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    device: DeviceId,
    introduction: &Introduction,
) -> Result<(), StoreError> {
    if let Some(token) = &introduction.token {
        contacts::set_their_token(cx.db, contact.id, device, token)?;
    }
    if let Some(key) = &introduction.whisper_key {
        whispers::set_theirs(cx.db, contact.id, device, key)?;
    }
    // What is no handle is not shown as one.
    if contact.claimed_handle.is_none()
        && let Some(Ok(handle)) = introduction.handle.as_deref().map(Handle::parse)
    {
        contacts::set_claimed_handle(cx.db, contact.id, &handle.to_string())?;
    }
    Ok(())
}

/// A text: its place in the conversation, what is missing before it, a receipt if they may have one. `false` if its
/// author wrote another one under this number or id: the first stays.
pub(crate) fn text<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    device: DeviceId,
    text: Text,
    content: &[u8],
) -> Result<bool, StoreError> {
    missing(cx, contact.id, device, &text, content)?;
    let lamport = contacts::note_lamport(cx.db, contact.id, text.lamport)?;
    let row = messages::NewRow {
        contact: contact.id,
        outgoing: false,
        device,
        counter: text.counter,
        message_id: text.message_id,
        lamport,
        sent_at: text.sent_at,
        text: &text.text,
        state: State::Delivered,
    };
    let Some(id) = messages::insert(cx.db, &row, cx.now)? else { return Ok(false) };
    if contact.standing == Standing::Accepted {
        let due = due_receipts::hold_back(cx.now, cx.rng);
        receipts::add(cx.db, contact.id, receipts::Kind::Delivered, device, text.counter, due)?;
    }
    let message = messages::get(cx.db, id)?.ok_or_else(|| damaged("messages"))?;
    cx.event(Event::Received(message));
    Ok(true)
}

/// Notes how far this author has come, and tells of texts that are missing before this one.
fn missing<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: ContactId,
    device: DeviceId,
    text: &Text,
    content: &[u8],
) -> Result<(), StoreError> {
    let (last, hash) = match sessions::author(cx.db, contact, device)? {
        Some((last, hash)) => (last, Some(hash)),
        None => (0, None),
    };
    if text.counter <= last {
        // One that was missed comes late; what was told stays told.
        return Ok(());
    }
    let skipped = text.counter - last - 1;
    if skipped > 0 || text.previous != hash {
        cx.event(Event::Gap { contact, missing: skipped });
    }
    sessions::set_author(cx.db, contact, device, text.counter, &content::hash(content))
}

/// A receipt: how far texts of this device have come with this contact.
pub(crate) fn receipt<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    receipt: &Receipt,
) -> Result<(), StoreError> {
    if receipt.author != cx.keys.device {
        return Ok(());
    }
    let mut moved = Vec::new();
    for counter in &receipt.delivered {
        contacts::note_delivered(cx.db, contact.id, *counter)?;
        let id = messages::advance_ours(cx.db, contact.id, receipt.author, *counter, State::Delivered)?;
        moved.extend(id.map(|id| (id, State::Delivered)));
    }
    let read = messages::read_ours_through(cx.db, contact.id, receipt.author, receipt.read_through)?;
    moved.extend(read.into_iter().map(|id| (id, State::Read)));
    for (id, state) in moved {
        cx.event(Event::StateChanged { id, contact: contact.id, state });
    }
    Ok(())
}
