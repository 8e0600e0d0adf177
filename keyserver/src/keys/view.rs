//! The database as one round of writes sees it: what is on disk, under what this round has changed so far.
//!
//! Nothing is on disk before [`View::commit`], and then all of it is, synced.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use rocksdb::{DB, PrefixRange, ReadOptions, WriteBatch, WriteOptions};

use super::rows::Family;
use super::{KeysError, family};

/// Key and value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// Reads through to the database and keeps changes to itself.
pub(super) struct View<'db> {
    db: &'db DB,
    /// `None`: deleted.
    changes: BTreeMap<(Family, Vec<u8>), Option<Vec<u8>>>,
}

impl<'db> View<'db> {
    pub(super) fn new(db: &'db DB) -> Self {
        Self { db, changes: BTreeMap::new() }
    }

    pub(super) fn get(&self, of: Family, key: &[u8]) -> Result<Option<Vec<u8>>, KeysError> {
        match self.changes.get(&(of, key.to_vec())) {
            Some(changed) => Ok(changed.clone()),
            None => Ok(self.db.get_cf(family(self.db, of)?, key)?),
        }
    }

    pub(super) fn put(&mut self, to: Family, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert((to, key), Some(value));
    }

    pub(super) fn delete(&mut self, from: Family, key: Vec<u8>) {
        self.changes.insert((from, key), None);
    }

    /// The first row whose key begins with `prefix`.
    pub(super) fn first(&self, of: Family, prefix: &[u8]) -> Result<Option<Row>, KeysError> {
        let mut first = None;
        self.scan(of, prefix, |key, value| {
            first = Some((key.to_vec(), value.to_vec()));
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// How many keys begin with `prefix`.
    pub(super) fn count(&self, of: Family, prefix: &[u8]) -> Result<usize, KeysError> {
        let mut count = 0;
        self.scan(of, prefix, |_, _| {
            count += 1;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// The first `limit` keys that begin with `prefix`.
    pub(super) fn keys(&self, of: Family, prefix: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, KeysError> {
        let mut keys = Vec::new();
        self.scan(of, prefix, |key, _| {
            if keys.len() >= limit {
                return ControlFlow::Break(());
            }
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        Ok(keys)
    }

    /// All changes of this view: durably or not at all.
    pub(super) fn commit(self) -> Result<(), KeysError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        for ((of, key), value) in self.changes {
            let family = family(self.db, of)?;
            match value {
                Some(value) => batch.put_cf(family, key, value),
                None => batch.delete_cf(family, key),
            }
        }
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(self.db.write_opt(batch, &synced)?)
    }

    /// Shows rows in the order of their keys, those on disk and those changed merged.
    fn scan(
        &self,
        of: Family,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), KeysError> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix.to_vec()));
        let mut disk = self.db.raw_iterator_cf_opt(family(self.db, of)?, options);
        disk.seek_to_first();
        let from = (Bound::Included((of, prefix.to_vec())), Bound::Unbounded);
        let mut changed = self
            .changes
            .range(from)
            .map(|((family, key), value)| (*family, key.as_slice(), value.as_deref()))
            .take_while(|(family, key, _)| *family == of && key.starts_with(prefix))
            .peekable();
        loop {
            let stop = match (disk.item(), changed.peek().copied()) {
                (Some((key, value)), None) => {
                    let stop = visit(key, value);
                    disk.next();
                    stop
                }
                (Some((key, value)), Some((_, other, _))) if key < other => {
                    let stop = visit(key, value);
                    disk.next();
                    stop
                }
                (on_disk, Some((_, key, value))) => {
                    let replaced = on_disk.is_some_and(|(on_disk, _)| on_disk == key);
                    let stop = value.map_or(ControlFlow::Continue(()), |value| visit(key, value));
                    if replaced {
                        disk.next();
                    }
                    changed.next();
                    stop
                }
                (None, None) => ControlFlow::Break(()),
            };
            if stop.is_break() {
                break;
            }
        }
        Ok(disk.status()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rocksdb::Options;

    use super::*;

    #[test]
    fn a_view_shows_the_disk_under_its_changes_and_commit_makes_them_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let db = DB::open_cf(&options, dir.path(), Family::ALL.map(Family::name)).unwrap();
        let all = Family::Prekeys;
        let mut view = View::new(&db);
        for key in ["a", "b1", "b3", "b5", "c"] {
            view.put(all, key.into(), b"disk".to_vec());
        }
        view.commit().unwrap();

        let mut view = View::new(&db);
        view.put(Family::Handles, b"b0".to_vec(), b"of another family".to_vec());
        for key in ["b1", "b5", "b7"] {
            view.delete(all, key.into());
        }
        for key in ["b2", "b3", "b6", "d"] {
            view.put(all, key.into(), b"new".to_vec());
        }
        let seen = |view: &View<'_>| {
            let mut seen = Vec::new();
            view.scan(all, b"b", |key, value| {
                seen.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })
            .unwrap();
            seen
        };
        let expected = ["b2", "b3", "b6"].map(|key| (key.as_bytes().to_vec(), b"new".to_vec()));
        assert_eq!(seen(&view), expected);
        assert_eq!(view.first(all, b"b").unwrap().as_ref(), expected.first());
        assert_eq!(view.count(all, b"b").unwrap(), 3);
        assert_eq!(view.keys(all, b"b", 2).unwrap(), [b"b2", b"b3"]);
        assert_eq!(view.get(all, b"b1").unwrap(), None);
        assert_eq!(view.get(all, b"a").unwrap().as_deref(), Some(&b"disk"[..]));
        assert_eq!(seen(&View::new(&db)).len(), 3); // nobody else sees it yet
        view.commit().unwrap();
        assert_eq!(seen(&View::new(&db)), expected);
    }
}
