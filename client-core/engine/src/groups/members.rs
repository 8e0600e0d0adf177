//! Members whom we do not know yet: looked up where the group says that they are, and kept as acquaintances.

use hushwire_proto::account::Chain;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::AccountId;
use hushwire_proto::keyserver::Who;
use rand_core::CryptoRng;

use super::{changes, log_of};
use crate::account::verify_links;
use crate::contacts as people;
use crate::engine::{Cx, Pending};
use crate::group::GroupLink;
use crate::input::{Call, CallFailed, Reply};
use crate::lookup;
use crate::outbox::{Backoff, backoff};
use crate::store::{StoreError, contacts, damaged};
use crate::types::{Contact, Event, LocalGroup, Standing};

/// Members that are looked up at the same time.
const LOOKUPS_MAX: usize = 32;

/// The device lists of an author of changes: newer ones of somebody we know, or those of somebody we now know.
pub(crate) fn learn<R: CryptoRng>(cx: &mut Cx<'_, R>, chain: &Chain) -> Result<(), StoreError> {
    if chain.account() == cx.keys.account {
        return Ok(());
    }
    match contacts::by_account(cx.db, chain.account())? {
        Some(contact) => drop(lookup::learn_chain(cx, contact.id, chain)?),
        None => drop(meet(cx, chain)?),
    }
    Ok(())
}

/// Somebody whom we know from a group.
pub(crate) fn meet<R: CryptoRng>(cx: &mut Cx<'_, R>, chain: &Chain) -> Result<Contact, StoreError> {
    let name = people::free_name(cx, &people::unnamed(chain.account()))?;
    let row = contacts::NewRow {
        chain,
        name: &name,
        handle: None,
        claimed_handle: None,
        keyserver: None,
        standing: Standing::Known,
        verified: false,
    };
    let id = contacts::insert(cx.db, &row, cx.now)?;
    contacts::set_looked_at(cx.db, id, cx.now)?;
    contacts::get(cx.db, id)?.ok_or_else(|| damaged("contacts"))
}

/// The members but us.
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) known: Vec<Contact>,
    /// Whom their keyserver has not named yet.
    pub(crate) unknown: Vec<AccountId>,
    /// Whether it was not asked for some of them until now: nobody else waits longer than that.
    pub(crate) soon: bool,
}

/// The members but us, looked up where they are not known.
pub(crate) fn all<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup) -> Result<Members, StoreError> {
    let us = cx.keys.account;
    let log = log_of(cx, group)?;
    let mut all = Members::default();
    for (account, member) in log.state().members.iter().filter(|(account, _)| **account != us) {
        match contacts::by_account(cx.db, *account)? {
            Some(contact) => {
                if contacts::keyserver(cx.db, contact.id)?.is_none() {
                    contacts::set_keyserver(cx.db, contact.id, &member.keyserver.to_string())?;
                }
                all.known.push(contact);
            }
            None => {
                all.soon |= look_up(cx, *account, member.keyserver.clone(), None)?;
                all.unknown.push(*account);
            }
        }
    }
    Ok(all)
}

/// Asks a keyserver for somebody, unless that is under way or has failed a moment ago. Whether they may soon be known: nobody
/// waits for a keyserver that has failed before.
pub(crate) fn look_up<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    account: AccountId,
    keyserver: ServerAddress,
    then: Option<Box<GroupLink>>,
) -> Result<bool, StoreError> {
    let soon = !cx.flight.members.contains_key(&account);
    let mut under_way = 0;
    for pending in cx.flight.calls.values() {
        if let Pending::Member(other, _) = pending {
            if *other == account {
                return Ok(soon);
            }
            under_way += 1;
        }
    }
    if let Some(failed) = cx.flight.members.get(&account)
        && failed.due > cx.now
        && then.is_none()
    {
        return Ok(false);
    }
    if under_way < LOOKUPS_MAX {
        cx.call(Call::Lookup { keyserver, who: Who::Account(account) }, Pending::Member(account, then));
    }
    Ok(soon)
}

/// A keyserver answered.
pub(crate) fn found<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    account: AccountId,
    then: Option<Box<GroupLink>>,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let why = match reply {
        Ok(Reply::Found(found)) => match verify_links(found.links) {
            Ok(chain) if chain.account() == account => {
                cx.flight.members.remove(&account);
                if contacts::by_account(cx.db, account)?.is_none() {
                    meet(cx, &chain)?;
                }
                if let Some(link) = then {
                    contacts::by_account(cx.db, account)?.map_or(Ok(()), |contact| {
                        contacts::set_keyserver(cx.db, contact.id, &link.keyserver.to_string())
                    })?;
                    changes::join(cx, &link)?;
                }
                return Ok(());
            }
            Ok(_) | Err(_) => "the keyserver's answer does not verify; do not trust it".to_owned(),
        },
        Ok(_) => CallFailed::OutOfProtocol.to_string(),
        Err(failure) => failure.to_string(),
    };
    let attempts = cx.flight.members.get(&account).map_or(0, |failed| failed.attempts);
    let next: Backoff = backoff(attempts.max(8), cx.now, cx.rng);
    cx.flight.members.insert(account, next);
    if let Some(link) = then {
        cx.event(Event::GroupNotJoined { name: link.name.clone(), reason: why });
    }
    Ok(())
}
