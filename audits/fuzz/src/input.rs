//! Bytes as a row of choices: each takes what it needs from the front, and there are none left at the end.

/// What is left of the bytes.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Two bytes as a number.
    pub(crate) fn number(&mut self) -> Option<usize> {
        Some(usize::from(self.byte()?) << 8 | usize::from(self.byte()?))
    }

    /// One byte as a place among `of`; nothing when there is none.
    pub(crate) fn pick(&mut self, of: usize) -> Option<usize> {
        usize::from(self.byte()?).checked_rem(of)
    }

    /// Up to `most` bytes.
    pub(crate) fn some(&mut self, most: usize) -> &'a [u8] {
        let (some, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        some
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
