//! What happens to an envelope that comes: opened, checked against the sender's device list, decrypted, kept. Many
//! envelopes are one transaction and one acknowledgement; one that does not open changes nothing and never stops the
//! line.

use hushwire_crypto::{
    CiphertextMessage, DecryptError, KyberPreKey, Local, OneTimePreKey, OurPreKeys, PreKeySignalMessage, PublicKey,
    Sessions, SignalMessage, SignedPreKey, UsedPreKeys,
};
use hushwire_proto::account::{Compared, Device};
use hushwire_proto::ids::{AccountId, DeviceId, Seq, UnixMillis};
use hushwire_proto::relay::{Deliveries, Delivery};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::account::verify_links;
use crate::contacts as people;
use crate::content::{self, Content, Origin, Plain, What};
use crate::engine::{Cx, Pending};
use crate::groups::{self, members};
use crate::input::Call;
use crate::repair::{self, Reason};
use crate::seal::{BadSeal, GroupInside, Inside};
use crate::store::prekeys::Kind;
use crate::store::{self, StoreError, contacts, damaged, me, prekeys, sessions};
use crate::types::{Contact, Event, GroupStanding, LocalGroup, Policy, Standing};
use crate::{identity, keep, lookup, prekeys as own_prekeys};

/// Strangers whose requests are kept. Further ones are dropped until a person has looked at those. As many are kept who
/// said something about messages and no text.
const REQUESTS_MAX: u32 = 256;

/// Texts of one stranger that are kept unread. Enough to say who one is.
const REQUEST_TEXTS_MAX: u32 = 64;

/// Why an envelope leaves no trace.
pub(crate) enum Dropped {
    /// Opened before: the relay repeats itself after a lost acknowledgement.
    Repeated,
    /// Blocked, or a stranger too many.
    Unwanted,
    /// Nobody who follows the protocol made it, or not for us, or it was altered.
    Bad(Reason, String),
    /// A contact's device sealed it, and no session with that device opens it.
    Lost(Box<Contact>, DeviceId, DecryptError),
    /// A member's device said it to a group, and it does not open: its key is missing here, or is an old one.
    LostInGroup(Box<Contact>, DeviceId, LocalGroup, String),
    /// Said to a group by somebody of whom it is not known here that they are in it; asked for if that turns out.
    Later(String),
    /// The database failed: everything is undone.
    Store(StoreError),
}

impl From<StoreError> for Dropped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Takes in what the relay delivered, and acknowledges it.
pub(crate) fn run<R: CryptoRng>(cx: &mut Cx<'_, R>, deliveries: Deliveries) -> Result<(), StoreError> {
    if deliveries.mailbox != cx.keys.mailbox_id() {
        return Ok(());
    }
    if deliveries.expired_through > Seq(0) && me::note_expired(cx.db, deliveries.expired_through)? {
        cx.event(Event::Expired);
    }
    let Some(last) = deliveries.deliveries.last().map(|delivery| delivery.seq) else { return Ok(()) };
    // The relay's numbers are only for talking to the relay: what came before is known by its ratchet, not by its number.
    for delivery in deliveries.deliveries {
        match envelope(cx, &delivery) {
            Ok(()) | Err(Dropped::Repeated | Dropped::Unwanted) => {}
            Err(Dropped::Bad(code, reason)) => {
                cx.event(Event::Undecryptable { code, reason, asked_again: false });
            }
            Err(Dropped::Lost(contact, device, error)) => {
                let code = if error == DecryptError::NoSession { Reason::NoSession } else { Reason::Forged };
                let asked_again = repair::ask(cx, &contact, device)?;
                cx.event(Event::Undecryptable { code, reason: error.to_string(), asked_again });
            }
            Err(Dropped::LostInGroup(contact, device, group, reason)) => {
                let asked_again = groups::repair::ask(cx, group, &contact, device)?;
                cx.event(Event::Undecryptable { code: Reason::NoSession, reason, asked_again });
            }
            Err(Dropped::Later(reason)) => {
                cx.event(Event::Undecryptable { code: Reason::NotListed, reason, asked_again: true });
            }
            Err(Dropped::Store(error)) => return Err(error),
        }
    }
    me::set_drained_to(cx.db, last)?;
    cx.call(Call::Acknowledge { through: last }, Pending::Acknowledge);
    Ok(())
}

