//! akd's storage over the keyserver's RocksDB. What akd writes is kept in memory until the one writer takes all of it, so
//! that an epoch is on disk as a whole or not at all.
//!
//! | key, in the family `log` | value |
//! |---|---|
//! | `n` ‖ akd's own key | the state of the tree, or one of its nodes (`records.rs`) |
//! | `v` ‖ handle ‖ 0x00 ‖ `BE64(epoch)` | what was said of the handle from this epoch on (`records.rs`) |
//! | `r` ‖ `BE64(epoch)` | the signed root |
//! | `s` ‖ `BE64(epoch)` | the step from the epoch before, as auditors get it |
//! | `e` | `BE64` of the newest epoch |
//! | `w` ‖ handle | nothing: its account has changed, and waits for an epoch |

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use akd::errors::StorageError;
use akd::storage::types::{DbRecord, KeyData, StorageType, ValueState, ValueStateRetrievalFlag};
use akd::storage::{Database, DbSetState, Storable};
use akd::{AkdLabel, AkdValue};
use async_trait::async_trait;
use rocksdb::{DB, PrefixRange, ReadOptions};

use super::records;
use crate::limits::lock;

/// The column family, which `keys/rows.rs` lists with the others.
pub(crate) const FAMILY: &str = "log";

pub(crate) fn root_key(epoch: u64) -> Vec<u8> {
    [b"r", &epoch.to_be_bytes()[..]].concat()
}

pub(crate) fn step_key(epoch: u64) -> Vec<u8> {
    [b"s", &epoch.to_be_bytes()[..]].concat()
}

pub(crate) fn newest_key() -> Vec<u8> {
    b"e".to_vec()
}

pub(crate) fn waiting_key(name: &str) -> Vec<u8> {
    [b"w", name.as_bytes()].concat()
}

/// The handle in what [`waiting_key`] made.
pub(crate) fn waiting_name(key: &[u8]) -> Option<String> {
    String::from_utf8(key.strip_prefix(b"w")?.to_vec()).ok()
}

fn said_prefix(name: &[u8]) -> Vec<u8> {
    [b"v", name, &[0]].concat()
}

fn said_key(name: &[u8], epoch: u64) -> Vec<u8> {
    [&said_prefix(name)[..], &epoch.to_be_bytes()].concat()
}

/// Where the record with akd's own key lies.
fn key_of(kind: StorageType, id: &[u8]) -> Result<Vec<u8>, StorageError> {
    match kind {
        StorageType::Azks | StorageType::TreeNode => Ok([b"n", id].concat()),
        StorageType::ValueState => {
            // Its kind, `BE64(epoch)`, the handle. akd's own reader takes no empty handle, and the first entry has one.
            let parts = id.get(1..).and_then(|rest| rest.split_first_chunk());
            let (epoch, name) = parts.ok_or_else(|| StorageError::Other("a key that is too short".into()))?;
            Ok(said_key(name, u64::from_be_bytes(*epoch)))
        }
    }
}

pub(super) fn get(db: &DB, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    let family = db.cf_handle(FAMILY).ok_or_else(|| StorageError::Other("no family for the log".into()))?;
    db.get_cf(family, key).map_err(other)
}

/// The database, and over it what was not kept yet.
#[derive(Clone)]
pub(crate) struct Tree {
    db: Arc<DB>,
    fresh: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
}

impl Tree {
    pub(super) fn new(db: Arc<DB>) -> Self {
        Self { db, fresh: Arc::default() }
    }

    /// What was written and is to be kept.
    pub(super) fn into_rows(self) -> Vec<(Vec<u8>, Vec<u8>)> {
        std::mem::take(&mut *lock(&self.fresh)).into_iter().collect()
    }

    /// The newest that is kept of a handle.
    pub(super) fn newest(&self, name: &str) -> Result<Option<ValueState>, StorageError> {
        Ok(self.said(name.as_bytes())?.pop())
    }

