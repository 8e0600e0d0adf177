//! Seizure: what whoever takes the relay's, the keyserver's or a person's disk away finds on it, and what the relay was
//! ever given. Real clients, a real relay and keyserver with their databases on disk.
//!
//! A finding is only worth something if the search can find: each one has a control that must be found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod tap;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hushwire_client::address::{Handle, ServerAddress};
use hushwire_client::{
    Client, Command, Contact, DataDir, Event, NewContact, Page, Protection, Setup, State, Unlock, Zeroizing,
};
use hushwire_proto::account::Device;
use hushwire_proto::keyserver::{Answer, Request, Who};
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::KEYS_ALPN;
use hushwire_proto::net::call::Connection;
use hushwire_proto::net::serve::ServeLimits;
use hushwire_proto::net::tls::ServerIdentity;
use hushwire_relay::clock::Clock;
use hushwire_relay::queue::rocks::RocksQueue;
use hushwire_relay::quota::Rules;
use hushwire_sim::scan::{Found, Secret, look, look_in};
use rand::RngExt;
use tap::Tap;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

/// A text, name or handle that no other run and no compression has: `prefix` and 16 random letters.
fn marked(prefix: &str) -> String {
    let mut rng = rand::rng();
    (0..16).fold(prefix.to_owned(), |text, _| text + &char::from(rng.random_range(b'a'..=b'z')).to_string())
}

struct World {
    folder: tempfile::TempDir,
    tap: Tap<RocksQueue>,
    relay: hushwire_relay::Running,
    keyserver: hushwire_keyserver::Running,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = || ServerIdentity::self_signed(&["127.0.0.1".to_owned()]).unwrap();
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let tap = Tap::new(RocksQueue::open(&folder.path().join("relay"), Rules::default()).unwrap());
        let relay = hushwire_relay::start(hushwire_relay::Parts {
            queue: tap.clone(),
            identity: identity(),
            listen,
            host: "127.0.0.1".to_owned(),
            connections: ServeLimits::default(),
            clock: Clock::system(),
            sweep_every: Duration::from_secs(3600),
            operation: hushwire_relay::Operation::default(),
        })
        .unwrap();
        let keyserver = hushwire_keyserver::start(hushwire_keyserver::Parts {
            data_dir: folder.path().join("keyserver"),
            listen,
            host: "127.0.0.1".to_owned(),
            identity: identity(),
            registration: hushwire_keyserver::Registration::Open,
            connections: ServeLimits::default(),
            operation: hushwire_keyserver::Operation::default(),
        })
        .await
        .unwrap();
        Self { folder, tap, relay, keyserver }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn person(&self, dir: &str, handle: &str) -> Person {
        let setup = Setup {
            relay: self.relay.address().clone(),
            keyserver: self.keyserver.address().clone(),
            handle_name: Some(handle.to_owned()),
        };
        let dir = self.dir(dir);
        let (client, _words) = Client::create(&DataDir::at(&dir), Protection::KeyFile, setup).await.unwrap();
        client.connect().await.unwrap();
        eventually(async || client.query(|engine| Ok(engine.profile()?.registered)).await.unwrap()).await;
        let device = self.device_of(&client).await;
        Person { dir, handle: handle.to_owned(), client, device }
    }

    /// What the keyserver gives out about an account: its device.
    async fn device_of(&self, client: &Client) -> Device {
        let account = client.query(|engine| engine.profile()).await.unwrap().account;
        let connection = Connection::connect(self.keyserver.address(), KEYS_ALPN, CONNECT_DEADLINE).await.unwrap();
        let answer = connection.call(Request::Lookup(Who::Account(account)).encode(), CALL_DEADLINE).await.unwrap();
        let Answer::Found(found) = Answer::parse(&answer).unwrap() else { panic!("nobody found") };
        found.links.last().unwrap().link().devices[0].clone()
    }
}

struct Person {
    dir: PathBuf,
    handle: String,
    client: Client,
    device: Device,
}

impl Person {
    async fn add(&self, handle: &str, server: &ServerAddress, name: &str) -> Contact {
        let mut events = self.client.events();
        let who = NewContact::Handle(Handle::new(handle, server.clone()).unwrap(), server.clone());
        self.client.command(Command::AddContact { who, name: Some(name.to_owned()) }).await.unwrap();
        let added = async {
            loop {
                if let Event::ContactAdded(contact) = events.next().await.unwrap().unwrap() {
                    return contact;
                }
            }
        };
        timeout(PATIENCE, added).await.unwrap()
    }

