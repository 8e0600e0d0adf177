//! Frames in from a stream and out to it.
//!
//! Owns the queue in front of a stream, which is bounded in bytes, and puts many small frames into one write. This is
//! all that knows how a stream is read and written: a second transport has its own two halves.

use std::{pin::pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use quinn::{RecvStream, SendStream};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

use super::FRAME_DEADLINE;
use crate::{
    frame::{self, Frame, FrameError},
    limits::{FRAME_BYTES_MAX, FRAME_HEAD_BYTES, ORDINARY_FRAME_BYTES},
};

/// Frames are put together until a write has this many bytes: a few dozen packets, one wake-up.
const WRITE_BYTES: usize = 32 * 1024;

/// Pieces taken from the transport at once. Each is at most a packet.
const READ_PIECES: usize = 16;

/// What a waiting frame costs beside its payload: its place in the queue and its head.
const QUEUED_FRAME_BYTES: usize = 64;

const _: () = assert!(FRAME_HEAD_BYTES <= QUEUED_FRAME_BYTES);

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// The stream is gone. Nothing that is put here will arrive.
    #[error("the stream is closed")]
    Closed,
    /// The peer reads slower than we write. Wait with [`Outbox::send`], or drop what need not arrive.
    #[error("the peer has not read what was sent before")]
    Full,
    /// Larger than any frame may be, or than the whole outbox. A fault of the caller.
    #[error("a frame of {bytes} bytes is larger than any frame, or than what may wait here")]
    TooLarge {
        /// Bytes of the payload.
        bytes: usize,
    },
}

/// The way to one stream, bounded in bytes. Clones share it; frames leave in the order they were put in.
#[derive(Clone, Debug)]
pub struct Outbox {
    frames: mpsc::UnboundedSender<Queued>, // bounded by `room`, and by the places of requests
    room: Arc<Semaphore>,
    /// The room that there is when nothing waits.
    whole: usize,
}

/// A frame that waits.
#[derive(Debug)]
struct Queued {
    frame: Frame,
    /// Of the request that it answers; without one it has taken room.
    place: Option<OwnedSemaphorePermit>,
}

impl Outbox {
    /// An outbox for at most `bytes` bytes (but always one ordinary frame), and its other end. The stream of a connection has
    /// one already; a test of a service makes its own.
    pub fn channel(bytes: usize) -> (Self, Outgoing) {
        let whole = bytes.clamp(ORDINARY_FRAME_BYTES + QUEUED_FRAME_BYTES, Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(whole));
        let (sender, frames) = mpsc::unbounded_channel();
        (Self { frames: sender, room: room.clone(), whole }, Outgoing { frames, room })
    }

    /// Puts a frame in line, waiting for room.
    ///
    /// # Errors
    /// [`OutboxError::Closed`] or [`OutboxError::TooLarge`].
    pub async fn send(&self, frame: Frame) -> Result<(), OutboxError> {
        let room = self.room.acquire_many(self.cost(&frame)?).await.map_err(|_| OutboxError::Closed)?;
        self.frames.send(Queued { frame, place: None }).map_err(|_| OutboxError::Closed)?;
        room.forget();
        Ok(())
    }

    /// Puts a frame in line if there is room now.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn try_send(&self, frame: Frame) -> Result<(), OutboxError> {
        let room = self.room.try_acquire_many(self.cost(&frame)?).map_err(|_| match self.is_closed() {
            true => OutboxError::Closed,
            false => OutboxError::Full,
        })?;
        self.frames.send(Queued { frame, place: None }).map_err(|_| OutboxError::Closed)?;
        room.forget();
        Ok(())
    }

    /// Puts a frame in line if no more than so many bytes wait before it: for what need not arrive.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn try_send_behind(&self, waiting: usize, frame: Frame) -> Result<(), OutboxError> {
        if self.whole.saturating_sub(self.room.available_permits()) > waiting && !self.is_closed() {
            return Err(OutboxError::Full);
        }
        self.try_send(frame)
    }

    /// Puts an answer in line that takes no room, because the place of its request is kept until it has left.
    pub(super) fn answer(&self, frame: Frame, place: OwnedSemaphorePermit) {
        let _ = self.frames.send(Queued { frame, place: Some(place) }); // or the stream is gone
    }

    fn cost(&self, frame: &Frame) -> Result<u32, OutboxError> {
        let bytes = frame.payload.len();
        match u32::try_from(queued_bytes(frame)) {
            Ok(cost) if bytes <= FRAME_BYTES_MAX && queued_bytes(frame) <= self.whole => Ok(cost),
            _ => Err(OutboxError::TooLarge { bytes }),
        }
    }

    /// Whether the stream is gone.
    pub fn is_closed(&self) -> bool {
        self.frames.is_closed()
    }

    /// Resolves once the stream is gone.
    pub async fn closed(&self) {
        self.frames.closed().await;
    }
}

