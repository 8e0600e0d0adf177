//! What keyservers say of accounts, and what of it is believed: device lists that verify and follow from what is known,
//! nothing else.

use hushwire_proto::account::{Chain, Compared, SignedLink};
use hushwire_proto::address::{Handle, KEYSERVER_PORT, ServerAddress};
use hushwire_proto::keyserver::{Found, Proven, RefusedReason, Who};
use rand_core::CryptoRng;
use rusqlite::Connection;

use crate::account::verify_links;
use crate::contacts::{accept, free_name, unnamed};
use crate::engine::{Cx, Pending};
use crate::groups;
use crate::identity;
use crate::input::{Call, CallFailed, NewContact, Reply};
use crate::log;
use crate::store::{StoreError, contacts, damaged};
use crate::types::{Contact, ContactId, Event, ListChange, Standing};

/// How old what is known of a contact's devices may be when we write with them, in milliseconds.
const LOOK_EVERY_MS: u64 = 24 * 3600 * 1000;

/// A contact that a keyserver is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) who: NewContact,
    pub(crate) name: Option<String>,
}

impl Wanted {
    fn asked(&self) -> String {
        match &self.who {
            NewContact::Handle(handle, _) => handle.to_string(),
            NewContact::Link(link) => link.to_string(),
        }
    }
}

/// The keyserver answered a search.
pub(crate) fn found<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    wanted: Wanted,
    known: &log::Known,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let outcome = match reply {
        Ok(Reply::Found(found)) => keep(cx, &wanted, known, found)?,
        Ok(Reply::Absent(proven)) => Err((absent(cx, &wanted, known, &proven)?, false)),
        Ok(_) => Err((CallFailed::OutOfProtocol.to_string(), false)),
        Err(CallFailed::Keyserver(refused)) if refused.reason == RefusedReason::Unknown => Err((
            match wanted.who {
                NewContact::Handle(..) => {
                    "the keyserver says that it knows nobody of that name, and does not prove it".into()
                }
                NewContact::Link(_) => NOBODY.into(),
            },
            false,
        )),
        Err(CallFailed::Keyserver(refused)) => Err((refused.to_string(), refused.retry_after_ms > 0)),
        Err(failure) => Err((failure.to_string(), true)),
    };
    let event = match outcome {
        Ok(contact) => Event::ContactAdded(contact),
        Err((reason, retryable)) => Event::ContactNotFound { asked: wanted.asked(), reason, retryable },
    };
    cx.event(event);
    Ok(())
}

const NOBODY: &str =
    "the keyserver knows nobody of that name; check the spelling and the server, or ask for a contact link";

/// Why there is no contact: nobody has that handle, or the keyserver does not prove it.
fn absent<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    wanted: &Wanted,
    known: &log::Known,
    proven: &Proven,
) -> Result<String, StoreError> {
    Ok(match &wanted.who {
        NewContact::Link(_) => CallFailed::OutOfProtocol.to_string(),
        NewContact::Handle(handle, keyserver) => match log::nobody(cx, keyserver, known, handle.name(), proven)? {
            Ok(()) => NOBODY.to_owned(),
            Err(reason) => reason,
        },
    })
}

/// Asks for newer device lists of a contact, unless that is under way.
pub(crate) fn refresh<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId) -> Result<(), StoreError> {
    if cx.flight.calls.values().any(|pending| matches!(pending, Pending::Refresh(id, _) if *id == contact)) {
        return Ok(());
    }
    if let Some(known) = contacts::get(cx.db, contact)? {
        let keyserver = keyserver_of(cx, contact)?;
        let (who, known) = (Who::Account(known.account), log::known(cx, &keyserver)?);
        cx.call(Call::Lookup { keyserver, who }, Pending::Refresh(contact, known));
    }
    Ok(())
}

