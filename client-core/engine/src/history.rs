//! What was said, and what waits: questions that change nothing.

use hushwire_crypto::fingerprint::{Fingerprint, Party};

use crate::account::root_identity;
use crate::engine::Engine;
use crate::store::{StoreError, contacts, conversations, messages, outbox};
use crate::types::{ContactId, Conversation, ConversationId, LocalId, Message, SafetyNumber, Waiting};

/// Which part of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only what stands before this message.
    pub before: Option<LocalId>,
    /// Only what stands after this message; the page then begins there instead of ending at the last one.
    pub after: Option<LocalId>,
    /// At most so many.
    pub limit: u32,
}

impl Engine {
    /// A part of the history, oldest first: of one conversation, in the order in which all sides see it, or of all, in
    /// the order in which it was kept here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn history(&self, conversation: Option<ConversationId>, page: Page) -> Result<Vec<Message>, StoreError> {
        messages::page(self.store.read(), conversation, page.before, page.after, page.limit)
    }

    /// All conversations, those first where something was said last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conversations(&self) -> Result<Vec<Conversation>, StoreError> {
        conversations::all(self.store.read())
    }

    /// One conversation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        conversations::get(self.store.read(), id)
    }

    /// One message.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn message(&self, id: LocalId) -> Result<Option<Message>, StoreError> {
        messages::get(self.store.read(), id)
    }

    /// How many messages of others that were not marked read stand before this one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn unread_before(&self, id: LocalId) -> Result<u32, StoreError> {
        messages::unread_before(self.store.read(), id)
    }

    /// The last unread message of a conversation before which nothing is unread that came after `shown`: as far as a person
    /// has read who was shown everything in the order in which it came, up to that row. `None`: not even the first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read_through(&self, conversation: ConversationId, shown: LocalId) -> Result<Option<LocalId>, StoreError> {
        messages::read_through(self.store.read(), conversation, shown)
    }

    /// Messages of ours that no relay has yet, oldest first, at most 1,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        outbox::waiting(self.store.read())
    }

    /// The number to compare with this contact, in person or by voice. It covers both accounts and never changes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn safety_number(&self, contact: ContactId) -> Result<Option<SafetyNumber>, StoreError> {
        let db = self.store.read();
        let Some(contact) = contacts::get(db, contact)? else { return Ok(None) };
        let theirs = root_identity(&contacts::links(db, contact.id)?);
        let (Some(ours), Some(theirs)) = (root_identity(&self.keys.links), theirs) else { return Ok(None) };
        let fingerprint = Fingerprint::new(
            Party { id: self.keys.account.as_bytes(), key: &ours },
            Party { id: contact.account.as_bytes(), key: &theirs },
        );
        Ok(Some(SafetyNumber { digits: fingerprint.digits(), scannable: fingerprint.scannable() }))
    }
}