/// The other end of an [`Outbox`].
#[derive(Debug)]
pub struct Outgoing {
    frames: mpsc::UnboundedReceiver<Queued>,
    room: Arc<Semaphore>,
}

impl Outgoing {
    /// The next frame; `None` once no [`Outbox`] is left.
    pub async fn next(&mut self) -> Option<Frame> {
        let queued = self.frames.recv().await?;
        self.room.add_permits(queued.room());
        Some(queued.frame)
    }

    /// Writes what comes until no [`Outbox`] is left or `finish` says so, then ends the stream and waits until the
    /// peer has all of it.
    pub(super) async fn write_to(
        mut self,
        mut stream: SendStream,
        mut finish: watch::Receiver<bool>,
    ) -> Result<(), WriteStop> {
        let mut stopped = pin!(stream.stopped());
        let mut finishing = pin!(async move {
            let _ = finish.wait_for(|finish| *finish).await; // or nobody is left who could say so
        });
        let mut is_finishing = false;
        loop {
            let first = tokio::select! {
                biased;
                first = self.frames.recv() => match first {
                    Some(first) => first,
                    None => break,
                },
                _ = &mut stopped => return Err(WriteStop::Gone),
                () = &mut finishing, if !is_finishing => {
                    is_finishing = true;
                    self.close();
                    continue;
                }
            };
            // Whoever woke this stream is seldom alone: what else is ready to run now may put in more for the same packet.
            tokio::task::yield_now().await;
            let (bytes, room, places) = self.gather(first);
            match timeout(FRAME_DEADLINE, stream.write_chunk(bytes)).await {
                Ok(Ok(())) => self.room.add_permits(room),
                Ok(Err(_)) => return Err(WriteStop::Gone),
                Err(_) => return Err(WriteStop::TooSlow),
            }
            drop(places);
        }
        stream.finish().map_err(|_| WriteStop::Gone)?;
        match timeout(FRAME_DEADLINE, stopped).await {
            Ok(Ok(None)) => Ok(()),
            Ok(_) => Err(WriteStop::Gone),
            Err(_) => Err(WriteStop::TooSlow),
        }
    }

    /// What waits, as far as it fits into one write: its bytes, the room it had taken, and the places that it keeps
    /// until it has left.
    fn gather(&mut self, first: Queued) -> (Bytes, usize, Option<OwnedSemaphorePermit>) {
        let mut bytes = BytesMut::new();
        let (mut room, mut places) = (0, None::<OwnedSemaphorePermit>);
        let mut next = Some(first);
        while let Some(queued) = next {
            room += queued.room();
            // The outbox took no frame that is too large.
            let _ = frame::encode(&queued.frame, &mut bytes);
            match (&mut places, queued.place) {
                (Some(places), Some(place)) => places.merge(place), // all of one connection
                (places, place) => *places = places.take().or(place),
            }
            next = if bytes.len() < WRITE_BYTES { self.frames.try_recv().ok() } else { None };
        }
        (bytes.freeze(), room, places)
    }

    /// What waits may still leave; nothing more is taken.
    fn close(&mut self) {
        self.frames.close();
        self.room.close();
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.close(); // whoever waits for room learns it
    }
}

/// Why no more frames leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteStop {
    /// The peer wants no more, or the connection is lost.
    Gone,
    /// The peer did not read for [`FRAME_DEADLINE`].
    TooSlow,
}

/// Why no more frames come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadStop {
    /// The peer ended its half between two frames.
    Finished,
    /// The peer took the stream back, or the connection is lost.
    Gone,
    /// These bytes are no frame.
    Bad(FrameError),
    /// A frame began and did not end within [`FRAME_DEADLINE`].
    TooSlow,
}

/// Frames out of one stream, one by one.
#[derive(Debug)]
pub(super) struct FrameReader {
    stream: RecvStream,
    input: BytesMut,
    large: Option<Arc<Semaphore>>,
    place: Option<OwnedSemaphorePermit>,
}

