//! A root after the ones that were seen. A log only grows: who has seen an epoch takes no older one, and no other root for
//! the same.
//!
//! Spec: keyserver §7.6.

use hushwire_proto::address::Fingerprint;
use hushwire_proto::log::{BadRoot, SignedRoot};

/// What a root is that verifies and contradicts nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The first, or newer than all before: keep it.
    Newer,
    /// The one that was kept.
    Same,
}

/// What an honest keyserver never does. The two roots together prove it to anybody, where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// It signs with another key, or does not sign.
    #[error(transparent)]
    Unsigned(#[from] BadRoot),
    /// It was further already: it was set back, or holds back what is newer.
    #[error(
        "the keyserver's log was at epoch {seen} and is now said to be at {told}: it was set back, or it hides something"
    )]
    SetBack {
        /// Epoch that was seen.
        seen: u64,
        /// Epoch that is shown now.
        told: u64,
    },
    /// Two roots for one epoch: it says different things to different people.
    #[error(
        "the keyserver has signed two different logs for epoch {epoch}: it says different things to different people"
    )]
    TwoRoots {
        /// Which.
        epoch: u64,
    },
    /// A log under another key: everything that was proven before says nothing about this one.
    #[error("the keyserver began another log in the place of the one that was seen")]
    OtherLog,
}

/// Checks a root of the keyserver with this fingerprint against the newest one that was kept.
///
/// # Errors
/// [`Alarm`]: keep the one that was kept.
pub fn watch(server: Fingerprint, kept: Option<&SignedRoot>, told: &SignedRoot) -> Result<Seen, Alarm> {
    told.verify(server)?;
    let Some(kept) = kept else { return Ok(Seen::Newer) };
    if told.vrf_key != kept.vrf_key {
        return Err(Alarm::OtherLog);
    }
    match told.epoch.cmp(&kept.epoch) {
        std::cmp::Ordering::Less => Err(Alarm::SetBack { seen: kept.epoch, told: told.epoch }),
        std::cmp::Ordering::Equal if told.root != kept.root => Err(Alarm::TwoRoots { epoch: told.epoch }),
        std::cmp::Ordering::Equal => Ok(Seen::Same),
        std::cmp::Ordering::Greater => Ok(Seen::Newer),
    }
}
