//! Pairs of a sender and a device that is there, connected once and driven for one period after another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Bodies, all, deposit_id, moment_after, until};
use crate::Failure;
use crate::line::{Line, Mouth};
use crate::target::Target;
use crate::times::{Times, nanos, now};
use crate::tongue::{Deposit, Door, Event, Mailbox};
use crate::usage::{Span, Used};

/// Connections that are set up at the same time.
const CONNECTING: usize = 8;

/// A sender with so many deposits unanswered sends no more: those are counted as held back.
const UNANSWERED_MAX: u64 = 4096;

/// One that the generator is so late with is held back as well: its time would be the generator's, not the server's.
const LATE_MAX: Duration = Duration::from_millis(100);

/// How often it is looked how long what is begun waits in this program.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub struct Guests {
    /// How many pairs.
    pub pairs: u32,
    /// Senders that share the first mailbox: one in which much more arrives than in the others. 0: none.
    pub hot: u32,
    /// Messages under way in each pair, in a period without a rate.
    pub window: u64,
    /// Bytes of an envelope.
    pub bytes: usize,
}

/// How long, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// How long connections find their speed, uncounted.
    pub warm_up: Duration,
    /// How long is counted.
    pub measured: Duration,
    /// Messages in a second, of all pairs together; `None`: as the window allows.
    pub rate: Option<u64>,
    /// How long is waited afterwards for answers to what was counted.
    pub settle: Duration,
}

/// What came in the counted time, whenever it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Came {
    /// What it took.
    pub used: Used,
    /// Answered stored.
    pub stored: u64,
    /// Stored, delivered and acknowledged: the least of the three.
    pub through: u64,
    /// Of those that have a mailbox each, from the beginning until all is answered: refused, held back, and stayed away.
    pub not_stored: [u64; 3],
}

/// Counts of all pairs of one kind. Times are those of messages of the counted time only.
#[derive(Debug, Default)]
pub struct Meter {
    since: AtomicU64,
    before: AtomicU64,
    /// Deposits begun.
    sent: AtomicU64,
    /// Deposits that were to begin, but for the generator or a sender that has too many unanswered.
    pub held_back: AtomicU64,
    /// Deposits that were to begin at a time for which their sender was asked to stay away.
    pub stayed_away: AtomicU64,
    stored: AtomicU64,
    /// Answered otherwise.
    pub refused: AtomicU64,
    delivered: AtomicU64,
    acknowledged: AtomicU64,
    /// Connections that were lost.
    pub lost: AtomicU64,
    /// From when one was to be sent until it was stored.
    pub stored_times: Times,
    /// Until it was refused.
    pub refused_times: Times,
    /// Until the device had it.
    pub delivered_times: Times,
    /// How late the generator was: from when something was to begin until a task of its own ran. Part of all others.
    pub own_times: Times,
}

/// Sent, stored and delivered of one pair.
#[derive(Debug, Default)]
struct Progress {
    last: u64,
    /// When it may come back.
    back: u64,
    sent: u64,
    answered: u64,
    delivered: u64,
}

#[derive(Debug)]
struct Pair {
    door: Arc<Door>,
    mouth: Mouth,
    progress: Mutex<Progress>,
    window: u64,
    meter: Arc<Meter>,
    bodies: Arc<Bodies>,
    stopped: AtomicBool,
    /// Whether it stays away for as long as it is asked to.
    heeds: Arc<AtomicBool>,
}

/// Pairs that are connected.
pub struct Crowd {
    pairs: Vec<Arc<Pair>>,
    /// Those that have a mailbox each.
    pub usual: Arc<Meter>,
    /// Those that share one.
    pub hot: Arc<Meter>,
    /// Whether a sender that is asked to stay away does, as clients do.
    pub heeds: Arc<AtomicBool>,
    lines: Vec<JoinHandle<()>>,
    devices: Vec<Mouth>,
}

