//! What one person needs to run a relay: a first start, a check, numbers, and a log that names nobody.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../audits/sim/src/port.rs"]
mod port;
mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hushwire_proto::relay::{Answer, RefusedReason};
use hushwire_relay::{
    Operation,
    disk::{Disk, Space},
    du,
    queue::memory::MemoryQueue,
    quota::Rules,
};
use port::free_port;
use support::{
    Client, DEADLINE, Owner, TestRelay,
    program::{Process, init, run},
};

/// The admin port of a relay that is about to start with this configuration.
fn with_admin(config: &Path) -> SocketAddr {
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = fs::read_to_string(config).unwrap() + &format!("admin = \"{admin}\"\n");
    fs::write(config, text).unwrap();
    admin
}

async fn get(admin: SocketAddr, path: &'static str) -> (u16, String) {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    })
    .await
    .unwrap()
}

fn value(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("hushwire_relay_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

/// A relay that tells its numbers, on a disk with as many bytes free as the test says.
fn watched() -> (TestRelay, SocketAddr, Arc<AtomicU64>) {
    let free = Arc::new(AtomicU64::new(1 << 30));
    let told = free.clone();
    let disk = Disk::from_fn(move || Some(Space { total: 1 << 40, free: told.load(Relaxed) }), Some(1 << 20));
    let operation = Operation { admin: Some("127.0.0.1:0".parse().unwrap()), disk, ..Operation::default() };
    let relay = TestRelay::with(MemoryQueue::new(Rules::default()), operation);
    let admin = relay.running.admin_addr().unwrap();
    (relay, admin, free)
}

#[tokio::test]
async fn the_numbers_of_a_relay_are_what_was_done_with_it() {
    let (relay, admin, _) = watched();
    let (bob, nobody) = (Owner::new(1), Owner::new(2));
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    for mark in 0..3 {
        assert_eq!(sender.ask(bob.deposit(mark)).await, Answer::Stored);
    }
    assert!(matches!(sender.ask(nobody.deposit(1)).await, Answer::Refused(_)));
    device.ask(bob.drain(0)).await;
    let newest = device.deliveries(3).await.last().unwrap().seq.0;
    device.ask(bob.acknowledge(newest - 1)).await;
    let (status, page) = get(admin, "/metrics").await;
    assert_eq!(status, 200);
    let expected = [
        ("connections", 2),
        ("connections_accepted_total", 2),
        ("deposits_stored_total", 3),
        ("deposits_refused_total{reason=\"NoSuchDoor\"}", 1),
        ("requests_refused_total{reason=\"NoSuchDoor\"}", 1),
        ("envelopes_delivered_total", 3),
        ("envelopes_acknowledged_total", 2),
        ("mailboxes", 1),
        ("envelopes", 1),
        ("envelope_bytes", 512),
        ("disk_low", 0),
    ];
    for (name, count) in expected {
        assert_eq!(value(&page, name), count, "{name}");
    }
    let usage: du::Usage = serde_json::from_str(&get(admin, "/du").await.1).unwrap();
    assert_eq!((usage.mailboxes, usage.envelopes, usage.bytes, usage.tokens), (1, 1, 512, 1));
    for secret in [bob.mailbox().to_string(), bob.token.hash().to_string(), "127.0.0.1".to_owned()] {
        assert!(!page.contains(&secret), "{page}");
    }
}

#[tokio::test]
async fn a_relay_is_ready_while_it_takes_deposits_and_says_why_when_it_does_not() {
    let (relay, admin, free) = watched();
    assert_eq!(get(admin, "/healthz").await, (200, "alive\n".to_owned()));
    assert_eq!(get(admin, "/readyz").await, (200, "ready\n".to_owned()));
    free.store(0, Relaxed);
    let (status, reason) = eventually(admin, "/readyz", 503).await;
    assert!(status == 503 && reason.contains("disk is nearly full"), "{status} {reason}");
    assert_eq!(get(admin, "/healthz").await.0, 200, "and lives");
    free.store(1 << 30, Relaxed);
    assert_eq!(eventually(admin, "/readyz", 200).await.0, 200);
    assert_eq!(get(admin, "/heapdump").await.0, 404);
    drop(relay);
}

#[tokio::test]
async fn a_relay_whose_disk_is_nearly_full_refuses_with_a_time_to_come_back_and_still_gives_out_what_it_has() {
    let (relay, admin, free) = watched();
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    assert_eq!(sender.ask(bob.deposit(1)).await, Answer::Stored);
    free.store((1 << 20) - 1, Relaxed);
    eventually(admin, "/readyz", 503).await;
    let carols = relay.connect().await;
    carols.open(&carol).await;
    for answer in [sender.ask(bob.deposit(2)).await, carols.ask(carol.grant()).await] {
        let Answer::Refused(refused) = answer else { panic!("{answer:?}") };
        assert_eq!(refused.reason, RefusedReason::StorageFull);
        assert!(refused.retry_after_ms > 0);
    }
    device.ask(bob.drain(0)).await;
    let newest = device.deliveries(1).await[0].seq.0;
    assert_eq!(device.ask(bob.acknowledge(newest)).await, Answer::Acknowledged);
    free.store(2 << 20, Relaxed);
    eventually(admin, "/readyz", 200).await;
    assert_eq!(sender.ask(bob.deposit(2)).await, Answer::Stored);
    assert_eq!(carols.ask(carol.grant()).await, Answer::Granted);
}

async fn eventually(admin: SocketAddr, path: &'static str, wanted: u16) -> (u16, String) {
    let began = std::time::Instant::now();
    loop {
        let found = get(admin, path).await;
        if found.0 == wanted || began.elapsed() > DEADLINE {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_relay_names_nobody_in_its_log_however_much_it_is_asked_to_say() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let admin = with_admin(&config);
    let process = Process::start_talkative(&config);
    let address = process.address.clone();
    let mut secrets = vec![address.to_string(), "127.0.0.1".to_owned()];
    for seed in 1..10 {
        let (bob, nobody) = (Owner::new(seed), Owner::new(seed + 100));
        let mut device = Client::connect(&address).await;
        device.open(&bob).await;
        assert_eq!(device.ask(bob.grant()).await, Answer::Granted);
        let sender = Client::connect(&address).await;
        for mark in 0..20 {
            assert_eq!(sender.ask(bob.deposit(mark)).await, Answer::Stored);
        }
        assert!(matches!(sender.ask(nobody.deposit(1)).await, Answer::Refused(_)));
        assert!(matches!(sender.ask_bytes(vec![0xFF; 100]).await, Answer::Refused(_)));
        device.ask(bob.drain(0)).await;
        let newest = device.deliveries(20).await.last().unwrap().seq.0;
        device.ask(bob.acknowledge(newest)).await;
        device.ask(bob.revoke()).await;
        secrets.extend([bob.mailbox().to_string(), bob.token.hash().to_string(), nobody.mailbox().to_string()]);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        secrets.extend([hex(bob.mailbox().as_bytes()), hex(bob.token.expose())]);
    }
    let (_, page) = get(admin, "/metrics").await;
    assert_eq!(value(&page, "deposits_stored_total"), 180);
    assert!(value(&page, "sync_seconds_count") > 0);
    let stopped = tokio::task::spawn_blocking(move || process.terminate());
    let (code, log) = tokio::time::timeout(DEADLINE, stopped).await.unwrap().unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("listening") && log.contains("stopped"), "{log}");
    for secret in secrets {
        assert!(!log.contains(&secret) && !page.contains(&secret), "{secret}: {log}");
    }
}

#[test]
fn init_check_and_address_tell_an_operator_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let config = config.to_str().unwrap();
    let again = run(&["init", "--dir", dir.path().join("relay").to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not overwritten"));
    let checked = run(&["check", "--config", config]);
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{said}");
    assert!(said.lines().all(|line| line.starts_with("ok ")), "{said}");
    for what in ["configuration", "certificate", "data directory", "disk space", "udp port", "open files"] {
        assert!(said.contains(&format!(" {what}: ")), "{said}");
    }
    let address = String::from_utf8(run(&["address", "--config", config]).stdout).unwrap();
    assert!(address.starts_with("hush://") && said.contains(address.trim()));
    fs::write(config, "retention_days = 0\n").unwrap();
    let refused = run(&["check", "--config", config]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(said.starts_with("NOT OK configuration: ") && said.contains("missing field"), "{said}");
    let nothing = run(&["--config", "/nonexistent/relay.toml"]);
    assert_eq!(nothing.status.code(), Some(1), "without the word `run`, too");
}

#[test]
fn check_says_what_to_do_about_each_thing_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    let text = text.replace("host = \"127.0.0.1\"", "host = \"relay.example.org\"");
    fs::write(&config, text.replace("\"data\"", "\"relay.toml/data\"") + "disk_reserve_mib = 1000000\n").unwrap();
    let checked = run(&["check", "--json", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let found: Vec<serde_json::Value> = serde_json::from_slice(&checked.stdout).unwrap();
    let wrong = |what: &str| {
        let finding = found.iter().find(|finding| finding["what"] == what).unwrap();
        assert_eq!(finding["ok"], false, "{finding}");
        finding["says"].as_str().unwrap().to_owned()
    };
    assert!(wrong("certificate").contains("not made for relay.example.org"));
    assert!(wrong("data directory").contains("must be able to write there"));
    assert!(wrong("udp port").contains("stop what uses it"));
    wrong("disk space");
    assert_eq!(found.iter().filter(|finding| finding["ok"] == false).count(), 4, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn du_says_the_same_of_a_relay_that_runs_and_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    with_admin(&config);
    let nothing = run(&["du", "--config", config.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no queue is here yet"), "{nothing:?}");
    let process = Process::start(&config);
    let bob = Owner::new(1);
    let device = Client::connect(&process.address).await;
    device.open(&bob).await;
    assert_eq!(device.ask(bob.grant()).await, Answer::Granted);
    let sender = Client::connect(&process.address).await;
    for mark in 0..5 {
        assert_eq!(sender.ask(bob.deposit_of(mark, 1024)).await, Answer::Stored);
    }
    let path = config.to_str().unwrap().to_owned();
    let du = move || {
        let said = run(&["du", "--config", &path]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let json = run(&["du", "--json", "--config", &path]);
        let usage: du::Usage = serde_json::from_slice(&json.stdout).unwrap();
        (String::from_utf8(said.stdout).unwrap(), usage)
    };
    let (said, running) = du();
    assert!(said.ends_with("counted in the relay that runs\n"), "{said}");
    assert_eq!((running.mailboxes, running.envelopes, running.bytes, running.tokens), (1, 5, 5 * 1024, 1));
    process.kill();
    let (said, stopped) = du();
    assert!(said.ends_with("counted in its files\n"), "{said}");
    assert_eq!(du::Usage { disk_bytes: running.disk_bytes, ..stopped }, running);
    assert!(stopped.disk_bytes > stopped.bytes);
}
