//! `hush delete`: nothing of what was written in a conversation stays on this device.

use std::io::{self, IsTerminal as _, Write as _};

use hushwire_client::{Command, Page, Talk};

use crate::app::App;
use crate::args::Delete;
use crate::exit::{Exit, Failure};
use crate::show::{Item, Where};
use crate::text;

pub(super) async fn run(app: &App, args: &Delete) -> Result<(), Failure> {
    let client = app.client().await?;
    let conversation = app.talk(&args.with).await?;
    let name = text::clean_line(&conversation.name);
    if !args.yes {
        let id = conversation.id;
        let page = Page { limit: 1, ..Page::default() };
        let is_empty = client.query(move |engine| engine.history(Some(id), page)).await?.is_empty();
        let whom = match conversation.with {
            Talk::Contact(_) => format!("with {name}"),
            Talk::Group(_) => format!("in the group {name}"),
        };
        if !is_empty && !is_wanted(&format!("Delete everything that was written {whom}, on this device? [y/N] "))? {
            return Err(Failure::new(Exit::Usage, "nothing was deleted"));
        }
    }
    client.command(Command::DeleteConversation(conversation.id)).await?;
    app.out().item(&Item::ConversationDeleted(&Where::from(&conversation)))
}

/// Asks a person, if there is one.
fn is_wanted(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("nothing is deleted without a yes, and nobody is there to ask", "add --yes"));
    }
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes()).and_then(|()| err.flush())?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
