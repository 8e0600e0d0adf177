//! How a text gets out: kept in the history, then, once there is a session with each device, encrypted, sealed and put
//! into the outbox. The new ratchet state, the envelope and the history are one transaction.

use hushwire_crypto::{
    CiphertextMessage, EncryptError, KemPublicKey, KyberPreKeyPublic, Local, OneTimePreKeyPublic, PreKeyBundle,
    PublicKey, SignedPreKeyPublic,
};
use hushwire_proto::account::Device;
use hushwire_proto::ids::{DepositId, DeviceId, MessageId, UnixMillis};
use hushwire_proto::keyserver::Bundle;
use hushwire_proto::limits::TEXT_BYTES_MAX;
use hushwire_proto::relay::Deposit;
use rand_core::CryptoRng;

use crate::contacts as people;
use crate::content::{self, Content, Introduction, Plain, Text};
use crate::engine::{Cx, Pending};
use crate::input::{Answer, Call, CallFailed, CommandError, Reply};
use crate::outbox::{backoff, relay_address};
use crate::seal::Inside;
use crate::store::{StoreError, contacts, me, messages, outbox, sessions};
use crate::types::{Contact, ContactId, Event, Standing, State};

/// Contents sealed after one input. More wait for the next, so that one input never takes long.
const SEALED_AT_ONCE_MAX: usize = 64;

/// Keeps a text that a person sends.
pub(crate) fn command<R: CryptoRng>(cx: &mut Cx<'_, R>, to: ContactId, text: &str) -> Result<Answer, StoreError> {
    if !(1..=TEXT_BYTES_MAX).contains(&text.len()) {
        return Ok(Answer::Refused(CommandError::TextLength { found: text.len(), limit: TEXT_BYTES_MAX }));
    }
    let Some(contact) = contacts::get(cx.db, to)? else { return Ok(Answer::Refused(CommandError::NoSuchContact)) };
    match contact.standing {
        Standing::Blocked => return Ok(Answer::Refused(CommandError::Blocked)),
        Standing::Request => people::accept(cx, to)?,
        Standing::Accepted => {}
    }
    let (counter, previous) = contacts::out_position(cx.db, to)?;
    let mut message_id = MessageId([0; 16]);
    cx.rng.fill_bytes(&mut message_id.0);
    let lamport = me::next_lamport(cx.db)?;
    let row = messages::NewRow {
        contact: to,
        outgoing: true,
        device: cx.keys.device,
        counter,
        message_id,
        lamport,
        sent_at: cx.now,
        text,
        state: State::Queued,
    };
    let id = messages::insert(cx.db, &row, cx.now)?.ok_or_else(|| crate::store::damaged("out_counter"))?;
    let said = Text { message_id, counter, previous, lamport, sent_at: cx.now, text: text.to_owned() };
    let content = Content::Text(said).encode();
    contacts::set_out_position(cx.db, to, counter, &content::hash(&content))?;
    outbox::add_unsealed(cx.db, to, Some(id), &content)?;
    let kept = messages::get(cx.db, id)?.ok_or_else(|| crate::store::damaged("messages"))?;
    Ok(Answer::Queued(kept))
}