/// The keyserver answered a search for newer device lists.
pub(crate) fn refreshed<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: ContactId,
    known: &log::Known,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let Ok(Reply::Found(found)) = reply else { return Ok(()) };
    let Ok(chain) = verify_links(found.links) else { return Ok(()) };
    contacts::set_looked_at(cx.db, contact, cx.now)?;
    let keyserver = keyserver_of(cx, contact)?;
    if let Some(name) = &must_prove(cx, &chain, found.handle_name, &keyserver)?
        && log::handle(cx, &keyserver, known, name, &chain, found.proven.as_ref())?.is_err()
    {
        return Ok(()); // told
    }
    learn_chain(cx, contact, &chain)?;
    Ok(())
}

/// The handle that an answer has to be proven of: the one that it names, or the one that this keyserver proved before. A
/// handle is never given up, so leaving it out would be a way around the log.
fn must_prove<R: CryptoRng>(
    cx: &Cx<'_, R>,
    chain: &Chain,
    named: Option<String>,
    keyserver: &ServerAddress,
) -> Result<Option<String>, StoreError> {
    let known = contacts::by_account(cx.db, chain.account())?.and_then(|contact| contact.handle);
    let known = known.and_then(|handle| Handle::parse(&handle).ok());
    let here = known.filter(|handle| handle.server().is_same_place(keyserver));
    Ok(here.map(|handle| handle.name().to_owned()).or(named))
}

/// Keeps newer device lists of a contact, also if the recovery key took the account back. A list that contradicts the one
/// we know is held back and told. Whether the account is the one that the list says it is.
pub(crate) fn learn_chain<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: ContactId,
    chain: &Chain,
) -> Result<bool, StoreError> {
    let known = verify_links(contacts::links(cx.db, contact)?).map_err(|_| damaged("links"))?;
    match known.compare(chain) {
        Ok(Compared::Newer | Compared::Recovered) => {
            take_chain(cx, contact, chain)?;
            Ok(true)
        }
        Ok(Compared::Same | Compared::Older | Compared::Undone) => Ok(true),
        Ok(Compared::Forked) | Err(_) => {
            cx.event(Event::IdentityChanged { contact });
            Ok(false)
        }
    }
}

/// Keeps a newer device list of a contact, and tells what is different.
pub(crate) fn take_chain<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: ContactId,
    chain: &Chain,
) -> Result<(), StoreError> {
    let before = contacts::links(cx.db, contact)?;
    contacts::set_links(cx.db, contact, chain)?;
    if is_any_gone(&before, chain) {
        groups::keys::renew(cx, chain.account())?;
    }
    let policy = identity::changed(cx, contact, &before, chain)?;
    if let Some(change) = ListChange::between(&before, chain.links()) {
        cx.event(Event::DevicesChanged { contact, change, policy });
    }
    Ok(())
}

/// Whether a device is listed no longer, or another one has its number.
pub(crate) fn is_any_gone(before: &[SignedLink], chain: &Chain) -> bool {
    let devices = before.last().map_or(&[][..], |link| &link.link().devices);
    devices.iter().any(|was| chain.device(was.id).is_none_or(|is| is.identity_key != was.identity_key))
}

/// Looks whether an accepted contact has revoked a device, if that was not done for a day: what was lost or stolen is not
/// written to for longer, nor believed.
pub(crate) fn keep_fresh<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact) -> Result<(), StoreError> {
    let looked = contacts::looked_at(cx.db, contact.id)?;
    if contact.standing == Standing::Accepted && cx.now.since(looked) > LOOK_EVERY_MS {
        refresh(cx, contact.id)?;
    }
    Ok(())
}

/// Where a contact's prekeys are: where they were found, else at our own keyserver.
pub(crate) fn keyserver_of<R: CryptoRng>(cx: &Cx<'_, R>, contact: ContactId) -> Result<ServerAddress, StoreError> {
    keyserver_or(cx.db, contact, &cx.keys.keyserver)
}

/// The same where ours is this.
pub(crate) fn keyserver_or(
    db: &Connection,
    contact: ContactId,
    ours: &ServerAddress,
) -> Result<ServerAddress, StoreError> {
    match contacts::keyserver(db, contact)? {
        None => Ok(ours.clone()),
        Some(text) => ServerAddress::parse(&text, KEYSERVER_PORT).map_err(|_| damaged("keyserver")),
    }
}

