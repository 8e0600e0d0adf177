//! A keyserver from its start to its end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use hushwire_proto::address::{AddressError, ServerAddress};
use hushwire_proto::net::KEYS_ALPN;
use hushwire_proto::net::quic::SetupError;
use hushwire_proto::net::serve::{Counts, Drained, Listener, ServeLimits, serve};
use hushwire_proto::net::tls::ServerIdentity;
use hushwire_server::admin;
use hushwire_server::disk::{self, Disk};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::Registration;
use crate::admin::Admin;
use crate::handle::{Server, Terms};
use crate::invites::Invites;
use crate::keys::{Keys, OpenError};
use crate::limits::Rates;
use crate::log::LogKeys;
use crate::metrics::Metrics;

/// What a keyserver is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where the database lies. Made if it is not there; one process at a time.
    pub data_dir: PathBuf,
    /// The certificate and its key.
    pub identity: ServerIdentity,
    /// The UDP socket. Port 0: any free one.
    pub listen: SocketAddr,
    /// How clients reach it: `HOST[:PORT]`, without a port the one it listens on.
    pub host: String,
    /// Who may make an account.
    pub registration: Registration,
    /// Connections it takes.
    pub connections: ServeLimits,
    /// For whoever runs it.
    pub operation: Operation,
}

/// How a keyserver is watched, what it watches itself, and what it asks of others.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Where it tells its numbers, over HTTP: a loopback address. `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// Where its database lies.
    pub disk: Disk,
    /// Leading zero bits of the work that a new account costs on a usual day. 0: none on any day.
    pub work_bits: u8,
    /// What askers may take.
    pub rates: Rates,
}

impl Default for Operation {
    /// For tests and simulations: nobody watches, the disk is never full, and an account costs no work.
    fn default() -> Self {
        Self { admin: None, disk: Disk::endless(), work_bits: 0, rates: Rates::default() }
    }
}

/// Why a keyserver does not start. Each says what the operator should look at.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket or the TLS configuration.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// `host` is none.
    #[error("host: {0}")]
    Host(#[from] AddressError),
    /// The identity cannot sign a log.
    #[error("the key of a keyserver is an Ed25519 key, as hushwire-keyserver init makes it; this one is another kind")]
    Key,
    /// The admin port.
    #[error("cannot use {address} for the admin port: {cause}")]
    Admin {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The database does not open.
    #[error("{}: {cause}", path.display())]
    Open {
        /// Where it lies.
        path: PathBuf,
        /// Why.
        cause: OpenError,
    },
}

/// A keyserver that serves. Dropping it stops it as [`Self::shutdown`] does, without waiting.
pub struct Running {
    address: ServerAddress,
    local: SocketAddr,
    admin_address: Option<SocketAddr>,
    counts: Arc<Counts>,
    server: Arc<Server>,
    stop: watch::Sender<bool>,
    served: JoinHandle<Drained>,
    /// What runs beside, until the end: epochs, the admin port, the watch on the disk.
    beside: JoinSet<()>,
}

/// Opens the database and starts to serve. Needs a tokio runtime around it.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(parts: Parts) -> Result<Running, StartError> {
    let Parts { data_dir, identity, listen, host, registration, connections, operation } = parts;
    let Operation { admin, disk, work_bits, rates } = operation;
    let listener = Listener::bind(listen, &identity, KEYS_ALPN)?;
    let (local, counts) = (listener.local_addr(), listener.counts());
    let address = ServerAddress::parse(&format!("hush://{host}"), local.port())?;
    let address = address.with_fingerprint(identity.fingerprint());
    let log = LogKeys::of(&identity).ok_or(StartError::Key)?;
    let admin = admin.map(|address| admin::bind(address).map_err(|cause| StartError::Admin { address, cause }));
    let admin = admin.transpose()?;
    let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
    let (path, invites, metrics) = (data_dir.clone(), Invites::beside(&data_dir), Arc::new(Metrics::default()));
    let counting = metrics.clone();
    let keys = tokio::task::spawn_blocking(move || Keys::open(&data_dir, log, counting))
        .await
        .unwrap_or_else(|panic| Err(OpenError::System(io::Error::other(panic))))
        .map_err(|cause| StartError::Open { path, cause })?;
    let keys = Arc::new(keys);
    let mut beside = JoinSet::new();
    beside.spawn(keys.clone().make_epochs());
    let terms = Terms { registration, work_bits, rates, fingerprint: identity.fingerprint(), invites };
    let server = Arc::new(Server::new(keys, metrics.clone(), terms, Instant::now()));
    let (stop, mut stopping) = watch::channel(false);
    if let Some(listener) = admin {
        let pages = Admin { server: server.clone(), counts: counts.clone(), stopping: stopping.clone() };
        beside.spawn(admin::serve(listener, Arc::new(pages)));
    }
    beside.spawn(disk::watch(disk, move |space, reserve, low| {
        metrics.disk_free.set(space.free);
        metrics.disk_reserve.set(reserve);
        metrics.disk_low.store(low, Relaxed);
    }));
    let served = tokio::spawn(serve(listener, server.clone(), connections, async move {
        let _ = stopping.wait_for(|stop| *stop).await; // or dropped, which means the same
    }));
    Ok(Running { address, local, admin_address, counts, server, stop, served, beside })
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

    /// Resolves once the storage has failed: the process must end then, and not try again.
    pub async fn failed(&self) {
        self.server.keys.failed().await;
    }

    /// Begins no request, ends those that have begun, and returns when the database is closed.
    pub async fn shutdown(mut self) -> Drained {
        self.stop.send_replace(true);
        let drained = self.served.await.unwrap_or(Drained { cut: 0 });
        self.beside.shutdown().await; // what waits for an epoch, waits for the next start
        close(self.server).await;
        drained
    }

    /// Stops in the middle of everything, as a crash of the process would, except that what waits for the writer is
    /// still written. For tests and simulations.
    pub async fn kill(mut self) {
        self.served.abort();
        let _ = self.served.await;
        self.beside.shutdown().await;
        close(self.server).await;
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

async fn close(server: Arc<Server>) {
    let _ = tokio::task::spawn_blocking(move || server.keys.close()).await; // what was begun is answered or refused
}
