//! What is believed of a keyserver's log: roots that follow from those we have seen, and proofs that lead to them.
//!
//! A keyserver that is set back, that says two things at one epoch or something of us that we have not said is a lie or a
//! disaster. Either way a person is told, and nothing that came with it is taken. What we know stays as it is.
//!
//! Spec: keyserver §7.

use hushwire_log::{Alarm, Said};
use hushwire_proto::account::{Chain, Signatory, SignedLink};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::keyserver::{Proven, RefusedReason};
use hushwire_proto::log::{Entry, SignedRoot};
use rand_core::CryptoRng;

use crate::account::Keys;
use crate::engine::{Chore, Cx, Pending};
use crate::input::{Call, CallFailed, Reply};
use crate::lie::Lie;
use crate::prekeys::{done, due, failed};
use crate::store::me::{self, Flag};
use crate::store::{StoreError, roots};
use crate::types::Event;

/// How often the log is asked what it says of us, in milliseconds. Also at each start.
const WATCH_EVERY_MS: u64 = 24 * 3600 * 1000;

/// How often a handle may be missing from the log before a person is told.
const UNKNOWN_TRIES: u32 = 3;

/// Why something that a keyserver said of a handle is not taken: a sentence for a person.
pub(crate) type Disbelief = String;

/// The newest root that was known when something was asked. Answers come in any order: one that was given before another
/// may come after it, with a root that is older than the newest by then and no older than this.
#[derive(Debug)]
pub(crate) struct Known(Option<Box<SignedRoot>>);

/// What is known now, for an answer to what is asked now.
pub(crate) fn known<R: CryptoRng>(cx: &Cx<'_, R>, keyserver: &ServerAddress) -> Result<Known, StoreError> {
    let Some(server) = keyserver.fingerprint() else { return Ok(Known(None)) };
    Ok(Known(roots::newest(cx.db, server)?.map(Box::new)))
}

/// Checks that the root of a proof follows from those we have seen, and keeps it if it is the newest.
fn root<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    keyserver: &ServerAddress,
    known: &Known,
    proven: &Proven,
) -> Result<Result<(), Disbelief>, StoreError> {
    let Some(server) = keyserver.fingerprint() else {
        return Ok(Err("the keyserver's address has no fingerprint, so nothing it says can be checked".to_owned()));
    };
    let kept = roots::newest(cx.db, server)?;
    match hushwire_log::watch(server, kept.as_ref(), &proven.root) {
        Ok(seen) => {
            if seen == hushwire_log::Seen::Newer || kept.is_none_or(|kept| kept.at < proven.root.at) {
                roots::keep(cx.db, server, &proven.root)?;
            }
            if let Err(old) = hushwire_log::fresh(&proven.root, cx.now) {
                lie(cx, keyserver, old); // told; what it proves holds
            }
            Ok(Ok(()))
        }
        Err(Alarm::SetBack { .. }) if hushwire_log::watch(server, known.0.as_deref(), &proven.root).is_ok() => {
            Ok(Ok(()))
        }
        Err(alarm) => Ok(Err(lie(cx, keyserver, alarm))),
    }
}

/// Checks that the log says this chain of this handle.
pub(crate) fn handle<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    keyserver: &ServerAddress,
    known: &Known,
    name: &str,
    chain: &Chain,
    proven: Option<&Proven>,
) -> Result<Result<(), Disbelief>, StoreError> {
    let Some(proven) = proven else {
        return Ok(Err(lie(cx, keyserver, Lie::NoProof)));
    };
    if let Err(reason) = root(cx, keyserver, known, proven)? {
        return Ok(Err(reason));
    }
    match hushwire_log::present(&proven.root, name, &proven.proof) {
        Ok(entry) if Some(entry) == entry_of(chain) => Ok(Ok(())),
        Ok(_) => Ok(Err(lie(cx, keyserver, Lie::NotItsLog))),
        Err(bad) => Ok(Err(lie(cx, keyserver, bad))),
    }
}

/// Checks that the log says nothing of this handle.
pub(crate) fn nobody<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    keyserver: &ServerAddress,
    known: &Known,
    name: &str,
    proven: &Proven,
) -> Result<Result<(), Disbelief>, StoreError> {
    if let Err(reason) = root(cx, keyserver, known, proven)? {
        return Ok(Err(reason));
    }
    match hushwire_log::absent(&proven.root, name, &proven.proof) {
        Ok(()) => Ok(Ok(())),
        Err(bad) => Ok(Err(lie(cx, keyserver, bad))),
    }
}

