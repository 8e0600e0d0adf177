//! Messages with one thing wrong, made from a right one: every way in which a protobuf message can lie.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::packet::DATAGRAM_BYTES;

/// How many ways there are.
pub const WAYS: usize = 14;

/// The message with something wrong in the way of that number. By chance it may be right again.
#[must_use]
pub fn malformed(right: &[u8], way: usize, rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = right.to_vec();
    let place = rng.random_range(0..=bytes.len().saturating_sub(1));
    match way % WAYS {
        // Cut short, anywhere.
        0 => bytes.truncate(place),
        // A byte, often a length or a tag, is another one.
        1 => put(&mut bytes, place, rng.random()),
        // A bit is turned.
        2 => {
            let before = bytes.get(place).copied().unwrap_or_default();
            put(&mut bytes, place, before ^ 1 << rng.random_range(0..8));
        }
        // The outermost length says too much or too little.
        3 => put(&mut bytes, 1, rng.random()),
        // In itself, again and again.
        4 => {
            for _ in 0..rng.random_range(1..200) {
                bytes = field(bytes.first().copied().unwrap_or(0x0A), &bytes);
            }
        }
        // A number that does not end.
        5 => bytes.extend([0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        // Everything twice.
        6 => bytes.extend_from_within(..),
        // A field that nobody knows.
        7 => bytes.extend(field(rng.random_range(0x82..0xFA) & 0xFA, &noise(rng, 40))),
        // A group, which is no longer used, and never ends.
        8 => bytes.extend(std::iter::repeat_n(0x0B, rng.random_range(1..300))),
        // Another type of field under the same number.
        9 => {
            let tag = bytes.first().copied().unwrap_or_default();
            put(&mut bytes, 0, tag ^ rng.random_range(1..8));
        }
        // Text that is none.
        10 => {
            for at in place..place + 8 {
                put(&mut bytes, at, 0xFF);
            }
        }
        // No bytes, or one.
        11 => bytes = noise(rng, 2),
        // One of its fields is longer than there may be.
        12 => bytes = field(bytes.first().copied().unwrap_or(0x0A), &field(0x0A, &noise(rng, 100 * DATAGRAM_BYTES))),
        // A piece of it is somewhere else too.
        _ => {
            let piece: Vec<u8> = bytes.iter().skip(place).take(rng.random_range(1..60)).copied().collect();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, piece);
        }
    }
    bytes
}

fn put(bytes: &mut [u8], place: usize, byte: u8) {
    if let Some(there) = bytes.get_mut(place) {
        *there = byte;
    }
}

fn noise(rng: &mut StdRng, most: usize) -> Vec<u8> {
    let mut noise = vec![0; rng.random_range(0..most)];
    rng.fill_bytes(&mut noise);
    noise
}

/// A tag, a length and bytes.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(low(length) | 0x80);
        length >>= 7;
    }
    field.push(low(length));
    field.extend_from_slice(content);
    field
}

fn low(length: usize) -> u8 {
    u8::try_from(length & 0x7F).unwrap_or_default()
}
