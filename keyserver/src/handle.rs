//! What each request does: one match. What it leaves to its files: whether the asker may, and what is answered. What it
//! leaves to `keys`: that it is durable.
//!
//! Spec: keyserver §2 to §6.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use hushwire_proto::account::Device;
use hushwire_proto::address::Fingerprint;
use hushwire_proto::admission::NewAccounts;
use hushwire_proto::ids::{AccountId, UnixMillis};
use hushwire_proto::keyserver::{Answer, Refused, RefusedReason, Request, Welcome};

use crate::Registration;
use crate::admission::Difficulty;
use crate::connection::Session;
use crate::invites::Invites;
use crate::keys::{Keys, KeysError};
use crate::limits::{
    Buckets, COUNTED_ACCOUNTS_MAX, COUNTED_ADDRESSES_MAX, DISK_RETRY, LINKS, ONE_TIME_KEYS, REGISTRATIONS, Rate, Rates,
    TooFast, lock,
};
use crate::metrics::Metrics;

mod append;
mod fetch;
mod log;
mod publish;
mod register;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) keys: Arc<Keys>,
    pub(crate) metrics: Arc<Metrics>,
    /// What one connection may ask.
    pub(crate) asking: Rate,
    registration: Registration,
    fingerprint: Fingerprint,
    invites: Invites,
    difficulty: Mutex<Difficulty>,
    lookups: Mutex<Buckets<IpAddr>>,
    one_time_keys: Mutex<Buckets<AccountId>>,
    one_time_keys_per_address: Mutex<Buckets<IpAddr>>,
    registrations: Mutex<Buckets<IpAddr>>,
    links: Mutex<Buckets<AccountId>>,
}

/// What the operator decided about askers, and what deciding takes.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) registration: Registration,
    pub(crate) work_bits: u8,
    pub(crate) rates: Rates,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) invites: Invites,
}

impl Server {
    pub(crate) fn new(keys: Arc<Keys>, metrics: Arc<Metrics>, terms: Terms, now: Instant) -> Self {
        let Terms { registration, work_bits, rates, fingerprint, invites } = terms;
        let per_address = |rate| Mutex::new(Buckets::new(rate, COUNTED_ADDRESSES_MAX, now));
        Self {
            keys,
            metrics,
            asking: rates.asking(),
            registration,
            fingerprint,
            invites,
            difficulty: Mutex::new(Difficulty::new(work_bits, now)),
            lookups: per_address(rates.lookups()),
            one_time_keys_per_address: per_address(rates.fetches()),
            one_time_keys: Mutex::new(Buckets::new(ONE_TIME_KEYS, COUNTED_ACCOUNTS_MAX, now)),
            registrations: per_address(REGISTRATIONS),
            links: Mutex::new(Buckets::new(LINKS, COUNTED_ACCOUNTS_MAX, now)),
        }
    }

    /// Looks at what is told as it is now.
    pub(crate) fn measure(&self) {
        self.metrics.work_bits.set(lock(&self.difficulty).asked(Instant::now()).into());
        self.metrics.epoch.set(*self.keys.epochs().borrow());
        self.metrics.waiting.set(self.keys.waiting() as u64);
    }

    /// Whether the disk has room for what is new.
    fn has_room(&self) -> Result<(), Refused> {
        match self.metrics.disk_low.load(Relaxed) {
            true => Err(overloaded("the keyserver's disk is nearly full", TooFast(DISK_RETRY))),
            false => Ok(()),
        }
    }
}

/// What a request costs its connection, in units of one look into the database.
pub(crate) fn cost(request: &Request) -> u32 {
    match request {
        Request::Hello | Request::SignIn { .. } | Request::GetStock | Request::Fetch { .. } => 1,
        Request::GetRoot { .. } => 1,
        Request::Lookup(_) | Request::GetStep { .. } => 2, // a proof, or much to read
        Request::Register { .. } => 4,                     // a few signatures and a sync
        Request::Publish(_) => 8,                          // up to a hundred signatures and a sync
        Request::GetHistory { .. } => 16,                  // sixteen versions with their proofs
        Request::AppendLink { .. } => 16,                  // the signatures of a whole chain and a sync
    }
}

/// Does what is asked.
pub(crate) async fn handle(server: &Server, session: &Session, request: Request) -> Result<Answer, KeysError> {
    match request {
        Request::Hello => Ok(Answer::Welcome(welcome(server))),
        Request::Register { link, handle_name, proof, pass } => {
            register::register(server, session, link, handle_name, &proof, pass).await
        }
        Request::SignIn { account, device, proof } => register::sign_in(server, session, account, device, &proof),
        Request::Publish(publish) => publish::publish(server, session, publish).await,
        Request::GetStock => publish::stock(server, session),
        Request::Lookup(who) => log::lookup(server, session, who).await,
        Request::GetRoot { epoch } => log::root(server, epoch),
        Request::GetHistory { handle_name } => log::history(server, handle_name).await,
        Request::GetStep { epoch, offset } => log::step(server, epoch, offset),
        Request::AppendLink { account, link } => append::append(server, account, link).await,
        Request::Fetch { account, devices } => fetch::fetch(server, session, account, devices).await,
    }
}

/// The answer when the storage failed: nothing is promised.
pub(crate) fn storage_failed() -> Answer {
    refuse(RefusedReason::StorageFailed, "the storage failed; the keyserver stops")
}

/// Not by waiting.
pub(crate) fn refuse(reason: RefusedReason, detail: impl Into<String>) -> Answer {
    Answer::Refused(Refused { reason, detail: detail.into(), retry_after_ms: 0 })
}

/// By waiting so long.
pub(crate) fn overloaded(detail: &str, TooFast(wait): TooFast) -> Refused {
    // Rounded up, so that whoever waits so long does not come too early.
    let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    Refused { reason: RefusedReason::Overloaded, detail: detail.to_owned(), retry_after_ms }
}

/// The account and the device that this connection has proven to be, if it is one still: a device that was revoked while
/// it was signed in is a device no more.
fn signed_in(server: &Server, session: &Session) -> Result<Option<(AccountId, Device)>, KeysError> {
    let Some((proven, signing_key)) = session.device() else { return Ok(None) };
    let stored = server.keys.account(proven.account())?;
    let device = stored.as_ref().and_then(|stored| stored.device(proven.device()));
    let device = device.filter(|listed| listed.signing_key == signing_key);
    Ok(device.map(|device| (proven.account(), device.clone())))
}

fn not_signed_in() -> Answer {
    refuse(RefusedReason::NotSignedIn, "sign in first")
}

fn welcome(server: &Server) -> Welcome {
    Welcome {
        now: now(),
        software: concat!("hushwire-keyserver ", env!("CARGO_PKG_VERSION")).to_owned(),
        new_accounts: match server.registration {
            Registration::Open => NewAccounts::Open { work_bits: lock(&server.difficulty).asked(Instant::now()) },
            Registration::Invites => NewAccounts::Invites,
            Registration::Closed => NewAccounts::Closed,
        },
    }
}

fn now() -> UnixMillis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Runs what computes for long beside the connections.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, KeysError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| KeysError::Stopped)
}