    /// All that was said of a handle, oldest first.
    fn said(&self, name: &[u8]) -> Result<Vec<ValueState>, StorageError> {
        let family = self.db.cf_handle(FAMILY).ok_or_else(|| StorageError::Other("no family for the log".into()))?;
        let prefix = said_prefix(name);
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix.clone()));
        let mut rows = BTreeMap::new();
        let mut disk = self.db.raw_iterator_cf_opt(family, options);
        disk.seek_to_first();
        while let Some((key, row)) = disk.item() {
            rows.insert(key.to_vec(), row.to_vec());
            disk.next();
        }
        disk.status().map_err(other)?;
        let fresh = lock(&self.fresh);
        rows.extend(
            fresh
                .range(prefix.clone()..)
                .take_while(|(key, _)| key.starts_with(&prefix))
                .map(|(k, v)| (k.clone(), v.clone())),
        );
        let states = rows.into_values().map(|row| match records::read(StorageType::ValueState, &row) {
            Some(DbRecord::ValueState(state)) => Ok(state),
            _ => Err(StorageError::Other("a damaged row of what was said".into())),
        });
        states.collect()
    }
}

#[async_trait]
impl Database for Tree {
    async fn set(&self, record: DbRecord) -> Result<(), StorageError> {
        let kind = records::kind(&record);
        let key = key_of(kind, &record.get_full_binary_id())?;
        lock(&self.fresh).insert(key, records::write(&record));
        Ok(())
    }

    async fn batch_set(&self, records: Vec<DbRecord>, _: DbSetState) -> Result<(), StorageError> {
        for record in records {
            self.set(record).await?;
        }
        Ok(())
    }

    async fn get<St: Storable>(&self, id: &St::StorageKey) -> Result<DbRecord, StorageError> {
        let key = key_of(St::data_type(), &St::get_full_binary_key_id(id))?;
        let fresh = lock(&self.fresh).get(&key).cloned();
        let row = match fresh {
            Some(row) => Some(row),
            None => get(&self.db, &key)?,
        };
        let row = row.ok_or_else(|| StorageError::NotFound(format!("{:?} {id:?}", St::data_type())))?;
        records::read(St::data_type(), &row).ok_or_else(|| StorageError::Other("a damaged row of the log".into()))
    }

