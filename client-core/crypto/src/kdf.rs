//! HKDF and HMAC, both with SHA-256: the only two ways in which this crate turns secrets into other secrets.
//!
//! The labels stay with the steps that use them (`pqxdh`, `chain`, `double_ratchet`, `spqr`, `sealed`).
//!
//! Spec: signal-wire §1.1.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The most that HKDF-SHA-256 can give: 255 blocks of 32 bytes (RFC 5869 §2.3).
const HKDF_BYTES_MAX: usize = 255 * 32;

/// `HKDF(salt, ikm, info, N)`. No salt equals a salt of 32 zero bytes.
///
/// Spec: signal-wire §1.1.
#[allow(clippy::expect_used, reason = "the length, its only error, is checked at compile time")]
pub(crate) fn hkdf<const N: usize>(salt: Option<&[u8]>, ikm: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= HKDF_BYTES_MAX) };
    let mut out = Zeroizing::new([0; N]);
    hkdf::Hkdf::<Sha256>::new(salt, ikm)
        .expand(info, out.as_mut_slice())
        .expect("the length was checked when this was compiled");
    out
}

/// `HMAC(key, parts[0] ‖ parts[1] ‖ …)`, 32 bytes.
///
/// Spec: signal-wire §1.1.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    parts.iter().fold(keyed(key), |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

/// Deals `from` out to `places`, in order. Their lengths add up to `N`.
pub(crate) fn deal<const N: usize>(from: &[u8; N], places: &mut [&mut [u8]]) {
    debug_assert_eq!(places.iter().map(|place| place.len()).sum::<usize>(), N);
    let bytes = places.iter_mut().flat_map(|place| place.iter_mut());
    for (to, byte) in bytes.zip(from) {
        *to = *byte;
    }
}

#[allow(clippy::expect_used, reason = "HMAC takes keys of any length, RFC 2104 §2")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}
