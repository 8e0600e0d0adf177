//! The program itself: killed in the middle of its work, and stopped as an operator stops it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::{fs, time::Duration};

use hushwire_proto::{
    limits::{ENVELOPE_BYTES_MAX, MAILBOXES_PER_CONNECTION_MAX},
    relay::{Answer, Outcome, RefusedReason},
};
use hushwire_relay::du;
use support::{
    Client, DEADLINE, Owner, deposit_many, mark_of,
    program::{Process, init, run},
};

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
    assert!(matches!(device.ask(bob.drain(0)).await, Answer::Draining { .. }));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stored_for_many_survives_a_kill_at_every_door_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let group: Vec<_> = (1..=80).map(Owner::new).collect();
    let mut stored = Vec::new();
    for round in 0..4_u64 {
        let process = Process::start(&config);
        let _devices = open_all(&process, &group).await;
        let sender = Client::connect(&process.address).await;
        let start = |n: u64| {
            let mark = round * 1000 + n;
            (mark, sender.start(deposit_many(&group, mark, 4096)))
        };
        let mut calls: Vec<_> = (0..60).map(start).collect();
        for (mark, call) in calls.drain(..usize::try_from(10 + 10 * round).unwrap()) {
            let Answer::StoredMany(answer) = sender.answer(call).await else { panic!("refused") };
            assert!(answer.outcomes.iter().all(|outcome| *outcome == Outcome::Stored));
            stored.push(mark);
        }
        process.kill();
    }
    let process = Process::start(&config);
    for (owners, device) in group.chunks(MAILBOXES_PER_CONNECTION_MAX).zip(&mut open_all(&process, &group).await) {
        for owner in owners {
            device.ask(owner.drain(0)).await;
            let mut found = Vec::new();
            loop {
                let push = device.push().await;
                if push.mailbox != owner.mailbox() {
                    continue;
                }
                let Some(newest) = push.deliveries.last() else { break };
                let through = newest.seq.0;
                found.extend(push.deliveries.iter().map(mark_of));
                assert_eq!(device.ask(owner.acknowledge(through)).await, Answer::Acknowledged);
            }
            assert!(found.is_sorted(), "in the order in which they were sent");
            assert!(stored.iter().all(|mark| found.binary_search(mark).is_ok()), "all that was answered");
            let mut once = found.clone();
            once.dedup();
            assert_eq!(once, found, "each once");
        }
    }
    process.kill();
    let usage = run(&["du", "--json", "--config", config.to_str().unwrap()]);
    let usage: du::Usage = serde_json::from_slice(&usage.stdout).unwrap();
    assert_eq!((usage.mailboxes, usage.envelopes, usage.shared_bodies), (80, 0, 0));
}

/// Connections on which all of them are at home.
async fn open_all(process: &Process, group: &[Owner]) -> Vec<Client> {
    let mut devices = Vec::new();
    for owners in group.chunks(MAILBOXES_PER_CONNECTION_MAX) {
        let device = Client::connect(&process.address).await;
        for owner in owners {
            device.open(owner).await;
            assert_eq!(device.ask(owner.grant()).await, Answer::Granted);
        }
        devices.push(device);
    }
    devices
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_that_is_missing_is_told_and_only_where_there_should_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = init(dir.path());
    let mark = config.with_file_name("data").join("acknowledged");
    let bob = Owner::new(1);
    let warning = "if the database lost its newest envelopes, nothing tells";
    for (round, told) in (0..).zip([false, false, true, false, true]) {
        match round {
            2 => fs::remove_file(&mark).unwrap(),
            4 => fs::write(&mark, [0; 7]).unwrap(), // half of one
            _ => {}                                 // the first start makes it
        }
        let process = Process::start(&config);
        let device = owner(&process, &bob).await;
        assert_eq!(device.ask(bob.grant()).await, Answer::Granted);
        let sender = Client::connect(&process.address).await;
        assert_eq!(sender.ask(bob.deposit(round)).await, Answer::Stored);
        let (code, log) = tokio::task::spawn_blocking(move || process.terminate()).await.unwrap();
        assert_eq!((code, log.contains(warning)), (Some(0), told), "{log}");
    }
}
