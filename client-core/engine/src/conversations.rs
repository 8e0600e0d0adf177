//! What a person does with a conversation: reads it, puts it away, silences it, lets what is said in it disappear,
//! deletes it here.

use hushwire_proto::limits::TEXT_BYTES_MAX;
use rand_core::CryptoRng;

use crate::about::{self, Told};
use crate::contacts::gets_receipts;
use crate::content::{TIMER_S_MAX, What};
use crate::engine::Cx;
use crate::group::Op;
use crate::input::{Answer, CommandError};
use crate::store::{self, StoreError, conversations, groups as store_groups, messages, receipts};
use crate::types::{Conversation, ConversationId, Event, GroupStanding, LocalId, Talk};
use crate::{groups, receipts as due_receipts, say};

/// A person has seen everything up to this message.
pub(crate) fn mark_read<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ConversationId,
    through: LocalId,
) -> Result<Answer, StoreError> {
    with(cx, id, |cx, conversation| {
        for (author, device, counter) in messages::mark_read(cx.db, id, through, cx.now)? {
            if conversation.receipts && gets_receipts(cx, conversation.with, author)? {
                let due = due_receipts::hold_back(cx, conversation.with)?;
                receipts::add(cx.db, author, id, receipts::Kind::Read, (device, counter), due)?;
            }
        }
        Ok(())
    })
}

/// Nothing of what was said stays here.
pub(crate) fn delete<R: CryptoRng>(cx: &mut Cx<'_, R>, id: ConversationId) -> Result<Answer, StoreError> {
    with(cx, id, |cx, conversation| {
        let stays = match conversation.with {
            Talk::Contact(_) => false,
            Talk::Group(group) => store_groups::standing(cx.db, group)? == GroupStanding::Member,
        };
        store::clear::conversation(cx.db, id, stays, cx.now)?;
        cx.flight.clean = false;
        cx.event(Event::ConversationDeleted(id));
        Ok(())
    })
}

/// What is said from now on disappears after so many seconds.
pub(crate) fn set_timer<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ConversationId,
    seconds: Option<u32>,
) -> Result<Answer, StoreError> {
    if seconds.is_some_and(|seconds| !(1..=TIMER_S_MAX).contains(&seconds)) {
        return Ok(Answer::Refused(CommandError::BadTimer(TIMER_S_MAX)));
    }
    let conversation = match say::may_speak(cx, id)? {
        Ok(conversation) => conversation,
        Err(why) => return Ok(Answer::Refused(why)),
    };
    if let Talk::Group(_) = conversation.with {
        return groups::change(cx, id, vec![Op::Timer(seconds)]);
    }
    let said = say::next(cx, id, What::Timer { seconds })?;
    about::timer(cx, &Told::by_us(id, &said), seconds)?;
    say::queue(cx, &conversation, said, None)?;
    Ok(Answer::Done)
}

/// What was begun and not sent. What was dropped leaves no trace.
pub(crate) fn set_draft<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ConversationId,
    draft: Option<&str>,
) -> Result<Answer, StoreError> {
    let draft = draft.filter(|draft| !draft.is_empty());
    if let Some(found) = draft.map(str::len).filter(|found| *found > TEXT_BYTES_MAX) {
        return Ok(Answer::Refused(CommandError::TextLength { found, limit: TEXT_BYTES_MAX }));
    }
    with(cx, id, |cx, conversation| {
        if draft.is_none() && conversation.draft.is_some() {
            cx.flight.clean = false;
        }
        conversations::set_draft(cx.db, conversation.id, draft)
    })
}

/// Whether the others are told what was read. What was not told yet, is not.
pub(crate) fn set_receipts<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ConversationId,
    told: bool,
) -> Result<Answer, StoreError> {
    with(cx, id, |cx, conversation| {
        conversations::set_receipts(cx.db, conversation.id, told)?;
        if told { Ok(()) } else { receipts::forget_read(cx.db, conversation.id) }
    })
}

/// Does something with a conversation, if there is one.
pub(crate) fn with<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ConversationId,
    act: impl FnOnce(&mut Cx<'_, R>, &Conversation) -> Result<(), StoreError>,
) -> Result<Answer, StoreError> {
    match conversations::get(cx.db, id)? {
        None => Ok(Answer::Refused(CommandError::NoSuchConversation)),
        Some(conversation) => {
            act(cx, &conversation)?;
            Ok(Answer::Done)
        }
    }
}
