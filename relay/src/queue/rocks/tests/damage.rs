//! A row that cannot be read, and what it leaves alone.

use super::*;

/// More than are copied: they share bodies.
const SHARING: u8 = 60;

fn mailbox(n: u8) -> MailboxId {
    MailboxId([n; 32])
}

async fn with_mailboxes(dir: &Path, rules: Rules, count: u8) -> RocksQueue {
    let queue = RocksQueue::open(dir, rules).unwrap();
    for n in 0..count {
        queue.grant(mailbox(n), vec![(TOKEN, TokenClass::Contact)]).await.unwrap();
    }
    queue
}

async fn marks_of(queue: &RocksQueue, of: MailboxId) -> Result<Vec<u8>, StorageError> {
    let page = queue.read(of, Seq(0), 64 * 1024).await?;
    Ok(page.envelopes.iter().map(|delivery| *delivery.envelope.bytes().first().unwrap()).collect())
}

/// What a disk may make of the row of an envelope.
fn damage(queue: &RocksQueue, of: MailboxId, seq: u64) {
    let store = &queue.0.store;
    store.db.put_cf(store.family(Family::Envelopes).unwrap(), keys::envelope(&of, Seq(seq)), [1, 2, 3]).unwrap();
}

#[tokio::test]
async fn damage_in_one_mailbox_takes_nothing_from_those_that_share_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let queue = with_mailboxes(dir.path(), Rules::default(), SHARING).await;
    for mark in 1..=3 {
        let doors = (0..SHARING).map(|n| PutDoor { mailbox: mailbox(n), token: TOKEN, id: DepositId([mark; 16]) });
        let many = PutMany { envelope: put(mark).envelope, doors: doors.collect() };
        assert!(queue.append_many(many, NOW).await.iter().all(Result::is_ok));
    }
    for n in 2..SHARING {
        queue.remove(mailbox(n), Seq(3)).await.unwrap(); // two are left
    }
    damage(&queue, mailbox(0), 2);
    for _ in 0..3 {
        let refused = Err(RemoveError::Storage(StorageError::Failed));
        assert_eq!(queue.remove(mailbox(0), Seq(3)).await, refused);
    }
    assert_eq!(marks_of(&queue, mailbox(1)).await, Ok(vec![1, 2, 3]));
    assert_eq!(queue.usage().await.unwrap().shared_bodies, 3);
}

#[tokio::test]
async fn damage_in_one_mailbox_does_not_keep_others_from_expiring() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules { retention: Duration::from_secs(86_400), ..Rules::default() };
    let queue = with_mailboxes(dir.path(), rules, 2).await;
    let each = |mark| [0, 1].map(|n| Put { mailbox: mailbox(n), ..put(mark) });
    for put in each(1) {
        queue.append(put, NOW).await.unwrap();
    }
    damage(&queue, mailbox(0), 1); // the first that a sweep looks at
    let hours = |hours: u64| NOW.plus(hours * 3_600_000);
    assert_eq!(queue.expire(hours(26)).await, Ok(Swept { envelopes: 1, more: false }));
    assert_eq!(marks_of(&queue, mailbox(1)).await, Ok(vec![]));
    drop(queue);
    let queue = RocksQueue::open(dir.path(), rules).unwrap();
    for put in each(2) {
        queue.append(put, hours(30)).await.unwrap();
    }
    assert_eq!(queue.expire(hours(56)).await, Ok(Swept { envelopes: 1, more: false }));
    assert_eq!(marks_of(&queue, mailbox(1)).await, Ok(vec![]));
    assert_eq!(marks_of(&queue, mailbox(0)).await, Err(StorageError::Failed), "nor is it passed over in silence");
}
