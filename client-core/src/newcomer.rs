//! What a new account shows to its keyserver: an invite that a person typed, or work that is done here and now.
//!
//! Owns how much work is done, by which thread, and until when. Leaves to `link` over which connection it goes, and to the
//! engine when registering is tried again. Nothing of it is kept on the disk: with another start it is done again.
//!
//! Spec: keyserver §3.8.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hushwire_engine::CallFailed;
use hushwire_proto::address::Fingerprint;
use hushwire_proto::admission::{Invite, NewAccounts, Pass, Task, Work};
use hushwire_proto::ids::{AccountId, UnixMillis};
use hushwire_proto::keyserver::{Answer, Refused, Request};
use hushwire_proto::limits::CALL_DEADLINE;
use hushwire_proto::net::call::Connection;
use tokio::sync::watch;

use crate::link::unreachable;

/// Tries between two looks at whether to go on: some milliseconds.
const TRIES_AT_ONCE: u64 = 1 << 16;

/// How far becoming an account is, beside what [`crate::Event`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Registering {
    /// Nothing is done about it, or an answer is waited for.
    #[default]
    Quiet,
    /// The keyserver wants work, and it is being done.
    Working {
        /// So many tries are needed on average.
        expected: u64,
        /// So many were made.
        tries: u64,
    },
    /// What the keyserver said to the last try. It is tried again where that makes sense.
    Refused(Refused),
    /// The last try came to no answer, for this reason. It is tried again.
    Unreached(String),
}

/// What all connections know about it.
#[derive(Debug, Default)]
pub(crate) struct Newcomer {
    invite: Mutex<Option<Invite>>,
    /// What was done last: it is as good for the next try, as long as it is fresh.
    done: Mutex<Option<Work>>,
    shown: watch::Sender<Registering>,
}

impl Newcomer {
    pub(crate) fn set_invite(&self, invite: Option<Invite>) {
        *lock(&self.invite) = invite;
    }

    pub(crate) fn shown(&self) -> watch::Receiver<Registering> {
        self.shown.subscribe()
    }

    /// What came of a try to register.
    pub(crate) fn tried(&self, failed: Option<&CallFailed>) {
        self.shown.send_replace(match failed {
            None => Registering::Quiet,
            Some(CallFailed::Keyserver(refused)) => Registering::Refused(refused.clone()),
            Some(failed) => Registering::Unreached(failed.to_string()),
        });
    }

    /// What to show over this connection. Dropped, it stops working.
    pub(crate) async fn pass(
        self: &Arc<Self>,
        connection: &Connection,
        server: Option<Fingerprint>,
        account: AccountId,
    ) -> Result<Pass, CallFailed> {
        if let Some(invite) = lock(&self.invite).clone() {
            return Ok(Pass { work: None, invite: Some(invite) });
        }
        let answer = connection.call(Request::Hello.encode(), CALL_DEADLINE).await.map_err(unreachable)?;
        let welcome = match Answer::parse(&answer) {
            Ok(Answer::Welcome(welcome)) => welcome,
            Ok(Answer::Refused(refused)) => return Err(CallFailed::Keyserver(refused)),
            _ => return Err(CallFailed::OutOfProtocol),
        };
        let work_bits = match welcome.new_accounts {
            NewAccounts::Open { work_bits } if work_bits > 0 => work_bits,
            // If it is not open it says so of the registration itself.
            NewAccounts::Open { .. } | NewAccounts::Invites | NewAccounts::Closed => return Ok(Pass::default()),
        };
        let server = server.ok_or(CallFailed::OutOfProtocol)?; // an address that pins no key is not connected to
        let before = *lock(&self.done);
        let work = match before.filter(|work| work.is_enough(server, account, work_bits, welcome.now)) {
            Some(work) => work,
            None => self.work(server, account, welcome.now, work_bits).await?,
        };
        *lock(&self.done) = Some(work);
        self.shown.send_replace(Registering::Quiet);
        Ok(Pass { work: Some(work), invite: None })
    }

    async fn work(
        self: &Arc<Self>,
        server: Fingerprint,
        account: AccountId,
        now: UnixMillis,
        bits: u8,
    ) -> Result<Work, CallFailed> {
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        let (stopped, newcomer) = (stop.0.clone(), self.clone());
        let search = move || {
            let (task, expected) = (Task::new(server, account, now), 1_u64 << bits.min(63));
            let mut tries = 0_u64;
            while !stopped.load(Relaxed) {
                newcomer.shown.send_replace(Registering::Working { expected, tries });
                if let Some(work) = task.search(bits, tries, TRIES_AT_ONCE) {
                    return Some(work);
                }
                tries = tries.checked_add(TRIES_AT_ONCE)?;
            }
            None
        };
        let found = tokio::task::spawn_blocking(search).await;
        found.ok().flatten().ok_or_else(|| CallFailed::Unreachable("the work was given up".to_owned()))
    }
}

/// Ends the work when nobody waits for it any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
}
