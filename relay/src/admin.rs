//! What an operator and their tools ask a running relay, over HTTP on the loopback interface.
//!
//! | path | what it says |
//! |---|---|
//! | `/metrics` | [`crate::metrics`], as Prometheus reads them |
//! | `/healthz` | 200: the process lives |
//! | `/readyz` | 200: it takes deposits; 503, and why not |
//! | `/du` | [`crate::queue::Usage`] as JSON |

use std::{convert::Infallible, sync::Arc, time::Duration};

use hushwire_proto::{ids::MailboxId, net::serve::Counts};
use hushwire_server::{
    admin::{Page, Pages},
    metrics::MEDIA_TYPE,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};

use crate::{
    metrics::text,
    queue::{Queue, StorageError, Usage},
};

/// How long the queue may take to answer a question that writes nothing. Beyond, deposits wait too long as well.
const QUEUE_DEADLINE: Duration = Duration::from_secs(5);

/// What can be asked about.
pub(crate) struct Admin<Q> {
    pub(crate) queue: Q,
    pub(crate) counts: Arc<Counts>,
    pub(crate) stopping: watch::Receiver<bool>,
    /// Looking at every mailbox is work: one at a time.
    pub(crate) counting: Arc<Semaphore>,
    /// Gone when the last user of the queue is. After the queue in this list, so dropped after it.
    pub(crate) _in_use: mpsc::Sender<Infallible>,
}

impl<Q: Queue> Pages for Admin<Q> {
    const PATHS: &'static str = "there are /metrics, /healthz, /readyz and /du\n";

    async fn page(&self, path: &str) -> Option<Page> {
        Some(match path {
            "/metrics" => Page::fine(text::page(self.queue.metrics(), &self.counts)).of_type(MEDIA_TYPE),
            "/readyz" => Page::ready(self.ready().await),
            "/du" => match timeout(QUEUE_DEADLINE, self.usage()).await {
                Ok(Ok(usage)) => {
                    let json = serde_json::to_vec(&usage).unwrap_or_default(); // plain numbers
                    Page::fine(json).of_type("application/json")
                }
                Ok(Err(error)) => Page::unavailable(error),
                Err(_) => Page::unavailable("counting took too long"),
            },
            _ => return None,
        })
    }
}

impl<Q: Queue> Admin<Q> {
    async fn usage(&self) -> Result<Usage, StorageError> {
        let turn = self.counting.clone().acquire_owned().await;
        let (queue, in_use) = (self.queue.clone(), self._in_use.clone());
        // To its end, also if nobody waits for it any more: only then may the next one begin.
        let counted = tokio::spawn(async move {
            let usage = queue.usage().await;
            drop((turn, queue, in_use));
            usage
        });
        counted.await.unwrap_or(Err(StorageError::Failed))
    }

    /// Not asked is whether senders are turned away for a moment because more packets come than can be read. That ends by
    /// itself within a second or a minute, devices fetch all the time, and who is told to come elsewhere finds nothing
    /// there: a relay's mailboxes are at its one address. `deposits_turned_away_total` shows it.
    async fn ready(&self) -> Result<(), &'static str> {
        if *self.stopping.borrow() {
            return Err("the relay is stopping");
        }
        // Changes nothing, and is answered by whoever answers deposits.
        match timeout(QUEUE_DEADLINE, self.queue.revoke(MailboxId([0; 32]), Vec::new())).await {
            Ok(Ok(())) => {}
            Ok(Err(StorageError::Busy)) => return Err("too much waits to be written"),
            Ok(Err(StorageError::Failed)) => return Err("the storage failed"),
            Err(_) => return Err("the queue does not answer"),
        }
        if self.queue.metrics().is_low() {
            return Err("the disk is nearly full: nothing new is taken");
        }
        Ok(())
    }
}
