//! Pairs of a sender and a device that is there. Closed loop: each pair has so many messages under way. Open loop: so
//! many begin in a second whatever becomes of those before, and each is timed from when it was to begin.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Bodies, all, deposit_id, moment_after, until};
use crate::Failure;
use crate::line::{Line, Mouth};
use crate::report::Case;
use crate::target::Target;
use crate::times::{Times, now};
use crate::tongue::{Deposit, Door, Event, Mailbox};
use crate::usage::Span;

/// Connections that are set up at the same time.
const CONNECTING: usize = 32;

/// A sender with so many deposits unanswered sends no more: those are counted as held back.
const UNANSWERED_MAX: u64 = 4096;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many pairs.
    pub pairs: u32,
    /// Which loop.
    pub pace: Pace,
    /// Bytes of an envelope.
    pub bytes: usize,
    /// How long connections find their speed, uncounted.
    pub warm_up: Duration,
    /// How long is counted.
    pub measured: Duration,
}

/// When a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// So many of each pair are under way.
    Closed(u64),
    /// So many in a second, of all pairs together.
    Open(u64),
}

/// Counts of all pairs.
#[derive(Debug, Default)]
struct Meter {
    measuring: AtomicBool,
    /// Deposits begun.
    sent: AtomicU64,
    /// Deposits that would have exceeded what a sender may have unanswered.
    held_back: AtomicU64,
    /// Answered stored.
    stored: AtomicU64,
    /// Answered otherwise.
    refused: AtomicU64,
    /// Given to the device.
    delivered: AtomicU64,
    /// Acknowledged, durably.
    acknowledged: AtomicU64,
    /// Connections that were lost.
    lost: AtomicU64,
    stored_times: Times,
    refused_times: Times,
    delivered_times: Times,
}

/// Sent, stored and delivered of one pair.
#[derive(Debug, Default)]
struct Progress {
    last: u64,
    sent: u64,
    answered: u64,
    delivered: u64,
}

#[derive(Debug)]
struct Pair {
    door: Arc<Door>,
    mouth: Mouth,
    progress: Mutex<Progress>,
    /// Messages of this pair under way; 0: somebody else says when.
    window: u64,
    meter: Arc<Meter>,
    bodies: Arc<Bodies>,
    stopped: AtomicBool,
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
        if progress.sent - progress.answered >= UNANSWERED_MAX {
            self.meter.held_back.fetch_add(1, Relaxed);
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
}

/// Pairs that are connected.
struct Crowd {
    pairs: Vec<Arc<Pair>>,
    meter: Arc<Meter>,
    lines: Vec<JoinHandle<()>>,
    devices: Vec<Mouth>,
}

impl Crowd {
    /// Connects them all. Sends nothing.
    ///
    /// # Errors
    /// The first that could not connect.
    async fn gather(target: &Target, pairs: u32, window: u64, bytes: usize) -> Result<Self, Failure> {
        let (meter, bodies) = (Arc::new(Meter::default()), Arc::new(Bodies::new(bytes)));
        let mailboxes: Vec<_> = (0..pairs).map(Mailbox::new).collect();
        let owners = all(pairs, CONNECTING, |index| {
            let (target, mailbox) = (target.clone(), mailboxes.get(usize::try_from(index).unwrap_or(0)).cloned());
            async move { Line::drain(&target, &mailbox.ok_or("no mailbox")?, 0).await }
        });
        let owners = owners.await?;
        let senders = all(pairs, CONNECTING, |_| {
            let target = target.clone();
            async move { Line::sender(&target).await }
        });
        let mut crowd = Self { pairs: Vec::new(), meter, lines: Vec::new(), devices: Vec::new() };
        for ((owner, sender), mailbox) in owners.into_iter().zip(senders.await?).zip(mailboxes) {
            crowd.introduce(owner, sender, &mailbox, window, &bodies);
        }
        Ok(crowd)
    }

    fn introduce(&mut self, owner: Line, sender: Line, mailbox: &Mailbox, window: u64, bodies: &Arc<Bodies>) {
        let (mouth, deposits) = tokio::sync::mpsc::unbounded_channel();
        let (meter, bodies) = (self.meter.clone(), bodies.clone());
        let (progress, stopped) = (Mutex::default(), AtomicBool::default());
        let pair = Arc::new(Pair { door: mailbox.door.clone(), mouth, progress, window, meter, bodies, stopped });
        let (device, nothing) = tokio::sync::mpsc::unbounded_channel();
        self.devices.push(device);
        for (line, deposits) in [(owner, nothing), (sender, deposits)] {
            let (pair, meter) = (Arc::downgrade(&pair), self.meter.clone());
            let lost = self.meter.clone();
            let heard = move |event| {
                if let Some(pair) = pair.upgrade() {
                    pair.hears(&meter, event);
                }
            };
            self.lines.push(tokio::spawn(async move {
                if line.run(deposits, heard).await.is_err() {
                    lost.lost.fetch_add(1, Relaxed);
                }
            }));
        }
        self.pairs.push(pair);
    }

