//! Messages, and where they are on their way, as JSON.

use hushwire_client::ids::{DeviceId, UnixMillis};
use hushwire_client::{Change, ContactId, Journey, MemberKeys, Reached, Sealing, Talk, Underway};
use serde_json::{Value, json};

use super::{Item, named, place, time, with};
use crate::show::item::{Heard, Named, Shown};
use crate::show::words::state_word;

/// The type and the fields of these items; an empty object for others.
pub(super) fn fields(item: &Item<'_>) -> (&'static str, Value) {
    match item {
        Item::Message(shown) | Item::Found(shown) => ("message", message_of(shown)),
        Item::MessageChanged { shown, by, change } => {
            let (word, emoji) = change_words(change);
            let what =
                json!({"by": by.map(|by| &by.name), "by_id": by.map(|by| by.id.0), "change": word, "emoji": emoji});
            ("message_changed", with(message_of(shown), what))
        }
        Item::Reaction { id, reaction } => (
            "reaction",
            json!({
                "id": id.0, "by": reaction.by.map(|_| &reaction.name), "by_id": reaction.by.map(|by| by.0),
                "emoji": reaction.emoji,
            }),
        ),
        Item::Edit { id, text, at } => {
            ("edit", json!({"id": id.0, "text": text, "timestamp": time(*at), "timestamp_ms": at.0}))
        }
        Item::HeardBy { id, contact, state } => {
            ("heard_by", with(named(contact), json!({"id": id.0, "state": state_word(*state)})))
        }
        Item::LackedBy { id, lacking } => (
            "lacked_by",
            json!({
                "id": id.0, "contact": lacking.contact.map(|_| &lacking.name), "contact_id": lacking.contact.map(|id| id.0),
                "account_id": lacking.account.to_string(),
            }),
        ),
        Item::Journey { journey, place: at, heard, people, whole: _ } => {
            ("status", with(place(at), with(journey_of(journey, people), heard_of(*heard))))
        }
        Item::State { id, conversation, state, heard } => {
            let state = json!({"id": id.0, "state": state_word(*state)});
            ("state", with(place(conversation), with(state, heard_of(*heard))))
        }
        Item::ConversationDeleted(conversation) => ("conversation_deleted", place(conversation)),
        Item::Disappeared { id, conversation } => ("disappeared", with(place(conversation), json!({"id": id.0}))),
        Item::Waiting(waiting) => (
            "waiting",
            json!({
                "id": waiting.id.0, "conversation": waiting.conversation_name, "attempts": waiting.attempts,
                "reason": waiting.reason, "timestamp": time(waiting.since), "timestamp_ms": waiting.since.0,
                "next_try": waiting.next_try.map(time), "next_try_ms": waiting.next_try.map(|at| at.0),
            }),
        ),
        _ => ("", json!({})),
    }
}

/// What was done with a message, and with which emoji.
fn change_words(change: &Change) -> (&'static str, Option<&str>) {
    match change {
        Change::Edited => ("edited", None),
        Change::TakenBack => ("taken_back", None),
        Change::Reacted(emoji) => ("reacted", Some(emoji)),
        Change::ReactionRemoved => ("reaction_removed", None),
        Change::Pinned => ("pinned", None),
        Change::Unpinned => ("unpinned", None),
    }
}

