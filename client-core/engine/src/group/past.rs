//! Which changes a change has seen, as a set of places.
//!
//! Spec: group §4.

/// Which places a change has seen: all below `whole` words of 64, and those with a bit. Most histories are nearly a line, for
/// which this is next to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    whole: usize,
    rest: Vec<u64>,
}

impl Past {
    pub(super) fn contains(&self, place: usize) -> bool {
        let Some(word) = (place / 64).checked_sub(self.whole) else { return true };
        self.rest.get(word).is_some_and(|bits| bits >> (place % 64) & 1 == 1)
    }

    pub(super) fn join(&mut self, other: &Self) {
        let whole = self.whole.max(other.whole);
        self.rest.drain(..whole.saturating_sub(self.whole).min(self.rest.len()));
        let theirs = other.rest.get(whole.saturating_sub(other.whole)..).unwrap_or_default();
        self.whole = whole;
        self.rest.resize(self.rest.len().max(theirs.len()), 0);
        for (mine, theirs) in self.rest.iter_mut().zip(theirs) {
            *mine |= theirs;
        }
    }

    pub(super) fn insert(&mut self, place: usize) {
        let Some(word) = (place / 64).checked_sub(self.whole) else { return };
        self.rest.resize(self.rest.len().max(word.saturating_add(1)), 0);
        if let Some(bits) = self.rest.get_mut(word) {
            *bits |= 1 << (place % 64);
        }
        let full = self.rest.iter().take_while(|bits| **bits == u64::MAX).count();
        self.rest.drain(..full);
        self.whole = self.whole.saturating_add(full);
    }
}
