//! What is said about messages: edits, what is taken back, reactions, pins, timers. Each may come before the message it
//! is about, twice, or in another order than it was said in; what stands in the end is the same on all sides.

use hushwire_proto::ids::MessageId;
use rand_core::CryptoRng;

use crate::content::Reference;
use crate::engine::Cx;
use crate::store::StoreError;
use crate::store::messages::{Author, Place};
use crate::types::{ConversationId, LocalId};

/// Who said something about a message, where, and at which place there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) conversation: ConversationId,
    pub(crate) author: Author,
    pub(crate) lamport: u64,
    /// Orders what has one Lamport time.
    pub(crate) said_id: MessageId,
}

/// A message came: what was said about it before is true of it now.
pub(crate) fn came<R: CryptoRng>(_cx: &mut Cx<'_, R>, _at: &Place, _row: LocalId) -> Result<(), StoreError> {
    Ok(())
}

pub(crate) fn edit<R: CryptoRng>(
    _cx: &mut Cx<'_, R>,
    _told: &Told,
    _of: MessageId,
    _text: &str,
) -> Result<(), StoreError> {
    Ok(())
}

pub(crate) fn take_back<R: CryptoRng>(_cx: &mut Cx<'_, R>, _told: &Told, _of: MessageId) -> Result<(), StoreError> {
    Ok(())
}

pub(crate) fn react<R: CryptoRng>(
    _cx: &mut Cx<'_, R>,
    _told: &Told,
    _to: &Reference,
    _emoji: &str,
) -> Result<(), StoreError> {
    Ok(())
}

pub(crate) fn pin<R: CryptoRng>(
    _cx: &mut Cx<'_, R>,
    _told: &Told,
    _what: &Reference,
    _pinned: bool,
) -> Result<(), StoreError> {
    Ok(())
}

pub(crate) fn timer<R: CryptoRng>(_cx: &mut Cx<'_, R>, _told: &Told, _seconds: Option<u32>) -> Result<(), StoreError> {
    Ok(())
}
