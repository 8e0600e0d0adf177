//! What we keep at servers: the account and its prekeys at the keyserver, deposit tokens at our relay. Made here,
//! published until confirmed, refilled when few are left.

use bytes::Bytes;
use hushwire_crypto::{BadStored, KyberPreKey, OneTimePreKey, SignedPreKey};
use hushwire_proto::ids::{TokenHash, UnixMillis};
use hushwire_proto::keyserver::{CurveKey, Publish, RefusedReason, SignedCurveKey, SignedKyberKey, Stock};
use hushwire_proto::limits::{PREKEYS_PER_DEVICE_MAX, PREKEYS_PER_PUBLISH_MAX, TOKENS_PER_GRANT_MAX};
use rand_core::CryptoRng;
use rusqlite::Connection;

use crate::account::Keys;
use crate::engine::{Chore, Cx, Pending};
use crate::input::{Call, CallFailed, Reply};
use crate::outbox::backoff;
use crate::store::me::{self, Flag};
use crate::store::prekeys::{self, Kind};
use crate::store::{StoreError, damaged};
use crate::types::Event;

/// The longest that a keyserver makes us wait.
const HOUR_MS: u64 = 3600 * 1000;

/// One-time prekeys of each kind made at once: as many as one publication carries.
const BATCH: u32 = 50;
const _: () = assert!(BATCH as usize == PREKEYS_PER_PUBLISH_MAX);

/// Below so many one-time prekeys at the keyserver, a new batch is made.
const LOW: u32 = 20;

/// How often the keyserver is asked what is left, in milliseconds. An account gives out a one-time key a minute at most, so
/// that a full stock lasts longer than an attacker needs to be noticed, and a device that stays online never runs out for long.
const STOCK_EVERY_MS: u64 = 30 * 60 * 1000;

/// How long a signed prekey is given out, in milliseconds.
const SIGNED_LIFETIME_MS: u64 = 7 * 24 * 3600 * 1000;

/// How long a prekey that is not given out any more still opens first messages: 30 days in which a session may be written
/// in without an answer, 30 days in which a relay keeps what was written, and a week.
const KEPT_MS: u64 = 67 * 24 * 3600 * 1000;

/// One-time prekeys of each kind that wait to be used. Whoever asks for our prekeys and never writes fills the database
/// no further than this; the last-resort key does then.
const ONE_TIME_HELD_MAX: u32 = 1_000;

/// The prekeys of a new account.
pub(crate) fn make_first(
    db: &Connection,
    keys: &Keys,
    now: UnixMillis,
    rng: &mut impl CryptoRng,
) -> Result<(), StoreError> {
    make_signed(db, keys, now, rng)?;
    make_batch(db, keys, now, rng)
}

/// Calls what the servers do not have yet. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let keyserver = cx.keys.keyserver.clone();
    if !me::flag(cx.db, Flag::Registered)? {
        let mut wake = None;
        if due(cx, Chore::Register, &mut wake, |pending| matches!(pending, Pending::Register))
            && let Some(link) = cx.keys.links.first().cloned()
        {
            let handle_name = me::handle_name(cx.db)?;
            cx.call(Call::Register { keyserver, link, handle_name }, Pending::Register);
        }
        return Ok(wake);
    }
    if !cx.keys.is_listed() {
        return Ok(None); // nobody takes prekeys from, or for, a device that is not in the list
    }
    let mut wake = Some(renew(cx)?);
    let (publish, made_of) = if cx.flight.all_published { Default::default() } else { unpublished(cx.db)? };
    let publishing = !made_of.is_empty();
    cx.flight.all_published = !publishing;
    if publishing && due(cx, Chore::Publish, &mut wake, |pending| matches!(pending, Pending::Publish(_))) {
        cx.call(Call::Publish { keyserver, publish }, Pending::Publish(made_of));
    } else if !publishing
        && is_stock_to_be_asked(cx, &mut wake)
        && due(cx, Chore::GetStock, &mut wake, |pending| matches!(pending, Pending::GetStock))
    {
        cx.call(Call::GetStock { keyserver }, Pending::GetStock);
    }
    tokens(cx, &mut wake)?;
    announce(cx, publishing)?;
    Ok(wake)
}

