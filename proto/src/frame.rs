//! Frames: how messages follow each other on one stream.
//!
//! A frame is `BE32(length of payload) ‖ BE64(request id) ‖ payload`. Requests are pipelined: the answer to a request
//! carries its id, answers may come in any order, and id 0 is what the server says unasked (a push). The layer knows
//! neither QUIC nor the messages in the payload, so that the same frames can run over any reliable byte stream.
//!
//! Spec: relay §1.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::limits::{FRAME_BYTES_MAX, FRAME_HEAD_BYTES};

/// Which answer belongs to which request on one stream. 0 is a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl RequestId {
    /// What a server says unasked.
    pub const PUSH: Self = Self(0);
}

/// One message on a stream, its payload not yet parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The request this is, or answers.
    pub id: RequestId,
    /// One protobuf message; which one the protocol of the stream says.
    pub payload: Bytes,
}

/// Why bytes are not a frame. The stream cannot be read any further: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced payload is larger than any frame may be. Nothing was allocated for it.
    #[error("a frame of {announced} bytes was announced; at most {limit} are allowed")]
    TooLarge {
        /// Bytes the head announced.
        announced: usize,
        /// [`FRAME_BYTES_MAX`].
        limit: usize,
    },
    /// The stream ended in the middle of a frame.
    #[error("the stream ended in the middle of a frame")]
    Truncated,
}

/// Appends the frame to `out`.
///
/// # Errors
/// [`FrameError::TooLarge`]; `out` is then unchanged.
pub fn encode(frame: &Frame, out: &mut BytesMut) -> Result<(), FrameError> {
    let length = checked_length(frame.payload.len())?;
    out.reserve(FRAME_HEAD_BYTES + frame.payload.len());
    out.put_u32(length);
    out.put_u64(frame.id.0);
    out.put_slice(&frame.payload);
    Ok(())
}

/// Takes the first whole frame off the front of `input`; `None` while more bytes are needed.
///
/// # Errors
/// [`FrameError::TooLarge`], as soon as the head is there and before memory is taken for the payload.
pub fn decode(input: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let mut head = &input[..];
    let (Ok(length), Ok(id)) = (head.try_get_u32(), head.try_get_u64()) else { return Ok(None) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { announced: length, limit: FRAME_BYTES_MAX });
    }
    if head.len() < length {
        input.reserve(FRAME_HEAD_BYTES + length - input.len());
        return Ok(None);
    }
    input.advance(FRAME_HEAD_BYTES);
    Ok(Some(Frame { id: RequestId(id), payload: input.split_to(length).freeze() }))
}

/// Bytes that the payload of the frame at the front of `input` was announced to have; `None` before its head is there.
#[must_use]
pub fn announced(mut input: &[u8]) -> Option<usize> {
    input.try_get_u32().ok().map(|length| usize::try_from(length).unwrap_or(usize::MAX))
}

/// Whether a stream may end here: only between two frames.
///
/// # Errors
/// [`FrameError::Truncated`] if `rest` holds the beginning of a frame.
pub fn finish(rest: &BytesMut) -> Result<(), FrameError> {
    if rest.is_empty() { Ok(()) } else { Err(FrameError::Truncated) }
}

fn checked_length(bytes: usize) -> Result<u32, FrameError> {
    match u32::try_from(bytes) {
        Ok(length) if bytes <= FRAME_BYTES_MAX => Ok(length),
        _ => Err(FrameError::TooLarge { announced: bytes, limit: FRAME_BYTES_MAX }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_cut_anywhere_come_out_whole_and_in_order(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8),
            cut in 1usize..40,
        ) {
            let frames: Vec<Frame> = payloads
                .into_iter()
                .zip(1..)
                .map(|(payload, id)| Frame { id: RequestId(id), payload: payload.into() })
                .collect();
            let mut wire = BytesMut::new();
            for frame in &frames {
                encode(frame, &mut wire).unwrap();
            }
            let mut input = BytesMut::new();
            let mut out = Vec::new();
            for piece in wire.chunks(cut) {
                input.extend_from_slice(piece);
                while let Some(frame) = decode(&mut input).unwrap() {
                    out.push(frame);
                }
            }
            prop_assert_eq!(out, frames);
            prop_assert_eq!(finish(&input), Ok(()));
        }

        #[test]
        fn any_bytes_are_a_frame_or_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = decode(&mut input) {}
        }
    }

    #[test]
    fn a_frame_that_announces_too_much_is_refused_before_memory_is_taken() {
        let mut input = BytesMut::from(&[0xFF; FRAME_HEAD_BYTES][..]);
        let before = input.capacity();
        assert!(matches!(decode(&mut input), Err(FrameError::TooLarge { .. })));
        assert!(input.capacity() <= before);
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_told_from_one_that_ends_between_two() {
        assert_eq!(finish(&BytesMut::from(&[0, 0][..])), Err(FrameError::Truncated));
        assert_eq!(finish(&BytesMut::new()), Ok(()));
    }
}
