//! Comparisons by themselves: the leaky ones that must be found, and the one that this project uses.

use rand::RngExt;
use rand::rngs::StdRng;
use subtle::ConstantTimeEq;

use crate::measure::{Claim, Class, How, Measured};

pub(super) fn all(how: How) -> Vec<Measured> {
    vec![
        how.measure("control: 32 bytes until one differs", Claim::Control, wrong_early_or_late::<32>, |(a, b)| {
            leaky(a, b)
        }),
        how.measure("control: 8 bytes until one differs", Claim::Control, wrong_early_or_late::<8>, |(a, b)| {
            leaky(a, b)
        }),
        how.measure("8 bytes (session MAC)", Claim::Alike, wrong_early_or_late::<8>, |(a, b)| a.ct_eq(b)),
        how.measure("10 bytes (seal MAC)", Claim::Alike, wrong_early_or_late::<10>, |(a, b)| a.ct_eq(b)),
        how.measure("16 bytes (seal for many)", Claim::Alike, wrong_early_or_late::<16>, |(a, b)| a.ct_eq(b)),
        how.measure("32 bytes (SPQR MAC, keys)", Claim::Alike, wrong_early_or_late::<32>, |(a, b)| a.ct_eq(b)),
        how.measure("32 bytes, equal or random", Claim::Alike, equal_or_random, |(a, b)| a.ct_eq(b)),
    ]
}

/// What nobody should write.
pub(super) fn leaky(a: &[u8], b: &[u8]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// Two values of which the first byte differs, or the last.
fn wrong_early_or_late<const N: usize>(class: Class, rng: &mut StdRng) -> (Box<[u8]>, Box<[u8]>) {
    let value: [u8; N] = rng.random();
    (value.into(), super::changed(&value, class.of(0, N - 1)).into())
}

fn equal_or_random(class: Class, rng: &mut StdRng) -> (Box<[u8]>, Box<[u8]>) {
    let (value, other): ([u8; 32], [u8; 32]) = rng.random();
    (value.into(), class.of(value, other).into())
}
