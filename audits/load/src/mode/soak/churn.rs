//! People who come and go: senders that connect anew, devices that are away for a while and then drain, and visitors
//! who only look in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep, sleep_until};

use super::promise::Promises;
use crate::line::Line;
use crate::mode::{Bodies, deposit_id, moment_after};
use crate::target::Target;
use crate::times::Times;
use crate::tongue::{Deposit, Event, Mailbox};

/// Seconds that a sender or a device stays, and that a device is away. One absence in ten is ten times as long.
const STAYS: std::ops::Range<u64> = 10..60;
const AWAY: std::ops::Range<u64> = 2..15;

/// Visitors come so often, each to one of so many mailboxes.
const VISIT: Duration = Duration::from_millis(100);
const VISITED: u32 = 100;

/// Until somebody who could not connect tries again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a sender that leaves waits for its answers.
const ANSWERS: Duration = Duration::from_secs(2);

/// How often anybody looks whether it is over.
const LOOK: Duration = Duration::from_millis(100);

/// What all have in common.
#[derive(Debug)]
pub(super) struct Town {
    pub(super) target: Target,
    pub(super) bodies: Bodies,
    /// Senders stop.
    pub(super) no_more: AtomicBool,
    /// Everybody leaves.
    pub(super) over: AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) shown: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) lost: AtomicU64,
    /// Of the interval that is measured now.
    pub(super) stored_times: Times,
}

impl Town {
    pub(super) fn new(target: Target, bytes: usize) -> Self {
        let bodies = Bodies::new(bytes);
        let (no_more, over) = Default::default();
        let (sent, stored, refused, shown, connects, lost, stored_times) = Default::default();
        Self { target, bodies, no_more, over, sent, stored, refused, shown, connects, lost, stored_times }
    }

    /// Whoever is connected, or nothing if that failed; then after a while.
    async fn connected(&self, connecting: impl Future<Output = Result<Line, crate::Failure>>) -> Option<Line> {
        if let Ok(line) = connecting.await {
            self.connects.fetch_add(1, Relaxed);
            return Some(line);
        }
        self.lost.fetch_add(1, Relaxed);
        sleep(AGAIN).await;
        None
    }

    async fn rest(&self, lasts: Duration, until: &AtomicBool) {
        let end = Instant::now() + lasts;
        while !until.load(Relaxed) && Instant::now() < end {
            sleep(LOOK).await;
        }
    }
}

fn seconds(of: std::ops::Range<u64>) -> Duration {
    Duration::from_secs(rand::rng().random_range(of))
}

/// Deposits one after each `pause`, over one connection after another.
pub(super) async fn sender(town: Arc<Town>, mailbox: Mailbox, promises: Arc<Promises>, pause: Duration) {
    let mut last = 0;
    let mut next = Instant::now();
    while !town.no_more.load(Relaxed) {
        let Some(line) = town.connected(Line::sender(&town.target)).await else { continue };
        let under_way = Arc::new(AtomicU64::new(0));
        let (mouth, running) = line.start({
            let (town, promises, under_way) = (town.clone(), promises.clone(), under_way.clone());
            move |event| {
                match event {
                    Event::Stored(at) => {
                        promises.stored(at);
                        town.stored.fetch_add(1, Relaxed);
                        town.stored_times.since(at);
                    }
                    Event::Refused(..) => _ = town.refused.fetch_add(1, Relaxed),
                    _ => return,
                }
                under_way.fetch_sub(1, Relaxed);
            }
        });
        let leaves = Instant::now() + seconds(STAYS);
        next = next.max(Instant::now());
        while Instant::now() < leaves && !town.no_more.load(Relaxed) {
            sleep_until(next).await;
            next += pause;
            last = moment_after(last);
            under_way.fetch_add(1, Relaxed);
            town.sent.fetch_add(1, Relaxed);
            let deposit =
                Deposit { to: mailbox.door.clone(), number: last, id: deposit_id(), body: town.bodies.body(last) };
            if mouth.send(deposit).is_err() {
                break;
            }
        }
        let patience = Instant::now() + ANSWERS;
        while under_way.load(Relaxed) > 0 && Instant::now() < patience {
            sleep(LOOK).await;
        }
        drop(mouth);
        if !matches!(running.await, Ok(Ok(()))) {
            town.lost.fetch_add(1, Relaxed);
        }
    }
}

/// Is there and away by turns; at the end it is there.
pub(super) async fn device(town: Arc<Town>, mailbox: Mailbox, promises: Arc<Promises>) {
    let last = Arc::new(AtomicU64::new(0));
    while !town.over.load(Relaxed) {
        let after = last.load(Relaxed);
        let Some(line) = town.connected(Line::drain(&town.target, &mailbox, after)).await else { continue };
        let (mouth, running) = line.start({
            let (town, promises, last) = (town.clone(), promises.clone(), last.clone());
            move |event| {
                let Event::Delivered { seq, body } = event else { return };
                if seq <= last.fetch_max(seq, Relaxed) {
                    promises.again.fetch_add(1, Relaxed);
                    return;
                }
                let at = Bodies::at(&body);
                if body != town.bodies.body(at) {
                    promises.damaged.fetch_add(1, Relaxed);
                }
                promises.shown(at);
                town.shown.fetch_add(1, Relaxed);
            }
        });
        town.rest(seconds(STAYS), &town.over).await;
        if town.no_more.load(Relaxed) {
            town.rest(Duration::MAX / 4, &town.over).await; // nobody leaves any more
        }
        drop(mouth);
        if !matches!(running.await, Ok(Ok(()))) {
            town.lost.fetch_add(1, Relaxed);
        }
        let long = if rand::rng().random_range(0..10) == 0 { 10 } else { 1 };
        town.rest(seconds(AWAY) * long, &town.no_more).await;
    }
}

/// One after another looks whether there is something, and leaves.
pub(super) async fn visitors(town: Arc<Town>) {
    let mailboxes: Vec<_> = (0..VISITED).map(Mailbox::new).collect();
    for mailbox in mailboxes.iter().cycle() {
        if town.over.load(Relaxed) {
            return;
        }
        drop(town.connected(Line::drain(&town.target, mailbox, 0)).await);
        sleep(VISIT).await;
    }
}
