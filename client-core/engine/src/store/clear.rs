//! A conversation of which nothing that was said stays.

use hushwire_proto::ids::UnixMillis;
use rusqlite::{Connection, params};

use super::{StoreError, to_sql};
use crate::types::ConversationId;

/// Removes all messages with all that is here of them, what waited for messages, what is missing, and the draft. That there
/// were such messages is remembered as of any that went, so that none comes back. `listed`: whether it is listed all the same.
pub(crate) fn conversation(
    db: &Connection,
    id: ConversationId,
    listed: bool,
    now: UnixMillis,
) -> Result<(), StoreError> {
    const THEIRS: &str = "message IN (SELECT id FROM messages WHERE conversation = ?1)";
    db.execute(&format!("DELETE FROM unsealed WHERE {THEIRS}"), [id.0])?;
    db.execute(&format!("DELETE FROM outbox WHERE {THEIRS}"), [id.0])?;
    db.execute("DELETE FROM bodies WHERE id NOT IN (SELECT body FROM outbox WHERE body NOT NULL)", [])?;
    db.execute(
        "INSERT OR IGNORE INTO gone (conversation, author, message_id, at)
         SELECT conversation, author, message_id, ?2 FROM messages WHERE conversation = ?1",
        params![id.0, to_sql(now.0)],
    )?;
    for of in ["messages", "remarks", "gaps"] {
        db.execute(&format!("DELETE FROM {of} WHERE conversation = ?1"), [id.0])?;
    }
    db.execute("UPDATE conversations SET draft = NULL, hidden = ?2 WHERE id = ?1", params![id.0, !listed])?;
    Ok(())
}