/// Asks what the log says of us, at each start and every day. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let (registered, name) = (me::flag(cx.db, Flag::Registered)?, me::handle_name(cx.db)?);
    let Some(handle_name) = name.filter(|_| registered && cx.keys.is_listed()) else { return Ok(None) };
    if cx.flight.own_list_wanted {
        return Ok(None); // first what we have to compare with
    }
    let next = roots::watched_at(cx.db)?.plus(WATCH_EVERY_MS);
    if cx.flight.log_watched && cx.now < next {
        return Ok(Some(next));
    }
    let mut wake = None;
    if due(cx, Chore::Watch, &mut wake, |pending| matches!(pending, Pending::Watch(..))) {
        let keyserver = cx.keys.keyserver.clone();
        let known = known(cx, &keyserver)?;
        cx.call(Call::GetHistory { keyserver, handle_name }, Pending::Watch(known, cx.keys.links.len()));
    }
    Ok(wake)
}

/// The keyserver told what its log says of us.
pub(crate) fn watched<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    known: &Known,
    links_then: usize,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let keyserver = cx.keys.keyserver.clone();
    let Some(name) = me::handle_name(cx.db)? else { return Ok(()) };
    let proven = match reply {
        Ok(Reply::History(proven)) => proven,
        Err(CallFailed::Keyserver(refused)) if refused.reason == RefusedReason::Unknown => {
            // Within a moment of the registration it is not in the log yet; later it has been taken out.
            if cx.flight.chores.get(&Chore::Watch).is_some_and(|backoff| backoff.attempts >= UNKNOWN_TRIES) {
                lie(cx, &keyserver, Lie::OurHandleMissing);
            }
            failed(cx, Chore::Watch);
            return Ok(());
        }
        Ok(_) | Err(_) => {
            failed(cx, Chore::Watch);
            return Ok(());
        }
    };
    done(cx, Chore::Watch);
    if root(cx, &keyserver, known, &proven)?.is_err() {
        return watched_now(cx);
    }
    let said = match hushwire_log::history(&proven.root, &name, &proven.proof) {
        Ok(said) => said,
        Err(bad) => {
            lie(cx, &keyserver, bad);
            return watched_now(cx);
        }
    };
    let account = cx.keys.account;
    let entry = |link: &SignedLink| Entry { account, head: link.hash(), version: link.link().version };
    let mine: Vec<Entry> = cx.keys.links.iter().map(entry).collect();
    // Since it was asked we may have gone on; what was the newest then, or anything behind it, is right.
    let then = mine.get(links_then.saturating_sub(1)..).unwrap_or_default();
    let newest = said.first().map(|said| said.entry);
    if !newest.is_some_and(|newest| then.contains(&newest)) {
        if !cx.flight.own_list_looked_at {
            // Another device of ours may have changed the list: that is looked at, and then the log once more.
            (cx.flight.own_list_wanted, cx.flight.own_list_looked_at) = (true, true);
            return Ok(());
        }
        lie(cx, &keyserver, Lie::OurListReplaced);
    } else if !said.iter().enumerate().all(|(place, one)| {
        mine.contains(&one.entry) || is_undone(cx.keys, &one.entry, said.get(..place).unwrap_or_default())
    }) {
        lie(cx, &keyserver, Lie::OurListForged);
    } else {
        roots::set_agreed_at(cx.db, cx.now)?;
    }
    watched_now(cx)
}

/// It is asked again at the next start, or tomorrow.
fn watched_now<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<(), StoreError> {
    (cx.flight.log_watched, cx.flight.own_list_looked_at) = (true, false);
    roots::set_watched_at(cx.db, cx.now)
}

/// Whether an entry may be of a list that a thief signed and the recovery key has undone since: the log goes on having it,
/// and said after it what the recovery key put into its place or before it. `later` is what it said since, newest first.
fn is_undone(keys: &Keys, entry: &Entry, later: &[Said]) -> bool {
    let undoes = |link: &&SignedLink| {
        let version = link.link().version;
        let is_said = later.iter().any(|said| (said.entry.head, said.entry.version) == (link.hash(), version));
        link.signatory() == Signatory::Recovery && version <= entry.version && is_said
    };
    entry.account == keys.account && keys.links.iter().any(|link| undoes(&link))
}

pub(crate) fn entry_of(chain: &Chain) -> Option<Entry> {
    let head = chain.head()?;
    Some(Entry { account: chain.account(), head: head.hash(), version: head.link().version })
}

/// Tells a person.
pub(crate) fn lie<R: CryptoRng>(cx: &mut Cx<'_, R>, keyserver: &ServerAddress, lie: impl Into<Lie>) -> Disbelief {
    let lie = lie.into();
    let disbelief = format!("{lie}; do not trust this keyserver until its operator has an explanation");
    cx.event(Event::KeyserverLies { keyserver: keyserver.to_string(), lie });
    disbelief
}
