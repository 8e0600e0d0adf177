//! The log of the keyserver of tests: akd in memory, and a key that signs its roots.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use akd::append_only_zks::DEFAULT_AZKS_KEY;
use akd::ecvrf::{HardCodedAkdVRF, VRFKeyStorage};
use akd::storage::StorageManager;
use akd::storage::memory::AsyncInMemoryDatabase;
use akd::storage::types::DbRecord;
use akd::{AkdValue, Azks, AzksParallelismConfig, Directory, HistoryParams, VersionFreshness};
use ed25519_dalek::SigningKey;
use hushwire_log::{Configuration, encode_absence, encode_history, encode_lookup, encode_step, label};
use hushwire_proto::account::SignedLink;
use hushwire_proto::address::Fingerprint;
use hushwire_proto::ids::{AccountId, LinkHash, UnixMillis};
use hushwire_proto::keyserver::Proven;
use hushwire_proto::limits::HISTORY_VERSIONS_MAX;
use hushwire_proto::log::{Entry, SignedRoot, fingerprint_of};

/// When every world begins.
pub const BEGIN: UnixMillis = UnixMillis(1_700_000_000_000);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[77; 32])
}

/// Of every server of tests.
pub fn fingerprint() -> Fingerprint {
    fingerprint_of(&key().verifying_key().to_bytes())
}

#[derive(Clone)]
pub struct Log {
    /// Its clock.
    pub now: UnixMillis,
    key: SigningKey,
    directory: Directory<Configuration, AsyncInMemoryDatabase, HardCodedAkdVRF>,
    storage: StorageManager<AsyncInMemoryDatabase>,
}

impl Log {
    pub fn new() -> Self {
        Self::signed_with(key())
    }

    pub fn signed_with(key: SigningKey) -> Self {
        let storage = StorageManager::new_no_cache(AsyncInMemoryDatabase::new());
        let config = AzksParallelismConfig::disabled();
        let directory = ready(Directory::new(storage.clone(), HardCodedAkdVRF, config)).unwrap();
        let log = Self { now: BEGIN, key, directory, storage };
        log.publish("", Entry { account: AccountId([0; 32]), head: LinkHash([0; 32]), version: 0 });
        log
    }

    /// A root that an evil keyserver makes up, and signs.
    pub fn signed(&self, epoch: u64, root: [u8; 32]) -> SignedRoot {
        let vrf_key = ready(HardCodedAkdVRF.get_vrf_public_key()).unwrap().to_bytes();
        SignedRoot::sign(epoch, root, self.now, vrf_key, &self.key)
    }

    /// The newest root.
    pub fn root(&self) -> SignedRoot {
        let at = ready(self.directory.get_epoch_hash()).unwrap();
        self.signed(at.0, at.1)
    }

    /// That the tree of this epoch is that of the one before and more.
    pub fn step(&self, epoch: u64) -> Vec<u8> {
        let mut proof = ready(self.directory.audit(epoch - 1, epoch)).unwrap();
        encode_step(&proof.proofs.pop().unwrap()).unwrap()
    }

    /// Says this of a handle from now on.
    pub fn publish(&self, name: &str, entry: Entry) {
        ready(self.directory.publish(vec![(label(name), AkdValue(entry.to_bytes()))])).unwrap();
    }

    /// Says this chain of a handle, and proves it.
    pub fn says(&self, name: &str, links: &[SignedLink]) -> Proven {
        let (first, head) = (links.first().unwrap(), links.last().unwrap());
        let (account, version) = (AccountId(first.hash().0), head.link().version);
        self.publish(name, Entry { account, head: head.hash(), version });
        let (proof, at) = ready(self.directory.lookup(label(name))).unwrap();
        Proven { root: self.signed(at.0, at.1), proof: encode_lookup(&proof).unwrap().into() }
    }

    pub fn absence(&self, name: &str) -> Proven {
        let azks = ready(self.storage.get::<Azks>(&DEFAULT_AZKS_KEY)).unwrap();
        let DbRecord::Azks(azks) = azks else { panic!() };
        let (vrf, name) = (HardCodedAkdVRF, label(name));
        let proof = ready(vrf.get_label_proof::<Configuration>(&name, VersionFreshness::Fresh, 1)).unwrap();
        let place = ready(vrf.get_node_label::<Configuration>(&name, VersionFreshness::Fresh, 1)).unwrap();
        let absence = ready(azks.get_non_membership_proof::<Configuration, _>(&self.storage, place)).unwrap();
        let root = ready(azks.get_root_hash::<Configuration, _>(&self.storage)).unwrap();
        let proof = encode_absence(&proof, &absence).unwrap().into();
        Proven { root: self.signed(azks.latest_epoch, root), proof }
    }

    pub fn history(&self, name: &str) -> Proven {
        let params = HistoryParams::MostRecent(HISTORY_VERSIONS_MAX);
        let (proof, at) = ready(self.directory.key_history(&label(name), params)).unwrap();
        Proven { root: self.signed(at.0, at.1), proof: encode_history(&proof).unwrap().into() }
    }
}

/// Nothing here waits for anything.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a storage in memory waited"),
    }
}
