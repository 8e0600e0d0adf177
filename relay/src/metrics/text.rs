//! Numbers in Prometheus' text format, version 0.0.4.

use std::{
    fmt::{Display, Write},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use hushwire_proto::net::serve::Counts;

use super::{Histogram, Metrics, Refusals};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A whole page.
pub(crate) fn page(metrics: &Metrics, counts: &Counts) -> String {
    let mut page = Page::default();
    let Metrics {
        deposits_stored,
        deposits_refused,
        refused,
        delivered,
        acknowledged,
        expired,
        mailboxes,
        envelopes,
        bytes,
        backlog,
        backlog_max,
        batch_jobs,
        sync_micros,
        disk_free,
        disk_reserve,
        disk_low,
        out_of_space: _, // the relay is about to stop
    } = metrics;
    page.info();
    page.gauge("connections", "Connections now.", read(&counts.open));
    page.counter("connections_accepted_total", "Connections taken.", read(&counts.accepted));
    page.counter("connections_refused_total", "Connections refused for a limit.", read(&counts.refused));
    page.counter(
        "connections_shed_total",
        "Connections refused because the relay had too much to do.",
        read(&counts.shed),
    );
    page.counter("handshakes_retried_total", "Peers asked to prove their address first.", read(&counts.retried));
    page.counter("handshakes_failed_total", "Handshakes that did not end well.", read(&counts.handshakes_failed));
    page.counter("connections_bad_frame_total", "Connections closed for a bad frame.", read(&counts.bad_frames));
    page.counter("connections_too_slow_total", "Connections closed because the peer was slow.", read(&counts.too_slow));
    page.counter("requests_total", "Requests begun.", read(&counts.requests));
    page.refusals("requests_refused_total", "Requests refused, by reason.", refused);
    page.counter("deposits_stored_total", "Deposits answered stored, repeats among them.", deposits_stored.get());
    page.refusals("deposits_refused_total", "Deposits refused, by reason.", deposits_refused);
    page.counter("envelopes_delivered_total", "Envelopes pushed, repeats among them.", delivered.get());
    page.counter("envelopes_acknowledged_total", "Envelopes removed because their owner has them.", acknowledged.get());
    page.counter("envelopes_expired_total", "Envelopes that nobody fetched in time.", expired.get());
    page.gauge("mailboxes", "Mailboxes.", mailboxes.get());
    page.gauge("envelopes", "Envelopes that wait.", envelopes.get());
    page.gauge("envelope_bytes", "Bytes of envelopes that wait, as the quotas count them.", bytes.get());
    page.gauge("backlog_bytes", "Bytes of deposits that wait to be written.", backlog.get());
    page.gauge("backlog_bytes_max", "Bytes of deposits that may wait; beyond, they are refused.", backlog_max.get());
    page.histogram("batch_jobs", "What one write of the queue had in it.", batch_jobs, |jobs| jobs);
    page.histogram("sync_seconds", "Time that one write and its sync took.", sync_micros, Seconds);
    page.gauge("disk_free_bytes", "Free bytes on the disk of the queue.", disk_free.get());
    page.gauge("disk_reserve_bytes", "Below this nothing new is taken.", disk_reserve.get());
    page.gauge("disk_low", "1: nothing new is taken because the disk is nearly full.", disk_low.load(Relaxed).into());
    if let Some(bytes) = resident_bytes() {
        page.gauge("resident_memory_bytes", "Memory of this process.", bytes);
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = write!(self.0, "# HELP hushwire_relay_{name} {help}\n# TYPE hushwire_relay_{name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "hushwire_relay_{name}{labels} {value}");
    }

    fn info(&mut self) {
        self.head("info", "The version.", "gauge");
        self.line("info", concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "counter");
        self.line(name, "", value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(name, "", value);
    }

    fn refusals(&mut self, name: &str, help: &str, refusals: &Refusals) {
        self.head(name, help, "counter");
        for (reason, count) in refusals.iter() {
            self.line(name, &format!("{{reason=\"{reason:?}\"}}"), count.get());
        }
    }

    fn histogram<const N: usize, T: Display>(
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
}

/// Microseconds, as Prometheus wants times.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Relaxed)
}

/// What Linux says of this process; elsewhere nothing.
fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_proto::relay::RefusedReason;

    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads_and_names_nobody() {
        let (metrics, counts) = (Metrics::default(), Counts::default());
        metrics.deposited(Ok(()));
        metrics.deposited(Err(RefusedReason::MailboxFull));
        metrics.sync_micros.observe(2_400);
        let page = page(&metrics, &counts);
        for line in [
            "hushwire_relay_deposits_stored_total 1",
            "hushwire_relay_deposits_refused_total{reason=\"MailboxFull\"} 1",
            "hushwire_relay_sync_seconds_bucket{le=\"0.001000\"} 0",
            "hushwire_relay_sync_seconds_bucket{le=\"0.002500\"} 1",
            "hushwire_relay_sync_seconds_bucket{le=\"+Inf\"} 1",
            "hushwire_relay_sync_seconds_sum 0.002400",
            "# TYPE hushwire_relay_batch_jobs histogram",
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
