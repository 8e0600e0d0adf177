//! What a relay does while its disk is slow, or cannot be read.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::atomic::Ordering::Relaxed;

use hushwire_proto::{
    net::{CloseCode, call::Disconnect},
    relay::Answer,
};
use support::{DEADLINE, Owner, TestRelay, moody::Moody};
use tokio::time::timeout;

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
