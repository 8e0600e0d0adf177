//! A relay from its start to its end.

use std::{
    convert::Infallible,
    fmt, io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

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
use hushwire_server::admin;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    admin::Admin,
    clock::{Clock, RelayTime},
    disk::{self, Disk},
    doors::{DoorRates, Doors},
    drains::Drains,
    fail_points::{Step, reach},
    handle::WHISPERS_IN_WORK_MAX,
    overload::Overload,
    queue::Queue,
    rates::{Addresses, Rates},
    service::Relay,
};

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
    /// For whoever runs it.
    pub operation: Operation,
}

/// How a relay is watched, and what it watches itself.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Where it tells its numbers, over HTTP: a loopback address. `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// Where its queue lies.
    pub disk: Disk,
    /// What one network address may take.
    pub rates: Rates,
    /// How much may come at one door.
    pub doors: DoorRates,
}

impl Default for Operation {
    fn default() -> Self {
        Self { admin: None, disk: Disk::endless(), rates: Rates::default(), doors: DoorRates::default() }
    }
}

/// Why a queue stores nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Not a byte was free. Opened anew once there is room, it goes on with all that was acknowledged.
    OutOfSpace,
    /// The disk itself: somebody must look at it.
    Disk,
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
    /// The admin port.
    #[error("cannot use {address} for the admin port: {cause}")]
    Admin {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The system gives no further thread.
    #[error("cannot begin a thread: {0}")]
    Thread(#[source] io::Error),
}

/// A relay that serves. Dropping it stops it as [`Self::shutdown`] does, without waiting.
pub struct Running {
    address: ServerAddress,
    local: SocketAddr,
    admin_address: Option<SocketAddr>,
    counts: Arc<Counts>,
    failed: JoinHandle<Failure>,
    stop: watch::Sender<bool>,
    served: JoinHandle<Drained>,
    /// What runs beside, until the end.
    beside: Vec<JoinHandle<()>>,
    in_use: mpsc::Receiver<Infallible>,
}

/// Starts to serve. Needs a tokio runtime around it.
///
/// # Errors
/// [`StartError`].
pub fn start<Q: Queue>(parts: Parts<Q>) -> Result<Running, StartError> {
    let Parts { queue, identity, listen, host, connections, clock, sweep_every, operation } = parts;
    let listener = Listener::bind(listen, &identity, RELAY_ALPN)?;
    let (local, counts, backlog) = (listener.local_addr(), listener.counts(), listener.backlog());
    let address = ServerAddress::parse(&format!("hush://{host}"), local.port())?;
    let address = address.with_fingerprint(identity.fingerprint());
    let (using, in_use) = mpsc::channel(1);
    let (stop, mut stopping) = watch::channel(false);
    let mut beside = Vec::new();
    let mut admin_address = None;
    if let Some(address) = operation.admin {
        let failed = |cause| StartError::Admin { address, cause };
        let listener = admin::bind(address).map_err(failed)?;
        admin_address = Some(listener.local_addr().map_err(failed)?);
        let admin = Admin {
            queue: queue.clone(),
            counts: counts.clone(),
            stopping: stopping.clone(),
            counting: Arc::new(Semaphore::new(1)),
            _in_use: using.clone(),
        };
        beside.push(tokio::spawn(admin::serve(listener, Arc::new(admin))));
    }
    let (failing, metrics) = (queue.failed(), queue.metrics().clone());
    let failed = tokio::spawn(async move {
        failing.await;
        if metrics.out_of_space.load(Relaxed) { Failure::OutOfSpace } else { Failure::Disk }
    });
    let time = RelayTime::go_on(clock, queue.kept_time());
    if backlog.is_blind() {
        tracing::warn!(
            "this machine does not reach itself at its address (no ::1?): how late packets are is not known, and nobody is turned away for it"
        );
    }
    let overload = Arc::new(Overload::default());
    let metrics = queue.metrics().clone();
    let watching = overload.watch(backlog, move |waits| {
        metrics.socket_micros.observe(waits.as_micros().try_into().unwrap_or(u64::MAX));
    });
    watching.map_err(StartError::Thread)?;
    let relay = Arc::new(Relay {
        queue,
        time,
        drains: Drains::default(),
        addresses: Addresses::new(operation.rates),
        doors: Arc::new(Doors::new(operation.doors)),
        patience: Arc::default(),
        overload,
        whispers: Arc::new(Semaphore::new(WHISPERS_IN_WORK_MAX)),
        _in_use: using,
    });
    beside.push(tokio::spawn(sweep(relay.clone(), sweep_every)));
    let metrics = relay.queue.metrics().clone();
    beside.push(tokio::spawn(disk::watch(operation.disk, move |space, reserve, low| {
        metrics.disk_free.set(space.free);
        metrics.disk_reserve.set(reserve);
        metrics.disk_low.store(low, Relaxed);
    })));
    let served = tokio::spawn(serve(listener, relay, connections, async move {
        let _ = stopping.wait_for(|stopping| *stopping).await; // or dropped, which means the same
    }));
    Ok(Running { address, local, admin_address, counts, failed, stop, served, beside, in_use })
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

    /// Where it tells its numbers, with its real port.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// What it counts.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Resolves once the queue has failed: nothing more may be written to it before it was opened anew.
    pub async fn failed(&mut self) -> Failure {
        (&mut self.failed).await.unwrap_or(Failure::Disk)
    }

    /// Begins no request, ends those that have begun, and returns when nothing uses the queue any more.
    pub async fn shutdown(mut self) -> Drained {
        self.stop.send_replace(true);
        let drained = (&mut self.served).await.unwrap_or(Drained { cut: 0 });
        self.leave_off();
        let _ = timeout(DRAIN_DEADLINE, self.in_use.recv()).await;
        drained
    }

    /// Stops in the middle of everything, as a crash of the process would, except that what waits in the queue's line
    /// is still written. For tests and simulations.
    pub async fn kill(mut self) {
        self.served.abort();
        self.leave_off();
        let _ = (&mut self.served).await;
        let _ = timeout(DRAIN_DEADLINE, self.in_use.recv()).await;
    }
}

impl Running {
    fn leave_off(&self) {
        self.beside.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.leave_off();
        self.failed.abort();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

/// Removes what expired, a batch at a time, and gives its room back.
async fn sweep<Q: Queue>(relay: Arc<Relay<Q>>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut envelopes = 0_u64;
        loop {
            reach(Step::Expiring);
            match relay.queue.expire(relay.time.now()).await {
                Ok(swept) => {
                    reach(Step::Expired);
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
        relay.queue.tidy().await;
    }
}
