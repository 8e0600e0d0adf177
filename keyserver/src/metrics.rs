//! What an operator can watch: numbers about the whole keyserver, and no label that names a handle, an account, a device
//! or anybody.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hushwire_proto::keyserver::RefusedReason;
use hushwire_proto::net::serve::Counts;
use hushwire_server::metrics::{Counter, Gauge, Histogram, Reasons, Seconds, Text};

/// Microseconds of a write with its sync, or of a whole epoch.
const MICROS: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// Writes in one synced round, and entries in one epoch: powers of two up to what they take.
const COUNTS: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// For a histogram.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Everything that a keyserver counts, beside the connections.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Requests of any kind refused.
    pub(crate) refused: Reasons<RefusedReason>,
    /// Accounts made.
    pub(crate) accounts: Counter,
    /// Links taken.
    pub(crate) links: Counter,
    /// Publications kept.
    pub(crate) publications: Counter,
    /// Handles and accounts looked up.
    pub(crate) lookups: Counter,
    /// Bundles given out with one-time keys, as far as there were any.
    pub(crate) bundles: Counter,
    /// Bundles given out without, against depletion.
    pub(crate) bundles_spared: Counter,
    /// Zero bits that a new account costs now.
    pub(crate) work_bits: Gauge,
    /// The newest epoch.
    pub(crate) epoch: Gauge,
    /// Entries in one epoch.
    pub(crate) epoch_entries: Histogram<10>,
    /// Microseconds to compute one epoch and to keep it.
    pub(crate) epoch_micros: Histogram<12>,
    /// Writes that shared one sync.
    pub(crate) round_jobs: Histogram<10>,
    /// Microseconds of one round and its sync.
    pub(crate) round_micros: Histogram<12>,
    /// Writes that wait.
    pub(crate) waiting: Gauge,
    /// Bytes free on the disk; 0: not known.
    pub(crate) disk_free: Gauge,
    /// Bytes that must stay free.
    pub(crate) disk_reserve: Gauge,
    /// Less is free than that: nothing new is taken.
    pub(crate) disk_low: AtomicBool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            refused: Reasons::new(RefusedReason::ALL),
            accounts: Counter::default(),
            links: Counter::default(),
            publications: Counter::default(),
            lookups: Counter::default(),
            bundles: Counter::default(),
            bundles_spared: Counter::default(),
            work_bits: Gauge::default(),
            epoch: Gauge::default(),
            epoch_entries: Histogram::new(COUNTS),
            epoch_micros: Histogram::new(MICROS),
            round_jobs: Histogram::new(COUNTS),
            round_micros: Histogram::new(MICROS),
            waiting: Gauge::default(),
            disk_free: Gauge::default(),
            disk_reserve: Gauge::default(),
            disk_low: AtomicBool::default(),
        }
    }
}

impl Metrics {
    /// The page as Prometheus reads it.
    pub(crate) fn page(&self, counts: &Counts) -> String {
        let mut page = Text::new("keyserver", env!("CARGO_PKG_VERSION"));
        page.connections(counts);
        page.by_reason("requests_refused_total", "Requests refused, by reason.", self.refused.iter());
        page.counter("accounts_made_total", "Accounts made.", self.accounts.get());
        page.counter("links_total", "Links that went on with an account.", self.links.get());
        page.counter("publications_total", "Publications of prekeys kept.", self.publications.get());
        page.counter("lookups_total", "Handles and accounts looked up.", self.lookups.get());
        let given = "Bundles given out, with one-time keys if there were any.";
        page.counter("bundles_total", given, self.bundles.get());
        let spared = "Bundles given out without one-time keys, because their account or the asker had too many.";
        page.counter("bundles_spared_total", spared, self.bundles_spared.get());
        page.gauge("work_bits", "Zero bits of work that a new account costs.", self.work_bits.get());
        page.gauge("epoch", "The newest epoch of the log.", self.epoch.get());
        page.histogram("epoch_entries", "What one epoch had in it.", &self.epoch_entries, |entries| entries);
        page.histogram("epoch_seconds", "Time to compute and keep one epoch.", &self.epoch_micros, Seconds);
        page.histogram("round_jobs", "Writes that shared one sync.", &self.round_jobs, |jobs| jobs);
        page.histogram("round_seconds", "Time that these writes and their sync took.", &self.round_micros, Seconds);
        page.gauge("waiting_writes", "Writes that wait.", self.waiting.get());
        page.gauge("disk_free_bytes", "Free bytes on the disk of the database.", self.disk_free.get());
        page.gauge("disk_reserve_bytes", "Below this nothing new is taken.", self.disk_reserve.get());
        let low = self.disk_low.load(Relaxed).into();
        page.gauge("disk_low", "1: nothing new is taken because the disk is nearly full.", low);
        page.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads_and_names_nobody() {
        let (metrics, counts) = (Metrics::default(), Counts::default());
        metrics.accounts.add(3);
        metrics.refused.count(RefusedReason::WorkNeeded);
        metrics.epoch_micros.observe(2_400);
        let page = metrics.page(&counts);
        for line in [
            "hushwire_keyserver_accounts_made_total 3",
            "hushwire_keyserver_requests_refused_total{reason=\"WorkNeeded\"} 1",
            "hushwire_keyserver_epoch_seconds_bucket{le=\"0.001000\"} 0",
            "hushwire_keyserver_epoch_seconds_bucket{le=\"0.002500\"} 1",
            "# TYPE hushwire_keyserver_round_jobs histogram",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        let labels = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('{'));
        let mut names: Vec<_> = labels.map(|(_, rest)| rest.split('=').next().unwrap()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, ["le", "reason", "version"], "whatever else is a label would be about somebody");
    }
}
