//! `hush typing` and `hush presence`: what people may see of each other while a conversation is open. It is seen in a chat.

use std::time::Duration;

use hushwire_client::{Command, Talk};

use crate::app::App;
use crate::args::{Presence, Typing};
use crate::exit::Failure;
use crate::text;

/// For the key by which the other can hear us.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn typing(app: &App, args: &Typing) -> Result<(), Failure> {
    let with = app.talk(&args.with).await?;
    app.client().await?.command(Command::ShareTyping(with.id, args.on)).await?;
    let name = text::clean_line(&with.name);
    app.out().note(&match (with.with, args.on) {
        (Talk::Contact(_), true) => format!("{name} may see when you type in `hush chat`, and you see when they do."),
        (Talk::Contact(_), false) => format!("{name} does not see when you type, and you do not see when they do."),
        (Talk::Group(_), true) => format!(
            "Members of {name} who switch it on too see when you type in `hush chat`, and you see when they do."
        ),
        (Talk::Group(_), false) => format!("Nobody in {name} sees when you type, and you do not see when others do."),
    });
    match with.with {
        Talk::Contact(_) => app.tell_others(TOLD_WITHIN).await,
        Talk::Group(_) => Ok(()),
    }
}

pub(super) async fn presence(app: &App, args: &Presence) -> Result<(), Failure> {
    let contact = app.contact(&args.contact).await?;
    app.client().await?.command(Command::SharePresence(contact.id, args.on)).await?;
    let name = text::clean_line(&contact.name);
    app.out().note(&match args.on {
        true => format!(
            "{name} may see whether you are there. Once they share it too, `hush chat` shows it while it is open."
        ),
        false => format!("{name} does not see whether you are there, and you do not see whether they are."),
    });
    app.tell_others(TOLD_WITHIN).await
}
