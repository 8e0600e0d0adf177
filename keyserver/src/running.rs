//! A keyserver from its start to its end.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hushwire_proto::address::{AddressError, ServerAddress};
use hushwire_proto::net::KEYS_ALPN;
use hushwire_proto::net::quic::SetupError;
use hushwire_proto::net::serve::{Counts, Drained, Listener, ServeLimits, serve};
use hushwire_proto::net::tls::ServerIdentity;
use hushwire_proto::signing::Label;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Registration;
use crate::handle::Server;
use crate::keys::{Keys, OpenError};
use crate::log::LogKeys;

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
    counts: Arc<Counts>,
    server: Arc<Server>,
    stop: watch::Sender<bool>,
    served: JoinHandle<Drained>,
    epochs: JoinHandle<()>,
}

/// Opens the database and starts to serve. Needs a tokio runtime around it.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(parts: Parts) -> Result<Running, StartError> {
    let Parts { data_dir, identity, listen, host, registration, connections } = parts;
    let listener = Listener::bind(listen, &identity, KEYS_ALPN)?;
    let (local, counts) = (listener.local_addr(), listener.counts());
    let address = ServerAddress::parse(&format!("hush://{host}"), local.port())?;
    let address = address.with_fingerprint(identity.fingerprint());
    let signing = identity.signing_key().ok_or(StartError::Key)?;
    let log = LogKeys { signing, places: identity.derived(Label::LogPlaces) };
    let path = data_dir.clone();
    let keys = tokio::task::spawn_blocking(move || Keys::open(&data_dir, log))
        .await
        .unwrap_or_else(|panic| Err(OpenError::System(std::io::Error::other(panic))))
        .map_err(|cause| StartError::Open { path, cause })?;
    let keys = Arc::new(keys);
    let epochs = tokio::spawn(keys.clone().make_epochs());
    let server = Arc::new(Server::new(keys, registration, Instant::now()));
    let (stop, mut stopping) = watch::channel(false);
    let served = tokio::spawn(serve(listener, server.clone(), connections, async move {
        let _ = stopping.wait_for(|stop| *stop).await; // or dropped, which means the same
    }));
    Ok(Running { address, local, counts, server, stop, served, epochs })
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

    /// Resolves once the storage has failed: the process must end then, and not try again.
    pub async fn failed(&self) {
        self.server.keys.failed().await;
    }

    /// Begins no request, ends those that have begun, and returns when the database is closed.
    pub async fn shutdown(self) -> Drained {
        self.stop.send_replace(true);
        let drained = self.served.await.unwrap_or(Drained { cut: 0 });
        self.epochs.abort(); // what waits, waits for the next start
        let _ = self.epochs.await;
        close(self.server).await;
        drained
    }

    /// Stops in the middle of everything, as a crash of the process would, except that what waits for the writer is
    /// still written. For tests and simulations.
    pub async fn kill(self) {
        self.served.abort();
        let _ = self.served.await;
        self.epochs.abort();
        let _ = self.epochs.await;
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
