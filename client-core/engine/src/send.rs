//! How what waits for a contact gets out: once there is a session with each device, encrypted, sealed and put into the
//! outbox. The new ratchet state and the envelopes are one transaction.

use std::collections::BTreeSet;

use hushwire_crypto::{
    CiphertextMessage, EncryptError, KemPublicKey, KyberPreKeyPublic, Local, OneTimePreKeyPublic, PreKeyBundle,
    PublicKey, Sessions, SignedPreKeyPublic,
};
use hushwire_proto::account::{Device, SignedLink};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{DepositId, DeviceId, UnixMillis};
use hushwire_proto::keyserver::Bundle;
use hushwire_proto::limits::ENVELOPE_BYTES_MAX;
use hushwire_proto::relay::Deposit;
use rand_core::CryptoRng;

use crate::content::{Content, Introduction, Plain};
use crate::engine::{Cx, Pending};
use crate::identity;
use crate::input::{Call, CallFailed, Reply};
use crate::lookup;
use crate::outbox::{backoff, relay_address};
use crate::seal::Inside;
use crate::store::{StoreError, contacts, me, outbox, sessions, unsealed};
use crate::types::{Contact, ContactId, Event};
use crate::{store, whisper};

/// Contents sealed after one input. More wait for the next, so that one input never takes long.
const SEALED_AT_ONCE_MAX: usize = 64;

/// Contacts whose prekeys are fetched at the same time: a group may have a thousand whom we never wrote to.
const FETCHES_MAX: usize = 32;

/// How long a device without prekeys is left out before the keyserver is asked for it again, in milliseconds.
const WITHOUT_PREKEYS_MS: u64 = 10 * 60 * 1000;

/// Seals what waits, and fetches prekeys where a session is missing. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let mut wake: Option<UnixMillis> = None;
    let mut sealed = 0;
    let asked: BTreeSet<ContactId> = cx.flight.calls.values().filter_map(Pending::fetches).collect();
    let mut fetches = asked.len();
    for id in unsealed::contacts(cx.db)? {
        // Its prekeys are on their way, or cannot be asked for yet: with an answer it is looked at again.
        if asked.contains(&id) || (fetches >= FETCHES_MAX && cx.flight.without_sessions.contains(&id)) {
            continue;
        }
        // A person has to agree to their new devices first.
        if store::identity::is_held(cx.db, id)? {
            continue;
        }
        let Some(contact) = contacts::get(cx.db, id)? else { continue };
        let links = contacts::links(cx.db, id)?;
        let mut targets = targets(cx, id, &links)?;
        while let Some(unsealed) = unsealed::next(cx.db, id)? {
            if sealed == SEALED_AT_ONCE_MAX {
                return Ok(Some(cx.now));
            }
            match seal(cx, &contact, &mut targets, &unsealed)? {
                Ok(()) => sealed += 1,
                Err(why) => {
                    cx.flight.without_sessions.insert(id);
                    if fetches < FETCHES_MAX {
                        let before = cx.flight.calls.len();
                        wake = wake.into_iter().chain(held(cx, &contact, &why)?).min();
                        fetches += cx.flight.calls.len() - before;
                    }
                    break;
                }
            }
        }
    }
    Ok(wake)
}

/// The keyserver answered with prekeys, or not.
pub(crate) fn fetched<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    id: ContactId,
    reply: Result<Reply, CallFailed>,
) -> Result<(), StoreError> {
    cx.flight.without_sessions.remove(&id);
    let failure = match reply {
        Ok(Reply::Bundles(bundles)) => match begin(cx, id, &bundles)? {
            None => return contacts::set_fetch_state(cx.db, id, 0, UnixMillis(0), None),
            Some(failure) => failure,
        },
        Ok(_) => CallFailed::OutOfProtocol.to_string(),
        Err(failure) => failure.to_string(),
    };
    let links = contacts::links(cx.db, id)?;
    let targets = targets(cx, id, &links)?;
    if !targets.is_empty() && targets.iter().all(|target| target.is_ready(cx.now)) {
        // They have begun sessions meanwhile.
        return contacts::set_fetch_state(cx.db, id, 0, UnixMillis(0), None);
    }
    postpone(cx, id, failure)?;
    Ok(())
}

/// A device of a contact that can be written to.
struct Target<'a> {
    device: &'a Device,
    identity: PublicKey,
    relay: ServerAddress,
    sessions: Sessions,
}

impl Target<'_> {
    /// Whether there is a session with the device as the list has it today, and not with one that had its number before.
    fn is_ready(&self, now: UnixMillis) -> bool {
        self.sessions.has_usable_session(now.0) && self.sessions.remote_identity() == Some(self.identity)
    }
}

