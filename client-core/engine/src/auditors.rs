//! Comparing what keyservers show us with what auditors have seen.
//!
//! A keyserver that keeps two logs apart, one for us and one for everybody else, contradicts itself nowhere that we could
//! see alone. An auditor that a person chose signs the roots that it has checked. The newest root that we know is looked
//! up among them, at the program's start and every day: the same is well, another is two signatures of the keyserver that
//! contradict each other, and none at all for a day is told as well.
//!
//! Spec: keyserver §7.8.

use std::collections::BTreeMap;

use hushwire_log::{Compared, Report, Split};
use hushwire_proto::address::{Fingerprint, KEYSERVER_PORT, ServerAddress};
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::SignedRoot;
use rand_core::CryptoRng;

use crate::engine::{Cx, Engine, Pending};
use crate::input::{Answer, Call, CallFailed, CommandError, Reply};
use crate::lie::Lie;
use crate::log::lie;
use crate::store::auditors::{self, Comparison};
use crate::store::{StoreError, contacts, roots};

/// How often an auditor is asked about a keyserver. Also at a start.
const ASK_EVERY_MS: u64 = 24 * HOUR_MS;

/// How soon after a try it is tried again if nothing came of it. At a start no sooner either: a program that runs for a
/// moment, many times a day, need not ask each time.
const ASK_AGAIN_MS: u64 = HOUR_MS;

/// How long an auditor may be behind before a person is told.
const BEHIND_MAX_MS: u64 = 25 * HOUR_MS;

const HOUR_MS: u64 = 3600 * 1000;

/// Auditors that a person may choose. More than anybody knows.
const AUDITORS_MAX: usize = 8;

/// Questions to auditors at once.
const ASKED_AT_ONCE_MAX: usize = 4;

/// A question to an auditor.
#[derive(Debug)]
pub(crate) struct Asked {
    auditor: ServerAddress,
    keyserver: ServerAddress,
    fingerprint: Fingerprint,
    /// The newest root that we knew.
    known: Box<SignedRoot>,
}

/// An auditor, and what came of asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auditor {
    /// Its address, with its fingerprint.
    pub address: ServerAddress,
    /// By keyserver.
    pub keyservers: Vec<Agreed>,
}

/// How far an auditor and we have seen the same log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Of this keyserver.
    pub keyserver: ServerAddress,
    /// When both last had the same root, and of which epoch.
    pub agreed: Option<(UnixMillis, u64)>,
    /// When it was last asked.
    pub asked_at: UnixMillis,
    /// Why nothing came of it then.
    pub trouble: Option<String>,
}

impl Engine {
    /// The auditors that a person chose, and what came of asking them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn auditors(&self) -> Result<Vec<Auditor>, StoreError> {
        let db = self.store.read();
        chosen(db, &keyservers(db, &self.keys.keyserver)?)
    }
}

/// The auditors that a person chose, and what came of asking them about this keyserver.
pub(crate) fn about(db: &rusqlite::Connection, keyserver: &ServerAddress) -> Result<Vec<Auditor>, StoreError> {
    chosen(db, &keyserver.fingerprint().map(|fingerprint| (fingerprint, keyserver.clone())).into_iter().collect())
}

fn chosen(
    db: &rusqlite::Connection,
    keyservers: &BTreeMap<Fingerprint, ServerAddress>,
) -> Result<Vec<Auditor>, StoreError> {
    let chosen = auditors::all(db)?.into_iter().map(|address| {
        let mut agreed = Vec::new();
        for (fingerprint, keyserver) in keyservers {
            if let Some(said) = auditors::comparison(db, &address, *fingerprint)? {
                let Comparison { keyserver: _, asked_at, agreed: both, behind_since: _, trouble } = said;
                agreed.push(Agreed { keyserver: keyserver.clone(), agreed: both, asked_at, trouble });
            }
        }
        Ok(Auditor { address, keyservers: agreed })
    });
    chosen.collect()
}

pub(crate) fn add<R: CryptoRng>(cx: &mut Cx<'_, R>, address: &ServerAddress) -> Result<Answer, StoreError> {
    if address.fingerprint().is_none() {
        return Ok(Answer::Refused(CommandError::NoFingerprint));
    }
    let chosen = auditors::all(cx.db)?;
    if chosen.len() >= AUDITORS_MAX && !chosen.contains(address) {
        return Ok(Answer::Refused(CommandError::TooManyAuditors(chosen.len())));
    }
    auditors::add(cx.db, address)?;
    Ok(Answer::Done)
}

pub(crate) fn remove<R: CryptoRng>(cx: &mut Cx<'_, R>, address: &ServerAddress) -> Result<Answer, StoreError> {
    let was_there = auditors::remove(cx.db, address)?;
    Ok(if was_there { Answer::Done } else { Answer::Refused(CommandError::NoSuchAuditor) })
}

