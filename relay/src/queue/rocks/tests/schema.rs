//! Databases that an earlier or a later version has written.

use super::*;

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join(DATABASE_DIR)).unwrap();
    let mut batch = WriteBatch::default();
    batch.put(keys::SCHEMA_KEY, (keys::SCHEMA + 1).to_be_bytes());
    store.commit(batch).unwrap();
    drop(store);
    let opened = RocksQueue::open(dir.path(), Rules::default());
    assert!(matches!(opened, Err(OpenError::Schema { found: 5, known: 4, .. })));
}

#[tokio::test]
async fn a_queue_of_schema_1_is_read_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path(), 3).await;
    drop(queue);
    // A row as schema 1 had it: without the number of the last shared envelope.
    let mut store = Store::open(&dir.path().join(DATABASE_DIR)).unwrap();
    store.db.create_cf(keys::HOURS_OF_DEPOSITS, &rocksdb::Options::default()).unwrap();
    let row = store.mailbox(&BOB).unwrap().unwrap().to_bytes();
    let mut batch = WriteBatch::default();
    batch.put_cf(store.family(Family::Mailboxes).unwrap(), BOB.as_bytes(), row.split_last_chunk::<8>().unwrap().0);
    batch.put(keys::SCHEMA_KEY, 1_u32.to_be_bytes());
    store.commit(batch).unwrap();
    drop(store);
    fs::remove_file(dir.path().join("acknowledged")).unwrap(); // this test wrote beside it
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    assert_eq!(marks(&queue).await, [0, 1, 2]);
    queue.append(put(3), NOW).await.unwrap();
    queue.remove(BOB, Seq(2)).await.unwrap();
    assert_eq!(marks(&queue).await, [2, 3]);
    drop(queue);
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    assert_eq!(marks(&queue).await, [2, 3], "once more, as of today");
    assert!(queue.0.store.db.cf_handle(keys::HOURS_OF_DEPOSITS).is_none());
}

#[tokio::test]
async fn a_queue_of_schema_3_is_read_and_what_its_bodies_take_is_not_guessed_too_low() {
    let dir = tempfile::tempdir().unwrap();
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    let mailboxes: Vec<_> = (0..60).map(|n| MailboxId([n; 32])).collect();
    for mailbox in &mailboxes {
        queue.grant(*mailbox, vec![(TOKEN, TokenClass::Contact)]).await.unwrap();
    }
    let doors = mailboxes.iter().map(|at| PutDoor { mailbox: *at, token: TOKEN, id: DepositId([1; 16]) });
    let many = PutMany { envelope: put(7).envelope, doors: doors.collect() };
    assert!(queue.append_many(many, NOW).await.iter().all(Result::is_ok));
    drop(queue);
    // A row as schema 3 had it: without the length.
    let store = Store::open(&dir.path().join(DATABASE_DIR)).unwrap();
    let counts = store.family(Family::BodyCounts).unwrap();
    let (id, row) = store.db.iterator_cf(counts, rocksdb::IteratorMode::Start).next().unwrap().unwrap();
    let mut batch = WriteBatch::default();
    batch.put_cf(counts, id, row.split_last_chunk::<4>().unwrap().0);
    batch.put(keys::SCHEMA_KEY, 3_u32.to_be_bytes());
    store.commit(batch).unwrap();
    drop(store);
    fs::remove_file(dir.path().join("acknowledged")).unwrap(); // this test wrote beside it
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    let Holding { bytes, own_bytes, body_bytes, .. } = queue.metrics().holding();
    assert_eq!((bytes, own_bytes, body_bytes), (60 * 512, 60 * 512, 64 * 1024));
    for mailbox in &mailboxes {
        let page = queue.read(*mailbox, Seq(0), ENVELOPE_BYTES_MAX).await.unwrap();
        assert_eq!(page.envelopes[0].envelope.bytes()[..], [7; 512]);
        queue.remove(*mailbox, page.last).await.unwrap();
    }
    assert_eq!(queue.usage().await.unwrap().shared_bodies, 0);
    let Holding { bytes, own_bytes, body_bytes, .. } = queue.metrics().holding();
    assert_eq!((bytes, own_bytes, body_bytes), (0, 0, 0));
}
