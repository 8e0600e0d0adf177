//! Who may connect: bounds on handshakes, on connections, and on connections of one address.
//!
//! Before its handshake a peer may write any sender's address, so nothing is charged to an address until the handshake
//! is through; until then only the number of open handshakes is bounded, and above a threshold a peer must first prove
//! that it receives what is sent to its address (QUIC Retry), which costs us no memory.

use std::{
    collections::{BTreeMap, btree_map::OccupiedEntry},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use quinn::Incoming;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

/// Handshakes at once. Each costs a signature, a key encapsulation and some fifty kilobytes, which the transport keeps for three
/// seconds more.
const HANDSHAKES_MAX: usize = 384;

/// Whoever comes beyond them gets the place of the oldest, if that has had it for so long: a client is through within a few round
/// trips, and who is not mostly goes on with nothing.
const MAKES_WAY_AFTER: Duration = Duration::from_millis(1500);

/// Of the connections that one address may have, so many handshakes at once: nobody begins all of theirs at once, and who begins
/// handshakes and ends none has few of the places that are for all.
const HANDSHAKES_OF_ADDRESS: usize = 8;

/// And as many at least, if it may have few connections: a client that vanished in one is still there when it comes back.
const HANDSHAKES_OF_ADDRESS_MIN: usize = 4;

/// Of the connections that one address may have, one that was cut for what only attackers do counts as such a part.
const CUT_COUNTS: usize = 16;

/// How many connections a server takes. An operator may change each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeLimits {
    /// In all. An idle one costs some 40 KiB (measured: 3,000 of them on Linux).
    pub connections: usize,
    /// From one IPv4 address, or from one /64 of IPv6, which is what a subscriber has. Many people may share one
    /// address behind a provider's translation.
    pub connections_per_address: usize,
    /// Open handshakes from which on a peer must prove its address first, which costs it one round trip. 0: always.
    pub unproven_handshakes: usize,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self { connections: 50_000, connections_per_address: 256, unproven_handshakes: 256 }
    }
}

/// What a server counts, for metrics. They only grow, except `open`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Connections now.
    pub open: AtomicU64,
    /// Connections taken.
    pub accepted: AtomicU64,
    /// Connections refused for a limit.
    pub refused: AtomicU64,
    /// Connections refused because the service had too much to do.
    pub shed: AtomicU64,
    /// Peers asked to prove their address.
    pub retried: AtomicU64,
    /// Handshakes that did not end well.
    pub handshakes_failed: AtomicU64,
    /// Requests begun.
    pub requests: AtomicU64,
    /// Connections closed because of a bad frame, too many streams or too many fragments.
    pub bad_frames: AtomicU64,
    /// Connections closed because the peer was too slow.
    pub too_slow: AtomicU64,
}

/// Decides about first packets.
#[derive(Debug)]
pub(super) struct Admission {
    under_way: Arc<Mutex<UnderWay>>,
    counts: Arc<Counts>,
}

/// The handshakes that go on, oldest first: since when, and what tells it to make way when it is dropped.
#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    by_age: BTreeMap<u64, (Instant, oneshot::Sender<()>)>,
}

impl Admission {
    pub(super) fn new(counts: Arc<Counts>) -> Self {
        Self { under_way: Arc::default(), counts }
    }

    /// The connection attempt and leave to shake hands, or nothing: then the peer has been answered.
    pub(super) fn admit(&self, incoming: Incoming, places: &Places) -> Option<(Incoming, Handshake)> {
        let open = lock(&self.under_way).by_age.len();
        if open >= places.limits.unproven_handshakes && !incoming.remote_address_validated() {
            self.counts.retried.fetch_add(1, Relaxed);
            let _ = incoming.retry(); // always allowed for an address not yet proven
            return None;
        }
        let address = incoming.remote_address().ip();
        if !places.has_room(address) {
            self.counts.refused.fetch_add(1, Relaxed);
            incoming.refuse();
            return None;
        }
        // Whoever has not proven an address would take places of somebody else's.
        let of_address = incoming.remote_address_validated().then(|| places.shake(address));
        let handshake = match of_address {
            Some(None) => None,
            of_address => Handshake::begin(&self.under_way, of_address.flatten(), Instant::now()),
        };
        let Some(handshake) = handshake else {
            self.counts.refused.fetch_add(1, Relaxed);
            incoming.ignore(); // its next packet may find room
            return None;
        };
        Some((incoming, handshake))
    }
}

