//! How far `hush receive` has printed: the id of the last message, in a file beside the database.
//!
//! Other commands fetch too, so what the relay has is not what was seen. The cursor moves after the line was written:
//! whatever is killed in between, a message is printed again rather than never.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use hushwire_client::{DataDir, LocalId};

use crate::exit::{Exit, Failure};

const FILE_NAME: &str = "received";

/// The place up to which messages were printed.
#[derive(Debug)]
pub(crate) struct Cursor {
    path: PathBuf,
    last: LocalId,
}

impl Cursor {
    /// As it was left. Without a file nothing was printed yet.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(crate) fn load(dir: &DataDir) -> Result<Self, Failure> {
        let path = dir.path().join(FILE_NAME);
        let last = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map(LocalId).map_err(|_| {
                Failure::new(Exit::Unexpected, format!("{} does not hold a number", path.display()))
                    .hint("delete it: messages that you have not read are then printed again")
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => LocalId(0),
            Err(error) => return Err(Failure::new(Exit::Unexpected, format!("{}: {error}", path.display()))),
        };
        Ok(Self { path, last })
    }

    /// The last that was printed.
    pub(crate) fn last(&self) -> LocalId {
        self.last
    }

    /// Whether this message is still to be printed.
    pub(crate) fn is_new(&self, id: LocalId) -> bool {
        id > self.last
    }

    /// This message is printed, and all before it.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub(crate) fn advance(&mut self, to: LocalId) -> Result<(), Failure> {
        if to <= self.last {
            return Ok(());
        }
        self.last = to;
        let written = (|| {
            let aside = self.path.with_extension("new");
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            writeln!(options.open(&aside)?, "{}", to.0)?;
            fs::rename(&aside, &self.path)
        })();
        written.map_err(|error: std::io::Error| {
            Failure::new(Exit::Unexpected, format!("{}: {error}", self.path.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_printed_is_remembered_and_never_goes_back() {
        let home = tempfile::tempdir().unwrap();
        let dir = DataDir::at(home.path());
        let mut cursor = Cursor::load(&dir).unwrap();
        assert!(cursor.is_new(LocalId(1)));
        cursor.advance(LocalId(7)).unwrap();
        cursor.advance(LocalId(3)).unwrap();
        let cursor = Cursor::load(&dir).unwrap();
        assert!(!cursor.is_new(LocalId(7)));
        assert!(cursor.is_new(LocalId(8)));
    }

    #[test]
    fn a_damaged_cursor_is_no_reason_to_print_everything_again() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(FILE_NAME), "x").unwrap();
        assert_eq!(Cursor::load(&DataDir::at(home.path())).unwrap_err().exit, Exit::Unexpected);
    }
}
