//! What an honest log proves, and that nothing else is proven: neither by changed bytes nor by a keyserver that makes its
//! proofs up.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation, missing_docs)]

use akd::append_only_zks::DEFAULT_AZKS_KEY;
use akd::ecvrf::{HardCodedAkdVRF, VRFKeyStorage};
use akd::storage::StorageManager;
use akd::storage::memory::AsyncInMemoryDatabase;
use akd::storage::types::DbRecord;
use akd::{AkdValue, Azks, AzksParallelismConfig, Directory, HistoryParams, VersionFreshness};
use akd_core::proto::specs::types;
use akd_core::verify::lookup_verify;
use akd_core::{LookupProof, NonMembershipProof};
use ed25519_dalek::SigningKey;
use hushwire_log::{
    Alarm, BadProof, Configuration, Seen, absent, encode_absence, encode_history, encode_lookup, history, label,
    present, watch,
};
use hushwire_proto::ids::{AccountId, LinkHash, UnixMillis};
use hushwire_proto::limits::{HISTORY_VERSIONS_MAX, LOOKUP_PROOF_BYTES_MAX, PROOF_BYTES_MAX};
use hushwire_proto::log::{BadRoot, Entry, SignedRoot, fingerprint_of};
use protobuf::Message as _;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn entry(account: u8, version: u64) -> Entry {
    Entry { account: AccountId([account; 32]), head: LinkHash([version as u8; 32]), version }
}

/// A keyserver's log, in memory.
struct Log {
    directory: Directory<Configuration, AsyncInMemoryDatabase, HardCodedAkdVRF>,
    storage: StorageManager<AsyncInMemoryDatabase>,
}

impl Log {
    async fn new() -> Self {
        let storage = StorageManager::new_no_cache(AsyncInMemoryDatabase::new());
        let config = AzksParallelismConfig::disabled();
        let directory = Directory::new(storage.clone(), HardCodedAkdVRF, config).await.unwrap();
        let log = Self { directory, storage };
        log.publish(&[("", entry(0, 0))]).await;
        log
    }

    async fn publish(&self, entries: &[(&str, Entry)]) -> SignedRoot {
        let updates = entries.iter().map(|(name, entry)| (label(name), AkdValue(entry.to_bytes()))).collect();
        let at = self.directory.publish(updates).await.unwrap();
        self.sign(at.0, at.1).await
    }

    async fn sign(&self, epoch: u64, root: [u8; 32]) -> SignedRoot {
        let vrf_key = HardCodedAkdVRF.get_vrf_public_key().await.unwrap().to_bytes();
        SignedRoot::sign(epoch, root, UnixMillis(epoch), vrf_key, &key())
    }

    async fn lookup(&self, name: &str) -> (LookupProof, SignedRoot) {
        let (proof, at) = self.directory.lookup(label(name)).await.unwrap();
        (proof, self.sign(at.0, at.1).await)
    }

    async fn absence_of(&self, name: &str, freshness: VersionFreshness, version: u64) -> (Vec<u8>, NonMembershipProof) {
        let DbRecord::Azks(azks) = self.storage.get::<Azks>(&DEFAULT_AZKS_KEY).await.unwrap() else { panic!() };
        let name = label(name);
        let vrf = HardCodedAkdVRF.get_label_proof::<Configuration>(&name, freshness, version).await.unwrap();
        let place = HardCodedAkdVRF.get_node_label::<Configuration>(&name, freshness, version).await.unwrap();
        let proof = azks.get_non_membership_proof::<Configuration, _>(&self.storage, place).await.unwrap();
        (encode_absence(&vrf, &proof).unwrap(), proof)
    }

    async fn absence(&self, name: &str) -> Vec<u8> {
        self.absence_of(name, VersionFreshness::Fresh, 1).await.0
    }

    async fn history(&self, name: &str) -> Vec<u8> {
        let params = HistoryParams::MostRecent(HISTORY_VERSIONS_MAX);
        encode_history(&self.directory.key_history(&label(name), params).await.unwrap().0).unwrap()
    }
}

#[tokio::test]
async fn a_lookup_says_whose_a_handle_is_and_what_is_newest() {
    let log = Log::new().await;
    log.publish(&[("alice", entry(1, 0)), ("bob", entry(2, 0))]).await;
    for version in 0..20 {
        let root = log.publish(&[("alice", entry(1, version)), ("carol", entry(3, version))]).await;
        let (proof, at) = log.lookup("alice").await;
        let proof = encode_lookup(&proof).unwrap();
        assert!(proof.len() < LOOKUP_PROOF_BYTES_MAX);
        assert!(version == 0 || at.epoch == root.epoch);
        assert_eq!(present(&at, "alice", &proof), Ok(entry(1, version)));
        assert!(present(&at, "bob", &proof).is_err());
        let other = SignedRoot { root: [9; 32], ..at.clone() };
        assert!(present(&other, "alice", &proof).is_err());
        let other = SignedRoot { vrf_key: key().verifying_key().to_bytes(), ..at };
        assert!(present(&other, "alice", &proof).is_err());
    }
}

