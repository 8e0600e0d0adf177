//! What need not arrive: who types, and who is there. Each by itself, past the ratchet, the outbox and the history: what is
//! lost leaves nothing behind, and nothing of it is written down but keys and what a person shares.
//!
//! Owns which conversations a person looks at, what was heard and said of late, and what is over without anybody saying so.
//!
//! | I want to know | look at |
//! |---|---|
//! | what two whisper to each other | `pair` |
//! | what one whispers to a group | `group` |
//! | the bytes of both | `said` |
//!
//! Spec: envelope §7.

mod group;
mod pair;
mod said;

use std::collections::BTreeMap;

use hushwire_crypto::whisper::WhisperMark;
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DeviceId, UnixMillis};
use rand_core::CryptoRng;

use crate::engine::{Cx, Engine};
use crate::group::GroupState;
use crate::input::{Answer, CommandError};
use crate::store::{StoreError, contacts, conversations, whispers};
use crate::types::{ContactId, ConversationId, Event, Seen, Shares, Talk};

#[cfg(feature = "fuzz")]
pub use self::said::reread;
pub(crate) use pair::{block, key_for, share_presence};

/// How much older or newer than our clock a whisper may be, in milliseconds: its way, and clocks that are a little off.
const FRESH_MS: u64 = 60_000;

/// It is said again that somebody types after so long, in milliseconds.
const SAME_AGAIN_MS: u64 = 5_000;

/// Who types is taken to have stopped after so long, in milliseconds: three whispers may be lost.
const TYPING_MS: u64 = 15_000;

/// Who did something so long ago is there now, in milliseconds.
const NOW_MS: u64 = 2 * 60_000;

/// While a person looks at a conversation, the other is asked again after so long, in milliseconds: sooner than the client ends
/// a connection over which nothing goes, so that it stands meanwhile.
const ASK_AGAIN_MS: u64 = 45_000;

/// And sooner, but not before so long, in milliseconds, once there is reason to think that they hear it now. Nobody is answered
/// more often than that.
const ASK_ANEW_MS: u64 = 1_000;

/// Who was there is taken to be so no longer when nothing was heard for so long, in milliseconds: one answer may be lost.
const THERE_MS: u64 = 2 * ASK_AGAIN_MS + 15_000;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Conversations that a person looks at: windows on a screen. The first one gives way.
const LOOKED_AT_MAX: usize = 8;

/// Things of which it is known when a device whispered them last, if that was within [`FRESH_MS`]. More are not heard.
const HEARD_MAX: usize = 1024;

/// People of one group who are shown typing at once. Nobody reads more names.
const TYPING_AT_ONCE_MAX: usize = 8;

/// What is known of whispers while the program runs.
#[derive(Default)]
pub(crate) struct Whispers {
    /// Of the keys that we gave; `None`: to be read from the database.
    marks: Option<Vec<(ContactId, WhisperMark)>>,
    /// The time in the last one of each device about each thing: none before it is heard any more. About another it is: a relay
    /// hands whispers over in no order.
    heard: BTreeMap<(ContactId, DeviceId, ConversationId, Kind), UnixMillis>,
    /// The time in the last of ours.
    last: UnixMillis,
    /// When each was last said where, and whether it has been unsaid since.
    said: BTreeMap<(ConversationId, Kind), Last>,
    /// Who types where, and until when that holds.
    typing: BTreeMap<(ConversationId, ContactId), UnixMillis>,
    /// When a person last did something here.
    acted: Option<UnixMillis>,
    /// What a person looks at, the last one last.
    looked_at: Vec<ConversationId>,
    /// Who is there, of those who are looked at, and until when that holds.
    there: BTreeMap<ContactId, UnixMillis>,
}

/// What is not said twice in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Typing,
    AreYouThere,
    Here,
}

#[derive(Clone, Copy)]
struct Last {
    at: UnixMillis,
    unsaid: bool,
}

impl Whispers {
    /// Somebody has a new key, or none any more.
    pub(crate) fn keys_changed(&mut self) {
        self.marks = None;
    }

    /// A person did something.
    pub(crate) fn acted(&mut self, now: UnixMillis) {
        self.acted = Some(now);
    }

    fn seen(&self, now: UnixMillis) -> Seen {
        match self.acted.map(|acted| now.since(acted)) {
            Some(0..NOW_MS) => Seen::Now,
            Some(NOW_MS..DAY_MS) => Seen::Today,
            Some(ago) if ago < 7 * DAY_MS => Seen::ThisWeek,
            Some(_) | None => Seen::Hidden,
        }
    }

