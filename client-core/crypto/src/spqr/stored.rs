//! Numbers and byte strings of a stored state, big-endian and without padding.
//!
//! Which parts follow each other is written in the file of each part.

use zeroize::Zeroizing;

use super::{SpqrError, secret::Secret};

/// Bytes that grow at the end, within the capacity that was given: they hold secrets and must not be moved.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        debug_assert!(self.0.len() + bytes.len() <= self.0.capacity());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Bytes that are consumed from the front. Every method fails with `Damaged` once there are too few.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, SpqrError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, SpqrError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, SpqrError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, SpqrError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn secret(&mut self) -> Result<Secret, SpqrError> {
        Ok(Secret::new(self.take()?))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SpqrError> {
        self.take().copied()
    }

    /// That nothing is left.
    pub(super) fn finish(self) -> Result<(), SpqrError> {
        if self.0.is_empty() { Ok(()) } else { Err(SpqrError::Damaged) }
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], SpqrError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(SpqrError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }
}
