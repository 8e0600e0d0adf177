//! How much may come at one door: with one token, and into one mailbox, however many send it from wherever.
//!
//! What was stored is counted, so that nobody who is not let in uses up what a mailbox takes. The accounts lie in a table that
//! never grows, each in two places that only this process knows: whoever fills one place makes nobody wait whose other place is
//! another.
//!
//! Spec: relay §8.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    sync::Mutex,
    time::{Duration, Instant},
};

use hushwire_proto::ids::{MailboxId, TokenHash};

use crate::rates::{Spent, lock};

/// Places of one row of accounts: less than a mebibyte. With 100,000 stored in a second three come to each place.
const PLACES: u64 = 1 << 15;

/// A longer envelope counts as several, so that bytes are bounded too.
const COUNTED_BYTES: usize = 4096;

/// So many seconds' worth may come at once: somebody is back who was away, or a group answers.
const AT_ONCE: Duration = Duration::from_secs(10);

/// How much may come at one door. An operator may change each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorRates {
    /// Envelopes of up to 4 KiB in a second with one token: more than one device writes.
    pub token_per_second: u32,
    /// The same into one mailbox, with whatever tokens: more than one device reads.
    pub mailbox_per_second: u32,
}

impl Default for DoorRates {
    fn default() -> Self {
        Self { token_per_second: 1000, mailbox_per_second: 5000 }
    }
}

/// The accounts of all doors.
pub(crate) struct Doors {
    rates: DoorRates,
    began: Instant,
    tokens: Accounts,
    mailboxes: Accounts,
}

/// What was stored under each key, in one place of each row.
struct Accounts {
    each: Duration,
    rows: [Row; 2],
}

struct Row {
    /// Nobody else knows which keys share a place.
    key: RandomState,
    places: Box<[Mutex<Spent>]>,
}

impl Doors {
    pub(crate) fn new(rates: DoorRates) -> Self {
        let (tokens, mailboxes) = (Accounts::new(rates.token_per_second), Accounts::new(rates.mailbox_per_second));
        Self { rates, began: Instant::now(), tokens, mailboxes }
    }

    pub(crate) fn rates(&self) -> DoorRates {
        self.rates
    }

    /// After which time this door takes something again, if not now. Also of doors that there are not.
    pub(crate) fn wait(&self, mailbox: MailboxId, token: &TokenHash) -> Option<Duration> {
        let now = self.began.elapsed();
        let wait = self.tokens.wait(&(mailbox, token), now).max(self.mailboxes.wait(&mailbox, now));
        (!wait.is_zero()).then_some(wait)
    }

    /// So many bytes were stored there.
    pub(crate) fn stored(&self, mailbox: MailboxId, token: &TokenHash, bytes: usize) {
        let (now, count) = (self.began.elapsed(), bytes.div_ceil(COUNTED_BYTES));
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.tokens.owe(&(mailbox, token), count, now);
        self.mailboxes.owe(&mailbox, count, now);
    }
}

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doors").field("rates", &self.rates).finish_non_exhaustive()
    }
}

impl Accounts {
    fn new(per_second: u32) -> Self {
        Self { each: Duration::from_secs(1) / per_second.max(1), rows: [Row::default(), Row::default()] }
    }

    fn wait(&self, of: &impl Hash, now: Duration) -> Duration {
        self.rows.iter().map(|row| row.with(of, |spent| spent.wait(AT_ONCE, now))).min().unwrap_or_default()
    }

    fn owe(&self, of: &impl Hash, count: u32, now: Duration) {
        self.rows.iter().for_each(|row| row.with(of, |spent| spent.owe(self.each, count, now)));
    }
}

impl Row {
    fn with<T: Default>(&self, of: &impl Hash, what: impl FnOnce(&mut Spent) -> T) -> T {
        let place = usize::try_from(self.key.hash_one(of) % PLACES).ok().and_then(|place| self.places.get(place));
        place.map(|place| what(&mut lock(place))).unwrap_or_default() // there are as many places
    }
}

impl Default for Row {
    fn default() -> Self {
        Self { key: RandomState::new(), places: (0..PLACES).map(|_| Mutex::default()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: DoorRates = DoorRates { token_per_second: 10, mailbox_per_second: 20 };

    fn door(mailbox: u8, token: u8) -> (MailboxId, TokenHash) {
        (MailboxId([mailbox; 32]), TokenHash([token; 32]))
    }

    fn waits(doors: &Doors, (mailbox, token): (MailboxId, TokenHash)) -> bool {
        doors.wait(mailbox, &token).is_some()
    }

    fn store(doors: &Doors, (mailbox, token): (MailboxId, TokenHash), times: usize, bytes: usize) {
        (0..times).for_each(|_| doors.stored(mailbox, &token, bytes));
    }

    #[test]
    fn one_token_waits_when_it_has_stored_its_share_and_no_other_of_the_mailbox_does() {
        let doors = Doors::new(RATES);
        store(&doors, door(1, 1), 99, 512);
        assert!(!waits(&doors, door(1, 1)));
        store(&doors, door(1, 1), 20, 512);
        let wait = doors.wait(door(1, 1).0, &door(1, 1).1);
        assert!(wait.is_some_and(|wait| wait > Duration::from_secs(1) && wait < Duration::from_secs(2)), "{wait:?}");
        assert!(!waits(&doors, door(1, 2)));
        assert!(!waits(&doors, door(2, 1)), "the same token of another mailbox is another");
    }

    #[test]
    fn a_mailbox_waits_when_many_tokens_have_stored_its_share_and_no_other_mailbox_does() {
        let doors = Doors::new(RATES);
        for token in 0..5 {
            store(&doors, door(1, token), 45, 512);
        }
        assert!(waits(&doors, door(1, 0)));
        assert!(waits(&doors, door(1, 77)), "whoever it is");
        assert!(!waits(&doors, door(2, 0)));
    }

    #[test]
    fn long_envelopes_count_by_their_bytes() {
        let doors = Doors::new(RATES);
        store(&doors, door(1, 1), 7, 65_536);
        assert!(waits(&doors, door(1, 1)));
        store(&doors, door(1, 2), 7, COUNTED_BYTES);
        assert!(!waits(&doors, door(1, 2)));
    }

    #[test]
    fn a_flood_at_one_door_makes_nobody_wait_at_a_thousand_others() {
        let doors = Doors::new(RATES);
        store(&doors, door(0, 0), 1000, 65_536);
        for mailbox in 1..=200 {
            assert!((0..5).all(|token| !waits(&doors, door(mailbox, token))), "{mailbox}");
        }
    }
}