#[tokio::test]
async fn who_was_never_there_is_proven_absent_and_nobody_else_is() {
    let log = Log::new().await;
    let names: Vec<String> = (0..40).map(|number| format!("person-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let (_, root) = log.lookup("").await;
        let proof = log.absence(name).await;
        assert!(proof.len() < LOOKUP_PROOF_BYTES_MAX);
        assert_eq!(absent(&root, name, &proof), Ok(()), "{name}");
        assert_eq!(absent(&root, "somebody-else", &proof).map_err(|bad| matches!(bad, BadProof::Wrong(_))), Err(true));
        let root = log.publish(&[(name, entry(number as u8, 0))]).await;
        assert!(absent(&root, name, &proof).is_err()); // of the epoch before
        let forced = log.absence(name).await; // what akd answers for somebody who is there
        assert!(absent(&root, name, &forced).is_err());
    }
}

/// The proof that the root of the tree has two children and that `proof.label` is neither: true of everything.
fn looking_at_the_root(mut proof: NonMembershipProof, shown: &NonMembershipProof) -> NonMembershipProof {
    proof.longest_prefix = shown.longest_prefix;
    proof.longest_prefix_children = shown.longest_prefix_children;
    proof.longest_prefix_membership_proof = shown.longest_prefix_membership_proof.clone();
    proof
}

/// A proof of absence for some place that ends at the root of the tree.
async fn ending_at_the_root(log: &Log) -> NonMembershipProof {
    // The tree is small; the root is made into the end of the way by hand, from the children that membership shows.
    let (proof, _) = log.lookup("alice").await;
    let path = &proof.existence_proof;
    let first = path.sibling_proofs.first().unwrap();
    let below = akd_core::MembershipProof { sibling_proofs: path.sibling_proofs[1..].to_vec(), ..path.clone() };
    let (value, label) = up(&below);
    let mine = akd_core::AzksElement { label, value };
    let children = match first.direction {
        akd_core::Direction::Left => [mine, first.siblings[0]],
        akd_core::Direction::Right => [first.siblings[0], mine],
    };
    let (hash_val, label) = up(path);
    NonMembershipProof {
        label: path.label,
        longest_prefix: label,
        longest_prefix_children: children,
        longest_prefix_membership_proof: akd_core::MembershipProof { label, hash_val, sibling_proofs: Vec::new() },
    }
}

fn up(proof: &akd_core::MembershipProof) -> (akd_core::AzksValue, akd_core::NodeLabel) {
    use akd_core::Configuration as _;
    let (mut value, mut label) = (proof.hash_val, proof.label);
    for step in proof.sibling_proofs.iter().rev() {
        let sibling = step.siblings[0];
        let (mine, theirs) = (label.value::<Configuration>(), sibling.label.value::<Configuration>());
        value = match step.direction {
            akd_core::Direction::Left => {
                Configuration::compute_parent_hash_from_children(&value, &mine, &sibling.value, &theirs)
            }
            akd_core::Direction::Right => {
                Configuration::compute_parent_hash_from_children(&sibling.value, &theirs, &value, &mine)
            }
        };
        label = step.label;
    }
    (value, label)
}

/// akd 0.13.0 takes this proof. It would let a keyserver show a revoked device list as the newest one, under the very root
/// that holds the revocation.
#[tokio::test]
async fn an_absence_that_is_shown_higher_up_in_the_tree_is_none() {
    let log = Log::new().await;
    log.publish(&[("alice", entry(1, 0)), ("bob", entry(2, 0))]).await;
    let (old, _) = log.lookup("alice").await;
    let root = log.publish(&[("alice", entry(1, 1)), ("dave", entry(4, 1))]).await;
    let shown = ending_at_the_root(&log).await;

    // That alice was never there.
    let (bytes, proof) = log.absence_of("alice", VersionFreshness::Fresh, 1).await;
    let forged = looking_at_the_root(proof, &shown);
    let forged = types::NonMembershipProof::from(&forged).write_to_bytes().unwrap();
    let forged = [&bytes[..80], &forged].concat();
    assert_eq!(absent(&root, "alice", &forged), Err(BadProof::Elsewhere));

    // That alice's first entry is her newest.
    let (now, _) = log.lookup("alice").await;
    let azks = log.storage.get::<Azks>(&DEFAULT_AZKS_KEY).await.unwrap();
    let DbRecord::Azks(azks) = azks else { panic!() };
    let path = |place| azks.get_membership_proof::<Configuration, _>(&log.storage, place);
    let first = path(old.existence_proof.label).await.unwrap();
    let (_, stale) = log.absence_of("alice", VersionFreshness::Stale, 1).await;
    let vrf = HardCodedAkdVRF.get_label_proof::<Configuration>(&label("alice"), VersionFreshness::Stale, 1).await;
    let outdated = LookupProof {
        existence_proof: first.clone(),
        marker_proof: first,
        freshness_vrf_proof: vrf.unwrap().to_bytes().to_vec(),
        freshness_proof: looking_at_the_root(stale, &shown),
        ..old
    };
    assert_eq!(now.version, 2);
    let taken = lookup_verify::<Configuration>(&root.vrf_key, root.root, root.epoch, label("alice"), outdated.clone());
    assert!(taken.is_ok_and(|said| said.version == 1), "akd checks this by now: the check of ours may go");
    assert_eq!(present(&root, "alice", &encode_lookup(&outdated).unwrap()), Err(BadProof::Elsewhere));
}

#[tokio::test]
async fn a_history_has_all_that_was_said_lately_and_that_nothing_is_newer() {
    let log = Log::new().await;
    for version in 0..40 {
        let root = log.publish(&[("alice", entry(1, version)), ("bob", entry(2, version))]).await;
        let proof = log.history("alice").await;
        assert!(proof.len() < PROOF_BYTES_MAX);
        let said = history(&root, "alice", &proof).unwrap();
        assert_eq!(said.len(), HISTORY_VERSIONS_MAX.min(version as usize + 1));
        for (said, version) in said.iter().zip((0..=version).rev()) {
            assert_eq!((said.entry, said.version, said.epoch), (entry(1, version), version + 1, 2 * version + 2));
        }
        assert!(history(&root, "bob", &proof).is_err());
        let next = log.publish(&[("carol", entry(3, version))]).await;
        assert!(history(&next, "alice", &proof).is_err()); // of the epoch before
    }
}

#[tokio::test]
async fn a_proof_with_a_byte_changed_or_missing_proves_nothing_and_never_panics() {
    let log = Log::new().await;
    log.publish(&[("alice", entry(1, 0)), ("bob", entry(2, 0))]).await;
    let root = log.publish(&[("alice", entry(1, 1)), ("carol", entry(3, 0))]).await;
    let lookup = encode_lookup(&log.lookup("alice").await.0).unwrap();
    let (absence, history_proof) = (log.absence("nobody").await, log.history("alice").await);
    let (mut tried, mut same) = (0, 0);
    for flip in [0x01, 0x80, 0xFF] {
        for (kind, bytes) in [&lookup, &absence, &history_proof].into_iter().enumerate() {
            for place in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                let said = match kind {
                    0 => present(&root, "alice", &changed).is_ok_and(|said| said != entry(1, 1)),
                    1 => absent(&root, "alice", &changed).is_ok(),
                    _ => history(&root, "alice", &changed).is_ok_and(|said| said[0].entry != entry(1, 1)),
                };
                assert!(!said, "kind {kind}, byte {place}: something false was proven");
                tried += 1;
                same += usize::from(kind == 0 && present(&root, "alice", &changed).is_ok());
            }
        }
    }
    for length in 0..lookup.len() {
        assert!(present(&root, "alice", &lookup[..length]).is_err());
    }
    assert!(tried > 10_000, "{tried} changes tried, {same} of them changed nothing that is proven");
}