    fn is_looked_at(&self, conversation: ConversationId) -> bool {
        self.looked_at.contains(&conversation)
    }

    /// The time of a whisper that leaves now: later than in each before.
    fn next_time(&mut self, now: UnixMillis) -> UnixMillis {
        self.last = now.max(self.last.plus(1));
        self.last
    }

    /// Whether this may be said again; if so, it is taken to be said.
    fn says(&mut self, conversation: ConversationId, kind: Kind, now: UnixMillis, again: u64) -> bool {
        let last = self.said.get(&(conversation, kind));
        if last.is_some_and(|last| last.at <= now && now.since(last.at) < again) {
            return false;
        }
        self.said.insert((conversation, kind), Last { at: now, unsaid: false });
        true
    }

    /// The question whether they are there is due again: either side has just come, and the last one may have met nobody.
    fn ask_anew(&mut self, conversation: ConversationId, now: UnixMillis) {
        if let Some(asked) = self.said.get_mut(&(conversation, Kind::AreYouThere)) {
            let due = if now.since(asked.at) >= ASK_ANEW_MS { now } else { now.plus(ASK_ANEW_MS) };
            asked.at = UnixMillis(due.0.saturating_sub(ASK_AGAIN_MS));
        }
    }

    /// Our mailbox is heard again: who was asked meanwhile answered nobody.
    pub(crate) fn online(&mut self, now: UnixMillis) {
        for conversation in self.looked_at.clone() {
            self.ask_anew(conversation, now);
        }
    }

    /// Whether it was said that we type, and not that we stopped. Who was not told the one need not be told the other.
    fn unsays(&mut self, conversation: ConversationId) -> bool {
        match self.said.get_mut(&(conversation, Kind::Typing)) {
            Some(last) => !std::mem::replace(&mut last.unsaid, true),
            None => false,
        }
    }

    /// Whether a whisper of this time from there about that is one to be heard: fresh, and after the one before. If so, it is
    /// the last.
    fn hears(
        &mut self,
        (contact, device): (ContactId, DeviceId),
        (conversation, kind): (ConversationId, Kind),
        at: UnixMillis,
        now: UnixMillis,
    ) -> bool {
        let from = (contact, device, conversation, kind);
        let is_fresh = |at: UnixMillis| now.since(at).max(at.since(now)) <= FRESH_MS;
        if !is_fresh(at) || self.heard.get(&from).is_some_and(|last| at <= *last) {
            return false;
        }
        if self.heard.len() >= HEARD_MAX {
            self.heard.retain(|_, last| is_fresh(*last));
        }
        let has_room = self.heard.len() < HEARD_MAX || self.heard.contains_key(&from);
        if has_room {
            self.heard.insert(from, at);
        }
        has_room
    }
}

/// A person looks at a conversation, or no longer.
pub(crate) fn look_at<R: CryptoRng>(cx: &mut Cx<'_, R>, id: ConversationId, on: bool) -> Result<Answer, StoreError> {
    let Some(with) = conversations::talk(cx.db, id)? else {
        return Ok(Answer::Refused(CommandError::NoSuchConversation));
    };
    let whispers = &mut cx.flight.whispers;
    whispers.looked_at.retain(|other| *other != id);
    if on {
        if whispers.looked_at.len() >= LOOKED_AT_MAX {
            whispers.looked_at.remove(0);
        }
        whispers.looked_at.push(id);
        // Whoever looks again is told at once.
        whispers.ask_anew(id, cx.now);
        return Ok(Answer::Done);
    }
    if let Talk::Contact(contact) = with {
        whispers.there.remove(&contact);
    }
    typing(cx, id, false)
}

/// A person types there, or has stopped.
pub(crate) fn typing<R: CryptoRng>(cx: &mut Cx<'_, R>, id: ConversationId, on: bool) -> Result<Answer, StoreError> {
    let Some(with) = conversations::talk(cx.db, id)? else {
        return Ok(Answer::Refused(CommandError::NoSuchConversation));
    };
    let shares = match with {
        Talk::Contact(contact) => whispers::shares(cx.db, contact)?.typing,
        Talk::Group(group) => whispers::group_typing(cx.db, group)?,
    };
    let (now, whispers) = (cx.now, &mut cx.flight.whispers);
    let says = match on {
        true => shares && whispers.is_looked_at(id) && whispers.says(id, Kind::Typing, now, SAME_AGAIN_MS),
        false => shares && whispers.unsays(id),
    };
    match with {
        Talk::Contact(contact) if says => pair::typing(cx, contact, on)?,
        Talk::Group(group) if says => group::typing(cx, group, on)?,
        Talk::Contact(_) | Talk::Group(_) => {}
    }
    Ok(Answer::Done)
}

