//! `hush outbox`: what has not left yet, and why.

use crate::app::App;
use crate::exit::Failure;
use crate::show::{self, Item};
use crate::text;

pub(super) async fn run(app: &App) -> Result<(), Failure> {
    let client = app.client().await?;
    let (waiting, identities) = client.query(|engine| Ok((engine.waiting()?, engine.identities()?))).await?;
    for message in &waiting {
        app.out().item(&Item::Waiting(message))?;
    }
    if waiting.is_empty() {
        app.out().note("Nothing waits: the relay has everything that you wrote.");
    } else {
        app.out().note("These go out with the next command that connects, such as `hush receive`.");
    }
    for held in identities.iter().filter(|identity| identity.held) {
        let (name, agree) = (text::clean_line(&held.contact.name), show::agree(&held.contact.name));
        app.out().note(&format!("What is for {name} goes out once you agree to their new devices: {agree}"));
    }
    Ok(())
}
