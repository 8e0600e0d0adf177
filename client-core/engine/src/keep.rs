//! What an authentic content that is accepted from its sender does here: history, states, receipts, tokens.

use hushwire_proto::address::Handle;
use hushwire_proto::ids::DeviceId;
use rand_core::CryptoRng;

use crate::about::{self, Told};
use crate::contacts::{free_name, gets_receipts, unnamed};
use crate::content::{Introduction, Receipt, Said, Text, What};
use crate::engine::Cx;
use crate::store::messages::{Author, Place};
use crate::store::{StoreError, contacts, conversations, damaged, heard, messages, receipts, whispers};
use crate::types::{Contact, ContactId, ConversationId, Event, Standing, State, Talk};
use crate::{gaps, receipts as due_receipts, say, store};

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
        // In a group people go by what they call themselves, marked as that.
        if contact.standing == Standing::Known && contact.name == unnamed(contact.account) {
            let name = free_name(cx, &format!("~{}", handle.name()))?;
            contacts::rename(cx.db, contact.id, &name)?;
        }
    }
    Ok(())
}

/// Something that was said: its place in the conversation, what is missing before it, a receipt if its author may have
/// one. `false` if its author said something else under this number or id: the first stays. Of a stranger, and of a device
/// that nobody has agreed to, texts are kept; what they would change is not. They are told nothing, and so say it anew once a
/// person agrees.
pub(crate) fn said<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ConversationId,
    from: (ContactId, DeviceId),
    said: Said,
    content: &[u8],
) -> Result<bool, StoreError> {
    let with = conversations::talk(cx.db, id)?.ok_or_else(|| damaged("conversations"))?;
    let (contact, device) = from;
    let late = gaps::note(cx, id, from, &said, content)?;
    let counter = said.counter;
    let is_new = store::identity::is_new(cx.db, contact, device)?;
    let is_text = matches!(said.what, What::Text(_));
    let is_stranger = matches!(with, Talk::Contact(_)) && !is_accepted(cx, contact)?;
    if is_new {
        store::identity::note_kept_back(cx.db, contact, device)?;
    }
    if is_stranger && !is_text {
        contacts::set_kept_back(cx.db, contact, true)?;
    }
    if (is_new || is_stranger) && !is_text {
        return Ok(true);
    }
    let lamport = conversations::note_lamport(cx.db, id, said.lamport)?;
    let told = Told {
        conversation: id,
        author: Author::Contact(contact),
        lamport,
        said_id: said.message_id,
        sent_at: said.sent_at,
    };
    match said.what {
        What::Text(text) => {
            let at = Place { conversation: id, author: told.author, message_id: said.message_id };
            if !keep_text(cx, &at, &told, (device, counter, late), &text)? {
                return Ok(false);
            }
        }
        What::Edit { of, text } => about::edit(cx, &told, of, &text)?,
        What::TakeBack { of } => about::take_back(cx, &told, of)?,
        What::React { to, emoji } => about::react(cx, &told, &to, &emoji)?,
        What::Pin { what, pinned } => about::pin(cx, &told, &what, pinned)?,
        What::Timer { seconds } => about::timer(cx, &told, seconds)?,
    }
    if !is_new && gets_receipts(cx, with, contact)? {
        let due = due_receipts::hold_back(cx, with)?;
        receipts::add(cx.db, contact, id, receipts::Kind::Delivered, (device, counter), due)?;
    }
    Ok(true)
}

fn is_accepted<R: CryptoRng>(cx: &Cx<'_, R>, contact: ContactId) -> Result<bool, StoreError> {
    Ok(contacts::standing(cx.db, contact)? == Some(Standing::Accepted))
}

/// A message, with what was said about it before; `false` if its author used its number for another. What is here
/// already, or was, was only said anew.
fn keep_text<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    at: &Place,
    told: &Told,
    (device, counter, late): (DeviceId, u64, bool),
    text: &Text,
) -> Result<bool, StoreError> {
    if messages::at(cx.db, at)?.is_some() || store::about::is_gone(cx.db, at)? {
        return Ok(true);
    }
    let reply_to = match &text.reply_to {
        Some(reply) => say::author_of(cx, reply.author)?.map(|author| (author, reply.message_id)),
        None => None,
    };
    let row = messages::NewRow {
        at: *at,
        device,
        counter,
        lamport: told.lamport,
        sent_at: told.sent_at,
        text: &text.text,
        state: State::Delivered,
        reply_to,
        mentions: &text.mentions,
        forwarded: text.forwarded,
        timer_s: text.timer_s,
        late,
    };
    let Some(row) = messages::insert(cx.db, &row, cx.now)? else { return Ok(false) };
    about::came(cx, at, row)?;
    conversations::note_activity(cx.db, at.conversation, cx.now)?;
    if text.mentions.contains(&cx.keys.account) {
        conversations::note_mention(cx.db, at.conversation)?;
    }
    let message = messages::get(cx.db, row)?.ok_or_else(|| damaged("messages"))?;
    cx.event(Event::Received(message));
    Ok(true)
}

/// A receipt: how far what this device said has come with this contact.
pub(crate) fn receipt<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    device: DeviceId,
    receipt: &Receipt,
) -> Result<(), StoreError> {
    if receipt.author != cx.keys.device {
        return Ok(());
    }
    let conversation = contact.conversation;
    let mut moved = Vec::new();
    let ours = |counter| heard::Ours { conversation, device: receipt.author, counter };
    for counter in &receipt.delivered {
        heard::note(cx.db, &ours(*counter), (contact.id, device))?;
        contacts::note_delivered(cx.db, contact.id, *counter)?;
        store::repair::confirmed(cx.db, conversation, *counter)?;
        let id = messages::advance_ours(cx.db, conversation, receipt.author, *counter, State::Delivered)?;
        moved.extend(id.map(|id| (id, State::Delivered)));
    }
    heard::note_read_through(cx.db, &ours(receipt.read_through), (contact.id, device))?;
    let read = messages::read_ours_through(cx.db, conversation, receipt.author, receipt.read_through)?;
    moved.extend(read.into_iter().map(|id| (id, State::Read)));
    for (id, state) in moved {
        cx.event(Event::StateChanged { id, conversation, state });
    }
    Ok(())
}
