//! Acts with private keys: one and the same key, or another each time.

use hushwire_crypto::{IdentityKeyPair, KeyPair};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::measure::{Claim, Class, How, Measured};

pub(super) fn all(how: How) -> Vec<Measured> {
    let theirs = KeyPair::generate(&mut StdRng::seed_from_u64(9)).public();
    vec![
        how.measure("sign, a fixed or a random key", Claim::Alike, fixed_or_random_key, |key| {
            key.sign(&[&[7; 64]], &mut StdRng::from_seed([3; 32]))
        }),
        how.measure("sign, a fixed or a random text", Claim::Alike, fixed_or_random_text, |(key, text)| {
            key.sign(&[text], &mut StdRng::from_seed([3; 32]))
        }),
        how.measure("sign, fixed or random randomness", Claim::Alike, fixed_or_random_seed, |(key, seed)| {
            key.sign(&[&[7; 64]], &mut StdRng::from_seed(*seed))
        }),
        how.measure("agree, a fixed or a random key", Claim::Alike, fixed_or_random_key, |key| {
            key.agree(&theirs).is_ok()
        }),
    ]
}

fn fixed() -> IdentityKeyPair {
    IdentityKeyPair::from_bytes(&[0; 32])
}

/// A fixed key of few set bits, or a random one.
fn fixed_or_random_key(class: Class, rng: &mut StdRng) -> IdentityKeyPair {
    IdentityKeyPair::from_bytes(&class.of([0; 32], rng.random()))
}

fn fixed_or_random_text(class: Class, rng: &mut StdRng) -> (IdentityKeyPair, Vec<u8>) {
    (fixed(), class.of([0; 64], rng.random()).to_vec())
}

fn fixed_or_random_seed(class: Class, rng: &mut StdRng) -> (IdentityKeyPair, [u8; 32]) {
    (fixed(), class.of([5; 32], rng.random()))
}
