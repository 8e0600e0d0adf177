//! The contract, and what only a disk can do wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use hushwire_proto::{envelope::Envelope, ids::DepositId, relay::TokenClass};
use tempfile::TempDir;

use super::{store::Family, *};
use crate::{
    metrics::Holding,
    queue::{PutDoor, contract},
};

mod damage;
mod schema;

struct Disk(TempDir);

impl contract::Engine for Disk {
    type Queue = RocksQueue;

    fn start(rules: Rules) -> (Self, RocksQueue) {
        let disk = Self(tempfile::tempdir().unwrap());
        let queue = RocksQueue::open(disk.0.path(), rules).unwrap();
        (disk, queue)
    }

    fn restart(&self, queue: RocksQueue) -> RocksQueue {
        let rules = queue.0.rules;
        drop(queue);
        RocksQueue::open(self.0.path(), rules).unwrap()
    }
}

contract::facts!(Disk);

const BOB: MailboxId = MailboxId([7; 32]);
const TOKEN: TokenHash = TokenHash([8; 32]);
const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

fn put(mark: u8) -> Put {
    let envelope = Envelope::new(vec![mark; 512].into()).unwrap();
    Put { mailbox: BOB, token: TOKEN, id: DepositId([mark; 16]), envelope }
}

async fn filled(dir: &Path, count: u8) -> RocksQueue {
    let queue = RocksQueue::open(dir, Rules::default()).unwrap();
    queue.grant(BOB, vec![(TOKEN, TokenClass::Contact)]).await.unwrap();
    for mark in 0..count {
        queue.append(put(mark), NOW).await.unwrap();
    }
    queue
}

async fn marks(queue: &RocksQueue) -> Vec<u8> {
    let page = queue.read(BOB, Seq(0), 64 * 1024).await.unwrap();
    page.envelopes.iter().map(|delivery| *delivery.envelope.bytes().first().unwrap()).collect()
}

/// The write-ahead log that holds the newest rows.
fn log_of(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir.join(DATABASE_DIR)).unwrap().map(|file| file.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

#[tokio::test]
async fn a_torn_last_record_that_was_never_acknowledged_does_not_prevent_starting() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    let mut log = OpenOptions::new().append(true).open(log_of(dir.path())).unwrap();
    // The head of a record of 0x0200 bytes (full, checksum first), and the beginning of its body.
    log.write_all(&[0xDE, 0xAD, 0xBE, 0xEF, 0x00, 0x02, 0x01, 1, 2, 3, 4, 5]).unwrap();
    drop(log);
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    assert_eq!(marks(&queue).await, (0..20).collect::<Vec<_>>());
    queue.append(put(20), NOW).await.unwrap();
    assert_eq!(marks(&queue).await.len(), 21);
}

#[tokio::test]
async fn a_log_that_lost_something_acknowledged_refuses_to_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    let path = log_of(dir.path());
    let log = OpenOptions::new().write(true).open(&path).unwrap();
    log.set_len(fs::metadata(&path).unwrap().len() - 100).unwrap();
    let Err(refused) = RocksQueue::open(dir.path(), Rules::default()) else { unreachable!("it opened") };
    let OpenError::Behind { found, marked, path } = refused else { unreachable!("{refused}") };
    assert!(found < marked);
    // What its operator may do on purpose.
    fs::remove_file(path).unwrap();
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    assert_eq!(marks(&queue).await, (0..19).collect::<Vec<_>>());
}

#[tokio::test]
async fn damage_in_the_middle_of_the_log_refuses_to_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    let path = log_of(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 0x40);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(RocksQueue::open(dir.path(), Rules::default()), Err(OpenError::Database { .. })));
}

