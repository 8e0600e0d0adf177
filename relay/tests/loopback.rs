//! A relay on a real socket: every request, every refusal, and what may go wrong between two connections.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use hushwire_proto::{
    auth::prove_mailbox,
    ids::{MailboxId, Seq, Token},
    limits::FRAME_BYTES_MAX,
    net::CloseCode,
    relay::{Answer, RefusedReason, Request},
};
use hushwire_relay::{
    queue::{memory::MemoryQueue, rocks::RocksQueue},
    quota::Rules,
};
use support::{DEADLINE, HOUR, Owner, TestRelay, assert_refused, envelope, mark_of};

#[tokio::test]
async fn hello_says_the_time_and_the_limits() {
    let relay = TestRelay::memory(Rules::default());
    let client = relay.connect().await;
    let Answer::Welcome(welcome) = client.ask(Request::Hello).await else { panic!("no welcome") };
    assert_eq!(welcome.now.0, relay.clock.load(Relaxed));
    assert_eq!(welcome.retention_seconds, 30 * 24 * 3600);
    assert_eq!(welcome.mailbox_bytes_max, 64 << 20);
    let limits = welcome.limits;
    assert_eq!((limits.envelope_bytes_max, limits.fanout_max, limits.requests_in_flight_max), (65_536, 5000, 256));
    assert_eq!((limits.requests_per_second, limits.bytes_in_flight_max), (20_000, 8 << 20));
    assert_eq!((limits.token_per_second, limits.mailbox_per_second), (1000, 5000));
    assert!(welcome.software.starts_with("hushwire-relay "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_goes_from_a_sender_to_its_owner_and_is_forgotten_once_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let relay = TestRelay::of(RocksQueue::open(dir.path(), Rules::default()).unwrap());
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    assert_eq!(sender.ask(bob.deposit(1)).await, Answer::Stored);
    assert_eq!(device.ask(bob.drain(0)).await, Answer::Draining { waiting: 1 });
    let first = device.deliveries(1).await;
    assert_eq!(first[0].envelope, envelope(1, 512));
    // While the device is connected it comes by itself.
    assert_eq!(sender.ask(bob.deposit(2)).await, Answer::Stored);
    let second = device.deliveries(1).await;
    assert_eq!(mark_of(&second[0]), 2);
    assert!(second[0].seq > first[0].seq);
    assert_eq!(device.ask(bob.acknowledge(second[0].seq.0)).await, Answer::Acknowledged);
    assert_eq!(device.ask(bob.acknowledge(second[0].seq.0)).await, Answer::Acknowledged, "again");
    let mut again = relay.owner(&bob).await;
    assert_eq!(again.ask(bob.drain(0)).await, Answer::Draining { waiting: 0 });
    assert!(again.push().await.deliveries.is_empty(), "there is nothing more, and that is told");
    again.silence().await;
}

#[tokio::test]
async fn a_drain_tells_once_when_it_has_given_all_that_was_there() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    for mark in 1..=3 {
        assert_eq!(sender.ask(bob.deposit(mark)).await, Answer::Stored);
    }
    assert!(matches!(device.ask(bob.drain(0)).await, Answer::Draining { .. }));
    assert_eq!(device.deliveries(3).await.len(), 3);
    assert!(device.push().await.deliveries.is_empty());
    assert_eq!(sender.ask(bob.deposit(4)).await, Answer::Stored);
    assert_eq!(mark_of(&device.push().await.deliveries[0]), 4);
    device.silence().await;
}

#[tokio::test]
async fn a_wrong_token_and_an_unknown_mailbox_get_the_same_answer() {
    let relay = TestRelay::memory(Rules::default());
    let (bob, nobody, opened) = (Owner::new(1), Owner::new(2), Owner::new(3));
    let _device = relay.owner(&bob).await;
    let other = relay.connect().await;
    other.open(&opened).await; // opened, and granted nothing
    let sender = relay.connect().await;
    let mut wrong = bob.clone();
    wrong.token = Token::from_slice(&[9; 32]).unwrap();
    let answers =
        [sender.ask(wrong.deposit(1)).await, sender.ask(nobody.deposit(1)).await, sender.ask(opened.deposit(1)).await];
    let Answer::Refused(refused) = &answers[0] else { panic!("{:?}", answers[0]) };
    assert_eq!(refused.reason, RefusedReason::NoSuchDoor);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn tokens_are_granted_and_revoked_in_the_order_of_the_requests() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    assert_eq!(sender.ask(bob.deposit(1)).await, Answer::Stored);
    let calls = [device.start(bob.revoke()), device.start(bob.grant()), device.start(bob.revoke())];
    let mut answers = Vec::new();
    for call in calls {
        answers.push(device.answer(call).await);
    }
    assert_eq!(answers, [Answer::Revoked, Answer::Granted, Answer::Revoked]);
    assert_refused(&sender.ask(bob.deposit(2)).await, RefusedReason::NoSuchDoor);
}

#[tokio::test]
async fn nothing_is_done_with_a_mailbox_that_is_not_open_here() {
    let relay = TestRelay::memory(Rules::default());
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    let _device = relay.owner(&bob).await;
    let carols = relay.owner(&carol).await;
    for client in [relay.connect().await, carols] {
        for request in [bob.grant(), bob.revoke(), bob.drain(0), bob.acknowledge(0)] {
            assert_refused(&client.ask(request).await, RefusedReason::NotOpen);
        }
    }
}

#[tokio::test]
async fn a_proof_opens_its_own_mailbox_on_its_own_connection_only() {
    let relay = TestRelay::memory(Rules::default());
    let (bob, mallory) = (Owner::new(1), Owner::new(2));
    let (bobs, mallorys) = (relay.connect().await, relay.connect().await);
    let captured = prove_mailbox(bobs.binding(), &bob.key);
    let own = prove_mailbox(mallorys.binding(), &mallory.key);
    for proof in [captured, own, [0; 64]] {
        let open = Request::Open { mailbox: bob.mailbox(), proof };
        assert_refused(&mallorys.ask(open).await, RefusedReason::BadProof);
    }
    let small_order = Request::Open { mailbox: MailboxId([0; 32]), proof: [0; 64] };
    assert_refused(&mallorys.ask(small_order).await, RefusedReason::BadProof);
    assert_refused(&mallorys.ask(bob.drain(0)).await, RefusedReason::NotOpen);
    let open = Request::Open { mailbox: bob.mailbox(), proof: captured };
    assert_eq!(bobs.ask(open.clone()).await, Answer::Opened);
    assert_eq!(bobs.ask(open).await, Answer::Opened, "again");
}

#[tokio::test]
async fn owners_do_not_deposit_and_senders_do_not_own() {
    let relay = TestRelay::memory(Rules::default());
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    let (device, _other) = (relay.owner(&bob).await, relay.owner(&carol).await);
    assert_refused(&device.ask(carol.deposit(1)).await, RefusedReason::OwnerMayNotDeposit);
    let sender = relay.connect().await;
    assert_eq!(sender.ask(carol.deposit(1)).await, Answer::Stored);
    assert_refused(&sender.ask(sender.opening(&bob)).await, RefusedReason::OwnerMayNotDeposit);
    assert_eq!(sender.ask(carol.deposit(2)).await, Answer::Stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_deposits_keep_their_order_and_repeats_are_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let relay = TestRelay::of(RocksQueue::open(dir.path(), Rules::default()).unwrap());
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    device.ask(bob.drain(0)).await;
    let sender = relay.connect().await;
    let calls: Vec<_> = (0..300).flat_map(|mark| [bob.deposit(mark), bob.deposit(mark)]).collect();
    let calls: Vec<_> = calls.into_iter().map(|call| sender.start(call)).collect();
    for call in calls {
        assert_eq!(sender.answer(call).await, Answer::Stored);
    }
    let found = device.deliveries(300).await;
    assert_eq!(found.iter().map(mark_of).collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
    assert_eq!(device.ask(bob.acknowledge(found[299].seq.0)).await, Answer::Acknowledged);
    assert_eq!(sender.ask(bob.deposit(7)).await, Answer::Stored, "acknowledged and gone, and still known");
    device.silence().await;
}

#[tokio::test]
async fn a_drain_begins_anywhere() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    for mark in 0..10 {
        sender.ask(bob.deposit(mark)).await;
    }
    device.ask(bob.drain(0)).await;
    let all = device.deliveries(10).await;
    for (after, next) in [(0, 0), (3, 4), (9, 10)] {
        let after = all[after].seq.0 * u64::from(next > 0);
        assert!(matches!(device.ask(bob.drain(after)).await, Answer::Draining { .. })); // on the same connection, too
        let found = device.deliveries(10 - next).await;
        assert_eq!(found, all[next..]);
    }
    assert_refused(&device.ask(bob.drain(all[9].seq.0 + 1)).await, RefusedReason::BadRequest);
}

#[tokio::test]
async fn what_was_not_given_out_is_not_acknowledged() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    assert_refused(&device.ask(bob.acknowledge(0)).await, RefusedReason::BadRequest);
    sender.ask(bob.deposit(1)).await;
    device.ask(bob.drain(0)).await;
    let newest = device.deliveries(1).await[0].seq.0;
    for beyond in [newest + 1, u64::MAX] {
        assert_refused(&device.ask(bob.acknowledge(beyond)).await, RefusedReason::BadRequest);
    }
    // Nor by saying that it is here already.
    assert_refused(&device.ask(bob.drain(newest + 5)).await, RefusedReason::BadRequest);
    assert_refused(&device.ask(bob.acknowledge(newest + 5)).await, RefusedReason::BadRequest);
    let mut again = relay.owner(&bob).await;
    again.ask(bob.drain(0)).await;
    assert_eq!(again.deliveries(1).await[0].seq.0, newest);
}

#[tokio::test]
async fn the_newer_drain_takes_over_and_the_older_gets_nothing_more() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let (mut older, mut newer) = (relay.owner(&bob).await, relay.owner(&bob).await);
    let sender = relay.connect().await;
    older.ask(bob.drain(0)).await;
    sender.ask(bob.deposit(1)).await;
    let first = older.deliveries(1).await[0].seq.0;
    assert!(matches!(newer.ask(bob.drain(first)).await, Answer::Draining { .. }));
    sender.ask(bob.deposit(2)).await;
    assert_eq!(mark_of(&newer.deliveries(1).await[0]), 2);
    older.silence().await;
    assert_eq!(older.ask(bob.acknowledge(first)).await, Answer::Acknowledged, "what it was given, it may say it kept");
    drop(newer);
    assert!(matches!(older.ask(bob.drain(first)).await, Answer::Draining { .. }));
    assert_eq!(mark_of(&older.deliveries(1).await[0]), 2);
}

