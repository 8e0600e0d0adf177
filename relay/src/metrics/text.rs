//! The page of numbers: one line for each.

use std::sync::atomic::Ordering::Relaxed;

use hushwire_proto::net::serve::Counts;
use hushwire_server::metrics::{Seconds, Text};

use super::Metrics;

/// A whole page.
pub(crate) fn page(metrics: &Metrics, counts: &Counts) -> String {
    let mut page = Text::new("relay", env!("CARGO_PKG_VERSION"));
    let Metrics {
        deposits_stored,
        deposits_refused,
        deposits_turned_away,
        refused,
        delivered,
        whispers_passed,
        whispers_dropped,
        acknowledged,
        expired,
        mailboxes,
        envelopes,
        bytes,
        own_bytes: _,
        body_bytes: _, // `du` says them
        backlog,
        backlog_max,
        batch_jobs,
        sync_micros,
        socket_micros,
        disk_free,
        disk_reserve,
        disk_low,
        out_of_space: _, // the relay is about to stop
    } = metrics;
    page.connections(counts);
    page.by_reason("requests_refused_total", "Requests refused, by reason.", refused.iter());
    page.counter("deposits_stored_total", "Deposits answered stored, repeats among them.", deposits_stored.get());
    page.by_reason("deposits_refused_total", "Deposits refused, by reason.", deposits_refused.iter());
    let turned_away = deposits_turned_away.iter();
    page.by_reason(
        "deposits_turned_away_total",
        "Deposits refused before the queue, by what there was too much of.",
        turned_away,
    );
    page.counter("envelopes_delivered_total", "Envelopes pushed, repeats among them.", delivered.get());
    page.counter("whispers_passed_total", "Whispers handed to whoever was there.", whispers_passed.get());
    page.by_reason("whispers_dropped_total", "Whispers dropped, by reason.", whispers_dropped.iter());
    page.counter("envelopes_acknowledged_total", "Envelopes removed because their owner has them.", acknowledged.get());
    page.counter("envelopes_expired_total", "Envelopes that nobody fetched in time.", expired.get());
    page.gauge("mailboxes", "Mailboxes.", mailboxes.get());
    page.gauge("envelopes", "Envelopes that wait.", envelopes.get());
    page.gauge("envelope_bytes", "Bytes of envelopes that wait, as the quotas count them.", bytes.get());
    page.gauge("backlog_bytes", "Bytes of deposits that wait to be written.", backlog.get());
    page.gauge("backlog_bytes_max", "Bytes of deposits that may wait; beyond, they are refused.", backlog_max.get());
    page.histogram("batch_jobs", "What one write of the queue had in it.", batch_jobs, |jobs| jobs);
    page.histogram("sync_seconds", "Time that one write and its sync took.", sync_micros, Seconds);
    page.histogram(
        "socket_wait_seconds",
        "Time that packets wait until they are read: one look every 5 ms or more, not one for each packet.",
        socket_micros,
        Seconds,
    );
    page.gauge("disk_free_bytes", "Free bytes on the disk of the queue.", disk_free.get());
    page.gauge("disk_reserve_bytes", "Below this nothing new is taken.", disk_reserve.get());
    page.gauge("disk_low", "1: nothing new is taken because the disk is nearly full.", disk_low.load(Relaxed).into());
    page.finish()
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
