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
        atomic::{AtomicBool, Ordering::Relaxed},
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
/// again, and whoever is turned away waits as long as packets do.
const REMEMBERED: Duration = Duration::from_secs(5);
const LATE_AGAIN: Duration = Duration::from_millis(10);

/// The first may come back after this, and the next each after this: a refusal costs next to nothing at this rate.
const FIRST_BACK: Duration = Duration::from_millis(250);
const NEXT_BACK: Duration = Duration::from_millis(1);

/// The longest that somebody is sent away for.
const LAST_BACK: Duration = Duration::from_secs(60);

/// Whether there is too much, shared by all connections.
#[derive(Debug)]
pub(crate) struct Overload {
    began: Instant,
    deposits: AtomicBool,
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
        let (deposits, connections) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { began: Instant::now(), deposits, connections, state: Mutex::default() }
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
        self.deposits.load(Relaxed)
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
            _ if self.is_on() => self.state().place(now),
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
    /// Whether to turn away deposits, and connections.
    fn look(&mut self, waits: Duration, now: Duration) -> (bool, bool) {
        let again = self.was_on.is_some_and(|was_on| now.saturating_sub(was_on) < REMEMBERED);
        if waits <= if again { LATE_AGAIN } else { LATE } {
            self.late_since = None;
            return (false, false);
        }
        let late_for = now.saturating_sub(*self.late_since.get_or_insert(now));
        let is_on = again || late_for >= LATE_FOR;
        if is_on {
            self.was_on = Some(now);
        }
        (is_on, late_for >= VERY_LATE_FOR)
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
            assert_eq!(state.look(LONG, now), (false, false));
            now += LOOK_EVERY;
        }
        assert_eq!(state.look(LATE, now), (false, false), "the burst is over");
        let began = now;
        while now <= began + 2 * VERY_LATE_FOR {
            let late_for = now - began;
            assert_eq!(state.look(LONG, now), (late_for >= LATE_FOR, late_for >= VERY_LATE_FOR));
            now += LOOK_EVERY;
        }
        assert_eq!(state.look(LATE_AGAIN, now), (false, false));
        assert_eq!(state.look(LATE, now + REMEMBERED / 2), (true, false), "again: at once, and sooner");
        assert_eq!(state.look(LATE_AGAIN, now + REMEMBERED), (false, false));
        assert_eq!(state.look(LONG, now + 2 * REMEMBERED), (false, false), "forgotten");
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
        overload.deposits.store(true, Relaxed);
        let first = overload.turns_away(&mut one).unwrap();
        let until = one;
        for _ in 0..1000 {
            assert!(overload.turns_away(&mut one).unwrap() <= first);
        }
        assert_eq!(one, until);
        overload.turns_away(&mut other).unwrap();
        assert!(other.until.unwrap() <= until.until.unwrap() + LONG, "as if the first had asked once");
        overload.deposits.store(false, Relaxed);
        assert!(overload.turns_away(&mut one).is_some(), "not before its time");
        assert_eq!(overload.turns_away(&mut Away::default()), None);
    }
}