    /// Those that are there.
    async fn batch_get<St: Storable>(&self, ids: &[St::StorageKey]) -> Result<Vec<DbRecord>, StorageError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match self.get::<St>(id).await {
                Ok(record) => found.push(record),
                Err(StorageError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn get_user_data(&self, username: &AkdLabel) -> Result<KeyData, StorageError> {
        match self.said(username)? {
            states if states.is_empty() => Err(StorageError::NotFound(format!("{username:?}"))),
            states => Ok(KeyData { states }),
        }
    }

    async fn get_user_state(
        &self,
        username: &AkdLabel,
        flag: ValueStateRetrievalFlag,
    ) -> Result<ValueState, StorageError> {
        let mut states = self.said(username)?.into_iter();
        let found = match flag {
            ValueStateRetrievalFlag::SpecificVersion(version) => states.find(|state| state.version == version),
            ValueStateRetrievalFlag::SpecificEpoch(epoch) => states.find(|state| state.epoch == epoch),
            ValueStateRetrievalFlag::LeqEpoch(epoch) => states.rfind(|state| state.epoch <= epoch),
            ValueStateRetrievalFlag::MaxEpoch => states.next_back(),
            ValueStateRetrievalFlag::MinEpoch => states.next(),
        };
        found.ok_or_else(|| StorageError::NotFound(format!("{username:?} {flag:?}")))
    }

    async fn get_user_state_versions(
        &self,
        usernames: &[AkdLabel],
        flag: ValueStateRetrievalFlag,
    ) -> Result<HashMap<AkdLabel, (u64, AkdValue)>, StorageError> {
        let mut found = HashMap::new();
        for username in usernames {
            match self.get_user_state(username, flag).await {
                Ok(state) => {
                    found.insert(state.username, (state.version, state.value));
                }
                Err(StorageError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

fn other(error: impl std::fmt::Display) -> StorageError {
    StorageError::Other(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use akd::append_only_zks::DEFAULT_AZKS_KEY;
    use akd::tree_node::{NodeKey, TreeNodeWithPreviousValue};
    use akd::{Azks, NodeLabel};
    use rocksdb::Options;

    use super::*;

    fn state(name: &str, version: u64, epoch: u64) -> ValueState {
        DbRecord::build_user_state(name.into(), vec![7; 72], version, 256, [9; 32], epoch)
    }

    /// What akd expects of any storage, as it stands in the documentation of its trait.
    #[tokio::test]
    async fn the_storage_keeps_what_akd_expects_of_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let db = Arc::new(DB::open_cf(&options, dir.path(), [FAMILY]).unwrap());
        let tree = Tree::new(db.clone());
        assert!(matches!(tree.get::<Azks>(&DEFAULT_AZKS_KEY).await, Err(StorageError::NotFound(_))));
        let azks = DbRecord::Azks(DbRecord::build_azks(3, 9));
        let node = DbRecord::TreeNode(records::tests::node());
        let records: Vec<DbRecord> = [("al", 1, 1), ("alice", 1, 2), ("alice", 2, 5), ("alice", 3, 300), ("bob", 1, 5)]
            .map(|(name, version, epoch)| DbRecord::ValueState(state(name, version, epoch)))
            .into_iter()
            .chain([azks.clone(), node.clone()])
            .collect();
        tree.batch_set(records, DbSetState::TransactionCommit).await.unwrap();
        for from_disk in [false, true] {
            if from_disk {
                for (key, row) in tree.clone().into_rows() {
                    db.put_cf(db.cf_handle(FAMILY).unwrap(), key, row).unwrap();
                }
            }
            assert_eq!(tree.get::<Azks>(&DEFAULT_AZKS_KEY).await.ok(), Some(azks.clone()));
            let key = NodeKey(records::tests::node().label);
            assert_eq!(tree.get::<TreeNodeWithPreviousValue>(&key).await.ok(), Some(node.clone()));
            let missing = NodeKey(NodeLabel::new([1; 32], 3));
            let found = tree.batch_get::<TreeNodeWithPreviousValue>(&[missing, key]).await.unwrap();
            assert_eq!(found, std::slice::from_ref(&node));
            let alice = AkdLabel::from("alice");
            let all: Vec<u64> = tree.get_user_data(&alice).await.unwrap().states.iter().map(|s| s.epoch).collect();
            assert_eq!(all, [2, 5, 300]);
            use ValueStateRetrievalFlag::{LeqEpoch, MaxEpoch, MinEpoch, SpecificEpoch, SpecificVersion};
            for (flag, version) in [
                (MaxEpoch, Some(3)),
                (MinEpoch, Some(1)),
                (LeqEpoch(299), Some(2)),
                (LeqEpoch(5), Some(2)),
                (LeqEpoch(1), None),
                (SpecificEpoch(5), Some(2)),
                (SpecificEpoch(4), None),
                (SpecificVersion(3), Some(3)),
                (SpecificVersion(4), None),
            ] {
                let found = tree.get_user_state(&alice, flag).await.ok().map(|state| state.version);
                assert_eq!(found, version, "{flag:?}");
            }
            let names = ["alice", "bob", "carol"].map(AkdLabel::from);
            let versions = tree.get_user_state_versions(&names, LeqEpoch(5)).await.unwrap();
            assert_eq!((versions.len(), versions.get(&alice).map(|(version, _)| *version)), (2, Some(2)));
            assert!(tree.get_user_data(&AkdLabel::from("carol")).await.is_err());
        }
    }
}