/// Keeps a contact that a keyserver named, if what it says holds.
fn keep<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    wanted: &Wanted,
    known: &log::Known,
    found: Found,
) -> Result<Result<Contact, (String, bool)>, StoreError> {
    let refuse = |reason: &str| Ok(Err((reason.to_owned(), false)));
    let chain = match verify_links(found.links) {
        Ok(chain) if chain.account() == found.account => chain,
        Ok(_) => return refuse("the keyserver's answer contradicts itself; do not trust it"),
        Err(error) => {
            return Ok(Err((format!("the keyserver's answer does not verify ({error}); do not trust it"), false)));
        }
    };
    if chain.account() == cx.keys.account {
        return refuse("that is your own account");
    }
    let asked = match &wanted.who {
        NewContact::Handle(_, keyserver) => keyserver,
        NewContact::Link(link) => &link.keyserver,
    };
    let must_prove = must_prove(cx, &chain, found.handle_name.clone(), asked)?;
    if let Some(name) = &must_prove
        && let Err(reason) = log::handle(cx, asked, known, name, &chain, found.proven.as_ref())?
    {
        return Ok(Err((reason, false)));
    }
    let (keyserver, handle, verified) = match &wanted.who {
        NewContact::Link(link) if link.account != chain.account() => {
            return refuse("the keyserver answered with another account than the link names; do not trust it");
        }
        NewContact::Link(link) => (link.keyserver.to_string(), None, true),
        NewContact::Handle(handle, keyserver) => {
            if found.handle_name.as_deref() != Some(handle.name()) {
                return refuse("the keyserver answered with another handle than was asked for; do not trust it");
            }
            (keyserver.to_string(), Some(handle.to_string()), false)
        }
    };
    if let Some(handle) = &handle
        && let Some(known) = contacts::by_handle(cx.db, handle)?
        && known.account != chain.account()
    {
        cx.event(Event::IdentityChanged { contact: known.id });
        return refuse(
            "the keyserver now names another account under a handle that you know; compare safety numbers with them before you trust it",
        );
    }
    let id = match contacts::by_account(cx.db, chain.account())? {
        Some(known) => {
            if !learn_chain(cx, known.id, &chain)? {
                return refuse(
                    "their device list does not follow from the one you know; compare safety numbers with them",
                );
            }
            contacts::set_found(cx.db, known.id, handle.as_deref(), &keyserver)?;
            if verified {
                contacts::set_verified(cx.db, known.id, true)?;
                identity::settle_all(cx)?;
                contacts::set_keyserver(cx.db, known.id, &keyserver)?;
            }
            if let Some(name) = &wanted.name
                && contacts::by_name(cx.db, name)?.is_none()
            {
                contacts::rename(cx.db, known.id, name)?;
            }
            known.id
        }
        None => {
            let proposed = match (&wanted.name, &wanted.who) {
                (Some(name), _) => name.clone(),
                (None, NewContact::Handle(handle, _)) => handle.name().to_owned(),
                (None, NewContact::Link(link)) => found
                    .handle_name
                    .and_then(|name| Handle::new(&name, link.keyserver.clone()).ok())
                    .map_or_else(|| unnamed(chain.account()), |handle| handle.name().to_owned()),
            };
            let name = free_name(cx, &proposed)?;
            let row = contacts::NewRow {
                chain: &chain,
                name: &name,
                handle: handle.as_deref(),
                claimed_handle: None,
                keyserver: Some(&keyserver),
                standing: Standing::Accepted,
                verified,
            };
            contacts::insert(cx.db, &row, cx.now)?
        }
    };
    contacts::set_looked_at(cx.db, id, cx.now)?;
    accept(cx, id)?;
    Ok(contacts::get(cx.db, id)?.ok_or_else(|| ("the contact vanished".to_owned(), true)))
}
