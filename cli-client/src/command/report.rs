//! What happens beside messages, shown the same way by every command that stays.

use hushwire_client::Event;

use crate::app::App;
use crate::exit::Failure;
use crate::show::Item;

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
        Event::GroupJoined { .. }
        | Event::GroupNotJoined { .. }
        | Event::GroupLeft { .. }
        | Event::GroupChanged { .. } => return Ok(false),
        Event::LogChecked(_) | Event::LogNotChecked { .. } => return Ok(false),
        Event::Typing { .. } | Event::Presence { .. } => return Ok(false),
        Event::DevicesChanged { contact, change } => {
            out.item(&Item::Devices { contact: Some(&app.named(*contact).await?), change })?;
        }
        Event::MessageChanged(_) | Event::TimerChanged { .. } | Event::Disappeared { .. } => return Ok(false),
        Event::OwnDevicesChanged { change: None } => return Ok(false),
        Event::OwnDevicesChanged { change: Some(change) } => out.item(&Item::Devices { contact: None, change })?,
        Event::OwnDevicesNotChanged { reason } => out.item(&Item::DevicesNotChanged { reason })?,
        Event::OwnDevicesForked => out.item(&Item::DevicesForked)?,
        Event::Revoked => out.item(&Item::Revoked)?,
        Event::RegistrationFailed(why) => {
            out.warn(&format!("the keyserver refused the account: {}", crate::text::clean_line(&why.to_string())));
            return Ok(false);
        }
        Event::ContactRequest(contact) => out.item(&Item::Request(&app.as_now(contact).await?))?,
        Event::StateChanged { id, conversation, state } => {
            let conversation = app.conversation(*conversation).await?;
            out.item(&Item::State { id: *id, conversation: &conversation, state: *state })?;
        }
        Event::Retrying { contact, reason, next_try } => {
            out.item(&Item::Retrying { contact: &app.named(*contact).await?, reason, next_try: *next_try })?;
        }
        Event::Gap { conversation, contact, missing } => {
            let (conversation, contact) = (app.conversation(*conversation).await?, app.named(*contact).await?);
            out.item(&Item::Gap { conversation: &conversation, contact: &contact, missing: *missing })?;
        }
        Event::Expired => out.item(&Item::Expired)?,
        Event::Undecryptable { reason, .. } => out.item(&Item::Undecryptable { reason })?,
        Event::KeyserverLies { keyserver, lie } => out.item(&Item::KeyserverLies { keyserver, lie })?,
        Event::IdentityChanged { contact } => {
            out.item(&Item::IdentityChanged { contact: &app.named(*contact).await? })?;
        }
    }
    Ok(true)
}
