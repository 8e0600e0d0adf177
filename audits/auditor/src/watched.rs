//! What the auditor knows of its keyservers, and the report of it.
//!
//! Spec: keyserver §7.8.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ed25519_dalek::SigningKey;
use hushwire_log::{Followed, ROOTS_PER_REPORT_MAX, Report, Standing};
use hushwire_proto::address::{Fingerprint, ServerAddress};
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::SignedRoot;
use hushwire_proto::witness::Witnessed;

use crate::book::{Book, BookError};
use crate::verdict::Verdict;

/// How long trouble with a keyserver may last before the auditor is not healthy: what passes by itself has passed.
const TROUBLE_MAX_MS: u64 = 3600 * 1000;

/// A keyserver that is followed.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) address: ServerAddress,
    pub(crate) fingerprint: Fingerprint,
    key: Arc<SigningKey>,
    verdict_file: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    book: Book,
    verdict: Option<Verdict>,
    /// When its newest root was last had from it, since this process began.
    heard_at: Option<UnixMillis>,
    trouble: Option<(UnixMillis, String)>,
}

impl Watched {
    pub(crate) fn open(
        address: ServerAddress,
        fingerprint: Fingerprint,
        dir: &Path,
        key: Arc<SigningKey>,
    ) -> Result<Self, BookError> {
        let verdict_file = dir.join(format!("{fingerprint}.verdict"));
        let failed = |cause| BookError::File { path: verdict_file.clone(), cause };
        let verdict = Verdict::load(&verdict_file).map_err(failed)?;
        let book = Book::open(&dir.join(format!("{fingerprint}.roots")))?;
        let state = Mutex::new(State { book, verdict, heard_at: None, trouble: None });
        Ok(Self { address, fingerprint, key, verdict_file, state })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // no change of it has two steps that a panic could part
    }

    /// The newest root that was checked.
    pub(crate) fn newest(&self) -> Option<SignedRoot> {
        self.state().book.newest().map(|newest| newest.root.clone())
    }

    /// Keeps a root that was checked, signed and durable.
    pub(crate) fn keep(&self, root: SignedRoot) -> io::Result<()> {
        self.state().book.append(Witnessed::sign(root, now(), &self.key))
    }

    /// The newest root was had from the keyserver just now.
    pub(crate) fn heard(&self) {
        self.state().heard_at = Some(now());
    }

    /// Trouble stands from when it began.
    pub(crate) fn set_trouble(&self, why: Option<String>) {
        let mut state = self.state();
        let since = state.trouble.as_ref().map_or_else(now, |(since, _)| *since);
        state.trouble = why.map(|why| (since, why));
    }

    pub(crate) fn is_judged(&self) -> bool {
        self.state().verdict.is_some()
    }

    /// Ends the following for good.
    pub(crate) fn judge(&self, verdict: Verdict) -> io::Result<()> {
        let stored = verdict.store(&self.verdict_file);
        self.state().verdict = Some(verdict); // shown also if the disk fails
        stored
    }

    /// What is not well with it, if anything is not.
    pub(crate) fn complaint(&self) -> Option<String> {
        let state = self.state();
        match (&state.verdict, &state.trouble) {
            (Some(verdict), _) => Some(format!("{}: {}", self.address, verdict.what)),
            (None, Some((since, why))) if now().since(*since) > TROUBLE_MAX_MS => {
                Some(format!("{}: {why}", self.address))
            }
            _ => None,
        }
    }

    /// Epoch, whether there is a verdict, and when it was last heard: for metrics.
    pub(crate) fn numbers(&self) -> (u64, bool, Option<UnixMillis>) {
        let state = self.state();
        (state.book.epoch(), state.verdict.is_some(), state.heard_at)
    }

    /// What is said of it, with roots up to this epoch.
    pub(crate) fn followed(&self, through: u64) -> io::Result<Followed> {
        let state = self.state();
        let mut roots = state.book.page(through, ROOTS_PER_REPORT_MAX)?;
        // The newest is the newest still, as of when it was last heard.
        if let (Some(newest), Some(heard_at), Some(first)) = (state.book.newest(), state.heard_at, roots.first_mut())
            && first == newest
            && heard_at > first.checked_at
        {
            *first = Witnessed::sign(first.root.clone(), heard_at, &self.key);
        }
        let standing = match (&state.verdict, &state.trouble) {
            (Some(verdict), _) => Standing::Stopped(verdict.what.clone()),
            (None, Some((_, why))) => Standing::Waits(why.clone()),
            (None, None) => Standing::Follows,
        };
        let evidence = state.verdict.as_ref().map(|verdict| verdict.evidence.clone()).unwrap_or_default();
        let (address, epoch) = (self.address.to_string(), state.book.epoch());
        Ok(Followed { address, keyserver: self.fingerprint, standing, epoch, roots, evidence })
    }
}

/// All keyservers of an auditor.
#[derive(Debug)]
pub(crate) struct Auditor {
    pub(crate) key: Arc<SigningKey>,
    pub(crate) address: ServerAddress,
    pub(crate) watched: Vec<Arc<Watched>>,
}

impl Auditor {
    /// What it says of this keyserver, or of all, with roots up to an epoch.
    pub(crate) fn report(&self, about: Option<Fingerprint>, through: u64) -> io::Result<Report> {
        let asked = self.watched.iter().filter(|one| about.is_none_or(|about| one.fingerprint == about));
        let followed = asked.map(|one| one.followed(through)).collect::<io::Result<_>>()?;
        Ok(Report { auditor: self.key.verifying_key().to_bytes(), followed })
    }
}

/// The clock on the wall. Before 1970 it is 1970.
pub(crate) fn now() -> UnixMillis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
