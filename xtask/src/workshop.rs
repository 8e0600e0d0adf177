//! The directory that a demonstration works in, and the guard over what runs there.

use std::collections::hash_map::RandomState;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::guard::Guard;

/// A directory for one stack, and its guard.
pub(crate) struct Workshop {
    dir: PathBuf,
    guard: Guard,
    is_temporary: bool,
}

impl Workshop {
    /// In a fresh directory, removed at the end.
    pub(crate) fn temporary() -> Result<Self, Failure> {
        let workshop = Self::open(&std::env::temp_dir().join(format!("hushwire-{:08x}", random() >> 32)), true)?;
        workshop.guard.remove(&workshop.dir);
        Ok(workshop)
    }

    /// In this directory, which stays.
    pub(crate) fn at(dir: &Path) -> Result<Self, Failure> {
        Self::open(dir, false)
    }

    /// In a fresh directory which stays.
    pub(crate) fn kept() -> Result<Self, Failure> {
        Self::open(&std::env::temp_dir().join(format!("hushwire-{:08x}", random() >> 32)), false)
    }

    fn open(dir: &Path, is_temporary: bool) -> Result<Self, Failure> {
        let failed = |error| format!("{} cannot be used: {error}", dir.display());
        DirBuilder::new().mode(0o700).recursive(!is_temporary).create(dir).map_err(failed)?;
        fs::create_dir_all(dir.join("logs")).map_err(failed)?;
        let dir = dir.canonicalize().map_err(failed)?;
        Ok(Self { dir, guard: Guard::start()?, is_temporary })
    }

    /// Where everything lies.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file of this name for what a program says.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(name)
    }

    /// Ends what is left if this program ends early.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// A number that is another one each time.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
