//! What a keyserver can say of its log: proofs that a handle stands for an account, that it never was, what was said of it,
//! and that nothing was taken back; honest ones with changes, for another handle or another root, and any bytes.
//!
//! Spec: keyserver §7.

use std::sync::LazyLock;

use akd::append_only_zks::DEFAULT_AZKS_KEY;
use akd::ecvrf::{HardCodedAkdVRF, VRFKeyStorage as _};
use akd::storage::StorageManager;
use akd::storage::memory::AsyncInMemoryDatabase;
use akd::storage::types::DbRecord;
use akd::{AkdValue, Azks, AzksParallelismConfig, Directory, HistoryParams, VersionFreshness};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hushwire_log::{
    Configuration, Said, absent, encode_absence, encode_history, encode_lookup, encode_step, follows, history, label,
    present,
};
use hushwire_proto::ids::{AccountId, LinkHash, UnixMillis};
use hushwire_proto::limits::HISTORY_VERSIONS_MAX;
use hushwire_proto::log::{Entry, SignedRoot, fingerprint_of};

use crate::edit::edited;
use crate::input::Input;

/// The first four come into the log, the others never.
const NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "nobody", "no-one"];

/// Epochs after the first, in each of which some of them have something new.
const EPOCHS: u64 = 8;

/// Everything honest that is said of the log at each of its epochs.
static LOG: LazyLock<Vec<Epoch>> = LazyLock::new(|| running(written()));

struct Epoch {
    root: SignedRoot,
    /// What each name stands for, newest first.
    said: [Vec<Said>; NAMES.len()],
    lookups: [Option<Vec<u8>>; NAMES.len()],
    histories: [Option<Vec<u8>>; NAMES.len()],
    absences: [Option<Vec<u8>>; NAMES.len()],
    step: Vec<u8>,
}

/// The first bytes say which proof, of what, and for what it is held; then come the changes, or bytes of one's own.
pub fn proofs(data: &[u8]) {
    let mut input = Input::new(data);
    let (Some(what), Some(from), Some(at)) = (input.byte(), input.pick(LOG.len()), input.pick(LOG.len())) else {
        return;
    };
    let (Some(of), Some(asked)) = (input.pick(NAMES.len()), input.pick(NAMES.len())) else { return };
    let (from, at) = (&LOG[from], &LOG[at]);
    let honest = match what % 4 {
        0 => from.lookups[of].as_ref(),
        1 => from.absences[of].as_ref(),
        2 => from.histories[of].as_ref(),
        _ => Some(&from.step),
    };
    let proof = match honest.filter(|_| what & 0x80 == 0) {
        Some(honest) => edited(honest, &mut input),
        None => input.rest().to_vec(),
    };
    signed(&at.root, &mut input);
    match what % 4 {
        0 => {
            if let Ok(entry) = present(&at.root, NAMES[asked], &proof) {
                assert_eq!(at.said[asked].first().map(|said| said.entry), Some(entry), "another entry was proven");
            }
        }
        1 => {
            if absent(&at.root, NAMES[asked], &proof).is_ok() {
                assert!(at.said[asked].is_empty(), "{} was proven absent and is there", NAMES[asked]);
            }
        }
        2 => {
            if let Ok(said) = history(&at.root, NAMES[asked], &proof) {
                assert_eq!(said, at.said[asked], "another history was proven");
            }
        }
        _ => {
            let before = LOG.get(asked).map(|epoch| &epoch.root);
            if running(follows(before, &at.root, &proof)).is_ok() {
                assert_eq!(before.map(|before| before.epoch + 1), Some(at.root.epoch));
            }
        }
    }
    let is_honest = honest.is_some_and(|honest| *honest == proof);
    if is_honest && std::ptr::eq(from, at) && of == asked {
        let holds = match what % 4 {
            0 => present(&at.root, NAMES[of], &proof).is_ok(),
            1 => absent(&at.root, NAMES[of], &proof).is_ok(),
            2 => history(&at.root, NAMES[of], &proof).is_ok(),
            _ => true,
        };
        assert!(holds, "an honest proof was refused");
    }
}