#[tokio::test]
async fn numbers_that_no_log_has_are_refused_before_they_are_reckoned_with() {
    let log = Log::new().await;
    let root = log.publish(&[("alice", entry(1, 0))]).await;
    let (proof, _) = log.lookup("alice").await;
    for version in [0, root.epoch + 1, u64::MAX] {
        let bytes = encode_lookup(&LookupProof { version, ..proof.clone() }).unwrap();
        assert_eq!(present(&root, "alice", &bytes), Err(BadProof::Range));
    }
    let far = SignedRoot { epoch: u64::MAX, ..root.clone() };
    assert_eq!(present(&far, "alice", &encode_lookup(&proof).unwrap()), Err(BadProof::Range));
    let none = SignedRoot { epoch: 0, ..root };
    assert_eq!(absent(&none, "bob", &log.absence("bob").await), Err(BadProof::Range));
}

#[test]
fn a_log_only_grows_and_says_one_thing() {
    let server = fingerprint_of(&key().verifying_key().to_bytes());
    let root = |epoch, root, at| SignedRoot::sign(epoch, [root; 32], UnixMillis(at), [7; 32], &key());
    let kept = root(5, 1, 0);
    assert_eq!(watch(server, None, &kept), Ok(Seen::Newer));
    assert_eq!(watch(server, Some(&kept), &kept), Ok(Seen::Same));
    assert_eq!(watch(server, Some(&kept), &root(6, 2, 0)), Ok(Seen::Newer));
    assert_eq!(watch(server, Some(&kept), &root(4, 1, 0)), Err(Alarm::SetBack { seen: 5, told: 4 }));
    assert_eq!(watch(server, Some(&kept), &root(5, 2, 0)), Err(Alarm::TwoRoots { epoch: 5 }));
    let other = SignedRoot::sign(6, [1; 32], UnixMillis(0), [8; 32], &key());
    assert_eq!(watch(server, Some(&kept), &other), Err(Alarm::OtherLog));
    let forged = SignedRoot { epoch: 9, ..kept.clone() };
    assert_eq!(watch(server, Some(&kept), &forged), Err(Alarm::Unsigned(BadRoot::Signature)));
}
