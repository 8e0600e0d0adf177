//! Envelopes to many: stored once, with a count of the mailboxes that still have it, and gone with the last of them.
//!
//! The count is written in the same batch as the rows it counts, so no crash comes between.

use std::collections::BTreeMap;

use rocksdb::WriteBatch;

use super::{
    keys::{BodyId, BodyRow},
    store::{Family, Store, damaged},
};
use crate::queue::{StorageError, usage::stored};

/// The counts that one batch changes.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    rows: BTreeMap<BodyId, Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    was_there: bool,
    now: BodyRow,
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
        let Row { was_there, now } = self.row(store, id)?;
        if now.mailboxes == 0 {
            writes.put_cf(store.family(Family::Bodies)?, id.0, sealed);
        }
        let bytes = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        let now = BodyRow { mailboxes: now.mailboxes.saturating_add(1), bytes };
        self.rows.insert(id, Row { was_there, now });
        Ok(())
    }

    /// One mailbox less has each of these; or nothing changes, because one of the counts cannot be so. With the bytes that it has of
    /// each: returns how many of them are known to be shared.
    pub(super) fn release(&mut self, store: &Store, ids: &[(BodyId, u64)]) -> Result<u64, StorageError> {
        let (mut left, mut shared) = (BTreeMap::new(), 0_u64);
        for (id, bytes) in ids {
            let Row { was_there, now } = left.get(id).map_or_else(|| self.row(store, *id), |row| Ok(*row))?;
            let mailboxes = now.mailboxes.checked_sub(1).ok_or_else(|| damaged(Family::BodyCounts))?;
            left.insert(*id, Row { was_there, now: BodyRow { mailboxes, ..now } });
            shared = shared.saturating_add(if now.bytes == 0 { 0 } else { *bytes });
        }
        self.rows.extend(left);
        Ok(shared)
    }

    /// Writes the counts, and removes what nobody has any more. Returns how many bytes came and went.
    pub(super) fn finish(self, store: &Store, writes: &mut WriteBatch) -> Result<(u64, u64), StorageError> {
        let (bodies, counts) = (store.family(Family::Bodies)?, store.family(Family::BodyCounts)?);
        let (mut came, mut gone) = (0_u64, 0_u64);
        for (id, Row { was_there, now }) in self.rows {
            if now.mailboxes == 0 {
                writes.delete_cf(bodies, id.0);
                writes.delete_cf(counts, id.0);
            } else {
                writes.put_cf(counts, id.0, now.to_bytes());
            }
            match (was_there, now.mailboxes > 0) {
                (false, true) => came = came.saturating_add(stored(now.bytes.into())),
                (true, false) => gone = gone.saturating_add(stored(now.bytes.into())),
                _ => {}
            }
        }
        Ok((came, gone))
    }

    fn row(&self, store: &Store, id: BodyId) -> Result<Row, StorageError> {
        match self.rows.get(&id) {
            Some(row) => Ok(*row),
            None => store.body_row(id).map(|now| Row { was_there: now.mailboxes > 0, now }),
        }
    }
}
