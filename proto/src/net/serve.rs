//! The loop of a server: who may connect, frames in, answers out, and how it stops.
//!
//! A connection is one task, each of its streams has a reader and a writer. A request begins in the order it arrived
//! ([`Service::request`]) and ends whenever its [`Reply`] does. What one peer can make a server hold is bounded in
//! bytes: unread requests wait in the transport, unsent answers in the [`Outbox`] or in the place of their request.
//!
//! Spec: relay §2.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use quinn::{Endpoint, Incoming};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{
    CloseCode, FIRST_REQUEST_DEADLINE, HANDSHAKE_DEADLINE, NoExporter,
    admission::{Admission, Handshake, Places},
    crumbs::Standing,
    export, quic,
    stream::{FrameReader, ReadStop, WriteStop},
    tls::ServerIdentity,
};
pub use super::{
    admission::{Counts, ServeLimits, subscriber},
    backlog::Backlog,
    reply::Reply,
    stream::{Outbox, OutboxError, Outgoing},
};
use crate::{
    frame::{Frame, RequestId},
    limits::{DRAIN_DEADLINE, FRAME_BYTES_MAX, ORDINARY_FRAME_BYTES, REQUESTS_IN_FLIGHT_MAX},
};

/// Bytes of requests that one connection may have begun. A handful of the largest, or the full number of small ones.
const REQUEST_BYTES_IN_FLIGHT: usize = 1024 * 1024;

/// The least a request counts, so that small ones are bounded in number.
pub(super) const REQUEST_BYTES_MIN: usize = REQUEST_BYTES_IN_FLIGHT / REQUESTS_IN_FLIGHT_MAX;

/// Bytes of answers and pushes that wait for one stream: one ordinary frame, which is as large as servers send any. A peer that
/// does not read makes us hold as much.
const OUTBOX_BYTES: usize = ORDINARY_FRAME_BYTES;

/// Streams that one connection may open in a row, one at a time. A client opens one.
const STREAMS_BURST: u32 = 64;

/// And one more each time this has passed: a connection may stand for months.
const STREAM_EVERY: Duration = Duration::from_secs(1);

/// Frames beyond the ordinary size that arrive or are in work at once, of all connections: some 30 MiB.
const LARGE_FRAMES_MAX: usize = 64;

const _: () = assert!(FRAME_BYTES_MAX <= REQUEST_BYTES_IN_FLIGHT);

/// What a server does with frames. Two exist: the relay and the keyserver.
pub trait Service: Send + Sync + 'static {
    /// What the service knows of one connection.
    type Connection: Send + Sync + 'static;

    /// Requests that one connection may have in work, at most [`REQUESTS_IN_FLIGHT_MAX`]. Each may have an answer that waits
    /// for a peer who does not read.
    const REQUESTS_IN_WORK: usize = REQUESTS_IN_FLIGHT_MAX;

    /// A peer finished its handshake. Must not block.
    fn connected(&self, peer: Peer) -> Self::Connection;

    /// Whether a further connection may come. Said for each first packet; those that stand are not asked.
    fn takes_connections(&self) -> bool {
        true
    }

    /// Resolves when the next request of this connection may begin. Until then what its peer sends waits in the transport: so
    /// somebody is slowed down who is not to be refused. May be cancelled.
    fn turn(&self, _: &Self::Connection) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// A request came, in the order of arrival on the stream. Must not block: what takes longer goes on in a task or a
    /// thread that keeps `reply`, beside the others.
    ///
    /// The payload shares memory with what arrived around it: copy what is kept for long.
    fn request(self: &Arc<Self>, connection: &Arc<Self::Connection>, payload: Bytes, reply: Reply);

    /// No further request will begin; those that have may still be running. Said once for every [`Self::connected`].
    fn disconnected(&self, connection: &Self::Connection);
}

/// The other end of a connection, as a service sees it.
#[derive(Clone)]
pub struct Peer {
    remote: SocketAddr,
    export: Arc<Export>,
    close: Arc<Close>,
}

