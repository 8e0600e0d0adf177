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
        let keys = self.clone();
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
        self.writer()?
            .write(move |view| {
                unmark(view, &entries)?;
                next.map_or(Ok(()), |next| put(view, next))
            })
            .await?;
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

fn put(view: &mut View<'_>, next: NextEpoch) -> Result<(), KeysError> {
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