/// The keyserver answered the registration.
pub(crate) fn registered<R: CryptoRng>(cx: &mut Cx<'_, R>, reply: Result<Reply, CallFailed>) -> Result<(), StoreError> {
    match reply {
        Ok(Reply::Registered) => {
            done(cx, Chore::Register);
            me::set_flag(cx.db, Flag::Registered)
        }
        Err(CallFailed::Keyserver(refused))
            if matches!(
                refused.reason,
                RefusedReason::HandleTaken
                    | RefusedReason::BadHandle
                    | RefusedReason::BadKeys
                    | RefusedReason::InviteNeeded
                    | RefusedReason::BadInvite
                    | RefusedReason::Closed
            ) =>
        {
            // Only a person can choose another handle, or get an invite; ask again no sooner than they can.
            failed(cx, Chore::Register);
            not_before(cx, Chore::Register, HOUR_MS);
            cx.event(Event::RegistrationFailed(refused));
            Ok(())
        }
        Err(CallFailed::Keyserver(refused)) => {
            failed(cx, Chore::Register);
            not_before(cx, Chore::Register, refused.retry_after_ms.min(HOUR_MS));
            Ok(())
        }
        Ok(_) | Err(_) => {
            failed(cx, Chore::Register);
            Ok(())
        }
    }
}

/// The keyserver answered a publication.
pub(crate) fn published<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    made_of: &[(Kind, u32)],
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    match reply {
        Ok(Reply::Stock(stock)) => {
            for (kind, id) in made_of {
                prekeys::mark_published(cx.db, *kind, *id)?;
            }
            done(cx, Chore::Publish);
            note_stock(cx, stock)?;
            Ok(())
        }
        other => {
            perhaps_revoked(cx, &other);
            failed(cx, Chore::Publish);
            Ok(())
        }
    }
}

/// The keyserver told what is left.
pub(crate) fn stock<R: CryptoRng>(cx: &mut Cx<'_, R>, reply: Result<Reply, CallFailed>) -> Result<(), StoreError> {
    match reply {
        Ok(Reply::Stock(stock)) => {
            done(cx, Chore::GetStock);
            // Only here: a keyserver that always says it has none is not published to again and again.
            let least = note_stock(cx, stock)?;
            if least < LOW
                && unpublished(cx.db)?.1.is_empty()
                && prekeys::count(cx.db, Kind::OneTimeKyber)? < ONE_TIME_HELD_MAX
            {
                make_batch(cx.db, cx.keys, cx.now, cx.rng)?;
                cx.flight.all_published = false;
            }
            Ok(())
        }
        other => {
            perhaps_revoked(cx, &other);
            failed(cx, Chore::GetStock);
            Ok(())
        }
    }
}

/// A keyserver that does not know this device any more has perhaps heard that it was revoked, and we have not.
fn perhaps_revoked<R: CryptoRng>(cx: &mut Cx<'_, R>, reply: &Result<Reply, CallFailed>) {
    if let Err(CallFailed::Keyserver(refused)) = reply
        && matches!(refused.reason, RefusedReason::BadProof | RefusedReason::NotSignedIn)
    {
        cx.flight.own_list_wanted = true;
    }
}

/// The relay knows new tokens.
pub(crate) fn granted<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    hashes: &[TokenHash],
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    match reply {
        Ok(Reply::TokensKept) => {
            done(cx, Chore::Tokens);
            me::mark_granted(cx.db, hashes)
        }
        Ok(_) | Err(_) => {
            failed(cx, Chore::Tokens);
            Ok(())
        }
    }
}

/// The relay forgot tokens.
pub(crate) fn revoked<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    hashes: &[TokenHash],
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    match reply {
        Ok(Reply::TokensKept) => {
            done(cx, Chore::Tokens);
            me::forget_revoked(cx.db, hashes)
        }
        Ok(_) | Err(_) => {
            failed(cx, Chore::Tokens);
            Ok(())
        }
    }
}

