//! `hush contact`: add, list, accept, block, rename.

use std::time::Duration;

use hushwire_client::address::ServerAddress;
use hushwire_client::{Command, Contact as Row, Event, EventStream, NewContact, Standing};

use super::whom;
use crate::app::App;
use crate::args::Contact;
use crate::exit::{Exit, Failure};
use crate::show::Item;
use crate::text;

/// A keyserver far away, tried twice.
const FOUND_WITHIN: Duration = Duration::from_secs(20);

/// Longer than one lost packet: what has to be told to the own relay after a change.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// How those are called who came without a name.
const NAMELESS: &str = "unknown-";

pub(super) async fn run(app: &App, args: Contact) -> Result<(), Failure> {
    match args {
        Contact::Add { who, name, keyserver } => add(app, &who, name, keyserver).await,
        Contact::List => list(app).await,
        Contact::Accept { contact } => accept(app, &contact).await,
        Contact::Block { contact } => block(app, &contact).await,
        Contact::Rename { contact, name } => rename(app, &contact, name).await,
    }
}

async fn add(app: &App, who: &str, name: Option<String>, keyserver: Option<ServerAddress>) -> Result<(), Failure> {
    let (client, out) = (app.client().await?, app.out());
    let wanted = whom::wanted(who, keyserver, Some(&app.profile().await?.keyserver))?;
    let mut events = client.events();
    client.command(Command::AddContact { who: wanted.clone(), name }).await?;
    client.connect().await?;
    let deadline = app.timeout(FOUND_WITHIN);
    let contact = match tokio::time::timeout(deadline, found(&mut events, &wanted)).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(silent(&wanted)),
    };
    out.item(&Item::Contact(&contact))?;
    let word = text::shell_word(&contact.name);
    if contact.verified {
        out.note(&format!("Added by link, so it is surely them. Now: hush send {word} \"Hello!\""));
    } else {
        out.note(&format!(
            "Added. Now: hush send {word} \"Hello!\", and compare safety numbers some day: hush verify {word}"
        ));
    }
    Ok(())
}

async fn found(events: &mut EventStream, wanted: &NewContact) -> Result<Row, Failure> {
    let mut untrusted = false;
    loop {
        match events.next().await {
            Some(Ok(Event::IdentityChanged { .. })) => untrusted = true,
            Some(Ok(Event::ContactAdded(contact))) if is_wanted(&contact, wanted) => return Ok(contact),
            Some(Ok(Event::ContactNotFound { asked, reason, retryable })) if asked == name_of(wanted) => {
                let reason = text::clean_line(&reason);
                let exit = match (untrusted, retryable) {
                    (true, _) => Exit::Untrusted,
                    (false, true) => Exit::Network,
                    (false, false) => Exit::Usage,
                };
                let failure = Failure::new(exit, reason);
                return Err(match exit {
                    Exit::Untrusted => failure.hint("`hush verify` shows the safety number to compare"),
                    Exit::Network => failure.hint("`hush doctor` looks at the connection"),
                    _ => failure, // the reason says what to do
                });
            }
            Some(_) => {}
            None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
        }
    }
}

fn is_wanted(contact: &Row, wanted: &NewContact) -> bool {
    match wanted {
        NewContact::Link(link) => contact.account == link.account,
        NewContact::Handle(handle, _) => contact.handle.as_deref() == Some(handle.to_string().as_str()),
    }
}

/// How an event names what was asked for.
fn name_of(wanted: &NewContact) -> String {
    match wanted {
        NewContact::Link(link) => link.to_string(),
        NewContact::Handle(handle, _) => handle.to_string(),
    }
}

fn silent(wanted: &NewContact) -> Failure {
    let server = match wanted {
        NewContact::Link(link) => &link.keyserver,
        NewContact::Handle(_, server) => server,
    };
    Failure::new(Exit::Network, format!("the keyserver {server} did not answer in time"))
        .hint("try again later; `hush doctor` looks at the connection")
}

async fn list(app: &App) -> Result<(), Failure> {
    let contacts = app.client().await?.query(|engine| engine.contacts()).await?;
    for contact in &contacts {
        app.out().item(&Item::Contact(contact))?;
    }
    if contacts.is_empty() {
        app.out().note("No contacts yet. `hush contact add LINK-OR-HANDLE` adds one; `hush link` lets others add you.");
    }
    Ok(())
}

async fn accept(app: &App, asked: &str) -> Result<(), Failure> {
    let contact = app.contact(asked).await?;
    app.client().await?.command(Command::Accept(contact.id)).await?;
    changed(app, &contact).await?;
    app.out().note("From now on they are told that their messages arrive.");
    if contact.handle.is_none() && contact.name.starts_with(NAMELESS) {
        let word = text::shell_word(&contact.name);
        app.out().note(&format!("To call them something that you know: hush contact rename {word} NAME"));
    }
    Ok(())
}

async fn block(app: &App, asked: &str) -> Result<(), Failure> {
    let contact = app.contact(asked).await?;
    if contact.standing == Standing::Blocked {
        app.out().note("They are blocked already.");
    }
    app.client().await?.command(Command::Block(contact.id)).await?;
    changed(app, &contact).await?;
    app.out().note("Nothing from them is shown any more. They are not told.");
    Ok(())
}

async fn rename(app: &App, asked: &str, name: String) -> Result<(), Failure> {
    let contact = app.contact(asked).await?;
    app.client().await?.command(Command::Rename(contact.id, name)).await?;
    show(app, &contact).await
}

/// Shows the contact as it is now, and lets the relay know what it has to.
async fn changed(app: &App, contact: &Row) -> Result<(), Failure> {
    show(app, contact).await?;
    app.get_out(TOLD_WITHIN).await?;
    Ok(())
}

async fn show(app: &App, contact: &Row) -> Result<(), Failure> {
    app.out().item(&Item::Contact(&app.as_now(contact).await?))
}
