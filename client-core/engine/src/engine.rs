//! The one door: an input, one transaction, then outputs. What is outstanding after any input is found by looking at
//! the database, never kept in a queue of its own, so a crash at any moment forgets nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use hushwire_proto::address::{Fingerprint, Handle, ServerAddress};
use hushwire_proto::ids::{AccountId, DepositId, DeviceId, MailboxId, Seq, Token, TokenHash, UnixMillis};
use rand_core::CryptoRng;
use rusqlite::Connection;

use crate::account::{Credentials, Keys, Setup};
use crate::contact_link::ContactLink;
use crate::group::{GroupLink, GroupLog};
use crate::input::{Call, CallFailed, CallId, Input, Output, Reply};
use crate::outbox::Backoff;
use crate::recovery::RecoveryKey;
use crate::store::me::{self, Flag};
use crate::store::{Store, StoreError};
use crate::types::{ContactId, Event, LocalGroup, Profile};
use crate::{
    auditors, contacts, devices, expiry, groups, log, log_check, lookup, outbox, prekeys, receipts, receive, send,
    whisper,
};

/// The messenger of one device.
///
/// After a [`StoreError`] the engine is to be dropped and opened anew: what it remembered of calls under way may not
/// fit the database any more.
pub struct Engine {
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) flight: Flight,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine(..)")
    }
}

impl Engine {
    /// Makes an account in an empty database. Nothing leaves the device before the first [`Engine::handle`].
    ///
    /// # Errors
    /// [`StoreError`]; also when there is an account already.
    pub fn create(
        store: Store,
        setup: &Setup,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, RecoveryKey), StoreError> {
        let tx = store.begin()?;
        let (keys, recovery) = Keys::create(&tx, setup, rng)?;
        prekeys::make_first(&tx, &keys, now, rng)?;
        tx.commit()?;
        Ok((Self { store, keys, flight: Flight::default() }, recovery))
    }

    /// Opens what [`Engine::create`] made; `None` when the database has no account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(store: Store) -> Result<Option<Self>, StoreError> {
        let keys = Keys::load(store.read())?;
        Ok(keys.map(|keys| Self { store, keys, flight: Flight::default() }))
    }

    /// Removes what disappeared while the program did not run, before anybody is shown anything. Nobody looks yet, so nobody is
    /// told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget_expired(&mut self, now: UnixMillis, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
        while expiry::is_due(self.store.read(), now)? {
            let tx = self.store.begin()?;
            let (keys, flight) = (&mut self.keys, &mut self.flight);
            let mut cx = Cx { db: &tx, keys, flight, now, rng: &mut *rng, out: Vec::new() };
            expiry::outstanding(&mut cx)?;
            tx.commit()?;
        }
        if !self.flight.clean {
            self.flight.clean = self.store.scrub().unwrap_or(false);
        }
        Ok(())
    }

    /// Leaves the database as it is, with everything that was kept and nothing of what was under way.
    #[must_use]
    pub fn into_store(self) -> Store {
        self.store
    }

    /// One input, one transaction. What comes out is kept by then.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was kept; open the engine anew.
    pub fn handle(
        &mut self,
        input: Input,
        now: UnixMillis,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Output>, StoreError> {
        let tx = self.store.begin()?;
        let mut cx = Cx { db: &tx, keys: &mut self.keys, flight: &mut self.flight, now, rng, out: Vec::new() };
        if !cx.flight.begun {
            // What failed before the program stopped says nothing about now.
            cx.flight.begun = true;
            crate::store::outbox::hurry(cx.db)?;
        }
        match input {
            Input::Command(command) => {
                cx.flight.whispers.acted(now);
                contacts::command(&mut cx, command)?;
            }
            Input::Delivered(deliveries) => receive::run(&mut cx, deliveries)?,
            Input::Whispered(envelope) => whisper::heard(&mut cx, &envelope)?,
            Input::RelaySetBack => {
                me::set_drained_to(cx.db, Seq(0))?;
                me::grant_anew(cx.db)?;
            }
            Input::RelayMayBeNew => me::grant_again(cx.db)?,
            Input::Replied { call, reply } => {
                if let Some(pending) = cx.flight.calls.remove(&call) {
                    replied(&mut cx, pending, reply)?;
                }
            }
            Input::Online => {
                cx.flight.whispers.online(now);
                cx.flight.chores.clear();
                cx.flight.members.values_mut().for_each(|failed| failed.due = now);
                crate::store::outbox::hurry(cx.db)?;
            }
            Input::Tick => {}
        }
        outstanding(&mut cx)?;
        let out = cx.out;
        tx.commit()?;
        if !self.flight.clean {
            // What is kept is kept: that the log could not be emptied is no error of this input.
            self.flight.clean = self.store.scrub().unwrap_or(false);
        }
        Ok(out)
    }

    /// Who this is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn profile(&self) -> Result<Profile, StoreError> {
        let db = self.store.read();
        Ok(Profile {
            account: self.keys.account,
            device: self.keys.device,
            handle: self.keys.handle(db)?,
            keyserver: self.keys.keyserver.clone(),
            relay: self.keys.relay.clone(),
            registered: me::flag(db, Flag::Announced)?,
            prekeys_left: me::stock(db)?,
            membership: self.membership()?,
        })
    }

    /// What the shell signs in with.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.keys.credentials()
    }

    /// The last place of the own mailbox that is kept: drain from here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn drained_to(&self) -> Result<Seq, StoreError> {
        me::drained_to(self.store.read())
    }

    /// Our contact link.
    #[must_use]
    pub fn contact_link(&self) -> ContactLink {
        ContactLink { account: self.keys.account, keyserver: self.keys.keyserver.clone() }
    }

    /// Whether something is still to be sent, published or confirmed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn has_work(&self) -> Result<bool, StoreError> {
        let db = self.store.read();
        Ok(!self.flight.calls.is_empty()
            || !crate::store::outbox::is_empty(db)?
            || crate::store::receipts::next_due(db)?.is_some()
            || me::next_link(db)?.is_some()
            || !me::flag(db, Flag::Announced)?)
    }

    /// Whether the database is as it was written, page by page.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn check_store(&self) -> Result<(), StoreError> {
        self.store.check()
    }
}

