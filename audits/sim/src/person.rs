//! A client in this process, online, and what happens to it.

use std::fmt;
use std::time::Duration;

use hushwire_client::{
    Answer, Client, Command, ContactId, ConversationId, DataDir, Event, EventStream, NewContact, Protection, Setup,
};
use tokio::time::timeout;

use crate::Failure;
use crate::server::Server;

/// Nothing here takes as long, for a thousand clients on two cores.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Somebody with an account.
#[derive(Debug)]
pub struct Person {
    /// Who speaks for them.
    pub client: Client,
    /// What happens to them.
    pub events: EventStream,
    /// Where their files are.
    pub dir: DataDir,
}

impl Person {
    /// Makes an account, and waits until the keyserver has it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn register(dir: DataDir, setup: Setup) -> Result<Self, Failure> {
        let (client, _words) = Client::create(&dir, Protection::KeyFile, setup).await.map_err(said)?;
        let events = client.events();
        client.connect().await.map_err(said)?;
        let mut person = Self { client, events, dir };
        person.until(|event| *event == Event::Registered).await?;
        Ok(person)
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// It does not come, or something came that was lost or cannot be read.
    pub async fn until(&mut self, is: impl Fn(&Event) -> bool) -> Result<Event, Failure> {
        loop {
            let event = timeout(PATIENCE, self.events.next()).await.map_err(|_| "nothing happens any more")?;
            let event = event.ok_or("a client has stopped")?.map_err(said)?;
            if is(&event) {
                return Ok(event);
            }
            if let Event::Undecryptable { .. } | Event::Gap { .. } | Event::ContactNotFound { .. } = &event {
                return Err(format!("{event:?}"));
            }
        }
    }

    /// Carries something out.
    ///
    /// # Errors
    /// Why not.
    pub async fn command(&self, command: Command) -> Result<Answer, Failure> {
        self.client.command(command).await.map_err(said)
    }

    /// What others add them by.
    ///
    /// # Errors
    /// The client has stopped.
    pub async fn link(&self) -> Result<NewContact, Failure> {
        let link = self.client.query(|engine| Ok(engine.contact_link())).await.map_err(said)?;
        Ok(NewContact::Link(link))
    }

    /// Makes somebody a contact.
    ///
    /// # Errors
    /// They are not found.
    pub async fn add(&mut self, who: NewContact) -> Result<(ContactId, ConversationId), Failure> {
        self.command(Command::AddContact { who, name: None }).await?;
        match self.until(|event| matches!(event, Event::ContactAdded(_))).await? {
            Event::ContactAdded(contact) => Ok((contact.id, contact.conversation)),
            other => Err(format!("{other:?} instead of a contact")),
        }
    }
}

/// An account at these servers, without a handle.
#[must_use]
pub fn setup(relay: &Server, keyserver: &Server) -> Setup {
    Setup { relay: relay.address().clone(), keyserver: keyserver.address().clone(), handle_name: None }
}

/// An error as a sentence.
pub fn said(error: impl fmt::Display) -> Failure {
    error.to_string()
}
