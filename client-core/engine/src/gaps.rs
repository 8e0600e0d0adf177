//! What is missing of what others said: told when it is seen, and kept until it comes, so that a history shows where.
//!
//! What a device says to a conversation is numbered, and names the hash of what it said before. So what comes shows
//! whether anything before it did not.

use hushwire_proto::ids::DeviceId;
use rand_core::CryptoRng;

use crate::content::{self, Said};
use crate::engine::{Cx, Engine};
use crate::store::gaps::{self, Range};
use crate::store::{StoreError, conversations};
use crate::types::{ContactId, ConversationId, Event, LocalId};

/// Something of a contact is missing: lost, or withheld. Not only messages are counted, but also what is said about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where.
    pub conversation: ConversationId,
    /// From whom.
    pub contact: ContactId,
    /// From which of their devices.
    pub device: DeviceId,
    /// How much. 0: what is here is not what they say came before.
    pub missing: u64,
    /// Nothing of that device came before: it may be older than this device.
    pub first: bool,
    /// The message that stands behind it; `None`: there is none yet.
    pub before: Option<LocalId>,
}

/// Something comes: notes how far its author has come, and tells of what is missing before it. Whether it comes late:
/// something that its author said afterwards is here.
pub(crate) fn note<R: CryptoRng>(
    cx: &mut Cx<'_, R>,
    conversation: ConversationId,
    (contact, device): (ContactId, DeviceId),
    said: &Said,
    content: &[u8],
) -> Result<bool, StoreError> {
    let (last, hash) = match conversations::author(cx.db, conversation, contact, device)? {
        Some((last, hash)) => (last, Some(hash)),
        None => (0, None),
    };
    let of = gaps::Of { conversation, contact, device };
    let at = (conversations::place_of(cx.db, conversation, said.lamport)?, said.message_id);
    if said.counter <= last {
        // What was told stays told; what is still missing is less.
        gaps::close(cx.db, &of, said.counter, at)?;
        return Ok(true);
    }
    let missing = said.counter - last - 1;
    if missing > 0 || said.previous != hash {
        gaps::open(cx.db, &of, Range { first: last.saturating_add(1), last: said.counter - 1 }, at)?;
        cx.event(Event::Gap { conversation, contact, missing, first: last == 0 });
    }
    conversations::set_author(cx.db, conversation, contact, device, said.counter, &content::hash(content))?;
    Ok(false)
}

impl Engine {
    /// What is missing in a conversation, in its order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn gaps(&self, conversation: ConversationId) -> Result<Vec<Gap>, StoreError> {
        gaps::all(self.store.read(), conversation)
    }
}
