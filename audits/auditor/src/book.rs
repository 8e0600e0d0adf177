//! The roots that were checked: one file for each keyserver, in which every epoch has its place.
//!
//! A row is 256 bytes, that of epoch `e` begins at `256 × (e − 1)`: epoch, root, `at`, VRF key, key, signature of the
//! keyserver, time of the check, signature of the auditor, and the first 8 bytes of the SHA-256 of all that. Numbers are
//! big-endian. A row is synced before anybody is shown it. A last row that a crash cut short is dropped and checked
//! again; damage anywhere else is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::SignedRoot;
use hushwire_proto::witness::Witnessed;
use sha2::{Digest, Sha256};

const ROW: usize = 256;
const SUM: usize = 8;

/// Why a book does not open.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The disk.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Something was changed that was written and synced.
    #[error("{} is damaged at epoch {epoch}; restore it from a copy, or move it away and check the log anew", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        epoch: u64,
    },
}

/// An open book.
#[derive(Debug)]
pub(crate) struct Book {
    file: File,
    newest: Option<Witnessed>,
}

impl Book {
    /// Opens it, or begins it, and reads all of it.
    ///
    /// # Errors
    /// [`BookError`].
    pub(crate) fn open(path: &Path) -> Result<Self, BookError> {
        let failed = |cause| BookError::File { path: path.to_owned(), cause };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let rows = bytes / ROW as u64;
        let mut newest: Option<Witnessed> = None;
        let mut reader = io::BufReader::with_capacity(64 * ROW, &file);
        for epoch in 1..=rows {
            let mut row = [0; ROW];
            reader.read_exact(&mut row).map_err(failed)?;
            newest = match read(&row) {
                Some(read) if read.root.epoch == epoch => Some(read),
                _ if epoch == rows => break, // cut short by a crash; never shown to anybody
                _ => return Err(BookError::Damaged { path: path.to_owned(), epoch }),
            };
        }
        let end = newest.as_ref().map_or(0, |newest| newest.root.epoch) * ROW as u64;
        if end != bytes {
            file.set_len(end).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(Self { file, newest })
    }

    /// The newest that is kept.
    pub(crate) fn newest(&self) -> Option<&Witnessed> {
        self.newest.as_ref()
    }

    /// The number of the newest, or 0.
    pub(crate) fn epoch(&self) -> u64 {
        self.newest.as_ref().map_or(0, |newest| newest.root.epoch)
    }

    /// Keeps the next one, durably. After an error the book must not be used any more.
    pub(crate) fn append(&mut self, next: Witnessed) -> io::Result<()> {
        if self.epoch().checked_add(1) != Some(next.root.epoch) {
            return Err(io::Error::other("an epoch would be skipped"));
        }
        self.file.write_all(&write(&next))?;
        self.file.sync_data()?;
        self.newest = Some(next);
        Ok(())
    }

    /// Up to `limit` roots that end with this epoch, or with the newest if that is older; newest first.
    pub(crate) fn page(&self, through: u64, limit: usize) -> io::Result<Vec<Witnessed>> {
        let last = through.min(self.epoch());
        let first = last.saturating_sub(limit as u64);
        let rows = (first + 1..=last).rev().map(|epoch| {
            let mut row = [0; ROW];
            self.file.read_exact_at(&mut row, (epoch - 1) * ROW as u64)?;
            read(&row).ok_or_else(|| io::Error::other(format!("the row of epoch {epoch} is damaged")))
        });
        rows.collect()
    }
}

fn write(one: &Witnessed) -> [u8; ROW] {
    let Witnessed { root, checked_at, signature } = one;
    let said = [
        &root.epoch.to_be_bytes()[..],
        &root.root,
        &root.at.0.to_be_bytes(),
        &root.vrf_key,
        &root.key,
        &root.signature,
        &checked_at.0.to_be_bytes(),
        signature,
    ]
    .concat();
    let mut row = [0; ROW];
    for (to, from) in row.iter_mut().zip(said.iter().chain(&sum(&said))) {
        *to = *from;
    }
    row
}

fn read(row: &[u8; ROW]) -> Option<Witnessed> {
    let (said, found) = row.split_last_chunk::<SUM>()?;
    if *found != sum(said) {
        return None;
    }
    let mut rest = said;
    let epoch = u64::from_be_bytes(take(&mut rest)?);
    let (root, at) = (take(&mut rest)?, UnixMillis(u64::from_be_bytes(take(&mut rest)?)));
    let (vrf_key, key, signature) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
    let checked_at = UnixMillis(u64::from_be_bytes(take(&mut rest)?));
    let root = SignedRoot { epoch, root, at, vrf_key, key, signature };
    Some(Witnessed { root, checked_at, signature: take(&mut rest)? })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn sum(said: &[u8]) -> [u8; SUM] {
    let mut sum = [0; SUM];
    for (to, from) in sum.iter_mut().zip(Sha256::digest(said)) {
        *to = from;
    }
    sum
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use ed25519_dalek::SigningKey;

    use super::*;

    fn witnessed(epoch: u64) -> Witnessed {
        let key = SigningKey::from_bytes(&[1; 32]);
        let root = SignedRoot::sign(epoch, [7; 32], UnixMillis(epoch), [8; 32], &key);
        Witnessed::sign(root, UnixMillis(epoch + 1), &key)
    }

    #[test]
    fn what_was_kept_is_there_after_a_crash_wherever_the_last_row_was_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book");
        let mut book = Book::open(&path).unwrap();
        for epoch in 1..=5 {
            book.append(witnessed(epoch)).unwrap();
        }
        assert!(book.append(witnessed(7)).is_err(), "no epoch is skipped");
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len(), 5 * ROW);
        for cut in 4 * ROW..=whole.len() {
            std::fs::write(&path, whole.get(..cut).unwrap()).unwrap();
            let mut book = Book::open(&path).unwrap();
            let kept = if cut == whole.len() { 5 } else { 4 };
            assert_eq!(book.newest(), Some(&witnessed(kept)));
            book.append(witnessed(kept + 1)).unwrap();
            assert_eq!(Book::open(&path).unwrap().epoch(), kept + 1);
        }
    }

    #[test]
    fn a_row_that_was_changed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("book");
        let mut book = Book::open(&path).unwrap();
        for epoch in 1..=3 {
            book.append(witnessed(epoch)).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.get_mut(ROW + 9).unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Book::open(&path), Err(BookError::Damaged { epoch: 2, .. })));
    }

    #[test]
    fn a_page_ends_where_it_is_asked_to_and_has_no_gap() {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::open(&dir.path().join("book")).unwrap();
        assert_eq!(book.page(u64::MAX, 3).unwrap(), []);
        for epoch in 1..=9 {
            book.append(witnessed(epoch)).unwrap();
        }
        let epochs =
            |through| -> Vec<u64> { book.page(through, 3).unwrap().iter().map(|one| one.root.epoch).collect() };
        assert_eq!(epochs(u64::MAX), [9, 8, 7]);
        assert_eq!(epochs(4), [4, 3, 2]);
        assert_eq!(epochs(2), [2, 1]);
        assert_eq!(epochs(0), [0; 0]);
    }
}
