//! How much a relay takes: of one mailbox, one connection, one address, one request, and of all together.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use hushwire_proto::{
    ids::{Token, TokenHash},
    limits::{ENVELOPE_BYTES_MAX, FANOUT_MAX, MAILBOXES_PER_CONNECTION_MAX, REQUESTS_IN_FLIGHT_MAX, UNACKED_BYTES_MAX},
    net::{
        CloseCode, RELAY_ALPN,
        call::{ConnectError, Connection, Disconnect},
        quic,
    },
    relay::{Answer, Outcome, RefusedReason, Request, TokenClass},
};
use hushwire_relay::{
    Operation,
    doors::DoorRates,
    queue::{Queue, memory::MemoryQueue, rocks::RocksQueue},
    quota::Rules,
    rates::Rates,
};
use support::{DEADLINE, Owner, TestRelay, assert_refused, deposit_many, envelope};

#[tokio::test]
async fn mailboxes_of_one_connection_and_of_the_relay_are_bounded() {
    let relay = TestRelay::memory(Rules { mailboxes_max: 2, ..Rules::default() });
    let client = relay.connect().await;
    let many: Vec<_> = (1..).map(Owner::new).take(MAILBOXES_PER_CONNECTION_MAX + 1).collect();
    for owner in &many[..MAILBOXES_PER_CONNECTION_MAX] {
        client.open(owner).await;
    }
    let last = client.opening(many.last().unwrap());
    assert_refused(&client.ask(last).await, RefusedReason::TooMany);
    assert_eq!(client.ask(many[0].grant()).await, Answer::Granted);
    assert_eq!(client.ask(many[1].grant()).await, Answer::Granted);
    assert_refused(&client.ask(many[2].grant()).await, RefusedReason::TooMany);
}

