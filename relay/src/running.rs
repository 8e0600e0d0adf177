//! A relay from its start to its end.

use std::{convert::Infallible, fmt, net::SocketAddr, sync::Arc, time::Duration};

use hushwire_proto::{
    address::{AddressError, ServerAddress},
    limits::DRAIN_DEADLINE,
    net::{
        RELAY_ALPN,
        quic::SetupError,
        serve::{Counts, Drained, Listener, ServeLimits, serve},
        tls::ServerIdentity,
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{clock::Clock, drains::Drains, queue::Queue, service::Relay};

/// Between two batches of one sweep, so that the writer's time goes to clients first.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

/// What a relay is made of.
#[derive(Debug)]
pub struct Parts<Q> {
    /// Where envelopes are kept.
    pub queue: Q,
    /// The certificate and its key.
    pub identity: ServerIdentity,
    /// The UDP socket. Port 0: any free one.
    pub listen: SocketAddr,
    /// How clients reach it: `HOST[:PORT]`, without a port the one it listens on.
    pub host: String,
    /// Connections it takes.
    pub connections: ServeLimits,
    /// The time.
    pub clock: Clock,
    /// How often what expired is looked for.
    pub sweep_every: Duration,
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket or the TLS configuration.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// `host` is none.
    #[error("host: {0}")]
    Host(#[from] AddressError),
}

/// A relay that serves. Dropping it stops it as [`Self::shutdown`] does, without waiting.
pub struct Running {
    address: ServerAddress,
    local: SocketAddr,
    counts: Arc<Counts>,
    failed: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Drained>,
    sweeper: JoinHandle<()>,
    in_use: mpsc::Receiver<Infallible>,
}

/// Starts to serve. Needs a tokio runtime around it.
///
/// # Errors
/// [`StartError`].
pub fn start<Q: Queue>(parts: Parts<Q>) -> Result<Running, StartError> {
    let Parts { queue, identity, listen, host, connections, clock, sweep_every } = parts;
    let listener = Listener::bind(listen, &identity, RELAY_ALPN)?;
    let (local, counts) = (listener.local_addr(), listener.counts());
    let address = ServerAddress::parse(&format!("hush://{host}"), local.port())?;
    let address = address.with_fingerprint(identity.fingerprint());
    let (using, in_use) = mpsc::channel(1);
    let (stop, stopping) = oneshot::channel::<()>();
    let failed = tokio::spawn(queue.failed());
    let relay = Arc::new(Relay { queue, clock, drains: Drains::default(), _in_use: using });
    let sweeper = tokio::spawn(sweep(relay.clone(), sweep_every));
    let served = tokio::spawn(serve(listener, relay, connections, async move {
        let _ = stopping.await; // or dropped, which means the same
    }));
    Ok(Running { address, local, counts, failed, stop: Some(stop), served, sweeper, in_use })
}

impl Running {
    /// Where clients find it, with its fingerprint and its real port.
    #[must_use]
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// The socket it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What it counts.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Resolves once the queue has failed: the process must end then, and not try again.
    pub async fn failed(&mut self) {
        let _ = (&mut self.failed).await;
    }

    /// Begins no request, ends those that have begun, and returns when nothing uses the queue any more.
    pub async fn shutdown(mut self) -> Drained {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.sweeper.abort();
        let drained = (&mut self.served).await.unwrap_or(Drained { cut: 0 });
        let _ = timeout(DRAIN_DEADLINE, self.in_use.recv()).await;
        drained
    }

    /// Stops in the middle of everything, as a crash of the process would, except that what waits in the queue's line
    /// is still written. For tests and simulations.
    pub async fn kill(mut self) {
        self.served.abort();
        self.sweeper.abort();
        let _ = (&mut self.served).await;
        let _ = timeout(DRAIN_DEADLINE, self.in_use.recv()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.sweeper.abort();
        self.failed.abort();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// Removes what expired, a batch at a time.
async fn sweep<Q: Queue>(relay: Arc<Relay<Q>>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut envelopes = 0_u64;
        loop {
            match relay.queue.expire(relay.clock.now()).await {
                Ok(swept) => {
                    envelopes = envelopes.saturating_add(swept.envelopes);
                    if !swept.more {
                        break;
                    }
                }
                Err(_) => break, // busy: at the next tick; failed: said where it happened
            }
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
        if envelopes > 0 {
            tracing::info!(envelopes, "envelopes expired");
        }
    }
}
