//! Sealed envelopes on their way to relays: in order per mailbox, a few at a time, again and again under the same
//! deposit id until the relay has them.

use std::collections::BTreeMap;

use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{DepositId, MailboxId, Token, UnixMillis};
use hushwire_proto::limits::FANOUT_MAX;
use hushwire_proto::relay::{DepositMany, Door, Outcome, Refused, RefusedReason};
use rand_core::CryptoRng;

use crate::engine::{Cx, Pending};
use crate::input::{Call, CallFailed, Reply};
use crate::lookup;
use crate::store::{StoreError, contacts as people, damaged, messages, outbox};
use crate::types::{Event, State};

/// Deposits under way to one mailbox. Enough to fill a relay's group commit; each is a size class in memory.
const WINDOW: usize = 32;

/// Deposits under way at the same time. More are begun when half of them have their answers.
const UNDER_WAY_MAX: usize = 256;

/// The first wait after a failure, in milliseconds. It doubles with each further one.
const FIRST_WAIT_MS: u64 = 250;

/// The longest wait after a failure that may pass by itself, in milliseconds.
const LONGEST_WAIT_MS: u64 = 30_000;

/// The wait after a refusal that will not pass by itself soon, in milliseconds.
const REFUSED_WAIT_MS: u64 = 60_000;

/// A relay may ask for a longer wait, but not for ever, in milliseconds.
const LONGEST_TOLD_MS: u64 = 60 * REFUSED_WAIT_MS;

/// When something that failed is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) attempts: u32,
    pub(crate) due: UnixMillis,
}

/// Doubling waits, each drawn between half and the whole, so that many clients do not come at once.
pub(crate) fn backoff(attempts: u32, now: UnixMillis, rng: &mut impl CryptoRng) -> Backoff {
    let wait = FIRST_WAIT_MS.saturating_mul(1 << attempts.min(16)).min(LONGEST_WAIT_MS);
    let jitter = rng.next_u64() % (wait / 2 + 1);
    Backoff { attempts: attempts.saturating_add(1), due: now.plus(wait - jitter) }
}

/// Calls deposits that are due. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let is_deposit = |pending: &&Pending| matches!(pending, Pending::Deposit(..) | Pending::DepositMany(_));
    let mut under_way = cx.flight.calls.values().filter(is_deposit).count();
    // Looked at again with an answer. A thousand mailboxes are not gone through for each of a thousand answers.
    if under_way >= UNDER_WAY_MAX / 2 {
        return Ok(None);
    }
    cx.flight.sent_away.retain(|_, away| away.contains(&cx.now));
    let mut wake: Option<UnixMillis> = None;
    let mut many: BTreeMap<(i64, ServerAddress), Vec<Door>> = BTreeMap::new();
    for mailbox in outbox::mailboxes(cx.db)? {
        if under_way >= UNDER_WAY_MAX {
            break;
        }
        if let Some(until) = away_until(cx, mailbox)? {
            wake = wake.into_iter().chain([until]).min();
            continue;
        }
        let turn = cx.flight.turns.get(&mailbox).copied().unwrap_or(1);
        let mut alone = true;
        for outbox::First { id, due, body } in outbox::first_for(cx.db, mailbox, WINDOW)? {
            match cx.flight.deposits.get(&id) {
                Some(of) if *of == turn && body.is_none() => {
                    alone = false;
                    continue;
                }
                // One to many goes alone. Or of a turn that has failed: it may not have arrived, and nothing may overtake it.
                Some(_) => break,
                None => {}
            }
            // Nothing overtakes an envelope that waits for its next try.
            if due > cx.now {
                wake = wake.into_iter().chain([due]).min();
                break;
            }
            if let Some(body) = body {
                if alone {
                    let (relay, token) = outbox::load_door(cx.db, id)?;
                    cx.flight.deposits.insert(id, turn);
                    many.entry((body, relay)).or_default().push(Door { mailbox, token, id });
                }
                break;
            }
            let (relay, deposit) = outbox::load(cx.db, id)?;
            let token = deposit.token.clone();
            cx.flight.deposits.insert(id, turn);
            cx.call(Call::Deposit { relay, deposit, turn }, Pending::Deposit(id, token));
            under_way += 1;
            alone = false;
        }
    }
    for ((body, relay), doors) in many {
        let envelope = outbox::load_body(cx.db, body)?;
        for doors in doors.chunks(FANOUT_MAX) {
            let pending = doors.iter().map(|door| (door.id, door.token.clone())).collect();
            let many = DepositMany { envelope: envelope.clone(), doors: doors.to_vec() };
            cx.call(Call::DepositMany { relay: relay.clone(), many }, Pending::DepositMany(pending));
        }
    }
    Ok(wake)
}

/// Until when the relay of this mailbox is to be left alone.
fn away_until<R: CryptoRng>(cx: &Cx<'_, R>, mailbox: MailboxId) -> Result<Option<UnixMillis>, StoreError> {
    if cx.flight.sent_away.is_empty() {
        return Ok(None);
    }
    let relay = outbox::relay_of(cx.db, mailbox)?;
    Ok(relay.and_then(|relay| Some(cx.flight.sent_away.get(&relay)?.end)))
}

