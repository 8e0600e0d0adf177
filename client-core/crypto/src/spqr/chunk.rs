//! The erasure code: a transmission cut into chunks of 32 bytes, of which any `N` different ones are enough.
//!
//! Chunk `c` holds the values at `x = c` of sixteen polynomials, one per lane; the first `N` chunks are the data
//! itself. What goes through here (`hdr`, `ekv`, `ct1`, `ct2` and two MACs) travels in clear inside the messages, so
//! nothing in this file is secret, neither the data nor which chunks are there.
//!
//! Spec: signal-wire §4.6.

use std::sync::Arc;

use super::{
    SpqrError,
    gf::{self, Lanes},
    stored::{Reader, Writer},
};

/// The size of every chunk.
pub(super) const CHUNK_BYTES: usize = 32;

/// One chunk and its number, as it lies in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) index: u16,
    pub(super) bytes: [u8; CHUNK_BYTES],
}

/// A transmission of `BYTES` bytes at its sender: the data, and the number that the next chunk gets.
#[derive(Clone)]
pub(super) struct Outgoing<const BYTES: usize> {
    data: Arc<[u8; BYTES]>,
    next: u16,
}

impl<const BYTES: usize> Outgoing<BYTES> {
    pub(super) fn new(data: [u8; BYTES]) -> Self {
        Self::resume(data, 0)
    }

    /// A transmission that was stored by its data and [`Self::next_index`].
    pub(super) fn resume(data: [u8; BYTES], next: u16) -> Self {
        const { assert!(BYTES.is_multiple_of(CHUNK_BYTES) && BYTES / CHUNK_BYTES <= u16::MAX as usize) };
        Self { data: Arc::new(data), next }
    }

    /// The next chunk; there is always one more, for the numbers wrap.
    pub(super) fn next_chunk(&mut self) -> Chunk {
        let index = self.next;
        self.next = self.next.wrapping_add(1);
        let bytes = self.chunk(index);
        Chunk { index, bytes }
    }

    pub(super) fn next_index(&self) -> u16 {
        self.next
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u16(self.next);
        out.bytes(self.data.as_slice());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        let next = from.u16()?;
        Ok(Self::resume(from.array()?, next))
    }

    fn chunk(&self, index: u16) -> [u8; CHUNK_BYTES] {
        let (chunks, _) = self.data.as_chunks();
        match chunks.get(usize::from(index)) {
            Some(chunk) => *chunk,
            None => Points::of((0..).zip(chunks)).value_at(index),
        }
    }
}

/// A transmission of `BYTES` bytes at its receiver: the chunks so far.
#[derive(Clone)]
pub(super) struct Incoming<const BYTES: usize> {
    /// Different numbers, in the order of arrival, always fewer than are needed.
    chunks: Vec<Chunk>,
}

/// What a transmission is after one more chunk.
pub(super) enum Received<const BYTES: usize> {
    Partly(Incoming<BYTES>),
    Whole(Box<[u8; BYTES]>),
}

impl<const BYTES: usize> Incoming<BYTES> {
    /// `N`: how many chunks recover the data.
    const NEEDED: usize = BYTES / CHUNK_BYTES;

    pub(super) fn new() -> Self {
        const { assert!(BYTES.is_multiple_of(CHUNK_BYTES) && BYTES > CHUNK_BYTES) };
        Self { chunks: Vec::new() }
    }

    /// A transmission of which the first chunk to arrive is this one. It takes more than one, so it is not whole.
    pub(super) fn begun_with(chunk: Chunk) -> Self {
        let mut incoming = Self::new();
        incoming.chunks.push(chunk);
        incoming
    }

