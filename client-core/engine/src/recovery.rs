//! The recovery key: 24 words on paper that take the account back when every device is lost.

use std::fmt;
use std::str::FromStr;

use bip39::Mnemonic;
use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::account::draw;

/// How many words there are.
const WORDS: usize = 24;

/// The key that can replace a device list when every device is lost. Shown once and never kept.
#[derive(Clone)]
pub struct RecoveryKey(Zeroizing<[u8; 32]>);

/// Why words are no recovery key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWords {
    /// Some are missing, or too many.
    #[error("there are {WORDS} recovery words, and {0} were given")]
    Count(usize),
    /// A word that is none of the list.
    #[error("word {0} is no recovery word; look how it is written")]
    Unknown(usize),
    /// Each is a word, and together they are none.
    #[error("a word is wrong or in the wrong place: the words do not fit together")]
    Checksum,
}

impl RecoveryKey {
    /// A new one.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(Zeroizing::new(draw(rng)))
    }

    /// As 24 words, to be written on paper.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        // 32 bytes are a valid length, so there always are words.
        Zeroizing::new(Mnemonic::from_entropy(&self.0[..]).map(|words| words.to_string()).unwrap_or_default())
    }

    /// What stands in device lists.
    pub(crate) fn public(&self) -> [u8; 32] {
        self.signing().verifying_key().to_bytes()
    }

    pub(crate) fn signing(&self) -> SigningKey {
        SigningKey::from_bytes(&self.0)
    }
}

/// From words in their order, whatever is between them.
impl FromStr for RecoveryKey {
    type Err = BadWords;

    fn from_str(text: &str) -> Result<Self, BadWords> {
        let words = Zeroizing::new(text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>());
        if words.len() != WORDS {
            return Err(BadWords::Count(words.len()));
        }
        let joined = Zeroizing::new(words.join(" "));
        let mnemonic = Mnemonic::parse_normalized(&joined).map_err(|error| match error {
            bip39::Error::UnknownWord(place) => BadWords::Unknown(place.saturating_add(1)),
            _ => BadWords::Checksum,
        })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        let key = <[u8; 32]>::try_from(&entropy[..]).map_err(|_| BadWords::Checksum)?;
        Ok(Self(Zeroizing::new(key)))
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("RecoveryKey(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn words_are_the_key_and_a_slip_is_named() {
        let key = RecoveryKey::generate(&mut StdRng::seed_from_u64(1));
        let words = key.words();
        let read: RecoveryKey = format!("  {}\n", words.to_uppercase().replace(' ', "\n ")).parse().unwrap();
        assert_eq!(read.public(), key.public());
        let list: Vec<&str> = words.split(' ').collect();
        let with = |place: usize, word: &str| {
            let mut list = list.clone();
            *list.get_mut(place).unwrap() = word;
            list.join(" ").parse::<RecoveryKey>().map(|key| key.public())
        };
        assert_eq!(with(6, "hushwire"), Err(BadWords::Unknown(7)));
        let mut swapped = list.clone();
        swapped.swap(0, 1);
        assert_eq!(swapped.join(" ").parse::<RecoveryKey>().map(|key| key.public()), Err(BadWords::Checksum));
        assert_eq!("one two".parse::<RecoveryKey>().map(|key| key.public()), Err(BadWords::Count(2)));
        assert_eq!(format!("{key:?}"), "RecoveryKey(..)");
    }
}
