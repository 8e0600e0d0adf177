//! Short notes between two who share a key, each by itself: no ratchet, no order, no state, so that any may be lost. Not
//! Signal's: what it protects is worth nothing a minute later.
//!
//! Owns what a note is; the sealing is that of keys that several hold (`shared`). Leaves to the engine who has which key, what is said, and
//! what is too old.
//!
//! Whoever has the key reads every note that was ever sealed with it: there is no forward secrecy here.

use std::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::shared::{SHARED_OVERHEAD, SharedKey, SharedMark};

/// The first byte. No seal begins with it.
const VERSION: u8 = 0x31;

/// Bytes of a note beside what it says.
pub const OVERHEAD_BYTES: usize = 1 + SHARED_OVERHEAD;

const PURPOSE: &[u8] = b"hushwire/1 whisper";

/// A key for notes in one direction. 32 random bytes, wiped on drop.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct WhisperKey([u8; 32]);

/// What finds a key, and opens nothing. Wiped on drop.
pub struct WhisperMark(SharedMark);

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
        WhisperMark(self.key().mark())
    }

    /// `0x31 ‖ sealed` under the shared key of this secret and the purpose `hushwire/1 whisper`, with `ad = 0x31 ‖ about`.
    /// Draws 12 bytes; a nonce that comes twice tells that the same was said twice, and nothing more.
    #[must_use]
    pub fn seal(&self, said: &[u8], about: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        [&[VERSION][..], &self.key().seal(&bound(about), said, rng)].concat()
    }

    /// What was said about just that; nothing if any of it is otherwise.
    #[must_use]
    pub fn open(&self, note: &[u8], about: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.key().open(&bound(about), sealed(note)?)
    }

    fn key(&self) -> SharedKey {
        SharedKey::new(&self.0, PURPOSE)
    }
}

impl WhisperMark {
    /// Whether a note is sealed with this key, as far as can be seen without it.
    #[must_use]
    pub fn fits(&self, note: &[u8]) -> bool {
        sealed(note).is_some_and(|sealed| self.0.fits(sealed))
    }
}

fn bound(about: &[u8]) -> Vec<u8> {
    [&[VERSION][..], about].concat()
}

fn sealed(note: &[u8]) -> Option<&[u8]> {
    note.strip_prefix(&[VERSION])
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
