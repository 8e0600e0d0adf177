//! XEdDSA as Signal does it: signatures under the Curve25519 keys that also agree.
//!
//! Owns signing and verifying of bytes. What is signed, and under which label, is the caller's.
//!
//! Spec: signal-wire §1.4.

use curve25519_dalek::{EdwardsPoint, MontgomeryPoint, Scalar};
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::curve::{IdentityKeyPair, KeyPair, PrivateKey, PublicKey};
use crate::kdf::deal;
use crate::swept::swept;

/// What goes before the private key in the hash that gives the nonce: no point has this encoding.
const NONCE_LABEL: [u8; 32] = {
    let mut label = [0xFF; 32];
    label[0] = 0xFE;
    label
};

/// The sign of the public Edwards point, kept in the signature's last bit.
const SIGN_BIT: u8 = 0x80;

/// Bits that no sum below 2^253 has.
const UNUSED_BITS: u8 = 0x60;

impl IdentityKeyPair {
    /// `R ‖ s` over the concatenation of `parts`. Draws 64 bytes.
    ///
    /// Parts are not separated: a caller whose parts vary in length writes the lengths into them.
    /// Spec: signal-wire §1.4.
    pub fn sign(&self, parts: &[&[u8]], rng: &mut impl CryptoRng) -> [u8; 64] {
        swept(|| sign(self.private(), parts, rng))
    }
}

impl KeyPair {
    /// `R ‖ s` over the concatenation of `parts`, see [`IdentityKeyPair::sign`]. Draws 64 bytes.
    ///
    /// Spec: signal-wire §1.4.
    pub fn sign(&self, parts: &[&[u8]], rng: &mut impl CryptoRng) -> [u8; 64] {
        swept(|| sign(self.private(), parts, rng))
    }
}

impl PublicKey {
    /// Whether `signature` over the concatenation of `parts` was made with this key.
    ///
    /// Strict as the official library is, and no stricter: R must be canonical, s need not be below L, small-order keys
    /// are not refused here. Spec: signal-wire §1.4.
    pub fn verify(&self, parts: &[&[u8]], signature: &[u8; 64]) -> bool {
        let mut r = [0; 32];
        let mut s = [0; 32];
        deal(signature, &mut [&mut r, &mut s]);
        let [.., last] = &mut s;
        let sign = *last >> 7;
        *last &= !SIGN_BIT;
        if *last & UNUSED_BITS != 0 {
            return false;
        }
        let Some(a) = MontgomeryPoint(*self.as_bytes()).to_edwards(sign) else {
            return false;
        };
        let h = scalar_of(&[&r, &a.compress().0], parts);
        let s = Scalar::from_bytes_mod_order(s);
        // R' = s·B − h·A
        let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&h, &-a, &s).compress();
        expected.0.ct_eq(&r).into()
    }
}

fn sign(private: &PrivateKey, parts: &[&[u8]], rng: &mut impl CryptoRng) -> [u8; 64] {
    let mut a = Scalar::from_bytes_mod_order(*private.as_bytes());
    let public = EdwardsPoint::mul_base(&a).compress().0;
    let mut random = Zeroizing::new([0; 64]);
    rng.fill_bytes(random.as_mut_slice());

    let mut nonce = {
        let hash = Sha512::new().chain_update(NONCE_LABEL).chain_update(private.as_bytes());
        scalar_of_hash(parts.iter().fold(hash, |hash, part| hash.chain_update(part)).chain_update(*random))
    };
    let r = EdwardsPoint::mul_base(&nonce).compress().0;
    let h = scalar_of(&[&r, &public], parts);
    let s = (nonce + h * a).to_bytes();
    a.zeroize();
    nonce.zeroize();

    let mut signature = [0; 64];
    for (to, byte) in signature.iter_mut().zip(r.into_iter().chain(s)) {
        *to = byte;
    }
    let ([.., last], [.., top]) = (&mut signature, &public);
    *last = (*last & !SIGN_BIT) | (*top & SIGN_BIT);
    signature
}

/// `SHA-512(head ‖ parts) mod L`.
fn scalar_of(head: &[&[u8; 32]; 2], parts: &[&[u8]]) -> Scalar {
    let hash = head.iter().fold(Sha512::new(), |hash, part| hash.chain_update(part));
    scalar_of_hash(parts.iter().fold(hash, |hash, part| hash.chain_update(part)))
}

fn scalar_of_hash(hash: Sha512) -> Scalar {
    let wide = Zeroizing::new(<[u8; 64]>::from(hash.finalize()));
    Scalar::from_bytes_mod_order_wide(&wide)
}
