//! What a keyserver does that an honest one never does, and the sentence that a person is told.

use hushwire_log::{Alarm, BadProof};

/// Why a person should not trust a keyserver. Each `Display` is a sentence about the keyserver, without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    /// Its newest root does not follow from the one that was seen, is not signed, or is old.
    #[error(transparent)]
    Root(#[from] Alarm),
    /// An auditor has another log under the keyserver's signature.
    #[error(
        "it shows another log to the auditor {auditor} than to us, from epoch {epoch} at the latest: it says different \
         things to different people"
    )]
    SplitView {
        /// Its address.
        auditor: String,
        /// Where the two differ.
        epoch: u64,
    },
    /// An auditor that was heard has not confirmed what we were shown for a day.
    #[error(
        "the auditor {auditor} has not confirmed its log for {hours} hours: it keeps the log from the auditor, or the \
         auditor found something wrong"
    )]
    Unwitnessed {
        /// Its address.
        auditor: String,
        /// Since it last did.
        hours: u64,
    },
    /// It names somebody and does not prove it.
    #[error("it names somebody without the proof that its log says so")]
    NoProof,
    /// What it shows proves nothing.
    #[error("its proof does not hold: {0}")]
    BadProof(#[from] BadProof),
    /// It answers with another account, or another device list, than its log has.
    #[error("its log says something else of this handle than it does")]
    NotItsLog,
    /// It has acknowledged our handle and denies it now.
    #[error("its log does not have our handle, which it has acknowledged")]
    OurHandleMissing,
    /// The newest of our handle is not our newest device list.
    #[error("the newest that its log says of our handle is not our device list: somebody changed it")]
    OurListReplaced,
    /// Something else was said of our handle before.
    #[error("its log has said something of our handle that no device of ours has signed")]
    OurListForged,
    /// The list of our devices that it shows us is not ours, or follows from nothing.
    #[error("it shows a list of our devices that does not verify")]
    OurListInvalid,
    /// It shows us less than it has acknowledged.
    #[error("it shows an older list of our devices than it has acknowledged")]
    OurListOlder,
}

impl Lie {
    /// A word for scripts. Stays the same from version to version.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Root(Alarm::Unsigned(_)) => "unsigned_root",
            Self::Root(Alarm::SetBack { .. }) => "set_back",
            Self::Root(Alarm::TwoRoots { .. }) => "two_roots",
            Self::Root(Alarm::OtherLog) => "other_log",
            Self::Root(Alarm::HeldBack { .. }) => "held_back",
            Self::Root(Alarm::Stale { .. }) => "stale_root",
            Self::Root(Alarm::Ahead { .. }) => "future_root",
            Self::SplitView { .. } => "split_view",
            Self::Unwitnessed { .. } => "unwitnessed",
            Self::NoProof => "no_proof",
            Self::BadProof(_) => "bad_proof",
            Self::NotItsLog => "not_its_log",
            Self::OurHandleMissing => "our_handle_missing",
            Self::OurListReplaced => "our_list_replaced",
            Self::OurListForged => "our_list_forged",
            Self::OurListInvalid => "our_list_invalid",
            Self::OurListOlder => "our_list_older",
        }
    }
}
