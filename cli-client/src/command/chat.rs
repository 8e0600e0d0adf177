//! `hush chat`: a conversation, line by line.
//!
//! | I want to know | look at |
//! |---|---|
//! | how keys become a line | `input`, `line` |
//! | what is drawn where | `screen` |
//! | what can be typed behind a `/`, and what it does | `slash`, `act` |

mod act;
mod input;
mod line;
mod screen;
mod slash;

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use hushwire_client::{
    Answer, Client, Command, Contact, ContactId, Conversation, ConversationId, Event, Message, NewText, Seen, State,
};

use crate::app::App;
use crate::args::Chat;
use crate::exit::{Exit, Failure};
use crate::show::Item;
use crate::text;
use input::Input;
use line::Typed;
use screen::Screen;
use slash::Slash;

/// Messages from before that give a talk its beginning.
const HISTORY: u32 = 20;

/// Messages that were not read and are shown before these; more are for `hush history`.
const UNREAD_MAX: u32 = 500;

/// What is written last should leave before the program does.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// It is not said more often that somebody types, however fast they are.
const TYPING_EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(app: &App, args: &Chat) -> Result<(), Failure> {
    let client = app.client().await?;
    let with = app.talk(&args.with).await?;
    let contact = match with.with {
        hushwire_client::Talk::Contact(id) => client.query(move |engine| engine.contact(id)).await?,
        hushwire_client::Talk::Group(_) => None,
    };
    let mut input = Input::begin(screen::is_live(app.out()));
    let mut talk = Talk {
        app,
        client,
        conversation: with.id,
        contact: contact.as_ref().map(|contact| contact.id),
        screen: Screen::new(app.out(), input.is_by_key()),
        interrupted: None,
        is_behind: false,
        seen: None,
        types: None,
    };
    let mut events = client.events();
    talk.begin(&with, contact.as_ref()).await?;
    client.connect().await?;
    client.command(Command::LookAt(with.id, true)).await?;
    loop {
        tokio::select! {
            biased; // what is typed comes first
            typed = input.next() => match typed {
                Ok(Typed::Changed) => talk.types(&input).await?,
                Ok(Typed::Line(line)) => {
                    talk.screen.typed(&input.line)?;
                    talk.types = None;
                    if !talk.typed(&line, &input).await? { break }
                }
                Ok(Typed::End) => break,
                Ok(Typed::Suspend) => {
                    talk.types_no_more().await?;
                    talk.screen.leave()?;
                    input.suspend().await;
                    talk.screen.again(&input.line)?;
                }
                Ok(Typed::Again) => talk.screen.again(&input.line)?,
                Err(error) => return Err(unreadable(&error)),
            },
            event = events.next() => match event {
                Some(Ok(event)) => talk.event(event, &input).await?,
                Some(Err(lagged)) => talk.screen.notice(&format!("-- {lagged}"))?,
                None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
            },
        }
    }
    client.command(Command::LookAt(with.id, false)).await?;
    // Still looking while the last words leave, so that their marks are right.
    let deadline = app.timeout(SETTLED_WITHIN);
    let last = tokio::time::timeout(deadline + Duration::from_secs(1), async {
        let mut settled = std::pin::pin!(settle(client, deadline));
        loop {
            tokio::select! {
                biased;
                Some(Ok(event)) = events.next() => talk.event(event, &input).await?,
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
    /// More is unread than was shown: nothing is marked.
    is_behind: bool,
    /// When the contact was last said to be there, so that it is told once.
    seen: Option<Seen>,
    /// When it was last said that we type, unless we have stopped.
    types: Option<Instant>,
}

impl Talk<'_> {
    /// The end of the history, and who this is.
    async fn begin(&mut self, with: &Conversation, contact: Option<&Contact>) -> Result<(), Failure> {
        let messages = self.unread_or_last(with).await?;
        self.seen(&messages).await?;
        let gaps = self.app.gaps(self.conversation).await?;
        for shown in self.app.all_shown(messages).await? {
            for gap in gaps.before(shown.message.id) {
                self.screen.item(&gap)?;
            }
            self.screen.message(&shown)?;
        }
        for gap in gaps.at_the_end() {
            self.screen.item(&gap)?;
        }
        if io::stdin().is_terminal() {
            let name = text::clean_line(&with.name);
            let whom = match contact {
                Some(contact) if contact.verified => format!("talking with {name} (verified)"),
                Some(_) => format!("talking with {name} (not verified)"),
                None => format!("talking in the group {name}"),
            };
            self.screen
                .notice(&format!("-- {whom}. Enter sends, /help shows what else there is, /quit or Ctrl-D ends."))?;
            let id = self.conversation;
            let shares = self.client.query(move |engine| engine.shares(id)).await?;
            match (shares.typing, contact) {
                (true, Some(_)) => {
                    self.screen.notice("-- they may see that you type, as you see it of them: /typing off ends that")?
                }
                (true, None) => self
                    .screen
                    .notice("-- members who switched it on too may see that you type: /typing off ends that")?,
                (false, _) => {}
            }
            if let Some(draft) = &with.draft {
                self.screen.notice(&format!("-- your draft: {}", text::clean_line(draft)))?;
            }
        }
        self.screen.prompt()
    }

    /// The line is another one: that somebody types is said now and then, and that they have stopped once.
    async fn types(&mut self, input: &Input) -> Result<(), Failure> {
        self.screen.typed(&input.line)?;
        let writes = !input.line.is_empty() && !input.line.is_command();
        if writes && self.types.is_none_or(|said| said.elapsed() >= TYPING_EVERY) {
            self.types = Some(Instant::now());
            self.client.command(Command::Typing(self.conversation, true)).await?;
        }
        if !writes {
            self.types_no_more().await?;
        }
        Ok(())
    }

    async fn types_no_more(&mut self) -> Result<(), Failure> {
        if self.types.take().is_some() {
            self.client.command(Command::Typing(self.conversation, false)).await?;
        }
        Ok(())
    }

    /// `false`: that was the end.
    async fn typed(&mut self, line: &str, input: &Input) -> Result<bool, Failure> {
        let words = line.trim();
        if words.is_empty() {
            return Ok(true);
        }
        if words.starts_with('/') && !words.starts_with("//") {
            return match slash::parse(words) {
                Ok(Slash::Quit) => Ok(false),
                Ok(slash) => self.act(slash, input).await.map(|()| true),
                Err(why) => self.screen.notice(&format!("-- {why}")).map(|()| true),
            };
        }
        let text = if words.starts_with("//") { line.trim_start().chars().skip(1).collect() } else { line.to_owned() };
        self.send(text.into()).await?;
        Ok(true)
    }

    async fn send(&mut self, mut text: NewText) -> Result<(), Failure> {
        let id = self.conversation;
        if let Some(within) = self.client.query(move |engine| engine.conversation(id)).await? {
            text.mentions = self.app.mentions(&within, &text.text, text.mentions).await?;
        }
        match self.client.command(Command::Send { to: self.conversation, text }).await {
            Ok(Answer::Queued(message)) => {
                let shown = self.app.shown(message).await?;
                self.screen.message(&shown)
            }
            Ok(_) => Ok(()),
            // Too long, or blocked: say so and go on.
            Err(hushwire_client::Error::Refused(why)) => self.screen.notice(&format!("-- not sent: {why}")),
            Err(error) => Err(error.into()),
        }
    }

    async fn event(&mut self, event: Event, input: &Input) -> Result<(), Failure> {
        match event {
            Event::Received(message) if message.conversation == self.conversation => {
                if let Some(author) = message.author {
                    self.screen.types(author, "", false, &input.line)?;
                }
                self.seen(std::slice::from_ref(&message)).await?;
                let shown = self.app.shown(message).await?;
                self.screen.message(&shown)
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
                let heard = self.app.heard(id).await?;
                if !self.screen.mark(id, state, heard)? {
                    let named = self.app.conversation(conversation).await?;
                    self.screen.item(&Item::State { id, conversation: &named, state, heard })?;
                }
                Ok(())
            }
            Event::MessageChanged { message, by, change } if message.conversation == self.conversation => {
                let (shown, by) = (self.app.shown(message).await?, self.app.named_if(by).await?);
                self.screen.item(&Item::MessageChanged { shown: &shown, by: by.as_ref(), change: &change })
            }
            Event::Disappeared { conversation, message } if conversation == self.conversation => {
                let named = self.app.conversation(conversation).await?;
                self.screen.item(&Item::Disappeared { id: message, conversation: &named })
            }
            Event::TimerChanged { conversation, by, seconds } if conversation == self.conversation => {
                let named = self.app.conversation(conversation).await?;
                let by = match by {
                    Some(by) => Some(self.app.named(by).await?),
                    None => None,
                };
                self.screen.item(&Item::Timer { conversation: &named, by: by.as_ref(), seconds })
            }
            Event::Typing { conversation, contact, on } if conversation == self.conversation => {
                let named = self.app.named(contact).await?;
                if self.screen.types(contact, &named.name, on, &input.line)? {
                    return Ok(());
                }
                let conversation = self.app.conversation(conversation).await?;
                self.screen.item(&Item::Typing { conversation: &conversation, contact: &named, on })
            }
            Event::Presence { contact, seen } if Some(contact) == self.contact && self.seen != Some(seen) => {
                self.seen = Some(seen);
                let named = self.app.named(contact).await?;
                self.screen.item(&Item::Presence { contact: &named, seen })
            }
            Event::GroupChanged { conversation, entry } if conversation == self.conversation => {
                let named = self.app.conversation(conversation).await?;
                let open = super::report::open_links(self.app, conversation).await?;
                let change = super::report::group_change(self.app, named, &entry, &open).await?;
                self.screen.item(&Item::GroupChange { change: &change, dated: false })?;
                match super::report::asks(self.app, conversation, &entry).await? {
                    Some(advice) => self.screen.notice(&advice),
                    None => Ok(()),
                }
            }
            Event::GroupLeft { conversation } if conversation == self.conversation => {
                let named = self.app.conversation(conversation).await?;
                self.screen.item(&Item::GroupLeft(&named))
            }
            Event::GroupRequest(request) => self.screen.item(&Item::GroupRequest(&request)),
            Event::GroupJoined { conversation } => {
                let named = self.app.conversation(conversation).await?;
                self.screen.item(&Item::GroupJoined(&named))
            }
            Event::Gap { conversation, contact, missing, first } => {
                let (place, contact) = (self.app.conversation(conversation).await?, self.app.named(contact).await?);
                let (conversation, contact) = (&place, &contact);
                self.screen.item(&Item::Gap { conversation, contact, missing, first, before: None, came: true })
            }
            Event::KeyserverLies { keyserver, lie } => {
                self.screen.item(&Item::KeyserverLies { keyserver: &keyserver, lie: &lie })
            }
            Event::IdentityChanged { contact } if Some(contact) == self.contact => {
                let named = self.app.named(contact).await?;
                self.screen.item(&Item::IdentityChanged { contact: &named })
            }
            Event::DevicesChanged { contact, change, policy } if Some(contact) == self.contact => {
                let named = self.app.named(contact).await?;
                self.screen.item(&Item::Devices { contact: Some(&named), change: &change, policy: Some(policy) })
            }
            Event::OwnDevicesChanged { change: Some(change) } => {
                self.screen.item(&Item::Devices { contact: None, change: &change, policy: None })
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

    /// The last messages, and before them what was not read; of very much that was not, the last messages.
    async fn unread_or_last(&mut self, with: &Conversation) -> Result<Vec<Message>, Failure> {
        let last = super::history::last(self.client, self.conversation, None, HISTORY).await?;
        let (Some(begin), Some(unread)) = (last.first().map(|message| message.id), with.first_unread) else {
            return Ok(last);
        };
        match self.client.query(move |engine| engine.unread_before(begin)).await? {
            0 => Ok(last),
            older if older > UNREAD_MAX => {
                self.is_behind = true;
                super::history::tell_older(self.app, with, older);
                Ok(last)
            }
            _ => super::history::from(self.client, self.conversation, unread, u32::MAX).await,
        }
    }

    /// What is shown is read, unless much stands before it that was not shown.
    async fn seen(&self, shown: &[Message]) -> Result<(), Failure> {
        let is_new = shown.iter().any(|message| !message.outgoing && message.state != State::Read);
        if let Some(through) = super::last_of_others(shown).filter(|_| is_new && !self.is_behind) {
            self.client.command(Command::MarkRead { conversation: self.conversation, through }).await?;
        }
        Ok(())
    }
}
