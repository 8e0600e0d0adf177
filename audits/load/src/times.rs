//! Moments, and how long things took.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Anything longer is a hang, and counted as this.
const LONGEST: Duration = Duration::from_secs(600);

/// Anything shorter was not measured.
const SHORTEST: Duration = Duration::from_micros(1);

/// Nanoseconds since this process asked first. Never the same twice for whoever adds 1 if it is.
pub fn now() -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    nanos(FIRST.get_or_init(Instant::now).elapsed())
}

/// Nanoseconds of a duration.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Times to three digits, added by many tasks.
#[derive(Debug)]
pub struct Times(Mutex<Histogram<u64>>);

impl Default for Times {
    fn default() -> Self {
        let within = Histogram::new_with_bounds(nanos(SHORTEST), nanos(LONGEST), 3);
        Self(Mutex::new(within.unwrap_or_else(|_| unreachable!("a microsecond to ten minutes, three digits"))))
    }
}

impl Times {
    /// It took from `began` until now.
    pub fn since(&self, began: u64) {
        self.add(now().saturating_sub(began));
    }

    /// It took so many nanoseconds.
    pub fn add(&self, nanos: u64) {
        self.lock().saturating_record(nanos);
    }

    /// None were.
    pub fn clear(&self) {
        self.lock().reset();
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.lock().len()
    }

    /// In milliseconds.
    pub fn quantile(&self, quantile: f64) -> f64 {
        millis(self.lock().value_at_quantile(quantile))
    }

    /// In milliseconds.
    pub fn max(&self) -> f64 {
        millis(self.lock().max())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // a histogram is never half changed
    }
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
