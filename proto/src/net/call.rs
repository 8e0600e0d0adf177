//! The client's side of a connection: calls, their answers, and pushes.
//!
//! Owns one connection with one stream. Calls are pipelined and leave in the order they were started; answers come in
//! any order. Leaves to its user when to connect again, and what to do with a call whose answer never came: whether
//! the server acted on it is then not known.
//!
//! Spec: relay §1, §2.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

pub use super::connect::ConnectError;
use super::{
    CLOSE_GRACE, CloseCode, NoExporter, connect, export,
    stream::{FrameReader, Outbox, OutboxError, Outgoing, ReadStop, WriteStop},
};
use crate::{
    address::ServerAddress,
    frame::{Frame, RequestId},
    limits::FRAME_BYTES_MAX,
};

/// Calls that may wait for their answers. A server works on a quarter of them at once; the rest is in line.
pub const CALLS_WAITING_MAX: usize = 1024;

/// Bytes of calls that wait to leave.
const OUTBOX_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of pushes that wait for the user, beyond which nothing more is read: all that a relay sends ahead of
/// acknowledgements for a few mailboxes.
const PUSHES_BYTES: usize = 2 * 1024 * 1024;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    /// The server closed it, and said why. Unless the code says otherwise, connect again after a while.
    #[error("the server closed the connection: {0}")]
    Closed(CloseCode),
    /// The server closed it with a code this version does not know.
    #[error("the server closed the connection with code {0}, which this version does not know")]
    ClosedOtherwise(u64),
    /// Closed here.
    #[error("the connection was closed here")]
    Here,
    /// Nothing was heard for the idle timeout. Connect again once there is a network.
    #[error("the server was not heard any more")]
    Silent,
    /// What the server sent broke the protocol; closed here with this code. Update one of the two programs.
    #[error("the server broke the protocol: {0}")]
    Broken(CloseCode),
    /// The transport failed. Connect again.
    #[error("the connection was lost")]
    Lost,
}

impl From<quinn::ConnectionError> for Disconnect {
    fn from(error: quinn::ConnectionError) -> Self {
        match error {
            quinn::ConnectionError::ApplicationClosed(close) => {
                let code = close.error_code.into_inner();
                CloseCode::from_code(code).map_or(Self::ClosedOtherwise(code), Self::Closed)
            }
            quinn::ConnectionError::LocallyClosed => Self::Here,
            quinn::ConnectionError::TimedOut => Self::Silent,
            _ => Self::Lost,
        }
    }
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer in time; it may have been acted on. The connection stands: repeat the call if it may be repeated.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended; the call may have been acted on. Connect again.
    #[error(transparent)]
    Disconnected(#[from] Disconnect),
    /// Not sent: too many calls wait already. Wait for an answer to one of them.
    #[error("too many calls wait for their answers")]
    Busy,
    /// Not sent: larger than any frame may be. A fault of the caller.
    #[error("a request has at most {FRAME_BYTES_MAX} bytes, this has {bytes}")]
    FrameTooLarge {
        /// Bytes of the payload.
        bytes: usize,
    },
}

/// A connection to one server. Clones share it; it is closed when the last is gone.
#[derive(Clone, Debug)]
pub struct Connection {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    quic: quinn::Connection,
    endpoint: quinn::Endpoint,
    outbox: Outbox,
    calls: Arc<Calls>,
    pushes: Mutex<Option<Pushes>>,
    _finish: watch::Sender<bool>,
}

impl Connection {
    /// Finds the server, checks that it has the key its address names, and opens the stream. A server expects a first
    /// call soon after.
    ///
    /// # Errors
    /// [`ConnectError`], which says what to do.
    pub async fn connect(address: &ServerAddress, alpn: &[u8], deadline: Duration) -> Result<Self, ConnectError> {
        let (endpoint, quic) = connect::connect(address, alpn, deadline).await?;
        let (send, receive) = quic.open_bi().await.map_err(|error| ConnectError::Lost(error.into()))?;
        let (outbox, outgoing) = Outbox::channel(OUTBOX_BYTES);
        let (pushed, pushes) = Outbox::channel(PUSHES_BYTES);
        let (finish, finishing) = watch::channel(false);
        let calls = Arc::new(Calls::default());
        tokio::spawn({
            let quic = quic.clone();
            async move {
                if outgoing.write_to(send, finishing).await == Err(WriteStop::TooSlow) {
                    CloseCode::TooSlow.close(&quic);
                }
            }
        });
        tokio::spawn(read(FrameReader::new(receive), calls.clone(), pushed, quic.clone()));
        let pushes = Mutex::new(Some(Pushes { queue: pushes }));
        Ok(Self { inner: Arc::new(Inner { quic, endpoint, outbox, calls, pushes, _finish: finish }) })
    }

    /// Sends a request and waits for its answer, at most `deadline`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, request: Bytes, deadline: Duration) -> Result<Bytes, CallError> {
        self.start(request)?.answer(deadline).await
    }

