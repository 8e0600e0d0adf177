//! Asking for somebody, and for what the log says and said. Every answer about a handle comes with its proof.
//!
//! What has changed and is not in the log yet is not told: whoever asks waits for the epoch that has it, a second or two.
//! So there is no state of "not proven yet" that a client would have to keep in mind, and that a lie could hide in.
//!
//! Spec: keyserver §5, §7.

use std::sync::Arc;

use hushwire_proto::ids::AccountId;
use hushwire_proto::keyserver::{Answer, Found, Proven, RefusedReason, Step, Who};
use hushwire_proto::limits::STEP_PART_BYTES_MAX;
use tokio::time::{Instant, timeout_at};

use super::fetch::unknown;
use super::{Server, aside, overloaded, refuse};
use crate::connection::Session;
use crate::keys::{Keys, KeysError};
use crate::limits::{EPOCH_EVERY, EPOCH_PATIENCE, TooFast, lock};
use crate::verify;

/// How often an answer is computed again that two epochs overtook.
const TRIES_MAX: u32 = 3;

pub(super) async fn lookup(server: &Server, session: &Session, who: Who) -> Result<Answer, KeysError> {
    if let Who::Handle(_) = &who
        && let Err(wait) = lock(&server.lookups).take(session.address(), std::time::Instant::now())
    {
        return Ok(Answer::Refused(overloaded("too many handles were looked up from this address", wait)));
    }
    server.metrics.lookups.add(1);
    let patience = Instant::now() + EPOCH_PATIENCE;
    let mut epochs = server.keys.epochs();
    loop {
        epochs.borrow_and_update(); // an epoch that is kept from here on is seen below
        let (keys, who) = (server.keys.clone(), who.clone());
        if let Some(answer) = aside(move || again(|| look(&keys, &who))).await?? {
            return Ok(answer);
        }
        if timeout_at(patience, epochs.changed()).await.is_err() {
            let detail = "this has changed a moment ago and is not in the log yet";
            return Ok(Answer::Refused(overloaded(detail, TooFast(EPOCH_EVERY))));
        }
    }
}

/// The answer; `None` if it waits for an epoch.
fn look(keys: &Arc<Keys>, who: &Who) -> Result<Option<Answer>, KeysError> {
    let account = match who {
        Who::Account(account) => *account,
        Who::Handle(name) if !verify::is_handle_name(name) => return Ok(Some(unknown())),
        Who::Handle(name) => match keys.handle(name)? {
            Some(account) => account,
            None => return absent(keys, name),
        },
    };
    found(keys, account)
}

fn absent(keys: &Arc<Keys>, name: &str) -> Result<Option<Answer>, KeysError> {
    let proven = keys.log().absence(name)?;
    // Registered meanwhile: the proof may be of an epoch that has it.
    Ok(if keys.handle(name)?.is_some() { None } else { Some(Answer::Absent(proven)) })
}

fn found(keys: &Arc<Keys>, account: AccountId) -> Result<Option<Answer>, KeysError> {
    let Some(stored) = keys.account(account)? else { return Ok(Some(unknown())) };
    let mut proven = None;
    if let Some(name) = &stored.handle {
        match keys.log().lookup(name)? {
            Some((entry, proof)) if Some(entry) == stored.entry(account) => proven = Some(proof),
            _ => return Ok(None),
        }
    }
    Ok(Some(Answer::Found(Found { account, links: stored.links, handle_name: stored.handle, proven })))
}

pub(super) async fn history(server: &Server, name: String) -> Result<Answer, KeysError> {
    let keys = server.keys.clone();
    let proven: Option<Proven> = aside(move || again(|| Ok(keys.log().history(&name)?))).await??;
    Ok(proven.map_or_else(unknown, Answer::History))
}

pub(super) fn root(server: &Server, epoch: Option<u64>) -> Result<Answer, KeysError> {
    Ok(server.keys.root(epoch)?.map_or_else(no_epoch, Answer::Root))
}

pub(super) fn step(server: &Server, epoch: u64, offset: u64) -> Result<Answer, KeysError> {
    let Some(step) = server.keys.step(epoch)? else { return Ok(no_epoch()) };
    let bytes_total = step.len() as u64;
    let rest = usize::try_from(offset).ok().and_then(|offset| step.get(offset..)).unwrap_or_default();
    let part = rest.get(..STEP_PART_BYTES_MAX).unwrap_or(rest).to_vec().into();
    Ok(Answer::Step(Step { bytes_total, part }))
}

fn no_epoch() -> Answer {
    refuse(RefusedReason::Unknown, "the log has no such epoch")
}

/// Computes again what failed because the log went on by two epochs meanwhile.
fn again<T>(mut compute: impl FnMut() -> Result<T, KeysError>) -> Result<T, KeysError> {
    let mut tries = 1;
    loop {
        match compute() {
            Err(KeysError::Log(_)) if tries < TRIES_MAX => tries += 1,
            done => return done,
        }
    }
}