/// Leave to shake hands, until it is dropped.
#[derive(Debug)]
pub(super) struct Handshake {
    number: u64,
    under_way: Arc<Mutex<UnderWay>>,
    makes_way: oneshot::Receiver<()>,
    _of_address: Option<Shaking>,
}

impl Handshake {
    fn begin(under_way: &Arc<Mutex<UnderWay>>, of_address: Option<Shaking>, now: Instant) -> Option<Self> {
        let (told, makes_way) = oneshot::channel();
        let mut all = lock(under_way);
        let mut oldest = None;
        if all.by_age.len() >= HANDSHAKES_MAX {
            oldest = all.by_age.first_entry().filter(|entry| now.duration_since(entry.get().0) >= MAKES_WAY_AFTER);
            oldest.as_ref()?;
        }
        let oldest = oldest.map(OccupiedEntry::remove);
        let number = all.next;
        all.next = all.next.wrapping_add(1);
        all.by_age.insert(number, (now, told));
        drop(all);
        drop(oldest); // wakes it
        Some(Self { number, under_way: under_way.clone(), makes_way, _of_address: of_address })
    }

    /// Resolves when somebody else has its place. Once.
    pub(super) async fn makes_way(&mut self) {
        let _nothing_is_ever_sent = (&mut self.makes_way).await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        lock(&self.under_way).by_age.remove(&self.number);
    }
}

/// The connections that stand, by address.
#[derive(Debug)]
pub(super) struct Places {
    limits: ServeLimits,
    counts: Arc<Counts>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
    /// Handshakes of addresses that were proven.
    shaking: BTreeMap<IpAddr, usize>,
}

impl Places {
    pub(super) fn new(limits: ServeLimits, counts: Arc<Counts>) -> Self {
        Self { limits, counts, taken: Arc::default() }
    }

    fn has_room(&self, address: IpAddr) -> bool {
        self.limits.allow(&lock(&self.taken), subscriber(address))
    }

    /// A place for one more handshake of an address that was proven, or none.
    fn shake(&self, address: IpAddr) -> Option<Shaking> {
        let address = subscriber(address);
        let mut taken = lock(&self.taken);
        let here = taken.shaking.entry(address).or_default();
        if *here >= (self.limits.connections_per_address / HANDSHAKES_OF_ADDRESS).max(HANDSHAKES_OF_ADDRESS_MIN) {
            return None;
        }
        *here += 1;
        Some(Shaking { address, taken: self.taken.clone() })
    }

    /// A place for one more connection from `address`, for as long as it is held.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = subscriber(address);
        let mut taken = lock(&self.taken);
        if !self.limits.allow(&taken, address) {
            return None;
        }
        taken.total += 1;
        *taken.by_address.entry(address).or_default() += 1;
        self.counts.open.fetch_add(1, Relaxed);
        let cut_counts = (self.limits.connections_per_address / CUT_COUNTS).max(1);
        let (counts, taken) = (self.counts.clone(), self.taken.clone());
        Some(Place { address, is_open: true, places: 1, cut_counts, counts, taken })
    }
}

impl ServeLimits {
    fn allow(&self, taken: &Taken, address: IpAddr) -> bool {
        let here = taken.by_address.get(&address).copied().unwrap_or_default();
        taken.total < self.connections && here < self.connections_per_address
    }
}

/// The place of one handshake of a proven address. Free again when dropped.
#[derive(Debug)]
struct Shaking {
    address: IpAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Drop for Shaking {
    fn drop(&mut self) {
        less(&mut lock(&self.taken).shaking, self.address, 1);
    }
}

fn less(counts: &mut BTreeMap<IpAddr, usize>, address: IpAddr, by: usize) {
    if let Some(here) = counts.get_mut(&address) {
        *here = here.saturating_sub(by);
        if *here == 0 {
            counts.remove(&address);
        }
    }
}

/// The place of one connection. Free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    address: IpAddr,
    is_open: bool,
    /// Of its address.
    places: usize,
    cut_counts: usize,
    counts: Arc<Counts>,
    taken: Arc<Mutex<Taken>>,
}

