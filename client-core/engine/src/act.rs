//! What a person does with a message that is there: changes it, takes it back, reacts to it, pins it, passes it on,
//! deletes it here. What it does on all sides is `about`'s.

use hushwire_proto::limits::TEXT_BYTES_MAX;
use rand_core::CryptoRng;

use crate::about::{self, Told};
use crate::content::{EMOJI_BYTES_MAX, What};
use crate::engine::Cx;
use crate::input::{Answer, CommandError, NewText};
use crate::say::{self, Refusable};
use crate::store::messages::{Author, PINS_MAX, Place};
use crate::store::{self, StoreError, messages};
use crate::types::{ConversationId, Event, LocalId};

/// Another text for a message of ours.
pub(crate) fn edit<R: CryptoRng>(cx: &mut Cx<'_, R>, message: LocalId, text: &str) -> Result<Answer, StoreError> {
    let found = text.len();
    if !(1..=TEXT_BYTES_MAX).contains(&found) {
        return Ok(Answer::Refused(CommandError::TextLength { found, limit: TEXT_BYTES_MAX }));
    }
    match ours(cx, message)? {
        Ok(place) => {
            say(cx, message, &place, What::Edit { of: place.message_id, text: text.to_owned() }, |cx, told| {
                about::edit(cx, told, place.message_id, text)
            })
        }
        Err(why) => Ok(Answer::Refused(why)),
    }
}

/// A message of ours is as if it had not been said.
pub(crate) fn take_back<R: CryptoRng>(cx: &mut Cx<'_, R>, message: LocalId) -> Result<Answer, StoreError> {
    match ours(cx, message)? {
        Ok(place) => say(cx, message, &place, What::TakeBack { of: place.message_id }, |cx, told| {
            about::take_back(cx, told, place.message_id)
        }),
        Err(why) => Ok(Answer::Refused(why)),
    }
}

/// What we feel about a message.
pub(crate) fn react<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    message: LocalId,
    emoji: Option<&str>,
) -> Result<Answer, StoreError> {
    let fits = |emoji: &str| (1..=EMOJI_BYTES_MAX).contains(&emoji.len()) && !emoji.chars().any(char::is_control);
    if emoji.is_some_and(|emoji| !fits(emoji)) {
        return Ok(Answer::Refused(CommandError::BadReaction(EMOJI_BYTES_MAX)));
    }
    let place = match there(cx, message)? {
        Ok(place) => place,
        Err(why) => return Ok(Answer::Refused(why)),
    };
    let to = say::reference(cx, &place)?;
    let emoji = emoji.unwrap_or_default();
    say(cx, message, &place, What::React { to, emoji: emoji.to_owned() }, |cx, told| about::react(cx, told, &to, emoji))
}

/// Pins a message, or no longer. No more than a person looks through.
pub(crate) fn pin<R: CryptoRng>(cx: &mut Cx<'_, R>, message: LocalId, pinned: bool) -> Result<Answer, StoreError> {
    let place = match there(cx, message)? {
        Ok(place) => place,
        Err(why) => return Ok(Answer::Refused(why)),
    };
    let there = messages::pinned(cx.db, place.conversation)?;
    if pinned && there.len() >= PINS_MAX && there.iter().all(|other| other.id != message) {
        return Ok(Answer::Refused(CommandError::TooManyPins(PINS_MAX)));
    }
    let what = say::reference(cx, &place)?;
    say(cx, message, &place, What::Pin { what, pinned }, |cx, told| about::pin(cx, told, &what, pinned))
}

/// Says what a message says somewhere else, or there again.
pub(crate) fn forward<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    message: LocalId,
    to: ConversationId,
) -> Result<Answer, StoreError> {
    match messages::get(cx.db, message)? {
        None => Ok(Answer::Refused(CommandError::NoSuchMessage)),
        Some(message) if message.deleted => Ok(Answer::Refused(CommandError::TakenBack)),
        Some(message) => say::text(cx, to, &NewText { forwarded: true, ..message.text.into() }),
    }
}

/// A message is gone, here only.
pub(crate) fn delete_here<R: CryptoRng>(cx: &mut Cx<'_, R>, message: LocalId) -> Result<Answer, StoreError> {
    match messages::place(cx.db, message)? {
        None => Ok(Answer::Refused(CommandError::NoSuchMessage)),
        Some(place) => {
            remove(cx, message, &place)?;
            Ok(Answer::Done)
        }
    }
}

/// A message goes, with all that is here of it.
pub(crate) fn remove<R: CryptoRng>(cx: &mut Cx<'_, R>, message: LocalId, place: &Place) -> Result<(), StoreError> {
    store::about::remove(cx.db, message, place, cx.now)?;
    cx.flight.clean = false;
    cx.event(Event::Disappeared { conversation: place.conversation, message });
    Ok(())
}

/// Says something about a message, which happens here at once.
fn say<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    message: LocalId,
    place: &Place,
    what: What,
    happens: impl FnOnce(&mut Cx<'_, R>, &Told) -> Result<(), StoreError>,
) -> Result<Answer, StoreError> {
    let conversation = match say::may_speak(cx, place.conversation)? {
        Ok(conversation) => conversation,
        Err(why) => return Ok(Answer::Refused(why)),
    };
    let said = say::next(cx, conversation.id, what)?;
    happens(cx, &Told::by_us(conversation.id, &said))?;
    say::queue(cx, &conversation, said, Some(message))?;
    Ok(Answer::Done)
}

/// A message that has not been taken back.
fn there<R: CryptoRng>(cx: &Cx<'_, R>, message: LocalId) -> Refusable<Place> {
    match messages::place(cx.db, message)? {
        None => Ok(Err(CommandError::NoSuchMessage)),
        Some(_) if messages::is_deleted(cx.db, message)? => Ok(Err(CommandError::TakenBack)),
        Some(place) => Ok(Ok(place)),
    }
}

/// One of ours, on top of that.
fn ours<R: CryptoRng>(cx: &Cx<'_, R>, message: LocalId) -> Refusable<Place> {
    Ok(there(cx, message)?.and_then(|place| match place.author {
        Author::Us => Ok(place),
        Author::Contact(_) => Err(CommandError::NotYours),
    }))
}
