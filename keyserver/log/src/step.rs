//! Nothing was taken out of the log or changed from one epoch to the next: what auditors check, epoch by epoch from the
//! first, and what makes the other proofs worth anything.
//!
//! akd builds the tree before and after anew out of the proof, in memory, on tasks of its own. So the check is async, needs
//! a tokio runtime, and stands behind the feature `audit`: apps have neither.
//!
//! Spec: keyserver §7.7.

#[cfg(feature = "audit")]
use akd::auditor::verify_consecutive_append_only;
use akd_core::SingleAppendOnlyProof;
use akd_core::configuration::Configuration as _;
use akd_core::proto::specs::types;
#[cfg(feature = "audit")]
use hushwire_proto::log::SignedRoot;
use protobuf::Message as _;

use crate::{BadProof, Configuration};
#[cfg(feature = "audit")]
use crate::{EPOCH_MAX, wrong};

/// The root of the tree before the first epoch.
#[must_use]
pub fn root_of_nothing() -> [u8; 32] {
    Configuration::compute_root_hash_from_val(&Configuration::empty_root_value())
}

/// Checks that `after` is one epoch later than `before` (`None`: the log was empty) and only adds to it. The signatures of
/// the roots are checked apart from this.
///
/// # Errors
/// [`BadProof`].
#[cfg(feature = "audit")]
pub async fn follows(before: Option<&SignedRoot>, after: &SignedRoot, step: &[u8]) -> Result<(), BadProof> {
    let epoch_before = before.map_or(0, |root| root.epoch);
    let same_log = before.is_none_or(|root| root.vrf_key == after.vrf_key);
    if after.epoch > EPOCH_MAX || after.epoch.checked_sub(1) != Some(epoch_before) || !same_log {
        return Err(BadProof::Range);
    }
    let read = types::SingleAppendOnlyProof::parse_from_bytes(step).map_err(|_| BadProof::Encoding)?;
    let proof = SingleAppendOnlyProof::try_from(&read).map_err(|_| BadProof::Encoding)?;
    let start = before.map_or_else(root_of_nothing, |root| root.root);
    verify_consecutive_append_only::<Configuration>(&proof, start, after.root, after.epoch).await.map_err(wrong)
}

/// The bytes that `follows` reads. For keyservers.
///
/// # Errors
/// [`BadProof::Encoding`]: never for a proof of akd's.
pub fn encode_step(proof: &SingleAppendOnlyProof) -> Result<Vec<u8>, BadProof> {
    types::SingleAppendOnlyProof::from(proof).write_to_bytes().map_err(|_| BadProof::Encoding)
}
