//! `hush history`: the conversation as it is kept here.

use std::time::Duration;

use hushwire_client::{Client, Command, Conversation, ConversationId, LocalId, Message, Page};

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
    let conversation = app.talk(&args.with).await?;
    let limit = if args.all { u32::MAX } else { args.limit };
    let messages = match (args.unread, conversation.first_unread, args.around) {
        (true, Some(first), _) => from(client, conversation.id, first, limit).await?,
        (true, None, _) => Vec::new(),
        (false, _, Some(id)) => around(client, &conversation, LocalId(id), limit).await?,
        (false, _, None) => last(client, conversation.id, args.before.map(LocalId), limit).await?,
    };
    let (first, through) = (messages.first().map(|message| message.id), super::last_of_others(&messages));
    if messages.is_empty() {
        let name = text::clean_line(&conversation.name);
        app.out().note(&match args.unread {
            true => format!("Nothing of {name} is unread."),
            false => format!("Nothing was written with {name} yet."),
        });
    }
    let gaps = app.gaps(conversation.id).await?;
    let end = messages.last().map(|message| message.id);
    for shown in app.all_shown(messages).await? {
        for gap in gaps.before(shown.message.id) {
            app.out().item(&gap)?;
        }
        app.out().item(&Item::Message(&shown))?;
    }
    if end == last(client, conversation.id, None, 1).await?.last().map(|message| message.id) {
        for gap in gaps.at_the_end() {
            app.out().item(&gap)?;
        }
    }
    match (first, through) {
        (Some(first), Some(through)) if conversation.unread > 0 => {
            match client.query(move |engine| engine.unread_before(first)).await? {
                0 => mark_read(app, client, conversation.id, through).await,
                older => {
                    tell_older(app, &conversation, older);
                    Ok(())
                }
            }
        }
        _ => Ok(()),
    }
}

/// Nobody is told that what stands before these was read, and so neither of these.
pub(super) fn tell_older(app: &App, conversation: &Conversation, older: u32) {
    let what = if older == 1 { "1 older message is" } else { &format!("{older} older messages are") };
    let name = text::shell_word(&conversation.name);
    app.out()
        .note(&format!("{what} unread, so nothing was marked as read: `hush history {name} --unread` begins there."));
}

/// The last messages, oldest first.
pub(super) async fn last(
    client: &Client,
    id: ConversationId,
    before: Option<LocalId>,
    limit: u32,
) -> Result<Vec<Message>, Failure> {
    let (mut before, mut left) = (before, limit);
    let mut pages = Vec::new();
    while left > 0 {
        let limit = left.min(PAGE_LEN);
        let page = client.query(move |engine| engine.history(Some(id), Page { before, after: None, limit })).await?;
        let Some(first) = page.first() else { break };
        before = Some(first.id);
        left = left.saturating_sub(len(&page));
        pages.push(page);
    }
    pages.reverse();
    Ok(pages.concat())
}

/// A message in the middle of others.
async fn around(client: &Client, of: &Conversation, id: LocalId, limit: u32) -> Result<Vec<Message>, Failure> {
    let found = client.query(move |engine| engine.message(id)).await?;
    if found.is_none_or(|message| message.conversation != of.id) {
        return Err(Failure::usage(
            format!("message #{} is not in this conversation", id.0),
            "`hush message show` says where a message is",
        ));
    }
    let behind = limit / 2;
    let mut messages = last(client, of.id, Some(id), limit - behind - 1).await?;
    messages.extend(from(client, of.id, id, behind + 1).await?);
    Ok(messages)
}

/// The messages from this one on, oldest first.
pub(super) async fn from(
    client: &Client,
    id: ConversationId,
    first: LocalId,
    limit: u32,
) -> Result<Vec<Message>, Failure> {
    let Some(message) = client.query(move |engine| engine.message(first)).await? else { return Ok(Vec::new()) };
    let (mut after, mut left) = (first, limit.saturating_sub(1));
    let mut found = vec![message];
    while left > 0 {
        let page = Page { before: None, after: Some(after), limit: left.min(PAGE_LEN) };
        let page = client.query(move |engine| engine.history(Some(id), page)).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        left = left.saturating_sub(len(&page));
        found.extend(page);
    }
    Ok(found)
}

fn len(page: &[Message]) -> u32 {
    u32::try_from(page.len()).unwrap_or(u32::MAX)
}

/// What was shown is read. The sender hears of it now if the relay is near, and else with the next command.
async fn mark_read(app: &App, client: &Client, conversation: ConversationId, through: LocalId) -> Result<(), Failure> {
    client.command(Command::MarkRead { conversation, through }).await?;
    app.get_out(TOLD_WITHIN).await?;
    Ok(())
}
