//! Becoming somebody: a new account, or the proof to be a device of one.
//!
//! Spec: keyserver §2, §3.6, §3.8.

use std::time::{Instant, SystemTime};

use hushwire_proto::account::SignedLink;
use hushwire_proto::admission::Pass;
use hushwire_proto::auth::{BadProof, SignatureBytes};
use hushwire_proto::ids::{AccountId, DeviceId};
use hushwire_proto::keyserver::{Answer, RefusedReason};

use super::{Server, aside, now, overloaded, refuse};
use crate::Registration;
use crate::connection::Session;
use crate::keys::{Admitted, KeysError, RegisterRefusal};
use crate::limits::{BUSY_RETRY, NEWCOMERS_SHED_AT, TooFast, lock};
use crate::verify;

pub(super) async fn register(
    server: &Server,
    session: &Session,
    link: SignedLink,
    handle: Option<String>,
    proof: &SignatureBytes,
    pass: Pass,
) -> Result<Answer, KeysError> {
    if handle.as_deref().is_some_and(|name| !verify::is_handle_name(name)) {
        let rule = "1 to 32 of a-z, 0-9, dot, dash, underscore; the first a letter or a digit";
        return Ok(refuse(RefusedReason::BadHandle, rule));
    }
    let [device] = link.link().devices.as_slice() else {
        return Ok(refuse(RefusedReason::BadKeys, "link 0 names one device"));
    };
    let (device, signing_key) = (device.id, device.signing_key);
    // What costs one hash or two comes before signatures are checked for a stranger.
    let admitted = match server.keys.account(AccountId(link.hash().0))? {
        Some(_) => None,
        None => match admit(server, AccountId(link.hash().0), pass).await? {
            Ok(admitted) => Some(admitted),
            Err(refused) => return Ok(refused),
        },
    };
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
    Ok(match server.keys.register(chain, handle, admitted).await? {
        Ok(is_new) => {
            if is_new {
                made(server, admitted);
            }
            session.sign_in(proven, signing_key);
            Answer::Registered
        }
        Err(RegisterRefusal::HandleTaken) => refuse(RefusedReason::HandleTaken, "this handle belongs to somebody else"),
        Err(RegisterRefusal::OtherHandle) => {
            refuse(RefusedReason::TooMany, "this account has another handle here; one is the limit")
        }
        Err(RegisterRefusal::NotAdmitted) => closed(),
        Err(RegisterRefusal::InviteUsed) => bad_invite(),
        Err(RegisterRefusal::Revoked) => bad_proof(),
    })
}

/// Whether somebody new may come in. Newcomers are the first who are sent away when there is too much to do.
async fn admit(server: &Server, account: AccountId, pass: Pass) -> Result<Result<Admitted, Answer>, KeysError> {
    if server.registration == Registration::Closed {
        return Ok(Err(closed()));
    }
    if server.keys.waiting() >= NEWCOMERS_SHED_AT {
        let busy = overloaded("this keyserver has too much to do for new accounts", TooFast(BUSY_RETRY));
        return Ok(Err(Answer::Refused(busy)));
    }
    if let Err(full) = server.has_room() {
        return Ok(Err(Answer::Refused(full)));
    }
    if let Some(invite) = pass.invite {
        let (invites, hash) = (server.invites.clone(), invite.hash());
        let found = aside(move || invites.has(&hash, SystemTime::now())).await?;
        let is_valid = found.unwrap_or_else(|error| {
            tracing::warn!(%error, "the invites cannot be read");
            false
        });
        return Ok(if is_valid { Ok(Admitted { invite: Some(hash) }) } else { Err(bad_invite()) });
    }
    if server.registration == Registration::Invites {
        let detail = "new accounts need an invite here: ask whoever runs this keyserver for one";
        return Ok(Err(refuse(RefusedReason::InviteNeeded, detail)));
    }
    let bits = lock(&server.difficulty).enough(Instant::now());
    let done = pass.work.is_some_and(|work| work.is_enough(server.fingerprint, account, bits, now()));
    if bits > 0 && !done {
        let detail = format!("a new account costs {bits} bits of work, begun within the last half hour");
        return Ok(Err(refuse(RefusedReason::WorkNeeded, detail)));
    }
    Ok(Ok(Admitted { invite: None }))
}

/// An account is on disk that was not there.
fn made(server: &Server, admitted: Option<Admitted>) {
    server.metrics.accounts.add(1);
    lock(&server.difficulty).made(Instant::now());
    if let Some(hash) = admitted.and_then(|admitted| admitted.invite) {
        let invites = server.invites.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = invites.forget(&hash) {
                tracing::warn!(%error, "the file of an invite that was used cannot be removed");
            }
        });
    }
}

fn closed() -> Answer {
    refuse(RefusedReason::Closed, "this keyserver takes no new accounts")
}

/// The same whether it never was, was used, or has expired.
fn bad_invite() -> Answer {
    refuse(RefusedReason::BadInvite, "there is no such invite: it was used, has expired, or was mistyped")
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