/// Whether the others there are told when we type, and we are shown when they do.
pub(crate) fn share_typing<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ConversationId,
    on: bool,
) -> Result<Answer, StoreError> {
    if !on {
        typing(cx, id, false)?;
    }
    match conversations::talk(cx.db, id)? {
        None => return Ok(Answer::Refused(CommandError::NoSuchConversation)),
        Some(Talk::Contact(contact)) => {
            let shares = whispers::shares(cx.db, contact)?;
            whispers::set_shares(cx.db, contact, Shares { typing: on, ..shares })?;
        }
        Some(Talk::Group(group)) => whispers::set_group_typing(cx.db, group, on)?,
    }
    Ok(Answer::Done)
}

/// Something was whispered. What is nobody's who may, too old or repeated is dropped without a word.
pub(crate) fn heard<R: CryptoRng>(cx: &mut Cx<'_, R>, envelope: &Envelope) -> Result<(), StoreError> {
    match said::is_to_a_group(envelope) {
        true => group::heard(cx, envelope),
        false => pair::heard(cx, envelope),
    }
}

/// Somebody types there, or has stopped.
fn types<R: CryptoRng>(cx: &mut Cx<'_, R>, conversation: ConversationId, contact: ContactId, on: bool) {
    let (key, until) = ((conversation, contact), cx.now.plus(TYPING_MS));
    let typing = &mut cx.flight.whispers.typing;
    let others = typing.keys().filter(|(there, who)| *there == conversation && *who != contact).count();
    match on {
        true if others >= TYPING_AT_ONCE_MAX => return,
        true => typing.insert(key, until),
        false => typing.remove(&key),
    };
    cx.event(Event::Typing { conversation, contact, on });
}

/// A group has changed: who is in it no longer does not type there.
pub(crate) fn group_changed<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    conversation: ConversationId,
    state: &GroupState,
) -> Result<(), StoreError> {
    let is_in = state.members.contains_key(&cx.keys.account);
    let typing = cx.flight.whispers.typing.keys().filter(|(there, _)| *there == conversation);
    for (_, contact) in typing.copied().collect::<Vec<_>>() {
        let account = contacts::account(cx.db, contact)?;
        if !is_in || !account.is_some_and(|account| state.members.contains_key(&account)) {
            types(cx, conversation, contact, false);
        }
    }
    Ok(())
}

/// Tells what is over without anybody saying so, and asks again who is looked at. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let now = cx.now;
    let over = cx.flight.whispers.typing.iter().filter(|(_, until)| **until <= now).map(|(key, _)| *key);
    for (conversation, contact) in over.collect::<Vec<_>>() {
        types(cx, conversation, contact, false);
    }
    let gone = cx.flight.whispers.there.iter().filter(|(_, until)| **until <= now).map(|(contact, _)| *contact);
    for contact in gone.collect::<Vec<_>>() {
        cx.flight.whispers.there.remove(&contact);
        cx.event(Event::Presence { contact, seen: Seen::Today });
    }
    let mut wake = None;
    for id in cx.flight.whispers.looked_at.clone() {
        let next = match conversations::talk(cx.db, id)? {
            Some(Talk::Contact(contact)) => pair::ask(cx, id, contact)?,
            Some(Talk::Group(_)) | None => None,
        };
        wake = wake.into_iter().chain(next).min();
    }
    let whispers = &cx.flight.whispers;
    Ok(whispers.typing.values().chain(whispers.there.values()).copied().chain(wake).min())
}

impl Engine {
    /// What the others of a conversation are told of us, and we of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn shares(&self, id: ConversationId) -> Result<Shares, StoreError> {
        let db = self.store.read();
        match conversations::talk(db, id)? {
            Some(Talk::Contact(contact)) => whispers::shares(db, contact),
            Some(Talk::Group(group)) => Ok(Shares { presence: false, typing: whispers::group_typing(db, group)? }),
            None => Ok(Shares { presence: false, typing: false }),
        }
    }
}
