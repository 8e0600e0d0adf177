//! What an operator can watch: numbers about the whole relay, and no label that names a mailbox, a token, an address or
//! anybody.
//!
//! Counted where it happens, without locks; read by `admin.rs` and put into Prometheus' words by `text`.

pub(crate) mod text;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hushwire_proto::relay::RefusedReason;
pub use hushwire_server::metrics::{Counter, Gauge, Histogram, Reasons};

/// Jobs in one batch: powers of two up to what one batch takes.
const BATCH_JOBS: [u64; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// Microseconds of one sync, a fast disk's to one that should be replaced; and of packets that wait.
const WAIT_MICROS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_000_000];

/// Refusals, by reason.
pub type Refusals = Reasons<RefusedReason>;

/// Why a whisper went to nobody. Its sender is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// Nobody drains the mailbox.
    Absent,
    /// Something else waits for the one who does.
    Busy,
    /// More than one token is heard.
    TooOften,
    /// The relay has too much to do.
    Shed,
}

impl Unheard {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Absent, Self::Busy, Self::TooOften, Self::Shed];
}

/// Why a deposit was turned away before its mailbox was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// More requests than one address may make.
    Rate,
    /// More bytes in work than one address may have.
    BytesInWork,
    /// More packets come than can be read.
    Overload,
    /// Those before it wait too long to be written.
    Patience,
    /// More than one token may store, or one mailbox takes.
    Door,
    /// Its connection owns a mailbox.
    Owner,
}

impl TurnedAway {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Rate, Self::BytesInWork, Self::Overload, Self::Patience, Self::Door, Self::Owner];
}

/// What a queue holds. `bytes` counts as if every envelope were stored by itself; the last two are what lies on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Mailboxes.
    pub mailboxes: u64,
    /// Envelopes that wait.
    pub envelopes: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The part of these that one mailbox alone has.
    pub own_bytes: u64,
    /// Bytes of the bodies of all others, each once.
    pub body_bytes: u64,
}

impl Holding {
    /// With what came and without what went.
    fn changed(self, came: Self, gone: Self) -> Self {
        let change = |now: u64, came, gone| now.saturating_add(came).saturating_sub(gone);
        Self {
            mailboxes: change(self.mailboxes, came.mailboxes, gone.mailboxes),
            envelopes: change(self.envelopes, came.envelopes, gone.envelopes),
            bytes: change(self.bytes, came.bytes, gone.bytes),
            own_bytes: change(self.own_bytes, came.own_bytes, gone.own_bytes),
            body_bytes: change(self.body_bytes, came.body_bytes, gone.body_bytes),
        }
    }
}

