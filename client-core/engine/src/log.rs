//! What is believed of a keyserver's log: roots that follow from those we have seen, and proofs that lead to them.
//!
//! A keyserver that is set back, that says two things at one epoch or something of us that we have not said is a lie or a
//! disaster. Either way a person is told, and nothing that came with it is taken. What we know stays as it is.
//!
//! Spec: keyserver §7.

use hushwire_log::Alarm;
use hushwire_proto::account::Chain;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::keyserver::{Proven, RefusedReason};
use hushwire_proto::log::{Entry, SignedRoot};
use rand_core::CryptoRng;

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
    let Some(handle_name) = name.filter(|_| registered) else { return Ok(None) };
    let next = roots::watched_at(cx.db)?.plus(WATCH_EVERY_MS);
    if cx.flight.log_watched && cx.now < next {
        return Ok(Some(next));
    }
    let mut wake = None;
    if due(cx, Chore::Watch, &mut wake, |pending| matches!(pending, Pending::Watch(_))) {
        let keyserver = cx.keys.keyserver.clone();
        let known = known(cx, &keyserver)?;
        cx.call(Call::GetHistory { keyserver, handle_name }, Pending::Watch(known));
    }
    Ok(wake)
}

/// The keyserver told what its log says of us.
pub(crate) fn watched<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    known: &Known,
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
    cx.flight.log_watched = true;
    roots::set_watched_at(cx.db, cx.now)?;
    if root(cx, &keyserver, known, &proven)?.is_err() {
        return Ok(());
    }
    let said = match hushwire_log::history(&proven.root, &name, &proven.proof) {
        Ok(said) => said,
        Err(bad) => {
            lie(cx, &keyserver, bad);
            return Ok(());
        }
    };
    let mine: Vec<Entry> = cx
        .keys
        .links
        .iter()
        .map(|link| Entry { account: cx.keys.account, head: link.hash(), version: link.link().version })
        .collect();
    if said.first().map(|said| said.entry) != mine.last().copied() {
        lie(cx, &keyserver, Lie::OurListReplaced);
    } else if !said.iter().all(|said| mine.contains(&said.entry)) {
        lie(cx, &keyserver, Lie::OurListForged);
    }
    Ok(())
}

fn entry_of(chain: &Chain) -> Option<Entry> {
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
