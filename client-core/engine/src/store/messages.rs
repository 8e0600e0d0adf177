//! The history: one row a message, and how far each has come.

use hushwire_proto::ids::{DeviceId, MessageId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StoreError, from_sql, to_sql};
use crate::types::{ContactId, LocalId, Message, State};

const COLUMNS: &str = "m.id, m.contact, c.name, m.message_id, m.outgoing, m.sent_at, m.kept_at, m.text, m.state";
const TABLES: &str = "messages m JOIN contacts c ON c.id = m.contact";

/// A message that is about to be kept.
pub(crate) struct NewRow<'a> {
    pub(crate) contact: ContactId,
    pub(crate) outgoing: bool,
    pub(crate) device: DeviceId,
    pub(crate) counter: u64,
    pub(crate) message_id: MessageId,
    pub(crate) lamport: u64,
    pub(crate) sent_at: UnixMillis,
    pub(crate) text: &'a str,
    pub(crate) state: State,
}

/// Keeps a message; `None` if it is there already.
pub(crate) fn insert(db: &Connection, new: &NewRow<'_>, now: UnixMillis) -> Result<Option<LocalId>, StoreError> {
    let kept = db
        .prepare_cached(
            "INSERT OR IGNORE INTO messages
                 (contact, outgoing, device, counter, message_id, lamport, sent_at, kept_at, text, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            new.contact.0,
            new.outgoing,
            new.device.get(),
            to_sql(new.counter),
            new.message_id.as_bytes(),
            to_sql(new.lamport),
            to_sql(new.sent_at.0),
            to_sql(now.0),
            new.text,
            state_code(new.state)
        ])?;
    Ok((kept == 1).then(|| LocalId(db.last_insert_rowid())))
}

pub(crate) fn get(db: &Connection, id: LocalId) -> Result<Option<Message>, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE m.id = ?1"))?
        .query_row([id.0], message)
        .optional()?)
}

/// Up to `limit` messages, oldest first: the last ones, or those before or after a given one in the order shown.
///
/// One conversation stands in its own order; all together in the order in which they came here, because the clocks of
/// two conversations say nothing about each other.
pub(crate) fn page(
    db: &Connection,
    contact: Option<ContactId>,
    before: Option<LocalId>,
    after: Option<LocalId>,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    let newest_first = after.is_none();
    let direction = if newest_first { "DESC" } else { "ASC" };
    let sql = match contact {
        None => format!(
            "SELECT {COLUMNS} FROM {TABLES} WHERE ?1 IS NULL AND (?2 IS NULL OR m.id < ?2) AND (?3 IS NULL OR m.id > ?3)
             ORDER BY m.id {direction} LIMIT ?4"
        ),
        // Two texts written at once have one Lamport time; the message id puts them in the same order on both sides.
        Some(_) => {
            let place = "(SELECT lamport, message_id FROM messages WHERE id =";
            format!(
                "SELECT {COLUMNS} FROM {TABLES} WHERE m.contact = ?1
                 AND (?2 IS NULL OR (m.lamport, m.message_id) < {place} ?2))
                 AND (?3 IS NULL OR (m.lamport, m.message_id) > {place} ?3))
                 ORDER BY m.lamport {direction}, m.message_id {direction} LIMIT ?4"
            )
        }
    };
    let mut statement = db.prepare_cached(&sql)?;
    let rows =
        statement.query_map(params![contact.map(|c| c.0), before.map(|b| b.0), after.map(|a| a.0), limit], message)?;
    let mut messages: Vec<Message> = rows.collect::<Result<_, _>>()?;
    if newest_first {
        messages.reverse();
    }
    Ok(messages)
}

/// Moves a message on; `false` if it had come as far already.
pub(crate) fn advance(db: &Connection, id: LocalId, state: State) -> Result<bool, StoreError> {
    let moved = db
        .prepare_cached("UPDATE messages SET state = ?2 WHERE id = ?1 AND state < ?2")?
        .execute(params![id.0, state_code(state)])?;
    Ok(moved == 1)
}

