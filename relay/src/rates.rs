//! What one network address may take of a relay: requests in a second, and bytes of deposits that are in work. An
//! address is what one subscriber has; many people may share one.
//!
//! Drains, acknowledgements and revocations are not among them, because they make room: `pace`.
//!
//! Spec: relay §8.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hushwire_proto::net::serve::{Peer, subscriber};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pace::Pace;

/// Addresses that are looked at when one comes, whether they are needed any more: more than one, so that they become fewer, and
/// few, because everybody who connects waits for it.
const LOOKED_AT: usize = 2;

/// How much one address may take. An operator may change each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// In the long run; as many at once. More than a small machine stores: this stops floods, and the other shares.
    pub requests_per_second: u32,
    /// A quarter of what may wait to be written, so that no address can fill the line.
    pub bytes_in_flight: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { requests_per_second: 20_000, bytes_in_flight: 8 * 1024 * 1024 }
    }
}

/// Every address that is connected, or was a moment ago.
#[derive(Debug)]
pub(crate) struct Addresses {
    rates: Rates,
    began: Instant,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_address: HashMap<IpAddr, Arc<Address>>,
    /// All of them, in the order in which they are looked at.
    line: VecDeque<IpAddr>,
}

/// What one address has taken.
#[derive(Debug)]
pub(crate) struct Address {
    rates: Rates,
    began: Instant,
    spent: Mutex<Spent>,
    in_flight: Arc<Semaphore>,
    pace: Arc<Pace>,
}

/// Requests, as the time at which the last of them is paid for (the generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    until: Duration,
}

impl Addresses {
    pub(crate) fn new(rates: Rates) -> Self {
        Self { rates, began: Instant::now(), known: Mutex::default() }
    }

    pub(crate) fn rates(&self) -> Rates {
        self.rates
    }

    /// The account of a peer's address, shared by its connections.
    pub(crate) fn of(&self, peer: &Peer) -> Arc<Address> {
        self.at(subscriber(peer.remote().ip()))
    }

    fn at(&self, address: IpAddr) -> Arc<Address> {
        let mut known = lock(&self.known);
        if let Some(here) = known.by_address.get(&address) {
            return here.clone();
        }
        known.forget(LOOKED_AT, self.began.elapsed());
        let new = Arc::new(Address::new(self.rates, self.began));
        known.by_address.insert(address, new.clone());
        known.line.push_back(address);
        new
    }
}

impl Known {
    /// Looks at the next `count`, and forgets those that nobody needs.
    fn forget(&mut self, count: usize, now: Duration) {
        for _ in 0..count {
            let Some(next) = self.line.pop_front() else { return };
            match self.by_address.get(&next) {
                Some(address) if Arc::strong_count(address) > 1 || !address.is_paid(now) => self.line.push_back(next),
                _ => drop(self.by_address.remove(&next)),
            }
        }
    }
}

impl Address {
    pub(crate) fn new(rates: Rates, began: Instant) -> Self {
        let bytes = usize::try_from(rates.bytes_in_flight).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let pace = Arc::new(Pace::new(rates.requests_per_second, began));
        Self { rates, began, spent: Mutex::default(), in_flight: Arc::new(Semaphore::new(bytes)), pace }
    }

    /// How fast its owners may ask.
    pub(crate) fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    /// Counts so many requests; or says after which time there is room for one.
    pub(crate) fn ask(&self, count: usize) -> Result<(), Duration> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let each = Duration::from_secs(1) / self.rates.requests_per_second.max(1);
        lock(&self.spent).ask(each, Duration::from_secs(1), count, self.began.elapsed())
    }

    /// Room for bytes of a deposit, to be held until it is answered.
    pub(crate) fn hold(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.in_flight.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }
}

impl Address {
    fn is_paid(&self, now: Duration) -> bool {
        lock(&self.spent).is_paid(now) && self.pace.is_paid(now)
    }
}

