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
type Shared = Arc<Mutex<BTreeMap<usize, Watched>>>;

#[derive(Debug)]
struct Watched {
    connection: Connection,
    level: Level,
    was_cut: Arc<AtomicBool>,
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub(super) struct Stands {
    id: usize,
    connections: Shared,
    was_cut: Arc<AtomicBool>,
}

impl Standing {
    /// Ends those that send in crumbs, and counts them. Needs a tokio runtime around it.
    pub(super) fn watched(counts: Arc<Counts>) -> Self {
        let connections = Shared::default();
        let watch = spawn(look(connections.clone(), counts)).abort_handle();
        Self { connections, watch }
    }

    pub(super) fn add(&self, connection: &Connection) -> Stands {
        let (id, was_cut) = (connection.stable_id(), Arc::new(AtomicBool::new(false)));
        let watched = Watched { connection: connection.clone(), level: Level::default(), was_cut: was_cut.clone() };
        lock(&self.connections).insert(id, watched);
        Stands { id, connections: self.connections.clone(), was_cut }
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
        let mut connections = lock(&self.connections);
        let is_over = |watched: &mut Watched| seen_of(watched).is_some_and(|seen| watched.level.is_over(&seen));
        self.was_cut.load(Relaxed) || connections.get_mut(&self.id).is_some_and(is_over)
    }
}

impl Drop for Stands {
    fn drop(&mut self) {
        let last_handle = lock(&self.connections).remove(&self.id);
        drop(last_handle); // the transport's own lock is taken when ours is free
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
    let (mut last, mut looked_at) = (0, 0);
    for (id, watched) in lock(connections).range_mut(first..).take(LOOK_AT) {
        (last, looked_at) = (*id, looked_at + 1);
        let Some(seen) = seen_of(watched) else { continue };
        if watched.level.is_over(&seen) && !watched.was_cut.swap(true, Relaxed) {
            counts.bad_frames.fetch_add(1, Relaxed);
            CloseCode::TooManyFragments.close(&watched.connection);
        }
    }
    if looked_at < LOOK_AT { 0 } else { last.wrapping_add(1) }
}

/// One in which the transport panicked is of no use to anybody, and must not end the watch over the others.
fn seen_of(watched: &Watched) -> Option<ConnectionStats> {
    catch_unwind(AssertUnwindSafe(|| watched.connection.stats())).ok()
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

fn lock(connections: &Shared) -> MutexGuard<'_, BTreeMap<usize, Watched>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
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
