//! The way back of one answer.

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::stream::Outbox;
use crate::frame::{Frame, RequestId};

/// What one request has: where its answer goes, and its place among those that its connection may have in work. Dropped
/// without an answer, it gives the place back and the peer hears nothing.
#[derive(Debug)]
pub struct Reply {
    id: RequestId,
    out: Outbox,
    place: OwnedSemaphorePermit,
    /// A place among the frames beyond the ordinary size.
    _large: Option<OwnedSemaphorePermit>,
}

impl Reply {
    /// Bytes of an answer that needs no room of its own. So much memory at least each request in work is counted for.
    pub const SMALL_MAX: usize = super::serve::REQUEST_BYTES_MIN;

    pub(super) const fn new(
        id: RequestId,
        out: Outbox,
        place: OwnedSemaphorePermit,
        large: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { id, out, place, _large: large }
    }

    /// Where pushes go. A clone that is kept stays good for them until the connection ends.
    pub const fn outbox(&self) -> &Outbox {
        &self.out
    }

    /// Answers, waiting for room if there is none. If the stream is gone nobody hears it. An answer is an ordinary frame; a
    /// larger one would be a fault of the caller, and is not sent.
    pub async fn send(self, payload: Bytes) {
        let Self { id, out, place: _place, _large } = self;
        let _ = out.send(Frame { id, payload }).await;
    }

    /// Answers without waiting, from any thread. The answer has no room of its own: the request's place is given back
    /// only when it has left, and those are bounded. So it has at most [`Self::SMALL_MAX`] bytes; a larger one would be
    /// a fault of the caller, and is not sent.
    pub fn send_small(self, payload: Bytes) {
        if payload.len() <= Self::SMALL_MAX {
            self.out.answer(Frame { id: self.id, payload }, self.place);
        }
    }
}
