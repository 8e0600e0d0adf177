//! The authenticator: ties every ML-KEM key and ciphertext to the secrets of all epochs before, PQXDH's first of all.
//!
//! Spec: signal-wire §4.5.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    SpqrError,
    secret::Secret,
    stored::{Reader, Writer},
};
use crate::kdf;

/// The size of both MACs.
pub(super) const MAC_BYTES: usize = 32;

const UPDATE: &[u8] = b"Signal_PQCKA_V1_MLKEM768:Authenticator Update";
const HEADER: &[u8] = b"Signal_PQCKA_V1_MLKEM768:ekheader";
const CIPHERTEXT: &[u8] = b"Signal_PQCKA_V1_MLKEM768:ciphertext";
const EPOCH_SECRET: &[u8] = b"Signal_PQCKA_V1_MLKEM768:SCKA Key";

/// `(root, mac)`.
#[derive(Clone)]
pub(super) struct Authenticator {
    root: Secret,
    mac: Secret,
}

impl Authenticator {
    /// The state of epoch 1: `update(1, PQK)` of a zero root.
    ///
    /// Spec: signal-wire §4.5.
    pub(super) fn start(auth_key: &[u8; 32]) -> Self {
        Self::derive(&[0; 32], 1, auth_key)
    }

    /// `X = HKDF(0^32, root ‖ k, "…:Authenticator Update" ‖ BE64(e), 64)`; root and MAC key are its halves.
    ///
    /// Spec: signal-wire §4.5.
    pub(super) fn update(self, epoch: u64, key: &Secret) -> Self {
        Self::derive(self.root.as_bytes(), epoch, key.as_bytes())
    }

    /// `HMAC(mac, "…:ekheader" ‖ BE64(e) ‖ hdr)`.
    ///
    /// Spec: signal-wire §4.5.
    pub(super) fn header_mac(&self, epoch: u64, header: &[u8; 64]) -> [u8; MAC_BYTES] {
        let epoch = epoch.to_be_bytes();
        kdf::hmac(self.mac.as_bytes(), &[HEADER, &epoch, header])
    }

    /// `HMAC(mac, "…:ciphertext" ‖ BE64(e) ‖ ct1 ‖ ct2)`.
    ///
    /// Spec: signal-wire §4.5.
    pub(super) fn ciphertext_mac(&self, epoch: u64, ct1: &[u8; 960], ct2: &[u8; 128]) -> [u8; MAC_BYTES] {
        let epoch = epoch.to_be_bytes();
        kdf::hmac(self.mac.as_bytes(), &[CIPHERTEXT, &epoch, ct1, ct2])
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.bytes(self.root.as_bytes());
        out.bytes(self.mac.as_bytes());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        Ok(Self { root: from.secret()?, mac: from.secret()? })
    }

    fn derive(root: &[u8; 32], epoch: u64, key: &[u8; 32]) -> Self {
        let ikm = Zeroizing::new([*root, *key]);
        let info = [UPDATE, &epoch.to_be_bytes()].concat();
        let [root, mac] = Secret::split(&kdf::hkdf::<64>(None, ikm.as_flattened(), &info));
        Self { root, mac }
    }
}

/// `ES(e) = HKDF(0^32, K, "…:SCKA Key" ‖ BE64(e), 32)` of the ML-KEM shared secret K.
///
/// Spec: signal-wire §4.5.
pub(super) fn epoch_secret(epoch: u64, shared: &Secret) -> Secret {
    let info = [EPOCH_SECRET, &epoch.to_be_bytes()].concat();
    Secret::new(&kdf::hkdf(None, shared.as_bytes(), &info))
}

/// Compares MACs in constant time.
///
/// # Errors
/// `Forged` if they differ.
pub(super) fn check(ours: &[u8; MAC_BYTES], theirs: &[u8; MAC_BYTES]) -> Result<(), SpqrError> {
    if bool::from(ours.ct_eq(theirs)) { Ok(()) } else { Err(SpqrError::Forged) }
}
