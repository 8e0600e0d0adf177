//! More comes than this relay's processors can take: who is turned away, and when they may come back.
//!
//! What waits then waits in the socket, before it is read, and each packet that is read and answered makes those behind it wait.
//! So senders are turned away who have a place in time to come back, one after another, and stay away until then. That
//! keeps the number of refusals in a second the same, however many senders there are.
//!
//! Spec: relay §8.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread::{self, Builder},
    time::{Duration, Instant},
};

use hushwire_proto::net::serve::Backlog;

/// Packets that wait longer are late: a few times what a busy relay that keeps up lets them wait, and a fifth of what a person
/// notices.
const LATE: Duration = Duration::from_millis(20);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Late for so long, and senders are turned away: a burst is over by then.
const LATE_FOR: Duration = Duration::from_millis(100);

/// Late for so long although they are: what comes are handshakes, and no further connection is taken.
const VERY_LATE_FOR: Duration = Duration::from_millis(500);

/// For so long after the last of it senders are turned away as soon as packets wait a little: what came back was too much
/// again, and whoever is turned away waits as long as packets do. The longer they wait the more, so that as many stay as
/// there is time for (random early detection).
const REMEMBERED: Duration = Duration::from_secs(5);
const NONE_BELOW: Duration = Duration::from_millis(4);
const ALL_FROM: Duration = Duration::from_millis(10);

/// All, as a share; and never more of them than most, so that something goes through of those who stay away when asked, however
/// many come who do not.
const ALL: u32 = 1000;
const MOST: u32 = 900;

/// The first may come back after this, and the next each after this: few enough that refusals cost little, and that it is seen in
/// time when it is one too many.
const FIRST_BACK: Duration = Duration::from_millis(250);
const NEXT_BACK: Duration = Duration::from_millis(2);

/// The longest that somebody is sent away for.
const LAST_BACK: Duration = Duration::from_secs(60);

/// Whether there is too much, shared by all connections.
#[derive(Debug)]
pub(crate) struct Overload {
    began: Instant,
    /// How many of [`ALL`].
    deposits: AtomicU32,
    /// The shares of all deposits that came, added up.
    shares: AtomicU32,
    connections: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    late_since: Option<Duration>,
    /// When it was last so.
    was_on: Option<Duration>,
    /// When the last who was turned away may come back.
    back: Duration,
}

/// Until when one sender was asked to stay away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Away {
    until: Option<Duration>,
}

impl Default for Overload {
    fn default() -> Self {
        let (deposits, shares, connections) = (AtomicU32::new(0), AtomicU32::new(0), AtomicBool::new(false));
        Self { began: Instant::now(), deposits, shares, connections, state: Mutex::default() }
    }
}

impl Overload {
    /// Looks at how long packets wait as long as anybody else has this, and tells that too. On a thread of its own, because
    /// those that serve are late when it matters.
    pub(crate) fn watch(
        self: &Arc<Self>,
        backlog: Arc<Backlog>,
        told: impl Fn(Duration) + Send + 'static,
    ) -> io::Result<()> {
        let watched = Arc::downgrade(self);
        let look = move || {
            while let Some(overload) = watched.upgrade() {
                let waits = backlog.sound();
                told(waits);
                let (deposits, connections) = overload.state().look(waits, overload.began.elapsed());
                overload.deposits.store(deposits, Relaxed);
                overload.connections.store(connections, Relaxed);
                drop(overload);
                thread::sleep(LOOK_EVERY);
            }
        };
        Builder::new().name("overload".to_owned()).spawn(look).map(drop)
    }

    /// Whether senders are turned away.
    pub(crate) fn is_on(&self) -> bool {
        self.deposits.load(Relaxed) > 0
    }

    /// Whether this one is: every so many.
    fn is_next(&self) -> bool {
        let share = self.deposits.load(Relaxed);
        share > 0 && self.shares.fetch_add(share, Relaxed) % ALL + share >= ALL
    }

    /// Whether who is not connected yet is turned away as well.
    pub(crate) fn turns_connections_away(&self) -> bool {
        self.connections.load(Relaxed)
    }

