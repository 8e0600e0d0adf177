//! What time it is. Asked for at the edge only; everything further in is told.
//!
//! Two clocks. The *wall clock* is what people's machines agree on; it may jump, and clients are told it. The *relay's
//! time* says how long something has been kept: it begins at the wall clock of the first start, grows by what really
//! passes while the relay runs, and never jumps. Expiry goes by the second alone. So a wall clock that is set forward
//! expires nothing early, one that is set back stops nothing, and time in which nobody could fetch does not count.
//!
//! Spec: relay §5.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hushwire_proto::ids::UnixMillis;

/// Where a relay takes the time from.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> UnixMillis + Send + Sync>,
    steady: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        let began = Instant::now();
        let wall = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
        };
        Self::of(wall, move || began.elapsed())
    }

    /// A clock that tests and simulations move, and that only they move: what it moves has passed.
    pub fn from_fn(now: impl Fn() -> UnixMillis + Clone + Send + Sync + 'static) -> Self {
        let passing = now.clone();
        Self::of(now, move || Duration::from_millis(passing().0))
    }

    /// A wall clock, and one that only ever passes.
    pub fn of(
        wall: impl Fn() -> UnixMillis + Send + Sync + 'static,
        steady: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), steady: Arc::new(steady) }
    }

    /// The time on the wall.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        (self.wall)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(..)")
    }
}

/// How long things have been kept.
#[derive(Clone, Debug)]
pub struct RelayTime {
    clock: Clock,
    began_at: UnixMillis,
    began: Duration,
}

impl RelayTime {
    /// Goes on where it was when it was last kept; begins with the wall clock.
    #[must_use]
    pub fn go_on(clock: Clock, kept: Option<UnixMillis>) -> Self {
        let (began_at, began) = (kept.unwrap_or_else(|| clock.now()), (clock.steady)());
        Self { clock, began_at, began }
    }

    /// The relay's time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        let passed = (self.clock.steady)().saturating_sub(self.began);
        self.began_at.plus(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time on the wall.
    #[must_use]
    pub fn wall(&self) -> UnixMillis {
        self.clock.now()
    }

    /// What to tell of something that came at this time of the relay: so long ago, by the clock on the wall.
    #[must_use]
    pub fn told(&self, came: UnixMillis) -> UnixMillis {
        UnixMillis(self.wall().0.saturating_sub(self.now().since(came)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    const HOUR: u64 = 3_600_000;
    const START: u64 = 1_750_000_000_000;

    fn clocks() -> (Arc<AtomicU64>, Arc<AtomicU64>, Clock) {
        let (wall, steady) = (Arc::new(AtomicU64::new(START)), Arc::new(AtomicU64::new(77)));
        let (shown, passed) = (wall.clone(), steady.clone());
        let clock =
            Clock::of(move || UnixMillis(shown.load(Relaxed)), move || Duration::from_millis(passed.load(Relaxed)));
        (wall, steady, clock)
    }

    #[test]
    fn the_relays_time_passes_as_time_does_whatever_the_wall_clock_shows() {
        let (wall, steady, clock) = clocks();
        let time = RelayTime::go_on(clock, None);
        assert_eq!(time.now(), UnixMillis(START));
        for shown in [START + 45 * 24 * HOUR, 0, START] {
            wall.store(shown, Relaxed);
            assert_eq!(time.now(), UnixMillis(START));
        }
        steady.fetch_add(HOUR, Relaxed);
        assert_eq!(time.now(), UnixMillis(START + HOUR));
    }

    #[test]
    fn the_relays_time_goes_on_where_it_was_kept_and_what_passed_meanwhile_does_not_count() {
        let (wall, _, clock) = clocks();
        wall.fetch_add(100 * HOUR, Relaxed);
        let time = RelayTime::go_on(clock, Some(UnixMillis(START + 5)));
        assert_eq!(time.now(), UnixMillis(START + 5));
    }

    #[test]
    fn an_age_is_told_by_the_clock_on_the_wall() {
        let (wall, steady, clock) = clocks();
        let time = RelayTime::go_on(clock, None);
        let came = time.now();
        steady.fetch_add(2 * HOUR, Relaxed);
        wall.store(START + 1000 * HOUR, Relaxed); // it was wrong, and was set
        assert_eq!(time.told(came), UnixMillis(START + 998 * HOUR));
        wall.store(HOUR, Relaxed);
        assert_eq!(time.told(came), UnixMillis(0));
    }
}
