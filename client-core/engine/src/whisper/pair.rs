//! What two contacts whisper to each other, each under a key that the other gave. Only between contacts who have accepted
//! each other, and only what both share. Strangers have no key.
//!
//! Spec: envelope §7.

use hushwire_crypto::whisper::WhisperKey;
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DeviceId, UnixMillis};
use hushwire_proto::relay::Whisper;
use rand_core::CryptoRng;

use super::said::{Said, Way, What};
use super::{ASK_AGAIN_MS, ASK_ANEW_MS, Kind, THERE_MS};
use crate::engine::Cx;
use crate::input::Call;
use crate::outbox::relay_address;
use crate::store::{StoreError, contacts, identity, whispers};
use crate::types::{Contact, ContactId, ConversationId, Event, Seen, Shares, Standing};

/// Contacts that can be heard. Each costs 40 bytes, and one keyed hash of 12 bytes for each whisper that comes.
const KEYS_MAX: u32 = 10_000;

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

/// They are not heard any more, here or in a group.
pub(crate) fn block<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId) -> Result<(), StoreError> {
    let known = &mut cx.flight.whispers;
    known.keys_changed();
    known.there.remove(&contact);
    let typing = known.typing.keys().filter(|(_, who)| *who == contact);
    for (conversation, _) in typing.copied().collect::<Vec<_>>() {
        super::types(cx, conversation, contact, false);
    }
    whispers::forget_ours(cx.db, contact)
}

/// Whether they are told when we are there, and whether we may ask them.
pub(crate) fn share_presence<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId, on: bool) -> Result<(), StoreError> {
    if !on {
        cx.flight.whispers.there.remove(&contact);
    }
    let shares = whispers::shares(cx.db, contact)?;
    whispers::set_shares(cx.db, contact, Shares { presence: on, ..shares })
}

/// A person types to them, or has stopped.
pub(super) fn typing<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId, on: bool) -> Result<(), StoreError> {
    match contacts::get(cx.db, contact)? {
        Some(contact) => say(cx, &contact, What::Typing(on)),
        None => Ok(()),
    }
}

/// Asks whether they are there, who are looked at, unless that was asked a moment ago. When to ask again.
pub(super) fn ask<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    conversation: ConversationId,
    contact: ContactId,
) -> Result<Option<UnixMillis>, StoreError> {
    let Some(contact) = contacts::get(cx.db, contact)? else { return Ok(None) };
    if contact.standing != Standing::Accepted || !whispers::shares(cx.db, contact.id)?.presence {
        return Ok(None);
    }
    let known = &mut cx.flight.whispers;
    if known.says(conversation, Kind::AreYouThere, cx.now, ASK_AGAIN_MS) {
        say(cx, &contact, What::AreYouThere)?;
    }
    let asked = cx.flight.whispers.said.get(&(conversation, Kind::AreYouThere));
    Ok(asked.map(|asked| asked.at.plus(ASK_AGAIN_MS)))
}

/// A whisper of one contact.
pub(super) fn heard<R: CryptoRng>(cx: &mut Cx<'_, R>, envelope: &Envelope) -> Result<(), StoreError> {
    let Some((contact, device, said)) = open(cx, envelope)? else { return Ok(()) };
    let kind = match said.what {
        What::Typing(_) => Kind::Typing,
        What::AreYouThere => Kind::AreYouThere,
        What::Here(_) => Kind::Here,
    };
    if !cx.flight.whispers.hears((contact.id, device), (contact.conversation, kind), said.at, cx.now) {
        return Ok(());
    }
    let shares = whispers::shares(cx.db, contact.id)?;
    match said.what {
        What::Typing(on) if shares.typing => super::types(cx, contact.conversation, contact.id, on),
        What::AreYouThere if shares.presence => {
            // Who asks hears us as well.
            if !cx.flight.whispers.there.contains_key(&contact.id) {
                cx.flight.whispers.ask_anew(contact.conversation, cx.now);
            }
            let here = What::Here(cx.flight.whispers.seen(cx.now));
            if cx.flight.whispers.says(contact.conversation, Kind::Here, cx.now, ASK_ANEW_MS) {
                say(cx, &contact, here)?;
            }
        }
        // What nobody wants to know any more is not shown, and not remembered.
        What::Here(seen) if shares.presence && cx.flight.whispers.is_looked_at(contact.conversation) => {
            cx.flight.whispers.says(contact.conversation, Kind::AreYouThere, cx.now, 0); // answered: not due before long
            match seen {
                Seen::Now => cx.flight.whispers.there.insert(contact.id, cx.now.plus(THERE_MS)),
                Seen::Today | Seen::ThisWeek | Seen::Hidden => cx.flight.whispers.there.remove(&contact.id),
            };
            cx.event(Event::Presence { contact: contact.id, seen });
        }
        What::Typing(_) | What::AreYouThere | What::Here(_) => {}
    }
    Ok(())
}

/// Whose it is, and what it says.
fn open<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    envelope: &Envelope,
) -> Result<Option<(Contact, DeviceId, Said)>, StoreError> {
    if cx.flight.whispers.marks.is_none() {
        let keys = whispers::all_ours(cx.db, KEYS_MAX)?;
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
            if identity::is_new(cx.db, id, device.id)? {
                continue;
            }
            if let Some(said) = Said::open(envelope, &key, &way) {
                return Ok(Some((contact, device.id, said)));
            }
        }
    }
    Ok(None)
}

/// To the device of theirs that gave us key and token, if it still stands in their list; else to nobody.
fn say<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact, what: What) -> Result<(), StoreError> {
    let is_held = identity::is_held(cx.db, contact.id)?;
    if contact.standing != Standing::Accepted || !cx.keys.is_listed() || is_held {
        return Ok(());
    }
    let Some((key, device)) = whispers::theirs(cx.db, contact.id)? else { return Ok(()) };
    let Some(token) = contacts::their_token(cx.db, contact.id, device)? else { return Ok(()) };
    let links = contacts::links(cx.db, contact.id)?;
    let Some(device) = links.last().and_then(|link| link.link().device(device)) else { return Ok(()) };
    let Some(relay) = relay_address(&device.relay) else { return Ok(()) };
    let said = Said { at: cx.flight.whispers.next_time(cx.now), what };
    let way = Way { from: (cx.keys.account, cx.keys.device), to: contact.account };
    if let Some(envelope) = said.seal(&key, &way, cx.rng) {
        cx.call_unanswered(Call::Whisper { relay, whisper: Whisper { mailbox: device.mailbox, token, envelope } });
    }
    Ok(())
}
