//! Every bound of this server, with its unit and its reason, and the one way to count against a bound over time.
//!
//! What both ends must agree on stands in [`hushwire_proto::limits`].

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How fast something may be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// How many at once.
    pub(crate) burst: u32,
    /// How long until one more may be asked for.
    pub(crate) every: Duration,
}

/// Fetches of one account that are given one-time keys. Six new contacts at once are a lively evening and a small part of
/// what a device has here; one in ten minutes leaves an attacker the last-resort key, and the owner the time to publish
/// more: in a day they get 150 keys of an account, and a client that is online once a day keeps up with that.
pub(crate) const ONE_TIME_KEYS: Rate = Rate { burst: 6, every: Duration::from_secs(600) };

/// Answers that say whether somebody is here leave at a multiple of this after they were asked for, so that how long one
/// took says little to who watches the line.
pub(crate) const ANSWER_GRAIN: Duration = Duration::from_millis(20);

/// Writes that wait with which no new accounts are taken: what is there goes first.
pub(crate) const NEWCOMERS_SHED_AT: usize = WAITING_JOBS_MAX / 2;

/// After how long a newcomer comes again who came when there was too much to do.
pub(crate) const BUSY_RETRY: Duration = Duration::from_secs(10);

/// After how long whoever wants to keep something here comes again while the disk is nearly full.
pub(crate) const DISK_RETRY: Duration = Duration::from_secs(300);

/// How long an epoch gathers at least, after the one before. Whoever looks up what has just changed waits for it.
pub(crate) const EPOCH_EVERY: Duration = Duration::from_secs(1);

/// How often the newest root is signed anew while nothing changes. A reader takes a day without it for a lie.
pub(crate) const ROOT_SIGNED_EVERY: Duration = Duration::from_secs(3600);

/// Handles that one epoch takes. Bounds how long it is computed and the batch that it is written with.
pub(crate) const EPOCH_ENTRIES_MAX: usize = 512;

/// How long a lookup waits for the epoch that has what it found. Below what a client waits for its answer.
pub(crate) const EPOCH_PATIENCE: Duration = Duration::from_secs(6);

/// Links that devices add to one account. Nobody gets a new device more often; a stolen one makes little work with it. Links
/// of the recovery key are not counted, so that a thief cannot keep the owner out.
pub(crate) const LINKS: Rate = Rate { burst: 16, every: Duration::from_secs(600) };

/// Accounts whose [`ONE_TIME_KEYS`] and [`LINKS`] are counted at the same time, about 100 bytes each. Beyond it nobody further gets
/// one-time keys, until the first counts are full again.
pub(crate) const COUNTED_ACCOUNTS_MAX: usize = 65_536;

/// What one connection may ask at once, in units of `handle::cost`. A client that was away asks for all its contacts
/// at once; nobody needs the rate of someone who lists handles.
pub(crate) const ASKING_BURST: u32 = 256;

/// What an operator may allow askers to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of one connection, in the long run, in units of one look into the database; 256 at once.
    pub requests_per_second: u32,
    /// Fetches from one address that are given one-time keys, in the long run; a third of it at once. A school behind one
    /// address begins this many conversations; whoever takes keys of many accounts, to use them up or to be counted in
    /// the place of others, needs many addresses.
    pub fetches_per_hour: u32,
    /// Handles looked up from one address, in the long run; a third of it at once. Nobody can list handles; this makes
    /// guessing them slow.
    pub lookups_per_hour: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { requests_per_second: 16, fetches_per_hour: 360, lookups_per_hour: 1_800 }
    }
}

impl Rates {
    /// For one connection.
    pub(crate) fn asking(self) -> Rate {
        Rate { burst: ASKING_BURST, every: Duration::from_secs(1) / self.requests_per_second.max(1) }
    }

    /// For one address.
    pub(crate) fn fetches(self) -> Rate {
        hourly(self.fetches_per_hour)
    }

    /// For one address.
    pub(crate) fn lookups(self) -> Rate {
        hourly(self.lookups_per_hour)
    }
}

fn hourly(count: u32) -> Rate {
    Rate { burst: (count / 3).max(1), every: Duration::from_secs(3600) / count.max(1) }
}

/// New accounts from one address. A school behind one address, or a test; about 40 MB a day on disk at worst.
pub(crate) const REGISTRATIONS: Rate = Rate { burst: 1000, every: Duration::from_secs(10) };

/// Addresses whose [`REGISTRATIONS`] and [`Rates`] are counted at the same time. Beyond it
/// no further address is served so, until the first counts are full again.
pub(crate) const COUNTED_ADDRESSES_MAX: usize = 65_536;

