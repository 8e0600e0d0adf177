//! What was said and is not confirmed, and which devices were asked to say it again.

use hushwire_proto::ids::{DeviceId, MessageId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{StoreError, from_sql, to_sql};
use crate::types::{ContactId, ConversationId, LocalId};

/// What is kept of one conversation: the newest.
const UNCONFIRMED_MAX: u64 = 1024;

/// Something that we said.
pub(crate) struct Unconfirmed {
    pub(crate) counter: u64,
    pub(crate) message: Option<LocalId>,
    pub(crate) content: Zeroizing<Vec<u8>>,
    /// How often it was sent anew.
    pub(crate) again: u32,
}

/// How often a device was asked since when; when last, and whether nothing of it was opened since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) since: UnixMillis,
    pub(crate) times: u32,
    pub(crate) last: UnixMillis,
    pub(crate) unanswered: bool,
}

pub(crate) fn keep(db: &Connection, conversation: ConversationId, said: &Unconfirmed) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO unconfirmed (conversation, counter, message, content, again) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        conversation.0,
        to_sql(said.counter),
        said.message.map(|message| message.0),
        &said.content[..],
        said.again
    ])?;
    db.prepare_cached("DELETE FROM unconfirmed WHERE conversation = ?1 AND counter <= ?2")?
        .execute([conversation.0, to_sql(said.counter.saturating_sub(UNCONFIRMED_MAX))])?;
    Ok(())
}

/// They have it.
pub(crate) fn confirmed(db: &Connection, conversation: ConversationId, counter: u64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM unconfirmed WHERE conversation = ?1 AND counter = ?2")?
        .execute([conversation.0, to_sql(counter)])?;
    Ok(())
}

/// What is to be sent anew, in order: what does not wait to be sent anyway, each `times` times at most.
pub(crate) fn take_again(
    db: &Connection,
    conversation: ConversationId,
    contact: ContactId,
    times: u32,
) -> Result<Vec<Unconfirmed>, StoreError> {
    let mut statement = db.prepare_cached(
        "UPDATE unconfirmed SET again = again + 1
         WHERE conversation = ?1 AND again < ?3
             AND NOT EXISTS (SELECT 1 FROM unsealed u WHERE u.contact = ?2 AND u.content = unconfirmed.content)
         RETURNING counter, message, content, again",
    )?;
    let rows = statement.query_map(params![conversation.0, contact.0, times], unconfirmed)?;
    let mut taken: Vec<Unconfirmed> = rows.collect::<Result<_, _>>()?;
    taken.sort_unstable_by_key(|one| one.counter);
    Ok(taken)
}

/// All, in order, taken out.
pub(crate) fn take_all(db: &Connection, conversation: ConversationId) -> Result<Vec<Unconfirmed>, StoreError> {
    let mut statement = db
        .prepare_cached("DELETE FROM unconfirmed WHERE conversation = ?1 RETURNING counter, message, content, again")?;
    let rows = statement.query_map([conversation.0], unconfirmed)?;
    let mut taken: Vec<Unconfirmed> = rows.collect::<Result<_, _>>()?;
    taken.sort_unstable_by_key(|one| one.counter);
    Ok(taken)
}

/// What was said behind this number, in order.
pub(crate) fn said_after(
    db: &Connection,
    conversation: ConversationId,
    counter: u64,
) -> Result<Vec<Unconfirmed>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT counter, message, content, again FROM unconfirmed WHERE conversation = ?1 AND counter > ?2
         ORDER BY counter",
    )?;
    let rows = statement.query_map([conversation.0, to_sql(counter)], unconfirmed)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What was said under this number.
pub(crate) fn content(
    db: &Connection,
    conversation: ConversationId,
    counter: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    Ok(db
        .prepare_cached("SELECT content FROM unconfirmed WHERE conversation = ?1 AND counter = ?2")?
        .query_row([conversation.0, to_sql(counter)], |row| row.get(0).map(Zeroizing::new))
        .optional()?)
}

/// Our text has another number from now on, and waits under no other.
pub(crate) fn renumber(
    db: &Connection,
    conversation: ConversationId,
    message_id: MessageId,
    counter: u64,
) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE messages SET counter = ?3 WHERE conversation = ?1 AND author = 0 AND message_id = ?2")?
        .execute(params![conversation.0, message_id.as_bytes(), to_sql(counter)])?;
    Ok(())
}

/// What waits for a session with this contact and was said under an old number goes.
pub(crate) fn forget_unsealed(db: &Connection, contact: ContactId, content: &[u8]) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM unsealed WHERE contact = ?1 AND content = ?2")?
        .execute(params![contact.0, content])?;
    Ok(())
}

pub(crate) fn asked(db: &Connection, contact: ContactId, device: DeviceId) -> Result<Option<Asked>, StoreError> {
    Ok(db
        .prepare_cached("SELECT since, times, last, unanswered FROM asked_again WHERE contact = ?1 AND device = ?2")?
        .query_row(params![contact.0, device.get()], |row| {
            Ok(Asked {
                since: UnixMillis(from_sql(row.get(0)?)),
                times: row.get(1)?,
                last: UnixMillis(from_sql(row.get(2)?)),
                unanswered: row.get(3)?,
            })
        })
        .optional()?)
}

pub(crate) fn set_asked(
    db: &Connection,
    contact: ContactId,
    device: DeviceId,
    asked: &Asked,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO asked_again (contact, device, since, times, last, unanswered)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        contact.0,
        device.get(),
        to_sql(asked.since.0),
        asked.times,
        to_sql(asked.last.0),
        asked.unanswered
    ])?;
    Ok(())
}

/// Something from this device was opened.
pub(crate) fn answered(db: &Connection, contact: ContactId, device: DeviceId) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE asked_again SET unanswered = 0 WHERE contact = ?1 AND device = ?2 AND unanswered")?
        .execute(params![contact.0, device.get()])?;
    Ok(())
}

fn unconfirmed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Unconfirmed> {
    Ok(Unconfirmed {
        counter: from_sql(row.get(0)?),
        message: row.get::<_, Option<i64>>(1)?.map(LocalId),
        content: Zeroizing::new(row.get(2)?),
        again: row.get(3)?,
    })
}
