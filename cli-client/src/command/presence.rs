//! `hush typing` and `hush presence`: what two people may see of each other while they write.

use std::time::Duration;

use hushwire_client::{Command, Contact, Event, EventStream, Seen};

use crate::app::App;
use crate::args::{Presence, Typing};
use crate::exit::{Exit, Failure};
use crate::show::{Item, Named};
use crate::text;

/// A device that is there answers at once.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

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
    let Some(on) = args.on else { return ask(app, &contact).await };
    app.client().await?.command(Command::SharePresence(contact.id, on)).await?;
    let (name, word) = (text::clean_line(&contact.name), text::shell_word(&contact.name));
    app.out().note(&match on {
        true => format!("{name} may ask whether you are there. If they share it too: hush presence {word}"),
        false => format!("{name} is not told any more whether you are there."),
    });
    app.tell_others(TOLD_WITHIN).await
}

async fn ask(app: &App, contact: &Contact) -> Result<(), Failure> {
    let client = app.client().await?;
    let mut events = client.events();
    let deadline = app.timeout(ANSWERED_WITHIN);
    app.fetch(deadline).await?;
    client.command(Command::AskPresence(contact.id)).await?;
    let named = Named::from(contact);
    match tokio::time::timeout(deadline, answered(&mut events, contact)).await {
        Ok(seen) => app.out().item(&Item::Presence { contact: &named, seen: seen? }),
        Err(_) => {
            let (name, word) = (text::clean_line(&contact.name), text::shell_word(&contact.name));
            app.out().note(&format!(
                "No answer: {name} is not there, or one of you does not share it. `hush presence {word} on` shares yours."
            ));
            Ok(())
        }
    }
}

async fn answered(events: &mut EventStream, whom: &Contact) -> Result<Seen, Failure> {
    loop {
        match events.next().await {
            Some(Ok(Event::Presence { contact, seen })) if contact == whom.id => return Ok(seen),
            Some(_) => {}
            None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
        }
    }
}
