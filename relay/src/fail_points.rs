//! The steps between what arrives and what is answered, at each of which a relay can be made to end as if it were killed.
//!
//! Only in a program of its own, `hushwire-relay-fail-points`, which is built with the feature of that name and never
//! installed. Everywhere else [`reach`] is empty. Who wants it to end there says `HUSHWIRE_FAIL_POINT="NAME N"`: the Nth
//! time that a process reaches the step. What lies between a write and its sync is inside of RocksDB and no step here.

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident, $name:literal, $often:literal;)*) => {
        /// A step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Step {
            $($(#[$doc])* $step,)*
        }

        /// Name, and how often a process that serves some clients for a few seconds reaches it at least. `0`: only a
        /// process that makes a new queue does, once.
        #[cfg(feature = "fail-points")]
        pub const STEPS: &[(&str, u32)] = &[$(($name, $often)),*];

        #[cfg(feature = "fail-points")]
        impl Step {
            fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)*
                }
            }
        }
    };
}

steps! {
    /// A new database, or one of an earlier schema, is about to be marked as of this one.
    Migrating, "migrating", 0;
    /// The database is open and its log replayed.
    Opened, "opened", 1;
    /// The queue can be served.
    Ready, "ready", 1;
    /// A deposit was understood.
    Received, "received", 1000;
    /// A job has its place in line.
    Waiting, "waiting", 1000;
    /// A batch is gathered.
    Gathered, "gathered", 100;
    /// A batch is about to be written.
    Writing, "writing", 100;
    /// It is on the disk.
    Synced, "synced", 100;
    /// The mark says so.
    Marked, "marked", 100;
    /// Whoever waits for its envelopes has them, and nobody was answered.
    Published, "published", 100;
    /// A deposit is about to be answered stored.
    Answering, "answering", 1000;
    /// Envelopes are about to leave for their device.
    Pushing, "pushing", 100;
    /// They have left.
    Pushed, "pushed", 100;
    /// An acknowledgement was understood.
    Acknowledging, "acknowledging", 100;
    /// What it names is durably forgotten.
    Acknowledged, "acknowledged", 100;
    /// What expired is about to be looked for.
    Expiring, "expiring", 20;
    /// It is gone.
    Expired, "expired", 20;
    /// What is in memory is about to be written to files, so that they can be compacted.
    Flushing, "flushing", 1;
    /// A part of the files is about to be compacted.
    Compacting, "compacting", 10;
}

/// Comes by here.
#[cfg(not(feature = "fail-points"))]
#[inline(always)]
pub(crate) fn reach(_: Step) {}

/// Comes by here, and may go no further.
#[cfg(feature = "fail-points")]
pub(crate) fn reach(step: Step) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    };

    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static REACHED: AtomicU32 = AtomicU32::new(0);

    let wanted = WANTED.get_or_init(|| {
        let said = std::env::var("HUSHWIRE_FAIL_POINT").ok()?;
        let (name, times) = said.split_once(' ')?;
        Some((name.to_owned(), times.parse().ok()?))
    });
    if let Some((name, times)) = wanted
        && name == step.name()
        && REACHED.fetch_add(1, Relaxed).saturating_add(1) == *times
    {
        std::process::abort();
    }
}
