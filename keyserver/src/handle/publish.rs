//! Prekeys of the device that is signed in: taking them, and saying how many are left.
//!
//! Spec: keyserver §4.

use hushwire_proto::keyserver::{Answer, Publish, RefusedReason};
use hushwire_proto::limits::PREKEYS_PER_DEVICE_MAX;

use super::{Server, aside, not_signed_in, refuse, signed_in};
use crate::connection::Session;
use crate::keys::{KeysError, PublishRefusal};
use crate::verify;

pub(super) async fn publish(server: &Server, session: &Session, publish: Publish) -> Result<Answer, KeysError> {
    let Some((account, device)) = signed_in(server, session)? else { return Ok(not_signed_in()) };
    if let Err(full) = server.has_room() {
        return Ok(Answer::Refused(full));
    }
    let (device, identity) = (device.id, device.identity_key);
    let verified = match aside(move || verify::publication(publish, &identity)).await? {
        Ok(verified) => verified,
        Err(bad) => return Ok(refuse(RefusedReason::BadKeys, bad.to_string())),
    };
    Ok(match server.keys.publish((account, device), identity, verified).await? {
        Ok(stock) => {
            server.metrics.publications.add(1);
            Answer::Stock(stock)
        }
        Err(PublishRefusal::Revoked) => not_signed_in(),
        Err(PublishRefusal::Replaced(bad)) => refuse(RefusedReason::BadKeys, bad.to_string()),
        Err(PublishRefusal::TooMany(kind)) => {
            refuse(RefusedReason::TooMany, format!("a device has at most {PREKEYS_PER_DEVICE_MAX} {kind}s here"))
        }
    })
}

pub(super) fn stock(server: &Server, session: &Session) -> Result<Answer, KeysError> {
    let Some((account, device)) = signed_in(server, session)? else { return Ok(not_signed_in()) };
    server.keys.stock(account, device.id).map(Answer::Stock)
}
