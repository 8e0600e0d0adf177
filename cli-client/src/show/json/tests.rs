//! The page `OUTPUT.md` and the lines that are printed, held together.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use hushwire_client::address::{Handle, ServerAddress};
use hushwire_client::group::{GroupState, Invite, Member, Request, Role};
use hushwire_client::ids::{AccountId, ChangeHash, DeviceId, GroupId, InviteId};
use hushwire_client::{
    Alarm, Auditor, Change, Contact, ContactId, Conversation, ConversationId, Finding, Group, GroupRequest,
    GroupStanding, Identity, Journey, Lacking, Lie, ListChange, ListedDevice, LocalGroup, LocalId, LocalRequest,
    LogReport, Membership, NewDevice, Policy, Profile, Reaction, Reason, Seen, Shares, Standing, State, Verdict,
    Waiting,
};

use super::*;
use crate::exit::Exit;
use crate::show::item::{Done, GroupChange};
use crate::show::messages::tests::{message, shown};

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
    let mut lines = account_lines();
    lines.extend(talk_lines());
    lines.extend(group_lines());
    lines.push(error(&Failure::new(Exit::Usage, "wrong"), "default"));
    lines
}

fn printed(items: &[Item<'_>]) -> Vec<Value> {
    items.iter().map(|item| serde_json::from_str(&line(item, "default")).unwrap()).collect()
}

fn account_lines() -> Vec<Value> {
    let (profile, contact) = (profile(), contact());
    let named = Named::from(&contact);
    let finding = Finding { name: "relay", verdict: Verdict::Ok, detail: "answers".to_owned(), advice: None };
    let device = ListedDevice {
        id: DeviceId::FIRST,
        name: "phone".to_owned(),
        is_this: true,
        relay: String::new(),
        since_version: 0,
    };
    let change = ListChange { version: 1, added: vec!["phone".to_owned()], removed: Vec::new(), by_recovery: false };
    let new = NewDevice { label: "phone".to_owned(), id: DeviceId::FIRST, since: AT, listed: true };
    let (policy, new) = (Policy::Hold, vec![new]);
    let identity = Identity { contact: contact.clone(), chosen: None, policy, held: true, new };
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
    printed(&[
        Item::Registered { profile: &profile, recovery_words: Some("a b") },
        Item::Account { profile: &profile, link: "hushwire:c#A" },
        Item::Link { link: "hushwire:c#A" },
        Item::Contact(&contact),
        Item::Request(&contact),
        Item::Expired,
        Item::Undecryptable { code: Reason::NoSession, reason: "no session", asked_again: true },
        Item::KeyserverLies { keyserver: "hush://keys.example.org:4432", lie: &lie },
        Item::IdentityChanged { contact: &named },
        Item::Retrying { contact: &named, reason: "no route", next_try: AT },
        Item::Device(&device),
        Item::DeviceRequest { request: "hushwire:d#A" },
        Item::Devices { contact: Some(&named), change: &change, policy: Some(Policy::Hold) },
        Item::Identity(&identity),
        Item::DefaultPolicy(Policy::Accept),
        Item::DevicesNotChanged { reason: "out of date" },
        Item::DevicesForked,
        Item::Revoked,
        Item::RecoveryWords { words: "a b" },
        Item::Log(&report),
        Item::SafetyNumber { contact: &contact, digits: "12345" },
        Item::Finding(&finding),
        Item::Auditor(&auditor),
        Item::Presence { contact: &named, seen: Seen::Today },
    ])
}

fn talk_lines() -> Vec<Value> {
    let (contact, shown) = (contact(), shown(message("hello", false)));
    let named = Named::from(&contact);
    let place = Where { id: ConversationId(1), name: "bob".to_owned(), with: Talk::Contact(contact.id) };
    let team = Where { id: ConversationId(2), name: "team".to_owned(), with: Talk::Group(LocalGroup(1)) };
    let waiting = Waiting {
        id: LocalId(3),
        conversation_name: "bob".to_owned(),
        since: AT,
        attempts: 2,
        reason: None,
        next_try: None,
    };
    let journey = Journey {
        message: LocalId(3),
        outgoing: true,
        kept_at: AT,
        state: State::Queued,
        sealing: None,
        held: vec![contact.id],
        envelopes: Vec::new(),
        devices: Vec::new(),
        delivered: 0,
        read: 0,
    };
    let conversation = Conversation {
        id: ConversationId(1),
        with: Talk::Contact(contact.id),
        name: "bob".to_owned(),
        active_at: AT,
        muted_until: None,
        archived: false,
        draft: None,
        receipts: true,
        timer_s: None,
        unread: 0,
        first_unread: None,
        mentions: 0,
    };
    let lacking = Lacking { account: contact.account, contact: None, name: String::new() };
    let felt = Reaction { by: Some(contact.id), name: "bob".to_owned(), emoji: "👍".to_owned() };
    printed(&[
        Item::Message(&shown),
        Item::MessageChanged { shown: &shown, by: Some(&named), change: &Change::Reacted("👍".to_owned()) },
        Item::Reaction { id: LocalId(3), reaction: &felt },
        Item::Edit { id: LocalId(3), text: "hallo", at: AT },
        Item::HeardBy { id: LocalId(3), contact: &named, state: State::Read },
        Item::LackedBy { id: LocalId(3), lacking: &lacking },
        Item::Journey { journey: &journey, place: &place, heard: None, people: &[], whole: true },
        Item::State { id: LocalId(3), conversation: &team, state: State::Sent, heard: None },
        Item::Disappeared { id: LocalId(3), conversation: &place },
        Item::ConversationDeleted(&place),
        Item::Waiting(&waiting),
        Item::Gap {
            conversation: &place,
            contact: &named,
            missing: 2,
            first: false,
            before: Some(LocalId(3)),
            came: true,
        },
        Item::Conversation { conversation: &conversation, last: Some(&shown.message) },
        Item::Timer { conversation: &place, by: None, seconds: Some(60) },
        Item::Shares { conversation: &team, shares: Shares { presence: false, typing: true } },
        Item::Typing { conversation: &place, contact: &named, on: true },
        Item::Draft { conversation: &place, draft: None },
    ])
}

fn group_lines() -> Vec<Value> {
    let place = Where { id: ConversationId(2), name: "team".to_owned(), with: Talk::Group(LocalGroup(1)) };
    let us = AccountId([7; 32]);
    let keyserver = ServerAddress::parse("hush://keys.example.org", 1).unwrap();
    let member = Member { role: Role::Owner, keyserver: keyserver.clone(), since: ChangeHash([1; 32]) };
    let invite = Invite { by: us, opened: ChangeHash([1; 32]), approval: false, expires_at: None, uses: None, used: 0 };
    let request = Request { invite: InviteId([1; 16]), keyserver, join: ChangeHash([2; 32]), at: AT };
    let state = GroupState {
        id: GroupId([1; 32]),
        name: "team".to_owned(),
        announce: false,
        timer: None,
        members: [(us, member)].into(),
        banned: [AccountId([8; 32])].into(),
        requests: [(AccountId([9; 32]), request)].into(),
        invites: [(InviteId([1; 16]), invite)].into(),
        founded_at: AT,
    };
    let group = Group {
        conversation: place.id,
        standing: GroupStanding::Member,
        state,
        names: BTreeMap::new(),
        invited: Vec::new(),
    };
    let request = GroupRequest {
        id: LocalRequest(1),
        group: group.state.id,
        name: "team".to_owned(),
        from: contact(),
        members: 3,
        known: vec!["bob".to_owned()],
        at: AT,
    };
    let done = Done { kind: "leave", words: "left".to_owned(), to: Vec::new(), void: None };
    let change = GroupChange {
        place: place.clone(),
        change: "ab".to_owned(),
        height: 1,
        author: "alice".to_owned(),
        account: us,
        at: AT,
        what: vec![done],
    };
    printed(&[
        Item::Group { place: &place, group: Some(&group), us, whole: true },
        Item::GroupLink { conversation: &place, link: "hushwire:g#A" },
        Item::GroupChange { change: &change, dated: false },
        Item::GroupRequest(&request),
        Item::GroupJoined(&place),
        Item::GroupLeft(&place),
        Item::GroupNotJoined { name: "team", reason: "closed" },
    ])
}

/// Type to fields (with whether each may be null), as the table in OUTPUT.md has them.
fn documented() -> BTreeMap<String, BTreeMap<String, bool>> {
    let mut table: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    let page = include_str!("../../../OUTPUT.md");
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let [kind, _, fields] = row.trim_matches('|').split(" | ").collect::<Vec<_>>()[..] else { continue };
        let kind = kind.split('`').nth(1).unwrap().to_owned();
        let mut listed = BTreeMap::new();
        let mut own = fields;
        if let Some(as_other) = fields.trim().strip_prefix("as ") {
            let (other, more) = as_other.split_once(", with ").unwrap_or((as_other, ""));
            listed.extend(table.get(other.trim().trim_matches('`')).unwrap().clone());
            own = more;
        }
        for field in own.split_whitespace().filter(|field| field.starts_with('`')) {
            listed.insert(field.split('`').nth(1).unwrap().to_owned(), field.ends_with('?'));
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
    let line = line(&Item::Message(&shown(message(&text, false))), "default");
    assert!(!line.chars().any(text::is_unsafe));
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read.get("text").and_then(Value::as_str), Some(text.as_str()));
}

#[test]
fn a_time_is_rfc_3339_with_milliseconds() {
    assert_eq!(time(AT).as_deref(), Some("2027-01-15T08:00:00.123Z"));
    assert_eq!(time(UnixMillis(u64::MAX)), None);
}
