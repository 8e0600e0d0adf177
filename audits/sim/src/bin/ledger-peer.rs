//! One person of the ledger's run, as a process of its own that may be killed at any moment.
//!
//! Told what to do by lines on standard input; says what happens by lines of JSON on standard output, each flushed
//! before the next step. What is about to be sent is said first. Ends when its input does.
//!
//! | line | does | says |
//! |---|---|---|
//! | (start) | opens or makes the account, connects | `ready` with the contact link, once others can write |
//! | `add NAME LINK` | adds a contact | `added` |
//! | `send FIRST END PER_SECOND` | the notes `FIRST..END` to every contact, in turn | `intent`, then `stored` and `delivered` |
//! | `history` | | `kept` for every message in order, then `end` |
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "talking is its purpose")]

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::time::Duration;

use hushwire_client::address::{KEYSERVER_PORT, RELAY_PORT, ServerAddress};
use hushwire_client::{
    Answer, Client, Command, Contact, ContactLink, DataDir, Error, Event, EventStream, LocalId, Message, NewContact,
    Page, Protection, Reach, Setup, State, Unlock,
};
use hushwire_sim::Failure;
use hushwire_sim::ledger::Note;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

/// Notes that may be queued and not stored. Keeps the outbox short while the relay is away.
const NOT_STORED_MAX: usize = 200;

/// While offline, the next try is hurried this often: a person who waits for a message acts like that.
const HURRY: Duration = Duration::from_millis(150);

/// A process that was killed just now may not have let go of the directory yet.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("ledger-peer: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, dir, relay, keyserver] = args.as_slice() else {
        return Err("arguments: NAME DIR RELAY KEYSERVER".to_owned());
    };
    let setup = Setup {
        relay: ServerAddress::parse(relay, RELAY_PORT).map_err(said)?,
        keyserver: ServerAddress::parse(keyserver, KEYSERVER_PORT).map_err(said)?,
        handle_name: None,
    };
    let client = open(&DataDir::at(dir), setup).await?;
    let mut person = Person {
        name: name.clone(),
        events: client.events(),
        client,
        contacts: Vec::new(),
        sending: None,
        under_way: HashMap::new(),
        not_stored: 0,
    };
    let worked = person.work().await;
    worked.and(person.client.close().await.map_err(said))
}

async fn open(dir: &DataDir, setup: Setup) -> Result<Client, Failure> {
    if !dir.has_account() {
        return Ok(Client::create(dir, Protection::KeyFile, setup).await.map_err(said)?.0);
    }
    let opened = async {
        loop {
            match Client::open(dir, Unlock::Stored).await {
                Err(Error::InUse { .. }) => sleep(Duration::from_millis(20)).await,
                other => return other,
            }
        }
    };
    timeout(LOCK_PATIENCE, opened).await.map_err(said)?.map_err(said)
}

struct Person {
    name: String,
    client: Client,
    events: EventStream,
    contacts: Vec<Contact>,
    sending: Option<Sending>,
    /// Notes that are not delivered yet, and whether they are stored.
    under_way: HashMap<LocalId, (Note, bool)>,
    not_stored: usize,
}

/// What is still to be sent: the next note, and to which contact.
struct Sending {
    number: u32,
    end: u32,
    to: usize,
    pace: Interval,
}

