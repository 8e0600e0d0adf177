//! Epochs: what has changed is put into the log, a few seconds of it at a time.
//!
//! A registration and a link are acknowledged once they are on disk, with a mark that their handle waits for the log. An
//! epoch takes what waits, and is written with one synced write: the tree, the signed root, the step for auditors, and the
//! marks that go. Nobody is told a root before; so whatever is killed and whenever, no epoch has two.
//!
//! Spec: keyserver §7.2.

use std::sync::Arc;
use std::time::Duration;

use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::{Entry, SignedRoot};
use rocksdb::DB;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::rows::Family;
use super::view::View;
use super::{Damaged, Keys, KeysError, OpenError, handle_owner, stored_account};
use crate::limits::{EPOCH_ENTRIES_MAX, EPOCH_EVERY};
use crate::log::{Log, NextEpoch, newest_key, root_key, step_key, waiting_key, waiting_name};
use crate::metrics::micros;

/// How often it is looked at whether the newest root is to be signed anew. By the monotonic clock; when it is due is by the
/// clock on the wall, so that a machine that slept is not late by more than this.
const ROOT_LOOKED_AT_EVERY: Duration = Duration::from_secs(60);

/// Makes the first epoch, or finds the newest; its number. A database from before there was a log gets all its handles
/// in the next.
pub(super) fn begin(db: &DB, log: &Log) -> Result<u64, OpenError> {
    let failed = |error: KeysError| OpenError::Log(error.to_string());
    let mut view = View::new(db);
    if let Some(root) = newest(&view).map_err(failed)? {
        if !log.made(&root) {
            return Err(OpenError::OtherKey);
        }
        if let Some(again) = log.again(&root) {
            put_root(&mut view, &again); // before anybody is shown how old it is
            view.commit().map_err(failed)?;
        }
        return Ok(root.epoch);
    }
    let first = log.first().map_err(|error| OpenError::Log(error.to_string()))?;
    for name in view.keys(Family::Handles, b"", usize::MAX).map_err(failed)? {
        if let Ok(name) = String::from_utf8(name) {
            view.put(Family::Log, waiting_key(&name), Vec::new());
        }
    }
    let epoch = first.root.epoch;
    put(&mut view, first).map_err(failed)?;
    view.commit().map_err(failed)?;
    Ok(epoch)
}

/// The newest epoch of an open database; 0 if it has none.
pub(super) fn look(db: &DB) -> Result<u64, OpenError> {
    let newest = newest(&View::new(db)).map_err(|error| OpenError::Log(error.to_string()))?;
    Ok(newest.map_or(0, |root| root.epoch))
}

impl Keys {
    /// Makes epochs out of what waits, until the storage fails or the future is dropped.
    pub(crate) async fn make_epochs(self: Arc<Self>) {
        let mut not_before = Instant::now();
        loop {
            let done = match timeout(ROOT_LOOKED_AT_EVERY, self.changed.notified()).await {
                Ok(()) => {
                    sleep_until(not_before).await;
                    not_before = Instant::now() + EPOCH_EVERY;
                    self.clone().make_epoch().await
                }
                Err(_) => self.sign_again().await,
            };
            if let Err(error) = done {
                tracing::error!(%error, "no epoch can be made");
                return self.fail();
            }
        }
    }

    /// Says of the newest root that it is the newest still.
    async fn sign_again(&self) -> Result<(), KeysError> {
        match newest(&View::new(&self.db))?.and_then(|root| self.log.again(&root)) {
            None => Ok(()),
            Some(again) => {
                self.writer()?
                    .write(move |view| {
                        put_root(view, &again);
                        Ok(())
                    })
                    .await
            }
        }
    }

    async fn make_epoch(self: Arc<Self>) -> Result<(), KeysError> {
        let (keys, began) = (self.clone(), Instant::now());
        let next = tokio::task::spawn_blocking(move || {
            let view = View::new(&keys.db);
            let (entries, before) = (waiting(&view)?, newest(&view)?);
            match entries.is_empty() {
                true => Ok::<_, KeysError>(None),
                false => {
                    let after = before.map_or_else(UnixMillis::default, |before| before.at);
                    Ok(Some((keys.log.next(entries.clone(), after)?, entries)))
                }
            }
        });
        let Some((next, entries)) = next.await.map_err(|_| KeysError::Stopped)?? else { return Ok(()) };
        if entries.len() >= EPOCH_ENTRIES_MAX {
            self.changed.notify_one(); // more may wait
        }
        let epoch = next.as_ref().map(|next| next.root.epoch);
        self.metrics.epoch_entries.observe(entries.len() as u64);
        self.writer()?
            .write(move |view| {
                unmark(view, &entries)?;
                next.map_or(Ok(()), |next| put(view, next))
            })
            .await?;
        self.metrics.epoch_micros.observe(micros(began.elapsed()));
        if let Some(epoch) = epoch {
            self.epoch.send_replace(epoch);
        }
        Ok(())
    }

