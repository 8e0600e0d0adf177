//! Which drain of a mailbox is the one: the newest. An older one stops, and hears nothing more.
//!
//! Spec: relay §6, §9.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use hushwire_proto::ids::MailboxId;
use tokio::sync::oneshot;

use crate::ear::Ear;

/// The drains of all mailboxes. As many at most as connections times mailboxes of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drains {
    running: Arc<Mutex<HashMap<MailboxId, Running>>>,
    turns: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Running {
    turn: Turn,
    ear: Arc<Ear>,
    /// Dropped to stop it.
    _go_on: oneshot::Sender<Infallible>,
}

/// When a drain was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(u64);

/// Held by the drain that runs.
#[derive(Debug)]
pub(crate) struct Place {
    mailbox: MailboxId,
    turn: Turn,
    stop: oneshot::Receiver<Infallible>,
    drains: Drains,
}

impl Drains {
    /// Taken in the order of the requests.
    pub(crate) fn turn(&self) -> Turn {
        Turn(self.turns.fetch_add(1, Relaxed))
    }

    /// Stops the older drain of the mailbox; what is whispered goes to this one. `None` if a newer one runs already.
    pub(crate) fn take_over(&self, mailbox: MailboxId, turn: Turn, ear: Ear) -> Option<Place> {
        let mut running = self.lock();
        if running.get(&mailbox).is_some_and(|other| other.turn > turn) {
            return None;
        }
        let (go_on, stop) = oneshot::channel();
        running.insert(mailbox, Running { turn, ear: Arc::new(ear), _go_on: go_on });
        Some(Place { mailbox, turn, stop, drains: self.clone() })
    }

    /// The drain that runs, if one does.
    pub(crate) fn ear(&self, of: &MailboxId) -> Option<Arc<Ear>> {
        self.lock().get(of).map(|running| running.ear.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MailboxId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
    }
}

impl Place {
    /// Resolves once a newer drain has taken over.
    pub(crate) async fn lost(&mut self) {
        let _ = (&mut self.stop).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.drains.lock();
        if running.get(&self.mailbox).is_some_and(|one| one.turn == self.turn) {
            running.remove(&self.mailbox);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_proto::net::serve::Outbox;

    use super::*;

    const BOB: MailboxId = MailboxId([7; 32]);

    fn ear() -> Ear {
        Ear::new(BOB, Outbox::channel(0).0)
    }

    #[tokio::test]
    async fn the_newest_drain_runs_whichever_gets_there_first() {
        let drains = Drains::default();
        let (first, second, third) = (drains.turn(), drains.turn(), drains.turn());
        let mut older = drains.take_over(BOB, first, ear()).unwrap();
        let newest = drains.take_over(BOB, third, ear()).unwrap();
        older.lost().await;
        assert!(drains.take_over(BOB, second, ear()).is_none());
        drop(older);
        assert!(drains.ear(&BOB).is_some(), "the newest stays");
        drop(newest);
        assert_eq!(drains.lock().len(), 0);
    }
}