#[tokio::test]
async fn a_database_in_which_an_earlier_batch_is_missing_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20).await);
    let store = Store::open(&dir.path().join(DATABASE_DIR)).unwrap();
    let family = store.family(Family::Mailboxes).unwrap();
    let written = store.batches.load(Relaxed);
    // What a log without one of its records leaves: the last number, and one batch less.
    store.db.put_cf(family, keys::BATCHES_KEY, (written - 1).to_be_bytes()).unwrap();
    drop(store);
    let opened = RocksQueue::open(dir.path(), Rules::default());
    assert!(
        matches!(opened, Err(OpenError::NotWhole { found, written: of, .. }) if (found, of) == (written - 1, written))
    );
    let seen = RocksQueue::look(dir.path(), &Rules::default());
    assert!(matches!(seen, Err(OpenError::NotWhole { .. })), "nor says `check` that all is well");
}

#[tokio::test]
async fn an_envelope_that_is_missing_is_never_passed_over() {
    for missing in [1, 3, 5] {
        let dir = tempfile::tempdir().unwrap();
        let queue = filled(dir.path(), 5).await;
        let store = &queue.0.store;
        store.db.delete_cf(store.family(Family::Envelopes).unwrap(), keys::envelope(&BOB, Seq(missing))).unwrap();
        assert_eq!(queue.read(BOB, Seq(0), usize::MAX).await, Err(StorageError::Failed), "{missing}");
        if missing < 5 {
            let rest = queue.read(BOB, Seq(missing), usize::MAX).await.unwrap();
            assert_eq!(rest.envelopes.len(), usize::try_from(5 - missing).unwrap(), "what follows it is whole");
        }
    }
}

#[tokio::test]
async fn two_relays_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let _queue = filled(dir.path(), 1).await;
    assert!(matches!(RocksQueue::open(dir.path(), Rules::default()), Err(OpenError::InUse { .. })));
}

#[tokio::test]
async fn what_is_opened_again_waits_for_whoever_still_reads_and_for_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path(), 20).await;
    let began = std::time::Instant::now();
    std::thread::spawn(move || {
        std::thread::sleep(3 * REOPEN_AFTER);
        drop(queue);
    });
    drop(RocksQueue::open_again(dir.path(), Rules::default()).unwrap());
    assert!(began.elapsed() >= 3 * REOPEN_AFTER, "{:?}", began.elapsed());
    fs::remove_file(dir.path().join(DATABASE_DIR).join("CURRENT")).unwrap();
    fs::create_dir(dir.path().join(DATABASE_DIR).join("CURRENT")).unwrap(); // what cannot be read, nor made anew
    let began = std::time::Instant::now();
    let refused = RocksQueue::open_again(dir.path(), Rules::default());
    assert!(matches!(refused, Err(OpenError::Database { .. })));
    assert!(began.elapsed() < REOPEN_AFTER * REOPEN_TRIES / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn after_an_error_of_the_disk_nothing_is_written_again_and_everyone_is_told() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 3).await);
    let writes = Arc::new(AtomicUsize::new(0));
    let store = Store::open(&dir.path().join(DATABASE_DIR)).unwrap();
    let queue = RocksQueue::start(store, Rules::default(), {
        let writes = writes.clone();
        move |_, _| {
            writes.fetch_add(1, Relaxed);
            Err("no space left on device".to_owned())
        }
    })
    .unwrap();
    let failed = queue.failed();
    let calls = [queue.append(put(10), NOW), queue.append(put(11), NOW)];
    for call in calls {
        assert_eq!(call.await, Err(AppendError::Storage(StorageError::Failed)));
    }
    failed.await;
    let before = writes.load(Relaxed);
    assert!(before <= 2);
    assert_eq!(queue.append(put(12), NOW).await, Err(AppendError::Storage(StorageError::Failed)));
    assert_eq!(queue.remove(BOB, Seq(1)).await, Err(RemoveError::Storage(StorageError::Failed)));
    assert_eq!(queue.expire(NOW).await, Err(StorageError::Failed));
    assert_eq!(writes.load(Relaxed), before, "never a second write after an error");
    assert_eq!(marks(&queue).await, [0, 1, 2], "what is there can still be read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_together_is_synced_together() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 0).await);
    let syncs = Arc::new(AtomicUsize::new(0));
    let store = Store::open(&dir.path().join(DATABASE_DIR)).unwrap();
    let queue = RocksQueue::start(store, Rules::default(), {
        let syncs = syncs.clone();
        move |store, batch| {
            syncs.fetch_add(1, Relaxed);
            std::thread::sleep(Duration::from_millis(20)); // a slow disk
            store.commit(batch).map_err(|error| error.to_string())
        }
    })
    .unwrap();
    let calls: Vec<_> = (0..200).map(|mark| queue.append(put(mark), NOW)).collect();
    for call in calls {
        call.await.unwrap();
    }
    assert!(syncs.load(Relaxed) <= 3, "{} syncs for 200 envelopes", syncs.load(Relaxed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_is_read_while_a_write_stands_still() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 1).await);
    let store = Store::open(&dir.path().join(DATABASE_DIR)).unwrap();
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = std::sync::mpsc::channel::<()>();
    let queue = RocksQueue::start(store, Rules::default(), move |store: &Store, batch| {
        begun.send(()).unwrap();
        let _ = held.recv(); // the disk takes its time
        store.commit(batch).map_err(|error| error.to_string())
    })
    .unwrap();
    let writing = queue.append(put(7), NOW);
    begins.recv().unwrap();
    assert_eq!(queue.door(BOB, TOKEN).await, Ok(Some(TokenClass::Contact)));
    assert_eq!(queue.door(BOB, TokenHash([9; 32])).await, Ok(None));
    drop(let_go);
    assert!(writing.await.is_ok());
}