#[tokio::test]
async fn a_full_mailbox_is_told_with_a_time_to_come_back() {
    let relay = TestRelay::memory(Rules { mailbox_bytes_max: 1024, request_bytes_max: 512, ..Rules::default() });
    let bob = Owner::new(1);
    let device = relay.owner(&bob).await;
    let mut stranger = bob.clone();
    stranger.token = Token::from_slice(&[8; 32]).unwrap();
    let tokens = vec![(stranger.token.hash(), TokenClass::Request)];
    assert_eq!(device.ask(Request::Grant { mailbox: bob.mailbox(), tokens }).await, Answer::Granted);
    let sender = relay.connect().await;
    assert_eq!(sender.ask(stranger.deposit(1)).await, Answer::Stored);
    let Answer::Refused(refused) = sender.ask(stranger.deposit(2)).await else { panic!("stored") };
    assert_eq!(refused.reason, RefusedReason::MailboxFull);
    assert!(refused.retry_after_ms > 0);
    assert_eq!(sender.ask(bob.deposit(3)).await, Answer::Stored);
    assert_refused(&sender.ask(bob.deposit(4)).await, RefusedReason::MailboxFull);
    assert_eq!(sender.ask(bob.deposit(3)).await, Answer::Stored, "a repeat needs no room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_does_not_acknowledge_is_sent_only_so_much() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    let ahead = UNACKED_BYTES_MAX / ENVELOPE_BYTES_MAX;
    device.ask(bob.drain(0)).await;
    for mark in 0..u64::try_from(2 * ahead).unwrap() {
        assert_eq!(sender.ask(bob.deposit_of(mark, ENVELOPE_BYTES_MAX)).await, Answer::Stored);
    }
    let first = device.deliveries(ahead).await;
    device.silence().await;
    device.ask(bob.acknowledge(first[0].seq.0)).await;
    device.deliveries(1).await;
    device.silence().await;
    device.ask(bob.acknowledge(first[ahead - 1].seq.0)).await;
    device.deliveries(ahead - 1).await;
    device.silence().await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_still_fetches() {
    let rates = Rates { requests_per_second: 40, ..Rates::default() };
    let operation = Operation { rates, ..Operation::default() };
    let relay = TestRelay::with(MemoryQueue::new(Rules::default()), operation);
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    let calls: Vec<_> = (0..60).map(|mark| sender.start(bob.deposit(mark))).collect();
    let (mut stored, mut refusals) = (0, Vec::new());
    for call in calls {
        match sender.answer(call).await {
            Answer::Stored => stored += 1,
            Answer::Refused(refused) => refusals.push(refused),
            other => panic!("{other:?}"),
        }
    }
    assert!((5..=50).contains(&stored), "{stored}");
    for refused in refusals {
        assert_eq!(refused.reason, RefusedReason::Overloaded);
        assert!((1..=100).contains(&refused.retry_after_ms), "{refused:?}");
    }
    let other = relay.connect().await; // the address counts, not the connection
    let calls: Vec<_> = (0..60).map(|_| other.start(Request::Hello)).collect();
    let mut refused = 0;
    for call in calls {
        refused += usize::from(matches!(other.answer(call).await, Answer::Refused(_)));
    }
    assert!(refused > 0);
    // What makes room is never too much.
    for _ in 0..30 {
        assert!(matches!(device.ask(bob.drain(0)).await, Answer::Draining { .. }));
    }
    let newest = loop {
        if let Some(newest) = device.push().await.deliveries.last() {
            break newest.seq.0;
        }
    };
    assert_eq!(device.ask(bob.acknowledge(newest)).await, Answer::Acknowledged);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(sender.ask(bob.deposit(1000)).await, Answer::Stored);
}

#[tokio::test]
async fn more_than_one_token_may_store_is_told_a_time_and_the_mailbox_is_open_to_others() {
    let doors = DoorRates { token_per_second: 8, ..DoorRates::default() };
    let relay = TestRelay::with(MemoryQueue::new(Rules::default()), Operation { doors, ..Operation::default() });
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    let (device, _carols) = (relay.owner(&bob).await, relay.owner(&carol).await);
    let mut friend = bob.clone();
    friend.token = Token::from_slice(&[8; 32]).unwrap();
    let tokens = vec![(friend.token.hash(), TokenClass::Contact)];
    assert_eq!(device.ask(Request::Grant { mailbox: bob.mailbox(), tokens }).await, Answer::Granted);
    let mut stranger = bob.clone();
    stranger.token = Token::from_slice(&[9; 32]).unwrap();
    let sender = relay.connect().await;
    for mark in 0..100 {
        assert_refused(&sender.ask(stranger.deposit(mark)).await, RefusedReason::NoSuchDoor);
    }
    for mark in 0..6 {
        let large = bob.deposit_of(mark, ENVELOPE_BYTES_MAX); // which counts as 16, and 80 are taken at once
        assert_eq!(sender.ask(large).await, Answer::Stored, "{mark}");
    }
    let Answer::Refused(refused) = sender.ask(bob.deposit(99)).await else { panic!("stored") };
    assert_eq!(refused.reason, RefusedReason::TooFast);
    assert!((1..=2000).contains(&refused.retry_after_ms), "{refused:?}");
    assert_eq!(sender.ask(friend.deposit(100)).await, Answer::Stored);
    let many = deposit_many(&[bob.clone(), carol, bob.clone()], 200, 512);
    let Answer::StoredMany(many) = sender.ask(many).await else { panic!("not answered") };
    assert_eq!(many.outcomes, [Outcome::Full, Outcome::Stored, Outcome::Full]);
    assert!((1..=2000).contains(&many.retry_after_ms), "{many:?}");
    tokio::time::sleep(Duration::from_millis(refused.retry_after_ms)).await;
    assert_eq!(sender.ask(bob.deposit(99)).await, Answer::Stored);
}

#[tokio::test]
async fn who_acknowledges_too_often_is_slowed_down_and_never_refused() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let device = relay.owner(&bob).await;
    assert!(matches!(device.ask(bob.drain(0)).await, Answer::Draining { .. }));
    let began = Instant::now();
    for _ in 0..24 {
        let calls: Vec<_> = (0..REQUESTS_IN_FLIGHT_MAX).map(|_| device.start(bob.acknowledge(0))).collect();
        for call in calls {
            assert_eq!(device.answer(call).await, Answer::Acknowledged);
        }
    }
    // 6,144 of them, 2,000 of which at once and the rest at 20,000 in a second.
    assert!(began.elapsed() > Duration::from_millis(180), "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_is_refused_over_and_over_is_slowed_down() {
    let rates = Rates { requests_per_second: 1, ..Rates::default() };
    let relay = TestRelay::with(MemoryQueue::new(Rules::default()), Operation { rates, ..Operation::default() });
    let stranger = relay.connect().await;
    let began = Instant::now();
    for _ in 0..24 {
        let calls: Vec<_> = (0..REQUESTS_IN_FLIGHT_MAX).map(|_| stranger.start(Request::Hello)).collect();
        for call in calls {
            stranger.answer(call).await;
        }
    }
    // 6,144 of them, 2,000 of which at once and the rest at 20,000 in a second.
    assert!(began.elapsed() > Duration::from_millis(180), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_strangers_ask_about_a_mailbox_slows_down_no_owner() {
    let rates = Rates { requests_per_second: 100, ..Rates::default() };
    let relay = TestRelay::with(MemoryQueue::new(Rules::default()), Operation { rates, ..Operation::default() });
    let bob = Owner::new(1);
    let device = relay.owner(&bob).await;
    let stranger = relay.connect().await;
    let (mut not_open, mut too_many) = (0, 0);
    for _ in 0..4 {
        let calls: Vec<_> = (0..REQUESTS_IN_FLIGHT_MAX).map(|_| stranger.start(bob.drain(0))).collect();
        for call in calls {
            match stranger.answer(call).await {
                Answer::Refused(refused) if refused.reason == RefusedReason::NotOpen => not_open += 1,
                Answer::Refused(refused) if refused.reason == RefusedReason::Overloaded => too_many += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(not_open > 0 && too_many > 0, "each counts as a request: {not_open}, {too_many}");
    assert!(matches!(device.ask(bob.drain(0)).await, Answer::Draining { .. }), "which makes room");
}

#[tokio::test]
async fn what_is_no_request_counts_as_one() {
    let rates = Rates { requests_per_second: 1, ..Rates::default() };
    let relay = TestRelay::with(MemoryQueue::new(Rules::default()), Operation { rates, ..Operation::default() });
    let stranger = relay.connect().await;
    let nonsense = stranger.connection.start(vec![0x0A, 0x7F, 1].into()).unwrap();
    let hello = stranger.start(Request::Hello);
    assert_refused(&stranger.answer(nonsense).await, RefusedReason::BadRequest);
    assert_refused(&stranger.answer(hello).await, RefusedReason::Overloaded);
}

#[tokio::test]
async fn tokens_that_are_granted_count_one_by_one_and_an_opened_mailbox_sixteen() {
    let rates = Rates { requests_per_second: 20, ..Rates::default() };
    let relay = TestRelay::with(MemoryQueue::new(Rules::default()), Operation { rates, ..Operation::default() });
    let bob = Owner::new(1);
    let device = relay.owner(&bob).await;
    let tokens = (0..100).map(|n| (TokenHash([n; 32]), TokenClass::Contact)).collect();
    assert_eq!(device.ask(Request::Grant { mailbox: bob.mailbox(), tokens }).await, Answer::Granted);
    let Answer::Refused(refused) = device.ask(bob.grant()).await else { panic!("granted") };
    assert_eq!(refused.reason, RefusedReason::Overloaded);
    assert!((4_500..5_000).contains(&refused.retry_after_ms), "{refused:?}");
    assert_eq!(device.ask(bob.revoke()).await, Answer::Revoked, "which makes room");
}

#[tokio::test]
async fn an_address_has_only_so_many_bytes_in_work() {
    let rates = Rates { bytes_in_flight: 4096, ..Rates::default() };
    let operation = Operation { rates, ..Operation::default() };
    let relay = TestRelay::with(MemoryQueue::new(Rules::default()), operation);
    let bob = Owner::new(1);
    let _device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    assert_eq!(sender.ask(bob.deposit_of(1, 4096)).await, Answer::Stored);
    assert_refused(&sender.ask(bob.deposit_of(2, 8192)).await, RefusedReason::Overloaded);
    assert_eq!(sender.ask(bob.deposit_of(3, 4096)).await, Answer::Stored);
}

#[tokio::test]
async fn a_relay_that_falls_behind_takes_no_new_connection_and_serves_those_it_has() {
    let queue = MemoryQueue::new(Rules::default());
    let metrics = queue.metrics().clone();
    let relay = TestRelay::of(queue);
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    metrics.backlog_max.set(100);
    metrics.backlog.set(50);
    let refused = Connection::connect(relay.running.address(), RELAY_ALPN, DEADLINE).await;
    assert!(matches!(refused, Err(ConnectError::Refused)), "a further connection");
    assert!(relay.running.counts().shed.load(Relaxed) > 0);
    assert_eq!(sender.ask(bob.deposit(1)).await, Answer::Stored);
    device.ask(bob.drain(0)).await;
    let newest = device.deliveries(1).await[0].seq.0;
    assert_eq!(device.ask(bob.acknowledge(newest)).await, Answer::Acknowledged);
    metrics.backlog.set(49);
    relay.connect().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_request_to_many_reaches_each_and_tells_stored_full_and_gone_apart() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules { mailbox_bytes_max: u64::try_from(ENVELOPE_BYTES_MAX).unwrap(), ..Rules::default() };
    let relay = TestRelay::of(RocksQueue::open(dir.path(), rules).unwrap());
    let group: Vec<_> = (1..=60).map(Owner::new).collect();
    let mut devices = Vec::new();
    for (owners, n) in group.chunks(MAILBOXES_PER_CONNECTION_MAX).zip(0..) {
        let device = relay.connect().await;
        for owner in owners {
            device.open(owner).await;
            assert_eq!(device.ask(owner.grant()).await, Answer::Granted);
            if n % 2 == 0 {
                assert!(matches!(device.ask(owner.drain(0)).await, Answer::Draining { .. })); // some wait, some come later
            }
        }
        devices.push(device);
    }
    let sender = relay.connect().await;
    assert_eq!(sender.ask(group[7].deposit(9)).await, Answer::Stored);
    // The rest of the doors are nobody's.
    let mut to = group.clone();
    to.extend(
        (0..FANOUT_MAX - group.len())
            .map(|n| Owner { token: Token::from_slice(&[9; 32]).unwrap(), ..group[n % 60].clone() }),
    );
    let many = deposit_many(&to, 1, ENVELOPE_BYTES_MAX);
    for round in ["once", "again"] {
        let Answer::StoredMany(stored) = sender.ask(many.clone()).await else { panic!("refused") };
        assert_eq!(stored.outcomes.len(), FANOUT_MAX, "{round}");
        assert!(stored.retry_after_ms > 0);
        for (n, outcome) in stored.outcomes.iter().enumerate() {
            let expected = match n {
                7 => Outcome::Full,
                _ if n < 60 => Outcome::Stored,
                _ => Outcome::NoSuchDoor,
            };
            assert_eq!(*outcome, expected, "{n}, {round}");
        }
    }
    for (owners, device) in group.chunks(MAILBOXES_PER_CONNECTION_MAX).zip(&mut devices) {
        for owner in owners {
            device.ask(owner.drain(0)).await;
        }
        let mut found = std::collections::BTreeMap::new();
        while found.len() < owners.len() {
            let push = device.push().await;
            for delivery in push.deliveries {
                found.insert(push.mailbox, delivery.envelope);
            }
        }
        for owner in owners {
            let expected =
                if owner.mailbox() == group[7].mailbox() { envelope(9, 512) } else { envelope(1, ENVELOPE_BYTES_MAX) };
            assert_eq!(found[&owner.mailbox()], expected);
        }
    }
    let device = &devices[0];
    assert_refused(&device.ask(many).await, RefusedReason::OwnerMayNotDeposit);
    let too_many = deposit_many(&vec![group[0].clone(); FANOUT_MAX + 1], 2, 512);
    assert_refused(&sender.ask(too_many).await, RefusedReason::BadRequest);
    assert_refused(&sender.ask(deposit_many(&[], 2, 512)).await, RefusedReason::BadRequest);
}

#[tokio::test]
async fn whoever_opens_streams_over_and_over_is_sent_away() {
    let relay = TestRelay::memory(Rules::default());
    let (config, _) = quic::client_config(relay.running.address().fingerprint().unwrap(), RELAY_ALPN).unwrap();
    let remote = relay.running.local_addr();
    let endpoint = quic::client_endpoint(remote).unwrap();
    let connection = endpoint.connect_with(config, remote, "localhost").unwrap().await.unwrap();
    let mut opened = 0;
    let closed = loop {
        match connection.open_bi().await {
            Ok((mut send, mut receive)) => {
                opened += 1;
                let _ = (send.write_all(b"x").await, send.reset(0u8.into()), receive.stop(0u8.into()));
            }
            Err(closed) => break Disconnect::from(closed),
        }
    };
    assert_eq!(closed, Disconnect::Closed(CloseCode::TooManyStreams));
    assert!((64..200).contains(&opened), "{opened}");
}