/// The devices of a contact that nobody has to agree to first. One whose relay's address is none cannot be written to, and is left out.
fn targets<'a, R: CryptoRng>(
    cx: &Cx<'_, R>,
    contact: ContactId,
    links: &'a [SignedLink],
) -> Result<Vec<Target<'a>>, StoreError> {
    let mut targets = Vec::new();
    for device in identity::agreed(cx.db, contact, links)? {
        if let (Ok(identity), Some(relay)) = (PublicKey::from_pub33(&device.identity_key), relay_address(&device.relay))
        {
            let sessions = sessions::load(cx.db, contact, device.id)?;
            targets.push(Target { device, identity, relay, sessions });
        }
    }
    Ok(targets)
}

/// Why a content stays where it is for now.
enum Held {
    /// These devices have no session.
    NoSession(Vec<DeviceId>),
    /// It cannot be sent as things are; newer device lists may help.
    Cannot(String),
}

/// Begins a session with each device that has a bundle; what is wrong with the first that has none or a bad one.
fn begin<R: CryptoRng>(cx: &mut Cx<'_, R>, id: ContactId, bundles: &[Bundle]) -> Result<Option<String>, StoreError> {
    let links = contacts::links(cx.db, id)?;
    let mut none = false;
    for Target { device, sessions, .. } in targets(cx, id, &links)?.iter().filter(|target| !target.is_ready(cx.now)) {
        let Some(bundle) = bundles.iter().find(|bundle| bundle.device == device.id) else {
            cx.flight.without_prekeys.insert((id, device.id), cx.now);
            none = true;
            continue;
        };
        cx.flight.without_prekeys.remove(&(id, device.id));
        let verified = match from_wire(device, bundle).and_then(|bundle| bundle.verify().map_err(|e| e.to_string())) {
            Ok(verified) => verified,
            Err(reason) => return Ok(Some(format!("the keyserver gave prekeys that do not verify ({reason})"))),
        };
        let local = Local::new(&cx.keys.identity, cx.keys.registration_id.into()).with_peer(verified.identity());
        match sessions.start(&local, &verified, cx.now.0, cx.rng) {
            Ok(begun) => sessions::save(cx.db, id, device.id, &begun)?,
            Err(error) => return Ok(Some(format!("the keyserver gave prekeys that cannot be used ({error})"))),
        }
    }
    let nobody = none && !targets(cx, id, &links)?.iter().any(|target| target.is_ready(cx.now));
    Ok(nobody.then(|| "the keyserver has no prekeys of theirs yet".into()))
}

/// Gets what is missing, or waits until it may be there. When to look again.
fn held<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: &Contact, why: &Held) -> Result<Option<UnixMillis>, StoreError> {
    let (_, due) = contacts::fetch_state(cx.db, contact.id)?;
    if due > cx.now {
        return Ok(Some(due));
    }
    match why {
        Held::NoSession(devices) => {
            let keyserver = lookup::keyserver_of(cx, contact.id)?;
            let fetch = Call::Fetch { keyserver, account: contact.account, devices: devices.clone() };
            cx.call(fetch, Pending::Fetch(contact.id));
            Ok(None)
        }
        Held::Cannot(reason) => {
            lookup::refresh(cx, contact.id)?;
            postpone(cx, contact.id, reason.clone()).map(Some)
        }
    }
}

/// What waits for this contact is looked at again later.
fn postpone<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId, reason: String) -> Result<UnixMillis, StoreError> {
    let (attempts, _) = contacts::fetch_state(cx.db, contact)?;
    let next = backoff(attempts, cx.now, cx.rng);
    contacts::set_fetch_state(cx.db, contact, next.attempts, next.due, Some(&reason))?;
    cx.event(Event::Retrying { contact, reason, next_try: next.due });
    Ok(next.due)
}

/// Encrypts and seals one content for every device and puts it into the outbox: for all of them, or nothing is sent. A
/// device that has published nothing to begin with is left out, unless it is the only one: it was listed a moment ago, or
/// never finished, and its owner's others need not wait for it.
fn seal<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    targets: &mut [Target<'_>],
    unsealed: &unsealed::Unsealed,
) -> Result<Result<(), Held>, StoreError> {
    if targets.is_empty() {
        return Ok(Err(Held::Cannot("their device list names no relay that can be used".into())));
    }
    let (now, without) = (cx.now, &cx.flight.without_prekeys);
    let asked_lately = |device: &Device| {
        without.get(&(contact.id, device.id)).is_some_and(|asked| now.since(*asked) < WITHOUT_PREKEYS_MS)
    };
    let (ready, missing): (Vec<_>, Vec<_>) = targets.iter_mut().partition(|target| target.is_ready(now));
    let wanted: Vec<DeviceId> =
        missing.iter().filter(|target| ready.is_empty() || !asked_lately(target.device)).map(|t| t.device.id).collect();
    if !wanted.is_empty() {
        return Ok(Err(Held::NoSession(wanted)));
    }
    let introduction = introduction(cx, contact.id)?;
    // Texts, until one has arrived; receipts stay small.
    let tells_of_devices = introduction.is_some() && unsealed.message.is_some() && cx.keys.links.len() > 1;
    let introduces = introduction.as_ref().is_some_and(|introduction| introduction.token.is_some());
    let plain = Plain { content: unsealed.content.clone(), introduction }.encode();
    let mut made = Vec::new();
    for target in &ready {
        match seal_for(cx, contact, target, &plain, tells_of_devices)? {
            Ok(one) => made.push(one),
            Err(EncryptError::UsedUp) => {
                sessions::save(cx.db, contact.id, target.device.id, &target.sessions.archive_current())?;
                return Ok(Err(Held::NoSession(vec![target.device.id])));
            }
            Err(error) => return Ok(Err(Held::Cannot(error.to_string()))),
        }
    }
    for (target, (sessions, deposit)) in ready.into_iter().zip(made) {
        sessions::save(cx.db, contact.id, target.device.id, &sessions)?;
        outbox::insert(cx.db, contact.id, unsealed.message, &target.relay, &deposit)?;
        target.sessions = sessions;
    }
    if introduces && let Ok(Content::Said(said)) = Content::parse(&unsealed.content) {
        contacts::note_introduction(cx.db, contact.id, said.counter)?;
    }
    unsealed::remove(cx.db, unsealed.id)?;
    Ok(Ok(()))
}

