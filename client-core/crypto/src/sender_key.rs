//! Sender keys: one encryption for a whole group, under a chain that each member was told in a session of its own.
//!
//! Owns the chains, ours and a sender's, and the two messages about them. Who is in a group, whom our key was told and
//! when it is replaced is the engine's; a key must be replaced whenever somebody leaves.
//!
//! | what | file | spec |
//! |---|---|---|
//! | the two messages | `message` | §5.2, §5.3 |
//! | our key: telling and encrypting | `ours` | §5.1 to §5.3 |
//! | a sender's keys: taking in and decrypting | `theirs` | §5.1 to §5.3 |
//! | bytes on disk | `stored` | ours |
//!
//! The chain itself, and what is skipped in it, is that of sessions: `chain`.
//!
//! Spec: signal-wire §5.1, §5.2, §5.3.

mod message;
mod ours;
mod stored;
#[cfg(test)]
mod tests;
mod theirs;

use std::fmt;

pub use message::{SenderKeyDistributionMessage, SenderKeyMessage};
pub use ours::{GroupSealed, OurSenderKey};
pub use theirs::{GroupOpened, SenderKeys};

/// The name of a group's distribution: a UUID that whoever sends to it has chosen. It tells nothing of the group.
///
/// Spec: signal-wire §5.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistributionId([u8; 16]);

impl DistributionId {
    /// The distribution of this UUID.
    pub const fn from_bytes(uuid: [u8; 16]) -> DistributionId {
        DistributionId(uuid)
    }

    /// The UUID.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The first four bytes, as of a key.
impl fmt::Debug for DistributionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "DistributionId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}