    /// Takes one chunk. A number that is already there changes nothing.
    pub(super) fn add(mut self, chunk: Chunk) -> Received<BYTES> {
        if self.chunks.iter().all(|known| known.index != chunk.index) {
            self.chunks.push(chunk);
        }
        if self.chunks.len() < Self::NEEDED { Received::Partly(self) } else { Received::Whole(self.recover()) }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        // Always below `NEEDED`, which `Outgoing::resume` holds below 2^16.
        out.u16(u16::try_from(self.chunks.len()).unwrap_or(u16::MAX));
        for Chunk { index, bytes } in &self.chunks {
            out.u16(*index);
            out.bytes(bytes);
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        let count = from.u16()?;
        (0..count).try_fold(Self::new(), |so_far, _| {
            let (index, bytes) = (from.u16()?, from.array()?);
            let before = so_far.chunks.len();
            match so_far.add(Chunk { index, bytes }) {
                Received::Partly(more) if more.chunks.len() > before => Ok(more),
                Received::Partly(_) | Received::Whole(_) => Err(SpqrError::Damaged),
            }
        })
    }

    fn recover(&self) -> Box<[u8; BYTES]> {
        let points = Points::of(self.chunks.iter().map(|chunk| (chunk.index, &chunk.bytes)));
        let mut data = Box::new([0; BYTES]);
        for (index, to) in (0..).zip(data.as_chunks_mut().0) {
            *to = match self.chunks.iter().find(|known| known.index == index) {
                Some(known) => known.bytes,
                None => points.value_at(index),
            };
        }
        data
    }
}

/// The polynomials of least degree through some chunks, ready to be evaluated elsewhere.
struct Points {
    points: Vec<Point>,
}

struct Point {
    x: u16,
    lanes: Lanes,
    /// `1 / Π (x − x_j)` over the other points `j`.
    weight: u16,
}

impl Points {
    /// The chunks must have different numbers.
    fn of<'a>(chunks: impl Iterator<Item = (u16, &'a [u8; CHUNK_BYTES])>) -> Self {
        let mut points: Vec<Point> = chunks.map(|(x, bytes)| Point { x, lanes: lanes(bytes), weight: 1 }).collect();
        let places: Vec<u16> = points.iter().map(|point| point.x).collect();
        for point in &mut points {
            let others = places.iter().filter(|&&x| x != point.x);
            point.weight = gf::invert(others.fold(1, |product, x| gf::mul(product, point.x ^ x)));
        }
        Self { points }
    }

    /// The chunk number `at`, by Lagrange's formula; `at` must not be one of the points.
    fn value_at(&self, at: u16) -> [u8; CHUNK_BYTES] {
        // Π (at − x_j) over the points after each one, and then over those before it.
        let mut product = 1;
        let mut after: Vec<u16> = Vec::with_capacity(self.points.len());
        for point in self.points.iter().rev() {
            after.push(product);
            product = gf::mul(product, at ^ point.x);
        }
        let mut before = 1;
        let mut sum = Lanes::default();
        for (point, after) in self.points.iter().zip(after.into_iter().rev()) {
            let factor = gf::mul(point.weight, gf::mul(before, after));
            sum = gf::add_scaled(sum, factor, point.lanes);
            before = gf::mul(before, at ^ point.x);
        }
        bytes(sum)
    }
}

fn lanes(chunk: &[u8; CHUNK_BYTES]) -> Lanes {
    let mut lanes = Lanes::default();
    for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks().0) {
        *lane = u16::from_be_bytes(*word);
    }
    lanes
}

