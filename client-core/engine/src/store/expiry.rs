//! When messages disappear.

use hushwire_proto::ids::{MessageId, UnixMillis};
use rusqlite::{Connection, params};

use super::messages::{Author, Place};
use super::{StoreError, from_sql, to_sql};
use crate::types::{ConversationId, LocalId};

/// Messages whose time has come, at most `limit`.
pub(crate) fn due(db: &Connection, now: UnixMillis, limit: usize) -> Result<Vec<(LocalId, Place)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, conversation, author, message_id FROM messages
         WHERE expires_at NOT NULL AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
    )?;
    let rows = statement.query_map(params![to_sql(now.0), to_sql(limit as u64)], |row| {
        let place = Place {
            conversation: ConversationId(row.get(1)?),
            author: Author::of_row(row.get(2)?),
            message_id: MessageId(row.get(3)?),
        };
        Ok((LocalId(row.get(0)?), place))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When the next one is due.
pub(crate) fn next_due(db: &Connection) -> Result<Option<UnixMillis>, StoreError> {
    let due: Option<i64> = db
        .prepare_cached("SELECT min(expires_at) FROM messages WHERE expires_at NOT NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(due.map(|due| UnixMillis(from_sql(due))))
}

/// The clock went back: nothing stays longer than if it had begun to count now.
pub(crate) fn shorten(db: &Connection, now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE messages SET expires_at = ?1 + 1000 * timer_s
         WHERE expires_at NOT NULL AND expires_at > ?1 + 1000 * timer_s",
    )?
    .execute([to_sql(now.0)])?;
    Ok(())
}