/// What one input is handled with.
pub(crate) struct Cx<'a, R> {
    pub(crate) db: &'a Connection,
    pub(crate) keys: &'a mut Keys,
    pub(crate) flight: &'a mut Flight,
    pub(crate) now: UnixMillis,
    pub(crate) rng: &'a mut R,
    pub(crate) out: Vec<Output>,
}

impl<R: CryptoRng> Cx<'_, R> {
    pub(crate) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub(crate) fn call(&mut self, call: Call, pending: Pending) {
        let id = self.call_unanswered(call);
        self.flight.calls.insert(id, pending);
    }

    /// One of whose reply nothing is expected.
    pub(crate) fn call_unanswered(&mut self, call: Call) -> CallId {
        let id = CallId(self.flight.next);
        self.flight.next = self.flight.next.wrapping_add(1);
        self.out.push(Output::Call { id, call });
        id
    }
}

/// What is under way. Lost on a restart, and then found again in the database.
#[derive(Default)]
pub(crate) struct Flight {
    begun: bool,
    next: u64,
    pub(crate) calls: BTreeMap<CallId, Pending>,
    /// Deposits among them, each with its turn.
    pub(crate) deposits: BTreeMap<DepositId, u64>,
    /// The turn of each mailbox: one more than the last in which a deposit failed.
    pub(crate) turns: BTreeMap<MailboxId, u64>,
    /// Relays that told us to come back later, each as the outbox names it: from when until when nothing is deposited there. A
    /// clock that was set back is not waited for.
    pub(crate) sent_away: BTreeMap<String, Range<UnixMillis>>,
    /// Chores that failed: how often, and when the next try is due.
    pub(crate) chores: BTreeMap<Chore, Backoff>,
    /// Whether the log was asked what it says of us since the program began.
    pub(crate) log_watched: bool,
    /// Auditors that were asked since the program began, each about a keyserver.
    pub(crate) compared: BTreeSet<(ServerAddress, Fingerprint)>,
    /// Nothing was made since the keyserver was found to have all prekeys: it need not be looked for at each input.
    pub(crate) all_published: bool,
    /// When the keyserver was asked for the stock, since the program began.
    pub(crate) stock_asked: Option<UnixMillis>,
    /// Whether the keyserver is to be asked for our own list of devices: something says that it has changed.
    pub(crate) own_list_wanted: bool,
    /// Whether it was asked for because the log says something else than we know.
    pub(crate) own_list_looked_at: bool,
    /// Whether nothing that was removed stands in the log beside the database.
    pub(crate) clean: bool,
    /// When it was last looked what disappears.
    pub(crate) expiry_looked: Option<UnixMillis>,
    /// When old traces were last forgotten.
    pub(crate) swept: Option<UnixMillis>,
    /// The changes of groups that were looked at since the program began.
    pub(crate) groups: BTreeMap<LocalGroup, Arc<GroupLog>>,
    /// What envelopes to groups are tried with.
    pub(crate) seals: groups::keys::Seals,
    /// Members whom their keyserver did not name: how often, and when the next try is due.
    pub(crate) members: BTreeMap<AccountId, Backoff>,
    /// Groups whose members were all given our key, or are about to be.
    pub(crate) keys_given: BTreeSet<LocalGroup>,
    /// What need not arrive.
    pub(crate) whispers: whisper::Whispers,
    /// Contacts for whom something waits and with whom there is no session.
    pub(crate) without_sessions: BTreeSet<ContactId>,
    /// Devices of contacts for which the keyserver had no prekeys, and when.
    pub(crate) without_prekeys: BTreeMap<(ContactId, DeviceId), UnixMillis>,
}