fn bytes(lanes: Lanes) -> [u8; CHUNK_BYTES] {
    let mut chunk = [0; CHUNK_BYTES];
    for (word, lane) in chunk.as_chunks_mut().0.iter_mut().zip(lanes) {
        *word = lane.to_be_bytes();
    }
    chunk
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::subsequence};

    use super::*;

    fn chunks<const BYTES: usize>(data: &[u8; BYTES], numbers: &[u16]) -> Vec<Chunk> {
        let outgoing = Outgoing::new(*data);
        let chunk = |&index| Chunk { index, bytes: outgoing.chunk(index) };
        numbers.iter().map(chunk).collect()
    }

    fn receive<const BYTES: usize>(chunks: Vec<Chunk>) -> Result<Box<[u8; BYTES]>, usize> {
        let mut incoming = Incoming::new();
        for chunk in chunks {
            match incoming.add(chunk) {
                Received::Partly(more) => incoming = more,
                Received::Whole(data) => return Ok(data),
            }
        }
        Err(incoming.chunks.len())
    }

    fn data<const BYTES: usize>(seed: u8) -> [u8; BYTES] {
        let mut byte = seed;
        [(); BYTES].map(|()| {
            byte = byte.wrapping_mul(29).wrapping_add(71);
            byte
        })
    }

    #[test]
    fn the_first_chunks_are_the_data() {
        let data = data::<960>(1);
        let mut outgoing = Outgoing::new(data);
        for (number, part) in data.as_chunks::<32>().0.iter().enumerate() {
            let chunk = outgoing.next_chunk();
            assert_eq!((usize::from(chunk.index), &chunk.bytes), (number, part));
        }
        assert_eq!(outgoing.next_chunk().index, 30);
    }

    #[test]
    fn chunks_beyond_the_data_lie_on_lines_through_two_chunks() {
        // With N = 2 a lane is a line: y(c) = y(0) + c · (y(1) − y(0)).
        let data = data::<64>(2);
        let (zero, one) = (lanes(&data.as_chunks().0[0]), lanes(&data.as_chunks().0[1]));
        for number in [2, 3, 255, 256, 40_000, u16::MAX] {
            let slope: Lanes = std::array::from_fn(|lane| zero[lane] ^ one[lane]);
            let expected = gf::add_scaled(zero, number, slope);
            assert_eq!(chunks(&data, &[number])[0].bytes, bytes(expected));
        }
    }

    #[test]
    fn numbers_wrap() {
        let data = data::<96>(3);
        let mut outgoing = Outgoing::resume(data, u16::MAX);
        assert_eq!(outgoing.next_chunk().index, u16::MAX);
        assert_eq!(outgoing.next_chunk(), Outgoing::new(data).next_chunk());
    }

    #[test]
    fn one_chunk_too_few_or_one_twice_is_not_enough() {
        let data = data::<160>(4);
        assert_eq!(receive::<160>(chunks(&data, &[9, 1, 8, 2])), Err(4));
        assert_eq!(receive::<160>(chunks(&data, &[9, 1, 8, 2, 9, 1])), Err(4));
        assert_eq!(receive(chunks(&data, &[9, 1, 8, 2, 9, 1, 3])), Ok(Box::new(data)));
    }

    #[test]
    fn a_stored_transmission_goes_on() {
        let data = data::<96>(5);
        let incoming = Incoming::<96>::begun_with(chunks(&data, &[77])[0].clone());
        let mut out = Writer::with_capacity(100);
        incoming.write(&mut out);
        let stored = out.finish();
        let Ok(read) = Incoming::<96>::read(&mut Reader::new(&stored)) else { panic!("refused") };
        assert_eq!(read.chunks, incoming.chunks);

        let twice = [&[0, 2], &stored[2..], &stored[2..]].concat();
        assert!(matches!(Incoming::<96>::read(&mut Reader::new(&twice)), Err(SpqrError::Damaged)));
        let whole = [&[0, 3][..], &[0; 34], &[1; 34], &[2; 34]].concat();
        assert!(matches!(Incoming::<96>::read(&mut Reader::new(&whole)), Err(SpqrError::Damaged)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_chunks_are_enough(
            seed: u8,
            numbers in subsequence((0..100).chain(65_436..=u16::MAX).collect::<Vec<_>>(), 36).prop_shuffle(),
        ) {
            let ekv = data::<1152>(seed);
            prop_assert_eq!(receive(chunks(&ekv, &numbers)), Ok(Box::new(ekv)));
            let ct1 = data::<960>(seed);
            prop_assert_eq!(receive(chunks(&ct1, &numbers)), Ok(Box::new(ct1)));
            let ct2 = data::<160>(seed);
            prop_assert_eq!(receive(chunks(&ct2, &numbers)), Ok(Box::new(ct2)));
            let header = data::<96>(seed);
            prop_assert_eq!(receive(chunks(&header, &numbers)), Ok(Box::new(header)));
        }

        #[test]
        fn any_stored_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Incoming::<160>::read(&mut Reader::new(&bytes));
            let _ = Outgoing::<160>::read(&mut Reader::new(&bytes));
        }
    }
}
