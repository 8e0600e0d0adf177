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

/// Late for so long although they are: who was turned away does not stay away. To tell them so again and again costs as much
/// as to take what they bring.
const IN_VAIN_AFTER: Duration = Duration::from_secs(1);

/// After this it is tried again.
const IN_VAIN_FOR: Duration = Duration::from_secs(10);

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
    /// Also who is still to stay away is taken.
    in_vain: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    late_since: Option<Duration>,
    /// When it was found that nobody stays away.
    in_vain: Option<Duration>,
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
        let [deposits, connections, in_vain] = [(); 3].map(|()| AtomicBool::new(false));
        Self { began: Instant::now(), deposits, connections, in_vain, state: Mutex::default() }
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
                let turns = overload.state().look(waits, overload.began.elapsed());
                overload.deposits.store(turns.deposits, Relaxed);
                overload.connections.store(turns.connections, Relaxed);
                overload.in_vain.store(turns.in_vain, Relaxed);
                drop(overload);
                thread::sleep(LOOK_EVERY);
            }
        };
        Builder::new().name("overload".to_owned()).spawn(look).map(drop)
    }

    /// Whether there is no time for what need not arrive.
    pub(crate) fn is_on(&self) -> bool {
        self.deposits.load(Relaxed) || self.in_vain.load(Relaxed)
    }

    /// Whether who is not connected yet is turned away as well.
    pub(crate) fn turns_connections_away(&self) -> bool {
        self.connections.load(Relaxed)
    }

    /// Whether a sender is turned away, and for how long. One who comes back too early is told the same again, unless that is
    /// in vain.
    pub(crate) fn turns_away(&self, away: &mut Away) -> Option<Duration> {
        let turns_away = self.deposits.load(Relaxed);
        if self.in_vain.load(Relaxed) || (away.until.is_none() && !turns_away) {
            return None;
        }
        let now = self.began.elapsed();
        let until = match away.until {
            Some(until) if until > now => until,
            _ if turns_away => self.state().place(now),
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

/// What is turned away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Turns {
    deposits: bool,
    connections: bool,
    in_vain: bool,
}

impl State {
    /// What to turn away from now on.
    fn look(&mut self, waits: Duration, now: Duration) -> Turns {
        let within = |since: Option<Duration>, lasts| since.is_some_and(|since| now.saturating_sub(since) < lasts);
        let again = within(self.was_on, REMEMBERED);
        let is_late = waits > if again { LATE_AGAIN } else { LATE };
        if !is_late {
            self.late_since = None;
        }
        if within(self.in_vain, IN_VAIN_FOR) {
            return Turns { connections: is_late, in_vain: true, ..Turns::default() };
        }
        if !is_late {
            return Turns::default();
        }
        if self.in_vain.take().is_some() {
            self.late_since = None; // from here on it is tried again
        }
        let late_for = now.saturating_sub(*self.late_since.get_or_insert(now));
        if late_for >= IN_VAIN_AFTER {
            self.in_vain = Some(now);
            return Turns { connections: true, in_vain: true, ..Turns::default() };
        }
        let is_on = again || late_for >= LATE_FOR;
        if is_on {
            self.was_on = Some(now);
        }
        Turns { deposits: is_on, connections: late_for >= VERY_LATE_FOR, in_vain: false }
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
            assert_eq!(state.look(LONG, now), Turns::default());
            now += LOOK_EVERY;
        }
        assert_eq!(state.look(LATE, now), Turns::default(), "the burst is over");
        let began = now;
        while now < began + IN_VAIN_AFTER {
            let late_for = now - began;
            assert_eq!(state.look(LONG, now), turns(late_for >= LATE_FOR, late_for >= VERY_LATE_FOR));
            now += LOOK_EVERY;
        }
        assert_eq!(state.look(LATE_AGAIN, now), Turns::default());
        assert_eq!(state.look(LATE, now + REMEMBERED / 2), turns(true, false), "again: at once, and sooner");
        assert_eq!(state.look(LATE_AGAIN, now + REMEMBERED), Turns::default());
        assert_eq!(state.look(LONG, now + 2 * REMEMBERED), Turns::default(), "forgotten");
    }

    #[test]
    fn nobody_is_turned_away_who_does_not_stay_away_but_for_a_try_now_and_then() {
        let mut state = State::default();
        let looks = 30 * 1000 / LOOK_EVERY.as_millis();
        let seen: Vec<Turns> = (0..looks)
            .zip(1..)
            .map(|(_, look)| state.look(LONG, Duration::from_secs(100) + look * LOOK_EVERY))
            .collect();
        let count = |of: fn(&Turns) -> bool| seen.iter().filter(|turns| of(turns)).count() as u128 * 100 / looks;
        assert!(!seen.iter().any(|turns| turns.deposits && turns.in_vain));
        assert!((85..95).contains(&count(|turns| turns.in_vain)), "{}", count(|turns| turns.in_vain));
        assert!((5..12).contains(&count(|turns| turns.deposits)), "{}", count(|turns| turns.deposits));
        let after = Duration::from_secs(200);
        assert_eq!(state.look(LATE_AGAIN, after), Turns::default());
        assert_eq!(state.look(LONG, after), Turns::default(), "a burst again");
    }

    const fn turns(deposits: bool, connections: bool) -> Turns {
        Turns { deposits, connections, in_vain: false }
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
        overload.in_vain.store(true, Relaxed);
        assert_eq!(overload.turns_away(&mut one), None);
    }
}
