//! When to connect again.

use std::time::Duration;

use rand::RngExt;

/// Nobody notices; long enough that a server that just restarted is back.
const FIRST: Duration = Duration::from_millis(250);

/// A person who comes back to the program waits no longer than this, and usually half.
const LONGEST: Duration = Duration::from_secs(30);

/// Exponential, with full jitter: a relay that comes back does not meet all its clients in one second.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed: wait this long, anything up to the bound.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        rand::rng().random_range(Duration::ZERO..=bound)
    }

    fn bound(&self) -> Duration {
        FIRST.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest_and_starts_again_after_success() {
        let mut backoff = Backoff::default();
        let mut bounds = Vec::new();
        for _ in 0..9 {
            bounds.push(backoff.bound().as_millis());
            assert!(backoff.next() <= LONGEST);
        }
        assert_eq!(bounds, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        backoff.reset();
        assert_eq!(backoff.bound(), FIRST);
    }
}
