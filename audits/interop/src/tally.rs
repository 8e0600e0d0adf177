//! What was done, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::kind::Kind;

/// The counts of one scenario.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) name: String,
    began: Instant,
    took: Duration,
    pub(crate) messages: u64,
    pub(crate) opened: u64,
    pub(crate) refused: BTreeMap<Kind, u64>,
    pub(crate) lost: u64,
    pub(crate) altered: u64,
    pub(crate) sessions: u64,
    pub(crate) restarts: u64,
    /// The newest SPQR epoch in which a message went.
    pub(crate) epoch: u64,
}

impl Tally {
    /// Begins now.
    pub(crate) fn new(name: impl Into<String>) -> Tally {
        Tally {
            name: name.into(),
            began: Instant::now(),
            took: Duration::ZERO,
            messages: 0,
            opened: 0,
            refused: BTreeMap::new(),
            lost: 0,
            altered: 0,
            sessions: 0,
            restarts: 0,
            epoch: 0,
        }
    }

    /// Ends now.
    pub(crate) fn done(mut self) -> Tally {
        self.took = self.began.elapsed();
        self
    }

    /// A message was delivered, and this came of it.
    pub(crate) fn delivered<T>(&mut self, result: &Result<T, Kind>) {
        match result {
            Ok(_) => self.opened += 1,
            Err(kind) => *self.refused.entry(*kind).or_default() += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.messages += other.messages;
        self.opened += other.opened;
        self.lost += other.lost;
        self.altered += other.altered;
        self.sessions += other.sessions;
        self.restarts += other.restarts;
        self.took += other.took;
        self.epoch = self.epoch.max(other.epoch);
        for (kind, count) in &other.refused {
            *self.refused.entry(*kind).or_default() += count;
        }
    }

    /// The line above a table of these.
    pub(crate) const HEAD: &str = "scenario                               messages  opened  refused    lost altered sessions restarts epoch seconds";
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused: u64 = self.refused.values().sum();
        write!(
            f,
            "{:<38} {:>8} {:>7} {:>8} {:>7} {:>7} {:>8} {:>8} {:>5} {:>7.1}",
            self.name,
            self.messages,
            self.opened,
            refused,
            self.lost,
            self.altered,
            self.sessions,
            self.restarts,
            self.epoch,
            self.took.as_secs_f64()
        )
    }
}
