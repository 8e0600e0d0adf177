//! What need not arrive: who types, and who is there. Each by itself, past the ratchet, the outbox and the history: what is
//! lost leaves nothing behind, and nothing of it is written down but keys and what a person shares.
//!
//! Only between contacts who have accepted each other, and only what both share. Strangers have no key.
//!
//! Spec: envelope §7.

mod said;

use std::collections::BTreeMap;

use hushwire_crypto::whisper::{WhisperKey, WhisperMark};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DeviceId, UnixMillis};
use hushwire_proto::relay::Whisper;
use rand_core::CryptoRng;

#[cfg(feature = "fuzz")]
pub use self::said::reread;
use self::said::{Said, Way, What};
use crate::engine::Cx;
use crate::input::Call;
use crate::outbox::relay_address;
use crate::store::{StoreError, contacts, whispers};
use crate::types::{Contact, ContactId, Event, Seen, Standing};

/// How much older or newer than our clock a whisper may be, in milliseconds: its way, and clocks that are a little off.
const FRESH_MS: u64 = 60_000;

/// The same is said to a contact again after so long, in milliseconds.
const SAME_AGAIN_MS: u64 = 5_000;

/// Who types is taken to have stopped after so long, in milliseconds: three whispers may be lost.
const TYPING_MS: u64 = 15_000;

/// Who did something so long ago is there now, in milliseconds.
const NOW_MS: u64 = 2 * 60_000;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Contacts that can be heard. Each costs 40 bytes, and one keyed hash of 12 bytes for each whisper that comes.
const HEARD_MAX: u32 = 10_000;

/// What is known of whispers while the program runs.
#[derive(Default)]
pub(crate) struct Whispers {
    /// Of the keys that we gave; `None`: to be read from the database.
    marks: Option<Vec<(ContactId, WhisperMark)>>,
    /// The time in the last one of each device: none before it is heard any more.
    heard: BTreeMap<(ContactId, DeviceId), UnixMillis>,
    /// The time in the last of ours.
    last: UnixMillis,
    /// When each was last said to whom.
    said: BTreeMap<(ContactId, Kind), UnixMillis>,
    /// Who types, and until when that holds.
    typing: BTreeMap<ContactId, UnixMillis>,
    /// When a person last did something here.
    acted: Option<UnixMillis>,
}

/// What is not said twice in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Typing,
    AreYouThere,
    Here,
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
}

/// The key with which this contact whispers to us, made when it is first given to them.
pub(crate) fn key_for<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId) -> Result<WhisperKey, StoreError> {
    if let Some(key) = whispers::ours(cx.db, contact)? {
        return Ok(key);
    }
    let key = WhisperKey::generate(cx.rng);
    whispers::set_ours(cx.db, contact, &key)?;
    cx.flight.whispers.keys_changed();
    Ok(key)
}

/// They are not heard any more.
pub(crate) fn block<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId) -> Result<(), StoreError> {
    cx.flight.whispers.keys_changed();
    cx.flight.whispers.typing.remove(&contact);
    whispers::forget_ours(cx.db, contact)
}

/// A person types to them, or has stopped.
pub(crate) fn typing<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact, on: bool) -> Result<(), StoreError> {
    if !whispers::shares(cx.db, contact.id)?.typing {
        return Ok(());
    }
    if on {
        return say_seldom(cx, contact, Kind::Typing, What::Typing(true));
    }
    // Who was not told that we type need not be told that we stopped.
    match cx.flight.whispers.said.remove(&(contact.id, Kind::Typing)) {
        Some(_) => say(cx, contact, What::Typing(false)),
        None => Ok(()),
    }
}

/// A person looks at the conversation with them.
pub(crate) fn ask<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact) -> Result<(), StoreError> {
    match whispers::shares(cx.db, contact.id)?.presence {
        true => say_seldom(cx, contact, Kind::AreYouThere, What::AreYouThere),
        false => Ok(()),
    }
}

/// Whether they are told when we are there, and whether we may ask them.
pub(crate) fn share_presence<R: CryptoRng>(cx: &Cx<'_, R>, contact: ContactId, on: bool) -> Result<(), StoreError> {
    let shares = whispers::shares(cx.db, contact)?;
    whispers::set_shares(cx.db, contact, whispers::Shares { presence: on, ..shares })
}

/// Whether they are told when we type, and we are shown when they do.
pub(crate) fn share_typing<R: CryptoRng>(cx: &Cx<'_, R>, contact: ContactId, on: bool) -> Result<(), StoreError> {
    let shares = whispers::shares(cx.db, contact)?;
    whispers::set_shares(cx.db, contact, whispers::Shares { typing: on, ..shares })
}