/// A root that was changed is not believed.
fn signed(root: &SignedRoot, input: &mut Input<'_>) {
    let server = fingerprint_of(&root.key);
    let changed = SignedRoot::parse(&Bytes::from(edited(&root.encode(), input)));
    if let Ok(changed) = changed {
        assert_eq!(changed.verify(server).is_ok(), changed == *root, "a root that nobody signed is believed");
    }
}

fn running<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Writes the log, and asks it everything at each epoch.
async fn written() -> Vec<Epoch> {
    let storage = StorageManager::new_no_cache(AsyncInMemoryDatabase::new());
    let log: Directory<Configuration, _, _> =
        Directory::new(storage.clone(), HardCodedAkdVRF, AzksParallelismConfig::disabled()).await.expect("a log");
    let key = SigningKey::from_bytes(&[1; 32]);
    let vrf_key = HardCodedAkdVRF.get_vrf_public_key().await.expect("a key").to_bytes();
    let mut said: [Vec<Said>; NAMES.len()] = Default::default();
    let mut epochs = Vec::new();
    let nobody = Entry { account: AccountId([0; 32]), head: LinkHash([0; 32]), version: 0 };
    for epoch in 1..=EPOCHS + 1 {
        let mut updates = vec![];
        if epoch == 1 {
            updates.push((label(""), AkdValue(nobody.to_bytes())));
        }
        for ((number, said), account) in said.iter_mut().enumerate().take(4).zip(1..) {
            // The first in each epoch, the second in every second, and so on.
            if epoch > 1 && epoch % (number as u64 + 1) == 0 {
                let (version, head) = (said.len() as u64, u8::try_from(said.len()).unwrap_or(u8::MAX));
                let (account, head) = (AccountId([account; 32]), LinkHash([head; 32]));
                let entry = Entry { account, head, version };
                updates.push((label(NAMES[number]), AkdValue(entry.to_bytes())));
                said.insert(0, Said { entry, epoch, version: version + 1 });
            }
        }
        let at = log.publish(updates).await.expect("an epoch");
        let root = SignedRoot::sign(at.0, at.1, UnixMillis(at.0), vrf_key, &key);
        let mut asked = Epoch {
            root,
            said: said.clone(),
            lookups: Default::default(),
            histories: Default::default(),
            absences: Default::default(),
            step: Vec::new(),
        };
        let DbRecord::Azks(azks) = storage.get::<Azks>(&DEFAULT_AZKS_KEY).await.expect("a tree") else { continue };
        for (number, name) in NAMES.into_iter().enumerate() {
            let name = label(name);
            if said[number].is_empty() {
                let vrf = HardCodedAkdVRF.get_label_proof::<Configuration>(&name, VersionFreshness::Fresh, 1).await;
                let place = HardCodedAkdVRF.get_node_label::<Configuration>(&name, VersionFreshness::Fresh, 1).await;
                let place = place.expect("a place");
                let absence = azks.get_non_membership_proof::<Configuration, _>(&storage, place).await;
                let proof = encode_absence(&vrf.expect("a proof"), &absence.expect("an absence"));
                asked.absences[number] = Some(proof.expect("bytes"));
            } else {
                let proof = log.lookup(name.clone()).await.expect("a lookup").0;
                asked.lookups[number] = Some(encode_lookup(&proof).expect("bytes"));
                let params = HistoryParams::MostRecent(HISTORY_VERSIONS_MAX);
                let proof = log.key_history(&name, params).await.expect("a history").0;
                asked.histories[number] = Some(encode_history(&proof).expect("bytes"));
            }
        }
        if epoch > 1 {
            let step = log.audit(epoch - 1, epoch).await.expect("a step").proofs.remove(0);
            asked.step = encode_step(&step).expect("bytes");
        }
        epochs.push(asked);
    }
    epochs
}