/// Asks the auditors that are due. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let chosen = auditors::all(cx.db)?;
    if chosen.is_empty() {
        return Ok(None);
    }
    let keyservers = keyservers(cx.db, &cx.keys.keyserver)?;
    let mut wake = None;
    for auditor in chosen {
        for (fingerprint, keyserver) in &keyservers {
            let Some(known) = roots::newest(cx.db, *fingerprint)? else { continue };
            let asked = cx.flight.calls.values().filter_map(|pending| match pending {
                Pending::Report(asked) => Some((&asked.auditor, asked.fingerprint)),
                _ => None,
            });
            let asked: Vec<_> = asked.collect();
            if asked.len() >= ASKED_AT_ONCE_MAX {
                return Ok(wake);
            }
            if asked.contains(&(&auditor, *fingerprint)) {
                continue;
            }
            let due = due(cx, &auditor, *fingerprint)?;
            if due > cx.now {
                wake = wake.into_iter().chain([due]).min();
                continue;
            }
            let call = Call::GetReport {
                auditor: auditor.clone(),
                keyserver: *fingerprint,
                through: known.epoch.saturating_add(1),
            };
            let (auditor, keyserver, known) = (auditor.clone(), keyserver.clone(), Box::new(known));
            cx.call(call, Pending::Report(Asked { auditor, keyserver, fingerprint: *fingerprint, known }));
        }
    }
    Ok(wake)
}

fn due<R: CryptoRng>(
    cx: &Cx<'_, R>,
    auditor: &ServerAddress,
    keyserver: Fingerprint,
) -> Result<UnixMillis, StoreError> {
    let Some(said) = auditors::comparison(cx.db, auditor, keyserver)? else { return Ok(cx.now) };
    let settled = said.trouble.is_none() && cx.flight.compared.contains(&(auditor.clone(), keyserver));
    let wait = if settled { ASK_EVERY_MS } else { ASK_AGAIN_MS };
    Ok(said.asked_at.min(cx.now).plus(wait)) // a clock that was turned back does not put it off
}

/// An auditor told what it has seen.
pub(crate) fn answered<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    asked: &Asked,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    if !auditors::all(cx.db)?.contains(&asked.auditor) {
        return Ok(()); // removed meanwhile
    }
    cx.flight.compared.insert((asked.auditor.clone(), asked.fingerprint));
    let before = auditors::comparison(cx.db, &asked.auditor, asked.fingerprint)?;
    let outcome = match reply {
        Ok(Reply::Report(bytes)) => compare(cx, asked, &bytes),
        Ok(_) => Outcome::Trouble(CallFailed::OutOfProtocol.to_string()),
        Err(failed) => Outcome::Trouble(failed.to_string()),
    };
    let mut behind_since = before.and_then(|said| said.behind_since);
    let (agreed, trouble) = match outcome {
        Outcome::Same => {
            behind_since = None;
            (Some((cx.now, asked.known.epoch)), None)
        }
        Outcome::Behind(epoch) => {
            let since = behind_since.unwrap_or(cx.now);
            behind_since = Some(since);
            if cx.now.since(since) > BEHIND_MAX_MS {
                let (auditor, hours) = (asked.auditor.to_string(), cx.now.since(since) / HOUR_MS);
                lie(cx, &asked.keyserver, Lie::Unwitnessed { auditor, hours });
            }
            (None, Some(format!("it has come to epoch {epoch}, and we are further")))
        }
        Outcome::Trouble(trouble) => (None, Some(trouble)),
    };
    let said = Comparison { keyserver: asked.fingerprint, asked_at: cx.now, agreed, behind_since, trouble };
    auditors::set(cx.db, &asked.auditor, &said)
}

enum Outcome {
    Same,
    /// The auditor has come to this epoch.
    Behind(u64),
    /// Nothing could be compared, or what was is told.
    Trouble(String),
}

fn compare<R: CryptoRng>(cx: &mut Cx<'_, R>, asked: &Asked, report: &[u8]) -> Outcome {
    let trouble = |why: &str| Outcome::Trouble(why.to_owned());
    let Some(auditor) = asked.auditor.fingerprint() else { return trouble("it has no fingerprint") };
    let report = match Report::parse(report, auditor) {
        Ok(report) => report,
        Err(bad) => return Outcome::Trouble(bad.to_string()),
    };
    let Some(followed) = report.of(asked.fingerprint) else { return trouble("it does not follow this keyserver") };
    match hushwire_log::compare(&asked.known, followed) {
        Ok(Compared::Same) => Outcome::Same,
        Ok(Compared::Behind) => Outcome::Behind(followed.epoch),
        Err(Split { epoch }) => {
            let split = Lie::SplitView { auditor: asked.auditor.to_string(), epoch };
            Outcome::Trouble(lie(cx, &asked.keyserver, split))
        }
    }
}

/// Our keyserver and those of contacts.
fn keyservers(
    db: &rusqlite::Connection,
    ours: &ServerAddress,
) -> Result<BTreeMap<Fingerprint, ServerAddress>, StoreError> {
    let of_contacts = contacts::keyservers(db)?;
    let of_contacts = of_contacts.iter().filter_map(|text| ServerAddress::parse(text, KEYSERVER_PORT).ok());
    let all = of_contacts.chain([ours.clone()]);
    Ok(all.filter_map(|address| Some((address.fingerprint()?, address))).collect())
}