/// Whether a chore is to be begun now: not under way, and its next try is due.
pub(crate) fn due<R: CryptoRng>(
    cx: &Cx<'_, R>,
    chore: Chore,
    wake: &mut Option<UnixMillis>,
    is_it: impl Fn(&Pending) -> bool,
) -> bool {
    if cx.flight.calls.values().any(is_it) {
        return false;
    }
    match cx.flight.chores.get(&chore) {
        Some(backoff) if backoff.due > cx.now => {
            *wake = Some(wake.map_or(backoff.due, |at| at.min(backoff.due)));
            false
        }
        _ => true,
    }
}

pub(crate) fn done<R: CryptoRng>(cx: &mut Cx<'_, R>, chore: Chore) {
    cx.flight.chores.remove(&chore);
}

pub(crate) fn failed<R: CryptoRng>(cx: &mut Cx<'_, R>, chore: Chore) {
    let attempts = cx.flight.chores.get(&chore).map_or(0, |backoff| backoff.attempts);
    let next = backoff(attempts, cx.now, cx.rng);
    cx.flight.chores.insert(chore, next);
}

/// The next try comes this much later at the earliest.
fn not_before<R: CryptoRng>(cx: &mut Cx<'_, R>, chore: Chore, wait_ms: u64) {
    let earliest = cx.now.plus(wait_ms);
    if let Some(backoff) = cx.flight.chores.get_mut(&chore) {
        backoff.due = backoff.due.max(earliest);
    }
}

fn tokens<R: CryptoRng>(cx: &mut Cx<'_, R>, wake: &mut Option<UnixMillis>) -> Result<(), StoreError> {
    let under_way = |pending: &Pending| matches!(pending, Pending::Grant(_) | Pending::Revoke(_));
    let new = me::ungranted_tokens(cx.db, TOKENS_PER_GRANT_MAX)?;
    if !new.is_empty() {
        if due(cx, Chore::Tokens, wake, under_way) {
            let hashes = new.iter().map(|(hash, _)| *hash).collect();
            cx.call(Call::Grant { tokens: new }, Pending::Grant(hashes));
        }
        return Ok(());
    }
    let old = me::revoked_tokens(cx.db)?;
    if !old.is_empty() && due(cx, Chore::Tokens, wake, under_way) {
        cx.call(Call::Revoke { hashes: old.clone() }, Pending::Revoke(old));
    }
    Ok(())
}

/// Tells once that others can write now.
fn announce<R: CryptoRng>(cx: &mut Cx<'_, R>, publishing: bool) -> Result<(), StoreError> {
    let ready = !publishing && me::ungranted_tokens(cx.db, 1)?.is_empty();
    if ready && !me::flag(cx.db, Flag::Announced)? {
        me::set_flag(cx.db, Flag::Announced)?;
        cx.event(Event::Registered);
    }
    Ok(())
}

fn note_stock<R: CryptoRng>(cx: &mut Cx<'_, R>, stock: Stock) -> Result<u32, StoreError> {
    cx.flight.stock_asked = Some(cx.now);
    let least = stock.one_time.min(stock.one_time_kyber);
    me::set_stock(cx.db, least)?;
    Ok(least)
}

/// A first message used one of our keys up: look how many are left.
pub(crate) fn used<R: CryptoRng>(cx: &mut Cx<'_, R>) {
    cx.flight.stock_asked = None;
}

/// At each start, after each first message that used a key up, and now and then: whoever fetches and never writes uses keys
/// up too.
fn is_stock_to_be_asked<R: CryptoRng>(cx: &Cx<'_, R>, wake: &mut Option<UnixMillis>) -> bool {
    let next = cx.flight.stock_asked.map(|asked| asked.plus(STOCK_EVERY_MS));
    match next {
        Some(next) if cx.now < next => {
            *wake = Some(wake.map_or(next, |at| at.min(next)));
            false
        }
        _ => true,
    }
}

