//! A relay and a keyserver in this process, on free ports of the loopback, and people with accounts there.

#[path = "../../../audits/sim/src/port.rs"]
mod port;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hushwire_client::address::{Handle, ServerAddress};
use hushwire_client::{
    Answer, Client, Command, Contact, ConversationId, DataDir, Event, EventStream, LocalId, Message, NewContact, Page,
    Protection, Setup, State, Unlock, Zeroizing,
};
use hushwire_proto::net::serve::ServeLimits;
use hushwire_proto::net::tls::ServerIdentity;
use hushwire_relay::clock::Clock;
use hushwire_relay::queue::Queue;
use hushwire_relay::queue::memory::MemoryQueue;
use hushwire_relay::quota::Rules;
use port::free_port;

/// Far more than anything here takes on a busy machine; a test that fails waits this long.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub struct World<Q = MemoryQueue> {
    pub folder: tempfile::TempDir,
    pub keyserver: hushwire_keyserver::Running,
    pub relay: Option<hushwire_relay::Running>,
    pub relay_address: ServerAddress,
    queue: Q,
}

impl World {
    pub async fn new() -> Self {
        Self::with_queue(MemoryQueue::new(Rules::default())).await
    }
}

impl<Q: Queue> World<Q> {
    pub async fn with_queue(queue: Q) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_identity(folder.path(), "relay");
        write_identity(folder.path(), "keys");
        let relay = start_relay(folder.path(), queue.clone(), free_port());
        let keyserver = hushwire_keyserver::start(hushwire_keyserver::Parts {
            data_dir: folder.path().join("keyserver"),
            listen: loopback(0),
            host: "127.0.0.1".to_owned(),
            identity: read_identity(folder.path(), "keys"),
            registration: hushwire_keyserver::Registration::Open,
            connections: ServeLimits::default(),
            operation: hushwire_keyserver::Operation { work_bits: 8, ..Default::default() },
        })
        .await
        .unwrap();
        let relay_address = relay.address().clone();
        Self { folder, keyserver, relay: Some(relay), relay_address, queue }
    }

    /// Without it a test's process may end while RocksDB is being closed, which RocksDB does not survive.
    pub async fn end(self) {
        drop(self.relay); // kept in memory
        self.keyserver.kill().await;
    }

    pub async fn stop_relay(&mut self) {
        self.relay.take().unwrap().shutdown().await;
    }

    /// With the same key, on the same port, with what it had.
    pub fn start_relay(&mut self) {
        self.relay = Some(start_relay(self.folder.path(), self.queue.clone(), self.relay_address.port()));
    }

    /// With the same key, on the same port, and with another disk.
    pub fn start_relay_with(&mut self, queue: Q) {
        self.queue = queue;
        self.start_relay();
    }

    pub fn dir(&self, name: &str) -> DataDir {
        DataDir::at(self.folder.path().join("people").join(name))
    }

    pub fn setup(&self, name: &str) -> Setup {
        Setup {
            relay: self.relay_address.clone(),
            keyserver: self.keyserver.address().clone(),
            handle_name: Some(name.to_owned()),
        }
    }

    /// An account that is not online.
    pub async fn offline(&self, name: &str) -> Person {
        let (client, words) = Client::create(&self.dir(name), Protection::KeyFile, self.setup(name)).await.unwrap();
        assert_eq!(words.split(' ').count(), 24);
        Person { events: client.events(), client, name: name.to_owned() }
    }

    /// An account that others can write to.
    pub async fn person(&self, name: &str) -> Person {
        let mut person = self.offline(name).await;
        person.client.connect().await.unwrap();
        person.hear(|event| (*event == Event::Registered).then_some(())).await;
        person
    }

    pub async fn reopened(&self, name: &str) -> Person {
        let client = Client::open(&self.dir(name), Unlock::Stored).await.unwrap();
        Person { events: client.events(), client, name: name.to_owned() }
    }

    pub fn handle(&self, name: &str) -> NewContact {
        let keyserver = self.keyserver.address().clone();
        NewContact::Handle(Handle::new(name, keyserver.clone()).unwrap(), keyserver)
    }
}

pub struct Person {
    pub client: Client,
    pub events: EventStream,
    pub name: String,
}

impl Person {
    /// Waits for the first event from now on that says so.
    pub async fn hear<T>(&mut self, what: impl Fn(&Event) -> Option<T>) -> T {
        let mut heard = Vec::new();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let event = self.events.next().await.expect("the client goes on").expect("nobody is slow here");
                if let Some(found) = what(&event) {
                    return found;
                }
                heard.push(event);
            }
        })
        .await;
        found
            .unwrap_or_else(|_| panic!("{} heard only {heard:?}; {:?}", self.name, self.client.connectivity().borrow()))
    }

    pub async fn add(&mut self, who: NewContact) -> Contact {
        assert_eq!(self.client.command(Command::AddContact { who, name: None }).await.unwrap(), Answer::Done);
        self.hear(|event| match event {
            Event::ContactAdded(contact) => Some(contact.clone()),
            Event::ContactNotFound { reason, .. } => panic!("{reason}"),
            _ => None,
        })
        .await
    }

    pub async fn send(&self, to: ConversationId, text: &str) -> LocalId {
        match self.client.command(Command::Send { to, text: text.into() }).await.unwrap() {
            Answer::Queued(message) => message.id,
            other => panic!("{other:?}"),
        }
    }

    pub async fn receive(&mut self) -> Message {
        self.hear(|event| match event {
            Event::Received(message) => Some(message.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until a message of ours has come this far.
    pub async fn reached(&mut self, id: LocalId, wanted: State) {
        let now = self.client.query(move |engine| engine.message(id)).await.unwrap().unwrap().state;
        if now < wanted {
            self.hear(|event| {
                matches!(event, Event::StateChanged { id: which, state, .. } if *which == id && *state >= wanted)
                    .then_some(())
            })
            .await;
        }
    }

    pub async fn texts(&self) -> Vec<String> {
        let page = Page { limit: 100, ..Page::default() };
        let history = self.client.query(move |engine| engine.history(None, page)).await.unwrap();
        history.into_iter().map(|message| message.text).collect()
    }
}

pub fn phrase(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

/// On a port that was just left there may still be the old socket for a moment, or by chance one of a client.
fn start_relay<Q: Queue>(folder: &Path, queue: Q, port: u16) -> hushwire_relay::Running {
    let patience = std::time::Instant::now() + PATIENCE;
    loop {
        let started = hushwire_relay::start(hushwire_relay::Parts {
            queue: queue.clone(),
            identity: read_identity(folder, "relay"),
            listen: loopback(port),
            host: "127.0.0.1".to_owned(),
            connections: ServeLimits::default(),
            clock: Clock::system(),
            sweep_every: Duration::from_secs(3600),
            operation: hushwire_relay::Operation::default(),
        });
        match started {
            Ok(running) => return running,
            Err(error) if std::time::Instant::now() > patience => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn write_identity(folder: &Path, name: &str) {
    let names = ["127.0.0.1".to_owned()];
    let path = |ending: &str| folder.join(format!("{name}.{ending}"));
    ServerIdentity::self_signed(&names).unwrap().write(&path("crt"), &path("key")).unwrap();
}

fn read_identity(folder: &Path, name: &str) -> ServerIdentity {
    let path = |ending: &str| folder.join(format!("{name}.{ending}"));
    ServerIdentity::load(&path("crt"), &path("key")).unwrap()
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
