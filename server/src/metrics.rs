//! Counting where it happens, without locks, and telling it in Prometheus' text format, version 0.0.4.
//!
//! Leaves to each server what it counts. No label names anybody: that is for whoever adds one to see to.

use std::fmt::{Debug, Display, Write};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use hushwire_proto::net::serve::Counts;

pub use crate::histogram::Histogram;

/// The media type of a page.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// So many until now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// As it is now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// It is this.
    pub fn set(&self, now: u64) {
        self.0.store(now, Relaxed);
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counts for each of a few reasons.
#[derive(Debug)]
pub struct Reasons<R: 'static> {
    known: &'static [R],
    counts: Vec<Counter>,
}

impl<R: Copy + PartialEq> Reasons<R> {
    /// All reasons there are.
    #[must_use]
    pub fn new(known: &'static [R]) -> Self {
        Self { known, counts: known.iter().map(|_| Counter::default()).collect() }
    }

    /// One more.
    pub fn count(&self, reason: R) {
        if let Some((_, counter)) = self.iter().find(|(known, _)| *known == reason) {
            counter.add(1);
        }
    }

    /// Every reason.
    pub fn iter(&self) -> impl Iterator<Item = (R, &Counter)> {
        self.known.iter().copied().zip(&self.counts)
    }
}

/// One page of numbers, as it is written. All names begin with `hushwire_`, the server and an underscore.
#[derive(Debug)]
pub struct Text {
    server: &'static str,
    text: String,
}

impl Text {
    /// A page of this server, with its version first.
    #[must_use]
    pub fn new(server: &'static str, version: &str) -> Self {
        let mut page = Self { server, text: String::new() };
        page.head("info", "The version.", "gauge");
        page.line("info", &format!("{{version=\"{version}\"}}"), 1);
        page
    }

    /// What was written, with the memory of this process last where the system says it.
    #[must_use]
    pub fn finish(mut self) -> String {
        if let Some(bytes) = resident_bytes() {
            self.gauge("resident_memory_bytes", "Memory of this process.", bytes);
        }
        self.text
    }

    /// What only grows.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.line(name, "", value);
    }

    /// What is now.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(name, "", value);
    }

    /// What only grows, for each reason.
    pub fn by_reason<'a, R: Debug>(&mut self, name: &str, help: &str, counts: impl Iterator<Item = (R, &'a Counter)>) {
        self.head(name, help, "counter");
        for (reason, count) in counts {
            self.line(name, &format!("{{reason=\"{reason:?}\"}}"), count.get());
        }
    }

    /// How often a value was how large.
    pub fn histogram<const N: usize, T: Display>(
        &mut self,
        name: &str,
        help: &str,
        histogram: &Histogram<N>,
        unit: impl Fn(u64) -> T,
    ) {
        self.head(name, help, "histogram");
        for (bound, count) in histogram.cumulative() {
            self.line(&format!("{name}_bucket"), &format!("{{le=\"{}\"}}", unit(bound)), count);
        }
        let count = histogram.count();
        self.line(&format!("{name}_bucket"), "{le=\"+Inf\"}", count);
        self.line(&format!("{name}_sum"), "", unit(histogram.sum()));
        self.line(&format!("{name}_count"), "", count);
    }

    /// What is counted of the connections of any server.
    pub fn connections(&mut self, counts: &Counts) {
        let read = |count: &AtomicU64| count.load(Relaxed);
        self.gauge("connections", "Connections now.", read(&counts.open));
        self.counter("connections_accepted_total", "Connections taken.", read(&counts.accepted));
        self.counter("connections_refused_total", "Connections refused for a limit.", read(&counts.refused));
        let shed = "Connections refused because the server had too much to do.";
        self.counter("connections_shed_total", shed, read(&counts.shed));
        self.counter("handshakes_retried_total", "Peers asked to prove their address first.", read(&counts.retried));
        let failed = "Handshakes that did not end well.";
        self.counter("handshakes_failed_total", failed, read(&counts.handshakes_failed));
        let bad =
            "Connections closed for what no client sends: a bad frame, too many streams, fragments of a few bytes.";
        self.counter("connections_bad_frame_total", bad, read(&counts.bad_frames));
        let slow = "Connections closed because the peer was slow.";
        self.counter("connections_too_slow_total", slow, read(&counts.too_slow));
        self.counter("requests_total", "Requests begun.", read(&counts.requests));
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let server = self.server;
        let _ = write!(self.text, "# HELP hushwire_{server}_{name} {help}\n# TYPE hushwire_{server}_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.text, "hushwire_{}_{name}{labels} {value}", self.server);
    }
}

/// Microseconds, as Prometheus wants times.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// What Linux says of this process; elsewhere nothing.
fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}