/// Moves our text with this counter on; which it is, if it had not come as far.
pub(crate) fn advance_ours(
    db: &Connection,
    contact: ContactId,
    device: DeviceId,
    counter: u64,
    state: State,
) -> Result<Option<LocalId>, StoreError> {
    Ok(db
        .prepare_cached(
            "UPDATE messages SET state = ?4
             WHERE contact = ?1 AND outgoing = 1 AND device = ?2 AND counter = ?3 AND state < ?4 RETURNING id",
        )?
        .query_row(params![contact.0, device.get(), to_sql(counter), state_code(state)], |row| row.get(0).map(LocalId))
        .optional()?)
}

/// Our texts up to this counter are read; which they are. Only those that are known to have come: one that was lost or
/// withheld was read by nobody, whatever was read after it.
pub(crate) fn read_ours_through(
    db: &Connection,
    contact: ContactId,
    device: DeviceId,
    counter: u64,
) -> Result<Vec<LocalId>, StoreError> {
    let mut statement = db.prepare_cached(
        "UPDATE messages SET state = 4
         WHERE contact = ?1 AND outgoing = 1 AND device = ?2 AND counter <= ?3 AND state = 3 RETURNING id",
    )?;
    let rows = statement.query_map(params![contact.0, device.get(), to_sql(counter)], |row| row.get(0).map(LocalId))?;
    let mut ids: Vec<LocalId> = rows.collect::<Result<_, _>>()?;
    ids.sort_unstable();
    Ok(ids)
}

/// The newest texts from this contact, at most `limit`: device and counter.
pub(crate) fn newest_from(
    db: &Connection,
    contact: ContactId,
    limit: usize,
) -> Result<Vec<(DeviceId, u64)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT device, counter FROM messages WHERE contact = ?1 AND outgoing = 0 ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![contact.0, to_sql(limit as u64)], |row| {
        Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?))
    })?;
    rows.map(|row| {
        let (device, counter) = row?;
        Ok((DeviceId::new(device).ok_or_else(|| super::damaged("device"))?, from_sql(counter)))
    })
    .collect()
}

/// Marks everything from this contact up to `through` as read, in the order of the conversation: that is what a person has
/// seen, also of what came late. Per author's device: the highest counter that is new.
pub(crate) fn mark_read(
    db: &Connection,
    contact: ContactId,
    through: LocalId,
) -> Result<Vec<(DeviceId, u64)>, StoreError> {
    const SEEN: &str = "contact = ?1 AND outgoing = 0 AND state < 4
         AND (lamport, message_id) <= (SELECT lamport, message_id FROM messages WHERE id = ?2 AND contact = ?1)";
    let mut statement =
        db.prepare_cached(&format!("SELECT device, max(counter) FROM messages WHERE {SEEN} GROUP BY device"))?;
    let rows =
        statement.query_map(params![contact.0, through.0], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?)))?;
    let read = rows
        .map(|row| {
            let (device, counter) = row?;
            Ok((DeviceId::new(device).ok_or_else(|| super::damaged("device"))?, from_sql(counter)))
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    db.prepare_cached(&format!("UPDATE messages SET state = 4 WHERE {SEEN}"))?
        .execute(params![contact.0, through.0])?;
    Ok(read)
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: LocalId(row.get(0)?),
        contact: ContactId(row.get(1)?),
        contact_name: row.get(2)?,
        message_id: MessageId(row.get(3)?),
        outgoing: row.get(4)?,
        sent_at: UnixMillis(from_sql(row.get(5)?)),
        kept_at: UnixMillis(from_sql(row.get(6)?)),
        text: row.get(7)?,
        state: match row.get::<_, i64>(8)? {
            1 => State::Queued,
            2 => State::Sent,
            3 => State::Delivered,
            _ => State::Read,
        },
    })
}

fn state_code(state: State) -> i64 {
    match state {
        State::Queued => 1,
        State::Sent => 2,
        State::Delivered => 3,
        State::Read => 4,
    }
}
