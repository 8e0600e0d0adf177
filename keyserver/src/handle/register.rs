//! Becoming somebody: a new account, or the proof to be a device of one.
//!
//! Spec: keyserver §2, §3.

use std::time::Instant;

use hushwire_proto::account::SignedLink;
use hushwire_proto::auth::{BadProof, SignatureBytes};
use hushwire_proto::ids::{AccountId, DeviceId};
use hushwire_proto::keyserver::{Answer, RefusedReason};

use super::{Server, aside, overloaded, refuse};
use crate::Registration;
use crate::connection::Session;
use crate::keys::{KeysError, RegisterRefusal};
use crate::limits::lock;
use crate::verify;

pub(super) async fn register(
    server: &Server,
    session: &Session,
    link: SignedLink,
    handle: Option<String>,
    proof: &SignatureBytes,
) -> Result<Answer, KeysError> {
    if handle.as_deref().is_some_and(|name| !verify::is_handle_name(name)) {
        let rule = "1 to 32 of a-z, 0-9, dot, dash, underscore; the first a letter or a digit";
        return Ok(refuse(RefusedReason::BadHandle, rule));
    }
    let [device] = link.link().devices.as_slice() else {
        return Ok(refuse(RefusedReason::BadKeys, "link 0 names one device"));
    };
    let (device, signing_key) = (device.id, device.signing_key);
    let chain = match aside(move || verify::chain(vec![link])).await? {
        Ok(chain) => chain,
        Err(bad) => return Ok(refuse(RefusedReason::BadKeys, bad.to_string())),
    };
    let name = handle.as_deref().unwrap_or_default();
    let proven = session.greeted().ok_or(BadProof);
    let proven = proven.and_then(|greeted| greeted.register(chain.account(), device, name, &signing_key, proof));
    let Ok(proven) = proven else { return Ok(bad_proof()) };
    if let Err(wait) = lock(&server.registrations).take(session.address(), Instant::now()) {
        return Ok(Answer::Refused(overloaded("too many new accounts from this address", wait)));
    }
    let open = server.registration == Registration::Open;
    Ok(match server.keys.register(chain, handle, open).await? {
        Ok(()) => {
            session.sign_in(proven, signing_key);
            Answer::Registered
        }
        Err(RegisterRefusal::HandleTaken) => refuse(RefusedReason::HandleTaken, "this handle belongs to somebody else"),
        Err(RegisterRefusal::OtherHandle) => {
            refuse(RefusedReason::TooMany, "this account has another handle here; one is the limit")
        }
        Err(RegisterRefusal::Closed) => refuse(RefusedReason::TooMany, "this keyserver takes no new accounts"),
        Err(RegisterRefusal::Revoked) => bad_proof(),
    })
}

/// An account that is not here is told from a bad proof, so that its owner registers; that it is here is no secret.
pub(super) fn sign_in(
    server: &Server,
    session: &Session,
    account: AccountId,
    device: DeviceId,
    proof: &SignatureBytes,
) -> Result<Answer, KeysError> {
    let Some(stored) = server.keys.account(account)? else { return Ok(super::fetch::unknown()) };
    let (Some(listed), Some(greeted)) = (stored.device(device), session.greeted()) else { return Ok(bad_proof()) };
    Ok(match greeted.sign_in(account, device, &listed.signing_key, proof) {
        Ok(proven) => {
            session.sign_in(proven, listed.signing_key);
            Answer::SignedIn
        }
        Err(BadProof) => bad_proof(),
    })
}

fn bad_proof() -> Answer {
    refuse(RefusedReason::BadProof, BadProof.to_string())
}
