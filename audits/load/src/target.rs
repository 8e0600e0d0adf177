//! The server that is driven, and the sockets from which it is driven.
//!
//! Many connections share a few sockets here, unlike a client's: what is measured is the server, and sockets would take
//! the generator's time. To a relay on the loopback each socket is one network address; its limits for one are raised.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hushwire_proto::address::{Host, RELAY_PORT, ServerAddress};
use hushwire_proto::net::{RELAY_ALPN, quic};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, TokioRuntime, TransportErrorCode};
use tokio::time::sleep;

use crate::server::Server;
use crate::tongue::floor;
use crate::{Failure, said};

/// Sockets of one run. Each is read by one task.
const SOCKETS: usize = 4;

/// What a socket may hold, if the system allows: the default holds under a hundred packets and drops the rest, and each
/// drop costs a sender its patience.
const SOCKET_BYTES: usize = 8 * 1024 * 1024;

/// When somebody comes again to whom the server was closed.
const COMES_AGAIN: Duration = Duration::from_millis(250);

/// What is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A relay.
    Relay,
    /// The yardstick.
    Floor,
}

impl Kind {
    /// As it stands in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Floor => "floor-sync",
        }
    }
}

/// A server that can be connected to.
#[derive(Clone, Debug)]
pub struct Target {
    kind: Kind,
    remote: SocketAddr,
    config: ClientConfig,
    sockets: Arc<[Endpoint]>,
    next: Arc<AtomicUsize>,
    process: Option<u32>,
}

impl Target {
    /// The server at `address`, whose process is looked at if it is known.
    ///
    /// # Errors
    /// The address has no fingerprint or is a name, or no socket can be had.
    pub fn new(kind: Kind, address: &str, process: Option<u32>) -> Result<Self, Failure> {
        let address = ServerAddress::parse(address, RELAY_PORT).map_err(said)?;
        let fingerprint = address.fingerprint().ok_or("the address has no fingerprint")?;
        let Host::Ip(ip) = address.host() else { return Err("give a network address instead of a name".to_owned()) };
        let remote = SocketAddr::new(*ip, address.port());
        let alpn = match kind {
            Kind::Relay => RELAY_ALPN,
            Kind::Floor => floor::ALPN,
        };
        let (config, _) = quic::client_config(fingerprint, alpn).map_err(said)?;
        let sockets = (0..SOCKETS).map(|index| endpoint(remote, index)).collect::<Result<_, _>>()?;
        Ok(Self { kind, remote, config, sockets, next: Arc::default(), process })
    }

    /// The server that was started here.
    ///
    /// # Errors
    /// No socket can be had.
    pub fn of(server: &Server) -> Result<Self, Failure> {
        Self::new(server.kind(), server.address(), Some(server.pid()))
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its process, if it is known.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.process
    }

    /// Comes again while the server takes no connections, for as long as it is waited for.
    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let socket = self.sockets.iter().cycle().nth(self.next.fetch_add(1, Relaxed) % SOCKETS).ok_or("no socket")?;
        loop {
            match socket.connect_with(self.config.clone(), self.remote, "localhost").map_err(said)?.await {
                Err(ConnectionError::ConnectionClosed(why))
                    if why.error_code == TransportErrorCode::CONNECTION_REFUSED =>
                {
                    sleep(COMES_AGAIN).await; // as clients do
                }
                connection => return connection.map_err(said),
            }
        }
    }
}

/// On the loopback each socket has an address of its own, as every subscriber has one: 127.0.0.2 and on.
fn endpoint(remote: SocketAddr, index: usize) -> Result<Endpoint, Failure> {
    let last = u8::try_from(index + 2).map_err(said)?;
    let any: SocketAddr = match remote {
        SocketAddr::V4(remote) if remote.ip().is_loopback() => (Ipv4Addr::new(127, 0, 0, last), 0).into(),
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).map_err(said)?;
    widen(&socket);
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime)).map_err(said)
}

/// Gives the socket as much room as the system allows.
pub fn widen(socket: &UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    // The system gives less than asked for without saying so, and works with what it gives.
    let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BYTES);
}