/// How long an asker waits who came when no further address could be counted.
pub(crate) const CROWDED_RETRY: Duration = Duration::from_secs(60);

/// Writes that are gathered into one synced batch. Bounds the memory of a round (64 full publications: 12 MB) and how
/// long the first of them waits.
pub(crate) const ROUND_JOBS_MAX: usize = 64;

/// Writes that wait for the writer. Two rounds: one more would only wait longer than its asker does.
pub(crate) const WAITING_JOBS_MAX: usize = 2 * ROUND_JOBS_MAX;

/// How many one-time keys of each kind that were given out are remembered for one device, so that a publication
/// repeated after a lost answer does not bring them back. More than a device ever has in store, so every retry of the
/// latest publications is covered.
pub(crate) const SPENT_REMEMBERED: usize = 256;

const _: () = assert!(SPENT_REMEMBERED > hushwire_proto::limits::PREKEYS_PER_DEVICE_MAX as usize);

/// Counts one asker against a [`Rate`]. Told the time; full at first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// When it will be full again. In the past: it is full.
    full_at: Instant,
}

/// Asked too much; nothing was taken. Ask again after this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooFast(pub(crate) Duration);

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, full_at: now }
    }

    /// Takes `count`, or says when there will be so many.
    pub(crate) fn take(&mut self, count: u32, now: Instant) -> Result<(), TooFast> {
        let full_at = self.full_at.max(now) + self.rate.every.saturating_mul(count);
        let latest = now + self.rate.every.saturating_mul(self.rate.burst);
        match full_at.checked_duration_since(latest) {
            Some(wait) if !wait.is_zero() => Err(TooFast(wait)),
            _ => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

/// A [`Bucket`] for each of many askers, for at most so many at the same time. A full bucket needs no memory.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    max: usize,
    /// No sweep before this: it costs a look at every bucket.
    sweep_at: Instant,
    buckets: HashMap<K, Bucket>,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(crate) fn new(rate: Rate, max: usize, now: Instant) -> Self {
        Self { rate, max, sweep_at: now, buckets: HashMap::new() }
    }

    /// Takes one for `key`. Refuses those whom it cannot count.
    pub(crate) fn take(&mut self, key: K, now: Instant) -> Result<(), TooFast> {
        if let Some(bucket) = self.buckets.get_mut(&key) {
            return bucket.take(1, now);
        }
        if self.buckets.len() >= self.max && self.sweep_at <= now {
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
            self.sweep_at = now + self.rate.every.min(CROWDED_RETRY);
        }
        if self.buckets.len() >= self.max {
            return Err(TooFast(CROWDED_RETRY));
        }
        let mut bucket = Bucket::full(self.rate, now);
        let taken = bucket.take(1, now);
        self.buckets.insert(key, bucket);
        taken
    }
}

/// No step of a change can panic, so a poisoned lock guards a sound value.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What counts as one address: whoever has an IPv6 address has the whole /64.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, every: Duration::from_secs(10) };

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut bucket = Bucket::full(RATE, start);
        for _ in 0..3 {
            assert_eq!(bucket.take(1, start), Ok(()));
        }
        assert_eq!(bucket.take(1, start), Err(TooFast(Duration::from_secs(10))));
        let later = start + Duration::from_secs(9);
        assert_eq!(bucket.take(1, later), Err(TooFast(Duration::from_secs(1))));
        assert_eq!(bucket.take(2, later), Err(TooFast(Duration::from_secs(11))));
        assert_eq!(bucket.take(1, start + Duration::from_secs(10)), Ok(()));
        assert_eq!(bucket.take(3, start + Duration::from_secs(1000)), Ok(()));
        assert_eq!(bucket.take(4, start + Duration::from_secs(9000)), Err(TooFast(Duration::from_secs(10))));
    }

    #[test]
    fn strangers_fill_no_more_memory_than_they_may_and_make_room_by_waiting() {
        let start = Instant::now();
        let mut buckets = Buckets::new(RATE, 100, start);
        let served = (0..10_000).filter(|key| buckets.take(*key, start).is_ok()).count();
        assert_eq!((served, buckets.buckets.len()), (100, 100));
        assert_eq!(buckets.take(1, start), Ok(())); // who is counted is not shut out
        let later = start + Duration::from_secs(25);
        assert_eq!(buckets.take(10_001, later), Ok(()));
        assert_eq!(buckets.buckets.len(), 1);
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        let of = |text: &str| text.parse().map(neighbourhood);
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
