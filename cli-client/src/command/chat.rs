//! `hush chat`: a conversation, line by line. The terminal's own line editor takes the typing; `screen` keeps what is
//! being typed apart from what comes in.

mod screen;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use hushwire_client::{Answer, Client, Command, Contact, ContactId, ConversationId, Event, Message, State};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::app::App;
use crate::args::Chat;
use crate::exit::{Exit, Failure};
use crate::show::Item;
use crate::text;
use screen::Screen;

/// Messages from before that give a talk its beginning.
const HISTORY: u32 = 20;

/// What is written last should leave before the program does.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn run(app: &App, args: &Chat) -> Result<(), Failure> {
    let client = app.client().await?;
    let contact = app.contact(&args.contact).await?;
    let mut talk = Talk {
        app,
        client,
        conversation: contact.conversation,
        contact: Some(contact.id),
        screen: Screen::new(app.out()),
        interrupted: None,
    };
    let mut events = client.events();
    talk.begin(&contact).await?;
    client.connect().await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            biased; // what was typed stands on the screen already
            line = lines.next_line() => match line {
                Ok(Some(line)) => if !talk.typed(&line).await? { break },
                Ok(None) => break,
                Err(error) => return Err(unreadable(&error)),
            },
            event = events.next() => match event {
                Some(Ok(event)) => talk.event(event).await?,
                Some(Err(lagged)) => talk.screen.notice(&format!("-- {lagged}"))?,
                None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
            },
        }
    }
    // Still looking while the last words leave, so that their marks are right.
    let deadline = app.timeout(SETTLED_WITHIN);
    let last = tokio::time::timeout(deadline + Duration::from_secs(1), async {
        let mut settled = std::pin::pin!(settle(client, deadline));
        loop {
            tokio::select! {
                biased;
                Some(Ok(event)) = events.next() => talk.event(event).await?,
                done = &mut settled => return done,
            }
        }
    })
    .await;
    last.unwrap_or(Ok(()))?;
    drop(talk);
    waiting(app, client).await
}

async fn settle(client: &Client, deadline: Duration) -> Result<(), Failure> {
    if client.drained(deadline).await?.done {
        let _ = client.settle(deadline).await?.done;
    }
    Ok(())
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::usage(format!("what was typed cannot be read: {error}"), "messages are text in UTF-8")
}

async fn waiting(app: &App, client: &Client) -> Result<(), Failure> {
    let left = client.query(|engine| engine.waiting()).await?.len();
    match left {
        0 => {}
        1 => app.out().note("1 message is still queued: `hush outbox` shows it, `hush receive` sends it."),
        many => app
            .out()
            .note(&format!("{many} messages are still queued: `hush outbox` shows them, `hush receive` sends them.")),
    }
    Ok(())
}

struct Talk<'a> {
    app: &'a App,
    client: &'a Client,
    conversation: ConversationId,
    /// With whom, unless it is a group.
    contact: Option<ContactId>,
    screen: Screen<'a>,
    /// The contact of the last notice about somebody else, so that it is given once.
    interrupted: Option<ConversationId>,
}

