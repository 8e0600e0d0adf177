//! What others said and did not come: counters between those that did, and where in the conversation.

use hushwire_proto::ids::{DeviceId, MessageId};
use rusqlite::{Connection, OptionalExtension, params};

use super::about::When;
use super::{StoreError, damaged, from_sql, to_sql};
use crate::gaps::Gap;
use crate::types::{ContactId, ConversationId, LocalId};

/// Gaps that are kept of one device in one conversation: the newest.
const GAPS_MAX: u32 = 64;

/// Whose, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of {
    pub(crate) conversation: ConversationId,
    pub(crate) contact: ContactId,
    pub(crate) device: DeviceId,
}

/// Counters, both included. None, if the last stands before the first: then what is here is not what the author says
/// came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// These did not come before what stands at this place.
pub(crate) fn open(db: &Connection, of: &Of, missing: Range, (lamport, id): When) -> Result<(), StoreError> {
    let (conversation, contact, device) = (of.conversation.0, of.contact.0, of.device.get());
    db.prepare_cached(
        "INSERT OR REPLACE INTO gaps (conversation, contact, device, first, last, lamport, message_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        conversation,
        contact,
        device,
        to_sql(missing.first),
        to_sql(missing.last),
        to_sql(lamport),
        id.as_bytes()
    ])?;
    db.prepare_cached(
        "DELETE FROM gaps WHERE conversation = ?1 AND contact = ?2 AND device = ?3 AND first NOT IN (
             SELECT first FROM gaps WHERE conversation = ?1 AND contact = ?2 AND device = ?3 ORDER BY first DESC LIMIT ?4)",
    )?
    .execute(params![conversation, contact, device, GAPS_MAX])?;
    Ok(())
}

/// This one came after all, at this place: what is missing before it and behind it stays so.
pub(crate) fn close(db: &Connection, of: &Of, counter: u64, at: When) -> Result<(), StoreError> {
    let (conversation, contact, device) = (of.conversation.0, of.contact.0, of.device.get());
    let found: Option<(i64, i64, i64, [u8; 16])> = db
        .prepare_cached(
            "DELETE FROM gaps WHERE conversation = ?1 AND contact = ?2 AND device = ?3 AND first <= ?4 AND last >= ?4
             RETURNING first, last, lamport, message_id",
        )?
        .query_row(params![conversation, contact, device, to_sql(counter)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((first, last, lamport, id)) = found else { return Ok(()) };
    let (first, last) = (from_sql(first), from_sql(last));
    if first < counter {
        open(db, of, Range { first, last: counter - 1 }, at)?;
    }
    if counter < last {
        open(db, of, Range { first: counter + 1, last }, (from_sql(lamport), MessageId(id)))?;
    }
    Ok(())
}

/// What is missing in a conversation, in its order, each with the message that stands behind it.
pub(crate) fn all(db: &Connection, conversation: ConversationId) -> Result<Vec<Gap>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT g.contact, g.device, g.last - g.first + 1, g.first = 1,
             (SELECT m.id FROM messages m
              WHERE m.conversation = g.conversation AND (m.lamport, m.message_id) >= (g.lamport, g.message_id)
              ORDER BY m.lamport, m.message_id LIMIT 1)
         FROM gaps g WHERE g.conversation = ?1 ORDER BY g.lamport, g.message_id, g.contact, g.device, g.first",
    )?;
    let rows = statement.query_map([conversation.0], |row| {
        Ok((row.get(0)?, row.get::<_, u32>(1)?, row.get(2)?, row.get(3)?, row.get::<_, Option<i64>>(4)?))
    })?;
    rows.map(|row| {
        let (contact, device, missing, first, before) = row?;
        let device = DeviceId::new(device).ok_or_else(|| damaged("device"))?;
        let (contact, before) = (ContactId(contact), before.map(LocalId));
        Ok(Gap { conversation, contact, device, missing: from_sql(missing), first, before })
    })
    .collect()
}
