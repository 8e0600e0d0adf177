//! A root after the ones that were seen. A log only grows: who has seen an epoch takes no older one, and no other root for
//! the same.
//!
//! Spec: keyserver §7.6.

use hushwire_proto::address::Fingerprint;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::{BadRoot, SignedRoot};

/// How old the newest root may be, in milliseconds. A keyserver signs it anew every hour while nothing changes; a day of
/// being down, and an hour by which clocks differ, are no lie.
const AGE_MAX_MS: u64 = 25 * HOUR_MS;

const HOUR_MS: u64 = 3600 * 1000;

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
    /// An epoch that is signed as older than the one before it: when it said that the earlier was its newest, the later was
    /// there already.
    #[error(
        "the keyserver said that its log had not gone on when epoch {epoch} of it was there already: it held that back"
    )]
    HeldBack {
        /// Which.
        epoch: u64,
    },
    /// The newest that it shows is old: what came after is held back, perhaps from this reader alone.
    #[error(
        "the newest log that the keyserver shows is {hours} hours old: it holds back what is newer, it has stopped, or \
         the clock here is wrong"
    )]
    Stale {
        /// How old.
        hours: u64,
    },
    /// It is dated in the future, so that it would stay new.
    #[error(
        "the log that the keyserver shows is dated {hours} hours ahead: it lies about the time, or the clock here is wrong"
    )]
    Ahead {
        /// How far.
        hours: u64,
    },
}

/// Checks that a root which is said to be the newest is not too old for that. What it proves holds all the same.
///
/// # Errors
/// [`Alarm::Stale`], [`Alarm::Ahead`].
pub fn fresh(told: &SignedRoot, now: UnixMillis) -> Result<(), Alarm> {
    let (age, ahead) = (now.since(told.at), told.at.since(now));
    if age > AGE_MAX_MS {
        return Err(Alarm::Stale { hours: age / HOUR_MS });
    }
    if ahead > AGE_MAX_MS {
        return Err(Alarm::Ahead { hours: ahead / HOUR_MS });
    }
    Ok(())
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
        std::cmp::Ordering::Greater if told.at < kept.at => Err(Alarm::HeldBack { epoch: told.epoch }),
        std::cmp::Ordering::Greater => Ok(Seen::Newer),
    }
}
