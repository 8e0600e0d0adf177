//! What need not arrive: heard by whoever is there, kept nowhere, told to nobody else, and the first to go.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;

use hushwire_proto::{
    ids::{Seq, Token},
    relay::{Answer, RefusedReason, Request, TokenClass},
};
use hushwire_relay::{
    metrics::{Metrics, Unheard},
    queue::{Page, Queue, Usage, memory::MemoryQueue, rocks::RocksQueue},
    quota::Rules,
};
use support::{Client, Owner, TestRelay, assert_refused, envelope};

/// A device that has fetched everything and waits.
async fn waiting(relay: &TestRelay, owner: &Owner) -> Client {
    let mut device = relay.owner(owner).await;
    assert!(matches!(device.ask(owner.drain(0)).await, Answer::Draining { .. }));
    assert!(device.push().await.deliveries.is_empty());
    device
}

fn dropped(metrics: &Metrics, reason: Unheard) -> u64 {
    let found = metrics.whispers_dropped.iter().find(|(known, _)| *known == reason);
    found.unwrap().1.get()
}

/// What became of a whisper is counted after it was answered.
async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_whisper_is_heard_by_the_newest_drain_and_messages_go_on_as_before() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let mut older = waiting(&relay, &bob).await;
    let mut device = waiting(&relay, &bob).await;
    let sender = relay.connect().await;
    assert_eq!(sender.ask(bob.whisper(1)).await, Answer::Passed);
    assert_eq!(device.whisper().await, 1);
    assert_eq!(sender.ask(bob.deposit(2)).await, Answer::Stored);
    let delivered = device.deliveries(1).await;
    let first = delivered.first().unwrap().seq;
    assert_eq!(sender.ask(bob.whisper(3)).await, Answer::Passed);
    assert_eq!(device.whisper().await, 3);
    assert_eq!(sender.ask(bob.deposit(4)).await, Answer::Stored);
    assert_eq!(device.deliveries(1).await.first().unwrap().seq, Seq(first.0 + 1), "a whisper has no number");
    older.silence().await;
}

#[tokio::test]
async fn whether_somebody_is_there_shows_in_no_answer() {
    let queue = MemoryQueue::new(Rules::default());
    let metrics = queue.metrics().clone();
    let relay = TestRelay::of(queue);
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    let mut device = waiting(&relay, &bob).await;
    let absent = relay.owner(&carol).await; // connected, and does not drain
    let sender = relay.connect().await;
    assert_eq!(sender.ask(bob.whisper(1)).await, sender.ask(carol.whisper(1)).await);
    assert_eq!(device.whisper().await, 1);
    until(|| dropped(&metrics, Unheard::Absent) == 1).await;
    assert_eq!(metrics.whispers_passed.get(), 1);
    drop(absent);
    assert_eq!(sender.ask(carol.whisper(2)).await, Answer::Passed);
}

#[tokio::test]
async fn a_stranger_does_not_whisper_and_neither_does_an_owner() {
    let relay = TestRelay::memory(Rules::default());
    let bob = Owner::new(1);
    let mut device = waiting(&relay, &bob).await;
    let stranger = Owner { token: Token::from_slice(&[8; 32]).unwrap(), ..bob.clone() };
    let tokens = vec![(stranger.token.hash(), TokenClass::Request)];
    assert_eq!(device.ask(Request::Grant { mailbox: bob.mailbox(), tokens }).await, Answer::Granted);
    let sender = relay.connect().await;
    assert_eq!(sender.ask(stranger.deposit(1)).await, Answer::Stored, "the token is good for messages");
    device.deliveries(1).await;
    let nobody = Owner { token: Token::from_slice(&[9; 32]).unwrap(), ..bob.clone() };
    let no_door = sender.ask(nobody.deposit(2)).await;
    assert_refused(&no_door, RefusedReason::NoSuchDoor);
    for wrong in [&stranger, &nobody, &Owner::new(5)] {
        assert_eq!(sender.ask(wrong.whisper(3)).await, no_door, "as a deposit is answered");
    }
    assert_refused(&device.ask(bob.whisper(4)).await, RefusedReason::OwnerMayNotDeposit);
    assert_refused(&sender.ask(sender.opening(&bob)).await, RefusedReason::OwnerMayNotDeposit);
    assert_eq!(device.ask(bob.revoke()).await, Answer::Revoked);
    assert_eq!(sender.ask(bob.whisper(5)).await, no_door, "nor is one heard whose token was revoked");
    device.silence().await;
}

