//! How fast the owners of one network address may ask for what is never refused: drains, acknowledgements and
//! revocations. They make room, so who asks too often is slowed down: what its connections send waits in the transport. So does
//! what is sent by those who are refused over and over.
//!
//! Spec: relay §8.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use crate::rates::Spent;

/// In the long run, or as many as the address may make requests if those are more: what devices that keep up with the
/// largest rate of deposits need.
const PER_SECOND_MIN: u32 = 20_000;

/// As many at once as in this time. A person's devices never come near it.
const SAVED: Duration = Duration::from_millis(100);

/// So much time is owed at most. Many connections may begin at once what costs much: whoever shares their address waits no longer.
const OWED_MAX: Duration = Duration::from_secs(2);

/// Of one address these may wait to be answered: a sixteenth of what the queue takes of such jobs, and many syncs' worth of
/// what an address can need. Each of its streams may begin one more before it waits.
const WAITING_MAX: usize = 1024;

/// Pages and numbers of mailboxes that are read for one address at once: a quarter of the readers.
const READING_MAX: usize = 4;

/// What the owners of one address have asked for.
#[derive(Debug)]
pub(crate) struct Pace {
    each: Duration,
    began: Instant,
    spent: Mutex<Spent>,
    waiting: AtomicUsize,
    fewer: Notify,
    reading: Arc<Semaphore>,
}

/// Something that was asked for and is not answered yet. Dropped when it is.
#[derive(Debug)]
pub(crate) struct Asked(Arc<Pace>);

impl Pace {
    pub(crate) fn new(requests_per_second: u32, began: Instant) -> Self {
        let each = Duration::from_secs(1) / requests_per_second.max(PER_SECOND_MIN);
        let reading = Arc::new(Semaphore::new(READING_MAX));
        Self { each, began, spent: Mutex::default(), waiting: AtomicUsize::new(0), fewer: Notify::new(), reading }
    }

    /// Counts as much as `count` acknowledgements.
    pub(crate) fn asks(self: &Arc<Self>, count: u32) -> Asked {
        self.with_spent(|spent, now| spent.owe_up_to(OWED_MAX, self.each, count, now));
        self.waiting.fetch_add(1, SeqCst);
        Asked(self.clone())
    }

    /// Resolves when something more may be asked for.
    pub(crate) async fn turn(&self) {
        loop {
            let mut fewer = pin!(self.fewer.notified());
            fewer.as_mut().enable(); // before looking
            if self.waiting.load(SeqCst) < WAITING_MAX {
                break;
            }
            fewer.await;
        }
        let wait = self.with_spent(|spent, now| spent.wait(SAVED, now));
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    /// A place among the readers, to be held while something is read.
    pub(crate) async fn reading(&self) -> Option<OwnedSemaphorePermit> {
        self.reading.clone().acquire_owned().await.ok() // it is never closed
    }

    /// Whether it is as good as new.
    pub(crate) fn is_paid(&self, now: Duration) -> bool {
        self.with_spent(|spent, _| spent.is_paid(now))
    }

    fn with_spent<T>(&self, with: impl FnOnce(&mut Spent, Duration) -> T) -> T {
        with(&mut self.spent.lock().unwrap_or_else(PoisonError::into_inner), self.began.elapsed())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, SeqCst) == WAITING_MAX {
            self.0.fewer.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const DEADLINE: Duration = Duration::from_secs(5);

    fn pace() -> Arc<Pace> {
        Arc::new(Pace::new(1, Instant::now()))
    }

    #[tokio::test]
    async fn whoever_has_much_waiting_asks_nothing_more_until_some_of_it_is_answered() {
        let pace = pace();
        let mut asked: Vec<_> = (0..WAITING_MAX + 3).map(|_| pace.asks(0)).collect();
        assert!(timeout(SOON, pace.turn()).await.is_err());
        let waits = tokio::spawn({
            let pace = pace.clone();
            async move { pace.turn().await }
        });
        tokio::task::yield_now().await;
        asked.truncate(WAITING_MAX);
        assert!(!waits.is_finished());
        asked.pop();
        timeout(DEADLINE, waits).await.unwrap().unwrap();
        timeout(DEADLINE, pace.turn()).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_asks_too_often_waits_as_long_as_the_rate_says() {
        let (pace, other) = (pace(), pace());
        drop(pace.asks(PER_SECOND_MIN / 10));
        timeout(SOON, pace.turn()).await.unwrap(); // what was saved
        drop(pace.asks(PER_SECOND_MIN / 2));
        let began = Instant::now();
        pace.turn().await;
        assert!(began.elapsed() > Duration::from_millis(300), "{:?}", began.elapsed());
        timeout(SOON, other.turn()).await.unwrap();
    }

    #[test]
    fn nobody_waits_longer_for_what_their_neighbours_asked_than_two_seconds() {
        let pace = pace();
        for _ in 0..1_000 {
            drop(pace.asks(PER_SECOND_MIN));
        }
        let wait = pace.with_spent(|spent, now| spent.wait(Duration::ZERO, now));
        assert!(wait <= OWED_MAX && wait > OWED_MAX / 2, "{wait:?}");
    }

    #[tokio::test]
    async fn few_readers_are_for_one_address() {
        let pace = pace();
        let mut reading = Vec::new();
        for _ in 0..READING_MAX {
            reading.push(pace.reading().await.unwrap());
        }
        assert!(timeout(SOON, pace.reading()).await.is_err());
        reading.pop();
        assert!(timeout(DEADLINE, pace.reading()).await.unwrap().is_some());
    }
}
