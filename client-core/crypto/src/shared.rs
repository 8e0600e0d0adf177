//! A key that several hold: sealing under it, telling which key something was sealed under, and what else comes of it.
//!
//! Owns the bytes. Who holds a key, and who of them made something, is the engine's: everybody who can open can seal.
//!
//! ```text
//! sealed = nonce (12) ‖ hint (8) ‖ AES-256-GCM-SIV(K_seal, nonce, ad, plaintext)
//! hint   = HMAC-SHA256(K_hint, nonce)[..8]
//! ```
//!
//! Spec: envelope §7, §10.

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::kdf::{hkdf, hmac};

/// `nonce`.
const NONCE_BYTES: usize = 12;

/// `hint`. Of 2^64 keys one other fits; whoever has thousands asks them all in a moment.
const HINT_BYTES: usize = 8;

/// Bytes that sealing adds.
pub const SHARED_OVERHEAD: usize = NONCE_BYTES + HINT_BYTES + 16;

const LABEL_SEAL: &[u8] = b"hushwire/1 shared seal";
const LABEL_HINT: &[u8] = b"hushwire/1 shared hint";
const LABEL_DERIVE: &[u8] = b"hushwire/1 shared derive";

/// A key that several hold, for one purpose. Wiped on drop.
///
/// Spec: envelope §7, §10.
pub struct SharedKey {
    seal: Zeroizing<[u8; 32]>,
    mark: SharedMark,
    derive: Zeroizing<[u8; 32]>,
}

/// What tells that something was sealed under a key, and opens nothing. Wiped on drop.
#[derive(Clone)]
pub struct SharedMark(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// The key that a secret gives for a purpose: `HKDF(salt = purpose, secret, label)` for each of its parts.
    #[must_use]
    pub fn new(secret: &[u8; 32], purpose: &[u8]) -> Self {
        let part = |label| hkdf(Some(purpose), secret, label);
        Self { seal: part(LABEL_SEAL), mark: SharedMark(part(LABEL_HINT)), derive: part(LABEL_DERIVE) }
    }

    /// Seals `plaintext`, and vouches for `ad`. Draws 12 bytes. The length shows: pad before.
    #[must_use]
    pub fn seal(&self, ad: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let sealed =
            Aes256GcmSiv::new((&*self.seal).into()).encrypt((&nonce).into(), Payload { msg: plaintext, aad: ad });
        // It fails beyond 64 GiB only; what is empty opens nowhere.
        [&nonce[..], &self.mark.hint(&nonce)[..], &sealed.unwrap_or_default()[..]].concat()
    }

    /// What finds this key.
    #[must_use]
    pub fn mark(&self) -> SharedMark {
        self.mark.clone()
    }

    /// Opens what was sealed for the same `ad`. `None`: it was not, or was altered.
    #[must_use]
    pub fn open(&self, ad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if !self.mark.fits(sealed) {
            return None;
        }
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (_, ciphertext) = rest.split_first_chunk::<HINT_BYTES>()?;
        let payload = Payload { msg: ciphertext, aad: ad };
        Aes256GcmSiv::new((&*self.seal).into()).decrypt(nonce.into(), payload).ok().map(Zeroizing::new)
    }

    /// 32 bytes that everybody who holds the key can make, and nobody else.
    #[must_use]
    pub fn derive(&self, about: &[u8]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hmac(&*self.derive, &[about]))
    }
}

impl SharedMark {
    /// Whether something was sealed under this key, as far as its hint says.
    #[must_use]
    pub fn fits(&self, sealed: &[u8]) -> bool {
        let Some((nonce, rest)) = sealed.split_first_chunk::<NONCE_BYTES>() else { return false };
        let Some((hint, _)) = rest.split_first_chunk::<HINT_BYTES>() else { return false };
        bool::from(self.hint(nonce).ct_eq(hint))
    }

    fn hint(&self, nonce: &[u8; NONCE_BYTES]) -> [u8; HINT_BYTES] {
        let [a, b, c, d, e, f, g, h, ..] = hmac(&*self.0, &[nonce]);
        [a, b, c, d, e, f, g, h]
    }
}

impl std::fmt::Debug for SharedMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(_) = self;
        f.write_str("SharedMark(..)")
    }
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seal: _, mark: _, derive: _ } = self;
        f.write_str("SharedKey(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn what_is_sealed_opens_under_the_same_key_and_words_and_nowhere_else() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = SharedKey::new(&[7; 32], b"one");
        let sealed = key.seal(b"to us", b"hello", &mut rng);
        assert_eq!(sealed.len(), 5 + SHARED_OVERHEAD);
        assert!(key.mark().fits(&sealed));
        assert_eq!(key.open(b"to us", &sealed).unwrap().as_slice(), b"hello");
        assert!(key.open(b"to them", &sealed).is_none());
        for other in [SharedKey::new(&[7; 32], b"two"), SharedKey::new(&[8; 32], b"one")] {
            assert!(!other.mark().fits(&sealed) && other.open(b"to us", &sealed).is_none());
            assert_ne!(*other.derive(b"x"), *key.derive(b"x"));
        }
    }

    #[test]
    fn whatever_is_cut_or_altered_does_not_open() {
        let mut rng = StdRng::seed_from_u64(2);
        let key = SharedKey::new(&[7; 32], b"one");
        let sealed = key.seal(b"", b"hello", &mut rng);
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            if let Some(byte) = altered.get_mut(place) {
                *byte ^= 1;
            }
            assert!(key.open(b"", &altered).is_none(), "byte {place}");
            assert!(key.open(b"", sealed.get(..place).unwrap()).is_none(), "cut at {place}");
        }
    }
}
