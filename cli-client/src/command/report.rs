//! What happens beside messages, shown the same way by every command that stays.

use std::collections::BTreeMap;

use hushwire_client::group::{Invite, Role};
use hushwire_client::ids::InviteId;
use hushwire_client::{ConversationId, Event, GroupEntry, GroupRequest};

use crate::app::App;
use crate::exit::Failure;
use crate::show::{self, GroupChange, Item, Where};
use crate::text;

/// Shows the event unless it is about a message that came, which is the caller's. Whether there was something to show.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn event(app: &App, event: &Event) -> Result<bool, Failure> {
    let out = app.out();
    match event {
        Event::Received(_) | Event::ContactAdded(_) | Event::ContactNotFound { .. } | Event::Registered => {
            return Ok(false);
        }
        Event::GroupRequest(request) => out.item(&Item::GroupRequest(&asked_now(app, request).await?))?,
        Event::GroupJoined { conversation } => out.item(&Item::GroupJoined(&app.conversation(*conversation).await?))?,
        Event::GroupLeft { conversation } => out.item(&Item::GroupLeft(&app.conversation(*conversation).await?))?,
        Event::GroupNotJoined { name, reason } => out.item(&Item::GroupNotJoined { name, reason })?,
        Event::GroupChanged { conversation, entry } => {
            let open = open_links(app, *conversation).await?;
            let change = group_change(app, app.conversation(*conversation).await?, entry, &open).await?;
            out.item(&Item::GroupChange { change: &change, dated: false })?;
            if let Some(advice) = asks(app, *conversation, entry).await? {
                out.note(&advice);
            }
        }
        Event::LogChecked(_) | Event::LogNotChecked { .. } => return Ok(false),
        // Programs may want to know; people who look at a list of messages do not.
        Event::Typing { conversation, contact, on } if out.is_json() => {
            let (place, contact) = (app.conversation(*conversation).await?, app.named(*contact).await?);
            out.item(&Item::Typing { conversation: &place, contact: &contact, on: *on })?;
        }
        Event::Typing { .. } | Event::Presence { .. } => return Ok(false),
        Event::DevicesChanged { contact, change, policy } => {
            let (contact, policy) = (app.named(*contact).await?, Some(*policy));
            out.item(&Item::Devices { contact: Some(&contact), change, policy })?;
        }
        Event::MessageChanged { message, by, change } => {
            let (shown, by) = (app.shown(message.clone()).await?, app.named_if(*by).await?);
            out.item(&Item::MessageChanged { shown: &shown, by: by.as_ref(), change })?;
        }
        Event::TimerChanged { conversation, by, seconds } => {
            let conversation = app.conversation(*conversation).await?;
            let by = match by {
                Some(by) => Some(app.named(*by).await?),
                None => None,
            };
            out.item(&Item::Timer { conversation: &conversation, by: by.as_ref(), seconds: *seconds })?;
        }
        Event::Disappeared { conversation, message } => {
            let conversation = app.conversation(*conversation).await?;
            out.item(&Item::Disappeared { id: *message, conversation: &conversation })?;
        }
        Event::OwnDevicesChanged { change: None } => return Ok(false),
        Event::OwnDevicesChanged { change: Some(change) } => {
            out.item(&Item::Devices { contact: None, change, policy: None })?;
        }
        Event::OwnDevicesNotChanged { reason } => out.item(&Item::DevicesNotChanged { reason })?,
        Event::OwnDevicesForked => out.item(&Item::DevicesForked)?,
        Event::Revoked => out.item(&Item::Revoked)?,
        Event::RegistrationFailed(why) => {
            out.warn(&format!("the keyserver refused the account: {}", text::clean_line(&why.to_string())));
            return Ok(false);
        }
        Event::ContactRequest(contact) => out.item(&Item::Request(&app.as_now(contact).await?))?,
        Event::StateChanged { id, conversation, state } => {
            let conversation = app.conversation(*conversation).await?;
            let heard = app.heard(*id).await?;
            out.item(&Item::State { id: *id, conversation: &conversation, state: *state, heard })?;
        }
        Event::Retrying { contact, reason, next_try } => {
            out.item(&Item::Retrying { contact: &app.named(*contact).await?, reason, next_try: *next_try })?;
        }
        Event::Gap { conversation, contact, missing, first } => {
            let (conversation, contact) = (app.conversation(*conversation).await?, app.named(*contact).await?);
            let (missing, first, conversation, contact) = (*missing, *first, &conversation, &contact);
            out.item(&Item::Gap { conversation, contact, missing, first, before: None, came: true })?;
        }
        Event::ConversationDeleted(id) => out.item(&Item::ConversationDeleted(&app.conversation(*id).await?))?,
        Event::Expired => out.item(&Item::Expired)?,
        Event::Undecryptable { code, reason, asked_again } => {
            out.item(&Item::Undecryptable { code: *code, reason, asked_again: *asked_again })?;
        }
        Event::KeyserverLies { keyserver, lie } => out.item(&Item::KeyserverLies { keyserver, lie })?,
        Event::IdentityChanged { contact } => {
            out.item(&Item::IdentityChanged { contact: &app.named(*contact).await? })?;
        }
    }
    Ok(true)
}

/// A request with what was learnt since of who asks.
async fn asked_now(app: &App, request: &GroupRequest) -> Result<GroupRequest, Failure> {
    Ok(GroupRequest { from: app.as_now(&request.from).await?, ..request.clone() })
}

/// The links of a group that are open now.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn open_links(app: &App, id: ConversationId) -> Result<BTreeMap<InviteId, Invite>, Failure> {
    let group = app.client().await?.query(move |engine| engine.group(id)).await?;
    Ok(group.map(|group| group.state.invites).unwrap_or_default())
}

/// A change of a group in words, with what those are called here whom it is about. `open`: see [`open_links`].
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn group_change(
    app: &App,
    place: Where,
    entry: &GroupEntry,
    open: &BTreeMap<InviteId, Invite>,
) -> Result<GroupChange, Failure> {
    let about = entry.what.iter().flat_map(|(op, _)| show::accounts_of(op));
    let names = app.names(about.chain([entry.author])).await?;
    let what = entry.what.iter().map(|(op, void)| show::done(op, entry.author, *void, &names, open)).collect();
    let author = names.get(&entry.author).cloned().unwrap_or_default();
    let (change, height, account, at) = (entry.hash.to_string(), entry.height, entry.author, entry.at);
    Ok(GroupChange { place, change, height, author, account, at, what })
}

/// What an admin may type when this change asks to be let in, and nobody has answered it.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn asks(
    app: &App,
    conversation: ConversationId,
    entry: &GroupEntry,
) -> Result<Option<String>, Failure> {
    let Some(group) = app.client().await?.query(move |engine| engine.group(conversation)).await? else {
        return Ok(None);
    };
    let us = app.profile().await?.account;
    let waits = group.state.requests.get(&entry.author).is_some_and(|request| request.join == entry.hash);
    if !waits || group.state.role(&us) < Some(Role::Admin) {
        return Ok(None);
    }
    let name = app.names([entry.author]).await?.remove(&entry.author).unwrap_or_default();
    let (name, group) = (text::shell_word(&name), text::shell_word(&group.state.name));
    Ok(Some(format!("   `hush group admit {group} {name}` or `hush group refuse {group} {name}`")))
}
