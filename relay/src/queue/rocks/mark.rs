//! How far the database had come when something was last acknowledged, kept beside it in a file of its own.
//!
//! A write-ahead log that lost its end looks like one that was cut by a crash, and opens. If the database then is
//! behind the mark, something acknowledged is gone, and the relay does not start: its operator begins with an empty directory, or
//! removes the file to go on with what is there.
//!
//! The mark is written after the database's own sync and not synced itself. It is exact when the process is killed;
//! after a power cut it may be older than the database, never newer.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Its name in the data directory.
const FILE: &str = "acknowledged";

/// `BE64(position) ‖ BE64(!position)`: half of one is none.
const BYTES: usize = 16;

/// The file, open.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    path: PathBuf,
}

impl Mark {
    /// Opens or makes it. The second is the position that was marked; `None` if there is none that can be read.
    pub(super) fn open(data_dir: &Path) -> io::Result<(Self, Option<u64>)> {
        let path = data_dir.join(FILE);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut bytes = Vec::with_capacity(BYTES);
        (&mut file).take(64).read_to_end(&mut bytes)?;
        let marked = parse(&bytes);
        Ok((Self { file, path }, marked))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything up to `position` is on the disk and about to be acknowledged.
    pub(super) fn set(&mut self, position: u64) -> io::Result<()> {
        let bytes = [position.to_be_bytes(), (!position).to_be_bytes()].concat();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&bytes)
    }
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let (position, rest) = bytes.split_first_chunk()?;
    let position = u64::from_be_bytes(*position);
    (rest == (!position).to_be_bytes()).then_some(position)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_half_a_mark_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (mut mark, none) = Mark::open(dir.path()).unwrap();
        assert_eq!(none, None);
        mark.set(7).unwrap();
        mark.set(0x0102_0304_0506_0708).unwrap();
        let (mark, marked) = Mark::open(dir.path()).unwrap();
        assert_eq!(marked, Some(0x0102_0304_0506_0708));
        mark.file.set_len(12).unwrap();
        assert_eq!(Mark::open(dir.path()).unwrap().1, None);
    }
}
