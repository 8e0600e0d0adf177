//! Thirty-two secret bytes.

use std::{array, fmt, sync::Arc};

use zeroize::Zeroizing;

/// A 32-byte secret in one place of the heap. A clone shares it instead of copying it: the states before and after a
/// message mostly hold the same secrets. It is wiped when the last of them is dropped.
#[derive(Clone)]
pub(super) struct Secret(Arc<Zeroizing<[u8; 32]>>);

impl Secret {
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        let [secret] = Self::split(bytes);
        secret
    }

    /// The secrets that lie side by side in `bytes`.
    pub(super) fn split<const PARTS: usize, const BYTES: usize>(bytes: &[u8; BYTES]) -> [Self; PARTS] {
        const { assert!(BYTES == 32 * PARTS) };
        let mut parts = bytes.as_chunks::<32>().0.iter();
        array::from_fn(|_| {
            let mut secret = Arc::new(Zeroizing::new([0; 32]));
            if let Some(part) = parts.next() {
                Arc::make_mut(&mut secret).copy_from_slice(part);
            }
            Self(secret)
        })
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes for the one who uses them up.
    pub(super) fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(**self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}
