//! What a person asks of a log: whose a handle is, with everything that was checked on the way. Nobody is added by it.
//!
//! Spec: keyserver §7.

use hushwire_proto::account::Compared;
use hushwire_proto::address::{Handle, ServerAddress};
use hushwire_proto::keyserver::{Found, Proven, Who};
use rand_core::CryptoRng;

use crate::account::verify_links;
use crate::engine::{Cx, Pending};
use crate::input::{Answer, Call, CallFailed, Reply};
use crate::store::{StoreError, contacts, damaged, roots};
use crate::types::{Event, FoundInLog, LogReport, WhoInLog, device_label};
use crate::{auditors, log, lookup};

/// Asks.
pub(crate) fn begin<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    handle: Handle,
    keyserver: ServerAddress,
) -> Result<Answer, StoreError> {
    let (known, who) = (log::known(cx, &keyserver)?, Who::Handle(handle.name().to_owned()));
    let asked = Pending::CheckLog(Box::new((handle, keyserver.clone())), known);
    cx.call(Call::Lookup { keyserver, who }, asked);
    Ok(Answer::Done)
}

/// The keyserver answered.
pub(crate) fn answered<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    handle: &Handle,
    keyserver: &ServerAddress,
    known: &log::Known,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let outcome = match reply {
        Ok(Reply::Found(found)) => found_in(cx, handle, keyserver, known, found)?,
        Ok(Reply::Absent(proven)) => {
            let nobody = log::nobody(cx, keyserver, known, handle.name(), &proven)?;
            nobody.map(|()| (proven, None)).map_err(|reason| (reason, false))
        }
        Ok(_) => Err((CallFailed::OutOfProtocol.to_string(), false)),
        Err(CallFailed::Keyserver(refused)) => Err((refused.to_string(), refused.retry_after_ms > 0)),
        Err(failure) => Err((failure.to_string(), true)),
    };
    let event = match outcome {
        Ok((proven, found)) => Event::LogChecked(LogReport {
            handle: handle.to_string(),
            keyserver: keyserver.clone(),
            epoch: proven.root.epoch,
            at: proven.root.at,
            root: proven.root.root,
            found,
            own_agreed_at: roots::agreed_at(cx.db)?,
            auditors: auditors::about(cx.db, keyserver)?,
        }),
        Err((reason, retryable)) => Event::LogNotChecked { asked: handle.to_string(), reason, retryable },
    };
    cx.event(event);
    Ok(())
}

type Outcome = Result<(Proven, Option<FoundInLog>), (String, bool)>;

fn found_in<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    handle: &Handle,
    keyserver: &ServerAddress,
    known: &log::Known,
    found: Found,
) -> Result<Outcome, StoreError> {
    let refuse = |reason: &str| Ok(Err((reason.to_owned(), false)));
    if found.handle_name.as_deref() != Some(handle.name()) {
        return refuse("the keyserver answered with another handle than was asked for; do not trust it");
    }
    let chain = match verify_links(found.links) {
        Ok(chain) if chain.account() == found.account => chain,
        Ok(_) => return refuse("the keyserver's answer contradicts itself; do not trust it"),
        Err(bad) => {
            return Ok(Err((format!("the keyserver's answer does not verify ({bad}); do not trust it"), false)));
        }
    };
    if let Err(reason) = log::handle(cx, keyserver, known, handle.name(), &chain, found.proven.as_ref())? {
        return Ok(Err((reason, false)));
    }
    let Some(proven) = found.proven else { return refuse("the keyserver proves nothing") };
    let who = if chain.account() == cx.keys.account {
        let mine = verify_links(cx.keys.links.clone()).map_err(|_| damaged("links"))?;
        if mine.compare(&chain) != Ok(Compared::Same) {
            // Another device of ours, or a thief with one: the list is fetched, and a person told.
            cx.flight.own_list_wanted = true;
            return refuse(
                "the log has another list of your own devices than is known here; look at `hush device list`",
            );
        }
        WhoInLog::Myself
    } else {
        if let Some(other) = contacts::by_handle(cx.db, &handle.to_string())?
            && other.account != chain.account()
        {
            cx.event(Event::IdentityChanged { contact: other.id });
            return refuse(
                "the log names another account under a handle that you know; compare safety numbers with them",
            );
        }
        match contacts::by_account(cx.db, chain.account())? {
            None => WhoInLog::Stranger,
            Some(contact) => {
                if !lookup::learn_chain(cx, contact.id, &chain)? {
                    return refuse(
                        "their list of devices does not follow from the one you know; compare safety numbers",
                    );
                }
                contacts::set_looked_at(cx.db, contact.id, cx.now)?;
                WhoInLog::Contact(contact.name)
            }
        }
    };
    let found = FoundInLog {
        account: chain.account(),
        version: chain.head().map_or(0, |head| head.link().version),
        devices: chain.devices().iter().map(device_label).collect(),
        who,
    };
    Ok(Ok((proven, Some(found))))
}
