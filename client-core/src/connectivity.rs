//! Whether we are online, as an app shows it.

use std::time::Duration;

use hushwire_proto::ids::UnixMillis;
use tokio::sync::watch;

/// A clock this far off makes times in the history wrong and retries late. Longer than any round trip.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How the own relay is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connectivity {
    /// The signed-in connection to the own relay.
    pub relay: Reach,
    /// What the last try that failed met, as a sentence with what to do. Cleared by success.
    pub last_error: Option<String>,
    /// When it is tried again.
    pub next_try: Option<UnixMillis>,
    /// Everything that the relay had when we connected is kept here.
    pub caught_up: bool,
    /// How far it is with that. Still told until the next connection begins.
    pub backlog: Backlog,
    /// Set when the relay's clock and ours differ by more than five minutes.
    pub clock_off: Option<ClockOff>,
    /// Bytes of all requests to servers since the client was opened, before TLS and QUIC add theirs. Nobody is woken when
    /// only this has changed.
    pub uploaded: u64,
}

impl Connectivity {
    /// What was caught up with belongs to the connection that is gone.
    pub(crate) fn reach(&mut self, relay: Reach) {
        self.relay = relay;
        self.caught_up = false;
        if relay == Reach::Connecting {
            self.backlog = Backlog::default();
        }
    }

    /// A request of so many bytes goes out.
    pub(crate) fn count(shown: &watch::Sender<Self>, bytes: usize) {
        shown.send_if_modified(|shown| {
            shown.uploaded = shown.uploaded.saturating_add(bytes as u64);
            false
        });
    }
}

/// What the relay had for us when we connected, in envelopes: not all of them are messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many it said there are; 0: none, or it does not say.
    pub waiting: u64,
    /// How many have come and are kept. What was deposited meanwhile counts too, so that this may be more.
    pub kept: u64,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Not connected; after a failed try it waits for the next.
    #[default]
    Offline,
    /// A try is under way.
    Connecting,
    /// Signed in; envelopes come as they are deposited.
    Online,
}

/// Our clock against the relay's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockOff {
    /// Ours is ahead by so much.
    Ahead(Duration),
    /// Ours is behind by so much.
    Behind(Duration),
}

impl ClockOff {
    /// `None` while both agree well enough.
    pub(crate) fn between(ours: UnixMillis, theirs: UnixMillis) -> Option<Self> {
        let ahead = Duration::from_millis(ours.since(theirs));
        let behind = Duration::from_millis(theirs.since(ours));
        if ahead > CLOCK_TOLERANCE {
            Some(Self::Ahead(ahead))
        } else if behind > CLOCK_TOLERANCE {
            Some(Self::Behind(behind))
        } else {
            None
        }
    }
}

impl std::fmt::Display for ClockOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (by, how) = match self {
            Self::Ahead(by) => (by, "ahead of"),
            Self::Behind(by) => (by, "behind"),
        };
        write!(f, "this machine's clock is {} minutes {how} the server's", by.as_secs() / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_belongs_to_its_connection() {
        let mut shown = Connectivity { backlog: Backlog { waiting: 10, kept: 4 }, ..Connectivity::default() };
        shown.reach(Reach::Offline);
        assert_eq!(shown.backlog, Backlog { waiting: 10, kept: 4 });
        shown.reach(Reach::Connecting);
        assert_eq!(shown.backlog, Backlog::default());
    }

    #[test]
    fn a_clock_is_off_from_more_than_five_minutes_on_in_either_direction() {
        let noon = UnixMillis(1_800_000_000_000);
        assert_eq!(ClockOff::between(noon.plus(300_000), noon), None);
        assert_eq!(ClockOff::between(noon.plus(300_001), noon), Some(ClockOff::Ahead(Duration::from_millis(300_001))));
        assert_eq!(ClockOff::between(noon, noon.plus(600_000)), Some(ClockOff::Behind(Duration::from_secs(600))));
    }
}
