//! Dead stack frames are overwritten.
//!
//! What a function has on its stack stays there when it returns, until something else comes to lie over it: copies of keys
//! that were moved, and what the libraries below do not wipe (ML-KEM most of all). Owned secrets are wiped by their types;
//! this is for the others.
//!
//! It is done after every act that handles secrets, from the frame that called it, so that the frames of the act are
//! those overwritten. Rust promises nothing about where a compiler puts what it moves, registers spilled by a signal
//! handler included: `tests/memory` looks whether it holds.

use std::hint::black_box;

/// How much is overwritten, in bytes: above the deepest that an act goes, see `tests/memory`.
const SWEPT_BYTES: usize = 64 * 1024;

/// What `act` gives; what its frames held is overwritten.
pub(crate) fn swept<T>(act: impl FnOnce() -> T) -> T {
    let done = below(act);
    sweep();
    done
}

/// A frame of its own, so that everything of `act` lies where `sweep` goes next.
#[inline(never)]
fn below<T>(act: impl FnOnce() -> T) -> T {
    act()
}

#[inline(never)]
fn sweep() {
    black_box(&mut [0_u8; SWEPT_BYTES]);
}
