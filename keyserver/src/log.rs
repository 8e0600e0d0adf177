//! The log: what this keyserver says of handles, so that it cannot say one thing to one person and another to the next.
//!
//! Owns the tree (akd's, over the keyserver's own RocksDB), its epochs and their signed roots, and the proofs that go with
//! answers. Leaves to `keys` whose a handle is and to the one writer that a new epoch is on disk, whole, before anybody
//! sees its root. An epoch that was computed and not kept was never told; the next one may be another.
//!
//! Whatever akd reads, it reads as of the last epoch that is kept: its nodes remember the epoch before their newest, and an
//! epoch takes longer than an answer. Where that fails after all, the answer is computed again.
//!
//! Spec: keyserver §7.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use akd::append_only_zks::DEFAULT_AZKS_KEY;
use akd::ecvrf::{VRFKeyStorage, VRFPrivateKey, VRFPublicKey, VrfError};
use akd::errors::AkdError;
use akd::storage::StorageManager;
use akd::storage::types::DbRecord;
use akd::{AkdValue, Azks, AzksParallelismConfig, Directory, HistoryParams, VersionFreshness};
use async_trait::async_trait;
use ed25519_dalek::SigningKey;
use hushwire_log::{Configuration, label};
use hushwire_proto::ids::{AccountId, LinkHash, UnixMillis};
use hushwire_proto::keyserver::Proven;
use hushwire_proto::limits::HISTORY_VERSIONS_MAX;
use hushwire_proto::log::{Entry, SignedRoot};
use hushwire_proto::net::tls::ServerIdentity;
use hushwire_proto::signing::Label;
use rocksdb::DB;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use self::store::Tree;
pub(crate) use self::store::{FAMILY, newest_key, root_key, step_key, waiting_key, waiting_name};
use crate::limits::ROOT_SIGNED_EVERY;

mod records;
mod store;

/// The first entry of every log, under a name that no handle has. A tree with something in it proves absence.
const FIRST: Entry = Entry { account: AccountId([0; 32]), head: LinkHash([0; 32]), version: 0 };

/// Something of the log could not be computed or read.
#[derive(Debug, thiserror::Error)]
#[error("the log failed: {0}")]
pub(crate) struct LogError(String);

/// The keys of a log. Both come from the keyserver's identity, so there is one file to keep.
pub(crate) struct LogKeys {
    /// Signs roots: the identity itself.
    pub(crate) signing: SigningKey,
    /// Gives handles their places in the tree.
    pub(crate) places: Zeroizing<[u8; 32]>,
}

impl LogKeys {
    /// Those of a server's identity; `None` if it cannot sign a log.
    pub(crate) fn of(identity: &ServerIdentity) -> Option<Self> {
        Some(Self { signing: identity.signing_key()?, places: identity.derived(Label::LogPlaces) })
    }
}

/// The VRF key, as akd asks for it. akd copies it for each use and does not wipe its copies.
#[derive(Clone)]
struct Places(Arc<Zeroizing<[u8; 32]>>);

#[async_trait]
impl VRFKeyStorage for Places {
    async fn retrieve(&self) -> Result<Vec<u8>, VrfError> {
        Ok(self.0.to_vec())
    }
}

type Akd = Directory<Configuration, Tree, Places>;

/// The log of an open database.
pub(crate) struct Log {
    db: Arc<DB>,
    signing: SigningKey,
    places: Places,
    vrf_key: [u8; 32],
}

/// An epoch that is computed and not kept yet.
#[derive(Debug)]
pub(crate) struct NextEpoch {
    pub(crate) root: SignedRoot,
    /// Rows of the tree, and the proof that it follows from the epoch before.
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log(..)")
    }
}

impl Log {
    pub(crate) fn new(db: Arc<DB>, keys: LogKeys) -> Result<Self, LogError> {
        let private = VRFPrivateKey::try_from(&keys.places[..]).map_err(failed)?;
        let vrf_key = VRFPublicKey::from(&private).to_bytes();
        Ok(Self { db, signing: keys.signing, places: Places(Arc::new(keys.places)), vrf_key })
    }

    /// Whether this root is of this log: signed by the same identity, over the same places.
    pub(crate) fn made(&self, root: &SignedRoot) -> bool {
        root.key == self.signing.verifying_key().to_bytes() && root.vrf_key == self.vrf_key
    }

    /// The epoch that a log begins with.
    pub(crate) fn first(&self) -> Result<NextEpoch, LogError> {
        self.next(vec![(String::new(), FIRST)], UnixMillis(0))
            .and_then(|next| next.ok_or_else(|| LogError("no first epoch".into())))
    }

    /// The newest root signed anew if it was signed a while ago: that it is the newest still.
    pub(crate) fn again(&self, newest: &SignedRoot) -> Option<SignedRoot> {
        let now = now();
        let due = now.since(newest.at) >= millis(ROOT_SIGNED_EVERY);
        due.then(|| SignedRoot::sign(newest.epoch, newest.root, now, self.vrf_key, &self.signing))
    }

