//! A handle stands for this account, and the newest link of its chain is this one.
//!
//! Spec: keyserver §7.3.

use akd_core::LookupProof;
use akd_core::proto::specs::types;
use akd_core::verify::lookup_verify;
use hushwire_proto::log::{Entry, SignedRoot};
use protobuf::Message as _;

use crate::absence::strictly_absent;
use crate::{BadProof, Configuration, in_range, label, wrong};

/// What the log says of this handle at this root. The root's signature is checked apart from this.
///
/// # Errors
/// [`BadProof`].
pub fn present(root: &SignedRoot, handle_name: &str, proof: &[u8]) -> Result<Entry, BadProof> {
    let read = types::LookupProof::parse_from_bytes(proof).map_err(|_| BadProof::Encoding)?;
    let proof = LookupProof::try_from(&read).map_err(|_| BadProof::Encoding)?;
    in_range(root, proof.version)?;
    strictly_absent(&proof.freshness_proof)?;
    let said = lookup_verify::<Configuration>(&root.vrf_key, root.root, root.epoch, label(handle_name), proof);
    Entry::from_slice(&said.map_err(wrong)?.value).ok_or(BadProof::Encoding)
}

/// The bytes that [`present`] reads. For keyservers.
///
/// # Errors
/// [`BadProof::Encoding`]: never for a proof of akd's.
pub fn encode_lookup(proof: &LookupProof) -> Result<Vec<u8>, BadProof> {
    types::LookupProof::from(proof).write_to_bytes().map_err(|_| BadProof::Encoding)
}
