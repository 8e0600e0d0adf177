//! How much work a new account costs: what the operator says, and more while more come than usually do.
//!
//! Told the time; bounded whatever strangers do, because it counts accounts that were made and nothing about askers.
//!
//! Spec: keyserver §3.8.

use std::time::{Duration, Instant};

use hushwire_proto::limits::WORK_BITS_MAX;

/// New accounts in a minute that cost no more than usual. A small keyserver has fewer in a day.
const USUAL_PER_MINUTE: u32 = 60;

/// Accounts above the usual that double the work.
const STEP: u32 = 64;

/// Zero bits that a rush adds at most: 256 times the work.
const RUSH_BITS_MAX: u8 = 8;

/// Whoever began to work is not asked for more for so long, at least; and twice as long at most. Longer than a phone takes
/// for what is usual.
const GRACE: Duration = Duration::from_secs(60);

/// What is asked for now, and what was a moment ago.
#[derive(Debug)]
pub(crate) struct Difficulty {
    /// 0: no work at all.
    base: u8,
    /// Accounts above the usual rate, and when they were counted.
    above: f64,
    counted: Instant,
    /// The least that was asked for since `window` began, and in the window before.
    least: [u8; 2],
    window: Instant,
}

impl Difficulty {
    pub(crate) fn new(base: u8, now: Instant) -> Self {
        let base = base.min(WORK_BITS_MAX);
        Self { base, above: 0.0, counted: now, least: [base; 2], window: now }
    }

    /// What a newcomer is told to do.
    pub(crate) fn asked(&mut self, now: Instant) -> u8 {
        self.pass(now);
        let bits = self.bits();
        if let Some(least) = self.least.first_mut() {
            *least = bits.min(*least);
        }
        bits
    }

    /// What is enough: the least that anybody was told who may still be at it.
    pub(crate) fn enough(&mut self, now: Instant) -> u8 {
        let asked = self.asked(now);
        self.least.iter().copied().fold(asked, u8::min)
    }

    /// An account was made.
    pub(crate) fn made(&mut self, now: Instant) {
        self.pass(now);
        self.above += 1.0;
    }

    fn bits(&self) -> u8 {
        let rush = (self.above / f64::from(STEP)).max(1.0).log2().floor();
        let rush = (0..RUSH_BITS_MAX).take_while(|bits| f64::from(*bits) < rush).count(); // no cast of a float
        match self.base {
            0 => 0,
            base => base.saturating_add(u8::try_from(rush).unwrap_or(RUSH_BITS_MAX)).min(WORK_BITS_MAX),
        }
    }

    fn pass(&mut self, now: Instant) {
        let minutes = now.saturating_duration_since(self.counted).as_secs_f64() / 60.0;
        self.above = (self.above - minutes * f64::from(USUAL_PER_MINUTE)).max(0.0);
        self.counted = now;
        let since = now.saturating_duration_since(self.window);
        if since >= GRACE {
            let [now_least, _] = self.least;
            let bits = self.bits();
            // Nothing was asked for in a window that has gone by unseen.
            self.least = [bits, if since < 2 * GRACE { now_least } else { bits }];
            self.window = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_usual_day_costs_what_the_operator_says_and_a_rush_more_up_to_a_bound() {
        let start = Instant::now();
        let mut difficulty = Difficulty::new(20, start);
        for second in 0..600 {
            difficulty.made(start + SECOND * second);
            assert_eq!(difficulty.asked(start + SECOND * second), 20);
        }
        let rush = start + SECOND * 600;
        let mut before = 20;
        for _ in 0..100_000 {
            difficulty.made(rush);
            let asked = difficulty.asked(rush);
            assert!(asked == before || asked == before + 1);
            before = asked;
        }
        assert_eq!(before, 28);
        // 100,000 above the usual go by at 60 a minute.
        assert_eq!(difficulty.asked(rush + SECOND * 100_000), 20);
        assert_eq!(Difficulty::new(30, start).asked(start), 30);
    }

    #[test]
    fn whoever_is_at_work_is_not_asked_for_more() {
        let start = Instant::now();
        let mut difficulty = Difficulty::new(20, start);
        assert_eq!(difficulty.asked(start), 20);
        for _ in 0..1_000 {
            difficulty.made(start + SECOND);
        }
        assert_eq!(difficulty.asked(start + SECOND), 23);
        assert_eq!(difficulty.enough(start + SECOND), 20);
        assert_eq!(difficulty.enough(start + GRACE), 20);
        assert!(difficulty.enough(start + 3 * GRACE) > 20, "but not for ever");
    }

    #[test]
    fn without_work_a_rush_costs_none_either() {
        let start = Instant::now();
        let mut difficulty = Difficulty::new(0, start);
        for _ in 0..100_000 {
            difficulty.made(start);
        }
        assert_eq!((difficulty.asked(start), difficulty.enough(start)), (0, 0));
    }
}