    /// Counts times from now on.
    fn measure(&self, yes: bool) {
        self.meter.measuring.store(yes, Relaxed);
    }

    /// Begins the closed loop.
    fn go(&self) {
        self.pairs.iter().for_each(|pair| pair.went_on(|_| {}));
    }

    /// Begins nothing more in the closed loop.
    fn stop(&self) {
        self.pairs.iter().for_each(|pair| pair.stopped.store(true, Relaxed));
    }

    /// A thread that begins so many in a second, for so long.
    fn pace(&self, rate: u64, lasts: Duration) -> thread::JoinHandle<()> {
        let (pairs, total) =
            (self.pairs.clone(), rate.saturating_mul(u64::try_from(lasts.as_millis()).unwrap_or(0)) / 1000);
        thread::spawn(move || {
            let began = now();
            for (number, pair) in (0..total).zip(pairs.iter().cycle()) {
                let at = began + number * 1_000_000_000 / rate;
                let ahead = at.saturating_sub(now());
                if ahead > 0 {
                    thread::sleep(Duration::from_nanos(ahead));
                }
                pair.send_at(at);
            }
        })
    }

    /// Waits until all that is under way has arrived, and leaves. Returns how many never did.
    async fn leave(self) -> u64 {
        self.stop();
        let meter = self.meter.clone();
        let missing = || {
            let due = meter.sent.load(Relaxed).saturating_sub(meter.refused.load(Relaxed));
            due.saturating_sub(meter.acknowledged.load(Relaxed).min(meter.stored.load(Relaxed)))
        };
        until(|| missing() == 0).await;
        drop((self.pairs, self.devices));
        for line in self.lines {
            let _ = line.await; // its end was counted
        }
        missing()
    }
}

impl Pair {
    fn hears(&self, meter: &Meter, event: Event) {
        let measuring = meter.measuring.load(Relaxed);
        match event {
            Event::Stored(at) => {
                meter.stored.fetch_add(1, Relaxed);
                if measuring {
                    meter.stored_times.since(at);
                }
                self.went_on(|progress| progress.answered += 1);
            }
            Event::Refused(at, _) => {
                meter.refused.fetch_add(1, Relaxed);
                if measuring {
                    meter.refused_times.since(at);
                }
                self.went_on(|progress| {
                    progress.answered += 1;
                    progress.delivered += 1; // nothing will come
                });
            }
            Event::Delivered { seq: _, body } => {
                meter.delivered.fetch_add(1, Relaxed);
                if measuring {
                    meter.delivered_times.since(Bodies::at(&body));
                }
                self.went_on(|progress| progress.delivered += 1);
            }
            Event::Acknowledged { through: _, count } => _ = meter.acknowledged.fetch_add(count, Relaxed),
            Event::CaughtUp => {}
        }
    }
}

impl Meter {
    /// Stored, delivered and acknowledged so far.
    fn done(&self) -> [u64; 3] {
        [&self.stored, &self.delivered, &self.acknowledged].map(|count| count.load(Relaxed))
    }
}

/// Measures.
///
/// # Errors
/// Somebody could not connect.
pub async fn run(target: &Target, plan: Plan) -> Result<Case, Failure> {
    let window = match plan.pace {
        Pace::Closed(window) => window,
        Pace::Open(_) => 0,
    };
    let crowd = Crowd::gather(target, plan.pairs, window, plan.bytes).await?;
    let pacer = match plan.pace {
        Pace::Closed(_) => {
            crowd.go();
            None
        }
        Pace::Open(rate) => Some(crowd.pace(rate, plan.warm_up + plan.measured)),
    };
    sleep(plan.warm_up).await;
    crowd.measure(true);
    let (span, before) = (Span::begin(target.process()), crowd.meter.done());
    sleep(plan.measured).await;
    let (after, used) = (crowd.meter.done(), span.end());
    crowd.measure(false);
    crowd.stop();
    let (meter, sent_all) = (crowd.meter.clone(), now());
    let missing = crowd.leave().await;
    let tail = now().saturating_sub(sent_all);
    if let Some(pacer) = pacer {
        let _ = pacer.join();
    }
    let [stored, delivered, acknowledged] =
        std::array::from_fn(|of| after.get(of).zip(before.get(of)).map_or(0, |(after, before)| after - before));
    let rate = |count: u64| count as f64 / used.seconds;
    Ok(Case::new(target.kind().name())
        .with("messages/s", rate(stored.min(delivered).min(acknowledged)))
        .with("stored/s", rate(stored))
        .with_times("delivered", &meter.delivered_times)
        .with_times("stored", &meter.stored_times)
        .with("refused", meter.refused.load(Relaxed) as f64)
        .with("refused p99 ms", meter.refused_times.quantile(0.99))
        .with("held back", meter.held_back.load(Relaxed) as f64)
        .with("never arrived", missing as f64)
        .with("connections lost", meter.lost.load(Relaxed) as f64)
        .with("tail s", tail as f64 / 1e9)
        .with_use(&used, stored.min(delivered), "message"))
}
