//! A real keyserver whose database was copied: one copy for one client, the other for everybody else; and one that is set
//! back. A real client, and a real auditor.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation, missing_docs)]

#[path = "../../sim/src/port.rs"]
mod port;
mod support;

use std::path::Path;

use hushwire_client::address::Handle;
use hushwire_client::{Alarm, Client, Command, DataDir, Event, EventStream, Lie, NewContact, Protection, Setup};
use hushwire_keyserver::{Registration, Running};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::net::serve::ServeLimits;
use hushwire_proto::net::tls::ServerIdentity;
use port::free_port;
use support::{PATIENCE, auditor, loopback, stopped, until};
use tokio::time::timeout;

async fn keyserver(dir: &Path, data: &str, port: u16) -> Running {
    let (certificate, key) = (dir.join("keys.crt"), dir.join("keys.key"));
    if !certificate.exists() {
        ServerIdentity::self_signed(&["127.0.0.1".to_owned()]).unwrap().write(&certificate, &key).unwrap();
    }
    let identity = ServerIdentity::load(&certificate, &key).unwrap();
    let (listen, host) = (loopback(port), "127.0.0.1".to_owned());
    let (registration, connections) = (Registration::Open, ServeLimits::default());
    let data_dir = dir.join(data);
    hushwire_keyserver::start(hushwire_keyserver::Parts {
        data_dir,
        identity,
        listen,
        host,
        registration,
        connections,
        operation: hushwire_keyserver::Operation { work_bits: 8, ..Default::default() },
    })
    .await
    .unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

struct Person {
    client: Client,
    events: EventStream,
}

impl Person {
    /// Nobody answers at the relay: only the keyserver matters here.
    async fn new(dir: &Path, keyserver: &ServerAddress, name: &str, handle: bool) -> Self {
        let relay =
            ServerAddress::parse("hush://127.0.0.1:9", 9).unwrap().with_fingerprint(keyserver.fingerprint().unwrap());
        let handle_name = handle.then(|| name.to_owned());
        let setup = Setup { relay, keyserver: keyserver.clone(), handle_name };
        let (client, _) = Client::create(&DataDir::at(dir.join(name)), Protection::KeyFile, setup).await.unwrap();
        client.connect().await.unwrap();
        Self { events: client.events(), client }
    }

    /// Looks for somebody, until the keyserver has answered.
    async fn look_for(&mut self, keyserver: &ServerAddress, name: &str) -> Vec<Lie> {
        loop {
            let who = NewContact::Handle(Handle::new(name, keyserver.clone()).unwrap(), keyserver.clone());
            self.client.command(Command::AddContact { who, name: None }).await.unwrap();
            let mut lies = Vec::new();
            loop {
                match self.event().await {
                    Event::KeyserverLies { lie, .. } => lies.push(lie),
                    Event::ContactNotFound { retryable: true, .. } => break, // the connection of before
                    Event::ContactNotFound { .. } | Event::ContactAdded(_) => return lies,
                    _ => {}
                }
            }
        }
    }

    async fn event(&mut self) -> Event {
        timeout(PATIENCE, self.events.next()).await.unwrap().unwrap().unwrap()
    }

    async fn lie(&mut self) -> Lie {
        loop {
            if let Event::KeyserverLies { lie, .. } = self.event().await {
                return lie;
            }
        }
    }
}

/// Somebody registers, so that the log has one more epoch.
async fn goes_on(dir: &Path, keyserver: &ServerAddress, name: &str, asker: &mut Person) -> Vec<Lie> {
    let newcomer = Person::new(dir, keyserver, name, true).await;
    loop {
        let lies = asker.look_for(keyserver, name).await;
        let found = asker.client.query(|engine| engine.contacts()).await.unwrap();
        if !lies.is_empty() || found.iter().any(|contact| contact.name == name) {
            newcomer.client.close().await.unwrap();
            return lies;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyserver_that_shows_one_person_another_log_is_found_out_by_comparing_with_an_auditor() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let first = keyserver(dir, "honest", free_port()).await;
    let (address, port) = (first.address().clone(), first.address().port());
    let mut alice = Person::new(dir, &address, "alice", false).await;
    assert_eq!(alice.look_for(&address, "nobody").await, []);
    first.shutdown().await;
    copy(&dir.join("honest"), &dir.join("for-alice"));

    let for_alice = keyserver(dir, "for-alice", port).await;
    assert_eq!(goes_on(dir, &address, "mallory", &mut alice).await, []);
    for_alice.shutdown().await;

    let honest = keyserver(dir, "honest", port).await;
    let mut bob = Person::new(dir, &address, "bob-who-asks", false).await;
    assert_eq!(goes_on(dir, &address, "carol", &mut bob).await, []);
    let auditor = auditor(dir, &address).await;
    until(&auditor, "the second epoch", |report| report.followed[0].epoch >= 2).await;
    for person in [&alice, &bob] {
        person.client.command(Command::AddAuditor(auditor.address().clone())).await.unwrap();
    }
    let said = alice.lie().await;
    assert_eq!(said, Lie::SplitView { auditor: auditor.address().to_string(), epoch: 2 });
    let agreed = async {
        loop {
            let said = bob.client.query(|engine| engine.auditors()).await.unwrap();
            if let Some(agreed) = said[0].keyservers.first().and_then(|said| said.agreed) {
                return agreed.1;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    assert_eq!(timeout(PATIENCE, agreed).await.unwrap(), 2, "bob and the auditor have seen the same");
    for person in [alice, bob] {
        person.client.close().await.unwrap();
    }
    honest.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyserver_that_was_restored_from_a_copy_is_told_by_clients_and_by_the_auditor() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let first = keyserver(dir, "data", free_port()).await;
    let (address, port) = (first.address().clone(), first.address().port());
    let mut alice = Person::new(dir, &address, "alice", false).await;
    assert_eq!(alice.look_for(&address, "nobody").await, []);
    first.shutdown().await;
    copy(&dir.join("data"), &dir.join("copy"));

    let before = keyserver(dir, "data", port).await;
    let auditor = auditor(dir, &address).await;
    assert_eq!(goes_on(dir, &address, "carol", &mut alice).await, []);
    until(&auditor, "the second epoch", |report| report.followed[0].epoch == 2).await;
    before.shutdown().await;

    let restored = keyserver(dir, "copy", port).await;
    assert_eq!(alice.look_for(&address, "dave").await, [Lie::Root(Alarm::SetBack { seen: 2, told: 1 })]);
    let (why, _) = stopped(&auditor).await;
    assert!(why.contains("was at epoch 2 and is now said to be at 1"), "{why}");
    alice.client.close().await.unwrap();
    restored.shutdown().await;
}
