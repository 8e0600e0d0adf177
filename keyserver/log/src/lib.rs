//! What a keyserver's log proves of a handle.
//!
//! The log is a tree of everything that the keyserver ever said of its handles, by the library akd. A lookup comes with a
//! proof that leads to a root, and the root is signed by the keyserver ([`hushwire_proto::log`]). Here a proof becomes
//! what it proves, or an error; and a root becomes one to trust, by comparison with those seen before. Whoever sees the
//! same root as others sees the same log.
//!
//! Owns the reading and checking of proofs. Leaves to the keyserver how the tree is kept, and to clients what they do about
//! a lie. Pure: bytes in, facts out, and no bytes lead to a panic.
//!
//! | file | what it is about | specification |
//! |---|---|---|
//! | `lookup.rs` | a handle stands for this account, and its newest link is this one | `proto/spec/keyserver.md` §7.3 |
//! | `absence.rs` | nobody ever had this handle; and the check of absence that akd leaves out | §7.4 |
//! | `history.rs` | all that was said of a handle lately, and that nothing newer was | §7.5 |
//! | `watch.rs` | a root after the ones that were seen | §7.6 |
//! | `report.rs` | what an auditor says, and whether it has seen what we have | §7.8 |
//! | `step.rs` | nothing was taken out or changed from one epoch to the next; feature `audit` | §7.7 |

use akd_core::AkdLabel;
pub use akd_core::WhatsAppV1Configuration as Configuration;
use hushwire_proto::log::SignedRoot;

mod absence;
mod history;
mod lookup;
mod report;
mod step;
mod watch;

pub use absence::{absent, encode_absence};
pub use history::{Said, encode_history, history};
pub use lookup::{encode_lookup, present};
pub use report::{
    BadReport, Compared, Followed, REPORT_BYTES_MAX, ROOTS_PER_REPORT_MAX, Report, Split, Standing, compare, contradict,
};
#[cfg(feature = "audit")]
pub use step::follows;
pub use step::{encode_step, root_of_nothing};
pub use watch::{Alarm, Seen, fresh, watch};

/// The last epoch there can be: one a millisecond for 8,000 years. Keeps sums of epochs and versions in range.
const EPOCH_MAX: u64 = 1 << 48;

/// A proof that proves nothing. Believe nothing that came with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// Not a proof of this version, or cut short.
    #[error("not a proof")]
    Encoding,
    /// A number that an honest log does not have.
    #[error("the proof speaks of a version or an epoch that the log does not have")]
    Range,
    /// It does not lead to the root.
    #[error("the proof does not lead to the signed root ({0})")]
    Wrong(String),
    /// It shows that something is missing by a place where it could not be.
    #[error("the proof of absence looks in another place")]
    Elsewhere,
}

/// The name under which akd keeps a handle.
#[must_use]
pub fn label(handle_name: &str) -> AkdLabel {
    AkdLabel(handle_name.as_bytes().to_vec())
}

fn in_range(root: &SignedRoot, version: u64) -> Result<(), BadProof> {
    let fits = root.epoch <= EPOCH_MAX && (1..=root.epoch).contains(&version);
    if fits { Ok(()) } else { Err(BadProof::Range) }
}

fn wrong(error: impl std::fmt::Display) -> BadProof {
    BadProof::Wrong(error.to_string())
}