impl Spent {
    /// One every `each` in the long run, and at once as many as `saved` has room for. One that costs more than there is room
    /// for is still let through, and paid for afterwards.
    pub(crate) fn ask(&mut self, each: Duration, saved: Duration, count: u32, now: Duration) -> Result<(), Duration> {
        let from = self.until.max(now);
        let ahead = from.saturating_sub(now).saturating_add(each);
        if let Some(wait) = ahead.checked_sub(saved).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        self.owe(each, count, now);
        Ok(())
    }

    /// The same where nothing is refused.
    pub(crate) fn owe(&mut self, each: Duration, count: u32, now: Duration) {
        self.until = self.until.max(now).saturating_add(each.saturating_mul(count));
    }

    /// The same, and never more than `most`: so long others who share this wait at most.
    pub(crate) fn owe_up_to(&mut self, most: Duration, each: Duration, count: u32, now: Duration) {
        self.owe(each, count, now);
        self.until = self.until.min(now.saturating_add(most));
    }

    /// How long until there is room in `saved` again.
    pub(crate) fn wait(&self, saved: Duration, now: Duration) -> Duration {
        self.until.saturating_sub(now).saturating_sub(saved)
    }

    /// Whether it is as good as new.
    pub(crate) fn is_paid(&self, now: Duration) -> bool {
        self.until <= now
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Ten in a second.
    fn ask(spent: &mut Spent, count: u32, now: Duration) -> Result<(), Duration> {
        spent.ask(SECOND / 10, SECOND, count, now)
    }

    #[test]
    fn a_seconds_worth_goes_at_once_and_then_as_many_as_the_rate_says() {
        let mut spent = Spent::default();
        let now = 7 * SECOND;
        for _ in 0..10 {
            assert_eq!(ask(&mut spent, 1, now), Ok(()));
        }
        let wait = ask(&mut spent, 1, now).unwrap_err();
        assert_eq!(wait, SECOND / 10);
        assert_eq!(ask(&mut spent, 1, now + wait), Ok(()));
        assert!(ask(&mut spent, 1, now + wait).is_err());
        assert_eq!(ask(&mut spent, 1, now + 60 * SECOND), Ok(()), "and no more is saved up than a second's worth");
        assert_eq!((0..20).filter(|_| ask(&mut spent, 1, now + 60 * SECOND).is_ok()).count(), 9);
    }

    #[test]
    fn a_request_that_costs_more_than_there_is_room_for_is_paid_for_afterwards() {
        let mut spent = Spent::default();
        assert_eq!(ask(&mut spent, 5000, SECOND), Ok(()));
        let wait = ask(&mut spent, 1, SECOND).unwrap_err();
        assert!(wait > 498 * SECOND && wait < 500 * SECOND, "{wait:?}");
    }

    #[test]
    fn an_address_has_so_many_bytes_in_work_and_they_are_free_again() {
        let address = Address::new(Rates { bytes_in_flight: 1000, ..Rates::default() }, Instant::now());
        let held = address.hold(900).unwrap();
        assert!(address.hold(101).is_none());
        drop(held);
        assert!(address.hold(1000).is_some());
    }

    #[test]
    fn connections_of_one_address_share_and_what_nobody_needs_is_forgotten() {
        let addresses = Addresses::new(Rates { requests_per_second: 1, ..Rates::default() });
        let ip = |n: u32| IpAddr::from(n.to_be_bytes());
        let one = addresses.at(ip(1));
        assert!(one.ask(1).is_ok() && addresses.at(ip(1)).ask(1).is_err());
        let _stays = addresses.at(ip(2)); // connected
        drop(one); // gone, and has not paid yet
        for n in 10..20_000 {
            addresses.at(ip(n));
        }
        assert!(lock(&addresses.known).by_address.len() <= 8, "whoever comes sees to it");
        let known = lock(&addresses.known);
        assert_eq!(known.by_address.len(), known.line.len(), "each is looked at once in a while");
        drop(known);
        assert!(addresses.at(ip(1)).ask(1).is_err(), "connecting again pays no debt");
        assert!(lock(&addresses.known).by_address.contains_key(&ip(2)));
    }
}
