//! Envelopes to many: stored once, with a count of the mailboxes that still have it, and gone with the last of them.
//!
//! The count is written in the same batch as the rows it counts, so no crash comes between.

use std::collections::BTreeMap;

use rocksdb::WriteBatch;

use super::{
    keys::BodyId,
    store::{Family, Store, damaged},
};
use crate::queue::StorageError;

/// The counts that one batch changes.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    counts: BTreeMap<BodyId, u64>,
}

impl Bodies {
    /// One more mailbox has it. Written again if it was gone by now.
    pub(super) fn keep(
        &mut self,
        store: &Store,
        writes: &mut WriteBatch,
        id: BodyId,
        sealed: &[u8],
    ) -> Result<(), StorageError> {
        let count = self.count(store, id)?;
        if count == 0 {
            writes.put_cf(store.family(Family::Bodies)?, id.0, sealed);
        }
        self.counts.insert(id, count.saturating_add(1));
        Ok(())
    }

    /// One mailbox less has each of these; or nothing changes, because one of the counts cannot be so.
    pub(super) fn release(&mut self, store: &Store, ids: &[BodyId]) -> Result<(), StorageError> {
        let mut left = BTreeMap::new();
        for id in ids {
            let count = left.get(id).map_or_else(|| self.count(store, *id), |count| Ok(*count))?;
            left.insert(*id, count.checked_sub(1).ok_or_else(|| damaged(Family::BodyCounts))?);
        }
        self.counts.extend(left);
        Ok(())
    }

    /// Writes the counts, and removes what nobody has any more.
    pub(super) fn finish(self, store: &Store, writes: &mut WriteBatch) -> Result<(), StorageError> {
        let (bodies, counts) = (store.family(Family::Bodies)?, store.family(Family::BodyCounts)?);
        for (id, count) in self.counts {
            if count == 0 {
                writes.delete_cf(bodies, id.0);
                writes.delete_cf(counts, id.0);
            } else {
                writes.put_cf(counts, id.0, count.to_be_bytes());
            }
        }
        Ok(())
    }

    fn count(&self, store: &Store, id: BodyId) -> Result<u64, StorageError> {
        match self.counts.get(&id) {
            Some(count) => Ok(*count),
            None => store.body_count(id),
        }
    }
}