impl Talk<'_> {
    /// The end of the history, and who this is.
    async fn begin(&mut self, contact: &Contact) -> Result<(), Failure> {
        let messages = super::history::last(self.client, contact, None, HISTORY).await?;
        for message in &messages {
            self.screen.message(message)?;
        }
        self.seen(&messages).await?;
        let name = text::clean_line(&contact.name);
        let verified = if contact.verified { "verified" } else { "not verified" };
        if io::stdin().is_terminal() {
            self.screen.notice(&format!("-- talking with {name} ({verified}). Enter sends, /quit or Ctrl-D ends."))?;
        }
        self.screen.prompt()
    }

    /// `false`: that was the end.
    async fn typed(&mut self, line: &str) -> Result<bool, Failure> {
        let words = line.trim();
        match words {
            "" => self.screen.nothing_sent(line)?,
            "/quit" | "/q" => return Ok(false),
            "/help" => {
                self.screen.nothing_sent(line)?;
                self.screen.notice(
                    "-- /quit ends; a line that begins with // is sent with one /; all else is sent as typed",
                )?;
            }
            _ if words.starts_with('/') && !words.starts_with("//") => {
                self.screen.nothing_sent(line)?;
                self.screen
                    .notice("-- no such command: /quit, /help; begin with // to send a line that starts with /")?;
            }
            _ => {
                let text =
                    if words.starts_with("//") { line.trim_start().chars().skip(1).collect() } else { line.to_owned() };
                self.send(line, text).await?;
            }
        }
        Ok(true)
    }

    async fn send(&mut self, line: &str, text: String) -> Result<(), Failure> {
        match self.client.command(Command::Send { to: self.conversation, text: text.into() }).await {
            Ok(Answer::Queued(message)) => self.screen.sent(line, &message),
            Ok(_) => Ok(()),
            // Too long, or blocked: say so and go on.
            Err(hushwire_client::Error::Refused(why)) => {
                self.screen.nothing_sent(line)?;
                self.screen.notice(&format!("-- not sent: {why}"))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Received(message) if message.conversation == self.conversation => {
                self.screen.message(&message)?;
                self.seen(&[message]).await
            }
            Event::Received(message) => {
                if self.interrupted.replace(message.conversation) == Some(message.conversation) {
                    return Ok(());
                }
                let name = text::clean_line(&message.conversation_name);
                self.screen
                    .notice(&format!("-- {name} wrote too: hush chat {}", text::shell_word(&message.conversation_name)))
            }
            Event::StateChanged { id, conversation, state } if conversation == self.conversation => {
                if !self.screen.mark(id, state)? {
                    let named = self.app.conversation(conversation).await?;
                    self.screen.item(&Item::State { id, conversation: &named, state })?;
                }
                Ok(())
            }
            Event::Gap { conversation, contact, missing } if conversation == self.conversation => {
                let (named, contact) = (self.app.conversation(conversation).await?, self.app.named(contact).await?);
                self.screen.item(&Item::Gap { conversation: &named, contact: &contact, missing })
            }
            Event::KeyserverLies { keyserver, lie } => {
                self.screen.item(&Item::KeyserverLies { keyserver: &keyserver, lie: &lie })
            }
            Event::IdentityChanged { contact } if Some(contact) == self.contact => {
                let named = self.app.named(contact).await?;
                self.screen.item(&Item::IdentityChanged { contact: &named })
            }
            Event::DevicesChanged { contact, change } if Some(contact) == self.contact => {
                let named = self.app.named(contact).await?;
                self.screen.item(&Item::Devices { contact: Some(&named), change: &change })
            }
            Event::OwnDevicesChanged { change: Some(change) } => {
                self.screen.item(&Item::Devices { contact: None, change: &change })
            }
            Event::OwnDevicesForked => self.screen.item(&Item::DevicesForked),
            Event::Revoked => self.screen.item(&Item::Revoked),
            Event::Retrying { contact, reason, next_try } if Some(contact) == self.contact => {
                let named = self.app.named(contact).await?;
                self.screen.item(&Item::Retrying { contact: &named, reason: &reason, next_try })
            }
            Event::ContactRequest(contact) => self.screen.item(&Item::Request(&self.app.as_now(&contact).await?)),
            Event::Expired => self.screen.item(&Item::Expired),
            _ => Ok(()),
        }
    }

    async fn seen(&self, shown: &[Message]) -> Result<(), Failure> {
        let unread = shown.iter().filter(|message| !message.outgoing && message.state != State::Read);
        if let Some(through) = unread.map(|message| message.id).max() {
            self.client.command(Command::MarkRead { conversation: self.conversation, through }).await?;
        }
        Ok(())
    }
}
