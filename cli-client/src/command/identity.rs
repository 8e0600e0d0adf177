//! `hush identity`: what is done about new devices of contacts, and agreeing to them.

use std::time::Duration;

use hushwire_client::{Command, Contact, Policy};

use crate::app::App;
use crate::args::{Choice, Identity, PolicyArgs};
use crate::exit::Failure;
use crate::show::Item;
use crate::text;

/// For what waited.
const SENT_WITHIN: Duration = Duration::from_secs(8);

pub(super) async fn run(app: &App, args: Identity) -> Result<(), Failure> {
    match args {
        Identity::List => list(app).await,
        Identity::Trust { contact } => trust(app, &contact).await,
        Identity::Policy(args) => policy(app, &args).await,
    }
}

async fn list(app: &App) -> Result<(), Failure> {
    let client = app.client().await?;
    let (default, all) = client.query(|engine| Ok((engine.default_policy()?, engine.identities()?))).await?;
    app.out().item(&Item::DefaultPolicy(default))?;
    for identity in &all {
        app.out().item(&Item::Identity(identity))?;
    }
    Ok(())
}

async fn trust(app: &App, asked: &str) -> Result<(), Failure> {
    let (client, contact) = (app.client().await?, app.contact(asked).await?);
    let id = contact.id;
    let before = client.query(move |engine| engine.identity(id)).await?;
    let waits = before.is_some_and(|identity| identity.new.iter().any(|device| device.listed));
    client.command(Command::AgreeToDevices(id)).await?;
    show(app, &contact).await?;
    let name = text::clean_line(&contact.name);
    if !waits {
        app.out().note(&format!("No device of {name} waits for you."));
        return Ok(());
    }
    app.tell_others(SENT_WITHIN).await
}

async fn policy(app: &App, args: &PolicyArgs) -> Result<(), Failure> {
    let chosen = match args.policy {
        Choice::Accept => Some(Policy::Accept),
        Choice::Hold => Some(Policy::Hold),
        Choice::Block => Some(Policy::Block),
        Choice::Default => None,
    };
    let client = app.client().await?;
    match &args.contact {
        Some(asked) => {
            let contact = app.contact(asked).await?;
            client.command(Command::SetPolicy(contact.id, chosen)).await?;
            show(app, &contact).await?;
        }
        None => {
            let policy = chosen.unwrap_or(Policy::Accept);
            client.command(Command::SetDefaultPolicy(policy)).await?;
            app.out().item(&Item::DefaultPolicy(policy))?;
        }
    }
    if client.query(|engine| engine.has_work()).await? { app.tell_others(SENT_WITHIN).await } else { Ok(()) }
}

async fn show(app: &App, contact: &Contact) -> Result<(), Failure> {
    let id = contact.id;
    match app.client().await?.query(move |engine| engine.identity(id)).await? {
        Some(identity) => app.out().item(&Item::Identity(&identity)),
        None => Ok(()),
    }
}