/// The sealed envelope for one device, and its session behind that. It carries our device lists with a first message, and
/// with later ones as long as the contact may not have heard how they changed.
fn seal_for<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    target: &Target<'_>,
    plain: &[u8],
    tells_of_devices: bool,
) -> Result<Result<(Sessions, Deposit), EncryptError>, StoreError> {
    let local = Local::new(&cx.keys.identity, cx.keys.registration_id.into()).with_peer(target.identity);
    let encrypted = match target.sessions.clone().encrypt(&local, plain, cx.now.0, cx.rng) {
        Ok(encrypted) => encrypted,
        Err(error) => return Ok(Err(error)),
    };
    let links = match encrypted.message {
        CiphertextMessage::Signal(_) if !tells_of_devices => Vec::new(),
        CiphertextMessage::PreKey(_) | CiphertextMessage::Signal(_) => cx.keys.links.clone(),
    };
    let is_first = matches!(encrypted.message, CiphertextMessage::PreKey(_));
    let mut inside = Inside {
        account: cx.keys.account,
        device: cx.keys.device,
        recipient: contact.account,
        message: encrypted.message,
        links,
    };
    // What may stand in a device list, and how long a text may be, leave no other way to fail than too long a list. A later
    // message goes without it then: the contact looks us up within a day.
    let mut sealed = inside.seal(&cx.keys.identity, &target.identity, cx.rng);
    if sealed.is_err() && !is_first {
        inside.links.clear();
        sealed = inside.seal(&cx.keys.identity, &target.identity, cx.rng);
    }
    let Ok(envelope) = sealed else {
        return Ok(Err(EncryptError::TooLong { length: plain.len(), limit: ENVELOPE_BYTES_MAX }));
    };
    let mut id = DepositId([0; 16]);
    cx.rng.fill_bytes(&mut id.0);
    let token = contacts::their_token(cx.db, contact.id, target.device.id)?
        .unwrap_or_else(|| target.device.request_token.clone());
    Ok(Ok((encrypted.sessions, Deposit { mailbox: target.device.mailbox, token, id, envelope })))
}

/// What we call ourselves, our token for them and the key to whisper with, until they are known to have it.
fn introduction<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId) -> Result<Option<Introduction>, StoreError> {
    if contacts::introduced(cx.db, contact)? {
        return Ok(None);
    }
    let token = me::token_of(cx.db, contact)?.and_then(|(token, granted)| granted.then_some(token));
    let handle = cx.keys.handle(cx.db)?.map(|handle| handle.to_string());
    let whisper_key = match &token {
        Some(_) => Some(whisper::key_for(cx, contact)?),
        None => None,
    };
    Ok(Some(Introduction { token, handle, whisper_key }))
}

fn from_wire(device: &Device, bundle: &Bundle) -> Result<PreKeyBundle, String> {
    let key = |bytes: &[u8]| PublicKey::from_pub33(bytes).map_err(|error| error.to_string());
    Ok(PreKeyBundle {
        registration_id: device.registration_id.into(),
        device_id: device.id.get(),
        identity: key(&device.identity_key)?,
        signed: SignedPreKeyPublic {
            id: bundle.signed_prekey.id,
            key: key(&bundle.signed_prekey.key)?,
            signature: bundle.signed_prekey.signature,
        },
        kyber: KyberPreKeyPublic {
            id: bundle.kyber.id,
            key: KemPublicKey::from_bytes(&bundle.kyber.key).map_err(|error| error.to_string())?,
            signature: bundle.kyber.signature,
        },
        one_time: match &bundle.one_time {
            None => None,
            Some(one_time) => Some(OneTimePreKeyPublic { id: one_time.id, key: key(&one_time.key)? }),
        },
    })
}
