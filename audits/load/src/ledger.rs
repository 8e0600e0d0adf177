//! What was promised and what came, entry by entry in a file that only grows and is synced, and the verdict on it.
//!
//! An entry is written before what it says is acted on: an intent before the deposit leaves, what was shown before it is
//! acknowledged. Whoever judges reads the file and knows nothing of how it came about.

mod check;
mod control;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::{Buf, BufMut};
use sha2::{Digest, Sha256};

pub use check::{Invariant, Verdict, check};
pub use control::control;

use crate::{Failure, said};

/// Bytes of an entry in the file.
const ENTRY_BYTES: usize = 56;

/// How often the file is synced: what the machine's own end may take from it.
const SYNC_EVERY: Duration = Duration::from_millis(50);

/// Which deposit: the same for all its tries.
pub type Id = [u8; 16];

/// The first bytes of the SHA-256 of a body.
pub type Hash = [u8; 16];

/// The hash of a body.
#[must_use]
pub fn hash(body: &[u8]) -> Hash {
    let whole: [u8; 32] = Sha256::digest(body).into();
    whole.first_chunk().copied().unwrap_or_default()
}

/// Something that happened. Senders and mailboxes are numbered from 0; `number` counts what one sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "what its fields are stands above and in their types")]
pub enum Entry {
    /// A sender is about to deposit this, for the first time or again.
    Intent { sender: u32, mailbox: u32, number: u64, id: Id, hash: Hash },
    /// The relay answered that it has it.
    Stored { sender: u32, number: u64 },
    /// The relay answered that it has not taken it.
    Refused { sender: u32, number: u64 },
    /// The relay gave an envelope under this number of the mailbox.
    Given { mailbox: u32, seq: u64, id: Id, hash: Hash },
    /// The device of the mailbox showed it: it had not before.
    Shown { mailbox: u32, id: Id },
    /// The relay answered that it has forgotten everything up to there.
    Acknowledged { mailbox: u32, through: u64 },
    /// The relay was killed.
    Killed,
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let (kind, one, two, number, id, hash) = match *self {
            Self::Intent { sender, mailbox, number, id, hash } => (0, sender, mailbox, number, id, hash),
            Self::Stored { sender, number } => (1, sender, 0, number, Id::default(), Hash::default()),
            Self::Refused { sender, number } => (2, sender, 0, number, Id::default(), Hash::default()),
            Self::Given { mailbox, seq, id, hash } => (3, mailbox, 0, seq, id, hash),
            Self::Shown { mailbox, id } => (4, mailbox, 0, 0, id, Hash::default()),
            Self::Acknowledged { mailbox, through } => (5, mailbox, 0, through, Id::default(), Hash::default()),
            Self::Killed => (6, 0, 0, 0, Id::default(), Hash::default()),
        };
        let mut out = &mut bytes[..];
        out.put_u64(kind);
        out.put_u32(one);
        out.put_u32(two);
        out.put_u64(number);
        out.put_slice(&id);
        out.put_slice(&hash);
        bytes
    }

    fn parse(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let mut rest = &bytes[..];
        let (kind, one, two, number) = (rest.get_u64(), rest.get_u32(), rest.get_u32(), rest.get_u64());
        let (id, hash) = (*rest.first_chunk()?, *rest.last_chunk()?);
        Some(match kind {
            0 => Self::Intent { sender: one, mailbox: two, number, id, hash },
            1 => Self::Stored { sender: one, number },
            2 => Self::Refused { sender: one, number },
            3 => Self::Given { mailbox: one, seq: number, id, hash },
            4 => Self::Shown { mailbox: one, id },
            5 => Self::Acknowledged { mailbox: one, through: number },
            6 => Self::Killed,
            _ => return None,
        })
    }
}

/// A ledger that is written. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    file: Arc<Mutex<BufWriter<File>>>,
    closing: Arc<AtomicBool>,
    syncing: Arc<Mutex<Option<JoinHandle<io::Result<()>>>>>,
}

impl Ledger {
    /// A new one.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = Arc::new(Mutex::new(BufWriter::new(File::create_new(path).map_err(said)?)));
        let closing = Arc::new(AtomicBool::new(false));
        let (synced, until) = (file.clone(), closing.clone());
        let syncing = thread::spawn(move || {
            loop {
                let last = until.load(Relaxed);
                let handle = {
                    let mut file = lock(&synced);
                    file.flush()?;
                    file.get_ref().try_clone()?
                };
                handle.sync_data()?; // outside the lock: nobody waits for it
                if last {
                    return Ok(());
                }
                thread::sleep(SYNC_EVERY);
            }
        });
        Ok(Self { file, closing, syncing: Arc::new(Mutex::new(Some(syncing))) })
    }

    /// Adds an entry. One that cannot be written is missed by [`Self::close`].
    pub fn note(&self, entry: Entry) {
        let _ = lock(&self.file).write_all(&entry.encode()); // the writer remembers nothing; the next flush fails too
    }

    /// Everything is on the disk when this returns.
    ///
    /// # Errors
    /// It is not: a verdict on it would be worth nothing.
    pub fn close(&self) -> Result<(), Failure> {
        self.closing.store(true, Relaxed);
        let syncing = lock(&self.syncing).take();
        syncing.map_or(Ok(()), |thread| thread.join().map_err(|_| "the ledger's thread ended")?.map_err(said))
    }
}

/// The entries of a file, in their order.
///
/// # Errors
/// It cannot be read, or is no ledger.
pub fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let mut file = BufReader::new(File::open(path).map_err(said)?);
    let mut entries = Vec::new();
    let mut bytes = [0; ENTRY_BYTES];
    loop {
        match file.read_exact(&mut bytes) {
            Ok(()) => entries.push(Entry::parse(&bytes).ok_or("this is no ledger")?),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(entries),
            Err(error) => return Err(said(error)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (id, hash) = ([7; 16], hash(b"body"));
        let entries = [
            Entry::Intent { sender: 1, mailbox: 2, number: 3, id, hash },
            Entry::Stored { sender: 1, number: 3 },
            Entry::Refused { sender: 1, number: 4 },
            Entry::Given { mailbox: 2, seq: 9, id, hash },
            Entry::Shown { mailbox: 2, id },
            Entry::Acknowledged { mailbox: 2, through: 9 },
            Entry::Killed,
        ];
        let ledger = Ledger::create(&path).unwrap();
        entries.iter().for_each(|entry| ledger.note(*entry));
        ledger.close().unwrap();
        assert_eq!(read(&path).unwrap(), entries);
        assert!(Ledger::create(&path).is_err(), "a ledger is never overwritten");
    }
}