/// Everything up to the decryption only reads; everything after it writes.
fn envelope<R: CryptoRng>(cx: &mut Cx<'_, R>, delivery: &Delivery) -> Result<(), Dropped> {
    if GroupInside::is_one(&delivery.envelope) {
        return groups::receive::envelope(cx, &delivery.envelope);
    }
    let (sealed_by, inside) =
        Inside::open(&delivery.envelope, &cx.keys.identity, cx.keys.account).map_err(|error| match error {
            BadSeal::Malformed | BadSeal::TooLong | BadSeal::WeakKey => bad(Reason::Malformed, error),
            BadSeal::NotForUs | BadSeal::OtherAccount => bad(Reason::NotForUs, error),
        })?;
    let known = contacts::writer(cx.db, inside.account)?;
    if inside.account == cx.keys.account || !is_wanted(cx, known.as_ref())? {
        return Err(Dropped::Unwanted);
    }
    let is_blocked = known.as_ref().is_some_and(|contact| contact.standing == Standing::Blocked);
    pairwise(cx, sealed_by, inside, known).map_err(|dropped| match dropped {
        Dropped::Store(error) => Dropped::Store(error),
        _ if is_blocked => Dropped::Unwanted,
        dropped => dropped,
    })
}

/// What a device seals to this one alone.
fn pairwise<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    sealed_by: PublicKey,
    inside: Inside,
    known: Option<Contact>,
) -> Result<(), Dropped> {
    let sender = sender(cx, known, &inside)?;
    if PublicKey::from_pub33(&sender.device.identity_key) != Ok(sealed_by) {
        return Err(bad(Reason::NotListed, "sealed by another key than the sender's device list has"));
    }
    let opened = decrypt(cx, &sender, sealed_by, &inside.message)?;
    let said = said(cx, &opened.plaintext, (sender.account, inside.device), sender.contact.as_ref())?;
    if let (Err((code, reason)), None) = (&said, &sender.contact) {
        // Nobody becomes a contact by what cannot be shown.
        return Err(bad(*code, reason));
    }
    if let (Ok((_, Content::GroupChanges(told))), None, Some(chain)) = (&said, &sender.contact, &sender.newer)
        && !groups::changes::is_wish(cx, chain, told)?
    {
        return Err(bad(Reason::NotAllowed, "changes of a group, brought by a stranger whom no link lets in"));
    }
    let is_text = matches!(&said, Ok((_, Content::Said(said))) if matches!(said.what, What::Text(_)));
    let has_room = match (&said, &sender.contact) {
        (Ok((_, Content::Said(_))), None) => is_text || contacts::count_kept_back(cx.db)? < REQUESTS_MAX,
        (Ok((_, Content::GroupInvitation(_))), None) => groups::requests::has_room(cx, None)?,
        _ => true,
    };
    if !has_room {
        return Err(Dropped::Unwanted);
    }
    let contact = keep_sender(cx, sender, is_text, &opened)?;
    lookup::keep_fresh(cx, &contact)?;
    // The ratchet has moved, whatever was said.
    repair::opened(cx, contact.id, inside.device)?;
    let (plain, content) = said.map_err(|(code, reason)| bad(code, reason))?;
    if let Some(group) = content.group()
        && !matches!(content, Content::GroupChanges(_))
    {
        store::groups::note_here(cx.db, group, contact.account)?;
    }
    let policy = identity::about(cx, &contact, inside.device)?;
    if policy != Policy::Accept {
        return new_device(cx, contact, (inside.device, policy), content, &plain.content);
    }
    if let Some(introduction) = &plain.introduction {
        keep::introduction(cx, &contact, inside.device, introduction)?;
    }
    match content {
        Content::Said(said) => {
            let from = (contact.id, inside.device);
            match keep::said(cx, contact.conversation, from, said, &plain.content)? {
                true => Ok(()),
                false => Err(bad(Reason::NumberUsed, "a second text under a number that its author has used")),
            }
        }
        Content::Receipt(receipt) => {
            match receipt.group {
                None => keep::receipt(cx, &contact, inside.device, &receipt)?,
                Some(_) => groups::receive::receipt(cx, &contact, inside.device, &receipt)?,
            }
            Ok(())
        }
        Content::Again(again) => {
            match again.group {
                None => repair::asked(cx, &contact, inside.device, &again)?,
                Some(_) => groups::repair::asked(cx, &contact, inside.device, &again)?,
            }
            Ok(())
        }
        Content::GroupKey(key) => groups::receive::key(cx, &contact, inside.device, &key),
        Content::GroupChanges(told) => {
            groups::changes::came(cx, &contact, &told)?.map_err(|why| bad(Reason::NotAllowed, why))
        }
        Content::GroupAsk(ask) => Ok(groups::tell::asked(cx, &contact, &ask)?),
        Content::GroupInvitation(told) => groups::requests::came(cx, &now(cx, contact)?, &told),
    }
}

