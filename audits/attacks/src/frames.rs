//! QUIC frames as bytes, legal or not, and what is read of a server's. RFC 9000 §19.

use crate::packet::{get, put};

/// What a server said, as far as an attacker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It closed the connection: the code, and whether the application's or QUIC's.
    Closed {
        /// Of the application, or of QUIC.
        application: bool,
        /// Why.
        code: u64,
    },
    /// So many two-way streams may be opened in all.
    Streams(u64),
    /// A connection id of its own has this number.
    Issued(u64),
}

/// One frame of numbers.
#[must_use]
pub fn numbers(parts: &[u64]) -> Vec<u8> {
    let mut frame = Vec::new();
    parts.iter().for_each(|part| put(&mut frame, *part));
    frame
}

/// CRYPTO.
#[must_use]
pub fn crypto(offset: u64, bytes: &[u8]) -> Vec<u8> {
    [numbers(&[0x06, offset, bytes.len() as u64]), bytes.to_vec()].concat()
}

/// STREAM with offset and length.
#[must_use]
pub fn stream(id: u64, offset: u64, bytes: &[u8]) -> Vec<u8> {
    [numbers(&[0x0E, id, offset, bytes.len() as u64]), bytes.to_vec()].concat()
}

/// RESET_STREAM after one byte, and STOP_SENDING.
#[must_use]
pub fn reset(id: u64) -> Vec<u8> {
    numbers(&[0x04, id, 0, 1, 0x05, id, 0])
}

/// ACK of the packets `lowest` to `highest`.
#[must_use]
pub fn ack(lowest: u64, highest: u64) -> Vec<u8> {
    numbers(&[0x02, highest, 0, 0, highest.saturating_sub(lowest)])
}

/// NEW_CONNECTION_ID that retires all before `retire`.
#[must_use]
pub fn new_connection_id(number: u64, retire: u64) -> Vec<u8> {
    let id = number.to_be_bytes();
    [numbers(&[0x18, number, retire, id.len() as u64]), id.to_vec(), [id, id].concat()].concat()
}

/// PATH_CHALLENGE.
#[must_use]
pub fn path_challenge(number: u64) -> Vec<u8> {
    [&[0x1A], &number.to_be_bytes()[..]].concat()
}

/// Frames of a server, and the crypto bytes among them; stops at what it does not know.
#[must_use]
pub fn heard(mut frames: &[u8]) -> (Vec<Heard>, Vec<(u64, Vec<u8>)>) {
    let (mut heard, mut handshake) = (Vec::new(), Vec::new());
    while !frames.is_empty() && one(&mut frames, &mut heard, &mut handshake).is_some() {}
    (heard, handshake)
}

fn one(rest: &mut &[u8], heard: &mut Vec<Heard>, handshake: &mut Vec<(u64, Vec<u8>)>) -> Option<()> {
    let kind = get(rest)?;
    match kind {
        0x00 | 0x01 | 0x1E => {}
        0x02 | 0x03 => {
            let (_, _, ranges, _) = (get(rest)?, get(rest)?, get(rest)?, get(rest)?);
            for _ in 0..ranges.saturating_mul(2) + if kind == 3 { 3 } else { 0 } {
                get(rest)?;
            }
        }
        0x04 => _ = (get(rest)?, get(rest)?, get(rest)?),
        0x05 | 0x11 | 0x15 => _ = (get(rest)?, get(rest)?),
        0x06 => {
            let (offset, length) = (get(rest)?, get(rest)?);
            handshake.push((offset, take(rest, length)?.to_vec()));
        }
        0x07 => {
            let length = get(rest)?;
            take(rest, length)?;
        }
        0x08..=0x0F => {
            get(rest)?;
            if kind & 4 != 0 {
                get(rest)?;
            }
            let length = if kind & 2 != 0 { get(rest)? } else { rest.len() as u64 };
            take(rest, length)?;
        }
        0x10 | 0x13 | 0x14 | 0x16 | 0x17 | 0x19 => _ = get(rest)?,
        0x12 => heard.push(Heard::Streams(get(rest)?)),
        0x18 => {
            heard.push(Heard::Issued(get(rest)?));
            get(rest)?;
            let length = take(rest, 1)?.first().copied()?;
            take(rest, u64::from(length) + 16)?;
        }
        0x1A | 0x1B => _ = take(rest, 8)?,
        0x1C | 0x1D => heard.push(Heard::Closed { application: kind == 0x1D, code: get(rest)? }),
        _ => return None,
    }
    Some(())
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_over() {
        let frames = [
            ack(3, 9),
            crypto(7, b"hello"),
            stream(0, 300, b"x"),
            reset(4),
            new_connection_id(5, 2),
            path_challenge(1),
            numbers(&[0x12, 9]),
            numbers(&[0x1C, 10, 0, 0]),
        ];
        let (heard, handshake) = heard(&frames.concat());
        assert_eq!(handshake, [(7, b"hello".to_vec())]);
        let closed = Heard::Closed { application: false, code: 10 };
        assert_eq!(heard, [Heard::Issued(5), Heard::Streams(9), closed]);
    }
}
