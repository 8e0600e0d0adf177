//! `hush history`: the conversation as it is kept here.

use std::time::Duration;

use hushwire_client::{Client, Command, Contact, LocalId, Message, Page};

use crate::app::App;
use crate::args::History;
use crate::exit::Failure;
use crate::show::Item;
use crate::text;

/// Messages read from the database at a time.
const PAGE_LEN: u32 = 500;

/// What telling the sender "read" may cost somebody who only wants to look something up.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn run(app: &App, args: &History) -> Result<(), Failure> {
    let client = app.client().await?;
    let contact = app.contact(&args.contact).await?;
    let limit = if args.all { u32::MAX } else { args.limit };
    let messages = last(client, &contact, args.before.map(LocalId), limit).await?;
    for message in &messages {
        app.out().item(&Item::Message(message))?;
    }
    if messages.is_empty() {
        app.out().note(&format!("Nothing was written with {} yet.", text::clean_line(&contact.name)));
    }
    mark_read(app, client, &contact, &messages).await
}

/// The last messages, oldest first.
pub(super) async fn last(
    client: &Client,
    contact: &Contact,
    before: Option<LocalId>,
    limit: u32,
) -> Result<Vec<Message>, Failure> {
    let (id, mut before, mut left) = (contact.conversation, before, limit);
    let mut pages = Vec::new();
    while left > 0 {
        let size = left.min(PAGE_LEN);
        let page =
            client.query(move |engine| engine.history(Some(id), Page { before, after: None, limit: size })).await?;
        let Some(first) = page.first() else { break };
        before = Some(first.id);
        left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        pages.push(page);
    }
    pages.reverse();
    Ok(pages.concat())
}

/// What was shown is read. The sender hears of it now if the relay is near, and else with the next command.
async fn mark_read(app: &App, client: &Client, contact: &Contact, shown: &[Message]) -> Result<(), Failure> {
    let newest = shown.iter().filter(|message| !message.outgoing).map(|message| message.id).max();
    let (Some(through), true) = (newest, contact.unread > 0) else { return Ok(()) };
    client.command(Command::MarkRead { conversation: contact.conversation, through }).await?;
    client.connect().await?;
    let deadline = app.timeout(TOLD_WITHIN);
    if client.drained(deadline).await?.done {
        let _ = client.settle(deadline).await?.done;
    }
    Ok(())
}
