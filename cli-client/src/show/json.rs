//! The JSON of each thing shown. The table in `OUTPUT.md` says the same in words; a test holds the two together.
//!
//! Text of others stands as it was written. Characters that a terminal would obey are written as `\uXXXX`, so that
//! the line may be looked at safely.

use hushwire_client::ids::UnixMillis;
use hushwire_client::{
    Agreed, Auditor, Contact, LogReport, Membership, Message, Profile, Standing, State, Talk, Verdict, WhoInLog,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Item;
use super::item::{Named, Where};
use crate::exit::Failure;
use crate::text;

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
        Item::Message(message) => ("message", message_of(message)),
        Item::State { id, conversation, state } => {
            ("state", with(place(conversation), json!({"id": id.0, "state": state_word(*state)})))
        }
        Item::Gap { conversation, contact, missing } => {
            ("gap", with(with(place(conversation), named(contact)), json!({"missing": missing})))
        }
        Item::Expired => ("expired", json!({})),
        Item::Undecryptable { reason } => ("undecryptable", json!({"reason": reason})),
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
        Item::Devices { contact, change } => (
            "devices_changed",
            json!({
                "contact": contact.map(|contact| &contact.name), "contact_id": contact.map(|contact| contact.id.0),
                "version": change.version, "added": change.added, "removed": change.removed,
                "by_recovery": change.by_recovery,
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
        Item::Waiting(waiting) => (
            "waiting",
            json!({
                "id": waiting.id.0, "conversation": waiting.conversation_name, "attempts": waiting.attempts,
                "reason": waiting.reason, "timestamp": time(waiting.since), "timestamp_ms": waiting.since.0,
                "next_try": waiting.next_try.map(time), "next_try_ms": waiting.next_try.map(|at| at.0),
            }),
        ),
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

fn auditor_of(auditor: &Auditor) -> Value {
    let keyservers: Vec<Value> = auditor.keyservers.iter().map(agreed).collect();
    json!({"auditor": auditor.address.to_string(), "keyservers": keyservers})
}

fn agreed(said: &Agreed) -> Value {
    json!({
        "keyserver": said.keyserver.to_string(), "epoch": said.agreed.map(|(_, epoch)| epoch),
        "agreed": said.agreed.map(|(at, _)| time(at)), "agreed_ms": said.agreed.map(|(at, _)| at.0),
        "asked": time(said.asked_at), "asked_ms": said.asked_at.0, "trouble": said.trouble,
    })
}

fn profile_of(profile: &Profile) -> Value {
    json!({
        "account_id": profile.account.to_string(), "device": profile.device.get(),
        "handle": profile.handle.as_ref().map(ToString::to_string),
        "keyserver": profile.keyserver.to_string(), "relay": profile.relay.to_string(),
        "registered": profile.registered, "prekeys_left": profile.prekeys_left,
        "membership": membership_word(profile.membership),
    })
}

fn log_of(report: &LogReport) -> Value {
    let found = report.found.as_ref();
    let (who, contact) = match found.map(|found| &found.who) {
        None => ("nobody", None),
        Some(WhoInLog::Myself) => ("myself", None),
        Some(WhoInLog::Contact(name)) => ("contact", Some(name)),
        Some(WhoInLog::Stranger) => ("stranger", None),
    };
    let auditors: Vec<Value> = report.auditors.iter().map(auditor_of).collect();
    json!({
        "auditors": auditors,
        "handle": report.handle, "keyserver": report.keyserver.to_string(), "epoch": report.epoch,
        "root": text::hex(&report.root), "timestamp": time(report.at), "timestamp_ms": report.at.0,
        "who": who, "contact": contact, "account_id": found.map(|found| found.account.to_string()),
        "version": found.map(|found| found.version), "devices": found.map(|found| &found.devices),
        "own_agreed": report.own_agreed_at.and_then(time), "own_agreed_ms": report.own_agreed_at.map(|at| at.0),
    })
}

fn contact_of(contact: &Contact) -> Value {
    json!({
        "contact": contact.name, "contact_id": contact.id.0, "account_id": contact.account.to_string(),
        "handle": contact.handle, "claimed_handle": contact.claimed_handle,
        "standing": standing_word(contact.standing), "verified": contact.verified, "unread": contact.unread,
    })
}

fn message_of(message: &Message) -> Value {
    let with_contact = match message.with {
        Talk::Contact(contact) => Some(contact),
        Talk::Group(_) => None,
    };
    let contact = message.author.or(with_contact);
    let name = if message.author.is_some() { &message.author_name } else { &message.conversation_name };
    json!({
        "conversation": message.conversation_name, "conversation_id": message.conversation.0,
        "group": with_contact.is_none(), "contact": contact.map(|_| name), "contact_id": contact.map(|id| id.0),
        "id": message.id.0,
        "message_id": message.message_id.to_string(), "direction": if message.outgoing { "out" } else { "in" },
        "text": message.text, "state": state_word(message.state),
        "timestamp": time(message.sent_at), "timestamp_ms": message.sent_at.0,
        "kept": time(message.kept_at), "kept_ms": message.kept_at.0,
    })
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

/// The word for a state.
pub(super) const fn state_word(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Sent => "sent",
        State::Delivered => "delivered",
        State::Read => "read",
    }
}

/// The word for where a contact stands.
pub(super) const fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Request => "request",
        Standing::Accepted => "accepted",
        Standing::Known => "known",
        Standing::Blocked => "blocked",
    }
}

const fn membership_word(membership: Membership) -> &'static str {
    match membership {
        Membership::Listed => "listed",
        Membership::Waiting => "waiting",
        Membership::Revoked => "revoked",
    }
}

const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warn => "warning",
        Verdict::Fail => "failed",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::collections::{BTreeMap, BTreeSet};

    use hushwire_client::address::{Handle, ServerAddress};
    use hushwire_client::ids::{AccountId, DeviceId, MessageId};
    use hushwire_client::{Alarm, ContactId, ConversationId, Finding, Lie, ListChange, ListedDevice, LocalId, Waiting};

    use super::*;
    use crate::exit::Exit;

    const AT: UnixMillis = UnixMillis(1_800_000_000_123);

    fn contact() -> Contact {
        Contact {
            id: ContactId(2),
            account: AccountId([7; 32]),
            name: "bob".to_owned(),
            handle: None,
            claimed_handle: Some("bob@keys.example.org".to_owned()),
            standing: Standing::Request,
            verified: false,
            conversation: ConversationId(1),
            unread: 1,
        }
    }

    fn message(text: &str) -> Message {
        Message {
            id: LocalId(3),
            conversation: ConversationId(1),
            with: Talk::Contact(ContactId(2)),
            conversation_name: "bob".to_owned(),
            author: Some(ContactId(2)),
            author_name: "bob".to_owned(),
            message_id: MessageId([1; 16]),
            outgoing: false,
            sent_at: AT,
            kept_at: AT,
            text: text.to_owned(),
            reply_to: None,
            mentions: Vec::new(),
            forwarded: false,
            edits: 0,
            deleted: false,
            pinned: false,
            reactions: Vec::new(),
            expires_at: None,
            state: State::Delivered,
        }
    }

    fn profile() -> Profile {
        let server = ServerAddress::parse("hush://keys.example.org", 1).unwrap();
        Profile {
            account: AccountId([7; 32]),
            device: DeviceId::FIRST,
            handle: Some(Handle::new("alice", server.clone()).unwrap()),
            keyserver: server.clone(),
            relay: server,
            registered: true,
            prekeys_left: Some(100),
            membership: Membership::Listed,
        }
    }

    /// Every line that can be printed, one of each type.
    fn every_line() -> Vec<Value> {
        let (profile, contact, message) = (profile(), contact(), message("hello"));
        let named = Named::from(&contact);
        let place = Where { id: ConversationId(1), name: "bob".to_owned(), with: Talk::Contact(contact.id) };
        let waiting = Waiting {
            id: LocalId(3),
            conversation_name: "bob".to_owned(),
            since: AT,
            attempts: 2,
            reason: None,
            next_try: None,
        };
        let finding = Finding { name: "relay", verdict: Verdict::Ok, detail: "answers".to_owned(), advice: None };
        let device = ListedDevice {
            id: DeviceId::FIRST,
            name: "phone".to_owned(),
            is_this: true,
            relay: String::new(),
            since_version: 0,
        };
        let change =
            ListChange { version: 1, added: vec!["phone".to_owned()], removed: Vec::new(), by_recovery: false };
        let report = LogReport {
            handle: "bob@keys.example.org".to_owned(),
            keyserver: profile.keyserver.clone(),
            epoch: 7,
            at: AT,
            root: [7; 32],
            found: None,
            own_agreed_at: None,
            auditors: Vec::new(),
        };
        let lie = Lie::Root(Alarm::SetBack { seen: 9, told: 4 });
        let auditor = Auditor { address: profile.keyserver.clone(), keyservers: Vec::new() };
        let items = [
            Item::Registered { profile: &profile, recovery_words: Some("a b") },
            Item::Account { profile: &profile, link: "hushwire:c#A" },
            Item::Link { link: "hushwire:c#A" },
            Item::Contact(&contact),
            Item::Request(&contact),
            Item::Message(&message),
            Item::State { id: LocalId(3), conversation: &place, state: State::Read },
            Item::Gap { conversation: &place, contact: &named, missing: 2 },
            Item::Expired,
            Item::Undecryptable { reason: "no session" },
            Item::KeyserverLies { keyserver: "hush://keys.example.org:4432", lie: &lie },
            Item::IdentityChanged { contact: &named },
            Item::Retrying { contact: &named, reason: "no route", next_try: AT },
            Item::Device(&device),
            Item::DeviceRequest { request: "hushwire:d#A" },
            Item::Devices { contact: Some(&named), change: &change },
            Item::DevicesNotChanged { reason: "out of date" },
            Item::DevicesForked,
            Item::Revoked,
            Item::RecoveryWords { words: "a b" },
            Item::Log(&report),
            Item::Waiting(&waiting),
            Item::SafetyNumber { contact: &contact, digits: "12345" },
            Item::Finding(&finding),
            Item::Auditor(&auditor),
        ];
        let mut lines: Vec<Value> =
            items.iter().map(|item| serde_json::from_str(&line(item, "default")).unwrap()).collect();
        lines.push(error(&Failure::new(Exit::Usage, "wrong"), "default"));
        lines
    }

    /// Type to fields (with whether each may be null), as the table in OUTPUT.md has them.
    fn documented() -> BTreeMap<String, BTreeMap<String, bool>> {
        let mut table: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
        let page = include_str!("../../OUTPUT.md");
        for row in page.lines().filter(|line| line.starts_with("| `")) {
            let [kind, _, fields] = row.trim_matches('|').split(" | ").collect::<Vec<_>>()[..] else { continue };
            let kind = kind.split('`').nth(1).unwrap().to_owned();
            let mut listed = BTreeMap::new();
            if let Some(other) = fields.trim().strip_prefix("as ") {
                listed.extend(table.get(other.trim().trim_matches('`')).unwrap().clone());
            } else {
                for field in fields.split_whitespace().filter(|field| field.starts_with('`')) {
                    listed.insert(field.split('`').nth(1).unwrap().to_owned(), field.ends_with('?'));
                }
            }
            table.insert(kind, listed);
        }
        table
    }

    #[test]
    fn the_page_names_every_field_of_every_line_and_no_other() {
        let documented = documented();
        let mut met = BTreeSet::from(["version".to_owned()]); // its three fields are not worth an item
        for line in every_line() {
            let line = line.as_object().unwrap().clone();
            let kind = line.get("type").and_then(Value::as_str).unwrap().to_owned();
            let listed = documented.get(&kind).unwrap_or_else(|| panic!("{kind} is not in OUTPUT.md"));
            for (name, value) in &line {
                if !["v", "type", "account"].contains(&name.as_str()) {
                    let nullable = *listed.get(name).unwrap_or_else(|| panic!("{kind}.{name} is not in OUTPUT.md"));
                    assert!(nullable || !value.is_null(), "{kind}.{name} is null");
                }
            }
            assert_eq!(line.len(), listed.len() + 3, "{kind}: OUTPUT.md names a field that is not there");
            met.insert(kind);
        }
        let pages: BTreeSet<String> = documented.into_keys().collect();
        assert_eq!(pages, met, "OUTPUT.md and the program know different types");
    }

    #[test]
    fn a_line_has_nothing_that_a_terminal_obeys_and_loses_nothing() {
        let text: String = ('\0'..=char::MAX).filter(|c| text::is_unsafe(*c) || *c == 'ä' || *c == '🦀').collect();
        let message = message(&text);
        let line = line(&Item::Message(&message), "default");
        assert!(!line.chars().any(text::is_unsafe));
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read.get("text").and_then(Value::as_str), Some(text.as_str()));
    }

    #[test]
    fn a_time_is_rfc_3339_with_milliseconds() {
        assert_eq!(time(AT).as_deref(), Some("2027-01-15T08:00:00.123Z"));
        assert_eq!(time(UnixMillis(u64::MAX)), None);
    }
}
