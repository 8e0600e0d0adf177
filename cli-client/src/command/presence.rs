//! `hush typing` and `hush presence`: what people may see of each other while a conversation is open. It is seen in a chat.

use std::time::Duration;

use hushwire_client::{Command, Conversation, Talk};

use crate::app::App;
use crate::args::{Presence, Typing};
use crate::exit::Failure;
use crate::show::{Item, Where};
use crate::text;

/// For the key by which the other can hear us.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn typing(app: &App, args: &Typing) -> Result<(), Failure> {
    let with = app.talk(&args.with).await?;
    if let Some(on) = args.on {
        app.client().await?.command(Command::ShareTyping(with.id, on)).await?;
    }
    let on = show(app, &with).await?.typing;
    let name = text::clean_line(&with.name);
    app.out().note(&match (with.with, on) {
        (Talk::Contact(_), true) => format!("{name} may see when you type in `hush chat`, and you see when they do."),
        (Talk::Contact(_), false) => format!("{name} does not see when you type, and you do not see when they do."),
        (Talk::Group(_), true) => {
            format!(
                "Members of {name} who switch it on too see when you type in `hush chat`, and you see when they do."
            )
        }
        (Talk::Group(_), false) => format!("Nobody in {name} sees when you type, and you do not see when others do."),
    });
    tell(app, &with, args.on.is_some()).await
}

pub(super) async fn presence(app: &App, args: &Presence) -> Result<(), Failure> {
    let contact = app.contact(&args.contact).await?;
    if let Some(on) = args.on {
        app.client().await?.command(Command::SharePresence(contact.id, on)).await?;
    }
    let with = app.talk(&contact.account.to_string()).await?;
    let on = show(app, &with).await?.presence;
    let name = text::clean_line(&contact.name);
    app.out().note(&match on {
        true => format!(
            "{name} may see whether you are there. Once they share it too, `hush chat` shows it while it is open."
        ),
        false => format!("{name} does not see whether you are there, and you do not see whether they are."),
    });
    tell(app, &with, args.on.is_some()).await
}

async fn show(app: &App, with: &Conversation) -> Result<hushwire_client::Shares, Failure> {
    let id = with.id;
    let shares = app.client().await?.query(move |engine| engine.shares(id)).await?;
    app.out().item(&Item::Shares { conversation: &Where::from(with), shares })?;
    Ok(shares)
}

/// A contact may lack our key; a group needs none of its own.
async fn tell(app: &App, with: &Conversation, changed: bool) -> Result<(), Failure> {
    match with.with {
        Talk::Contact(_) if changed => app.tell_others(TOLD_WITHIN).await,
        Talk::Contact(_) | Talk::Group(_) => Ok(()),
    }
}
