//! One keyserver, epoch by epoch from the first: each root is the keyserver's and follows from the one before.
//!
//! What does not hold is no accident of the network: the connection is encrypted to the key that the address pins, and
//! that key signs the roots. So the first thing that does not hold is a verdict, and the following ends. What is only not
//! answered is tried again.
//!
//! Spec: keyserver §7.6, §7.7.

use std::io;
use std::time::Duration;

use hushwire_log::{Alarm, Seen, follows, fresh, watch};
use hushwire_proto::log::SignedRoot;
use tokio::time::sleep;

use crate::ask::{Asker, NoAnswer};
use crate::verdict::Verdict;
use crate::watched::{Watched, now};

/// Why it does not go on.
enum Halt {
    /// For now.
    Trouble(String),
    /// For good.
    Verdict(Verdict),
    /// The auditor's own disk.
    Disk(io::Error),
}

impl From<NoAnswer> for Halt {
    fn from(error: NoAnswer) -> Self {
        Self::Trouble(error.to_string())
    }
}

/// Follows until something does not hold; ends with an error only if the disk fails.
pub(crate) async fn follow(watched: &Watched, every: Duration) -> io::Result<()> {
    if watched.is_judged() {
        return Ok(());
    }
    loop {
        match catch_up(watched).await {
            Ok(()) => watched.set_trouble(None),
            Err(Halt::Trouble(why)) => {
                tracing::warn!(keyserver = %watched.address, why, "cannot go on for now");
                watched.set_trouble(Some(why));
            }
            Err(Halt::Verdict(verdict)) => {
                let (keyserver, what) = (&watched.address, &verdict.what);
                tracing::error!(%keyserver, what, "THE KEYSERVER DOES NOT HOLD WHAT IT SIGNED; it is not followed any more");
                return watched.judge(verdict);
            }
            Err(Halt::Disk(error)) => return Err(error),
        }
        sleep(every).await;
    }
}

/// Checks every epoch up to the newest.
async fn catch_up(watched: &Watched) -> Result<(), Halt> {
    let asker = Asker::connect(&watched.address).await?;
    let newest = asker.root(None).await?;
    let mut kept = watched.newest();
    let seen =
        watch(watched.fingerprint, kept.as_ref(), &newest).map_err(|alarm| verdict(alarm, kept.as_ref(), &newest))?;
    if seen == Seen::Newer {
        let first = kept.as_ref().map_or(1, |kept| kept.epoch.saturating_add(1));
        for epoch in first..=newest.epoch {
            let root = asker.root(Some(epoch)).await?;
            let next = Some(&root);
            watch(watched.fingerprint, kept.as_ref(), &root).map_err(|alarm| verdict(alarm, kept.as_ref(), &root))?;
            watch(watched.fingerprint, next, &newest).map_err(|alarm| verdict(alarm, next, &newest))?;
            let step = asker.step(epoch).await?;
            if let Err(why) = check(kept.clone(), root.clone(), step).await {
                return Err(judge(&asker, watched, kept, root, &why).await);
            }
            watched.keep(root.clone()).map_err(Halt::Disk)?;
            kept = Some(root);
        }
    }
    watched.heard();
    fresh(&newest, now()).map_err(|old| Halt::Trouble(old.to_string()))
}

/// The check of akd, in a task of its own: should bytes of a keyserver ever make it panic, that is a step that does not
/// hold, and nothing else ends.
async fn check(before: Option<SignedRoot>, after: SignedRoot, step: Vec<u8>) -> Result<(), String> {
    let checked = tokio::spawn(async move { follows(before.as_ref(), &after, &step).await });
    match checked.await {
        Ok(held) => held.map_err(|bad| bad.to_string()),
        Err(_) => Err("the proof stopped its check".to_owned()),
    }
}

/// A step did not hold. If the keyserver has meanwhile another root for the epoch before it, that is the plainer proof.
async fn judge(asker: &Asker, watched: &Watched, kept: Option<SignedRoot>, root: SignedRoot, why: &str) -> Halt {
    if let Some(kept) = &kept
        && let Ok(again) = asker.root(Some(kept.epoch)).await
        && let Err(alarm @ (Alarm::TwoRoots { .. } | Alarm::OtherLog)) = watch(watched.fingerprint, Some(kept), &again)
    {
        return verdict(alarm, Some(kept), &again);
    }
    let what = format!(
        "epoch {} of the log does not follow from the one before: something was taken out or changed ({why})",
        root.epoch
    );
    Halt::Verdict(Verdict { what, at: now(), evidence: kept.into_iter().chain([root]).collect() })
}

fn verdict(alarm: Alarm, kept: Option<&SignedRoot>, told: &SignedRoot) -> Halt {
    let signed = !matches!(alarm, Alarm::Unsigned(_)); // what it has not signed shows nothing to anybody
    let told = Some(told).filter(|_| signed);
    let evidence = kept.into_iter().chain(told).cloned().collect();
    Halt::Verdict(Verdict { what: alarm.to_string(), at: now(), evidence })
}