    /// The epoch after the newest with these entries, signed as of now or as of `after`, whichever is later; `None` if it
    /// says all of them already. Computes, and keeps nothing.
    pub(crate) fn next(&self, entries: Vec<(String, Entry)>, after: UnixMillis) -> Result<Option<NextEpoch>, LogError> {
        let tree = Tree::new(self.db.clone());
        let updates = entries.iter().map(|(name, entry)| (label(name), AkdValue(entry.to_bytes()))).collect();
        let (before, at, step) = wait(async {
            let akd = self.akd(tree.clone()).await?;
            let before = azks(&tree).await?.latest_epoch;
            let at = akd.publish(updates).await.map_err(failed)?;
            let step = match at.0 > before {
                true => akd.audit(before, at.0).await.map_err(failed)?.proofs.pop(),
                false => None,
            };
            Ok::<_, LogError>((before, at, step))
        })?;
        let Some(step) = step else { return Ok(None) };
        let step = hushwire_log::encode_step(&step).map_err(failed)?;
        let root = SignedRoot::sign(at.0, at.1, now().max(after), self.vrf_key, &self.signing);
        debug_assert_eq!(before.saturating_add(1), root.epoch);
        let mut rows = tree.into_rows();
        rows.push((step_key(root.epoch), step));
        Ok(Some(NextEpoch { root, rows }))
    }

    /// What the log says of a handle, with its proof; `None` if nothing.
    pub(crate) fn lookup(&self, name: &str) -> Result<Option<(Entry, Proven)>, LogError> {
        let tree = Tree::new(self.db.clone());
        if tree.newest(name).map_err(failed)?.is_none() {
            return Ok(None);
        }
        let (proof, at) = wait(async { self.akd(tree).await?.lookup(label(name)).await.map_err(failed) })?;
        let entry = Entry::from_slice(&proof.value).ok_or_else(|| LogError("an entry of another length".into()))?;
        let proof = hushwire_log::encode_lookup(&proof).map_err(failed)?;
        Ok(Some((entry, self.proven(at.0, proof)?)))
    }

    /// That the log says nothing of a handle.
    pub(crate) fn absence(&self, name: &str) -> Result<Proven, LogError> {
        let tree = Tree::new(self.db.clone());
        let name = label(name);
        let (epoch, vrf_proof, proof) = wait(async {
            let azks = azks(&tree).await?;
            let fresh = VersionFreshness::Fresh;
            let vrf_proof = self.places.get_label_proof::<Configuration>(&name, fresh, 1).await.map_err(failed)?;
            let place = self.places.get_node_label_from_vrf_proof(vrf_proof).await;
            let storage = StorageManager::new_no_cache(tree.clone());
            let proof = azks.get_non_membership_proof::<Configuration, _>(&storage, place).await.map_err(failed)?;
            Ok::<_, LogError>((azks.latest_epoch, vrf_proof, proof))
        })?;
        self.proven(epoch, hushwire_log::encode_absence(&vrf_proof, &proof).map_err(failed)?)
    }

    /// What the log said of a handle lately; `None` if nothing ever.
    pub(crate) fn history(&self, name: &str) -> Result<Option<Proven>, LogError> {
        let tree = Tree::new(self.db.clone());
        if tree.newest(name).map_err(failed)?.is_none() {
            return Ok(None);
        }
        let params = HistoryParams::MostRecent(HISTORY_VERSIONS_MAX);
        let (proof, at) =
            wait(async { self.akd(tree).await?.key_history(&label(name), params).await.map_err(failed) })?;
        self.proven(at.0, hushwire_log::encode_history(&proof).map_err(failed)?).map(Some)
    }

    fn proven(&self, epoch: u64, proof: Vec<u8>) -> Result<Proven, LogError> {
        let root = store::get(&self.db, &root_key(epoch)).map_err(failed)?;
        let root = root.ok_or_else(|| LogError(format!("epoch {epoch} has no root")))?;
        Ok(Proven { root: SignedRoot::parse(&root.into()).map_err(failed)?, proof: proof.into() })
    }

    async fn akd(&self, tree: Tree) -> Result<Akd, LogError> {
        let storage = StorageManager::new_no_cache(tree);
        Directory::new(storage, self.places.clone(), AzksParallelismConfig::disabled()).await.map_err(failed)
    }
}

async fn azks(tree: &Tree) -> Result<Azks, LogError> {
    let storage = StorageManager::new_no_cache(tree.clone());
    match storage.get::<Azks>(&DEFAULT_AZKS_KEY).await {
        Ok(DbRecord::Azks(azks)) => Ok(azks),
        Ok(_) => Err(LogError("another record in the place of the tree's".into())),
        Err(error) => Err(failed(AkdError::Storage(error))),
    }
}

/// akd is async; its storage here is not, so nothing is waited for. Not to be called on a thread that serves connections.
fn wait<T>(future: impl Future<Output = Result<T, LogError>>) -> Result<T, LogError> {
    Handle::try_current().map_err(failed)?.block_on(future)
}

fn now() -> UnixMillis {
    UnixMillis(millis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn failed(error: impl std::fmt::Display) -> LogError {
    LogError(error.to_string())
}
