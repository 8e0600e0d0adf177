//! Messages between two people, each with an encrypted database, as an app sends and shows them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use hushwire_client::{
    Answer, Client, Command, Contact, ConversationId, DataDir, Event, EventStream, NewContact, Protection, Setup, State,
};
use hushwire_sim::Failure;
use hushwire_sim::server::Server;
use tokio::time::timeout;

use crate::envelopes::WARM_UP;
use crate::said;
use crate::table::{Times, per_second};

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// From when a message was sent.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Until it was kept here: the command returned.
    pub(crate) queued: Times,
    /// Until the event that it came, there.
    pub(crate) received: Times,
    /// Until the event that the relay has it, here.
    pub(crate) sent: Times,
    pub(crate) per_second: f64,
}

/// Alice and Bob, who know each other.
pub(crate) struct People {
    alice: Client,
    bob: Client,
    bob_at_alice: ConversationId,
}

impl People {
    pub(crate) async fn meet(dir: &Path, relay: &Server, keyserver: &Server) -> Result<Self, Failure> {
        let setup = Setup { relay: relay.address().clone(), keyserver: keyserver.address().clone(), handle_name: None };
        let alice = person(&dir.join("alice"), setup.clone()).await?;
        let bob = person(&dir.join("bob"), setup).await?;
        let bob_at_alice = introduce(&alice, &bob).await?.conversation;
        introduce(&bob, &alice).await?;
        let people = Self { alice, bob, bob_at_alice };
        people.run(WARM_UP, 1).await?;
        Ok(people)
    }

    /// So many, with so many under way at the same time.
    pub(crate) async fn measure(&self, count: usize, in_flight: usize) -> Result<Measured, Failure> {
        self.run(count, in_flight).await
    }

    pub(crate) async fn leave(self) -> Result<(), Failure> {
        self.alice.close().await.map_err(said)?;
        self.bob.close().await.map_err(said)
    }

    async fn run(&self, count: usize, in_flight: usize) -> Result<Measured, Failure> {
        let (mut here, mut there) = (self.alice.events(), self.bob.events());
        let mut measured = Measured::default();
        let mut began_at = BTreeMap::new(); // by text
        let mut ids = BTreeMap::new();
        let (mut sent, mut known, mut received) = (0, 0, 0);
        let began = Instant::now();
        while known < count || received < count {
            while sent < count && sent - known.min(received) < in_flight {
                let text = format!("number {sent} of {count}, and some words of which a message consists");
                let at = Instant::now();
                let command = Command::Send { to: self.bob_at_alice, text: text.clone().into() };
                let Answer::Queued(message) = self.alice.command(command).await.map_err(said)? else {
                    return Err("not queued".to_owned());
                };
                measured.queued.add(at.elapsed());
                began_at.insert(text, at);
                ids.insert(message.id, at);
                sent += 1;
            }
            tokio::select! {
                event = next(&mut here) => if let Event::StateChanged { id, state, .. } = event?
                    && state >= State::Sent
                    && let Some(at) = ids.remove(&id)
                {
                    measured.sent.add(at.elapsed());
                    known += 1;
                },
                event = next(&mut there) => if let Event::Received(message) = event?
                    && let Some(at) = began_at.remove(&message.text)
                {
                    measured.received.add(at.elapsed());
                    received += 1;
                },
            }
        }
        measured.per_second = per_second(count, began.elapsed());
        Ok(measured)
    }
}

async fn person(dir: &Path, setup: Setup) -> Result<Client, Failure> {
    let (client, _words) = Client::create(&DataDir::at(dir), Protection::KeyFile, setup).await.map_err(said)?;
    let mut events = client.events();
    client.connect().await.map_err(said)?;
    while next(&mut events).await? != Event::Registered {}
    Ok(client)
}

/// The one adds the other.
async fn introduce(one: &Client, other: &Client) -> Result<Contact, Failure> {
    let link = other.query(|engine| Ok(engine.contact_link())).await.map_err(said)?;
    let mut events = one.events();
    one.command(Command::AddContact { who: NewContact::Link(link), name: None }).await.map_err(said)?;
    loop {
        match next(&mut events).await? {
            Event::ContactAdded(contact) => return Ok(contact),
            Event::ContactNotFound { reason, .. } => return Err(reason),
            _ => {}
        }
    }
}

async fn next(events: &mut EventStream) -> Result<Event, Failure> {
    let event = timeout(PATIENCE, events.next()).await.map_err(|_| "nothing happens any more")?;
    event.ok_or("the client has stopped")?.map_err(said)
}
