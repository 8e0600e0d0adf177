//! The bytes of one SPQR message, which is field 5 of a SignalMessage.
//!
//! What the parts mean is the concern of `braid` (type and chunk) and `chain` (index).
//!
//! Spec: signal-wire §4.1, §4.2.

use super::{
    SpqrError,
    chunk::{CHUNK_BYTES, Chunk},
};

/// The one version that we speak.
const VERSION: u8 = 1;

/// The longest varint of 64 bits, in bytes.
const VARINT_BYTES_MAX: usize = 10;

/// The longest message: version, epoch, index, type, chunk number, chunk.
pub(super) const MESSAGE_BYTES_MAX: usize = 1 + VARINT_BYTES_MAX + 5 + 1 + 3 + CHUNK_BYTES;

/// A message of version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The sender's epoch, at least 1. The key is one of the epoch before.
    pub(super) epoch: u64,
    /// Which key of that epoch and direction; 1 is the first.
    pub(super) index: u32,
    pub(super) payload: Payload,
}

/// What a message brings the other side's state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    None,
    Hdr(Chunk),
    Ek(Chunk),
    EkCt1Ack(Chunk),
    Ct1Ack,
    Ct1(Chunk),
    Ct2(Chunk),
}

/// A message as far as its version lets us read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Current(Message),
    /// Of a version that does not exist yet: only the index of its key is known.
    Later {
        index: u32,
    },
}

impl Message {
    /// `0x01 ‖ varint(epoch) ‖ varint(index) ‖ type ‖ [varint(chunk index) ‖ 32 bytes]`.
    ///
    /// Spec: signal-wire §4.2.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MESSAGE_BYTES_MAX);
        out.push(VERSION);
        put_varint(&mut out, self.epoch);
        put_varint(&mut out, self.index.into());
        let (kind, chunk) = match &self.payload {
            Payload::None => (0, None),
            Payload::Hdr(chunk) => (1, Some(chunk)),
            Payload::Ek(chunk) => (2, Some(chunk)),
            Payload::EkCt1Ack(chunk) => (3, Some(chunk)),
            Payload::Ct1Ack => (4, None),
            Payload::Ct1(chunk) => (5, Some(chunk)),
            Payload::Ct2(chunk) => (6, Some(chunk)),
        };
        out.push(kind);
        if let Some(Chunk { index, bytes }) = chunk {
            put_varint(&mut out, (*index).into());
            out.extend_from_slice(bytes);
        }
        out
    }
}

impl Parsed {
    /// Reads a message; bytes after it are ignored.
    ///
    /// # Errors
    /// `Version` for an empty message and for version 0, `Malformed` for everything else that cannot be read.
    ///
    /// Spec: signal-wire §4.1, §4.2.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, SpqrError> {
        let rest = &mut bytes;
        let version = take_byte(rest).unwrap_or(0);
        if version < VERSION {
            return Err(SpqrError::Version);
        }
        let epoch = take_varint(rest)?;
        if epoch == 0 {
            return Err(SpqrError::Malformed);
        }
        let index = u32::try_from(take_varint(rest)?).map_err(|_| SpqrError::Malformed)?;
        if version > VERSION {
            return Ok(Self::Later { index });
        }
        let payload = match take_byte(rest)? {
            0 => Payload::None,
            1 => Payload::Hdr(take_chunk(rest)?),
            2 => Payload::Ek(take_chunk(rest)?),
            3 => Payload::EkCt1Ack(take_chunk(rest)?),
            4 => Payload::Ct1Ack,
            5 => Payload::Ct1(take_chunk(rest)?),
            6 => Payload::Ct2(take_chunk(rest)?),
            _ => return Err(SpqrError::Malformed),
        };
        Ok(Self::Current(Message { epoch, index, payload }))
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7F);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take_byte(rest: &mut &[u8]) -> Result<u8, SpqrError> {
    let (first, after) = rest.split_first().ok_or(SpqrError::Malformed)?;
    *rest = after;
    Ok(*first)
}

