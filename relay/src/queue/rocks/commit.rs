//! How a batch gets onto the disk, and what RocksDB must not do once something did not.

use std::sync::atomic::Ordering::Relaxed;

use rocksdb::WriteBatch;

use super::{
    keys,
    store::{Family, Store, synced},
};

/// How often RocksDB's own work has failed since it was opened.
const ERRORS: &str = "rocksdb.background-errors";

impl Store {
    /// Writes all of it or nothing, and returns once it is on the disk.
    ///
    /// A new file of the log stands in the directory once that is synced. If a sync of the directory has just failed for
    /// somebody else in RocksDB, who may not have said so yet when this write began, a second one says that all is well, and
    /// the file may be gone after a power cut. So whoever answers asks again whether anything failed meanwhile.
    pub(super) fn commit(&self, mut batch: WriteBatch) -> Result<(), String> {
        let family = self.family(Family::Mailboxes).map_err(|error| error.to_string())?;
        let number = self.batches.fetch_add(1, Relaxed).saturating_add(1); // by the one who writes
        batch.put_cf(family, keys::LAST_BATCH_KEY, number.to_be_bytes());
        batch.merge_cf(family, keys::BATCHES_KEY, 1_u64.to_be_bytes());
        self.db.write_opt(batch, &synced()).map_err(|error| error.to_string())?;
        let errors = self.db.property_int_value(ERRORS).ok().flatten().unwrap_or(0);
        if errors > self.errors.swap(errors, Relaxed) {
            // Refused with what failed, unless it was nothing that stops writes.
            self.db.write(WriteBatch::default()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// RocksDB writes out and compacts nothing more. What is under way breaks off, unless it was about to be recorded: a
    /// compaction that goes on could rest on what a failed sync of the directory left in doubt.
    pub(super) fn stop_background_work(&self) {
        self.db.cancel_all_background_work(false);
    }
}
