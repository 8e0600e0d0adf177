//! Short notes between two who share a key, each by itself: no ratchet, no order, no state, so that any may be lost. Not
//! Signal's: what it protects is worth nothing a minute later.
//!
//! Owns the sealing, and the mark by which a reader finds the key. Leaves to the engine who has which key, what is said, and
//! what is too old.
//!
//! Whoever has the key reads every note that was ever sealed with it: there is no forward secrecy here.

use std::fmt;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::kdf::{deal, hkdf, hmac};

/// The first byte. No seal begins with it.
const VERSION: u8 = 0x31;

const NONCE_BYTES: usize = 12;

/// Enough that one of ten thousand keys is taken for another once in 10^15 notes; the tag decides.
const HINT_BYTES: usize = 8;

const TAG_BYTES: usize = 16;

/// Bytes of a note beside what it says.
pub const OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + HINT_BYTES + TAG_BYTES;

const LABEL: &[u8] = b"Hushwire whisper 1";

/// A key for notes in one direction. 32 random bytes, wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct WhisperKey([u8; 32]);

/// What finds a key, and opens nothing. 32 bytes, wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct WhisperMark([u8; 32]);

impl WhisperKey {
    /// A new key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// Exactly 32 bytes, or nothing.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The secret bytes, for the peer and the store.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What finds this key.
    #[must_use]
    pub fn mark(&self) -> WhisperMark {
        self.keys().1
    }

    /// `0x31 ‖ nonce (12) ‖ hint (8) ‖ AES-256-GCM-SIV(K, nonce, said, 0x31 ‖ hint ‖ about)`, with `hint` the first bytes of
    /// `HMAC(M, nonce)` and `K ‖ M = HKDF(–, key, "Hushwire whisper 1", 64)`. Draws 12 bytes; a nonce that comes twice tells
    /// that the same was said twice, and nothing more.
    #[allow(clippy::expect_used, reason = "its only error is a text of 64 GiB")]
    pub fn seal(&self, said: &[u8], about: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let (cipher, mark) = self.keys();
        let hint = mark.hint(&nonce);
        let payload = Payload { msg: said, aad: &bound(&hint, about) };
        let sealed = cipher.encrypt(&nonce.into(), payload).expect("far shorter than the cipher's limit");
        [&[VERSION][..], &nonce, &hint, &sealed].concat()
    }

    /// What was said about just that; nothing if any of it is otherwise.
    #[must_use]
    pub fn open(&self, note: &[u8], about: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, hint, sealed) = parts(note)?;
        let payload = Payload { msg: sealed, aad: &bound(hint, about) };
        self.keys().0.decrypt(&(*nonce).into(), payload).map(Zeroizing::new).ok()
    }

    fn keys(&self) -> (Aes256GcmSiv, WhisperMark) {
        let both = hkdf::<64>(None, &self.0, LABEL);
        let (mut key, mut mark) = (Zeroizing::new([0; 32]), WhisperMark([0; 32]));
        deal(&both, &mut [&mut key[..], &mut mark.0]);
        let key: &[u8; 32] = &key;
        (Aes256GcmSiv::new(key.into()), mark)
    }
}

impl WhisperMark {
    /// Whether a note is sealed with this key, as far as can be seen without it.
    #[must_use]
    pub fn fits(&self, note: &[u8]) -> bool {
        parts(note).is_some_and(|(nonce, hint, _)| self.hint(nonce).ct_eq(hint).into())
    }

    fn hint(&self, nonce: &[u8; NONCE_BYTES]) -> [u8; HINT_BYTES] {
        let [a, b, c, d, e, f, g, h, ..] = hmac(&self.0, &[nonce]);
        [a, b, c, d, e, f, g, h]
    }
}

fn bound(hint: &[u8; HINT_BYTES], about: &[u8]) -> Vec<u8> {
    [&[VERSION][..], hint, about].concat()
}

fn parts(note: &[u8]) -> Option<(&[u8; NONCE_BYTES], &[u8; HINT_BYTES], &[u8])> {
    let (version, rest) = note.split_first()?;
    let (nonce, rest) = rest.split_first_chunk()?;
    let (hint, sealed) = rest.split_first_chunk()?;
    (*version == VERSION).then_some((nonce, hint, sealed))
}

impl PartialEq for WhisperKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for WhisperKey {}

impl fmt::Debug for WhisperKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("WhisperKey(..)")
    }
}

impl fmt::Debug for WhisperMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("WhisperMark(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_note_is_opened_by_its_key_for_what_it_is_about_and_by_nothing_else() {
        let mut rng = StdRng::seed_from_u64(1);
        let (key, other) = (WhisperKey::generate(&mut rng), WhisperKey::generate(&mut rng));
        let note = key.seal(b"typing", b"alice to bob", &mut rng);
        assert_eq!(note.len(), b"typing".len() + OVERHEAD_BYTES);
        assert_eq!(*key.open(&note, b"alice to bob").unwrap(), b"typing");
        assert!(key.open(&note, b"bob to alice").is_none() && other.open(&note, b"alice to bob").is_none());
        assert!(key.mark().fits(&note) && !other.mark().fits(&note));
        for place in 0..note.len() {
            let mut altered = note.clone();
            *altered.get_mut(place).unwrap() ^= 0x10;
            assert!(key.open(&altered, b"alice to bob").is_none(), "byte {place}");
        }
        for length in 0..note.len() {
            assert!(key.open(&note[..length], b"alice to bob").is_none(), "{length} bytes");
        }
    }

    #[test]
    fn the_same_note_is_never_sealed_alike_and_shows_no_key() {
        let mut rng = StdRng::seed_from_u64(2);
        let key = WhisperKey::generate(&mut rng);
        let (one, two) = (key.seal(b"typing", b"", &mut rng), key.seal(b"typing", b"", &mut rng));
        // But for the first byte no place is the same by more than chance.
        let same = one.iter().zip(&two).skip(1).filter(|(a, b)| a == b).count();
        assert!(same <= 4, "{same}");
        assert_eq!(format!("{key:?} {:?}", key.mark()), "WhisperKey(..) WhisperMark(..)");
    }
}