/// One envelope to many mailboxes has its reply: as if each had its own.
pub(crate) fn deposited_many<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    doors: &[(DepositId, Token)],
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let stored = match reply {
        Ok(Reply::StoredMany(stored)) if stored.outcomes.len() == doors.len() => Ok(stored),
        Ok(_) => Err(CallFailed::OutOfProtocol),
        Err(failure) => Err(failure),
    };
    for (place, (id, token)) in doors.iter().enumerate() {
        let reply = match &stored {
            Ok(stored) => match stored.outcomes.get(place) {
                Some(Outcome::Stored) => Ok(Reply::Stored),
                Some(Outcome::Full) => Err(refused(RefusedReason::MailboxFull, stored.retry_after_ms)),
                Some(Outcome::NoSuchDoor) => Err(refused(RefusedReason::NoSuchDoor, 0)),
                Some(Outcome::Later) | None => Err(refused(RefusedReason::Overloaded, stored.retry_after_ms)),
            },
            Err(failure) => Err(failure.clone()),
        };
        deposited(cx, *id, token, reply)?;
    }
    Ok(())
}

fn refused(reason: RefusedReason, retry_after_ms: u64) -> CallFailed {
    CallFailed::Relay(Refused { reason, detail: String::new(), retry_after_ms })
}

/// A deposit under this token has its reply.
pub(crate) fn deposited<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: DepositId,
    token: &Token,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    let of = cx.flight.deposits.remove(&id);
    let Some(about) = outbox::about(cx.db, id)? else { return Ok(()) };
    let failure = match reply {
        Ok(Reply::Stored) => {
            outbox::remove(cx.db, id)?;
            if let Some(message) = about.message
                && !outbox::has_message(cx.db, message)?
                && messages::advance(cx.db, message, State::Sent)?
            {
                let place = messages::place(cx.db, message)?.ok_or_else(|| damaged("outbox"))?;
                let conversation = place.conversation;
                cx.event(Event::StateChanged { id: message, conversation, state: State::Sent });
            }
            return Ok(());
        }
        Ok(_) => CallFailed::OutOfProtocol,
        Err(failure) => failure,
    };
    let turn = cx.flight.turns.entry(about.mailbox).or_insert(1);
    if of == Some(*turn) {
        *turn += 1;
    }
    if matches!(&failure, CallFailed::Relay(Refused { reason: RefusedReason::NoSuchDoor, .. }))
        && door_closed(cx, &about, token)?
    {
        return Ok(());
    }
    if let CallFailed::Relay(Refused { reason: RefusedReason::Overloaded, retry_after_ms: told @ 1.., .. }) = &failure {
        // It means whoever sends, and not this mailbox: whatever else came before its time would be refused too.
        let until = cx.now.plus((*told).min(LONGEST_TOLD_MS));
        let away = cx.flight.sent_away.entry(about.relay).or_insert(cx.now..until);
        away.end = until.max(away.end);
    }
    let due = match &failure {
        CallFailed::Relay(refused) => cx.now.plus(wait_after(refused)),
        _ => backoff(about.attempts, cx.now, cx.rng).due,
    };
    outbox::postpone(cx.db, id, due, &failure.to_string())?;
    if about.message.is_some() {
        cx.event(Event::Retrying { contact: about.contact, reason: failure.to_string(), next_try: due });
    }
    Ok(())
}

/// Their relay does not know this token or the mailbox any more: stop using the token, and look for newer device lists.
/// Whether there is another token to try at once.
fn door_closed<R: CryptoRng>(cx: &mut Cx<'_, R>, about: &outbox::About, tried: &Token) -> Result<bool, StoreError> {
    if about.token != *tried {
        return Ok(true);
    }
    let links = people::links(cx.db, about.contact)?;
    let device =
        links.last().and_then(|link| link.link().devices.iter().find(|device| device.mailbox == about.mailbox));
    if let Some(device) = device
        && device.request_token != *tried
    {
        outbox::change_token(cx.db, about.mailbox, tried, &device.request_token)?;
        people::forget_their_token(cx.db, about.contact, device.id, tried)?;
        return Ok(true);
    }
    lookup::refresh(cx, about.contact)?;
    Ok(false)
}

/// The relay that a device list names, if the address is one.
pub(crate) fn relay_address(text: &str) -> Option<ServerAddress> {
    ServerAddress::parse(text, hushwire_proto::address::RELAY_PORT).ok()
}

fn wait_after(refused: &Refused) -> u64 {
    let wait = match refused.reason {
        RefusedReason::GoingAway
        | RefusedReason::StorageFailed
        | RefusedReason::Overloaded
        | RefusedReason::TooFast => FIRST_WAIT_MS * 4,
        RefusedReason::MailboxFull
        | RefusedReason::StorageFull
        | RefusedReason::NoSuchDoor
        | RefusedReason::TooMany
        | RefusedReason::BadRequest
        | RefusedReason::BadProof
        | RefusedReason::NotOpen
        | RefusedReason::OwnerMayNotDeposit => REFUSED_WAIT_MS,
    };
    wait.max(refused.retry_after_ms.min(LONGEST_TOLD_MS))
}
