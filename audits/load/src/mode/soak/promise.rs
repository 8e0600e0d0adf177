//! What a relay owes: every message that it answered stored, until its device has it. Little is kept of an hour of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What is known of one message of one pair.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    stored: bool,
    shown: bool,
}

/// The messages of one pair, by the moment at which each was to be sent.
#[derive(Debug, Default)]
pub(super) struct Promises {
    open: Mutex<HashMap<u64, State>>,
    /// Given although the device had acknowledged it, or anything later.
    pub(super) again: AtomicU64,
    /// Given with other bytes.
    pub(super) damaged: AtomicU64,
}

impl Promises {
    /// The relay says that it has it.
    pub(super) fn stored(&self, at: u64) {
        self.note(at, |state| state.stored = true);
    }

    /// The device has it, under a number above all that it had.
    pub(super) fn shown(&self, at: u64) {
        self.note(at, |state| state.shown = true);
    }

    /// Messages that were stored and did not come.
    pub(super) fn owed(&self) -> u64 {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = open.values().filter(|state| state.stored && !state.shown).count();
        u64::try_from(owed).unwrap_or(u64::MAX)
    }

    /// Given again or damaged.
    pub(super) fn wrong(&self) -> u64 {
        self.again.load(Relaxed) + self.damaged.load(Relaxed)
    }

    fn note(&self, at: u64, change: impl FnOnce(&mut State)) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let state = open.entry(at).or_default();
        change(state);
        if state.stored && state.shown {
            open.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_owed_until_it_is_shown_in_whatever_order() {
        let promises = Promises::default();
        promises.stored(1);
        promises.shown(2); // its answer is on the way
        assert_eq!(promises.owed(), 1);
        promises.shown(1);
        promises.stored(2);
        assert_eq!(promises.owed(), 0);
        assert!(promises.open.lock().unwrap().is_empty(), "what was kept is forgotten");
        promises.shown(3); // its sender left before the answer: nothing is owed
        assert_eq!(promises.owed(), 0);
    }
}
