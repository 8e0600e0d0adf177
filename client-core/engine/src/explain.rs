//! Where a message is on its way, hop by hop, and what it waits for there. Values only: the words are the app's.

use hushwire_crypto::PublicKey;
use hushwire_proto::ids::{DeviceId, UnixMillis};

use crate::engine::Engine;
use crate::identity;
use crate::store::{StoreError, contacts, explain, messages, sessions};
use crate::types::{ContactId, LocalId, State, Talk};

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
        let sealing = match (explain::is_unsealed(db, message)?, found.with) {
            (false, _) => None,
            (true, Talk::Contact(contact)) => Some(self.sealing(contact)?),
            (true, Talk::Group(_)) => {
                Some(Sealing { without_session: Vec::new(), attempts: 0, reason: None, next_try: None })
            }
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
        let (delivered, read) = explain::heard(db, message)?;
        let (outgoing, kept_at, state) = (found.outgoing, found.kept_at, found.state);
        Ok(Some(Journey { message, outgoing, kept_at, state, sealing, held, envelopes, delivered, read }))
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
        Ok(Sealing { without_session, attempts, reason: explain::fetch_reason(db, contact)?, next_try })
    }
}
