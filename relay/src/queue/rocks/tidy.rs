//! Gives room back. RocksDB drops what was removed when it compacts the files that have it, and it compacts those that
//! grow: files of a mailbox that filled once and expired would stay. So when the files of envelopes are far larger than
//! the envelopes, they are compacted.

use rocksdb::{CompactOptions, FlushOptions};

use super::store::{Family, Store};
use crate::queue::StorageError;

/// Parts of the key space that are compacted one after another. Mailbox ids are as good as random, so each has as much.
pub(super) const PARTS: u8 = 16;

/// Bytes of files that may be of no use beside as many that are: what comes and goes in some minutes of full load.
pub(super) const SLACK_BYTES: u64 = if cfg!(feature = "fail-points") { 64 * 1024 } else { 256 * 1024 * 1024 };

/// Bytes of files of envelopes.
const FILES: &str = "rocksdb.total-sst-files-size";

impl Store {
    /// Whether compacting is worth the work, if so many bytes of envelopes wait: it then writes less than it frees.
    pub(super) fn is_untidy(&self, waiting: u64, slack: u64) -> Result<bool, StorageError> {
        let files = self.db.property_int_value_cf(self.family(Family::Envelopes)?, FILES);
        Ok(files.ok().flatten().unwrap_or(0) > waiting.saturating_mul(2).saturating_add(slack))
    }

    /// Writes out what is in memory, so that the log that holds it can go.
    pub(super) fn flush(&self) -> Result<(), StorageError> {
        let families = Family::ALL.map(|family| self.family(family)).into_iter().collect::<Result<Vec<_>, _>>()?;
        // An error of the disk fails the next write as well, and is told there.
        let _ = self.db.flush_cfs_opt(&families, &FlushOptions::default());
        Ok(())
    }

    /// Compacts one of [`PARTS`].
    pub(super) fn compact(&self, part: u8) -> Result<(), StorageError> {
        let wide = u8::MAX / PARTS + 1;
        let from = [part.saturating_mul(wide)];
        let to = part.checked_add(1).and_then(|next| next.checked_mul(wide)).map(|end| [end]);
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        self.db.compact_range_cf_opt(self.family(Family::Envelopes)?, Some(from), to, &options);
        Ok(())
    }
}