    async fn send(&self, to: &Contact, text: &str) {
        self.client.command(Command::Send { to: to.conversation, text: text.into() }).await.unwrap();
    }

    async fn all_have_come(&self, state: State) {
        eventually(async || {
            let page = Page { limit: 100, ..Page::default() };
            let history = self.client.query(move |engine| engine.history(None, page)).await.unwrap();
            history.iter().all(|message| !message.outgoing || message.state >= state)
        })
        .await;
    }

    /// What a disk must not have without its key: all private keys that the client lets an app see.
    async fn private_keys(&self) -> Vec<Secret> {
        let credentials = self.client.query(|engine| Ok(engine.credentials())).await.unwrap();
        vec![
            Secret::bytes("the mailbox's private key", credentials.mailbox_key.as_bytes()),
            Secret::bytes("the device's signing key", credentials.signing_key.as_bytes()),
        ]
    }

    /// Who somebody is, as far as a relay must not know.
    async fn identity(&self) -> Vec<Secret> {
        let account = self.client.query(|engine| engine.profile()).await.unwrap().account;
        vec![
            Secret::text(&self.handle),
            Secret::bytes("an account id", account.as_bytes()),
            Secret::bytes("an identity key", &self.device.identity_key[1..]),
            Secret::bytes("a device's public signing key", &self.device.signing_key),
        ]
    }
}

