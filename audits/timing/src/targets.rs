//! What is measured, and with which two kinds of input.
//!
//! Both kinds take the same way by what an attacker knows anyway; they differ in what he is not to learn: how much of a MAC
//! he guessed, which key is used, whether a ciphertext was made for it, what a text says.

mod compare;
mod keys;
mod sealed;
mod sessions;

use crate::measure::{How, Measured};

/// Measures everything, in turn.
pub(crate) fn all(how: How) -> impl Iterator<Item = Measured> {
    let targets: [fn(How) -> Vec<Measured>; 4] = [compare::all, keys::all, sessions::all, sealed::all];
    targets.into_iter().flat_map(move |target| target(how))
}

/// The bytes with one bit of the byte at `place` changed.
fn changed(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[place] ^= 1;
    changed
}
