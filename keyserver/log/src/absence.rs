//! Nobody ever had this handle.
//!
//! akd proves absence only inside its other proofs: that a version is not superseded, that none follows. For a handle that
//! was never there it has no proof of its own, so this one is put together from its parts: the place of the handle's first
//! version, by the keyserver's VRF, and that the tree has nothing there. A handle's first version is never taken out of the
//! tree, so where it is missing there never was a handle.
//!
//! The check that the tree has nothing in a place is stricter here than akd's. A proof of absence shows the node where the
//! way to the place ends, and its two children. akd 0.13.0 checks that neither child *is* the place, and does not check that
//! the way does not go on through one of them; so with any node further up, the root for example, it takes a proof of
//! absence for what is there. [`strictly_absent`] checks it, for akd's own proofs too.
//!
//! Spec: keyserver §7.4.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use akd_core::configuration::Configuration as _;
use akd_core::ecvrf::{Proof, VRFKeyStorage, VRFPublicKey, VrfError};
use akd_core::hash::Digest;
use akd_core::proto::specs::types;
use akd_core::{AzksValue, Direction, MembershipProof, NodeLabel, NonMembershipProof, VersionFreshness};
use async_trait::async_trait;
use hushwire_proto::log::SignedRoot;
use protobuf::Message as _;

use crate::{BadProof, Configuration, in_range, label, wrong};

/// Bytes of a VRF proof. RFC 9381 §5.5.
const VRF_PROOF_LEN: usize = 80;

/// Checks that the log has nothing of this handle at this root. The root's signature is checked apart from this.
///
/// # Errors
/// [`BadProof`].
pub fn absent(root: &SignedRoot, handle_name: &str, proof: &[u8]) -> Result<(), BadProof> {
    in_range(root, 1)?;
    let (vrf_proof, rest) = proof.split_at_checked(VRF_PROOF_LEN).ok_or(BadProof::Encoding)?;
    let read = types::NonMembershipProof::parse_from_bytes(rest).map_err(|_| BadProof::Encoding)?;
    let absence = NonMembershipProof::try_from(&read).map_err(|_| BadProof::Encoding)?;
    if absence.label != place(&root.vrf_key, handle_name, vrf_proof)? {
        return Err(BadProof::Elsewhere);
    }
    strictly_absent(&absence)?;
    leads_to(root.root, &absence)
}

/// The bytes that [`absent`] reads. For keyservers.
///
/// # Errors
/// [`BadProof::Encoding`]: never for a proof of akd's.
pub fn encode_absence(vrf_proof: &Proof, absence: &NonMembershipProof) -> Result<Vec<u8>, BadProof> {
    let rest = types::NonMembershipProof::from(absence).write_to_bytes().map_err(|_| BadProof::Encoding)?;
    Ok([&vrf_proof.to_bytes()[..], &rest].concat())
}

/// The way to the place ends at the node that is shown: it goes on through neither child.
pub(crate) fn strictly_absent(proof: &NonMembershipProof) -> Result<(), BadProof> {
    let ends_here = proof.longest_prefix.is_prefix_of(&proof.label)
        && proof
            .longest_prefix_children
            .iter()
            .all(|child| is_nothing(&child.label) || !child.label.is_prefix_of(&proof.label));
    if ends_here { Ok(()) } else { Err(BadProof::Elsewhere) }
}

/// What stands for a child that is not there, at a root of which one half is empty.
fn is_nothing(child: &NodeLabel) -> bool {
    *child == Configuration::empty_label()
}

/// The place of the first version of a handle, if the proof is by the log's VRF key.
fn place(vrf_key: &[u8; 32], handle_name: &str, vrf_proof: &[u8]) -> Result<NodeLabel, BadProof> {
    let key = VRFPublicKey::try_from(&vrf_key[..]).map_err(wrong)?;
    let proof = Proof::try_from(vrf_proof).map_err(wrong)?;
    let asked = Configuration::get_hash_from_label_input(&label(handle_name), VersionFreshness::Fresh, 1);
    key.verify(&proof, &asked).map_err(wrong)?;
    ready(NoKey.get_node_label_from_vrf_proof(proof)).ok_or(BadProof::Encoding)
}

/// akd gives the output of a VRF proof only by this trait, and needs no key for it.
#[derive(Clone)]
struct NoKey;

#[async_trait]
impl VRFKeyStorage for NoKey {
    async fn retrieve(&self) -> Result<Vec<u8>, VrfError> {
        Err(VrfError::SigningKey("there is none".to_owned()))
    }
}

/// The value of a future that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// The node that is shown is the one above its two children, and is in the tree.
fn leads_to(root: Digest, proof: &NonMembershipProof) -> Result<(), BadProof> {
    let [left, right] = &proof.longest_prefix_children;
    let common = match left.label.get_longest_common_prefix::<Configuration>(right.label) {
        common if is_nothing(&common) => NodeLabel::root(),
        common => common,
    };
    let above = hash_above((&left.value, &left.label), (&right.value, &right.label));
    let shown = &proof.longest_prefix_membership_proof;
    let fits = common == proof.longest_prefix && common == shown.label && above == shown.hash_val;
    if fits && root_above(shown) == root {
        Ok(())
    } else {
        Err(BadProof::Wrong("the place where something is missing".to_owned()))
    }
}

fn root_above(proof: &MembershipProof) -> Digest {
    let (mut value, mut label) = (proof.hash_val, proof.label);
    for step in proof.sibling_proofs.iter().rev() {
        let [sibling] = &step.siblings;
        let (mine, theirs) = ((&value, &label), (&sibling.value, &sibling.label));
        value = match step.direction {
            Direction::Left => hash_above(mine, theirs),
            Direction::Right => hash_above(theirs, mine),
        };
        label = step.label;
    }
    Configuration::compute_root_hash_from_val(&value)
}

fn hash_above(left: (&AzksValue, &NodeLabel), right: (&AzksValue, &NodeLabel)) -> AzksValue {
    let (left_label, right_label) = (left.1.value::<Configuration>(), right.1.value::<Configuration>());
    Configuration::compute_parent_hash_from_children(left.0, &left_label, right.0, &right_label)
}