impl Crowd {
    /// Connects them all. Sends nothing.
    ///
    /// # Errors
    /// The first that could not connect.
    pub async fn gather(target: &Target, guests: Guests) -> Result<Self, Failure> {
        let bodies = Arc::new(Bodies::new(guests.bytes));
        let mailboxes: Vec<_> = (0..guests.pairs - guests.hot.saturating_sub(1)).map(Mailbox::new).collect();
        let owners = all(guests.pairs - guests.hot.saturating_sub(1), CONNECTING, |index| {
            let (target, mailbox) = (target.clone(), mailboxes.get(usize::try_from(index).unwrap_or(0)).cloned());
            async move { Line::drain(&target, &mailbox.ok_or("no mailbox")?, 0).await }
        });
        let owners = owners.await?;
        let senders = all(guests.pairs, CONNECTING, |_| {
            let target = target.clone();
            async move { Line::sender(&target).await }
        });
        let senders = senders.await?;
        let (lines, devices) = (Vec::new(), Vec::new());
        let heeds = Arc::new(AtomicBool::new(true));
        let (usual, hot) = (Arc::default(), Arc::default());
        let mut crowd = Self { pairs: Vec::new(), usual, hot, heeds: heeds.clone(), lines, devices };
        let (first, others) = mailboxes.split_first().ok_or("nobody comes")?;
        let doors = std::iter::repeat_n(first, usize::try_from(guests.hot.max(1)).unwrap_or(1)).chain(others);
        for ((index, sender), mailbox) in (0..).zip(senders).zip(doors) {
            let meter = if index < guests.hot { crowd.hot.clone() } else { crowd.usual.clone() };
            let (mouth, deposits) = Mouth::new();
            let (progress, stopped) = (Mutex::default(), AtomicBool::default());
            let (door, window, bodies) = (mailbox.door.clone(), guests.window, bodies.clone());
            let pair = Pair { door, mouth, progress, window, meter, bodies, stopped, heeds: heeds.clone() };
            let pair = Arc::new(pair);
            crowd.attend(&pair, sender, deposits);
            crowd.pairs.push(pair);
        }
        let first_of_others = usize::try_from(guests.hot.max(1)).unwrap_or(1);
        let hosts: Vec<_> =
            crowd.pairs.iter().take(1).chain(crowd.pairs.iter().skip(first_of_others)).cloned().collect();
        for (pair, owner) in hosts.iter().zip(owners) {
            let (device, nothing) = Mouth::new();
            crowd.attend(pair, owner, nothing);
            crowd.devices.push(device);
        }
        Ok(crowd)
    }

    fn attend(
        &mut self,
        pair: &Arc<Pair>,
        line: Line,
        deposits: tokio::sync::mpsc::UnboundedReceiver<crate::tongue::Said>,
    ) {
        let (meter, pair) = (pair.meter.clone(), Arc::downgrade(pair));
        self.lines.push(tokio::spawn(async move {
            let heard = |event| {
                if let Some(pair) = pair.upgrade() {
                    pair.hears(event);
                }
            };
            if line.run(deposits, heard).await.is_err() {
                meter.lost.fetch_add(1, Relaxed);
            }
        }));
    }

    /// Drives it for a while and counts.
    pub async fn drive(&self, target: &Target, period: Period) -> Came {
        let meters = [&self.usual, &self.hot];
        meters.iter().for_each(|meter| meter.begins());
        let not_stored_before = self.usual.not_stored();
        let pacer = period.rate.map(|rate| self.pace(rate, period.warm_up + period.measured));
        if pacer.is_none() {
            self.pairs.iter().for_each(|pair| pair.went_on(|_| {}));
        }
        sleep(period.warm_up).await;
        let (span, before) = (Span::begin(target.process()), self.done());
        meters.iter().for_each(|meter| meter.since.store(now(), Relaxed));
        sleep(period.measured).await;
        meters.iter().for_each(|meter| meter.before.store(now(), Relaxed));
        let (after, used) = (self.done(), span.end());
        if let Some(pacer) = pacer {
            let _ = tokio::task::spawn_blocking(move || pacer.join()).await; // it ends by itself
        }
        if !period.settle.is_zero() {
            until(period.settle, || meters.iter().all(|meter| meter.is_answered())).await;
        }
        let came: [u64; 3] =
            std::array::from_fn(|of| after.get(of).zip(before.get(of)).map_or(0, |(after, before)| after - before));
        let [stored, delivered, acknowledged] = came;
        let mut not_stored = self.usual.not_stored();
        not_stored.iter_mut().zip(not_stored_before).for_each(|(count, before)| *count -= before);
        Came { used, stored, through: stored.min(delivered).min(acknowledged), not_stored }
    }

    /// Waits until nobody is asked to stay away any more, but not longer than `patience`.
    pub async fn back(&self, patience: Duration) {
        let is_back = |pair: &Arc<Pair>| pair.progress.lock().unwrap_or_else(PoisonError::into_inner).back <= now();
        until(patience, || self.pairs.iter().all(is_back)).await;
    }

    /// Stored, delivered and acknowledged so far.
    fn done(&self) -> [u64; 3] {
        let of = |count: fn(&Meter) -> &AtomicU64| count(&self.usual).load(Relaxed) + count(&self.hot).load(Relaxed);
        [of(|meter| &meter.stored), of(|meter| &meter.delivered), of(|meter| &meter.acknowledged)]
    }