    /// Whether a sender is turned away, and for how long. One who comes back too early is told the same again.
    pub(crate) fn turns_away(&self, away: &mut Away) -> Option<Duration> {
        if away.until.is_none() && !self.is_on() {
            return None;
        }
        let now = self.began.elapsed();
        let until = match away.until {
            Some(until) if until > now => until,
            _ if self.is_next() => self.state().place(now),
            _ => {
                away.until = None;
                return None;
            }
        };
        away.until = Some(until);
        Some(until.saturating_sub(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
    }
}

impl State {
    /// How many deposits of [`ALL`] to turn away, and whether connections.
    fn look(&mut self, waits: Duration, now: Duration) -> (u32, bool) {
        let late_since = (waits > LATE).then(|| self.late_since.unwrap_or(now));
        self.late_since = late_since;
        let late_for = late_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let again = self.was_on.is_some_and(|was_on| now.saturating_sub(was_on) < REMEMBERED);
        if late_for < LATE_FOR && !again {
            return (0, false);
        }
        if waits >= ALL_FROM {
            self.was_on = Some(now);
        }
        let beyond = waits.min(ALL_FROM).saturating_sub(NONE_BELOW).as_micros();
        let share = beyond * u128::from(ALL) / (ALL_FROM - NONE_BELOW).as_micros();
        (u32::try_from(share).unwrap_or(ALL).min(MOST), late_for >= VERY_LATE_FOR)
    }

    /// When the next who is turned away may come back.
    fn place(&mut self, now: Duration) -> Duration {
        self.back = (self.back + NEXT_BACK).clamp(now + FIRST_BACK, now + LAST_BACK);
        self.back
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LONG: Duration = Duration::from_millis(100);

    #[test]
    fn a_burst_is_taken_and_what_does_not_end_is_turned_away_until_packets_wait_no_longer() {
        let mut state = State::default();
        let mut now = Duration::from_secs(100);
        let began = now;
        while now < began + LATE_FOR {
            assert_eq!(state.look(LONG, now), (0, false));
            now += LOOK_EVERY;
        }
        assert_eq!(state.look(LATE, now), (0, false), "the burst is over");
        let began = now;
        while now <= began + 2 * VERY_LATE_FOR {
            let late_for = now - began;
            let share = if late_for >= LATE_FOR { MOST } else { 0 };
            assert_eq!(state.look(LONG, now), (share, late_for >= VERY_LATE_FOR));
            now += LOOK_EVERY;
        }
        assert_eq!(state.look(NONE_BELOW, now), (0, false));
        assert_eq!(state.look(ALL_FROM, now + REMEMBERED / 2), (MOST, false), "again: at once, and sooner");
        assert_eq!(state.look(NONE_BELOW, now + REMEMBERED), (0, false));
        assert_eq!(state.look(LONG, now + 2 * REMEMBERED), (0, false), "forgotten");
    }

    #[test]
    fn the_longer_packets_wait_the_more_are_turned_away_and_a_short_wait_is_soon_forgotten() {
        let now = Duration::from_secs(100);
        let mut state = State { was_on: Some(now), ..State::default() };
        let waits = [NONE_BELOW, (NONE_BELOW + ALL_FROM) / 2, ALL_FROM, LONG];
        let shares = waits.map(|waits| state.look(waits, now).0);
        assert_eq!(shares, [0, ALL / 2, MOST, MOST]);
        let between = (NONE_BELOW + ALL_FROM) / 2;
        assert_eq!(state.look(between, now + REMEMBERED - LOOK_EVERY).0, ALL / 2);
        assert_eq!(state.look(between, now + REMEMBERED).0, 0, "a wait of that length keeps nobody away for ever");
    }

    #[test]
    fn of_a_share_every_so_many_are_turned_away_and_never_all() {
        let overload = Overload::default();
        for share in [0, 1, ALL / 4, MOST] {
            overload.deposits.store(share, Relaxed);
            let away = (0..ALL).filter(|_| overload.turns_away(&mut Away::default()).is_some()).count();
            assert_eq!(away, usize::try_from(share).unwrap());
        }
    }

    #[test]
    fn who_is_turned_away_comes_back_one_after_another_and_nobody_waits_for_ever() {
        let mut state = State::default();
        let now = Duration::from_secs(100);
        let places: Vec<_> = (0..100_000).map(|_| state.place(now)).collect();
        assert_eq!(places.first(), Some(&(now + FIRST_BACK)));
        assert_eq!(places.get(1000), Some(&(now + FIRST_BACK + 1000 * NEXT_BACK)));
        assert_eq!(places.last(), Some(&(now + LAST_BACK)));
        assert_eq!(state.place(now + 2 * LAST_BACK), now + 2 * LAST_BACK + FIRST_BACK, "all are back");
    }

    #[test]
    fn one_who_comes_back_early_waits_no_less_and_takes_no_further_place() {
        let overload = Overload::default();
        let (mut one, mut other) = (Away::default(), Away::default());
        assert_eq!(overload.turns_away(&mut one), None);
        overload.deposits.store(ALL, Relaxed);
        let first = overload.turns_away(&mut one).unwrap();
        let until = one;
        for _ in 0..1000 {
            assert!(overload.turns_away(&mut one).unwrap() <= first);
        }
        assert_eq!(one, until);
        overload.turns_away(&mut other).unwrap();
        assert!(other.until.unwrap() <= until.until.unwrap() + LONG, "as if the first had asked once");
        overload.deposits.store(0, Relaxed);
        assert!(overload.turns_away(&mut one).is_some(), "not before its time");
        assert_eq!(overload.turns_away(&mut Away::default()), None);
    }
}