/// Everything that a relay and its queue count, beside the connections.
#[derive(Debug)]
pub struct Metrics {
    /// Deposits answered *stored*, repeats among them.
    pub deposits_stored: Counter,
    /// Deposits refused. Each door of one to many counts, and if nothing was looked at the whole of it as one.
    pub deposits_refused: Refusals,
    /// Those of them that did not come as far as the queue.
    pub deposits_turned_away: Reasons<TurnedAway>,
    /// Requests of any kind refused.
    pub refused: Refusals,
    /// Envelopes that left in a push, some of them more than once.
    pub delivered: Counter,
    /// Whispers handed to whoever was there.
    pub whispers_passed: Counter,
    /// Whispers dropped.
    pub whispers_dropped: Reasons<Unheard>,
    /// Envelopes removed because their owner has them.
    pub acknowledged: Counter,
    /// Envelopes that expired.
    pub expired: Counter,
    /// [`Holding::mailboxes`].
    pub mailboxes: Gauge,
    /// [`Holding::envelopes`].
    pub envelopes: Gauge,
    /// [`Holding::bytes`].
    pub bytes: Gauge,
    /// [`Holding::own_bytes`].
    pub own_bytes: Gauge,
    /// [`Holding::body_bytes`].
    pub body_bytes: Gauge,
    /// Bytes of deposits that wait to be written.
    pub backlog: Gauge,
    /// How many may wait; 0: nothing ever waits.
    pub backlog_max: Gauge,
    /// Jobs that one batch had.
    pub batch_jobs: Histogram<11>,
    /// Microseconds that writing and syncing one batch took.
    pub sync_micros: Histogram<12>,
    /// Microseconds that packets waited in the socket until they were read: one for each look, some 200 in a second whatever
    /// comes, and a probe that is out counts at each of them. So its quantiles are shares of time, not of packets.
    pub socket_micros: Histogram<12>,
    /// Bytes free on the disk of the queue; 0: not known.
    pub disk_free: Gauge,
    /// Bytes that must stay free on it.
    pub disk_reserve: Gauge,
    /// Less is free than that.
    pub disk_low: AtomicBool,
    /// The queue failed because not a byte was free.
    pub out_of_space: AtomicBool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            deposits_stored: Counter::default(),
            deposits_refused: Refusals::new(RefusedReason::ALL),
            deposits_turned_away: Reasons::new(TurnedAway::ALL),
            refused: Refusals::new(RefusedReason::ALL),
            delivered: Counter::default(),
            whispers_passed: Counter::default(),
            whispers_dropped: Reasons::new(Unheard::ALL),
            acknowledged: Counter::default(),
            expired: Counter::default(),
            mailboxes: Gauge::default(),
            envelopes: Gauge::default(),
            bytes: Gauge::default(),
            own_bytes: Gauge::default(),
            body_bytes: Gauge::default(),
            backlog: Gauge::default(),
            backlog_max: Gauge::default(),
            batch_jobs: Histogram::new(BATCH_JOBS),
            sync_micros: Histogram::new(WAIT_MICROS),
            socket_micros: Histogram::new(WAIT_MICROS),
            disk_free: Gauge::default(),
            disk_reserve: Gauge::default(),
            disk_low: AtomicBool::default(),
            out_of_space: AtomicBool::default(),
        }
    }
}

impl Metrics {
    /// The queue holds this.
    pub fn holds(&self, holding: Holding) {
        let Holding { mailboxes, envelopes, bytes, own_bytes, body_bytes } = holding;
        self.mailboxes.set(mailboxes);
        self.envelopes.set(envelopes);
        self.bytes.set(bytes);
        self.own_bytes.set(own_bytes);
        self.body_bytes.set(body_bytes);
    }

    /// Hundredths of what may wait that do.
    pub(crate) fn pressure(&self) -> u64 {
        self.backlog.get().saturating_mul(100).checked_div(self.backlog_max.get()).unwrap_or(0)
    }

    /// Whether nothing new is taken.
    pub(crate) fn is_low(&self) -> bool {
        self.disk_low.load(Relaxed)
    }

    /// The queue holds so much more. Said by one thread at a time.
    pub(crate) fn came(&self, more: Holding) {
        self.holds(self.holding().changed(more, Holding::default()));
    }

    /// The queue holds so much less. Said by one thread at a time.
    pub(crate) fn went(&self, less: Holding) {
        self.holds(self.holding().changed(Holding::default(), less));
    }

    /// The queue holds so much.
    pub(crate) fn holding(&self) -> Holding {
        Holding {
            mailboxes: self.mailboxes.get(),
            envelopes: self.envelopes.get(),
            bytes: self.bytes.get(),
            own_bytes: self.own_bytes.get(),
            body_bytes: self.body_bytes.get(),
        }
    }

    /// What became of a whisper whose door was right, or was not looked at.
    pub(crate) fn whispered(&self, heard: Result<(), Unheard>) {
        match heard {
            Ok(()) => self.whispers_passed.add(1),
            Err(reason) => self.whispers_dropped.count(reason),
        }
    }

    /// A deposit was answered.
    pub fn deposited(&self, outcome: Result<(), RefusedReason>) {
        match outcome {
            Ok(()) => self.deposits_stored.add(1),
            Err(reason) => self.deposits_refused.count(reason),
        }
    }
}