/// The contact with what the introduction said.
fn now<R: CryptoRng>(cx: &Cx<'_, R>, contact: Contact) -> Result<Contact, StoreError> {
    Ok(contacts::get(cx.db, contact.id)?.unwrap_or(contact))
}

/// Something from a device of theirs to which a person has not agreed. What would change or confirm anything here is not
/// taken in, and nothing is answered: see `identity`.
fn new_device<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    contact: Contact,
    (device, policy): (DeviceId, Policy),
    content: Content,
    bytes: &[u8],
) -> Result<(), Dropped> {
    store::identity::note_kept_back(cx.db, contact.id, device)?;
    if policy == Policy::Block {
        return Err(Dropped::Unwanted);
    }
    match content {
        Content::Said(said) => match keep::said(cx, contact.conversation, (contact.id, device), said, bytes)? {
            true => Ok(()),
            false => Err(bad(Reason::NumberUsed, "a second text under a number that its author has used")),
        },
        // What it says in groups of which its owner is a member is shown with the mark.
        Content::GroupKey(key) if groups::stands(cx, key.group, contact.account)?.1 => {
            groups::receive::key(cx, &contact, device, &key)
        }
        // Nobody is brought into a group by it; of a group that we are in its owner's changes count, whoever brings them.
        Content::GroupChanges(told) => {
            let contact = Contact { standing: Standing::Known, ..contact };
            groups::changes::came(cx, &contact, &told)?.map_err(|why| bad(Reason::NotAllowed, why))
        }
        // Its owner did not ask us before.
        Content::GroupInvitation(told) => {
            groups::requests::came(cx, &Contact { standing: Standing::Known, ..contact }, &told)
        }
        Content::GroupKey(_) | Content::Receipt(_) | Content::Again(_) | Content::GroupAsk(_) => Err(Dropped::Unwanted),
    }
}

/// Whether there is room for what they write: nobody fills the database without a person's consent. Who is blocked is heard
/// as a member of a group only.
fn is_wanted<R: CryptoRng>(cx: &mut Cx<'_, R>, known: Option<&Contact>) -> Result<bool, StoreError> {
    Ok(match known.map(|contact| (contact.standing, contact.unread)) {
        Some((Standing::Accepted | Standing::Known, _)) => true,
        Some((Standing::Blocked, _)) => groups::shares_one(cx, known)?,
        Some((Standing::Request, unread)) => unread < REQUEST_TEXTS_MAX,
        None => contacts::count(cx.db, Standing::Request)? < REQUESTS_MAX,
    })
}

/// What was said, or why it is not taken in.
type Believed = Result<(Plain, Content), (Reason, &'static str)>;

/// What an authentic plaintext says, if it is known and accepted from there.
fn said<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    plaintext: &[u8],
    (account, device): (AccountId, DeviceId),
    contact: Option<&Contact>,
) -> Result<Believed, Dropped> {
    const UNKNOWN: (Reason, &str) = (Reason::Unknown, "authentic, but not a content that this version knows");
    let Ok(plain) = Plain::parse(plaintext) else { return Ok(Err(UNKNOWN)) };
    let Ok(content) = Content::parse(&plain.content) else { return Ok(Err(UNKNOWN)) };
    let (standing, is_member) = match content.group() {
        Some(group) => groups::stands(cx, group, account)?,
        None => (None, false),
    };
    if let Some(dropped) = groups::requests::meanwhile(cx, contact, &content)? {
        return Err(dropped);
    }
    let is_accepted = contact.is_some_and(|contact| contact.standing == Standing::Accepted);
    let is_former = match &content {
        Content::GroupAsk(ask) if !is_member => groups::knows_of(cx, ask.group, account)?,
        _ => false,
    };
    // A contact who brings us in again gives us a key before the changes that say so.
    let may_bring_in = matches!(content, Content::GroupChanges(_) | Content::GroupInvitation(_))
        || (is_accepted && matches!(content, Content::GroupKey(_)));
    if standing == Some(GroupStanding::Gone) && !may_bring_in && !is_former {
        // Somebody has not heard yet that we are out.
        return groups::receive::gone(cx, (account, device), &content);
    }
    let is_fellow = matches!(content, Content::Again(_)) && groups::shares_one(cx, contact)?;
    let origin = match contact.map(|contact| contact.standing) {
        _ if is_member => Origin::Member,
        Some(Standing::Blocked) => return Err(Dropped::Unwanted),
        Some(_) if is_former => Origin::Former,
        // A fellow member, whose keys go through this session.
        Some(Standing::Known) if is_fellow => Origin::Member,
        // Whom we asked to be let in.
        Some(Standing::Known | Standing::Request) if standing == Some(GroupStanding::Asked) => Origin::Contact,
        Some(Standing::Accepted) => Origin::Contact,
        Some(Standing::Request | Standing::Known) | None => Origin::Stranger,
    };
    let is_allowed = content::allowed(&content, origin);
    if let Content::GroupKey(key) = &content
        && !is_allowed
    {
        groups::repair::later(cx, key.group, account, device)?;
    }
    Ok(match is_allowed {
        true => Ok((plain, content)),
        false => Err((Reason::NotAllowed, "a content that is not accepted from this sender")),
    })
}