type Export = dyn Fn(&[u8], &[u8]) -> Result<[u8; 32], NoExporter> + Send + Sync;
type Close = dyn Fn(CloseCode) + Send + Sync;

impl Peer {
    /// A peer over whatever has an exporter and can be closed.
    pub fn new(
        remote: SocketAddr,
        export: impl Fn(&[u8], &[u8]) -> Result<[u8; 32], NoExporter> + Send + Sync + 'static,
        close: impl Fn(CloseCode) + Send + Sync + 'static,
    ) -> Self {
        Self { remote, export: Arc::new(export), close: Arc::new(close) }
    }

    fn of(connection: &quinn::Connection) -> Self {
        let (exporter, closer) = (connection.clone(), connection.clone());
        Self::new(
            connection.remote_address(),
            move |label, context| export(&exporter, label, context),
            move |code| code.close(&closer),
        )
    }

    /// Where it connected from. It may have moved since.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// 32 bytes that only the two ends of this TLS session can compute. RFC 8446 §7.5.
    ///
    /// # Errors
    /// [`NoExporter`] if the session is gone.
    pub fn export(&self, label: &[u8], context: &[u8]) -> Result<[u8; 32], NoExporter> {
        (self.export)(label, context)
    }

    /// Ends the connection and says why.
    pub fn close(&self, code: CloseCode) {
        (self.close)(code);
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive() // no network address in a log by accident
    }
}

/// A socket that listens, before anything is served on it: an operator learns at once that a port is taken.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    backlog: Arc<Backlog>,
    local: SocketAddr,
    counts: Arc<Counts>,
}

impl Listener {
    /// Listens on a UDP port (0: any free one). Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`quic::SetupError`].
    pub fn bind(listen: SocketAddr, identity: &ServerIdentity, alpn: &[u8]) -> Result<Self, quic::SetupError> {
        let (endpoint, backlog) = quic::server_endpoint(listen, identity, alpn)?;
        let local = endpoint.local_addr().map_err(|cause| quic::SetupError::Socket { address: listen, cause })?;
        Ok(Self { endpoint, backlog, local, counts: Arc::default() })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How long what arrives waits until it is read.
    pub fn backlog(&self) -> Arc<Backlog> {
        self.backlog.clone()
    }

    /// What [`serve`] counts, for metrics.
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections whose requests had not all ended within [`DRAIN_DEADLINE`].
    pub cut: usize,
}

/// Serves until `shutdown` resolves. Then takes no new connection and begins no request, lets those that have begun
/// end and their answers arrive, for at most [`DRAIN_DEADLINE`], and closes everything with [`CloseCode::GoingAway`].
pub async fn serve<S: Service>(
    listener: Listener,
    service: Arc<S>,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let Listener { endpoint, backlog: _, local: _, counts } = listener;
    let (drain, draining) = watch::channel(None);
    let server = Arc::new(Server {
        service,
        counts: counts.clone(),
        places: Places::new(limits, counts.clone()),
        standing: Standing::watched(counts.clone()),
        large: Arc::new(Semaphore::new(LARGE_FRAMES_MAX)),
        draining,
    });
    let admission = Admission::new(counts);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let incoming = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else { break };
        if !server.service.takes_connections() {
            server.counts.shed.fetch_add(1, Relaxed);
            incoming.refuse();
            continue;
        }
        if let Some((incoming, handshake)) = admission.admit(incoming, &server.places) {
            connections.spawn(server.clone().connection(incoming, handshake));
        }
    }
    let deadline = Instant::now() + DRAIN_DEADLINE;
    drain.send_replace(Some(deadline));
    let mut hard = pin!(sleep_until(deadline + super::CLOSE_GRACE)); // beyond what each connection allows itself
    let mut cut = 0;
    loop {
        tokio::select! {
            biased;
            () = &mut hard => break,
            ended = connections.join_next() => match ended {
                Some(ended) => cut += usize::from(matches!(ended, Ok(End::Cut))),
                None => break,
            },
            Some(incoming) = endpoint.accept() => incoming.refuse(),
        }
    }
    cut += connections.len();
    drop(connections);
    endpoint.close(CloseCode::GoingAway.code().into(), CloseCode::GoingAway.to_string().as_bytes());
    let _ = timeout(super::CLOSE_GRACE, endpoint.wait_idle()).await;
    Drained { cut }
}

