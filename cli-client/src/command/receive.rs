//! `hush receive`: prints what came, once; and with `--follow` what comes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use hushwire_client::{Client, Command, Connectivity, ConversationId, Event, Message, Page, Reach, State};

use crate::app::App;
use crate::args::Receive;
use crate::cursor::Cursor;
use crate::exit::Failure;
use crate::gaps::Gaps;
use crate::show::{Item, Progress};
use crate::text;

/// A slow line. Begins anew whenever some of what waits has come: a month of messages may take longer.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);

/// For receipts, and for what waited in the outbox.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Messages looked at together when the database is searched for what was not printed.
const PAGE_LEN: u32 = 200;

pub(super) async fn run(app: &App, args: &Receive) -> Result<(), Failure> {
    let client = app.client().await?;
    let mut events = client.events();
    let cursor = Cursor::load(&app.dir()?)?;
    let mut printer = Printer { app, client, cursor, progress: app.out().progress(), read: args.read, printed: 0 };
    printer.backlog().await?;
    client.connect().await?;
    let mut connectivity = client.connectivity();
    let mut was = connectivity.borrow().clone();
    let mut fetched = std::pin::pin!(fetched(app, client, args.follow));
    loop {
        tokio::select! {
            biased;
            event = events.next() => match event {
                Some(Ok(event)) => printer.event(event).await?,
                Some(Err(_)) => printer.backlog().await?,
                None => return Ok(()),
            },
            Ok(()) = connectivity.changed() => {
                let now = connectivity.borrow_and_update().clone();
                printer.progress.at(&now.backlog, now.caught_up);
                if args.follow {
                    tell(app, &was, &now);
                }
                was = now;
            }
            result = &mut fetched => {
                // What was done last may have left events behind.
                while let Some(event) = events.next_now() {
                    match event {
                        Ok(event) => printer.event(event).await?,
                        Err(_) => printer.backlog().await?,
                    }
                }
                if result.is_ok() && printer.printed == 0 {
                    app.out().note("Nothing new.");
                }
                return result;
            }
        }
    }
}

/// Ends when everything is here and answered; never, with `--follow`.
async fn fetched(app: &App, client: &Client, follow: bool) -> Result<(), Failure> {
    if follow {
        return std::future::pending().await;
    }
    let (within, mut kept) = (app.timeout(DRAINED_WITHIN), 0);
    while let Err(failure) = app.fetch(within).await {
        let before = std::mem::replace(&mut kept, client.connectivity().borrow().backlog.kept);
        if kept <= before {
            return Err(failure);
        }
    }
    let _ = client.settle(app.timeout(SETTLED_WITHIN)).await?.done;
    Ok(())
}

/// Says when the network goes and comes.
fn tell(app: &App, was: &Connectivity, now: &Connectivity) {
    match (was.relay, now.relay) {
        (Reach::Online, Reach::Offline | Reach::Connecting) => app.out().note("-- offline; trying to connect again"),
        (Reach::Offline | Reach::Connecting, Reach::Online) => app.out().note("-- online"),
        _ if now.last_error != was.last_error => {
            if let Some(why) = &now.last_error {
                app.out().note(&format!("-- offline: {}", text::clean_line(why)));
            }
        }
        _ => {}
    }
}

struct Printer<'a> {
    app: &'a App,
    client: &'a Client,
    cursor: Cursor,
    progress: Progress,
    read: bool,
    printed: usize,
}

impl Printer<'_> {
    /// Prints what other commands fetched and nobody has seen, and what came faster than it was told. In the order in which
    /// it was kept, so that what is kept meanwhile stands behind and is not passed over.
    async fn backlog(&mut self) -> Result<(), Failure> {
        loop {
            let page = Page { before: None, after: Some(self.cursor.last()), limit: PAGE_LEN };
            let messages = self.client.query(move |engine| engine.history(None, page)).await?;
            let Some(newest) = messages.last().map(|message| message.id) else { return Ok(()) };
            let mut gaps: BTreeMap<ConversationId, Gaps> = BTreeMap::new();
            for message in messages.iter().filter(|message| !message.outgoing && message.state != State::Read) {
                let of = match gaps.entry(message.conversation) {
                    Entry::Occupied(of) => of.into_mut(),
                    Entry::Vacant(of) => of.insert(self.app.gaps(message.conversation).await?),
                };
                for gap in of.before(message.id) {
                    self.progress.above(|| self.app.out().item(&gap))?;
                }
                self.message(message).await?;
            }
            self.cursor.advance(newest)?; // what is our own, or read, is not looked at again
        }
    }

    async fn message(&mut self, message: &Message) -> Result<(), Failure> {
        if !self.cursor.is_new(message.id) {
            return Ok(());
        }
        let shown = self.app.shown(message.clone()).await?;
        self.progress.above(|| self.app.out().item(&Item::Found(&shown)))?;
        self.cursor.advance(message.id)?;
        self.printed += 1;
        if self.read { self.mark_read(message).await } else { Ok(()) }
    }

    /// As far as everything was printed: what came later may stand before it.
    async fn mark_read(&self, message: &Message) -> Result<(), Failure> {
        let (conversation, shown) = (message.conversation, message.id);
        if let Some(through) = self.client.query(move |engine| engine.read_through(conversation, shown)).await? {
            self.client.command(Command::MarkRead { conversation, through }).await?;
        }
        Ok(())
    }

    async fn event(&mut self, event: Event) -> Result<(), Failure> {
        if let Event::Received(message) = event {
            return self.message(&message).await;
        }
        if super::report::event(self.app, &event).await? {
            self.printed += 1;
        }
        Ok(())
    }
}
