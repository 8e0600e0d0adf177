//! All that was said of a handle lately, and that nothing newer was.
//!
//! Spec: keyserver §7.5.

use akd_core::HistoryProof;
use akd_core::proto::specs::types;
use akd_core::verify::history::{HistoryParams, HistoryVerificationParams};
use akd_core::verify::key_history_verify;
use hushwire_proto::limits::HISTORY_VERSIONS_MAX;
use hushwire_proto::log::{Entry, SignedRoot};
use protobuf::Message as _;

use crate::absence::strictly_absent;
use crate::{BadProof, Configuration, in_range, label, wrong};

/// Something that the log said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// What.
    pub entry: Entry,
    /// The first epoch in which it stood.
    pub epoch: u64,
    /// Its number among all that was said of the handle, from 1.
    pub version: u64,
}

/// What the log has said of this handle until this root, newest first: everything, or the last
/// [`HISTORY_VERSIONS_MAX`]. The root's signature is checked apart from this.
///
/// # Errors
/// [`BadProof`].
pub fn history(root: &SignedRoot, handle_name: &str, proof: &[u8]) -> Result<Vec<Said>, BadProof> {
    let read = types::HistoryProof::parse_from_bytes(proof).map_err(|_| BadProof::Encoding)?;
    let proof = HistoryProof::try_from(&read).map_err(|_| BadProof::Encoding)?;
    for update in &proof.update_proofs {
        in_range(root, update.version)?;
    }
    for absence in &proof.non_existence_of_future_marker_proofs {
        strictly_absent(absence)?;
    }
    let history_params = HistoryParams::MostRecent(HISTORY_VERSIONS_MAX);
    let params = HistoryVerificationParams::Default { history_params };
    let label = label(handle_name);
    let said = key_history_verify::<Configuration>(&root.vrf_key, root.root, root.epoch, label, proof, params);
    let said = said.map_err(wrong)?.into_iter().map(|said| {
        let entry = Entry::from_slice(&said.value).ok_or(BadProof::Encoding)?;
        Ok(Said { entry, epoch: said.epoch, version: said.version })
    });
    said.collect()
}

/// The bytes that [`history`] reads. For keyservers.
///
/// # Errors
/// [`BadProof::Encoding`]: never for a proof of akd's.
pub fn encode_history(proof: &HistoryProof) -> Result<Vec<u8>, BadProof> {
    types::HistoryProof::from(proof).write_to_bytes().map_err(|_| BadProof::Encoding)
}