    /// Who wants to know when an epoch is kept.
    pub(crate) fn epochs(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// The log.
    pub(crate) fn log(&self) -> Arc<Log> {
        self.log.clone()
    }

    /// The root of an epoch, or the newest.
    pub(crate) fn root(&self, epoch: Option<u64>) -> Result<Option<SignedRoot>, KeysError> {
        let view = View::new(&self.db);
        match epoch {
            Some(epoch) => root(&view, epoch),
            None => newest(&view),
        }
    }

    /// The step from the epoch before to this one.
    pub(crate) fn step(&self, epoch: u64) -> Result<Option<Vec<u8>>, KeysError> {
        View::new(&self.db).get(Family::Log, &step_key(epoch))
    }
}

/// The handles that wait, with what is to be said of them: some, if there are many.
fn waiting(view: &View<'_>) -> Result<Vec<(String, Entry)>, KeysError> {
    let names = view.keys(Family::Log, &waiting_key(""), EPOCH_ENTRIES_MAX)?;
    let said = names.iter().map(|key| {
        let name = waiting_name(key).ok_or(Damaged("waiting handle"))?;
        let entry = entry_of(view, &name)?.ok_or(Damaged("waiting handle"))?;
        Ok((name, entry))
    });
    said.collect()
}

/// They are in the log, unless they have changed meanwhile.
fn unmark(view: &mut View<'_>, said: &[(String, Entry)]) -> Result<(), KeysError> {
    for (name, entry) in said {
        if entry_of(view, name)? == Some(*entry) {
            view.delete(Family::Log, waiting_key(name));
        }
    }
    Ok(())
}

fn entry_of(view: &View<'_>, name: &str) -> Result<Option<Entry>, KeysError> {
    let Some(account) = handle_owner(view, name)? else { return Ok(None) };
    let stored = stored_account(view, account)?;
    Ok(stored.and_then(|stored| stored.entry(account)))
}

pub(super) fn put(view: &mut View<'_>, next: NextEpoch) -> Result<(), KeysError> {
    let epoch = next.root.epoch;
    if root(view, epoch)?.is_some() {
        return Err(Damaged("root").into()); // there is one of this epoch: never another
    }
    for (key, row) in next.rows {
        view.put(Family::Log, key, row);
    }
    put_root(view, &next.root);
    view.put(Family::Log, newest_key(), epoch.to_be_bytes().to_vec());
    Ok(())
}

fn put_root(view: &mut View<'_>, root: &SignedRoot) {
    view.put(Family::Log, root_key(root.epoch), root.encode().to_vec());
}

fn newest(view: &View<'_>) -> Result<Option<SignedRoot>, KeysError> {
    let Some(row) = view.get(Family::Log, &newest_key())? else { return Ok(None) };
    let epoch = row.try_into().map(u64::from_be_bytes).map_err(|_| Damaged("newest epoch"))?;
    Ok(Some(root(view, epoch)?.ok_or(Damaged("root"))?))
}

fn root(view: &View<'_>, epoch: u64) -> Result<Option<SignedRoot>, KeysError> {
    let row = view.get(Family::Log, &root_key(epoch))?;
    Ok(row.map(|row| SignedRoot::parse(&row.into()).map_err(|_| Damaged("root"))).transpose()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use ed25519_dalek::SigningKey;
    use hushwire_proto::ids::{AccountId, LinkHash};
    use hushwire_proto::log::fingerprint_of;
    use zeroize::Zeroizing;

    use super::*;
    use crate::log::LogKeys;

    const HOUR_MS: u64 = 3600 * 1000;

    fn signing() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn open(dir: &std::path::Path) -> Keys {
        Keys::open(dir, LogKeys { signing: signing(), places: Zeroizing::new([2; 32]) }, Arc::default()).unwrap()
    }

    fn now() -> u64 {
        u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
    }

    /// The newest root, as if it had been signed then.
    fn date(keys: &Keys, at: u64) -> SignedRoot {
        let root = keys.root(None).unwrap().unwrap();
        let dated = SignedRoot::sign(root.epoch, root.root, UnixMillis(at), root.vrf_key, &signing());
        let mut view = View::new(&keys.db);
        put_root(&mut view, &dated);
        view.commit().unwrap();
        dated
    }

    #[tokio::test]
    async fn the_newest_root_is_signed_anew_after_an_hour_and_stays_the_same_root() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let keys = tokio::task::spawn_blocking(move || open(&path)).await.unwrap();
        let server = fingerprint_of(&signing().verifying_key().to_bytes());
        let young = date(&keys, now() - HOUR_MS / 2);
        keys.sign_again().await.unwrap();
        assert_eq!(keys.root(None).unwrap(), Some(young));
        let old = date(&keys, now() - 2 * HOUR_MS);
        keys.sign_again().await.unwrap();
        let again = keys.root(None).unwrap().unwrap();
        assert!(again.at > old.at && again.verify(server).is_ok());
        assert_eq!((again.epoch, again.root, again.vrf_key), (old.epoch, old.root, old.vrf_key));
        // A keyserver that was down for days says so before it answers anybody.
        let days = date(&keys, now() - 72 * HOUR_MS);
        drop(keys);
        let path = dir.path().to_owned();
        let keys = tokio::task::spawn_blocking(move || open(&path)).await.unwrap();
        assert!(keys.root(None).unwrap().unwrap().at.since(days.at) >= 72 * HOUR_MS);
    }

    #[tokio::test]
    async fn an_epoch_is_never_signed_as_older_than_the_one_before_whatever_the_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let (before, next) = tokio::task::spawn_blocking(move || {
            let keys = open(&path);
            let before = date(&keys, now() + HOUR_MS); // and then the clock was put right
            let entry = Entry { account: AccountId([3; 32]), head: LinkHash([4; 32]), version: 0 };
            let next = keys.log.next(vec![("alice".to_owned(), entry)], before.at).unwrap().unwrap();
            (before, next.root)
        })
        .await
        .unwrap();
        assert_eq!((next.epoch, next.at), (before.epoch + 1, before.at));
    }
}
