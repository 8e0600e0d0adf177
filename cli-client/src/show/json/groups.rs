//! Conversations and groups as JSON.

use hushwire_client::ids::AccountId;
use hushwire_client::{Conversation, Group, GroupRequest, Message};
use serde_json::{Value, json};

use super::{Item, place, time, with};
use crate::show::item::{GroupChange, Where};
use crate::show::words::{group_standing_word, role_word};

/// The type and the fields of these items; an empty object for others.
pub(super) fn fields(item: &Item<'_>) -> (&'static str, Value) {
    match item {
        Item::Conversation { conversation, last } => ("conversation", conversation_of(conversation, *last)),
        Item::Timer { conversation, by, seconds } => {
            let by = json!({"by": by.map(|by| &by.name), "by_id": by.map(|by| by.id.0), "seconds": seconds});
            ("timer", with(place(conversation), by))
        }
        Item::Draft { conversation, draft } => ("draft", with(place(conversation), json!({"draft": draft}))),
        Item::Group { place: at, group, us, .. } => ("group", group_of(at, *group, *us)),
        Item::GroupLink { conversation, link } => ("group_link", with(of(conversation), json!({"link": link}))),
        Item::GroupChange { change, .. } => ("group_change", change_of(change)),
        Item::GroupRequest(request) => ("group_request", request_of(request)),
        Item::GroupJoined(at) => ("group_joined", of(at)),
        Item::GroupLeft(at) => ("group_left", of(at)),
        Item::GroupNotJoined { name, reason } => ("group_not_joined", json!({"conversation": name, "reason": reason})),
        _ => ("", json!({})),
    }
}

/// Of a group there is no contact to tell.
fn of(group: &Where) -> Value {
    json!({"conversation": group.name, "conversation_id": group.id.0})
}

fn request_of(request: &GroupRequest) -> Value {
    json!({
        "request": request.id.0, "name": request.name, "group_id": request.group.to_string(), "members": request.members,
        "known": request.known, "contact": request.from.name, "contact_id": request.from.id.0,
        "account_id": request.from.account.to_string(), "handle": request.from.handle,
        "claimed_handle": request.from.claimed_handle, "timestamp": time(request.at), "timestamp_ms": request.at.0,
    })
}

fn conversation_of(conversation: &Conversation, last: Option<&Message>) -> Value {
    let last = last.map(|message| {
        json!({
            "id": message.id.0, "direction": if message.outgoing { "out" } else { "in" },
            "contact": message.author.map(|_| &message.author_name), "text": message.text, "deleted": message.deleted,
        })
    });
    let fields = json!({
        "unread": conversation.unread, "first_unread": conversation.first_unread.map(|id| id.0),
        "mentions": conversation.mentions,
        "active": time(conversation.active_at), "active_ms": conversation.active_at.0,
        "muted_until": conversation.muted_until.and_then(time),
        "muted_until_ms": conversation.muted_until.map(|until| until.0),
        "archived": conversation.archived, "draft": conversation.draft, "receipts": conversation.receipts,
        "timer": conversation.timer_s, "last": last,
    });
    with(place(&Where::from(conversation)), fields)
}

fn group_of(at: &Where, group: Option<&Group>, us: AccountId) -> Value {
    let standing = json!({"standing": group_standing_word(group.map(|group| group.standing))});
    let state = group.map(|group| &group.state);
    let person = |account: &AccountId| {
        let name = group.and_then(|group| group.names.get(account));
        json!({"contact": name, "account_id": account.to_string(), "is_me": *account == us})
    };
    let members: Option<Vec<Value>> = state.map(|state| {
        let invited = |account| group.is_some_and(|group| group.invited.contains(account));
        let member = |account| {
            let role = json!({"role": state.role(account).map(role_word), "invited": invited(account)});
            with(person(account), role)
        };
        state.members.keys().map(member).collect()
    });
    let requests: Option<Vec<Value>> = state.map(|state| {
        let asks = |(account, request): (&AccountId, &hushwire_client::group::Request)| {
            with(person(account), json!({"timestamp": time(request.at), "timestamp_ms": request.at.0}))
        };
        state.requests.iter().map(asks).collect()
    });
    let banned: Option<Vec<Value>> = state.map(|state| state.banned.iter().map(person).collect());
    let links: Option<Vec<Value>> = state.map(|state| {
        let link = |(id, invite): (&hushwire_client::ids::InviteId, &hushwire_client::group::Invite)| {
            json!({
                "invite": id.to_string(), "by": invite.by.to_string(), "approval": invite.approval,
                "expires": invite.expires_at.and_then(time), "expires_ms": invite.expires_at.map(|at| at.0),
                "uses": invite.uses, "used": invite.used,
            })
        };
        state.invites.iter().map(link).collect()
    });
    let fields = json!({
        "group_id": state.map(|state| state.id.to_string()), "role": state.and_then(|state| state.role(&us)).map(role_word),
        "announce": state.map(|state| state.announce), "timer": state.and_then(|state| state.timer),
        "founded": state.and_then(|state| time(state.founded_at)), "founded_ms": state.map(|state| state.founded_at.0),
        "members": members, "requests": requests, "banned": banned, "links": links,
    });
    with(of(at), with(standing, fields))
}

fn change_of(change: &GroupChange) -> Value {
    let what: Vec<Value> = change
        .what
        .iter()
        .map(|done| json!({"kind": done.kind, "words": done.words, "to": done.to, "without_effect": done.void}))
        .collect();
    let fields = json!({
        "change": change.change, "height": change.height, "author": change.author,
        "account_id": change.account.to_string(), "timestamp": time(change.at), "timestamp_ms": change.at.0, "what": what,
    });
    with(of(&change.place), fields)
}
