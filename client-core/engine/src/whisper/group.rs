//! That somebody types to a group: sealed once with the group's secret, signed with the sender's key, handed to each
//! device of each other member. Only in small groups, only if a person has switched it on there, and only while they look.
//!
//! Who has no key for it, because they have said nothing since somebody left, gives one out with the first that they type, as
//! they would with the message; and is seen from the next time on that it is said.
//!
//! Spec: envelope §7.

use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DeviceId, GroupId, MailboxId, Token};
use hushwire_proto::relay::Whisper;
use rand_core::CryptoRng;

use super::Kind;
use super::said::GroupSaid;
use crate::engine::Cx;
use crate::groups::{keys, log_of};
use crate::input::Call;
use crate::outbox::relay_address;
use crate::store::groups::Ours;
use crate::store::{StoreError, contacts, conversations, groups, identity, whispers};
use crate::types::{Contact, ContactId, ConversationId, GroupStanding, LocalGroup, Standing, Talk};

/// Devices of others that one person's typing is whispered to, each by itself, at most twice in five seconds. In groups that
/// have more nobody is told.
const DOORS_MAX: usize = 32;

/// We type to a group, or have stopped.
pub(super) fn typing<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup, on: bool) -> Result<(), StoreError> {
    let Some(others) = others(cx, group)? else { return Ok(()) };
    let devices = keys::devices(cx, &others)?;
    if devices.len() > DOORS_MAX {
        return Ok(());
    }
    let Some(ours) = keys::known_to(cx, group, &devices)? else {
        return if on { give_out(cx, group, &devices) } else { Ok(()) };
    };
    let id = groups::id_of(cx.db, group)?;
    let said = GroupSaid {
        account: cx.keys.account,
        device: cx.keys.device,
        distribution: ours.key.distribution(),
        at: cx.flight.whispers.next_time(cx.now),
        typing: on,
    };
    let signature = ours.key.sign(&said.about(id), cx.rng);
    let Some(envelope) = said.seal(&signature, &keys::whispers(id, &ours.secret), cx.rng) else { return Ok(()) };
    for contact in others.iter().filter(|contact| contact.standing != Standing::Blocked) {
        say(cx, (group, id), &ours, contact, &envelope)?;
    }
    Ok(())
}

/// Makes the key that what is typed will be written with, and gives it to those who will get that.
fn give_out<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    group: LocalGroup,
    devices: &[(ContactId, DeviceId)],
) -> Result<(), StoreError> {
    let ours = keys::ours(cx, group, devices)?;
    let heads = log_of(cx, group)?.heads();
    keys::give(cx, group, &ours, devices, heads)
}

/// Hands it to each device of a member that can tell whose it is, at a door that is open for it.
fn say<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    (group, id): (LocalGroup, GroupId),
    ours: &Ours,
    contact: &Contact,
    envelope: &Envelope,
) -> Result<(), StoreError> {
    if identity::is_held(cx.db, contact.id)? {
        return Ok(());
    }
    let links = contacts::links(cx.db, contact.id)?;
    for device in links.last().map_or(&[][..], |link| &link.link().devices) {
        let Some(relay) = relay_address(&device.relay) else { continue };
        let Some(token) = door(cx, (group, id), ours, (contact.id, device.id), device.mailbox)? else { continue };
        let whisper = Whisper { mailbox: device.mailbox, token, envelope: envelope.clone() };
        cx.call_unanswered(Call::Whisper { relay, whisper });
    }
    Ok(())
}

/// Of whom nothing has come yet that says that they have our key may have it all the same, and open the door that goes with it:
/// else this is lost, as any whisper may be. Strangers' doors are shut to whispers.
fn door<R: CryptoRng>(
    cx: &Cx<'_, R>,
    (group, id): (LocalGroup, GroupId),
    ours: &Ours,
    (contact, device): (ContactId, DeviceId),
    mailbox: MailboxId,
) -> Result<Option<Token>, StoreError> {
    if !groups::given(cx.db, group)?.contains(&(contact, device)) {
        return Ok(None);
    }
    let token = contacts::their_token(cx.db, contact, device)?;
    Ok(Some(token.unwrap_or_else(|| keys::door(id, &ours.secret, mailbox))))
}

/// The other members. `None`: nobody is told, because we may not write there, do not know all of them, or they are too many.
fn others<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup) -> Result<Option<Vec<Contact>>, StoreError> {
    if groups::standing(cx.db, group)? != GroupStanding::Member || !cx.keys.is_listed() {
        return Ok(None);
    }
    let (log, us) = (log_of(cx, group)?, cx.keys.account);
    let state = log.state();
    if !state.may_write(&us) || state.members.len() > DOORS_MAX + 1 {
        return Ok(None);
    }
    let mut others = Vec::with_capacity(state.members.len());
    for account in state.members.keys().filter(|account| **account != us) {
        match contacts::by_account(cx.db, *account)? {
            Some(contact) => others.push(contact),
            None => return Ok(None),
        }
    }
    Ok(Some(others))
}

/// A whisper to a group that a person looks at.
pub(super) fn heard<R: CryptoRng>(cx: &mut Cx<'_, R>, envelope: &Envelope) -> Result<(), StoreError> {
    let Some((conversation, group, said, signature)) = open(cx, envelope)? else { return Ok(()) };
    let Some(contact) = contacts::by_account(cx.db, said.account)? else { return Ok(()) };
    if contact.standing == Standing::Blocked || !writes_there(cx, group, &contact)? {
        return Ok(());
    }
    let links = contacts::links(cx.db, contact.id)?;
    let is_new = identity::is_new(cx.db, contact.id, said.device)?;
    if is_new || links.last().and_then(|link| link.link().device(said.device)).is_none() {
        return Ok(());
    }
    let known = groups::sender_keys(cx.db, group, contact.id, said.device, said.distribution)?;
    let id = groups::id_of(cx.db, group)?;
    if known.signed(&said.about(id), &signature)
        && cx.flight.whispers.hears((contact.id, said.device), (conversation, Kind::Typing), said.at, cx.now)
    {
        super::types(cx, conversation, contact.id, said.typing);
    }
    Ok(())
}

/// Which group it is to, of those that a person looks at and has switched it on for, and what it says.
#[allow(clippy::type_complexity, reason = "taken apart where it is called")]
fn open<R: CryptoRng>(
    cx: &Cx<'_, R>,
    envelope: &Envelope,
) -> Result<Option<(ConversationId, LocalGroup, GroupSaid, [u8; 64])>, StoreError> {
    for conversation in &cx.flight.whispers.looked_at {
        let Some(Talk::Group(group)) = conversations::talk(cx.db, *conversation)? else { continue };
        if !whispers::group_typing(cx.db, group)? || groups::standing(cx.db, group)? != GroupStanding::Member {
            continue;
        }
        let id = groups::id_of(cx.db, group)?;
        for secret in groups::secrets_of(cx.db, group)? {
            if let Some((said, signature)) = GroupSaid::open(envelope, &keys::whispers(id, &secret)) {
                return Ok(Some((*conversation, group, said, signature)));
            }
        }
    }
    Ok(None)
}

/// Whether what they write there is shown, in a group where typing is.
fn writes_there<R: CryptoRng>(cx: &mut Cx<'_, R>, group: LocalGroup, contact: &Contact) -> Result<bool, StoreError> {
    let log = log_of(cx, group)?;
    let state = log.state();
    Ok(state.members.len() <= DOORS_MAX + 1 && state.may_write(&contact.account))
}
