//! `hush outbox`: what has not left yet, and why.

use crate::app::App;
use crate::exit::Failure;
use crate::show::Item;

pub(super) async fn run(app: &App) -> Result<(), Failure> {
    let waiting = app.client().await?.query(|engine| engine.waiting()).await?;
    for message in &waiting {
        app.out().item(&Item::Waiting(message))?;
    }
    if waiting.is_empty() {
        app.out().note("Nothing waits: the relay has everything that you wrote.");
    } else {
        app.out().note("These go out with the next command that connects, such as `hush receive`.");
    }
    Ok(())
}
