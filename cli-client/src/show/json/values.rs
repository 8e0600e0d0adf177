//! Accounts, contacts and what servers say, as JSON.

use hushwire_client::{Agreed, Auditor, Contact, Identity, LogReport, NewDevice, Profile, WhoInLog};
use serde_json::{Value, json};

use super::time;
use crate::show::words::{membership_word, policy_word, standing_word};
use crate::text;

pub(super) fn auditor_of(auditor: &Auditor) -> Value {
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

pub(super) fn profile_of(profile: &Profile) -> Value {
    json!({
        "account_id": profile.account.to_string(), "device": profile.device.get(),
        "handle": profile.handle.as_ref().map(ToString::to_string),
        "keyserver": profile.keyserver.to_string(), "relay": profile.relay.to_string(),
        "registered": profile.registered, "prekeys_left": profile.prekeys_left,
        "membership": membership_word(profile.membership),
    })
}

pub(super) fn log_of(report: &LogReport) -> Value {
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

pub(super) fn identity_of(identity: &Identity) -> Value {
    let device = |device: &NewDevice| {
        json!({
            "device": device.id.get(), "name": device.label, "listed": device.listed,
            "since": time(device.since), "since_ms": device.since.0,
        })
    };
    let new: Vec<Value> = identity.new.iter().map(device).collect();
    let contact = &identity.contact;
    json!({
        "contact": contact.name, "contact_id": contact.id.0, "verified": contact.verified,
        "policy": policy_word(identity.policy), "chosen": identity.chosen.map(policy_word), "held": identity.held,
        "new_devices": new,
    })
}

pub(super) fn contact_of(contact: &Contact) -> Value {
    json!({
        "contact": contact.name, "contact_id": contact.id.0, "account_id": contact.account.to_string(),
        "handle": contact.handle, "claimed_handle": contact.claimed_handle,
        "standing": standing_word(contact.standing), "verified": contact.verified, "unread": contact.unread,
    })
}
