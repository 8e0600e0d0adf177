//! What each request does: one match. What it leaves to its files: whether the asker may, and what is answered. What it
//! leaves to `keys`: that it is durable.
//!
//! Spec: keyserver §2 to §6.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use hushwire_proto::account::Device;
use hushwire_proto::ids::{AccountId, UnixMillis};
use hushwire_proto::keyserver::{Answer, Refused, RefusedReason, Request, Welcome};

use crate::Registration;
use crate::connection::Session;
use crate::keys::{Keys, KeysError};
use crate::limits::{
    Buckets, COUNTED_ACCOUNTS_MAX, COUNTED_ADDRESSES_MAX, LINKS, ONE_TIME_KEYS, REGISTRATIONS, TooFast,
};

mod append;
mod fetch;
mod log;
mod publish;
mod register;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) keys: Arc<Keys>,
    registration: Registration,
    one_time_keys: Mutex<Buckets<AccountId>>,
    registrations: Mutex<Buckets<IpAddr>>,
    links: Mutex<Buckets<AccountId>>,
}

impl Server {
    pub(crate) fn new(keys: Arc<Keys>, registration: Registration, now: Instant) -> Self {
        Self {
            keys,
            registration,
            one_time_keys: Mutex::new(Buckets::new(ONE_TIME_KEYS, COUNTED_ACCOUNTS_MAX, now)),
            registrations: Mutex::new(Buckets::new(REGISTRATIONS, COUNTED_ADDRESSES_MAX, now)),
            links: Mutex::new(Buckets::new(LINKS, COUNTED_ACCOUNTS_MAX, now)),
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
        Request::Hello => Ok(Answer::Welcome(welcome())),
        Request::Register { link, handle_name, proof } => {
            register::register(server, session, link, handle_name, &proof).await
        }
        Request::SignIn { account, device, proof } => register::sign_in(server, session, account, device, &proof),
        Request::Publish(publish) => publish::publish(server, session, publish).await,
        Request::GetStock => publish::stock(server, session),
        Request::Lookup(who) => log::lookup(server, who).await,
        Request::GetRoot { epoch } => log::root(server, epoch),
        Request::GetHistory { handle_name } => log::history(server, handle_name).await,
        Request::GetStep { epoch, offset } => log::step(server, epoch, offset),
        Request::AppendLink { account, link } => append::append(server, account, link).await,
        Request::Fetch { account, devices } => fetch::fetch(server, account, devices).await,
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

fn welcome() -> Welcome {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Welcome {
        now: UnixMillis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
        software: concat!("hushwire-keyserver ", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// Runs what computes for long beside the connections.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, KeysError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| KeysError::Stopped)
}