/// Up to ten bytes; need not be minimal; bits beyond 64 are dropped.
fn take_varint(rest: &mut &[u8]) -> Result<u64, SpqrError> {
    let mut value = 0;
    for place in 0..VARINT_BYTES_MAX {
        let byte = take_byte(rest)?;
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(SpqrError::Malformed)
}

fn take_chunk(rest: &mut &[u8]) -> Result<Chunk, SpqrError> {
    let index = u16::try_from(take_varint(rest)?).map_err(|_| SpqrError::Malformed)?;
    let (bytes, after) = rest.split_first_chunk().ok_or(SpqrError::Malformed)?;
    *rest = after;
    Ok(Chunk { index, bytes: *bytes })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn payloads() -> impl Strategy<Value = Payload> {
        let chunk = (any::<u16>(), any::<[u8; 32]>()).prop_map(|(index, bytes)| Chunk { index, bytes });
        (0..7, chunk).prop_map(|(kind, chunk)| match kind {
            0 => Payload::None,
            1 => Payload::Hdr(chunk),
            2 => Payload::Ek(chunk),
            3 => Payload::EkCt1Ack(chunk),
            4 => Payload::Ct1Ack,
            5 => Payload::Ct1(chunk),
            _ => Payload::Ct2(chunk),
        })
    }

    #[test]
    fn the_bytes_are_those_of_the_spec() {
        let quiet = Message { epoch: 1, index: 300, payload: Payload::Ct1Ack };
        assert_eq!(quiet.encode(), [1, 1, 0xAC, 0x02, 4]);
        let chunk = Chunk { index: 128, bytes: [7; 32] };
        let full = Message { epoch: 2, index: 1, payload: Payload::Ek(chunk) };
        assert_eq!(full.encode(), [&[1, 2, 1, 2, 0x80, 0x01][..], &[7; 32]].concat());
    }

    #[test]
    fn nothing_and_version_0_are_no_messages() {
        assert_eq!(Parsed::parse(&[]), Err(SpqrError::Version));
        assert_eq!(Parsed::parse(&[0]), Err(SpqrError::Version));
        assert_eq!(Parsed::parse(&[0, 1, 1, 0]), Err(SpqrError::Version));
    }

    #[test]
    fn of_a_later_version_only_epoch_and_index_are_read() {
        assert_eq!(Parsed::parse(&[2, 1, 5]), Ok(Parsed::Later { index: 5 }));
        assert_eq!(Parsed::parse(&[255, 9, 5, 99, 1, 2, 3]), Ok(Parsed::Later { index: 5 }));
        assert_eq!(Parsed::parse(&[2, 0, 5]), Err(SpqrError::Malformed));
        assert_eq!(Parsed::parse(&[2, 1]), Err(SpqrError::Malformed));
        assert_eq!(Parsed::parse(&[2]), Err(SpqrError::Malformed));
    }

    #[test]
    fn what_no_peer_writes_is_refused() {
        let malformed: [(&str, &[u8]); 8] = [
            ("epoch 0", &[1, 0, 1, 0]),
            ("index of 33 bits", &[1, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 0]),
            ("cut varint", &[1, 0x81]),
            ("varint of 11 bytes", &[1, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 1, 0]),
            ("no type", &[1, 1, 1]),
            ("unknown type", &[1, 1, 1, 7]),
            ("short chunk", &[1, 1, 1, 1, 0, 9, 9]),
            ("chunk number of 17 bits", &[&[1, 1, 1, 1, 0x80, 0x80, 0x04][..], &[9; 32]].concat()),
        ];
        for (what, bytes) in malformed {
            assert_eq!(Parsed::parse(bytes), Err(SpqrError::Malformed), "{what}");
        }
    }

    #[test]
    fn long_varints_and_bytes_behind_are_accepted() {
        let expected = Ok(Parsed::Current(Message { epoch: 1, index: 1, payload: Payload::None }));
        // Epoch 1 in ten bytes, the last of which has bits beyond the 64th.
        let long = [1, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7E, 0x81, 0x00, 0, 42];
        assert_eq!(Parsed::parse(&long), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(epoch in 1..=u64::MAX, index: u32, payload in payloads(), behind: Vec<u8>) {
            let message = Message { epoch, index, payload };
            let bytes = message.encode();
            prop_assert!(bytes.len() <= MESSAGE_BYTES_MAX);
            for cut in 0..bytes.len() {
                prop_assert!(Parsed::parse(&bytes[..cut]).is_err());
            }
            prop_assert_eq!(Parsed::parse(&[bytes, behind].concat()), Ok(Parsed::Current(message)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..60)) {
            let _ = Parsed::parse(&bytes);
        }
    }
}
