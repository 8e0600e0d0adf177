//! Asking for keys to begin a session with.
//!
//! Anyone may ask, signed in or not: who writes to whom is nothing that a keyserver needs to know. What is asked for
//! and not there is answered in the same words, whatever it was.
//!
//! Spec: keyserver §5.

use std::collections::BTreeSet;
use std::time::Instant;

use hushwire_proto::ids::{AccountId, DeviceId};
use hushwire_proto::keyserver::{Answer, RefusedReason};

use super::{Server, refuse};
use crate::connection::Session;
use crate::keys::KeysError;
use crate::limits::lock;

pub(super) async fn fetch(
    server: &Server,
    session: &Session,
    account: AccountId,
    devices: Vec<DeviceId>,
) -> Result<Answer, KeysError> {
    if devices.iter().collect::<BTreeSet<_>>().len() < devices.len() {
        return Ok(refuse(RefusedReason::BadRequest, "a device is named twice"));
    }
    let Some(stored) = server.keys.account(account)? else { return Ok(unknown()) };
    let devices = devices.into_iter().filter(|device| stored.device(*device).is_some()).collect();
    // The asker first: who has asked too much takes nothing of what others may ask of this account.
    let now = Instant::now();
    let one_time = lock(&server.one_time_keys_per_address).take(session.address(), now).is_ok()
        && lock(&server.one_time_keys).take(account, now).is_ok();
    let bundles = server.keys.take(account, devices, one_time).await?;
    let count = if one_time { &server.metrics.bundles } else { &server.metrics.bundles_spared };
    count.add(bundles.len() as u64);
    Ok(Answer::Bundles(bundles))
}

/// The one answer for whoever is not here.
pub(super) fn unknown() -> Answer {
    refuse(RefusedReason::Unknown, "nobody here has this handle or account")
}
