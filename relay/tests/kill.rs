//! The program itself: killed in the middle of its work, and stopped as an operator stops it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use hushwire_proto::{
    address::{RELAY_PORT, ServerAddress},
    limits::ENVELOPE_BYTES_MAX,
    relay::{Answer, RefusedReason},
};
use support::{Client, DEADLINE, Owner, mark_of};

const BINARY: &str = env!("CARGO_BIN_EXE_hushwire-relay");

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_remove("HUSHWIRE_RELAY_CONFIG").output().unwrap()
}

/// A fresh directory whose relay listens on a free port of this machine.
fn init(dir: &Path) -> PathBuf {
    let dir = dir.join("relay");
    let made = run(&["init", "--dir", dir.to_str().unwrap(), "--host", "127.0.0.1"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = dir.join("relay.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[::]:4431", "127.0.0.1:0")).unwrap();
    config
}

struct Process {
    child: Child,
    address: ServerAddress,
}

impl Process {
    /// Returns once it serves.
    fn start(config: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["run", "--config", config.to_str().unwrap()]);
        Self::spawn(command)
    }

    /// On a disk that refuses whatever makes a file larger than 2 MiB.
    fn start_on_a_small_disk(config: &Path) -> Self {
        let mut command = Command::new("sh");
        let script = r#"trap "" XFSZ; ulimit -f 4096; exec "$0" run --config "$1""#;
        command.args(["-c", script, BINARY, config.to_str().unwrap()]);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = ServerAddress::parse(line.trim(), RELAY_PORT).unwrap();
        Self { child, address }
    }

    /// SIGKILL, to this process only.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The exit code, and what was logged.
    fn terminate(self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.ended()
    }

    fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (code, log)
    }
}

async fn owner(process: &Process, bob: &Owner) -> Client {
    let device = Client::connect(&process.address).await;
    device.open(bob).await;
    device
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_stored_survives_a_kill_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let bob = Owner::new(1);
    let mut stored = Vec::new();
    for round in 0..4_u64 {
        let process = Process::start(&config);
        let device = owner(&process, &bob).await;
        assert_eq!(device.ask(bob.grant()).await, Answer::Granted);
        let sender = Client::connect(&process.address).await;
        let calls: Vec<_> = (0..500).map(|n| (round * 1000 + n, sender.start(bob.deposit(round * 1000 + n)))).collect();
        let mut calls = calls.into_iter();
        // Some are answered, the rest is under way when the process is killed.
        for (mark, call) in calls.by_ref().take(50 + 100 * usize::try_from(round).unwrap()) {
            assert_eq!(sender.answer(call).await, Answer::Stored);
            stored.push(mark);
        }
        process.kill();
        drop(sender);
        for (mark, call) in calls {
            if let Ok(answer) = call.answer(Duration::from_millis(1)).await
                && Answer::parse(&answer) == Ok(Answer::Stored)
            {
                stored.push(mark);
            }
        }
    }
    let process = Process::start(&config);
    let mut device = owner(&process, &bob).await;
    assert_eq!(device.ask(bob.drain(0)).await, Answer::Draining);
    let mut found = Vec::new();
    while stored.last() > found.last() {
        let push = device.push().await;
        let newest = push.deliveries.last().unwrap().seq;
        assert_eq!(device.ask(bob.acknowledge(newest.0)).await, Answer::Acknowledged);
        found.extend(push.deliveries.iter().map(mark_of));
    }
    assert!(found.is_sorted(), "in the order in which they were sent");
    assert!(stored.iter().all(|mark| found.binary_search(mark).is_ok()), "all that was answered");
    let mut once = found.clone();
    once.dedup();
    assert_eq!(once, found, "each once");
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_ends_the_process_and_loses_nothing_that_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let bob = Owner::new(1);
    let process = Process::start_on_a_small_disk(&config);
    let device = owner(&process, &bob).await;
    assert_eq!(device.ask(bob.grant()).await, Answer::Granted);
    let sender = Client::connect(&process.address).await;
    let calls: Vec<_> = (0..60).map(|mark| sender.start(bob.deposit_of(mark, ENVELOPE_BYTES_MAX))).collect();
    let mut stored = 0;
    for call in calls {
        match call.answer(DEADLINE).await.map(|answer| Answer::parse(&answer).unwrap()) {
            Ok(Answer::Stored) => stored += 1,
            Ok(Answer::Refused(refused)) => assert_eq!(refused.reason, RefusedReason::StorageFailed),
            Ok(other) => panic!("{other:?}"),
            Err(_) => {} // it has ended
        }
    }
    let ended = tokio::task::spawn_blocking(move || process.ended());
    let (code, log) = tokio::time::timeout(DEADLINE, ended).await.unwrap().unwrap();
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("the disk failed"), "{log}");
    assert!((1..60).contains(&stored), "{stored}");
    let process = Process::start(&config);
    let mut device = owner(&process, &bob).await;
    device.ask(bob.drain(0)).await;
    let mut found = 0;
    while found < stored {
        let push = device.push().await;
        assert_eq!(mark_of(push.deliveries.first().unwrap()), found);
        found += u64::try_from(push.deliveries.len()).unwrap();
        let newest = push.deliveries.last().unwrap().seq;
        assert_eq!(device.ask(bob.acknowledge(newest.0)).await, Answer::Acknowledged);
    }
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_what_has_begun_and_exits_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let bob = Owner::new(1);
    let process = Process::start(&config);
    let address = process.address.to_string();
    let device = owner(&process, &bob).await;
    assert_eq!(device.ask(bob.grant()).await, Answer::Granted);
    device.ask(bob.drain(0)).await;
    let sender = Client::connect(&process.address).await;
    assert_eq!(sender.ask(bob.deposit(1)).await, Answer::Stored);
    let stopped = tokio::task::spawn_blocking(move || process.terminate());
    let (code, log) = tokio::time::timeout(DEADLINE, stopped).await.unwrap().unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
    for secret in [bob.mailbox().to_string(), bob.token.hash().to_string(), "127.0.0.1".to_owned(), address] {
        assert!(!log.contains(&secret), "{log}");
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
    assert!(checked.status.success());
    let address = String::from_utf8(run(&["address", "--config", config]).stdout).unwrap();
    assert!(address.starts_with("hush://") && String::from_utf8_lossy(&checked.stdout).contains(address.trim()));
    std::fs::write(config, "retention_days = 0\n").unwrap();
    let refused = run(&["check", "--config", config]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("missing field"), "{refused:?}");
    let nothing = run(&["--config", "/nonexistent/relay.toml"]);
    assert_eq!(nothing.status.code(), Some(1), "without the word `run`, too");
}
