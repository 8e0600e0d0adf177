//! Hands envelopes that have just become durable to the drains that wait for them, so that nobody reads them back.
//!
//! One line per mailbox that somebody waits for; it keeps the newest envelopes only, and whoever has fallen behind
//! them reads from the engine instead.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hushwire_proto::{
    ids::{MailboxId, Seq},
    limits::ENVELOPE_BYTES_MAX,
    relay::Delivery,
};
use tokio::sync::Notify;

/// Bytes of envelopes that one line keeps: one of the largest, or as many of the smallest as one push carries.
const LINE_BYTES_MAX: usize = ENVELOPE_BYTES_MAX;

/// The lines of all mailboxes that somebody waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Hub(Arc<Mutex<HashMap<MailboxId, Arc<Line>>>>);

#[derive(Debug, Default)]
struct Line {
    newest: Mutex<Newest>,
    grown: Notify,
}

#[derive(Debug, Default)]
struct Newest {
    /// The last number that arrived since somebody waits.
    last: Seq,
    /// `kept` has everything after this.
    since: Seq,
    kept: VecDeque<Delivery>,
    bytes: usize,
}

/// Tells of the envelopes of one mailbox from its making on.
#[derive(Debug)]
pub struct Arrivals {
    mailbox: MailboxId,
    line: Arc<Line>,
    hub: Hub,
}

impl Hub {
    pub(super) fn arrivals(&self, mailbox: MailboxId) -> Arrivals {
        let line = lock(&self.0).entry(mailbox).or_default().clone();
        Arrivals { mailbox, line, hub: self.clone() }
    }

    /// Said in the order of the numbers of each mailbox, once they are durable. Whoever waits for a mailbox is woken
    /// when all that is said of it here is there: it leaves in one push and is acknowledged at once.
    pub(super) fn publish(&self, mut arrived: Vec<(MailboxId, Delivery)>) {
        arrived.sort_by_key(|(mailbox, _)| *mailbox); // stable: the numbers keep their order
        let mut arrived = arrived.into_iter().peekable();
        while let Some((mailbox, first)) = arrived.next() {
            let same = std::iter::from_fn(|| arrived.next_if(|(next, _)| *next == mailbox));
            let all = std::iter::once(first).chain(same.map(|(_, delivery)| delivery));
            let lines = lock(&self.0);
            let Some(line) = lines.get(&mailbox) else {
                all.for_each(drop);
                continue;
            };
            let mut newest = lock(&line.newest);
            all.for_each(|delivery| newest.push(delivery));
            drop(newest);
            line.grown.notify_waiters();
        }
    }
}

impl Arrivals {
    /// Resolves once something after `after` has arrived: with what comes next, as much as fits into `bytes`, or with
    /// nothing, when it must be read. May be cancelled.
    pub async fn next(&self, after: Seq, bytes: usize) -> Vec<Delivery> {
        loop {
            let mut grown = pin!(self.line.grown.notified());
            grown.as_mut().enable(); // before looking, so that nothing arrives between
            if let Some(deliveries) = lock(&self.line.newest).after(after, bytes) {
                return deliveries;
            }
            grown.await;
        }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        let mut lines = lock(&self.hub.0);
        // The hub's and this one's. Others are made only under the lock that is held here.
        if Arc::strong_count(&self.line) <= 2 {
            lines.remove(&self.mailbox);
        }
    }
}

impl Newest {
    fn push(&mut self, delivery: Delivery) {
        if self.kept.is_empty() {
            self.since = Seq(delivery.seq.0.saturating_sub(1));
        }
        self.last = delivery.seq;
        self.bytes = self.bytes.saturating_add(delivery.envelope.len());
        self.kept.push_back(delivery);
        if self.bytes > LINE_BYTES_MAX {
            *self = Self { last: self.last, since: self.last, ..Self::default() };
        }
    }

    fn after(&mut self, after: Seq, bytes: usize) -> Option<Vec<Delivery>> {
        while self.kept.front().is_some_and(|oldest| oldest.seq <= after) {
            if let Some(known) = self.kept.pop_front() {
                self.since = known.seq;
                self.bytes = self.bytes.saturating_sub(known.envelope.len());
            }
        }
        if self.last <= after {
            return None;
        }
        if after < self.since {
            return Some(Vec::new());
        }
        let fitting = super::fitting(self.kept.iter(), bytes);
        Some(self.kept.iter().take(fitting).cloned().collect())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_proto::{envelope::Envelope, ids::UnixMillis};

    use super::*;

    const BOB: MailboxId = MailboxId([7; 32]);

    fn delivery(seq: u64, bytes: usize) -> Delivery {
        let envelope = Envelope::new(vec![0; bytes].into()).unwrap();
        Delivery { seq: Seq(seq), stored_at: UnixMillis(0), envelope }
    }

    fn numbers(deliveries: &[Delivery]) -> Vec<u64> {
        deliveries.iter().map(|delivery| delivery.seq.0).collect()
    }

    #[tokio::test]
    async fn what_arrives_between_reading_and_waiting_is_not_missed() {
        let hub = Hub::default();
        let arrivals = hub.arrivals(BOB);
        hub.publish(vec![(BOB, delivery(5, 512)), (BOB, delivery(6, 512))]);
        assert_eq!(numbers(&arrivals.next(Seq(4), 4096).await), [5, 6]);
        assert_eq!(numbers(&arrivals.next(Seq(5), 4096).await), [6]);
        let waiting = tokio::spawn(async move { numbers(&arrivals.next(Seq(6), 4096).await) });
        tokio::task::yield_now().await;
        hub.publish(vec![(BOB, delivery(7, 512))]);
        assert_eq!(waiting.await.unwrap(), [7]);
    }

    #[tokio::test]
    async fn whoever_fell_behind_is_told_to_read() {
        let hub = Hub::default();
        let arrivals = hub.arrivals(BOB);
        hub.publish(vec![(BOB, delivery(5, 512))]);
        assert!(arrivals.next(Seq(3), 4096).await.is_empty());
        for seq in 6..10 {
            hub.publish(vec![(BOB, delivery(seq, ENVELOPE_BYTES_MAX / 2))]);
        }
        assert!(arrivals.next(Seq(5), 4096).await.is_empty());
        assert!(lock(&arrivals.line.newest).bytes <= LINE_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_mailbox_nobody_waits_for_costs_nothing() {
        let hub = Hub::default();
        let (one, two) = (hub.arrivals(BOB), hub.arrivals(BOB));
        drop(one);
        assert_eq!(lock(&hub.0).len(), 1);
        drop(two);
        assert_eq!(lock(&hub.0).len(), 0);
        hub.publish(vec![(BOB, delivery(1, 512))]);
        assert_eq!(lock(&hub.0).len(), 0);
    }
}
