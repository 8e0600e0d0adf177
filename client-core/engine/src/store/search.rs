//! The index of what messages say.

use rusqlite::{Connection, params};

use super::StoreError;
use super::messages::{COLUMNS, TABLES, message};
use crate::types::{ConversationId, LocalId, Message};

/// Messages that fit an expression of FTS5, those that came last first.
pub(crate) fn find(
    db: &Connection,
    expression: &str,
    conversation: Option<ConversationId>,
    before: Option<LocalId>,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM words CROSS JOIN {TABLES}
         WHERE words MATCH ?1 AND m.id = words.rowid AND (?2 IS NULL OR m.conversation = ?2)
             AND (?3 IS NULL OR words.rowid < ?3)
         ORDER BY words.rowid DESC LIMIT ?4"
    ))?;
    let rows =
        statement.query_map(params![expression, conversation.map(|id| id.0), before.map(|id| id.0), limit], message)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