fn message_of(shown: &Shown) -> Value {
    let message = &shown.message;
    let with_contact = match message.with {
        Talk::Contact(contact) => Some(contact),
        Talk::Group(_) => None,
    };
    let contact = message.author.or(with_contact);
    let name = if message.author.is_some() { &message.author_name } else { &message.conversation_name };
    let reactions: Vec<Value> =
        message.reactions.iter().map(|(emoji, count)| json!({"emoji": emoji, "count": count})).collect();
    let fields = json!({
        "conversation": message.conversation_name, "conversation_id": message.conversation.0,
        "group": with_contact.is_none(), "contact": contact.map(|_| name), "contact_id": contact.map(|id| id.0),
        "id": message.id.0, "message_id": message.message_id.to_string(),
        "direction": if message.outgoing { "out" } else { "in" },
        "text": message.text, "state": state_word(message.state), "reply_to": message.reply_to.map(|id| id.0),
        "mentions": shown.mentions, "forwarded": message.forwarded, "edits": message.edits, "deleted": message.deleted,
        "from_new_device": message.from_new_device, "late": message.late,
        "pinned": message.pinned, "pinned_by": message.pinned_by.as_deref().map(|name| if name.is_empty() { "you" } else { name }),
        "reactions": reactions,
        "expires": message.expires_at.and_then(time), "expires_ms": message.expires_at.map(|at| at.0),
        "timestamp": time(message.sent_at), "timestamp_ms": message.sent_at.0,
        "kept": time(message.kept_at), "kept_ms": message.kept_at.0,
    });
    with(fields, heard_of(shown.heard))
}

fn heard_of(heard: Option<Heard>) -> Value {
    json!({
        "delivered_to": heard.map(|heard| heard.delivered), "read_by": heard.map(|heard| heard.read),
        "of": heard.map(|heard| heard.of),
    })
}

fn journey_of(journey: &Journey, people: &[Named]) -> Value {
    let named_so = |id: &ContactId| people.iter().find(|named| named.id == *id).map(named);
    let held: Vec<Value> = journey.held.iter().filter_map(named_so).collect();
    let device = |one: &Reached| {
        let who = named_so(&one.contact).unwrap_or_else(|| json!({"contact_id": one.contact.0}));
        with(who, json!({"device": one.device.get(), "state": one.state.map(state_word)}))
    };
    let devices: Vec<Value> = journey.devices.iter().map(device).collect();
    let envelopes: Vec<Value> = journey.envelopes.iter().map(|one| envelope(one, people)).collect();
    json!({
        "id": journey.message.0, "direction": if journey.outgoing { "out" } else { "in" },
        "state": state_word(journey.state), "kept": time(journey.kept_at), "kept_ms": journey.kept_at.0,
        "sealing": journey.sealing.as_ref().map(|waits| sealing(waits, people)), "held": held, "envelopes": envelopes,
        "devices": devices,
    })
}

fn sealing(waits: &Sealing, people: &[Named]) -> Value {
    let member = |member: &MemberKeys| {
        let name = member.contact.and_then(|id| people.iter().find(|named| named.id == id)).map(|named| &named.name);
        let who = json!({
            "contact": name, "contact_id": member.contact.map(|id| id.0), "account_id": member.account.to_string(),
            "keyserver": member.keyserver.to_string(),
        });
        with(who, keys(&member.without_session, member.attempts, member.reason.as_deref(), member.next_try))
    };
    let members: Vec<Value> = waits.members.iter().map(member).collect();
    let whole = keys(&waits.without_session, waits.attempts, waits.reason.as_deref(), waits.next_try);
    with(whole, json!({"members": members}))
}

/// What is tried to get keys.
fn keys(without: &[DeviceId], attempts: u32, reason: Option<&str>, next_try: Option<UnixMillis>) -> Value {
    let devices: Vec<u8> = without.iter().map(|device| device.get()).collect();
    json!({
        "without_session": devices, "attempts": attempts, "reason": reason,
        "next_try": next_try.and_then(time), "next_try_ms": next_try.map(|at| at.0),
    })
}

fn envelope(one: &Underway, people: &[Named]) -> Value {
    let name = people.iter().find(|named| named.id == one.contact).map(|named| &named.name);
    json!({
        "contact": name, "contact_id": one.contact.0, "device": one.device.map(|device| device.get()),
        "relay": one.relay, "attempts": one.attempts, "reason": one.reason, "behind": one.behind,
        "next_try": one.next_try.and_then(time), "next_try_ms": one.next_try.map(|at| at.0),
    })
}
