//! Somebody who is away, and many who write meanwhile: real clients over real servers. Who comes back is the program
//! `hush`.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use hushwire_client::{Answer, Client, Command, ConversationId, DataDir, Event, Page, Unlock};
use tokio::task::JoinSet;

use crate::Failure;
use crate::person::{PATIENCE, Person, said, setup};
use crate::program::beside_us;
use crate::server::{Kind, Server};

/// Everybody comes from one address here: what is measured for each would send them away.
const RELAY: &str = "\nconnections_per_address_max = 10000\nmailbox_mib = 1024\n\
    requests_per_second_per_address = 1000000\nin_flight_mib_per_address = 32\n";
const KEYSERVER: &str = "\nwork_bits = 0\nconnections_per_address_max = 10000\n\
    fetches_per_hour_per_address = 1000000000\nlookups_per_hour_per_address = 1000000000\n";

/// The account that `hush` takes when none is named.
const ACCOUNT: &str = "default";

/// The first words of each, so that sessions and keys are there.
const HELLO: &str = "hello";

/// Receipts of groups may come later; nobody waits longer for them.
const RECEIPTS_PATIENCE: Duration = Duration::from_secs(20);

/// Who is away, who writes, and the servers between. Ended when dropped.
#[derive(Debug)]
pub struct Backlog {
    relay: Server,
    _keyserver: Server,
    home: PathBuf,
    writers: Vec<Writer>,
}

#[derive(Debug)]
struct Writer {
    person: Person,
    to: ConversationId,
}

impl Backlog {
    /// Makes the accounts. `talks` people know the one alone; each of `groups` more has founded a group with them. They
    /// have said hello, and then the one leaves.
    ///
    /// # Errors
    /// Whatever did not work.
    pub async fn prepare(dir: &Path, talks: usize, groups: usize) -> Result<Self, Failure> {
        let relay = Server::start_with(Kind::Relay, dir, RELAY)?;
        let keyserver = Server::start_with(Kind::Keyserver, dir, KEYSERVER)?;
        let home = dir.join("away");
        let mut away = Person::register(DataDir::at(home.join(ACCOUNT)), setup(&relay, &keyserver)).await?;
        let aways_link = away.link().await?;
        let mut writers = Vec::with_capacity(talks + groups);
        for place in 0..talks + groups {
            let people = DataDir::at(dir.join("people").join(place.to_string()));
            let mut person = Person::register(people, setup(&relay, &keyserver)).await?;
            let (contact, talk) = person.add(aways_link.clone()).await?;
            away.add(person.link().await?).await?;
            let to = if place < talks {
                talk
            } else {
                let found = Command::FoundGroup { name: format!("group {place}"), members: vec![contact] };
                let Answer::Group(group) = person.command(found).await? else { return Err("no group".to_owned()) };
                away.until(|event| matches!(event, Event::GroupJoined { .. })).await?;
                group
            };
            person.command(Command::Send { to, text: HELLO.into() }).await?;
            away.until(|event| matches!(event, Event::Received(message) if message.text == HELLO)).await?;
            writers.push(Writer { person, to });
        }
        let _ = away.client.settle(RECEIPTS_PATIENCE).await.map_err(said)?;
        for writer in &writers {
            // Nor for what is late otherwise: it is not what is measured.
            let _ = writer.person.client.settle(RECEIPTS_PATIENCE).await.map_err(said)?;
        }
        away.client.close().await.map_err(said)?;
        Ok(Self { relay, _keyserver: keyserver, home, writers })
    }

    /// All write at the same time, `each` texts everybody, and leave.
    ///
    /// # Errors
    /// The relay did not take all of it.
    pub async fn write(&mut self, each: usize) -> Result<(), Failure> {
        let mut writing = JoinSet::new();
        for (place, Writer { person, to }) in self.writers.drain(..).enumerate() {
            writing.spawn(async move {
                for number in 0..each {
                    person.command(Command::Send { to, text: text(place, number).into() }).await?;
                }
                let sent = person.client.settle(PATIENCE).await.map_err(said)?;
                person.client.close().await.map_err(said)?;
                if sent.done { Ok(()) } else { Err("not everything was sent".to_owned()) }
            });
        }
        while let Some(written) = writing.join_next().await {
            written.map_err(said)??;
        }
        Ok(())
    }

    /// `hush receive --json`, for the one who was away.
    ///
    /// # Errors
    /// It is not built.
    pub fn receive(&self) -> Result<Process, Failure> {
        let mut hush = Process::new(beside_us("hush")?);
        hush.args(["receive", "--json", "--timeout", "600", "--data-dir"]).arg(&self.home);
        Ok(hush)
    }

    /// The folder of the account.
    #[must_use]
    pub fn account(&self) -> PathBuf {
        self.home.join(ACCOUNT)
    }

    /// Everything that the relay writes.
    #[must_use]
    pub fn relay_dir(&self) -> &Path {
        self.relay.dir()
    }

    /// The texts of others in each conversation, as the database of the one who is back has them, hellos left out.
    ///
    /// # Errors
    /// The database does not open.
    pub async fn kept(&self) -> Result<Vec<Vec<String>>, Failure> {
        let client = Client::open(&DataDir::at(self.account()), Unlock::Stored).await.map_err(said)?;
        let mut talks = Vec::new();
        for conversation in client.query(|engine| engine.conversations()).await.map_err(said)? {
            let page = Page { before: None, after: None, limit: u32::MAX };
            let history = client.query(move |engine| engine.history(Some(conversation.id), page)).await;
            let texts = history.map_err(said)?.into_iter().filter(|message| !message.outgoing && message.text != HELLO);
            talks.push(texts.map(|message| message.text).collect());
        }
        client.close().await.map_err(said)?;
        Ok(talks)
    }

    /// What the relay still has: asked by the client itself.
    ///
    /// # Errors
    /// It is not reached.
    pub async fn waiting(&self) -> Result<u64, Failure> {
        let client = Client::open(&DataDir::at(self.account()), Unlock::Stored).await.map_err(said)?;
        client.connect().await.map_err(said)?;
        if !client.drained(PATIENCE).await.map_err(said)?.done {
            return Err("the relay is not reached".to_owned());
        }
        let waiting = client.connectivity().borrow().backlog.waiting;
        client.close().await.map_err(said)?;
        Ok(waiting)
    }
}

/// What somebody writes, as long as people's messages are.
#[must_use]
pub fn text(writer: usize, number: usize) -> String {
    format!("{number}: what writer {writer} has to say while you are away")
}