/// What has to be done once for all contacts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chore {
    Register,
    Publish,
    GetStock,
    Tokens,
    Watch,
    Append,
    OwnList,
}

/// What a call was about.
#[derive(Debug)]
pub(crate) enum Pending {
    Register,
    Publish(Vec<(crate::store::prekeys::Kind, u32)>),
    GetStock,
    AddContact(Box<lookup::Wanted>, log::Known),
    Refresh(ContactId, log::Known),
    /// What the log says of us; how many links our list had then.
    Watch(log::Known, usize),
    /// The next list of our devices.
    Append,
    /// The list of our devices; how many links it had then.
    OwnList(log::Known, usize),
    /// What the log says of this handle.
    CheckLog(Box<(Handle, ServerAddress)>, log::Known),
    /// What an auditor has seen of a keyserver's log, beside what we know of it.
    Report(auditors::Asked),
    Fetch(ContactId),
    Grant(Vec<TokenHash>),
    Revoke(Vec<TokenHash>),
    Acknowledge,
    /// Under this token.
    Deposit(DepositId, Token),
    /// In the order of the doors.
    DepositMany(Vec<(DepositId, Token)>),
    /// A member of a group, and with a link whom to ask to be let in.
    Member(AccountId, Option<Box<GroupLink>>),
}

impl Pending {
    /// Whose prekeys it is about.
    pub(crate) fn fetches(&self) -> Option<ContactId> {
        match self {
            Self::Fetch(id) => Some(*id),
            _ => None,
        }
    }
}

fn replied<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    pending: Pending,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    match pending {
        Pending::Register => prekeys::registered(cx, reply),
        Pending::Publish(keys) => prekeys::published(cx, &keys, reply),
        Pending::GetStock => prekeys::stock(cx, reply),
        Pending::AddContact(wanted, known) => lookup::found(cx, *wanted, &known, reply),
        Pending::Watch(known, links) => log::watched(cx, &known, links, reply),
        Pending::Append => devices::appended(cx, reply),
        Pending::OwnList(known, links) => devices::looked_up(cx, &known, links, reply),
        Pending::CheckLog(whose, known) => log_check::answered(cx, &whose.0, &whose.1, &known, reply),
        Pending::Report(asked) => auditors::answered(cx, &asked, reply),
        Pending::Refresh(contact, known) => lookup::refreshed(cx, contact, &known, reply),
        Pending::Fetch(contact) => send::fetched(cx, contact, reply),
        Pending::Grant(hashes) => prekeys::granted(cx, &hashes, reply),
        Pending::Revoke(hashes) => prekeys::revoked(cx, &hashes, reply),
        // If it was lost, the relay delivers again and we acknowledge again.
        Pending::Acknowledge => Ok(()),
        Pending::Deposit(id, token) => outbox::deposited(cx, id, &token, reply),
        Pending::DepositMany(doors) => outbox::deposited_many(cx, &doors, reply),
        Pending::Member(account, then) => groups::members::found(cx, account, then, reply),
    }
}

/// Calls whatever the database says is to be done and is not under way, and asks to be woken for the rest.
fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<(), StoreError> {
    // What has disappeared is not sent.
    let mut wake = expiry::outstanding(cx)?;
    for next in [
        prekeys::outstanding(cx)?,
        devices::outstanding(cx)?,
        log::outstanding(cx)?,
        auditors::outstanding(cx)?,
        receipts::outstanding(cx)?,
        groups::requests::outstanding(cx).map(|()| None)?,
        groups::repair::outstanding(cx)?,
        // Sender keys wait for sessions, and what is said to groups for sender keys.
        groups::send::outstanding(cx)?,
        send::outstanding(cx)?,
        groups::send::outstanding(cx)?,
        outbox::outstanding(cx)?,
        whisper::outstanding(cx)?,
    ] {
        wake = wake.into_iter().chain(next).min();
    }
    if let Some(at) = wake {
        cx.out.push(Output::WakeAt(at));
    }
    Ok(())
}
