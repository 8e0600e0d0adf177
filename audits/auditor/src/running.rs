//! An auditor from its start to its end.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use hushwire_proto::address::{AddressError, Fingerprint, ServerAddress};
use hushwire_proto::log::fingerprint_of;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::book::BookError;
use crate::follow::follow;
use crate::http;
use crate::watched::{Auditor, Watched};

/// What an auditor is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where what was checked lies. Made if it is not there.
    pub data_dir: PathBuf,
    /// The TCP socket. Port 0: any free one.
    pub listen: SocketAddr,
    /// How clients reach it: `HOST[:PORT]`, without a port the one it listens on.
    pub host: String,
    /// What it signs with.
    pub key: SigningKey,
    /// Whom it follows.
    pub keyservers: Vec<(ServerAddress, Fingerprint)>,
    /// How long it waits before it asks a keyserver again.
    pub every: Duration,
}

impl Parts {
    /// How often keyservers are asked for what is new, unless tests say otherwise. What is shown to one person alone is
    /// found out later anyway; this is how soon a client finds the root there that it has just seen.
    pub const EVERY: Duration = Duration::from_secs(10);
}

/// Why an auditor does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `host` is none.
    #[error("host: {0}")]
    Host(#[from] AddressError),
    /// The socket.
    #[error("{listen}: {cause}")]
    Listen {
        /// Which.
        listen: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// What was checked before does not open.
    #[error(transparent)]
    Book(#[from] BookError),
    /// Another process has it.
    #[error("{} is in use by another auditor; stop it first", .0.display())]
    InUse(PathBuf),
}

/// An auditor that works. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    address: ServerAddress,
    local: SocketAddr,
    following: JoinSet<io::Result<()>>,
    _serving: JoinSet<()>,
    _lock: std::fs::File,
}

/// Opens what was checked before, goes on with each keyserver, and serves. Needs a tokio runtime around it.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(parts: Parts) -> Result<Running, StartError> {
    let Parts { data_dir, listen, host, key, keyservers, every } = parts;
    let failed = |cause| BookError::File { path: data_dir.clone(), cause };
    std::fs::create_dir_all(&data_dir).map_err(failed)?;
    let lock = std::fs::File::create(data_dir.join("lock")).map_err(failed)?;
    lock.try_lock().map_err(|_| StartError::InUse(data_dir.clone()))?;
    let listener = TcpListener::bind(listen).await.map_err(|cause| StartError::Listen { listen, cause })?;
    let local = listener.local_addr().map_err(|cause| StartError::Listen { listen, cause })?;
    let address = ServerAddress::parse(&format!("hush://{host}"), local.port())?;
    let address = address.with_fingerprint(fingerprint_of(&key.verifying_key().to_bytes()));
    let key = Arc::new(key);
    let (dir, signing) = (data_dir.clone(), key.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let open = |(address, fingerprint)| Watched::open(address, fingerprint, &dir, signing.clone()).map(Arc::new);
        keyservers.into_iter().map(open).collect::<Result<Vec<_>, _>>()
    });
    let watched = opened.await.map_err(|panic| failed(io::Error::other(panic)))??;
    let mut following = JoinSet::new();
    for one in &watched {
        let one = one.clone();
        following.spawn(async move { follow(&one, every).await });
    }
    let mut serving = JoinSet::new();
    serving.spawn(http::serve(listener, Arc::new(Auditor { key, address: address.clone(), watched })));
    Ok(Running { address, local, following, _serving: serving, _lock: lock })
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

    /// Resolves once the disk has failed: the process must end then. A keyserver that is not followed any more is no
    /// reason; that is shown.
    pub async fn failed(&mut self) -> io::Error {
        loop {
            match self.following.join_next().await {
                Some(Ok(Err(error))) => return error,
                Some(Ok(Ok(()))) => {}
                Some(Err(panic)) => return io::Error::other(panic),
                None => std::future::pending().await,
            }
        }
    }
}
