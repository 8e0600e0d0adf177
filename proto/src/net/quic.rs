//! The limits of the transport, and the sockets under it.
//!
//! Owns what QUIC may buffer and how long it waits. A peer can make a server hold at most the receive window, the send
//! window and what [`super::serve`] allows on top.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use quinn::{
    ClientConfig, Endpoint, IdleTimeout, NoneTokenStore, Runtime, ServerConfig, TokioRuntime, TransportConfig,
    ValidationTokenConfig, VarInt,
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
};
use socket2::SockRef;

use super::{
    backlog::{Backlog, Sounded},
    reset,
    tls::{self, PinnedKey, ServerIdentity},
};
use crate::{
    address::Fingerprint,
    limits::{IDLE_TIMEOUT, ORDINARY_FRAME_BYTES},
};

/// Streams a client may have open: one for frames.
const STREAMS_MAX: u32 = 1;

/// Bytes in flight towards us on a connection: an ordinary frame and half of the next, 20 Mbit/s at 100 ms.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;

/// Bytes we hold until the peer acknowledges them: 20 Mbit/s at 100 ms. One that acknowledges nothing costs this and little more.
const SEND_WINDOW_BYTES: u64 = 256 * 1024;

/// Bytes of packets that a server's socket may hold until they are read, if the system allows so many. The usual 208 KiB
/// are under a hundred packets of all connections together; each further one is dropped, and its sender waits for seconds.
pub const SOCKET_BYTES: usize = 8 * 1024 * 1024;

/// First packets that wait for the accept loop, which never blocks. Further ones are refused.
const INCOMING_MAX: usize = 1024;

/// Bytes buffered for one of them beside its first packet: the rest of a post-quantum hello.
const INCOMING_BYTES: u64 = 4 * 1024;

const _: () = assert!(ORDINARY_FRAME_BYTES < STREAM_WINDOW_BYTES as usize);

/// Why there is no configuration or no socket.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address cannot be listened on: taken, not ours, or not permitted.
    #[error("cannot use UDP {address}: {cause}")]
    Socket {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The identity cannot be used.
    #[error("the TLS configuration is refused: {0}")]
    Tls(#[from] rustls::Error),
    /// Never with [`tls::provider`].
    #[error("the TLS provider lacks the cipher suite that QUIC begins with")]
    NoInitialCipherSuite(#[from] NoInitialCipherSuite),
}

/// What a server allows.
///
/// # Errors
/// [`SetupError::Tls`] if the identity cannot be used.
pub fn server_config(identity: &ServerIdentity, alpn: &[u8]) -> Result<ServerConfig, SetupError> {
    let tls = QuicServerConfig::try_from(tls::server_config(identity, alpn)?)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut no_tokens = ValidationTokenConfig::default();
    no_tokens.sent(0); // a token shown again would tie two connections of one client together
    config
        .transport_config(Arc::new(transport(STREAMS_MAX)))
        .validation_token_config(no_tokens)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES * INCOMING_MAX as u64)
        .migration(true);
    Ok(config)
}

/// What a client allows, and the verifier that remembers which key it was shown.
///
/// # Errors
/// Never with [`tls::provider`].
pub fn client_config(expected: Fingerprint, alpn: &[u8]) -> Result<(ClientConfig, Arc<PinnedKey>), SetupError> {
    let (tls, pinned) = tls::client_config(expected, alpn)?;
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut transport = transport(0);
    transport.keep_alive_interval(Some(IDLE_TIMEOUT / 3));
    config.transport_config(Arc::new(transport)).token_store(Arc::new(NoneTokenStore));
    Ok((config, pinned))
}

/// A socket that listens, and how long what arrives waits in it. Needs a tokio runtime around it.
///
/// # Errors
/// [`SetupError`].
pub fn server_endpoint(
    listen: SocketAddr,
    identity: &ServerIdentity,
    alpn: &[u8],
) -> Result<(Endpoint, Arc<Backlog>), SetupError> {
    let config = server_config(identity, alpn)?;
    let endpoint = UdpSocket::bind(listen).and_then(|socket| {
        widen(&socket);
        let (socket, backlog) = Sounded::new(TokioRuntime.wrap_udp_socket(socket)?)?;
        let resets = reset::endpoint_config(identity);
        let endpoint = Endpoint::new_with_abstract_socket(resets, Some(config), socket, Arc::new(TokioRuntime))?;
        Ok((endpoint, backlog))
    });
    endpoint.map_err(|cause| SetupError::Socket { address: listen, cause })
}

/// The system gives less than is asked for without saying so, and a server works with what it is given.
fn widen(socket: &UdpSocket) {
    let socket = SockRef::from(socket);
    let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BYTES);
}

/// A socket of its own for one connection to `remote`: connections that share a port could be told to be one client's.
///
/// # Errors
/// [`SetupError::Socket`], for example where there is no IPv6.
pub fn client_endpoint(remote: SocketAddr) -> Result<Endpoint, SetupError> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let address = SocketAddr::new(any, 0);
    Endpoint::client(address).map_err(|cause| SetupError::Socket { address, cause })
}

/// Neither end sends datagrams or one-way streams yet; a server opens no streams.
fn transport(streams_towards_us: u32) -> TransportConfig {
    let idle = u32::try_from(IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(streams_towards_us.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(STREAM_WINDOW_BYTES.into())
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))));
    transport
}
