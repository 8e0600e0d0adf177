//! Sealed envelopes as a relay sees them: opaque bytes of one of a few sizes.
//!
//! Spec: envelope §1.

use bytes::Bytes;

use crate::limits::ENVELOPE_CLASSES;

/// A sealed envelope: exactly one of the eight sizes of [`ENVELOPE_CLASSES`], and nothing else is known about it.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope(Bytes);

/// Why bytes are not an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an envelope of {found} bytes: it must be padded to one of the size classes (512 to 65536, powers of two)")]
pub struct NotAnEnvelope {
    /// Bytes there were.
    pub found: usize,
}

impl Envelope {
    /// Takes bytes of a size class.
    ///
    /// # Errors
    /// [`NotAnEnvelope`] for any other size.
    pub fn new(bytes: Bytes) -> Result<Self, NotAnEnvelope> {
        if ENVELOPE_CLASSES.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(NotAnEnvelope { found: bytes.len() })
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// How many bytes: a size class.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "no envelope is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Envelope({} bytes)", self.0.len())
    }
}

/// The smallest class that holds `bytes`; `None` beyond the largest.
#[must_use]
pub fn class_for(bytes: usize) -> Option<usize> {
    ENVELOPE_CLASSES.into_iter().find(|class| *class >= bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ENVELOPE_BYTES_MAX;

    #[test]
    fn only_the_size_classes_are_envelopes() {
        for size in 0..=ENVELOPE_BYTES_MAX + 1 {
            let is_class = ENVELOPE_CLASSES.contains(&size);
            assert_eq!(Envelope::new(vec![0; size].into()).is_ok(), is_class);
        }
    }

    #[test]
    fn the_class_is_the_smallest_that_holds_it() {
        assert_eq!(class_for(0), Some(512));
        assert_eq!(class_for(512), Some(512));
        assert_eq!(class_for(513), Some(1024));
        assert_eq!(class_for(ENVELOPE_BYTES_MAX + 1), None);
    }
}