    /// Puts a request in line behind those started before, without waiting. Requests leave in this order.
    ///
    /// # Errors
    /// [`CallError`]; the request has then not been sent.
    pub fn start(&self, request: Bytes) -> Result<PendingCall, CallError> {
        let Inner { calls, outbox, quic, .. } = &*self.inner;
        let mut state = calls.lock();
        if let Some(end) = calls.end.get() {
            return Err((*end).into());
        }
        if state.waiting.len() >= CALLS_WAITING_MAX {
            return Err(CallError::Busy);
        }
        let id = state.last + 1; // 0 is a push
        outbox.try_send(Frame { id: RequestId(id), payload: request }).map_err(|error| match error {
            OutboxError::Closed => calls.refusal(quic).into(),
            OutboxError::Full => CallError::Busy,
            OutboxError::TooLarge { bytes } => CallError::FrameTooLarge { bytes },
        })?;
        state.last = id;
        let (answered, answer) = oneshot::channel();
        state.waiting.insert(id, answered);
        drop(state);
        Ok(PendingCall { id, answer, calls: calls.clone() })
    }

    /// What the server says unasked, in order. The first caller gets them, others nothing.
    ///
    /// While many are unread nothing more is read from the connection, answers included: whoever awaits an answer
    /// must go on reading pushes meanwhile, or drop the receiver, which throws them away.
    pub fn pushes(&self) -> Option<Pushes> {
        self.inner.pushes.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// 32 bytes that only the two ends of this TLS session can compute. RFC 8446 §7.5.
    ///
    /// # Errors
    /// [`NoExporter`] if the session is gone.
    pub fn exporter(&self, label: &[u8], context: &[u8]) -> Result<[u8; 32], NoExporter> {
        export(&self.inner.quic, label, context)
    }

    /// Where the server is.
    pub fn remote(&self) -> SocketAddr {
        self.inner.quic.remote_address()
    }

    /// Resolves once the connection has ended, with the reason.
    pub async fn closed(&self) -> Disconnect {
        let error = self.inner.quic.closed().await;
        self.inner.calls.end.get().copied().unwrap_or_else(|| error.into())
    }

    /// Closes the connection and waits a little until the server has been told. Calls without an answer end with
    /// [`Disconnect::Here`]. Dropping the connection does the same without waiting.
    pub async fn close(self) {
        CloseCode::Done.close(&self.inner.quic);
        let _ = timeout(CLOSE_GRACE, self.inner.endpoint.wait_idle()).await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        CloseCode::Done.close(&self.quic);
    }
}

/// A request in line or under way. Dropping it gives up the answer, not the request.
#[derive(Debug)]
#[must_use = "the answer is waited for with `answer`"]
pub struct PendingCall {
    id: u64,
    answer: oneshot::Receiver<Bytes>,
    calls: Arc<Calls>,
}

impl PendingCall {
    /// Waits for the answer, at most `deadline` from now.
    ///
    /// # Errors
    /// [`CallError::TimedOut`] or [`CallError::Disconnected`].
    pub async fn answer(mut self, deadline: Duration) -> Result<Bytes, CallError> {
        match timeout(deadline, &mut self.answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(self.calls.end.get().copied().unwrap_or(Disconnect::Lost).into()),
            Err(_) => Err(CallError::TimedOut),
        }
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.calls.lock().waiting.remove(&self.id);
    }
}

/// What a server says unasked.
#[derive(Debug)]
pub struct Pushes {
    queue: Outgoing,
}

impl Pushes {
    /// The next push; `None` once the connection has ended and all that had arrived is read. May be cancelled.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.queue.next().await.map(|frame| frame.payload)
    }
}

#[derive(Debug, Default)]
struct Calls {
    state: Mutex<CallsState>,
    /// Why there are no more answers. Set before the last waiting call is woken.
    end: OnceLock<Disconnect>,
}

#[derive(Debug, Default)]
struct CallsState {
    last: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Bytes>>,
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, CallsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
    }

    /// An answer nobody waits for any more is dropped.
    fn answer(&self, frame: Frame) {
        let waiting = self.lock().waiting.remove(&frame.id.0);
        if let Some(waiting) = waiting {
            let _ = waiting.send(frame.payload);
        }
    }

    fn end(&self, reason: Disconnect) {
        let _ = self.end.set(reason);
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting); // wakes them, outside the lock
    }

    /// Why no more calls leave. A server that reads no more on a connection that stands is going away: it says so to
    /// the stream first, and answers what it has begun.
    fn refusal(&self, quic: &quinn::Connection) -> Disconnect {
        let going_away = Disconnect::Closed(CloseCode::GoingAway);
        let error = || quic.close_reason().map_or(going_away, Disconnect::from);
        self.end.get().copied().unwrap_or_else(error)
    }
}

/// Reads until the connection ends, and says why to all who wait.
async fn read(mut frames: FrameReader, calls: Arc<Calls>, pushes: Outbox, quic: quinn::Connection) {
    let stop = loop {
        match frames.next().await {
            Ok(push) if push.id == RequestId::PUSH => tokio::select! {
                _ = pushes.send(push) => {} // or nobody wants it
                error = quic.closed() => return calls.end(error.into()),
            },
            Ok(answer) => calls.answer(answer),
            Err(stop) => break stop,
        }
    };
    let broken = match stop {
        ReadStop::Bad(_) => Some(CloseCode::BadFrame),
        ReadStop::TooSlow => Some(CloseCode::TooSlow),
        ReadStop::Finished | ReadStop::Gone => None,
    };
    if let Some(code) = broken {
        code.close(&quic);
        return calls.end(Disconnect::Broken(code));
    }
    // A server that ends its half says next why it closes the connection.
    let end = timeout(CLOSE_GRACE, quic.closed()).await.map_or(Disconnect::Lost, Disconnect::from);
    CloseCode::Done.close(&quic);
    calls.end(end);
}
