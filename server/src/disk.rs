//! How full the disk is, and when a server takes nothing more.
//!
//! RocksDB needs room to give room back: what removes rows is written first, and what compacts them is written
//! before the old files go. So a reserve stays free. Below it nothing new is taken, while reading and removing go on;
//! a little above it everything is taken again.
//!
//! Spec: relay §8, keyserver §6.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

const GIB: u64 = 1024 * 1024 * 1024;

/// The least that stays free unless the operator says otherwise: several times what waits to be written, the
/// write-ahead log and one compaction of the largest files.
const RESERVE_MIN: u64 = GIB;

/// The most: beyond it a larger disk needs no larger reserve.
const RESERVE_MAX: u64 = 16 * GIB;

/// Between them, a share of the disk: others write to it too.
const RESERVE_SHARE: u64 = 20;

/// How often the disk is looked at. Between two looks comes less than the least reserve, even on a fast disk.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a disk says of itself, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What this process may still write.
    pub free: u64,
}

/// Where to look, and how much must stay free.
#[derive(Clone)]
pub struct Disk {
    look: Arc<dyn Fn() -> Option<Space> + Send + Sync>,
    reserve: Option<u64>,
}

impl Disk {
    /// The disk of a directory. Without a `reserve` a share of it.
    #[must_use]
    pub fn of(dir: &Path, reserve: Option<u64>) -> Self {
        let dir = dir.to_owned();
        Self::from_fn(move || space(&dir), reserve)
    }

    /// A disk that tests and simulations fill.
    pub fn from_fn(look: impl Fn() -> Option<Space> + Send + Sync + 'static, reserve: Option<u64>) -> Self {
        Self { look: Arc::new(look), reserve }
    }

    /// A disk that is never full, or a queue without one.
    #[must_use]
    pub fn endless() -> Self {
        Self::from_fn(|| None, None)
    }

    /// How it is now; `None` if the system does not say.
    #[must_use]
    pub fn space(&self) -> Option<Space> {
        (self.look)()
    }

    /// What must stay free of a disk of that size.
    #[must_use]
    pub fn reserve(&self, space: Space) -> u64 {
        self.reserve.unwrap_or((space.total / RESERVE_SHARE).clamp(RESERVE_MIN, RESERVE_MAX))
    }

    /// Whether nothing new is to be taken. Once it was low, a tenth more must be free: no flutter at the edge.
    #[must_use]
    pub fn is_low(&self, space: Space, was_low: bool) -> bool {
        let reserve = self.reserve(space);
        let wanted = if was_low { reserve.saturating_add(reserve / 10) } else { reserve };
        space.free < wanted
    }
}

/// Looks at the disk until it is dropped, and tells at each look how it is, what must stay free, and whether nothing new
/// is to be taken.
pub async fn watch(disk: Disk, tell: impl Fn(Space, u64, bool)) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_low = false;
    loop {
        ticks.tick().await;
        let Some(space) = disk.space() else { continue };
        let low = disk.is_low(space, was_low);
        tell(space, disk.reserve(space), low);
        match (was_low, low) {
            (false, true) => tracing::warn!(free = space.free, "the disk is nearly full: nothing new is taken"),
            (true, false) => tracing::info!(free = space.free, "the disk has room again"),
            _ => {}
        }
        was_low = low;
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("reserve", &self.reserve).finish_non_exhaustive()
    }
}

/// Of the file system in which `path` lies.
fn space(path: &Path) -> Option<Space> {
    let found = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.checked_mul(found.f_frsize);
    Some(Space { total: bytes(found.f_blocks)?, free: bytes(found.f_bavail)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_a_share_of_the_disk_and_has_a_floor_and_a_ceiling() {
        let disk = Disk::endless();
        let reserve = |gib: u64| disk.reserve(Space { total: gib * GIB, free: 0 }) / GIB;
        assert_eq!([8, 100, 10_000].map(reserve), [1, 5, 16]);
        let written = Disk::from_fn(|| None, Some(7));
        assert_eq!(written.reserve(Space { total: 100 * GIB, free: 0 }), 7);
    }

    #[test]
    fn a_disk_that_was_low_must_have_a_tenth_more_to_be_used_again() {
        let disk = Disk::from_fn(|| None, Some(1000));
        let low = |free, was_low| disk.is_low(Space { total: 9999, free }, was_low);
        assert_eq!([low(999, false), low(1000, false)], [true, false]);
        assert_eq!([low(1000, true), low(1099, true), low(1100, true)], [true, true, false]);
    }

    #[test]
    fn the_disk_of_a_directory_says_how_full_it_is() {
        let space = Disk::of(Path::new("."), None).space();
        assert!(space.is_some_and(|space| space.total >= space.free && space.total > 0));
        assert_eq!(Disk::of(Path::new("/nonexistent"), None).space(), None);
    }
}
