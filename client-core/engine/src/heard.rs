//! Who has a message of ours, and who lacks it. Told by receipts; nobody who tells nothing is taken to have it.

use hushwire_proto::address::ServerAddress;
use hushwire_proto::ids::{AccountId, DeviceId};

use crate::engine::Engine;
use crate::identity;
use crate::store::{StoreError, contacts, groups, heard, messages};
use crate::types::{ContactId, LocalId, Message, State, Talk};

/// A device that a message of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Whose.
    pub contact: ContactId,
    /// Which of theirs.
    pub device: DeviceId,
    /// [`State::Delivered`] or [`State::Read`]; `None`: it is not known to have it.
    pub state: Option<State>,
}

/// A member of a group who is not known to have a message of ours that is for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Who.
    pub account: AccountId,
    /// The contact, if they are known here.
    pub contact: Option<ContactId>,
    /// What they are called here; empty if they are not known.
    pub name: String,
}

impl Engine {
    /// Who is known to have a message of ours, and how far each has come with it on any device.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn heard(&self, id: LocalId) -> Result<Vec<(ContactId, State)>, StoreError> {
        heard::by_person(self.store.read(), id)
    }

    /// Members of a group whom a message of ours is for and who are not known to have it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn lacked_by(&self, id: LocalId) -> Result<Vec<Lacking>, StoreError> {
        let db = self.store.read();
        let Some(message) = messages::get(db, id)? else { return Ok(Vec::new()) };
        let has = heard::by_person(db, id)?;
        let mut lacking = Vec::new();
        for (account, _) in self.recipients(&message)? {
            let contact = contacts::by_account(db, account)?;
            if contact.as_ref().is_none_or(|contact| has.iter().all(|(who, _)| *who != contact.id)) {
                let name = contact.as_ref().map_or_else(String::new, |contact| contact.name.clone());
                lacking.push(Lacking { account, contact: contact.map(|contact| contact.id), name });
            }
        }
        Ok(lacking)
    }

    /// Each device that a message of ours is for, as those whom it is for have them now.
    pub(crate) fn reached(&self, message: &Message) -> Result<Vec<Reached>, StoreError> {
        let db = self.store.read();
        let mut people = Vec::new();
        match message.with {
            _ if !message.outgoing => {}
            Talk::Contact(contact) => people.push(contact),
            Talk::Group(_) => {
                for (account, _) in self.recipients(message)? {
                    people.extend(contacts::by_account(db, account)?.map(|contact| contact.id));
                }
            }
        }
        let known = heard::by_device(db, message.id)?;
        let mut all = Vec::new();
        for contact in people {
            let links = contacts::links(db, contact)?;
            for device in identity::agreed(db, contact, &links)? {
                let state = known.get(&(contact, device.id.get())).copied();
                all.push(Reached { contact, device: device.id, state });
            }
        }
        Ok(all)
    }

    /// Members of a group, with their keyservers, whom a message of ours is for: who came later does not get it.
    pub(crate) fn recipients(&self, message: &Message) -> Result<Vec<(AccountId, ServerAddress)>, StoreError> {
        let db = self.store.read();
        let Talk::Group(group) = message.with else { return Ok(Vec::new()) };
        let (true, Some(log)) = (message.outgoing, self.group_log(group)?) else { return Ok(Vec::new()) };
        let counter = messages::counter(db, message.id)?;
        let mut all = Vec::new();
        for (account, member) in log.state().members.iter().filter(|(account, _)| **account != self.keys.account) {
            if groups::said_when_joined(db, group, *account)?.is_none_or(|came| came < counter) {
                all.push((*account, member.keyserver.clone()));
            }
        }
        Ok(all)
    }
}