/// Whether the envelope of that mark stands in a file of the queue.
fn is_on_the_disk(dir: &Path, mark: u64) -> bool {
    let envelope = envelope(mark, 512);
    let begin = envelope.bytes().get(..64).unwrap();
    let files = std::fs::read_dir(dir.join("queue")).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| bytes.windows(begin.len()).any(|window| window == begin))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_whispered_is_kept_nowhere_whether_it_is_heard_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    let metrics = queue.metrics().clone();
    let relay = TestRelay::of(queue.clone());
    let (bob, carol) = (Owner::new(1), Owner::new(2));
    let mut device = waiting(&relay, &bob).await;
    let absent = relay.owner(&carol).await;
    let sender = relay.connect().await;
    assert_eq!(sender.ask(bob.deposit(1)).await, Answer::Stored);
    device.deliveries(1).await;
    // But for the bytes of the files: a relay writes down what time it is.
    let kept = async || Usage { disk_bytes: 0, ..queue.usage().await.unwrap() };
    let before = kept().await;
    for mark in 101..108 {
        assert_eq!(sender.ask(carol.whisper(mark)).await, Answer::Passed);
        assert_eq!(sender.ask(bob.whisper(mark)).await, Answer::Passed);
        assert_eq!(device.whisper().await, mark);
    }
    until(|| dropped(&metrics, Unheard::Absent) == 7).await;
    assert_eq!(kept().await, before);
    assert_eq!(queue.read(carol.mailbox(), Seq(0), 1 << 20).await.unwrap(), Page::default());
    assert!(is_on_the_disk(dir.path(), 1), "as what was deposited is");
    assert!((101..108).all(|mark| !is_on_the_disk(dir.path(), mark)));
    // Nor does it come later.
    drop(absent);
    let mut back = relay.owner(&carol).await;
    back.ask(carol.drain(0)).await;
    assert!(back.push().await.deliveries.is_empty());
    back.silence().await;
}

#[tokio::test]
async fn under_load_whispers_go_first_and_everything_else_goes_on() {
    let queue = MemoryQueue::new(Rules::default());
    let metrics = queue.metrics().clone();
    let relay = TestRelay::of(queue);
    let bob = Owner::new(1);
    let mut device = waiting(&relay, &bob).await;
    let sender = relay.connect().await;
    metrics.backlog_max.set(100);
    metrics.backlog.set(25);
    assert_eq!(sender.ask(bob.whisper(1)).await, Answer::Passed);
    assert_eq!(dropped(&metrics, Unheard::Shed), 1);
    assert_eq!(sender.ask(bob.deposit(2)).await, Answer::Stored);
    assert_eq!(device.deliveries(1).await.len(), 1, "the message, and no whisper before it");
    let other = relay.connect().await; // nor is a connection refused yet
    metrics.backlog.set(24);
    assert_eq!(other.ask(bob.whisper(3)).await, Answer::Passed);
    assert_eq!(device.whisper().await, 3);
}

#[tokio::test]
async fn whoever_whispers_without_end_is_heard_a_few_times_and_answered_the_same() {
    let queue = MemoryQueue::new(Rules::default());
    let metrics = queue.metrics().clone();
    let relay = TestRelay::of(queue);
    let bob = Owner::new(1);
    let mut device = waiting(&relay, &bob).await;
    let sender = relay.connect().await;
    for mark in 0..200 {
        assert_eq!(sender.ask(bob.whisper(mark)).await, Answer::Passed);
    }
    let unheard = || dropped(&metrics, Unheard::TooOften) + dropped(&metrics, Unheard::Busy);
    until(|| metrics.whispers_passed.get() + unheard() == 200).await;
    assert!(dropped(&metrics, Unheard::TooOften) > 0);
    for _ in 0..metrics.whispers_passed.get() {
        device.whisper().await;
    }
    device.silence().await;
}