struct Server<S> {
    service: Arc<S>,
    counts: Arc<Counts>,
    places: Places,
    standing: Standing,
    large: Arc<Semaphore>,
    /// When requests must have ended, once the server stops.
    draining: watch::Receiver<Option<Instant>>,
}

/// How the task of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The peer left, or never quite came, or was sent away.
    Gone,
    /// The server stops, and all that had begun is answered.
    Drained,
    /// The server stops, and something had not ended in time.
    Cut,
}

impl<S: Service> Server<S> {
    async fn connection(self: Arc<Self>, incoming: Incoming, mut handshake: Handshake) -> End {
        let mut draining = self.draining.clone();
        let shaken = async {
            // A server always has the connection at once, to be looked at; nothing is said before the handshake is through.
            let (connection, through) = incoming.accept().ok()?.into_0rtt().ok()?;
            let stands = self.standing.add(&connection);
            let _meaningless = timeout(HANDSHAKE_DEADLINE, through).await.ok()?;
            // Also true of one that came through and left at once: its place is counted.
            let is_through = export(&connection, b"EXPORTER-through", &[]).is_ok();
            Some((connection, stands, is_through))
        };
        let shaken = tokio::select! {
            shaken = shaken => shaken,
            () = handshake.makes_way() => None,
            _ = draining.wait_for(Option::is_some) => return End::Gone,
        };
        let (connection, stands) = match shaken {
            Some((connection, stands, true)) => (connection, stands),
            failed => {
                self.counts.handshakes_failed.fetch_add(1, Relaxed);
                if failed.is_some_and(|(_, stands, _)| stands.was_bad()) {
                    // It keeps its place as long as one that says nothing more, or it would gain by having been cut.
                    tokio::select! {
                        () = sleep(HANDSHAKE_DEADLINE) => {}
                        () = handshake.makes_way() => {}
                        _ = draining.wait_for(Option::is_some) => {}
                    }
                }
                return End::Gone;
            }
        };
        drop(handshake);
        let Some(place) = self.places.take(connection.remote_address().ip()) else {
            self.counts.refused.fetch_add(1, Relaxed);
            CloseCode::TooManyConnections.close(&connection);
            return End::Gone;
        };
        self.counts.accepted.fetch_add(1, Relaxed);
        let state = Arc::new(self.service.connected(Peer::of(&connection)));
        let _left = Left { service: self.service.clone(), state: state.clone() };
        let end = self.streams(&connection, state, draining).await;
        match stands.was_bad() {
            true => place.linger_cut(),
            false => place.linger(super::CLOSE_GRACE),
        }
        end
    }