/// Something was whispered. What is not a contact's, too old or repeated is dropped without a word.
pub(crate) fn heard<R: CryptoRng>(cx: &mut Cx<'_, R>, envelope: &Envelope) -> Result<(), StoreError> {
    let Some((contact, device, said)) = open(cx, envelope)? else { return Ok(()) };
    let is_fresh = cx.now.since(said.at).max(said.at.since(cx.now)) <= FRESH_MS;
    let last = cx.flight.whispers.heard.get(&(contact.id, device));
    if !is_fresh || last.is_some_and(|last| said.at <= *last) {
        return Ok(());
    }
    cx.flight.whispers.heard.insert((contact.id, device), said.at);
    let shares = whispers::shares(cx.db, contact.id)?;
    match said.what {
        What::Typing(on) if shares.typing => {
            match on {
                true => cx.flight.whispers.typing.insert(contact.id, cx.now.plus(TYPING_MS)),
                false => cx.flight.whispers.typing.remove(&contact.id),
            };
            cx.event(Event::Typing { contact: contact.id, on });
        }
        What::AreYouThere if shares.presence => {
            let here = What::Here(cx.flight.whispers.seen(cx.now));
            say_seldom(cx, &contact, Kind::Here, here)?;
        }
        What::Here(seen) if shares.presence => cx.event(Event::Presence { contact: contact.id, seen }),
        What::Typing(_) | What::AreYouThere | What::Here(_) => {}
    }
    Ok(())
}

/// Tells who has stopped typing without saying so. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Option<UnixMillis> {
    let now = cx.now;
    let over: Vec<_> =
        cx.flight.whispers.typing.iter().filter(|(_, until)| **until <= now).map(|(contact, _)| *contact).collect();
    for contact in over {
        cx.flight.whispers.typing.remove(&contact);
        cx.event(Event::Typing { contact, on: false });
    }
    cx.flight.whispers.typing.values().min().copied()
}

/// Whose it is, and what it says.
fn open<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    envelope: &Envelope,
) -> Result<Option<(Contact, DeviceId, Said)>, StoreError> {
    if cx.flight.whispers.marks.is_none() {
        let keys = whispers::all_ours(cx.db, HEARD_MAX)?;
        cx.flight.whispers.marks = Some(keys.into_iter().map(|(contact, key)| (contact, key.mark())).collect());
    }
    let marks = cx.flight.whispers.marks.iter().flatten();
    let fitting: Vec<_> = marks.filter(|(_, mark)| mark.fits(envelope.bytes())).map(|(contact, _)| *contact).collect();
    for id in fitting {
        let Some(contact) = contacts::get(cx.db, id)? else { continue };
        let Some(key) = whispers::ours(cx.db, id)? else { continue };
        if contact.standing != Standing::Accepted {
            continue;
        }
        let links = contacts::links(cx.db, id)?;
        for device in links.last().map_or(&[][..], |link| &link.link().devices) {
            let way = Way { from: (contact.account, device.id), to: cx.keys.account };
            if let Some(said) = Said::open(envelope, &key, &way) {
                return Ok(Some((contact, device.id, said)));
            }
        }
    }
    Ok(None)
}

/// The same thing not again for a while.
fn say_seldom<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact, kind: Kind, what: What) -> Result<(), StoreError> {
    let last = cx.flight.whispers.said.get(&(contact.id, kind));
    if last.is_some_and(|last| last.0 <= cx.now.0 && cx.now.since(*last) < SAME_AGAIN_MS) {
        return Ok(());
    }
    cx.flight.whispers.said.insert((contact.id, kind), cx.now);
    say(cx, contact, what)
}

/// To the device of theirs that gave us key and token, if it still stands in their list; else to nobody.
fn say<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact, what: What) -> Result<(), StoreError> {
    if contact.standing != Standing::Accepted || !cx.keys.is_listed() {
        return Ok(());
    }
    let Some((key, device)) = whispers::theirs(cx.db, contact.id)? else { return Ok(()) };
    let Some(token) = contacts::their_token(cx.db, contact.id, device)? else { return Ok(()) };
    let links = contacts::links(cx.db, contact.id)?;
    let Some(device) = links.last().and_then(|link| link.link().device(device)) else { return Ok(()) };
    let Some(relay) = relay_address(&device.relay) else { return Ok(()) };
    let at = cx.now.max(cx.flight.whispers.last.plus(1));
    cx.flight.whispers.last = at;
    let way = Way { from: (cx.keys.account, cx.keys.device), to: contact.account };
    if let Some(envelope) = (Said { at, what }).seal(&key, &way, cx.rng) {
        cx.call_unanswered(Call::Whisper { relay, whisper: Whisper { mailbox: device.mailbox, token, envelope } });
    }
    Ok(())
}
