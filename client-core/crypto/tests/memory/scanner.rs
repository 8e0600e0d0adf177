//! Looks through all memory of this process that can be written to, for pieces of secrets that it knows only masked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use super::learned::PIECE;

/// What every byte of a known piece is combined with, so that what the scanner knows is not what it looks for.
pub(crate) const MASK: u8 = 0xA5;

/// Read at once.
const BLOCK: usize = 1 << 20;

pub(crate) struct Scanner {
    /// Masked, in order.
    pieces: Vec<[u8; PIECE]>,
    /// Whether some piece begins with these two bytes.
    begins: Vec<bool>,
    buffer: Vec<u8>,
    memory: File,
}

impl Scanner {
    /// Everything that it needs is there before there is anything to be found.
    pub(crate) fn new(masked: &[u8]) -> Scanner {
        let mut pieces = masked.as_chunks::<PIECE>().0.to_vec();
        pieces.sort_unstable();
        let mut begins = vec![false; 1 << 16];
        pieces.iter().for_each(|piece| begins[beginning(piece)] = true);
        Scanner { pieces, begins, buffer: vec![0; BLOCK + PIECE], memory: File::open("/proc/self/mem").unwrap() }
    }

    /// How often each piece was found, by its masked bytes and where (elsewhere than on the stack is `heap`), and how many bytes were looked through.
    pub(crate) fn scan(&mut self) -> (BTreeMap<([u8; PIECE], &'static str), usize>, usize) {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let (mut found, mut looked) = (BTreeMap::new(), 0);
        let here = std::ptr::from_ref(&looked).addr();
        for line in maps.lines() {
            let mut words = line.split_ascii_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            let (start, end) = range.split_once('-').unwrap();
            let [start, end] = [start, end].map(|number| usize::from_str_radix(number, 16).unwrap());
            let kind = if (start..end).contains(&here) { "stack" } else { "heap" };
            if rights.starts_with("rw") {
                looked += self.region(start, end, kind, &mut found);
            }
        }
        (found, looked)
    }

    fn region(
        &mut self,
        start: usize,
        end: usize,
        kind: &'static str,
        found: &mut BTreeMap<([u8; PIECE], &'static str), usize>,
    ) -> usize {
        let own = self.buffer.as_ptr().addr();
        let own = own..own + self.buffer.len();
        let mut looked = 0;
        for block in (start..end).step_by(BLOCK) {
            let length = (BLOCK + PIECE - 1).min(end - block);
            let Ok(read) = self.memory.read_at(&mut self.buffer[..length], block as u64) else { continue };
            looked += read.min(BLOCK);
            for (place, window) in self.buffer[..read].windows(PIECE).enumerate() {
                // The buffer itself has copies of what was read before.
                if place >= BLOCK || own.contains(&(block + place)) {
                    continue;
                }
                let masked: [u8; PIECE] = std::array::from_fn(|place| window[place] ^ MASK);
                if self.begins[beginning(&masked)] && self.pieces.binary_search(&masked).is_ok() {
                    *found.entry((masked, kind)).or_default() += 1;
                }
            }
        }
        looked
    }
}

fn beginning(piece: &[u8; PIECE]) -> usize {
    usize::from(u16::from_le_bytes([piece[0], piece[1]]))
}
