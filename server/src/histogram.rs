//! How often a value was how large.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts values up to each of `N` bounds, and beyond.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    bounds: [u64; N],
    counts: [AtomicU64; N],
    beyond: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// Bounds in growing order.
    #[must_use]
    pub fn new(bounds: [u64; N]) -> Self {
        Self {
            bounds,
            counts: array::from_fn(|_| AtomicU64::new(0)),
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// One more value.
    pub fn observe(&self, value: u64) {
        let fitting = self.bounds.iter().zip(&self.counts).find(|(bound, _)| value <= **bound);
        fitting.map_or(&self.beyond, |(_, count)| count).fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// For each bound how many values were not above it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        self.bounds.iter().zip(&self.counts).scan(0_u64, |so_far, (bound, count)| {
            *so_far = so_far.saturating_add(count.load(Relaxed));
            Some((*bound, *so_far))
        })
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        let within = self.cumulative().last().map_or(0, |(_, count)| count);
        within.saturating_add(self.beyond.load(Relaxed))
    }

    /// All together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_its_bound_and_all_above() {
        let histogram = Histogram::new([1, 10, 100]);
        for value in [0, 1, 2, 100, 101] {
            histogram.observe(value);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(1, 2), (10, 3), (100, 4)]);
        assert_eq!((histogram.count(), histogram.sum()), (5, 204));
    }
}