/// Makes new signed prekeys when it is time, and forgets what nobody can name any more. When it is time again.
fn renew<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<UnixMillis, StoreError> {
    let newest = prekeys::newest(cx.db, Kind::Signed)?;
    if let Some(made) = newest
        && cx.now.since(made) <= SIGNED_LIFETIME_MS
    {
        return Ok(made.plus(SIGNED_LIFETIME_MS + 1));
    }
    prekeys::forget_replaced(cx.db, UnixMillis(cx.now.0.saturating_sub(KEPT_MS)), PREKEYS_PER_DEVICE_MAX)?;
    make_signed(cx.db, cx.keys, cx.now, cx.rng)?;
    cx.flight.all_published = false;
    Ok(cx.now.plus(SIGNED_LIFETIME_MS + 1))
}

fn make_signed(db: &Connection, keys: &Keys, now: UnixMillis, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
    let id = me::take_prekey_ids(db, 2)?;
    let signed = SignedPreKey::generate(id, &keys.identity, rng);
    let kyber = KyberPreKey::generate(id + 1, &keys.identity, rng);
    prekeys::insert(db, Kind::Signed, id, &signed.to_bytes(), now)?;
    prekeys::insert(db, Kind::LastResortKyber, id + 1, &kyber.to_bytes(), now)
}

fn make_batch(db: &Connection, keys: &Keys, now: UnixMillis, rng: &mut impl CryptoRng) -> Result<(), StoreError> {
    let first = me::take_prekey_ids(db, 2 * BATCH)?;
    for id in first..first + BATCH {
        prekeys::insert(db, Kind::OneTime, id, &OneTimePreKey::generate(id, rng).to_bytes(), now)?;
    }
    for id in first + BATCH..first + 2 * BATCH {
        prekeys::insert(db, Kind::OneTimeKyber, id, &KyberPreKey::generate(id, &keys.identity, rng).to_bytes(), now)?;
    }
    Ok(())
}

/// Everything that is not published, in one publication, and which keys it is made of.
fn unpublished(db: &Connection) -> Result<(Publish, Vec<(Kind, u32)>), StoreError> {
    let bad = |_: BadStored| damaged("prekey");
    let mut publish = Publish::default();
    let mut made_of = Vec::new();
    // The newest signed key is the one to give out; an older one that never got there is not needed any more.
    for bytes in prekeys::unpublished(db, Kind::Signed, usize::from(u8::MAX))? {
        let key = SignedPreKey::from_bytes(&bytes).map_err(bad)?.public();
        made_of.push((Kind::Signed, key.id));
        publish.signed_prekey = Some(SignedCurveKey { id: key.id, key: key.key.to_pub33(), signature: key.signature });
    }
    for bytes in prekeys::unpublished(db, Kind::LastResortKyber, usize::from(u8::MAX))? {
        let key = kyber_public(&KyberPreKey::from_bytes(&bytes).map_err(bad)?);
        made_of.push((Kind::LastResortKyber, key.id));
        publish.last_resort_kyber = Some(key);
    }
    for bytes in prekeys::unpublished(db, Kind::OneTime, PREKEYS_PER_PUBLISH_MAX)? {
        let key = OneTimePreKey::from_bytes(&bytes).map_err(bad)?.public();
        made_of.push((Kind::OneTime, key.id));
        publish.one_time.push(CurveKey { id: key.id, key: key.key.to_pub33() });
    }
    for bytes in prekeys::unpublished(db, Kind::OneTimeKyber, PREKEYS_PER_PUBLISH_MAX)? {
        let key = kyber_public(&KyberPreKey::from_bytes(&bytes).map_err(bad)?);
        made_of.push((Kind::OneTimeKyber, key.id));
        publish.one_time_kyber.push(key);
    }
    Ok((publish, made_of))
}

fn kyber_public(key: &KyberPreKey) -> SignedKyberKey {
    let public = key.public();
    SignedKyberKey { id: public.id, key: Bytes::from(public.key.to_bytes()), signature: public.signature }
}