/// Who an envelope says it is from, with the device list that proves it.
struct Sender {
    contact: Option<Contact>,
    account: AccountId,
    device: Device,
    /// Device lists that came along and that we do not have yet.
    newer: Option<hushwire_proto::account::Chain>,
}

fn sender<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: Option<Contact>, inside: &Inside) -> Result<Sender, Dropped> {
    let account = inside.account;
    if let Some(contact) = &contact {
        let links = contacts::links(cx.db, contact.id)?;
        let device = links.last().and_then(|link| link.link().device(inside.device)).cloned();
        if links.starts_with(&inside.links)
            && let Some(device) = device
        {
            return Ok(Sender { contact: Some(contact.clone()), account, device, newer: None });
        }
    }
    let chain = verify_links(inside.links.clone()).map_err(|error| bad(Reason::NotListed, error))?;
    if chain.account() != account {
        return Err(bad(Reason::NotListed, "the device list that came along is another account's"));
    }
    if let Some(contact) = &contact {
        let known = verify_links(contacts::links(cx.db, contact.id)?).map_err(|_| Dropped::Store(damaged("links")))?;
        if !matches!(known.compare(&chain), Ok(Compared::Newer | Compared::Recovered)) {
            return Err(not_listed());
        }
    }
    let device = chain.device(inside.device).cloned().ok_or_else(not_listed)?;
    Ok(Sender { contact, account, device, newer: Some(chain) })
}

struct Opened {
    plaintext: Zeroizing<Vec<u8>>,
    sessions: Sessions,
    used: Option<UsedPreKeys>,
}

fn decrypt<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    sender: &Sender,
    identity: PublicKey,
    message: &CiphertextMessage,
) -> Result<Opened, Dropped> {
    let before = match &sender.contact {
        Some(contact) => sessions::load(cx.db, contact.id, sender.device.id)?,
        None => Sessions::empty(),
    };
    let local = Local::new(&cx.keys.identity, cx.keys.registration_id.into()).with_peer(identity);
    let outcome = match message {
        CiphertextMessage::Signal(bytes) => {
            let message = SignalMessage::parse(bytes).map_err(malformed)?;
            before.decrypt(&local, &message, cx.rng).map(|opened| Opened {
                plaintext: opened.plaintext,
                sessions: opened.sessions,
                used: None,
            })
        }
        CiphertextMessage::PreKey(bytes) => {
            let message = PreKeySignalMessage::parse(bytes).map_err(malformed)?;
            let ours = if before.matches(&message) { None } else { Some(our_prekeys(cx, &message)?) };
            before.decrypt_first(&local, &message, ours.as_ref().map(Ours::borrow), cx.rng).map(|opened| Opened {
                plaintext: opened.plaintext,
                sessions: opened.sessions,
                used: opened.used,
            })
        }
    };
    outcome.map_err(|error| match error {
        DecryptError::Repeated => Dropped::Repeated,
        DecryptError::MissingPreKey(_) => bad(Reason::PrekeyGone, error),
        DecryptError::Malformed | DecryptError::UntrustedIdentity | DecryptError::BadBaseKey => malformed(error),
        DecryptError::Forged
        | DecryptError::TooFarAhead { .. }
        | DecryptError::PostQuantum
        | DecryptError::NoSession => match &sender.contact {
            Some(contact) => Dropped::Lost(Box::new(contact.clone()), sender.device.id, error),
            None => bad(Reason::Forged, error),
        },
    })
}

/// The prekeys that a first message names, while we have them.
struct Ours {
    signed: SignedPreKey,
    kyber: KyberPreKey,
    one_time: Option<OneTimePreKey>,
}

impl Ours {
    fn borrow(&self) -> OurPreKeys<'_> {
        OurPreKeys { signed: &self.signed, kyber: &self.kyber, one_time: self.one_time.as_ref() }
    }
}

