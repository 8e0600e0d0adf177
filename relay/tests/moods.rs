//! What a relay does while its disk is slow, or cannot be read.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use hushwire_proto::{
    limits::REQUESTS_IN_FLIGHT_MAX,
    net::{CloseCode, call::Disconnect},
    relay::{Answer, RefusedReason},
};
use hushwire_relay::{
    metrics::{Reasons, TurnedAway},
    queue::Queue,
};
use support::{DEADLINE, Owner, TestRelay, assert_refused, deposit_many, moody::Moody};
use tokio::time::{sleep, timeout};

/// Looked at so often.
const TICK: Duration = Duration::from_millis(5);

#[tokio::test]
async fn a_device_whose_mailbox_cannot_be_read_is_sent_away_and_does_not_wait_for_ever() {
    let queue = Moody::new();
    let relay = TestRelay::of(queue.clone());
    let bob = Owner::new(1);
    let device = relay.owner(&bob).await;
    assert_eq!(relay.connect().await.ask(bob.deposit(1)).await, Answer::Stored);
    queue.unreadable.store(true, Relaxed);
    let _draining = device.start(bob.drain(0)); // its answer may be on the way when the connection is closed
    let closed = timeout(DEADLINE, device.connection.closed()).await.unwrap();
    assert_eq!(closed, Disconnect::Closed(CloseCode::GoingAway));
    queue.unreadable.store(false, Relaxed);
    let mut device = relay.owner(&bob).await;
    device.ask(bob.drain(0)).await;
    assert_eq!(device.deliveries(1).await.len(), 1, "nothing is lost by it");
}

#[tokio::test]
async fn an_envelope_to_many_waits_in_the_line_of_all_deposits() {
    let queue = Moody::new();
    let relay = TestRelay::of(queue.clone());
    let bob = Owner::new(1);
    let _device = relay.owner(&bob).await;
    let (mut senders, mut calls) = (Vec::new(), Vec::new());
    for sender in 0..5 {
        let client = relay.connect().await;
        for mark in 0..u64::try_from(REQUESTS_IN_FLIGHT_MAX).unwrap() {
            calls.push(client.start(deposit_many(std::slice::from_ref(&bob), sender << 32 | mark, 512)));
        }
        senders.push(client);
    }
    while queue.came.load(Relaxed) < calls.len() {
        sleep(TICK).await;
    }
    sleep(Duration::from_millis(350)).await; // longer than anybody is to wait
    queue.done.add_permits(1);
    while queue.metrics().deposits_stored.get() == 0 {
        sleep(TICK).await;
    }
    let another = relay.connect().await;
    let refused = another.ask(deposit_many(std::slice::from_ref(&bob), u64::MAX, 512)).await;
    assert_refused(&refused, RefusedReason::Overloaded);
    assert_refused(&another.ask(bob.deposit(u64::MAX)).await, RefusedReason::Overloaded);
    let metrics = queue.metrics();
    let count = |of: &Reasons<TurnedAway>| of.iter().find(|(why, _)| *why == TurnedAway::Patience).unwrap().1.get();
    assert_eq!(count(&metrics.deposits_turned_away), 2);
    let overloaded = metrics.deposits_refused.iter().find(|(why, _)| *why == RefusedReason::Overloaded).unwrap().1;
    assert_eq!(overloaded.get(), 2, "they count among all that were refused");
    queue.done.add_permits(calls.len());
    for call in calls {
        let answer = Answer::parse(&call.answer(DEADLINE).await.unwrap()).unwrap();
        assert!(matches!(answer, Answer::StoredMany(_)), "{answer:?}");
    }
}
