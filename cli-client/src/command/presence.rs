//! `hush typing` and `hush presence`: what two people may see of each other while they write. It is seen in a chat, which
//! asks over the connection that it writes over.

use std::time::Duration;

use hushwire_client::Command;

use crate::app::App;
use crate::args::{Presence, Typing};
use crate::exit::Failure;
use crate::text;

/// For the key by which the other can hear us.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn typing(app: &App, args: &Typing) -> Result<(), Failure> {
    let contact = app.contact(&args.contact).await?;
    app.client().await?.command(Command::ShareTyping(contact.id, args.on)).await?;
    let name = text::clean_line(&contact.name);
    app.out().note(&match args.on {
        true => format!("{name} may see when you type, and you see when they do."),
        false => format!("{name} does not see when you type, and you do not see when they do."),
    });
    app.tell_others(TOLD_WITHIN).await
}

pub(super) async fn presence(app: &App, args: &Presence) -> Result<(), Failure> {
    let contact = app.contact(&args.contact).await?;
    app.client().await?.command(Command::SharePresence(contact.id, args.on)).await?;
    let name = text::clean_line(&contact.name);
    app.out().note(&match args.on {
        true => format!("{name} may see whether you are there. If they share it too, `hush chat` shows when they are."),
        false => format!("{name} does not see whether you are there, and you do not see whether they are."),
    });
    app.tell_others(TOLD_WITHIN).await
}
