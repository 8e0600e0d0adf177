//! The JSON of each thing shown. The table in `OUTPUT.md` says the same in words; a test holds the two together.
//!
//! Text of others stands as it was written. Characters that a terminal would obey are written as `\uXXXX`, so that
//! the line may be looked at safely.

mod groups;
mod messages;
#[cfg(test)]
mod tests;
mod values;

use hushwire_client::Talk;
use hushwire_client::ids::UnixMillis;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Item;
use super::item::{Named, Where};
use super::words::{policy_word, reason_word, seen_word, verdict_word};
use crate::exit::Failure;
use crate::text;
use values::{auditor_of, contact_of, identity_of, log_of, profile_of};

/// Version of the schema. Fields are only added inside one version.
pub(super) const V: u32 = 1;

/// One line.
pub(super) fn line(item: &Item<'_>, account: &str) -> String {
    let (kind, fields) = fields(item);
    escaped(&object(kind, account, fields))
}

/// An error, for stderr.
pub(super) fn error(failure: &Failure, account: &str) -> Value {
    let fields = json!({
        "code": failure.exit.code(), "error": failure.exit.word(), "message": failure.message, "hint": failure.hint,
    });
    object("error", account, fields)
}

/// In one line, with nothing that a terminal obeys.
pub(super) fn escaped(value: &Value) -> String {
    let mut line = String::new();
    for c in value.to_string().chars() {
        if text::is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            line.push(c);
        }
    }
    line
}

fn object(kind: &str, account: &str, fields: Value) -> Value {
    let mut all = Map::new();
    all.insert("v".to_owned(), V.into());
    all.insert("type".to_owned(), kind.into());
    all.insert("account".to_owned(), account.into());
    if let Value::Object(fields) = fields {
        all.extend(fields);
    }
    Value::Object(all)
}

fn fields(item: &Item<'_>) -> (&'static str, Value) {
    match item {
        Item::Registered { profile, recovery_words } => {
            ("registered", with(profile_of(profile), json!({"recovery_words": recovery_words})))
        }
        Item::Account { profile, link } => ("account", with(profile_of(profile), json!({"link": link}))),
        Item::Link { link } => ("link", json!({"link": link})),
        Item::Contact(contact) => ("contact", contact_of(contact)),
        Item::Request(contact) => ("contact_request", contact_of(contact)),
        Item::Message(_)
        | Item::Found(_)
        | Item::MessageChanged { .. }
        | Item::Reaction { .. }
        | Item::Edit { .. }
        | Item::HeardBy { .. }
        | Item::LackedBy { .. }
        | Item::Journey { .. }
        | Item::State { .. }
        | Item::Disappeared { .. }
        | Item::ConversationDeleted(_)
        | Item::Waiting(_) => messages::fields(item),
        Item::Conversation { .. }
        | Item::Timer { .. }
        | Item::Draft { .. }
        | Item::Group { .. }
        | Item::GroupLink { .. }
        | Item::GroupChange { .. }
        | Item::GroupRequest(_)
        | Item::GroupJoined(_)
        | Item::GroupLeft(_)
        | Item::GroupNotJoined { .. } => groups::fields(item),
        Item::Typing { conversation, contact, on } => {
            ("typing", with(with(place(conversation), named(contact)), json!({"on": on})))
        }
        Item::Shares { conversation, shares } => {
            ("shares", with(place(conversation), json!({"typing": shares.typing, "presence": shares.presence})))
        }
        Item::Presence { contact, seen } => ("presence", with(named(contact), json!({"seen": seen_word(*seen)}))),
        Item::Gap { conversation, contact, missing, first, before, came: _ } => {
            let what = json!({"missing": missing, "first": first, "before": before.map(|id| id.0)});
            ("gap", with(with(place(conversation), named(contact)), what))
        }
        Item::Expired => ("expired", json!({})),
        Item::Undecryptable { code, reason, asked_again } => {
            ("undecryptable", json!({"code": reason_word(*code), "reason": reason, "asked_again": asked_again}))
        }
        Item::KeyserverLies { keyserver, lie } => {
            ("keyserver_lies", json!({"keyserver": keyserver, "kind": lie.kind(), "what": lie.to_string()}))
        }
        Item::Auditor(auditor) => ("auditor", auditor_of(auditor)),
        Item::IdentityChanged { contact } => ("identity_changed", named(contact)),
        Item::Device(device) => (
            "device",
            json!({
                "device": device.id.get(), "name": device.name, "is_this": device.is_this, "relay": device.relay,
                "since_version": device.since_version,
            }),
        ),
        Item::DeviceRequest { request } => ("device_request", json!({"request": request})),
        Item::Identity(identity) => ("identity", identity_of(identity)),
        Item::DefaultPolicy(policy) => ("default_policy", json!({"policy": policy_word(*policy)})),
        Item::Devices { contact, change, policy } => (
            "devices_changed",
            json!({
                "contact": contact.map(|contact| &contact.name), "contact_id": contact.map(|contact| contact.id.0),
                "version": change.version, "added": change.added, "removed": change.removed,
                "by_recovery": change.by_recovery, "policy": policy.map(policy_word),
            }),
        ),
        Item::DevicesNotChanged { reason } => ("devices_not_changed", json!({"reason": reason})),
        Item::DevicesForked => ("devices_forked", json!({})),
        Item::Revoked => ("revoked", json!({})),
        Item::RecoveryWords { words } => ("recovery_words", json!({"recovery_words": words})),
        Item::Log(report) => ("log", log_of(report)),
        Item::Retrying { contact, reason, next_try } => {
            let next = json!({"reason": reason, "next_try": time(*next_try), "next_try_ms": next_try.0});
            ("retrying", with(named(contact), next))
        }
        Item::SafetyNumber { contact, digits } => (
            "safety_number",
            with(named(&Named::from(*contact)), json!({"digits": digits, "verified": contact.verified})),
        ),
        Item::Finding(found) => {
            let verdict = verdict_word(found.verdict);
            ("check", json!({"check": found.name, "verdict": verdict, "detail": found.detail, "advice": found.advice}))
        }
    }
}

fn place(conversation: &Where) -> Value {
    let contact = match conversation.with {
        Talk::Contact(contact) => Some(contact),
        Talk::Group(_) => None,
    };
    json!({
        "conversation": conversation.name, "conversation_id": conversation.id.0, "group": contact.is_none(),
        "contact": contact.map(|_| &conversation.name), "contact_id": contact.map(|id| id.0),
    })
}

fn named(contact: &Named) -> Value {
    json!({"contact": contact.name, "contact_id": contact.id.0})
}

fn with(mut value: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
        fields.extend(more);
    }
    value
}

/// RFC 3339 in UTC with milliseconds. A time that the calendar has no name for (an author's clock may say anything)
/// is `null`.
fn time(at: UnixMillis) -> Option<String> {
    let at = i64::try_from(at.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok())?;
    Some(format!("{at:.3}"))
}