async fn eventually(done: impl AsyncFn() -> bool) {
    let wait = async {
        while !done().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("it never came so far");
}

fn in_files(secrets: &[Secret], path: &Path) -> Vec<Found> {
    let report = look_in(secrets, path).unwrap();
    assert!(report.files > 0 && report.bytes > 0, "nothing to look at in {}", path.display());
    report.found
}

fn names(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seized_relay_or_keyserver_has_neither_texts_nor_who_wrote_to_whom() {
    let world = World::new().await;
    let (alice, bob) = (world.person("alice", &marked("alice")).await, world.person("bob", &marked("bob")).await);
    // Of several sizes. The mark comes first; the rest repeats, so only the mark is looked for.
    let marks: Vec<String> = (0..6).map(|number| marked(&format!("text {number} "))).collect();
    let texts: Vec<String> =
        marks.iter().zip(0..).map(|(mark, size)| mark.clone() + &" more".repeat(size * 90)).collect();
    let (bobs_name, alices_name) = (marked("Bob "), marked("Alice "));
    let their = alice.add(&bob.handle, world.keyserver.address(), &bobs_name).await;
    let back = bob.add(&alice.handle, world.keyserver.address(), &alices_name).await;
    // Both ways once, so that all kinds are on the way: first messages, later ones, receipts, tokens.
    alice.send(&their, &texts[0]).await;
    alice.all_have_come(State::Delivered).await;
    bob.send(&back, &texts[1]).await;
    bob.all_have_come(State::Delivered).await;
    // From here on Bob is away, and the relay keeps what comes.
    let bobs = (bob.device.clone(), bob.identity().await, bob.private_keys().await);
    bob.client.close().await.unwrap();
    for text in &texts[2..] {
        alice.send(&their, text).await;
    }
    alice.all_have_come(State::Sent).await;

    let contents: Vec<Secret> = marks.iter().chain([&bobs_name, &alices_name]).map(|text| Secret::text(text)).collect();
    let private = [alice.private_keys().await, bobs.2].concat();
    let who = [alice.identity().await, bobs.1].concat();
    let senders_mailbox = Secret::bytes("the sender's mailbox", alice.device.mailbox.as_bytes());
    let receivers_mailbox = Secret::bytes("the receiver's mailbox", bobs.0.mailbox.as_bytes());

    // What the relay was given: every envelope, one by one, and everything that came with it.
    let puts = world.tap.puts();
    assert!(puts.len() >= 8, "{} envelopes: 6 texts and receipts", puts.len());
    let never = [&contents[..], &private, &who, std::slice::from_ref(&senders_mailbox)].concat();
    for (number, put) in puts.iter().enumerate() {
        let place = PathBuf::from(format!("envelope {number}"));
        let secrets = if put.mailbox == bobs.0.mailbox { &never[..] } else { &never[..never.len() - 1] };
        assert_eq!(look(secrets, &place, put.envelope.bytes()), []);
        assert_eq!(
            look(std::slice::from_ref(&receivers_mailbox), &place, put.envelope.bytes()),
            [],
            "told once, outside"
        );
        assert_eq!(look(secrets, &place, &[&put.token.0[..], put.id.as_bytes()].concat()), []);
    }

    // What the relay keeps. The sender's mailbox is there, since she has one here: but nowhere near what she sent.
    let relay_files = world.dir("relay");
    assert_eq!(in_files(&[&contents[..], &private, &who].concat(), &relay_files), []);
    let kept = puts.iter().filter(|put| put.mailbox == bobs.0.mailbox).last().unwrap();
    let control = [receivers_mailbox, Secret::bytes("an envelope", &kept.envelope.bytes()[..64])];
    let found = in_files(&control, &relay_files);
    assert!(names(&found).contains(&"the receiver's mailbox") && names(&found).contains(&"an envelope"), "{found:?}");

    // What the keyserver keeps: who there is, and nothing of what they do.
    let keyserver_files = world.dir("keyserver");
    let mut traffic = [contents, private].concat();
    for put in &puts {
        traffic.push(Secret::bytes("an envelope", &put.envelope.bytes()[..64]));
        traffic.push(Secret::bytes("a deposit id", put.id.as_bytes()));
        traffic.push(Secret::bytes("a token's hash", &put.token.0));
    }
    assert_eq!(in_files(&traffic, &keyserver_files), []);
    let found = in_files(&who, &keyserver_files);
    assert!(names(&found).contains(&"an identity key") && names(&found).contains(&alice.handle.as_str()), "{found:?}");

    alice.client.close().await.unwrap();
    // Once more when everything is closed and flushed.
    world.relay.shutdown().await;
    world.keyserver.shutdown().await;
    let never = &never[..never.len() - 1];
    assert_eq!(in_files(never, &world.folder.path().join("relay")), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seized_account_has_neither_texts_nor_names_nor_keys_without_its_passphrase() {
    let world = World::new().await;
    let (alice, bob) = (world.person("alice", &marked("alice")).await, world.person("bob", &marked("bob")).await);
    let (text, answer, name) = (marked("text "), marked("answer "), marked("Bob "));
    let their = alice.add(&bob.handle, world.keyserver.address(), &name).await;
    let back = bob.add(&alice.handle, world.keyserver.address(), "Alice").await;
    alice.send(&their, &text).await;
    alice.all_have_come(State::Delivered).await;
    bob.send(&back, &answer).await;
    bob.all_have_come(State::Delivered).await;

    let mut secrets = [Secret::text(&text), Secret::text(&answer), Secret::text(&name)].to_vec();
    secrets.extend(alice.identity().await);
    secrets.extend(bob.identity().await);
    secrets.extend(alice.private_keys().await);
    secrets.push(Secret::bytes("a mailbox", bob.device.mailbox.as_bytes()));
    // While it is open: database, write-ahead log, shared memory, vault.
    assert!(alice.dir.join("hushwire.db-wal").exists());
    assert_eq!(in_files(&secrets, &alice.dir), []);

    // With a key file the key lies beside the database, as it says. That is the control.
    let key = std::fs::read(alice.dir.join("database.key")).unwrap();
    let key = Secret::bytes("the database's key", &key);
    assert_eq!(names(&in_files(std::slice::from_ref(&key), &alice.dir)), ["the database's key"]);
    let passphrase = marked("passphrase ");
    let protection = Protection::Passphrase(Zeroizing::new(passphrase.clone()));
    alice.client.protect(Unlock::Stored, protection).await.unwrap();
    secrets.extend([key, Secret::text(&passphrase)]);
    assert_eq!(in_files(&secrets, &alice.dir), []);
    alice.client.close().await.unwrap();
    assert_eq!(in_files(&secrets, &alice.dir), [], "closed");
    let again = Client::open(&DataDir::at(&alice.dir), Unlock::Passphrase(Zeroizing::new(passphrase))).await.unwrap();
    assert_eq!(again.query(|engine| engine.contacts()).await.unwrap().len(), 1, "and it opens with the passphrase");
}
