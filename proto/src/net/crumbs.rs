//! Who sends in crumbs: a stream, or a handshake, in fragments of a few bytes, many in a packet.
//!
//! The transport keeps fragments with holes before them in order, and orders all of them anew for every few dozen that come, so
//! that a packet of a hundred costs what dozens of whole ones do. It bounds how many stand, and not how often they come
//! again. Whoever keeps to the protocol sends one in a packet, and a few where packets were lost.
//!
//! Spec: relay §2.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use quinn::{Connection, ConnectionStats};
use tokio::{
    task::{AbortHandle, spawn},
    time::sleep,
};

use super::{CloseCode, admission::Counts};

/// Fragments that a peer may send: one for each of its packets, one for so many bytes of them, and how many more at once. Packets
/// of nothing else are small, and allow few.
const BYTES_OF_ONE: u64 = 150;
const AT_ONCE: u64 = 1024;

/// So many connections are looked at, and then nobody for so long: each a hundred times a second if they are few, and fifty
/// thousand within two seconds.
const LOOK_AT: usize = 256;
const PAUSE: Duration = Duration::from_millis(10);

/// The connections of a server, with those that shake hands yet. When it is dropped nobody looks at them any more.
#[derive(Debug)]
pub(super) struct Standing {
    connections: Shared,
    watch: AbortHandle,
}

/// By [`Connection::stable_id`].
type Shared = Arc<Mutex<BTreeMap<usize, Arc<Watched>>>>;

#[derive(Debug)]
struct Watched {
    connection: Connection,
    level: Mutex<Level>,
    was_cut: AtomicBool,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Stands {
    id: usize,
    watched: Arc<Watched>,
    connections: Shared,
}

impl Standing {
    /// Ends those that send in crumbs, and counts them. Needs a tokio runtime around it.
    pub(super) fn watched(counts: Arc<Counts>) -> Self {
        let connections = Shared::default();
        let watch = spawn(look(connections.clone(), counts)).abort_handle();
        Self { connections, watch }
    }

    pub(super) fn add(&self, connection: &Connection) -> Stands {
        let id = connection.stable_id();
        let (level, was_cut) = (Mutex::default(), AtomicBool::new(false));
        let watched = Arc::new(Watched { connection: connection.clone(), level, was_cut });
        lock(&self.connections).insert(id, watched.clone());
        Stands { id, watched, connections: self.connections.clone() }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Stands {
    /// Whether it was ended for its crumbs, or left before it was looked at and would have been.
    pub(super) fn was_bad(&self) -> bool {
        self.watched.was_cut.load(Relaxed) || self.watched.is_over()
    }
}

impl Drop for Stands {
    fn drop(&mut self) {
        lock(&self.connections).remove(&self.id);
    }
}

impl Watched {
    /// Waits for the transport, if that is busy with the connection.
    fn is_over(&self) -> bool {
        // One in which the transport panicked is of no use to anybody, and must not end the watch over the others.
        let seen = catch_unwind(AssertUnwindSafe(|| self.connection.stats()));
        seen.is_ok_and(|seen| lock(&self.level).is_over(&seen))
    }
}

async fn look(connections: Shared, counts: Arc<Counts>) {
    let mut next = 0;
    loop {
        next = look_at_some(&connections, next, &counts);
        sleep(PAUSE).await;
    }
}

/// Returns where to go on.
fn look_at_some(connections: &Shared, first: usize, counts: &Counts) -> usize {
    // Nobody else waits for ours while the transport is waited for.
    let some: Vec<_> = lock(connections).range(first..).take(LOOK_AT).map(|(id, one)| (*id, one.clone())).collect();
    for (_, watched) in &some {
        if watched.is_over() && !watched.was_cut.swap(true, Relaxed) {
            counts.bad_frames.fetch_add(1, Relaxed);
            CloseCode::TooManyFragments.close(&watched.connection);
        }
    }
    some.last().filter(|_| some.len() == LOOK_AT).map_or(0, |(id, _)| id.wrapping_add(1))
}

/// How many fragments too many, and what was counted until then.
#[derive(Debug, Default)]
struct Level {
    fragments: u64,
    allowed: u64,
    over: u64,
}

impl Level {
    /// Of what came since the last look: packets without fragments cannot be saved up.
    fn is_over(&mut self, seen: &ConnectionStats) -> bool {
        let fragments = seen.frame_rx.stream.saturating_add(seen.frame_rx.crypto);
        let allowed = seen.udp_rx.datagrams.saturating_add(seen.udp_rx.bytes / BYTES_OF_ONE);
        let (came, more) = (fragments.saturating_sub(self.fragments), allowed.saturating_sub(self.allowed));
        self.over = self.over.saturating_add(came).saturating_sub(more);
        (self.fragments, self.allowed) = (fragments, allowed);
        self.over > AT_ONCE
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In whole packets.
    fn seen(streams: u64, handshake: u64, packets: u64) -> ConnectionStats {
        let mut seen = ConnectionStats::default();
        seen.frame_rx.stream = streams;
        seen.frame_rx.crypto = handshake;
        seen.udp_rx.datagrams = packets;
        seen.udp_rx.bytes = packets * 1200;
        seen
    }

    #[test]
    fn crumbs_are_many_fragments_for_few_packets() {
        let is_over = |seen| Level::default().is_over(&seen);
        assert!(!is_over(seen(0, 0, 0)));
        assert!(!is_over(seen(1_000_000, 4, 1_000_000)), "one in a packet");
        assert!(!is_over(seen(20, 4, 1)), "all that a packet holds, after a loss");
        assert!(is_over(seen(100_000, 4, 1_000)) && is_over(seen(0, 100_000, 1_000)));
    }

    #[test]
    fn packets_of_nothing_between_them_make_crumbs_no_better() {
        let mut padded = seen(100_000, 4, 1_000);
        padded.udp_rx.datagrams += 12_000;
        padded.udp_rx.bytes += 12_000 * 28;
        assert!(Level::default().is_over(&padded));
    }

    #[test]
    fn what_a_peer_did_not_use_is_not_saved_for_crumbs() {
        let mut level = Level::default();
        assert!(!level.is_over(&seen(0, 4, 1_000_000)));
        assert!(!level.is_over(&seen(900, 4, 1_000_010)));
        assert!(level.is_over(&seen(2_100, 4, 1_000_020)), "what is over is remembered");
    }
}
