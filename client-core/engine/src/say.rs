//! What a person says, from the moment it is kept until it waits to be sealed: its place in the conversation, its row
//! in the history.

use hushwire_proto::ids::{AccountId, MessageId};
use hushwire_proto::limits::TEXT_BYTES_MAX;
use rand_core::CryptoRng;

use crate::contacts as people;
use crate::content::{self, Content, MENTIONS_MAX, Reference, Said, Text, What};
use crate::engine::Cx;
use crate::input::{Answer, CommandError, NewText};
use crate::store::messages::{Author, NewRow, Place};
use crate::store::repair::{self, Unconfirmed};
use crate::store::{StoreError, contacts, conversations, damaged, groups as store_groups, messages, unsealed};
use crate::types::{Conversation, ConversationId, GroupStanding, LocalId, Standing, State, Talk};
use crate::{groups, lookup};

/// Something is done, or a person hears why not.
pub(crate) type Refusable<T> = Result<Result<T, CommandError>, StoreError>;

/// Keeps a message that a person wrote. What they began there is that.
pub(crate) fn sent<R: CryptoRng>(cx: &mut Cx<'_, R>, to: ConversationId, new: &NewText) -> Result<Answer, StoreError> {
    let answer = text(cx, to, new)?;
    if let Answer::Queued(_) = &answer {
        conversations::set_draft(cx.db, to, None)?;
    }
    Ok(answer)
}

/// Keeps a text of ours.
pub(crate) fn text<R: CryptoRng>(cx: &mut Cx<'_, R>, to: ConversationId, new: &NewText) -> Result<Answer, StoreError> {
    let found = new.text.len();
    if !(1..=TEXT_BYTES_MAX).contains(&found) {
        return Ok(Answer::Refused(CommandError::TextLength { found, limit: TEXT_BYTES_MAX }));
    }
    if new.mentions.len() > MENTIONS_MAX {
        return Ok(Answer::Refused(CommandError::TooManyMentions(MENTIONS_MAX)));
    }
    let conversation = match may_speak(cx, to)? {
        Ok(conversation) => conversation,
        Err(why) => return Ok(Answer::Refused(why)),
    };
    let reply_to = match new.reply_to.map(|id| messages::place(cx.db, id)).transpose()?.flatten() {
        Some(place) if place.conversation == to => Some(place),
        None if new.reply_to.is_none() => None,
        Some(_) | None => return Ok(Answer::Refused(CommandError::NoSuchMessage)),
    };
    let mut mentions = Vec::with_capacity(new.mentions.len());
    for contact in &new.mentions {
        match contacts::get(cx.db, *contact)? {
            Some(contact) => mentions.push(contact.account),
            None => return Ok(Answer::Refused(CommandError::NoSuchContact)),
        }
    }
    let text = Text {
        text: new.text.clone(),
        reply_to: reply_to.as_ref().map(|place| reference(cx, place)).transpose()?,
        mentions,
        forwarded: new.forwarded,
        timer_s: conversation.timer_s,
    };
    let said = next(cx, to, What::Text(text.clone()))?;
    let row = NewRow {
        at: Place { conversation: to, author: Author::Us, message_id: said.message_id },
        device: cx.keys.device,
        counter: said.counter,
        lamport: said.lamport,
        sent_at: cx.now,
        text: &text.text,
        state: State::Queued,
        reply_to: reply_to.map(|place| (place.author, place.message_id)),
        mentions: &text.mentions,
        forwarded: text.forwarded,
        timer_s: text.timer_s,
        late: false,
    };
    let id = messages::insert(cx.db, &row, cx.now)?.ok_or_else(|| damaged("out_counter"))?;
    queue(cx, &conversation, said, Some(id))?;
    let kept = messages::get(cx.db, id)?.ok_or_else(|| damaged("messages"))?;
    Ok(Answer::Queued(kept))
}

/// Whether a person may say something there. A stranger who is answered is a contact from then on.
pub(crate) fn may_speak<R: CryptoRng>(cx: &mut Cx<'_, R>, to: ConversationId) -> Refusable<Conversation> {
    let Some(conversation) = conversations::get(cx.db, to)? else { return Ok(Err(CommandError::NoSuchConversation)) };
    if !cx.keys.is_listed() {
        return Ok(Err(CommandError::NotADevice));
    }
    match conversation.with {
        Talk::Contact(id) => {
            let contact = contacts::get(cx.db, id)?.ok_or_else(|| damaged("conversations"))?;
            lookup::keep_fresh(cx, &contact)?;
            match contact.standing {
                Standing::Blocked => return Ok(Err(CommandError::Blocked)),
                Standing::Request => people::accept(cx, id)?,
                Standing::Known => people::accept(cx, id)?,
                Standing::Accepted => {}
            }
        }
        Talk::Group(group) => {
            if store_groups::standing(cx.db, group)? != GroupStanding::Member {
                return Ok(Err(CommandError::NotInGroup));
            }
            let us = cx.keys.account;
            if !groups::log_of(cx, group)?.state().may_write(&us) {
                return Ok(Err(CommandError::MayOnlyRead));
            }
        }
    }
    Ok(Ok(conversation))
}

/// What is said next in a conversation, with its place there.
pub(crate) fn next<R: CryptoRng>(cx: &mut Cx<'_, R>, to: ConversationId, what: What) -> Result<Said, StoreError> {
    let (counter, previous) = conversations::out_position(cx.db, to)?;
    let lamport = conversations::next_lamport(cx.db, to)?;
    let mut message_id = MessageId([0; 16]);
    cx.rng.fill_bytes(&mut message_id.0);
    Ok(Said { message_id, counter, previous, lamport, sent_at: cx.now, what })
}

/// Puts what is said behind all that was said there before. `message` is the row that it is about: its own, or that of
/// the message that it changes; if that goes, this is not sent.
pub(crate) fn queue<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    to: &Conversation,
    said: Said,
    message: Option<LocalId>,
) -> Result<(), StoreError> {
    let counter = said.counter;
    let content = Content::Said(said).encode();
    conversations::set_out_position(cx.db, to.id, counter, &content::hash(&content))?;
    conversations::note_activity(cx.db, to.id, cx.now)?;
    unsealed::add(cx.db, to.with, message, &content)?;
    repair::keep(cx.db, to.id, &Unconfirmed { counter, message, content, again: 0 })
}

/// How both sides name a message.
pub(crate) fn reference<R: CryptoRng>(cx: &Cx<'_, R>, place: &Place) -> Result<Reference, StoreError> {
    Ok(Reference { author: account_of(cx, place.author)?, message_id: place.message_id })
}

/// Whose row that is.
pub(crate) fn author_of<R: CryptoRng>(cx: &Cx<'_, R>, account: AccountId) -> Result<Option<Author>, StoreError> {
    if account == cx.keys.account {
        return Ok(Some(Author::Us));
    }
    Ok(contacts::by_account(cx.db, account)?.map(|contact| Author::Contact(contact.id)))
}

fn account_of<R: CryptoRng>(cx: &Cx<'_, R>, author: Author) -> Result<AccountId, StoreError> {
    match author {
        Author::Us => Ok(cx.keys.account),
        Author::Contact(id) => {
            contacts::get(cx.db, id)?.map(|contact| contact.account).ok_or_else(|| damaged("author"))
        }
    }
}
