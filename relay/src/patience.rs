//! How many deposits may wait to be stored, so that none waits long.
//!
//! Bytes bound what the line costs, and not how long it takes: the same line is a moment for one disk and many seconds
//! for another. So their number is learnt from how long the last ones waited (additive increase, multiplicative
//! decrease). What is refused is answered at once, and its sender knows when to come back.
//!
//! Spec: relay §8.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A deposit that waited longer shows that the line is too long. Beyond a few syncs of a slow disk, and within what a person
/// does not notice.
const PATIENCE: Duration = Duration::from_millis(300);

/// So many may always wait: they share a few syncs.
const WAITING_MIN: usize = 1024;

/// So many at first, and at most: more than there is room for in bytes.
const WAITING_MAX: usize = 65_536;

/// The line of deposits, shared by all connections.
#[derive(Debug)]
pub(crate) struct Patience {
    began: Instant,
    line: Mutex<Line>,
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    waiting: usize,
    most: usize,
    /// When it was last made shorter.
    cut: Duration,
}

/// A place in the line. Left when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    patience: Arc<Patience>,
    came: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { began: Instant::now(), line: Mutex::new(Line::default()) }
    }
}

impl Patience {
    /// A place for one more, if those before it will not take too long.
    pub(crate) fn take_turn(self: &Arc<Self>) -> Option<Turn> {
        let came = self.began.elapsed();
        self.line().comes().then(|| Turn { patience: self.clone(), came })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = self.patience.began.elapsed();
        self.patience.line().leaves(now.saturating_sub(self.came), now);
    }
}

impl Default for Line {
    fn default() -> Self {
        Self { waiting: 0, most: WAITING_MAX, cut: Duration::ZERO }
    }
}

impl Line {
    fn comes(&mut self) -> bool {
        let fits = self.waiting < self.most;
        self.waiting += usize::from(fits);
        fits
    }

    fn leaves(&mut self, waited: Duration, now: Duration) {
        if waited > PATIENCE {
            // Those behind it came when the line was as long: one cut is for all of them.
            if now.saturating_sub(self.cut) > PATIENCE {
                self.most = (self.most.min(self.waiting) / 2).max(WAITING_MIN);
                self.cut = now;
            }
        } else if self.waiting >= self.most / 2 && waited < PATIENCE / 2 {
            self.most = self.most.saturating_add(1).min(WAITING_MAX);
        }
        self.waiting = self.waiting.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_in_which_deposits_wait_too_long_becomes_shorter_and_recovers() {
        let mut line = Line::default();
        let second = Duration::from_secs(1);
        for _ in 0..20_000 {
            assert!(line.comes());
        }
        line.leaves(second, second);
        assert_eq!(line.most, 10_000);
        line.leaves(second, second + PATIENCE / 2);
        assert_eq!(line.most, 10_000, "once for all that waited in the same line");
        assert!(!line.comes(), "until it is short enough");
        while line.waiting > 9_000 {
            line.leaves(PATIENCE / 3, 2 * second);
        }
        assert!(line.comes());
        assert!(line.most > 15_000, "{}", line.most);
    }

    #[test]
    fn a_few_may_always_wait_and_a_place_is_free_again() {
        let mut line = Line::default();
        let second = Duration::from_secs(1);
        for n in 1..=100 {
            assert!(line.comes());
            line.leaves(10 * second, n * second);
        }
        assert_eq!((line.waiting, line.most), (0, WAITING_MIN));
        let patience = Arc::new(Patience::default());
        let turn = patience.take_turn().unwrap();
        assert_eq!(patience.line().waiting, 1);
        drop(turn);
        assert_eq!(patience.line().waiting, 0);
    }
}