fn our_prekeys<R: CryptoRng>(cx: &Cx<'_, R>, message: &PreKeySignalMessage) -> Result<Ours, Dropped> {
    // A key that is gone was used by this message's first coming, or expired: either way it says nothing new.
    let load = |kind, id| prekeys::load(cx.db, kind, id);
    let gone = || bad(Reason::PrekeyGone, "a first message under a prekey that was used or has expired");
    let signed = load(Kind::Signed, message.signed_id())?.ok_or_else(gone)?;
    let kyber = match load(Kind::OneTimeKyber, message.kyber_id())? {
        Some(kyber) => kyber,
        None => load(Kind::LastResortKyber, message.kyber_id())?.ok_or_else(gone)?,
    };
    let one_time = match message.one_time_id() {
        None => None,
        Some(id) => Some(load(Kind::OneTime, id)?.ok_or_else(gone)?),
    };
    let parsed = || {
        Ok::<_, hushwire_crypto::BadStored>(Ours {
            signed: SignedPreKey::from_bytes(&signed)?,
            kyber: KyberPreKey::from_bytes(&kyber)?,
            one_time: one_time.as_ref().map(|bytes| OneTimePreKey::from_bytes(bytes)).transpose()?,
        })
    };
    parsed().map_err(|_| Dropped::Store(damaged("prekey")))
}

/// The message is authentic: its sender becomes known, its session and the use of our prekeys are kept.
fn keep_sender<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    sender: Sender,
    is_text: bool,
    opened: &Opened,
) -> Result<Contact, Dropped> {
    if let Some(used) = &opened.used {
        // A repeat under a last-resort key whose session is gone; nothing else would tell.
        let base_key = used.base_key.to_pub33();
        let is_one_time = prekeys::load(cx.db, Kind::OneTimeKyber, used.kyber_id)?.is_some();
        if !is_one_time && !prekeys::note_last_resort_use(cx.db, used.kyber_id, used.signed_id, &base_key, cx.now)? {
            return Err(Dropped::Repeated);
        }
    }
    let contact = match (sender.contact, &sender.newer) {
        (Some(contact), None) => contact,
        (Some(contact), Some(chain)) => {
            lookup::take_chain(cx, contact.id, chain)?;
            contact
        }
        // What is about a group, or about what was said, makes nobody more than an acquaintance.
        (None, Some(chain)) if !is_text => members::meet(cx, chain)?,
        (None, Some(chain)) => {
            let name = people::free_name(cx, &people::unnamed(sender.account))?;
            let row = contacts::NewRow {
                chain,
                name: &name,
                handle: None,
                claimed_handle: None,
                keyserver: None,
                standing: Standing::Request,
                verified: false,
            };
            let id = contacts::insert(cx.db, &row, cx.now)?;
            let contact = contacts::get(cx.db, id)?.ok_or_else(|| damaged("contacts"))?;
            cx.event(Event::ContactRequest(contact.clone()));
            contact
        }
        (None, None) => return Err(bad(Reason::NotListed, "no device list came along")),
    };
    let contact = if is_text && contact.standing == Standing::Known { request(cx, contact)? } else { contact };
    sessions::save(cx.db, contact.id, sender.device.id, &opened.sessions)?;
    if let Some(used) = &opened.used {
        // They have begun a session: that their prekeys could not be had says nothing any more.
        contacts::set_fetch_state(cx.db, contact.id, 0, UnixMillis(0), None)?;
        prekeys::delete(cx.db, Kind::OneTimeKyber, used.kyber_id)?;
        if let Some(id) = used.one_time_id {
            prekeys::delete(cx.db, Kind::OneTime, id)?;
        }
        own_prekeys::used(cx);
    }
    Ok(contact)
}

/// Somebody whom we know from a group writes to us alone, as any stranger may.
fn request<R: CryptoRng>(cx: &mut Cx<'_, R>, contact: Contact) -> Result<Contact, Dropped> {
    if contacts::count(cx.db, Standing::Request)? >= REQUESTS_MAX {
        return Err(Dropped::Unwanted);
    }
    contacts::set_standing(cx.db, contact.id, Standing::Request)?;
    let contact = Contact { standing: Standing::Request, ..contact };
    cx.event(Event::ContactRequest(contact.clone()));
    Ok(contact)
}

pub(crate) fn bad(code: Reason, error: impl std::fmt::Display) -> Dropped {
    Dropped::Bad(code, error.to_string())
}

fn malformed(error: impl std::fmt::Display) -> Dropped {
    bad(Reason::Malformed, error)
}

fn not_listed() -> Dropped {
    bad(Reason::NotListed, "from a device that is not in the sender's device list")
}