#[tokio::test]
async fn what_is_granted_or_revoked_already_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path(), 1).await;
    let before = queue.0.store.position();
    queue.grant(BOB, vec![(TOKEN, TokenClass::Contact)]).await.unwrap();
    assert_eq!(queue.0.store.position(), before);
    queue.grant(BOB, vec![(TOKEN, TokenClass::Request)]).await.unwrap();
    assert!(queue.0.store.position() > before, "another class is another right");
    let before = queue.0.store.position();
    queue.revoke(BOB, vec![TokenHash([9; 32])]).await.unwrap();
    assert_eq!(queue.0.store.position(), before, "nor is what was not there to be revoked");
}

#[tokio::test]
async fn a_line_that_is_full_sends_deposits_away_and_lets_acknowledgements_through() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path(), 2).await;
    let all = u32::try_from(DEPOSITS_WAITING_BYTES).unwrap();
    let _flood = queue.0.deposits.acquire_many(all).await.unwrap();
    assert_eq!(queue.append(put(9), NOW).await, Err(AppendError::Storage(StorageError::Busy)));
    assert_eq!(queue.remove(BOB, Seq(1)).await, Ok(()));
    assert_eq!(marks(&queue).await, [1]);
}

/// Bytes of all files.
fn du(dir: &Path) -> u64 {
    let files = fs::read_dir(dir.join(DATABASE_DIR)).unwrap().map(|file| file.unwrap().metadata().unwrap().len());
    files.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_room_of_what_expired_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Rules { retention: Duration::from_secs(86_400), ..Rules::default() };
    let queue = RocksQueue::open(dir.path(), rules).unwrap();
    queue.grant(BOB, vec![(TOKEN, TokenClass::Contact)]).await.unwrap();
    let large = |mark: u16, byte: u8| {
        let mut id = [0; 16];
        id.iter_mut().zip(mark.to_be_bytes()).for_each(|(byte, of)| *byte = of);
        let envelope = Envelope::new(vec![byte; ENVELOPE_BYTES_MAX].into()).unwrap();
        Put { mailbox: BOB, token: TOKEN, id: DepositId(id), envelope }
    };
    for mark in 0..640 {
        queue.append(large(mark, 1), NOW).await.unwrap();
    }
    let late = NOW.plus(26 * 3_600_000);
    queue.append(large(9999, 2), late).await.unwrap();
    let store = queue.0.store.clone();
    store.flush().unwrap();
    let full = du(dir.path());
    assert!(full > 640 * 64 * 1024, "{full}");
    assert_eq!(untidy(&queue), []);
    while queue.expire(late).await.unwrap().more {}
    assert_eq!(queue.metrics().holding().bytes, 64 * 1024);
    assert_eq!(untidy(&queue), [Family::Envelopes]);
    give_back(&queue, Family::Envelopes, dir.path(), full / 20).await;
    assert_eq!(queue.read(BOB, Seq(0), ENVELOPE_BYTES_MAX).await.unwrap().envelopes.len(), 1);
    assert_eq!(untidy(&queue), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_room_of_envelopes_to_many_is_given_back_with_the_last_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    let mailboxes: Vec<_> = (0..60).map(|n| MailboxId([n; 32])).collect();
    for mailbox in &mailboxes {
        queue.grant(*mailbox, vec![(TOKEN, TokenClass::Contact)]).await.unwrap();
    }
    for mark in 0..100 {
        let doors = mailboxes.iter().map(|at| PutDoor { mailbox: *at, token: TOKEN, id: DepositId([mark; 16]) });
        let envelope = Envelope::new(vec![mark; ENVELOPE_BYTES_MAX].into()).unwrap();
        let stored = queue.append_many(PutMany { envelope, doors: doors.collect() }, NOW).await;
        assert!(stored.iter().all(Result::is_ok));
    }
    let holds = |queue: &RocksQueue| {
        let Holding { envelopes, bytes, own_bytes, body_bytes, .. } = queue.metrics().holding();
        (envelopes, bytes / 65_536, own_bytes / 65_536, body_bytes / 65_536)
    };
    assert_eq!(holds(&queue), (6000, 6000, 0, 100));
    queue.append(Put { mailbox: mailboxes[0], ..put(200) }, NOW).await.unwrap();
    drop(queue);
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    assert_eq!(holds(&queue), (6001, 6000, 0, 100), "and when it is opened again");
    queue.0.store.flush().unwrap();
    let full = du(dir.path());
    assert!(full > 100 * 64 * 1024, "{full}");
    for mailbox in &mailboxes {
        assert!(!untidy(&queue).contains(&Family::Bodies));
        queue.remove(*mailbox, Seq(100)).await.unwrap();
    }
    assert_eq!(holds(&queue), (1, 0, 0, 0));
    assert_eq!(queue.metrics().holding().own_bytes, u64::try_from(put(200).envelope.len()).unwrap());
    assert!(untidy(&queue).contains(&Family::Bodies));
    give_back(&queue, Family::Bodies, dir.path(), full / 2).await;
    assert!(!untidy(&queue).contains(&Family::Bodies));
}

fn untidy(queue: &RocksQueue) -> Vec<Family> {
    queue.0.store.untidy(queue.metrics().holding(), 0).unwrap()
}

/// Files that nothing needs any more are removed beside this.
async fn give_back(queue: &RocksQueue, family: Family, dir: &Path, left: u64) {
    let store = &queue.0.store;
    store.flush().unwrap();
    for part in 0..tidy::PARTS {
        store.compact(family, part).unwrap();
    }
    let began = std::time::Instant::now();
    while du(dir) > left {
        assert!(began.elapsed().as_secs() < 20, "{} bytes of files", du(dir));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_time_of_the_relay_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path(), 1).await;
    assert_eq!(queue.kept_time(), None);
    queue.expire(NOW.plus(5)).await.unwrap();
    drop(queue);
    assert_eq!(filled(dir.path(), 0).await.kept_time(), Some(NOW.plus(5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_envelope_to_many_lies_on_the_disk_once_until_the_last_of_them_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let queue = RocksQueue::open(dir.path(), Rules::default()).unwrap();
    let mailboxes: Vec<_> = (0..600_u16).map(|n| MailboxId(n.to_be_bytes().repeat(16).try_into().unwrap())).collect();
    for mailbox in &mailboxes {
        queue.grant(*mailbox, vec![(TOKEN, TokenClass::Contact)]).await.unwrap();
    }
    let doors = mailboxes.iter().map(|mailbox| PutDoor { mailbox: *mailbox, token: TOKEN, id: DepositId([1; 16]) });
    let envelope = Envelope::new(vec![7; ENVELOPE_BYTES_MAX].into()).unwrap();
    let stored = queue.append_many(PutMany { envelope, doors: doors.collect() }, NOW).await;
    let usage = queue.usage().await.unwrap();
    assert_eq!((usage.envelopes, usage.bytes, usage.shared_bodies), (600, 600 * 64 * 1024, 1));
    assert!(usage.disk_bytes < 2 * 1024 * 1024, "{} bytes of files", usage.disk_bytes);
    for (mailbox, seq) in mailboxes.iter().zip(stored).skip(1) {
        queue.remove(*mailbox, seq.unwrap()).await.unwrap();
    }
    assert_eq!(queue.usage().await.unwrap().shared_bodies, 1, "the last one still has it");
    let last = queue.read(mailboxes[0], Seq(0), ENVELOPE_BYTES_MAX).await.unwrap();
    assert_eq!(last.envelopes[0].envelope.bytes()[..], [7; ENVELOPE_BYTES_MAX]);
    queue.remove(mailboxes[0], last.last).await.unwrap();
    assert_eq!(queue.usage().await.unwrap().shared_bodies, 0);
}

#[tokio::test]
async fn a_deposit_id_takes_room_until_it_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path(), 20).await;
    let rules = *queue.rules();
    let late = NOW.plus(u64::try_from(rules.retry_window.as_millis()).unwrap() + 1);
    queue.append(put(20), late).await.unwrap();
    let store = queue.0.store.clone();
    let compacted = || {
        store.flush().unwrap();
        let deposits = store.family(Family::Deposits).unwrap();
        store.db.compact_range_cf(deposits, None::<&[u8]>, None::<&[u8]>);
        store.db.iterator_cf(deposits, rocksdb::IteratorMode::Start).count()
    };
    assert_eq!(compacted(), 21);
    queue.expire(late).await.unwrap();
    assert_eq!(compacted(), 1);
    assert_eq!(queue.append(put(20), late).await, Ok(Seq(21)), "a repeat");
}

#[tokio::test]
async fn a_line_that_fills_up_makes_no_mailboxes_first_and_takes_no_deposits_last() {
    const CAROL: MailboxId = MailboxId([9; 32]);
    let dir = tempfile::tempdir().unwrap();
    let queue = filled(dir.path(), 2).await;
    let door = || vec![(TOKEN, TokenClass::Contact)];
    let share = |hundredths: usize| u32::try_from(DEPOSITS_WAITING_BYTES / 100 * hundredths).unwrap();
    let crowd = queue.0.deposits.clone().acquire_many_owned(share(80)).await.unwrap();
    queue.append(put(2), NOW).await.unwrap();
    assert_eq!(queue.grant(CAROL, door()).await, Err(GrantError::Storage(StorageError::Busy)));
    assert_eq!(queue.grant(BOB, door()).await, Ok(()), "who is there is not turned away");
    let rest = u32::try_from(queue.0.deposits.available_permits()).unwrap();
    let flood = queue.0.deposits.clone().acquire_many_owned(rest).await.unwrap();
    assert_eq!(queue.append(put(3), NOW).await, Err(AppendError::Storage(StorageError::Busy)));
    assert_eq!(queue.remove(BOB, Seq(1)).await, Ok(()), "nor an acknowledgement, ever");
    drop((crowd, flood));
    queue.append(put(3), NOW).await.unwrap();
    queue.grant(CAROL, door()).await.unwrap();
    assert_eq!(marks(&queue).await, [1, 2, 3]);
}
