//! The only I/O of this crate: QUIC connections that carry frames.
//!
//! Owns transport: who may connect, how much each peer may make us hold, how long we wait for it, how a server stops.
//! Leaves to the services what a request means, and to the clients when to connect again. A frame is the same whatever
//! carries it: [`stream`] is all that a second transport has to replace.
//!
//! | file | what it is about |
//! |---|---|
//! | [`tls`] | one TLS 1.3 configuration, server identities, pinned public keys |
//! | [`quic`] | the limits of the transport |
//! | [`stream`] | frames in from a stream and out to it |
//! | [`serve`], `reply.rs` | the loop of a server, the way back of an answer |
//! | `crumbs.rs` | who sends in fragments of a few bytes |
//! | `backlog.rs` | how long packets wait until they are read |
//! | [`call`] | the client's side of a connection |
//!
//! Spec: relay §2.

mod admission;
mod backlog;
pub mod call;
mod connect;
mod crumbs;
mod identity;
pub mod quic;
mod reply;
mod reset;
pub mod serve;
pub mod stream;
pub mod tls;

use std::time::Duration;

/// The application protocol of a relay, version 1.
pub const RELAY_ALPN: &[u8] = b"hushwire-relay/1";

/// The application protocol of a keyserver, version 1.
pub const KEYS_ALPN: &[u8] = b"hushwire-keys/1";

/// How long a handshake may take on a server. Three lost packets, no more: nobody is known yet.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection may stand without its first request. A connection is opened to be used.
const FIRST_REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// How long one frame may take to arrive or to leave once it has begun. The largest frame on a 2G link, not more.
const FRAME_DEADLINE: Duration = Duration::from_secs(60);

/// How long a closing connection may take to say so to the other end.
const CLOSE_GRACE: Duration = Duration::from_secs(3);

/// How long the place of a connection that sent in crumbs is taken: whoever comes back over and over has few left.
const CUT_GRACE: Duration = Duration::from_secs(60);

/// Why a connection was closed, as said to the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CloseCode {
    /// Nothing more to say.
    #[error("done")]
    Done,
    /// The server stops. Connect again, here or elsewhere.
    #[error("the server is going away")]
    GoingAway,
    /// What arrived is not a frame of this protocol. Update one of the two programs.
    #[error("a frame was malformed or too large")]
    BadFrame,
    /// A frame, or the first request, took too long.
    #[error("too slow")]
    TooSlow,
    /// More connections than this address may have. Use the ones that are open.
    #[error("too many connections from this address")]
    TooManyConnections,
    /// A frame whose payload is not a message of this protocol. Update one of the two programs.
    #[error("a message was malformed")]
    BadMessage,
    /// Streams opened and ended over and over. A client needs one.
    #[error("too many streams were opened")]
    TooManyStreams,
    /// Streams or a handshake in far more fragments than packets. One in a packet is usual.
    #[error("too many fragments in a packet")]
    TooManyFragments,
}

impl CloseCode {
    const ALL: [Self; 8] = [
        Self::Done,
        Self::GoingAway,
        Self::BadFrame,
        Self::TooSlow,
        Self::TooManyConnections,
        Self::BadMessage,
        Self::TooManyStreams,
        Self::TooManyFragments,
    ];

    /// The number on the wire.
    pub const fn code(self) -> u32 {
        match self {
            Self::Done => 0,
            Self::GoingAway => 1,
            Self::BadFrame => 2,
            Self::TooSlow => 3,
            Self::TooManyConnections => 4,
            Self::BadMessage => 5,
            Self::TooManyStreams => 6,
            Self::TooManyFragments => 7,
        }
    }

    /// `None` if this version does not know the number.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| u64::from(known.code()) == code)
    }

    fn close(self, connection: &quinn::Connection) {
        connection.close(self.code().into(), self.to_string().as_bytes());
    }
}

/// The TLS session is gone, or was asked for more key material than it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the TLS session gives no key material")]
pub struct NoExporter;

/// 32 bytes that only the two ends of this TLS session can compute. RFC 8446 §7.5.
fn export(connection: &quinn::Connection, label: &[u8], context: &[u8]) -> Result<[u8; 32], NoExporter> {
    let mut out = [0; 32];
    connection.export_keying_material(&mut out, label, context).map_err(|_| NoExporter)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::CloseCode;

    #[test]
    fn every_close_code_is_read_back_as_itself() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_code(code.code().into()), Some(code));
        }
        assert_eq!(CloseCode::from_code(8), None);
    }
}