    /// A thread that begins so many in a second, for so long.
    fn pace(&self, rate: u64, lasts: Duration) -> thread::JoinHandle<()> {
        let (pairs, total) =
            (self.pairs.clone(), rate.saturating_mul(u64::try_from(lasts.as_millis()).unwrap_or(0)) / 1000);
        let (runtime, meter, mut looked) = (Handle::current(), self.usual.clone(), 0);
        thread::spawn(move || {
            let began = now();
            for (number, pair) in (0..total).zip(pairs.iter().cycle()) {
                let at = began + number * 1_000_000_000 / rate.max(1);
                let ahead = at.saturating_sub(now());
                if ahead > 0 {
                    thread::sleep(Duration::from_nanos(ahead));
                }
                pair.send_at(at);
                if at - looked > nanos(LOOK_EVERY) {
                    looked = at;
                    let meter = meter.clone();
                    runtime.spawn(async move { meter.time(&meter.own_times, at) });
                }
            }
        })
    }

    /// Begins nothing more, waits until all that is under way has arrived, and leaves. Returns how many never did.
    pub async fn leave(self, patience: Duration) -> u64 {
        self.pairs.iter().for_each(|pair| pair.stopped.store(true, Relaxed));
        let meters = [self.usual.clone(), self.hot.clone()];
        let missing = || meters.iter().map(|meter| meter.missing()).sum();
        until(patience, || missing() == 0).await;
        drop((self.pairs, self.devices));
        for line in self.lines {
            let _ = line.await; // its end was counted
        }
        missing()
    }
}

impl Pair {
    /// Something came to an end: begins what may begin.
    fn went_on(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        while !self.stopped.load(Relaxed) && progress.sent - progress.answered.min(progress.delivered) < self.window {
            let at = moment_after(progress.last);
            self.send(&mut progress, at);
        }
    }

    /// One that was to be sent at `at`.
    fn send_at(&self, at: u64) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let late = now().saturating_sub(at) > nanos(LATE_MAX);
        if late || progress.sent - progress.answered >= UNANSWERED_MAX {
            self.meter.held_back.fetch_add(1, Relaxed);
            return;
        }
        if at < progress.back && self.heeds.load(Relaxed) {
            self.meter.stayed_away.fetch_add(1, Relaxed);
            return;
        }
        let at = at.max(progress.last + 1);
        self.send(&mut progress, at);
    }

    fn send(&self, progress: &mut Progress, at: u64) {
        progress.last = at;
        progress.sent += 1;
        self.meter.sent.fetch_add(1, Relaxed);
        let body = self.bodies.body(at);
        let _ = self.mouth.send(Deposit { to: self.door.clone(), number: at, id: deposit_id(), body });
    }

    fn hears(&self, event: Event) {
        let meter = &self.meter;
        match event {
            Event::Stored(at) => {
                meter.stored.fetch_add(1, Relaxed);
                meter.time(&meter.stored_times, at);
                self.went_on(|progress| progress.answered += 1);
            }
            Event::Refused(at, refused) => {
                meter.refused.fetch_add(1, Relaxed);
                meter.time(&meter.refused_times, at);
                self.went_on(|progress| {
                    progress.back = now().saturating_add(nanos(Duration::from_millis(refused.retry_after_ms)));
                    progress.answered += 1;
                    progress.delivered += 1; // nothing will come
                });
            }
            Event::Delivered { seq: _, body } => {
                meter.delivered.fetch_add(1, Relaxed);
                meter.time(&meter.delivered_times, Bodies::at(&body));
                self.went_on(|progress| progress.delivered += 1);
            }
            Event::Acknowledged { through: _, count } => _ = meter.acknowledged.fetch_add(count, Relaxed),
            Event::CaughtUp => {}
        }
    }
}

impl Meter {
    /// Counts no times yet.
    fn begins(&self) {
        self.since.store(u64::MAX, Relaxed);
        self.before.store(u64::MAX, Relaxed);
        [&self.stored_times, &self.refused_times, &self.delivered_times, &self.own_times]
            .iter()
            .for_each(|times| times.clear());
    }

    fn time(&self, times: &Times, at: u64) {
        if at >= self.since.load(Relaxed) && at < self.before.load(Relaxed) {
            times.since(at);
        }
    }

    fn not_stored(&self) -> [u64; 3] {
        [&self.refused, &self.held_back, &self.stayed_away].map(|count| count.load(Relaxed))
    }

    fn is_answered(&self) -> bool {
        self.sent.load(Relaxed) <= self.stored.load(Relaxed) + self.refused.load(Relaxed)
    }

    fn missing(&self) -> u64 {
        let due = self.sent.load(Relaxed).saturating_sub(self.refused.load(Relaxed));
        due.saturating_sub(self.acknowledged.load(Relaxed).min(self.stored.load(Relaxed)))
    }
}
