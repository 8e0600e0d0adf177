//! From an address to a connection with the server that the address names.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::lookup_host,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    call::Disconnect,
    quic::{self, SetupError},
    tls::PinnedKey,
};
use crate::address::{Fingerprint, Host, ServerAddress};

/// Addresses of one name that are tried. A name has a few; a hundred would be an attack on somebody.
const ADDRESSES_MAX: usize = 8;

/// How long one address is given before the next is tried as well: `localhost` may mean two, and a machine may have a
/// way to only one of them. RFC 8305 §5.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// The TLS alert that says that the two ends speak no common application protocol. RFC 7301 §3.2.
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// Why there is no connection. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server could not be told from an impostor.
    #[error(
        "this address carries no fingerprint, so the server cannot be told from an impostor; \
         ask its operator for the full address, hush://FINGERPRINT@HOST"
    )]
    NoFingerprint,
    /// The name has no address. Check the spelling and the network.
    #[error("the name {name} was not found{}; check its spelling and the network", cause_of(cause))]
    Dns {
        /// What was looked up.
        name: String,
        /// What the system said, if it did.
        cause: Option<std::io::Error>,
    },
    /// Nothing came back. The server may be down, or UDP to this port blocked on the way.
    #[error("no answer from the server; check that it runs, and that UDP to its port is not blocked")]
    TimedOut,
    /// This machine has no way to the address.
    #[error("the server cannot be reached from here: {0}")]
    Unreachable(String),
    /// The server takes no more connections, from here or at all. Try later.
    #[error("the server takes no more connections now; try again later")]
    Refused,
    /// Another server, or an impostor, answers at this address. Nothing was sent to it. Do not go on before the
    /// operator confirmed a new address.
    #[error(
        "the server at this address has another key than expected; somebody may be in between, \
         or the server was set up anew: ask its operator (expected {expected}, found {found})"
    )]
    WrongCertificate {
        /// What the address says.
        expected: Fingerprint,
        /// What the server showed.
        found: Fingerprint,
    },
    /// It is the right server, or at least some server, but not of this kind or version.
    #[error("what answers there does not speak this protocol; check the port, and whether one side needs an update")]
    WrongProtocol,
    /// The connection broke while it was being made. Try again.
    #[error("the connection broke while it was being made: {0}")]
    Lost(Disconnect),
    /// The handshake failed in another way.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// This program cannot open connections at all.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

fn cause_of(cause: &Option<std::io::Error>) -> String {
    cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default()
}

/// The first of the server's addresses that answers with the right key. The next is tried beside the ones before it
/// after [`NEXT_ADDRESS_AFTER`], or as soon as one has failed.
pub(super) async fn connect(
    address: &ServerAddress,
    alpn: &[u8],
    deadline: Duration,
) -> Result<(quinn::Endpoint, quinn::Connection), ConnectError> {
    let expected = address.fingerprint().ok_or(ConnectError::NoFingerprint)?;
    let end = Instant::now() + deadline;
    let found = timeout_at(end, resolve(address)).await.map_err(|_| ConnectError::TimedOut)??;
    let mut untried = found.into_iter();
    let mut attempts = JoinSet::new();
    let mut failed = None;
    loop {
        if let Some(remote) = untried.next() {
            let (host, alpn) = (address.host().clone(), alpn.to_vec());
            attempts.spawn(async move { connect_to(remote, &host, expected, &alpn).await });
        } else if attempts.is_empty() {
            return Err(failed.unwrap_or(ConnectError::TimedOut));
        }
        let next = if untried.len() == 0 { end } else { end.min(Instant::now() + NEXT_ADDRESS_AFTER) };
        match timeout_at(next, attempts.join_next()).await {
            Ok(Some(Ok(Ok(connected)))) => return Ok(connected),
            Ok(Some(Ok(Err(error)))) => match failed {
                Some(ConnectError::WrongCertificate { .. }) => {} // matters more than what else failed
                _ => failed = Some(error),
            },
            Ok(_) => {}
            Err(_) if Instant::now() >= end => return Err(failed.unwrap_or(ConnectError::TimedOut)),
            Err(_) => {}
        }
    }
}

async fn resolve(address: &ServerAddress) -> Result<Vec<SocketAddr>, ConnectError> {
    let name = match address.host() {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, address.port())]),
        Host::Domain(name) => name,
    };
    let failed = |cause| ConnectError::Dns { name: name.clone(), cause };
    let found = lookup_host((name.as_str(), address.port())).await.map_err(|cause| failed(Some(cause)))?;
    let found: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if found.is_empty() { Err(failed(None)) } else { Ok(found) }
}

async fn connect_to(
    remote: SocketAddr,
    host: &Host,
    expected: Fingerprint,
    alpn: &[u8],
) -> Result<(quinn::Endpoint, quinn::Connection), ConnectError> {
    let (config, pinned) = quic::client_config(expected, alpn)?;
    let endpoint = quic::client_endpoint(remote)?;
    let name = match host {
        Host::Domain(name) => name.clone(),
        Host::Ip(ip) => ip.to_string(),
    };
    let connecting =
        endpoint.connect_with(config, remote, &name).map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    match connecting.await {
        Ok(connection) => Ok((endpoint, connection)),
        Err(error) => Err(explain(error, expected, &pinned)),
    }
}

fn explain(error: quinn::ConnectionError, expected: Fingerprint, pinned: &PinnedKey) -> ConnectError {
    use quinn::{ConnectionError as E, TransportErrorCode as Code};
    if let Some(found) = pinned.wrong_key_seen() {
        return ConnectError::WrongCertificate { expected, found };
    }
    let other_protocol = Code::crypto(NO_APPLICATION_PROTOCOL);
    match error {
        E::TimedOut => ConnectError::TimedOut,
        E::VersionMismatch => ConnectError::WrongProtocol,
        E::ConnectionClosed(close) if close.error_code == Code::CONNECTION_REFUSED => ConnectError::Refused,
        E::ConnectionClosed(close) if close.error_code == other_protocol => ConnectError::WrongProtocol,
        E::TransportError(error) if error.code == other_protocol => ConnectError::WrongProtocol,
        // The reason is the peer's own words, and it may be an impostor's: only the code is shown.
        E::ConnectionClosed(close) => ConnectError::Handshake(close.error_code.to_string()),
        E::TransportError(error) => ConnectError::Handshake(error.code.to_string()),
        error => ConnectError::Lost(error.into()),
    }
}