impl Person {
    async fn work(&mut self) -> Result<(), Failure> {
        self.client.connect().await.map_err(said)?;
        let registered = |engine: &hushwire_client::Engine| Ok(engine.profile()?.registered);
        while !self.client.query(registered).await.map_err(said)? {
            sleep(Duration::from_millis(20)).await;
        }
        let link = self.client.query(|engine| Ok(engine.contact_link())).await.map_err(said)?;
        say(&json!({"is": "ready", "link": link.to_string()}));
        let mut lines = lines();
        let mut hurry = interval(HURRY);
        loop {
            let may_send = self.sending.is_some() && self.not_stored < NOT_STORED_MAX;
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => self.told(&line).await?,
                    None => return Ok(()),
                },
                event = self.events.next() => match event {
                    Some(Ok(event)) => self.happened(event),
                    Some(Err(_)) => self.catch_up().await?,
                    None => return Err("the client has stopped".to_owned()),
                },
                () = next(&mut self.sending), if may_send => self.send_next().await?,
                _ = hurry.tick() => if self.client.connectivity().borrow().relay == Reach::Offline {
                    self.client.connect().await.map_err(said)?;
                },
            }
        }
    }

    async fn told(&mut self, line: &str) -> Result<(), Failure> {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["add", name, link] => {
                let link: ContactLink = link.parse().map_err(said)?;
                let who = NewContact::Link(link);
                self.client.command(Command::AddContact { who, name: Some((*name).to_owned()) }).await.map_err(said)?;
            }
            ["send", first, end, per_second] => {
                self.contacts = self.client.query(|engine| engine.contacts()).await.map_err(said)?;
                let (number, end) = (first.parse().map_err(said)?, end.parse().map_err(said)?);
                let per_second: u32 = per_second.parse().map_err(said)?;
                let mut pace = interval(Duration::from_secs(1) / per_second);
                pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
                self.sending = Some(Sending { number, end, to: 0, pace });
            }
            ["history"] => {
                for message in self.history().await? {
                    say(&json!({
                        "is": "kept",
                        "text": message.text,
                        "ours": message.outgoing,
                        "delivered": message.state >= State::Delivered,
                    }));
                }
                say(&json!({"is": "end"}));
            }
            _ => return Err(format!("what is `{line}`?")),
        }
        Ok(())
    }

    async fn send_next(&mut self) -> Result<(), Failure> {
        let Some(sending) = &mut self.sending else { return Ok(()) };
        let Some(contact) = self.contacts.get(sending.to) else { return Err("nobody to send to".to_owned()) };
        let note = Note { from: self.name.clone(), to: contact.name.clone(), number: sending.number };
        sending.to += 1;
        if sending.to == self.contacts.len() {
            sending.to = 0;
            sending.number += 1;
        }
        if sending.number == sending.end {
            self.sending = None;
        }
        let text = note.text();
        say(&json!({"is": "intent", "text": text}));
        match self.client.command(Command::Send { to: contact.conversation, text: text.into() }).await.map_err(said)? {
            Answer::Queued(message) => _ = self.under_way.insert(message.id, (note, false)),
            other => return Err(format!("{other:?} instead of a queued message")),
        }
        self.not_stored += 1;
        Ok(())
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Received(message) => say(&json!({"is": "shown", "text": message.text})),
            Event::StateChanged { id, state, .. } => self.moved(id, state),
            Event::ContactAdded(contact) => say(&json!({"is": "added", "name": contact.name})),
            Event::ContactNotFound { reason, .. } => say(&json!({"is": "bad", "what": reason})),
            Event::Registered | Event::Retrying { .. } => {}
            // Nobody here alters, withholds or forges anything.
            other => say(&json!({"is": "bad", "what": format!("{other:?}")})),
        }
    }

    fn moved(&mut self, id: LocalId, state: State) {
        let Some((note, stored)) = self.under_way.get_mut(&id) else { return };
        if state >= State::Sent && !std::mem::replace(stored, true) {
            self.not_stored -= 1;
            say(&json!({"is": "stored", "text": note.text()}));
        }
        if state >= State::Delivered {
            say(&json!({"is": "delivered", "text": note.text()}));
            self.under_way.remove(&id);
        }
    }

    /// Events were missed: the database has what they told.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        say(&json!({"is": "lagged"}));
        for message in self.history().await? {
            self.moved(message.id, message.state);
        }
        Ok(())
    }

    /// All of it, in the order in which it is shown.
    async fn history(&self) -> Result<Vec<Message>, Failure> {
        let mut pages: Vec<Vec<Message>> = Vec::new();
        loop {
            let before = pages.last().and_then(|page| page.first()).map(|message| message.id);
            let page = Page { before, after: None, limit: 500 };
            let page = self.client.query(move |engine| engine.history(None, page)).await.map_err(said)?;
            if page.is_empty() {
                return Ok(pages.into_iter().rev().flatten().collect());
            }
            pages.push(page);
        }
    }
}

/// Resolves when the next note is due. May be cancelled.
async fn next(sending: &mut Option<Sending>) {
    if let Some(sending) = sending {
        sending.pace.tick().await;
    }
}

/// The lines of standard input, read where it holds up nobody.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (read, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if read.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn say(what: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what}").and_then(|()| out.flush()); // nobody listens: the input ends, too
}

fn said(error: impl std::fmt::Display) -> Failure {
    error.to_string()
}
