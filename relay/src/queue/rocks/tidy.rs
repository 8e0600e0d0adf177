//! Gives room back. RocksDB drops what was removed when it compacts the files that have it, and it compacts those that
//! grow: files of a mailbox that filled once and expired would stay. So when the files of envelopes, or of the bodies that
//! many have, are far larger than what of them waits, they are compacted.

use std::{sync::Arc, time::Instant};

use rocksdb::{CompactOptions, FlushOptions};
use tokio::task::spawn_blocking;

use super::store::{Family, Store};
use crate::{
    fail_points::{Step, reach},
    metrics::Holding,
    queue::StorageError,
};

/// Parts of the key space that are compacted one after another. Ids of mailboxes and bodies are as good as random, so each has
/// as much.
pub(super) const PARTS: u8 = 16;

/// Bytes of files that may be of no use beside as many that are: what comes and goes in some minutes of full load.
const SLACK_BYTES: u64 = if cfg!(feature = "fail-points") { 64 * 1024 } else { 256 * 1024 * 1024 };

/// Bytes of a row of an envelope beside what is sealed.
const ROW_BYTES: u64 = 128;

/// Bytes of files of a family.
const FILES: &str = "rocksdb.total-sst-files-size";

/// Compacts what is worth it.
pub(super) async fn give_back(store: &Arc<Store>, waiting: Holding) {
    let untidy = store.untidy(waiting, SLACK_BYTES).unwrap_or_default();
    if untidy.is_empty() {
        return;
    }
    let began = Instant::now();
    reach(Step::Flushing);
    let flushed = store.clone();
    let _ = spawn_blocking(move || flushed.flush()).await;
    for (family, part) in untidy.into_iter().flat_map(|family| (0..PARTS).map(move |part| (family, part))) {
        let store = store.clone(); // a relay that stops waits for one part at most
        reach(Step::Compacting);
        let _ = spawn_blocking(move || store.compact(family, part)).await;
    }
    tracing::info!(seconds = began.elapsed().as_secs(), "gave back the room of what is gone");
}

impl Store {
    /// The families of which compacting is worth the work, if so much waits: it then writes less than it frees.
    pub(super) fn untidy(&self, waiting: Holding, slack: u64) -> Result<Vec<Family>, StorageError> {
        let mut untidy = Vec::new();
        let rows = waiting.envelopes.saturating_mul(ROW_BYTES).saturating_add(waiting.own_bytes);
        for (family, bytes) in [(Family::Envelopes, rows), (Family::Bodies, waiting.body_bytes)] {
            let files = self.db.property_int_value_cf(self.family(family)?, FILES).ok().flatten().unwrap_or(0);
            if files > bytes.saturating_mul(2).saturating_add(slack) {
                untidy.push(family);
            }
        }
        Ok(untidy)
    }

    /// Writes out what is in memory, so that the log that holds it can go.
    pub(super) fn flush(&self) -> Result<(), StorageError> {
        let families = Family::ALL.map(|family| self.family(family)).into_iter().collect::<Result<Vec<_>, _>>()?;
        // An error of the disk fails the next write as well, and is told there.
        let _ = self.db.flush_cfs_opt(&families, &FlushOptions::default());
        Ok(())
    }

    /// Compacts one of the [`PARTS`] of a family.
    pub(super) fn compact(&self, family: Family, part: u8) -> Result<(), StorageError> {
        let wide = u8::MAX / PARTS + 1;
        let from = [part.saturating_mul(wide)];
        let to = part.checked_add(1).and_then(|next| next.checked_mul(wide)).map(|end| [end]);
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        self.db.compact_range_cf_opt(self.family(family)?, Some(from), to, &options);
        Ok(())
    }
}