    async fn streams(
        self: &Arc<Self>,
        connection: &quinn::Connection,
        state: Arc<S::Connection>,
        mut draining: watch::Receiver<Option<Instant>>,
    ) -> End {
        let requests = Arc::new(Semaphore::new(REQUEST_BYTES_IN_FLIGHT));
        let (finish, finishing) = watch::channel(false);
        let (mut readers, mut writers) = (JoinSet::new(), JoinSet::new());
        let mut nothing_asked = pin!(sleep(FIRST_REQUEST_DEADLINE));
        let mut asked = false;
        let mut opened = Opened::new(Instant::now());
        let deadline = loop {
            tokio::select! {
                biased;
                stop = draining.wait_for(Option::is_some) => match stop {
                    Ok(deadline) => break deadline.unwrap_or_else(Instant::now),
                    Err(_) => break Instant::now(),
                },
                Some(read) = readers.join_next() => match read {
                    Ok(Ok(())) => {} // the peer asks no more here, and may still want answers and pushes
                    Ok(Err(code)) => return self.send_away(connection, code),
                    Err(_) => {
                        CloseCode::GoingAway.close(connection); // the service panicked: let the peer come anew
                        return End::Gone;
                    }
                },
                Some(written) = writers.join_next() => {
                    if matches!(written, Ok(Err(WriteStop::TooSlow))) {
                        return self.send_away(connection, CloseCode::TooSlow);
                    }
                }
                () = &mut nothing_asked, if !asked => return self.send_away(connection, CloseCode::TooSlow),
                stream = connection.accept_bi() => {
                    let Ok((send, receive)) = stream else { return End::Gone };
                    asked = true;
                    if !opened.one_more(Instant::now()) {
                        return self.send_away(connection, CloseCode::TooManyStreams);
                    }
                    let (out, outgoing) = Outbox::channel(OUTBOX_BYTES);
                    writers.spawn(outgoing.write_to(send, finishing.clone()));
                    let reader = FrameReader::with_places(receive, self.large.clone());
                    readers.spawn(self.clone().read(reader, state.clone(), requests.clone(), out));
                }
            }
        };
        readers.shutdown().await; // begins nothing more
        let end = timeout_at(deadline, async {
            let all = u32::try_from(REQUEST_BYTES_IN_FLIGHT).unwrap_or(u32::MAX);
            let _ended = requests.acquire_many(all).await;
            finish.send_replace(true);
            while writers.join_next().await.is_some() {}
        });
        let end = if end.await.is_ok() { End::Drained } else { End::Cut };
        CloseCode::GoingAway.close(connection);
        end
    }

    /// Begins requests in the order they arrive.
    async fn read(
        self: Arc<Self>,
        mut reader: FrameReader,
        state: Arc<S::Connection>,
        requests: Arc<Semaphore>,
        out: Outbox,
    ) -> Result<(), CloseCode> {
        loop {
            let request = match reader.next().await {
                Ok(frame) if frame.id == RequestId::PUSH => return Err(CloseCode::BadFrame),
                Ok(frame) => frame,
                Err(ReadStop::Finished | ReadStop::Gone) => return Ok(()),
                Err(ReadStop::Bad(_)) => return Err(CloseCode::BadFrame),
                Err(ReadStop::TooSlow) => return Err(CloseCode::TooSlow),
            };
            let least = REQUEST_BYTES_IN_FLIGHT / S::REQUESTS_IN_WORK.clamp(1, REQUESTS_IN_FLIGHT_MAX);
            let bytes = u32::try_from(request.payload.len().max(least)).unwrap_or(u32::MAX);
            let Ok(permit) = requests.clone().acquire_many_owned(bytes).await else { return Ok(()) };
            self.service.turn(&state).await;
            let Frame { id, payload } = request;
            let reply = Reply::new(id, out.clone(), permit, reader.take_place());
            self.counts.requests.fetch_add(1, Relaxed);
            self.service.request(&state, payload, reply);
        }
    }

    fn send_away(&self, connection: &quinn::Connection, code: CloseCode) -> End {
        let count = match code {
            CloseCode::TooSlow => &self.counts.too_slow,
            _ => &self.counts.bad_frames,
        };
        count.fetch_add(1, Relaxed);
        code.close(connection);
        End::Gone
    }
}

/// What a connection may still open. A client needs one stream; one that opens streams and takes them back has us make
/// and end two tasks for each.
struct Opened {
    left: u32,
    counted: Instant,
}

impl Opened {
    fn new(now: Instant) -> Self {
        Self { left: STREAMS_BURST, counted: now }
    }

    /// Whether it is within [`STREAMS_BURST`] at once and one every [`STREAM_EVERY`].
    fn one_more(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted).as_secs() / STREAM_EVERY.as_secs();
        if let Ok(passed) = u32::try_from(passed)
            && passed > 0
        {
            self.left = self.left.saturating_add(passed).min(STREAMS_BURST);
            self.counted = now;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// Tells the service, however the connection's task ends.
struct Left<S: Service> {
    service: Arc<S>,
    state: Arc<S::Connection>,
}

impl<S: Service> Drop for Left<S> {
    fn drop(&mut self) {
        self.service.disconnected(&self.state);
    }
}