/// Seals what waits, and fetches prekeys where a session is missing. When to look again.
pub(crate) fn outstanding<R: CryptoRng>(cx: &mut Cx<'_, R>) -> Result<Option<UnixMillis>, StoreError> {
    let mut wake: Option<UnixMillis> = None;
    let mut sealed = 0;
    for id in outbox::contacts_unsealed(cx.db)? {
        let Some(contact) = contacts::get(cx.db, id)? else { continue };
        while let Some(unsealed) = outbox::next_unsealed(cx.db, id)? {
            if sealed == SEALED_AT_ONCE_MAX {
                return Ok(Some(cx.now));
            }
            let links = contacts::links(cx.db, id)?;
            let devices = links.last().map_or(&[][..], |link| &link.link().devices);
            let missing = without_session(cx, id, devices)?;
            if !missing.is_empty() {
                wake = wake.into_iter().chain(fetch(cx, &contact, missing)?).min();
                break;
            }
            for device in devices {
                seal(cx, &contact, device, &unsealed)?;
            }
            outbox::remove_unsealed(cx.db, unsealed.id)?;
            sealed += 1;
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
    let failure = match reply {
        Ok(Reply::Bundles(bundles)) => match begin(cx, id, bundles)? {
            None => return contacts::set_fetch_state(cx.db, id, 0, UnixMillis(0), None),
            Some(failure) => failure,
        },
        Ok(_) => CallFailed::OutOfProtocol.to_string(),
        Err(failure) => failure.to_string(),
    };
    let (attempts, _) = contacts::fetch_state(cx.db, id)?;
    let next = backoff(attempts, cx.now, cx.rng);
    contacts::set_fetch_state(cx.db, id, next.attempts, next.due, Some(&failure))?;
    cx.event(Event::Retrying { contact: id, reason: failure, next_try: next.due });
    Ok(())
}

/// Begins a session with each device that has a bundle; what is wrong with the first that has none or a bad one.
fn begin<R: CryptoRng>(cx: &mut Cx<'_, R>, id: ContactId, bundles: Vec<Bundle>) -> Result<Option<String>, StoreError> {
    let links = contacts::links(cx.db, id)?;
    let devices = links.last().map_or(&[][..], |link| &link.link().devices);
    for device in without_session(cx, id, devices)? {
        let Some(device) = devices.iter().find(|known| known.id == device) else { continue };
        let Some(bundle) = bundles.iter().find(|bundle| bundle.device == device.id) else {
            return Ok(Some("the keyserver has no prekeys of theirs yet".into()));
        };
        let verified = match from_wire(device, bundle).and_then(|bundle| bundle.verify().map_err(|e| e.to_string())) {
            Ok(verified) => verified,
            Err(reason) => return Ok(Some(format!("the keyserver gave prekeys that do not verify ({reason})"))),
        };
        let local = Local::new(&cx.keys.identity, cx.keys.registration_id.into()).with_peer(verified.identity());
        match sessions::load(cx.db, id, device.id)?.start(&local, &verified, cx.now.0, cx.rng) {
            Ok(begun) => sessions::save(cx.db, id, device.id, &begun)?,
            Err(error) => return Ok(Some(format!("the keyserver gave prekeys that cannot be used ({error})"))),
        }
    }
    Ok(None)
}

fn without_session<R: CryptoRng>(
    cx: &Cx<'_, R>,
    contact: ContactId,
    devices: &[Device],
) -> Result<Vec<DeviceId>, StoreError> {
    let mut missing = Vec::new();
    for device in devices {
        if !sessions::load(cx.db, contact, device.id)?.has_usable_session(cx.now.0) {
            missing.push(device.id);
        }
    }
    Ok(missing)
}

fn fetch<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    devices: Vec<DeviceId>,
) -> Result<Option<UnixMillis>, StoreError> {
    if cx.flight.calls.values().any(|pending| matches!(pending, Pending::Fetch(id) if *id == contact.id)) {
        return Ok(None);
    }
    let (_, due) = contacts::fetch_state(cx.db, contact.id)?;
    if due > cx.now {
        return Ok(Some(due));
    }
    if let Some(keyserver) = people::keyserver_of(cx, contact.id)? {
        cx.call(Call::Fetch { keyserver, account: contact.account, devices }, Pending::Fetch(contact.id));
    }
    Ok(None)
}

/// Encrypts and seals one content for one device, and puts it into the outbox.
fn seal<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: &Contact,
    device: &Device,
    unsealed: &outbox::Unsealed,
) -> Result<(), StoreError> {
    let (Ok(identity), Some(relay)) = (PublicKey::from_pub33(&device.identity_key), relay_address(&device.relay))
    else {
        return undeliverable(cx, contact.id, "their device list names no usable relay or key");
    };
    let introduction = introduction(cx, contact.id)?;
    if introduction.is_some()
        && let Ok(Content::Text(text)) = Content::parse(&unsealed.content)
    {
        contacts::note_introduction(cx.db, contact.id, text.counter)?;
    }
    let plain = Plain { content: unsealed.content.clone(), introduction }.encode();
    let local = Local::new(&cx.keys.identity, cx.keys.registration_id.into()).with_peer(identity);
    let before = sessions::load(cx.db, contact.id, device.id)?;
    let encrypted = match before.encrypt(&local, &plain, cx.now.0, cx.rng) {
        Ok(encrypted) => encrypted,
        // Looked at just before, in the same transaction: only a peer whose identity key is not the list's gets here.
        Err(EncryptError::UntrustedIdentity) => {
            cx.event(Event::IdentityChanged { contact: contact.id });
            return Ok(());
        }
        Err(error) => return undeliverable(cx, contact.id, &error.to_string()),
    };
    sessions::save(cx.db, contact.id, device.id, &encrypted.sessions)?;
    let links = match encrypted.message {
        CiphertextMessage::PreKey(_) => cx.keys.links.clone(),
        CiphertextMessage::Signal(_) => Vec::new(),
    };
    let inside = Inside { account: cx.keys.account, device: cx.keys.device, message: encrypted.message, links };
    let envelope = match inside.seal(&cx.keys.identity, &identity, cx.rng) {
        Ok(envelope) => envelope,
        Err(error) => return undeliverable(cx, contact.id, &error.to_string()),
    };
    let mut id = DepositId([0; 16]);
    cx.rng.fill_bytes(&mut id.0);
    let token = contacts::their_token(cx.db, contact.id)?.unwrap_or_else(|| device.request_token.clone());
    let deposit = Deposit { mailbox: device.mailbox, token, id, envelope };
    outbox::insert(cx.db, contact.id, unsealed.message, &relay, &deposit)
}

/// Our token for them, until they are known to have it; not before our relay accepts it.
fn introduction<R: CryptoRng>(cx: &Cx<'_, R>, contact: ContactId) -> Result<Option<Introduction>, StoreError> {
    if contacts::introduced(cx.db, contact)? {
        return Ok(None);
    }
    let Some((token, true)) = me::token_of(cx.db, contact)? else { return Ok(None) };
    let handle = cx.keys.handle(cx.db)?.map(|handle| handle.to_string());
    Ok(Some(Introduction { token, handle }))
}

fn undeliverable<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: ContactId, reason: &str) -> Result<(), StoreError> {
    cx.event(Event::Retrying { contact, reason: reason.to_owned(), next_try: cx.now });
    Ok(())
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
