//! Receipts that are held back a moment.

use hushwire_proto::ids::{DeviceId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, damaged, from_sql, to_sql};
use crate::types::{ContactId, ConversationId};

/// What a receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Delivered = 1,
    Read = 2,
}

pub(crate) fn add(
    db: &Connection,
    contact: ContactId,
    conversation: ConversationId,
    kind: Kind,
    (device, counter): (DeviceId, u64),
    due: UnixMillis,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO receipts (contact, conversation, kind, device, counter, due)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![contact.0, conversation.0, kind as i64, device.get(), to_sql(counter), to_sql(due.0)])?;
    Ok(())
}

/// Contacts with a receipt that is due, and in which conversation; not those for whom everything waits.
pub(crate) fn all_due(db: &Connection, now: UnixMillis) -> Result<Vec<(ContactId, ConversationId)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT contact, conversation FROM receipts r
         WHERE due <= ?1 AND NOT EXISTS (SELECT 1 FROM contacts c WHERE c.id = r.contact AND c.held)",
    )?;
    let rows = statement.query_map([to_sql(now.0)], |row| Ok((ContactId(row.get(0)?), ConversationId(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes up to `limit` receipts of this kind for this contact, due or not: they go together.
pub(crate) fn take(
    db: &Connection,
    contact: ContactId,
    conversation: ConversationId,
    kind: Kind,
    limit: usize,
) -> Result<Vec<(DeviceId, u64)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT device, counter FROM receipts WHERE contact = ?1 AND conversation = ?2 AND kind = ?3
         ORDER BY device, counter LIMIT ?4",
    )?;
    let rows = statement
        .query_map(params![contact.0, conversation.0, kind as i64, to_sql(limit as u64)], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let mut taken = Vec::with_capacity(rows.len());
    for (device, counter) in rows {
        db.prepare_cached(
            "DELETE FROM receipts
             WHERE contact = ?1 AND conversation = ?2 AND kind = ?3 AND device = ?4 AND counter = ?5",
        )?
        .execute(params![contact.0, conversation.0, kind as i64, device, counter])?;
        taken.push((DeviceId::new(device).ok_or_else(|| damaged("device"))?, from_sql(counter)));
    }
    Ok(taken)
}

/// Nothing is told to this contact any more.
pub(crate) fn forget(db: &Connection, contact: ContactId) -> Result<(), StoreError> {
    db.execute("DELETE FROM receipts WHERE contact = ?1", [contact.0])?;
    // Among what had not left may be keys of common groups.
    db.execute("DELETE FROM given_keys WHERE contact = ?1", [contact.0])?;
    // What was said stays queued, should they be accepted again.
    db.execute("DELETE FROM unsealed WHERE contact = ?1 AND message IS NULL", [contact.0])?;
    Ok(())
}

/// What was read in this conversation is told to nobody any more.
pub(crate) fn forget_read(db: &Connection, conversation: ConversationId) -> Result<(), StoreError> {
    db.execute("DELETE FROM receipts WHERE conversation = ?1 AND kind = 2", [conversation.0])?;
    Ok(())
}

pub(crate) fn next_due(db: &Connection) -> Result<Option<UnixMillis>, StoreError> {
    let due: Option<i64> = db
        .prepare_cached(
            "SELECT due FROM receipts r
             WHERE NOT EXISTS (SELECT 1 FROM contacts c WHERE c.id = r.contact AND c.held) ORDER BY due LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(due.map(|due| UnixMillis(from_sql(due))))
}