impl Place {
    /// The connection has ended, and its place is taken for so long: the transport keeps what it knows of a connection until
    /// late packets have come, so that whoever connects and leaves, over and over, would have it keep any number.
    pub(super) fn linger(mut self, time: Duration) {
        self.ended();
        tokio::spawn(async move {
            sleep(time).await;
            drop(self);
        });
    }

    /// As [`Self::linger`], of one that was cut: for a minute it takes several places of its address, so that whoever comes
    /// again and again to do the same is soon left with none.
    pub(super) fn linger_cut(mut self) {
        let more = self.cut_counts.saturating_sub(self.places);
        self.places += more;
        *lock(&self.taken).by_address.entry(self.address).or_default() += more;
        self.linger(super::CUT_GRACE);
    }

    fn ended(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.counts.open.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ended();
        let mut taken = lock(&self.taken);
        taken.total = taken.total.saturating_sub(1);
        less(&mut taken.by_address, self.address, self.places);
    }
}

/// What one subscriber has: an IPv4 address, however it is written, or a /64.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn whoever_comes_when_all_places_for_handshakes_are_taken_gets_that_of_the_oldest() {
        let (under_way, now) = (Arc::default(), Instant::now());
        let begin = |later| Handshake::begin(&under_way, None, now + later);
        let mut all: Vec<_> = (0..HANDSHAKES_MAX).filter_map(|_| begin(Duration::ZERO)).collect();
        assert_eq!(all.len(), HANDSHAKES_MAX);
        assert!(begin(MAKES_WAY_AFTER / 2).is_none(), "nobody has had one for long");
        let newcomer = begin(MAKES_WAY_AFTER).unwrap();
        let mut oldest = all.remove(0);
        oldest.makes_way().await;
        drop(oldest);
        assert_eq!(lock(&under_way).by_age.len(), HANDSHAKES_MAX, "it has not taken another place with it");
        let is_told = |handshake: &mut Handshake| handshake.makes_way.try_recv() != Err(TryRecvError::Empty);
        assert!(!all.iter_mut().any(is_told));
        drop((all, newcomer));
        assert_eq!(lock(&under_way).by_age.len(), 0);
    }

    #[test]
    fn a_subscriber_is_an_ipv4_address_or_a_64() {
        assert_eq!(subscriber(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_eq!(subscriber(ip("2001:db8::1")), subscriber(ip("2001:db8::ffff:0:0:2")));
        assert_ne!(subscriber(ip("2001:db8:0:1::1")), subscriber(ip("2001:db8:0:2::1")));
    }

    #[test]
    fn one_address_shakes_hands_so_often_at_once() {
        let places = Places::new(ServeLimits::default(), Arc::default());
        let (here, there) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let mut shaking: Vec<_> = (0..32).map(|_| places.shake(here).unwrap()).collect();
        assert!(places.shake(here).is_none());
        assert!(places.shake(there).is_some(), "others do");
        shaking.pop();
        assert!(places.shake(here).is_some());
        drop(shaking);
        assert!(lock(&places.taken).shaking.is_empty());
    }

    #[tokio::test]
    async fn who_was_cut_takes_a_sixteenth_of_the_places_of_its_address() {
        let limits = ServeLimits { connections_per_address: 32, ..ServeLimits::default() };
        let places = Places::new(limits, Arc::default());
        let (here, there) = (ip("192.0.2.1"), ip("192.0.2.2"));
        for _ in 0..16 {
            places.take(here).unwrap().linger_cut();
        }
        assert!(places.take(here).is_none());
        assert!(places.take(there).is_some());
        assert_eq!(lock(&places.taken).total, 16, "of those of all it takes one");
    }

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let counts = Arc::new(Counts::default());
        let limits = ServeLimits { connections: 3, connections_per_address: 2, ..ServeLimits::default() };
        let places = Places::new(limits, counts.clone());
        let (here, there, elsewhere) = (ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3"));
        let first = places.take(here).unwrap();
        let _second = places.take(here).unwrap();
        assert!(places.take(here).is_none()); // the address is full
        let _third = places.take(there).unwrap();
        assert!(places.take(elsewhere).is_none()); // all is full
        assert_eq!(counts.open.load(Relaxed), 3);
        drop(first);
        assert!(places.has_room(elsewhere) && places.has_room(here));
        assert_eq!(lock(&places.taken).by_address.len(), 2);
    }
}