#[tokio::test]
async fn what_expired_is_told_even_if_nothing_else_is_there() {
    let relay = TestRelay::memory(Rules { retention: Duration::from_secs(86_400), ..Rules::default() });
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    sender.ask(bob.deposit(1)).await;
    sender.ask(bob.deposit(2)).await;
    relay.clock.fetch_add(26 * HOUR, Relaxed);
    expired(&relay, &bob, Seq(2)).await;
    device.ask(bob.drain(0)).await;
    let push = device.push().await;
    assert!(push.deliveries.is_empty());
    assert_eq!(push.expired_through, Seq(2));
    sender.ask(bob.deposit(3)).await;
    let push = device.push().await;
    assert_eq!((push.expired_through, mark_of(&push.deliveries[0])), (Seq(2), 3));
    assert!(matches!(device.ask(bob.drain(2)).await, Answer::Draining { .. }));
    assert_eq!(mark_of(&device.deliveries(1).await[0]), 3, "told once to whoever knows it");
}

#[tokio::test]
async fn a_wall_clock_that_jumps_expires_nothing_early_and_stops_no_expiry() {
    let rules = Rules { retention: Duration::from_secs(86_400), ..Rules::default() };
    let (relay, passed) = TestRelay::with_two_clocks(MemoryQueue::new(rules));
    let bob = Owner::new(1);
    let mut device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    sender.ask(bob.deposit(1)).await;
    let start = relay.clock.load(Relaxed);
    for shown in [start + 45 * 24 * HOUR, start - 45 * 24 * HOUR, 0] {
        relay.clock.store(shown, Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await; // some sweeps
        let Answer::Welcome(welcome) = sender.ask(Request::Hello).await else { panic!("no welcome") };
        assert_eq!(welcome.now.0, shown);
        device.ask(bob.drain(0)).await;
        let deliveries = device.deliveries(1).await;
        assert_eq!((mark_of(&deliveries[0]), deliveries[0].stored_at.0), (1, shown));
    }
    // The clock on the wall stands still, and a day passes; then two hours more.
    passed.fetch_add(24 * HOUR, Relaxed);
    tokio::time::sleep(Duration::from_millis(50)).await;
    device.ask(bob.drain(0)).await;
    assert_eq!(device.deliveries(1).await.len(), 1);
    passed.fetch_add(2 * HOUR, Relaxed);
    expired(&relay, &bob, Seq(1)).await;
}

/// Waits until everything up to there has expired.
async fn expired(relay: &TestRelay, bob: &Owner, through: Seq) {
    let mut looking = relay.owner(bob).await;
    let told = async {
        loop {
            looking.ask(bob.drain(0)).await;
            if looking.push().await.expired_through == through {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, told).await.unwrap();
}

#[tokio::test]
async fn garbage_is_refused_and_the_connection_goes_on() {
    let relay = TestRelay::memory(Rules::default());
    let client = relay.connect().await;
    let bob = Owner::new(1);
    let whole = bob.deposit(1).encode();
    let mut payloads = vec![vec![], vec![0xFF; 100], vec![0; FRAME_BYTES_MAX], vec![0x7A, 0]];
    payloads.extend((1..whole.len()).step_by(37).map(|end| whole[..end].to_vec()));
    for payload in payloads {
        assert_refused(&client.ask_bytes(payload).await, RefusedReason::BadRequest);
    }
    assert!(matches!(client.ask(Request::Hello).await, Answer::Welcome(_)));
}

#[tokio::test]
async fn an_envelope_of_another_size_is_refused() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let _device = relay.owner(&bob).await;
    let sender = relay.connect().await;
    // The envelope is the last field of the message: shorten it, and what counts it.
    let payload = support::deposit_with_envelope_of(&bob, 513);
    assert_refused(&sender.ask_bytes(payload).await, RefusedReason::BadRequest);
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    let relay = TestRelay::memory(Rules::default());
    let client = relay.connect().await;
    let (push, oversize) = ([0; 12], [0xFF; 12]);
    let truncated = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 7];
    for bytes in [&push[..], &oversize, &truncated, &truncated[..5]] {
        assert_eq!(support::send_raw(&relay, bytes).await, CloseCode::BadFrame.code());
    }
    assert!(matches!(client.ask(Request::Hello).await, Answer::Welcome(_)), "others do not notice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_answers_what_has_begun_and_frees_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let relay = TestRelay::of(RocksQueue::open(dir.path(), Rules::default()).unwrap());
    let bob = Owner::new(1);
    let device = relay.owner(&bob).await;
    device.ask(bob.drain(0)).await;
    let sender = relay.connect().await;
    let calls: Vec<_> = (0..100).map(|mark| sender.start(bob.deposit(mark))).collect();
    let answers = async {
        let mut stored = 0;
        for call in calls {
            let answer = call.answer(DEADLINE).await.map(|answer| Answer::parse(&answer).unwrap());
            stored += usize::from(answer == Ok(Answer::Stored));
        }
        stored
    };
    let (drained, stored) = tokio::join!(relay.running.shutdown(), answers);
    assert_eq!(drained.cut, 0);
    sender.connection.closed().await; // with which words is the transport's business
    let relay = TestRelay::of(RocksQueue::open(dir.path(), Rules::default()).unwrap());
    let mut device = relay.owner(&bob).await;
    device.ask(bob.drain(0)).await;
    let found: Vec<_> = device.deliveries(stored).await.iter().map(mark_of).collect();
    let expected: Vec<_> = (0..u64::try_from(found.len()).unwrap()).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_same_deposit_id_in_two_mailboxes_is_two_deposits() {
    let relay = TestRelay::memory(Rules::default());
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    let (mut bobs, mut carols) = (relay.owner(&bob).await, relay.owner(&carol).await);
    let sender = relay.connect().await;
    sender.ask(bob.deposit(1)).await;
    sender.ask(carol.deposit(1)).await;
    bobs.ask(bob.drain(0)).await;
    carols.ask(carol.drain(0)).await;
    assert_eq!((bobs.deliveries(1).await.len(), carols.deliveries(1).await.len()), (1, 1));
}
