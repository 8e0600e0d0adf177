//! Where a message is on its way, hop by hop, and what it waits for there. Values only: the words are the app's.

use hushwire_crypto::PublicKey;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{AccountId, DeviceId, UnixMillis};

use crate::engine::Engine;
use crate::heard::Reached;
use crate::identity;
use crate::store::{StoreError, contacts, explain, messages, sessions, unsealed};
use crate::types::{ContactId, LocalId, Message, State, Talk};

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// Which.
    pub message: LocalId,
    /// Whether it is ours. One of others has come, and is read or not: its journey is over.
    pub outgoing: bool,
    /// Since when it is here.
    pub kept_at: UnixMillis,
    /// How far it has come in all.
    pub state: State,
    /// It, or what was said about it since, is not encrypted yet, and waits for this.
    pub sealing: Option<Sealing>,
    /// People for whom it waits until a person agrees to their new devices.
    pub held: Vec<ContactId>,
    /// Envelopes that are encrypted and that their relay has not confirmed.
    pub envelopes: Vec<Underway>,
    /// Each device that it is for, and whether that is known to have it.
    pub devices: Vec<Reached>,
    /// Members of the group that have it; between two people nothing.
    pub delivered: u32,
    /// Members of the group that have read it.
    pub read: u32,
}

/// What encryption waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// Devices of the contact that have no session: their prekeys are fetched first. Empty with a group.
    pub without_session: Vec<DeviceId>,
    /// Tries so far.
    pub attempts: u32,
    /// What the last try met.
    pub reason: Option<String>,
    /// When the next is due; `None`: now.
    pub next_try: Option<UnixMillis>,
    /// In a group, the members for whom it waits.
    pub members: Vec<MemberKeys>,
}

/// A member of a group to whom nothing can be encrypted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberKeys {
    /// Who.
    pub account: AccountId,
    /// The contact; `None`: their keyserver has not named their devices yet.
    pub contact: Option<ContactId>,
    /// The keyserver that is asked.
    pub keyserver: ServerAddress,
    /// Their devices that have no session: their prekeys are fetched first.
    pub without_session: Vec<DeviceId>,
    /// Tries so far.
    pub attempts: u32,
    /// What the last try met.
    pub reason: Option<String>,
    /// When the next is due; `None`: now.
    pub next_try: Option<UnixMillis>,
}

/// An envelope on its way to a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underway {
    /// For whom.
    pub contact: ContactId,
    /// For which of their devices; `None`: one that they have no more.
    pub device: Option<DeviceId>,
    /// That device's relay.
    pub relay: String,
    /// Tries so far.
    pub attempts: u32,
    /// What the last try met.
    pub reason: Option<String>,
    /// When the next is due; `None`: now.
    pub next_try: Option<UnixMillis>,
    /// Envelopes for the same device that leave before it.
    pub behind: u32,
}

impl Engine {
    /// Where a message is, and what it waits for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn explain(&self, message: LocalId) -> Result<Option<Journey>, StoreError> {
        let db = self.store.read();
        let Some(found) = messages::get(db, message)? else { return Ok(None) };
        let unsealed = explain::unsealed(db, message)?;
        let sealing = match found.with {
            _ if unsealed.is_empty() => None,
            Talk::Contact(contact) => Some(self.sealing(contact)?),
            Talk::Group(_) => Some(self.sealing_in_group(&found, &unsealed)?),
        };
        let mut envelopes = Vec::new();
        for one in explain::envelopes(db, message)? {
            let links = contacts::links(db, one.contact)?;
            let devices = links.last().map_or(&[][..], |link| &link.link().devices);
            envelopes.push(Underway {
                contact: one.contact,
                device: devices.iter().find(|device| device.mailbox == one.mailbox).map(|device| device.id),
                relay: one.relay,
                attempts: one.attempts,
                reason: one.reason,
                next_try: Some(one.due).filter(|due| *due > UnixMillis(0)),
                behind: one.behind,
            });
        }
        let held = explain::held(db, message)?;
        let (heard, devices) = (self.heard(message)?, self.reached(&found)?);
        let count =
            |least| u32::try_from(heard.iter().filter(|(_, state)| *state >= least).count()).unwrap_or(u32::MAX);
        let (delivered, read) = match found.with {
            Talk::Contact(_) => (0, 0),
            Talk::Group(_) => (count(State::Delivered), count(State::Read)),
        };
        let (outgoing, kept_at, state) = (found.outgoing, found.kept_at, found.state);
        Ok(Some(Journey { message, outgoing, kept_at, state, sealing, held, envelopes, devices, delivered, read }))
    }

    fn sealing(&self, contact: ContactId) -> Result<Sealing, StoreError> {
        let db = self.store.read();
        let links = contacts::links(db, contact)?;
        let mut without_session = Vec::new();
        for device in identity::agreed(db, contact, &links)? {
            let identity = sessions::load(db, contact, device.id)?.remote_identity();
            if identity.is_none() || identity != PublicKey::from_pub33(&device.identity_key).ok() {
                without_session.push(device.id);
            }
        }
        let (attempts, due) = contacts::fetch_state(db, contact)?;
        let next_try = Some(due).filter(|due| *due > UnixMillis(0));
        let (reason, members) = (explain::fetch_reason(db, contact)?, Vec::new());
        Ok(Sealing { without_session, attempts, reason, next_try, members })
    }

    /// What it waits for in a group: the keys of members to whom our sender key cannot be given yet.
    fn sealing_in_group(&self, message: &Message, of: &[Option<Vec<AccountId>>]) -> Result<Sealing, StoreError> {
        let db = self.store.read();
        let mut members = Vec::new();
        for (account, keyserver) in self.recipients(message)? {
            if !of.iter().any(|only| only.as_ref().is_none_or(|only| only.contains(&account))) {
                continue;
            }
            let Some(contact) = contacts::by_account(db, account)? else {
                let failed = self.flight.members.get(&account);
                members.push(MemberKeys {
                    account,
                    contact: None,
                    keyserver,
                    without_session: Vec::new(),
                    attempts: failed.map_or(0, |failed| failed.attempts),
                    reason: None,
                    next_try: failed.map(|failed| failed.due),
                });
                continue;
            };
            let Sealing { without_session, attempts, reason, next_try, .. } = self.sealing(contact.id)?;
            if !without_session.is_empty() && unsealed::waits_for(db, contact.id)?.is_some() {
                let contact = Some(contact.id);
                members.push(MemberKeys { account, contact, keyserver, without_session, attempts, reason, next_try });
            }
        }
        Ok(Sealing { without_session: Vec::new(), attempts: 0, reason: None, next_try: None, members })
    }
}
