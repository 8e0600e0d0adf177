//! What an operator and their tools ask a running keyserver, over HTTP on the loopback interface.
//!
//! | path | what it says |
//! |---|---|
//! | `/metrics` | what is counted, as Prometheus reads it |
//! | `/healthz` | 200: the process lives |
//! | `/readyz` | 200: it takes new accounts and keys; 503, and why not |

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hushwire_proto::net::serve::Counts;
use hushwire_server::admin::{Page, Pages};
use hushwire_server::metrics::MEDIA_TYPE;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::handle::Server;

/// How long the writer may take for a write of nothing. Beyond, people wait too long as well.
const WRITER_DEADLINE: Duration = Duration::from_secs(5);

/// What can be asked about.
pub(crate) struct Admin {
    pub(crate) server: Arc<Server>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Pages for Admin {
    const PATHS: &'static str = "there are /metrics, /healthz and /readyz\n";

    async fn page(&self, path: &str) -> Option<Page> {
        Some(match path {
            "/metrics" => {
                self.server.measure();
                Page::fine(self.server.metrics.page(&self.counts)).of_type(MEDIA_TYPE)
            }
            "/readyz" => Page::ready(self.ready().await),
            _ => return None,
        })
    }
}

impl Admin {
    async fn ready(&self) -> Result<(), &'static str> {
        if *self.stopping.borrow() {
            return Err("the keyserver is stopping");
        }
        match timeout(WRITER_DEADLINE, self.server.keys.reach()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err("the storage failed"),
            Err(_) => return Err("the writer does not answer"),
        }
        if self.server.metrics.disk_low.load(Relaxed) {
            return Err("the disk is nearly full: nothing new is taken");
        }
        Ok(())
    }
}