impl FrameReader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, input: BytesMut::new(), large: None, place: None }
    }

    /// Frames beyond the ordinary size need a place of these. Until there is one they wait in the transport.
    pub(super) fn with_places(stream: RecvStream, large: Arc<Semaphore>) -> Self {
        Self { large: Some(large), ..Self::new(stream) }
    }

    /// The place of the frame that was returned last, to be held as long as it is.
    pub(super) fn take_place(&mut self) -> Option<OwnedSemaphorePermit> {
        self.place.take()
    }

    /// The next whole frame. An idle stream holds no buffer.
    pub(super) async fn next(&mut self) -> Result<Frame, ReadStop> {
        let mut deadline = None;
        loop {
            if let (Some(large), None) = (&self.large, &self.place)
                && frame::announced(&self.input).is_some_and(|bytes| bytes > ORDINARY_FRAME_BYTES)
            {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + FRAME_DEADLINE);
                let place = timeout_at(deadline, large.clone().acquire_owned()).await;
                self.place = place.map_err(|_| ReadStop::TooSlow)?.ok();
            }
            if let Some(frame) = frame::decode(&mut self.input).map_err(ReadStop::Bad)? {
                return Ok(frame);
            }
            let mut pieces = [const { Bytes::new() }; READ_PIECES];
            let read = self.stream.read_chunks(&mut pieces);
            let read = if self.input.is_empty() {
                self.input = BytesMut::new();
                read.await
            } else {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + FRAME_DEADLINE);
                timeout_at(deadline, read).await.map_err(|_| ReadStop::TooSlow)?
            };
            match read {
                Ok(Some(count)) => pieces.iter().take(count).for_each(|piece| self.input.extend_from_slice(piece)),
                Ok(None) => {
                    frame::finish(&self.input).map_err(ReadStop::Bad)?;
                    return Err(ReadStop::Finished);
                }
                Err(_) => return Err(ReadStop::Gone),
            }
        }
    }
}

impl Queued {
    /// What it has taken of the outbox.
    fn room(&self) -> usize {
        if self.place.is_some() { 0 } else { queued_bytes(&self.frame) }
    }
}

fn queued_bytes(frame: &Frame) -> usize {
    frame.payload.len() + QUEUED_FRAME_BYTES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::frame::RequestId;

    fn frame(id: u64, bytes: usize) -> Frame {
        Frame { id: RequestId(id), payload: vec![0; bytes].into() }
    }

    #[tokio::test]
    async fn an_outbox_is_full_by_bytes_and_has_room_again_once_they_left() {
        let (outbox, mut outgoing) = Outbox::channel(0);
        outbox.try_send(frame(1, ORDINARY_FRAME_BYTES)).unwrap();
        assert_eq!(outbox.try_send(frame(2, 0)), Err(OutboxError::Full));
        assert_eq!(outgoing.next().await.unwrap().id, RequestId(1));
        outbox.try_send(frame(2, 0)).unwrap();
    }

    #[tokio::test]
    async fn what_need_not_arrive_stands_behind_a_short_line_only() {
        let (outbox, mut outgoing) = Outbox::channel(0);
        outbox.try_send_behind(0, frame(1, 10)).unwrap();
        assert_eq!(outbox.try_send_behind(0, frame(2, 10)), Err(OutboxError::Full));
        outbox.try_send_behind(10 + QUEUED_FRAME_BYTES, frame(2, 10)).unwrap();
        assert_eq!(outbox.try_send_behind(10 + QUEUED_FRAME_BYTES, frame(3, 10)), Err(OutboxError::Full));
        outgoing.next().await.unwrap();
        outbox.try_send_behind(10 + QUEUED_FRAME_BYTES, frame(3, 10)).unwrap();
        drop(outgoing);
        assert_eq!(outbox.try_send_behind(0, frame(4, 10)), Err(OutboxError::Closed));
    }

    #[tokio::test]
    async fn whoever_waits_for_room_learns_that_the_stream_is_gone() {
        let (outbox, outgoing) = Outbox::channel(0);
        outbox.try_send(frame(1, ORDINARY_FRAME_BYTES)).unwrap();
        let (waiting, ()) = tokio::join!(outbox.send(frame(2, 0)), async { drop(outgoing) });
        assert_eq!(waiting, Err(OutboxError::Closed));
        assert_eq!(outbox.try_send(frame(3, 0)), Err(OutboxError::Closed));
        outbox.closed().await;
    }

    #[tokio::test]
    async fn a_frame_that_no_reader_would_take_is_not_sent() {
        let (outbox, _outgoing) = Outbox::channel(0);
        let bytes = FRAME_BYTES_MAX + 1;
        assert_eq!(outbox.try_send(frame(1, bytes)), Err(OutboxError::TooLarge { bytes }));
        assert_eq!(outbox.send(frame(1, bytes)).await, Err(OutboxError::TooLarge { bytes }));
        let bytes = ORDINARY_FRAME_BYTES + 1; // which would wait for room for ever
        assert_eq!(outbox.send(frame(1, bytes)).await, Err(OutboxError::TooLarge { bytes }));
    }
}
