//! The history: one row a message, and how far each has come.

use hushwire_proto::ids::{AccountId, DeviceId, MessageId, UnixMillis};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StoreError, damaged, from_sql, to_sql};
use crate::types::{ContactId, ConversationId, LocalGroup, LocalId, Message, State, Talk};

/// What [`message`] reads. Reactions come as emoji and number, parted by characters that no emoji has.
pub(super) const COLUMNS: &str = "m.id, m.conversation, v.contact, v.grp, coalesce(k.name, g.name, ''), m.author,
    coalesce(a.name, ''), m.message_id, m.sent_at, m.kept_at, m.text, m.state, m.mentions, m.forwarded, m.deleted,
    m.expires_at,
    (SELECT r.id FROM messages r
     WHERE r.conversation = m.conversation AND r.author = m.reply_author AND r.message_id = m.reply_id),
    (SELECT count(*) FROM edits e WHERE e.message = m.id AND e.lamport > 0),
    (SELECT CASE p.by WHEN 0 THEN '' ELSE coalesce((SELECT c.name FROM contacts c WHERE c.id = p.by), '?') END
     FROM pins p WHERE p.message = m.id AND p.pinned AND (
         SELECT count(*) FROM (
             SELECT 1 FROM pins q INDEXED BY pins_newest CROSS JOIN messages n ON n.id = q.message
             WHERE q.pinned AND (q.lamport, q.said_id) > (p.lamport, p.said_id) AND n.conversation = m.conversation
             LIMIT 5)) < 5),
    (SELECT group_concat(emoji || char(31) || number, char(30)) FROM (
        SELECT emoji, count(*) AS number FROM reactions r WHERE r.message = m.id AND emoji <> ''
        GROUP BY emoji ORDER BY number DESC, emoji)),
    EXISTS (SELECT 1 FROM new_devices n WHERE n.contact = m.author AND n.device = m.device), m.late";
pub(super) const TABLES: &str =
    "messages m JOIN conversations v ON v.id = m.conversation LEFT JOIN contacts k ON k.id = v.contact
    LEFT JOIN groups g ON g.id = v.grp LEFT JOIN contacts a ON a.id = m.author";

/// Who wrote a message, as its row has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Author {
    Us,
    Contact(ContactId),
}

impl Author {
    /// 0, or the contact's row.
    pub(crate) fn row(self) -> i64 {
        match self {
            Self::Us => 0,
            Self::Contact(contact) => contact.0,
        }
    }

    /// `None`: us.
    pub(crate) fn contact(self) -> Option<ContactId> {
        match self {
            Self::Us => None,
            Self::Contact(contact) => Some(contact),
        }
    }

    pub(crate) fn of_row(row: i64) -> Self {
        if row == 0 { Self::Us } else { Self::Contact(ContactId(row)) }
    }
}

/// A message as both sides name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) conversation: ConversationId,
    pub(crate) author: Author,
    pub(crate) message_id: MessageId,
}

/// A message that is about to be kept.
pub(crate) struct NewRow<'a> {
    pub(crate) at: Place,
    pub(crate) device: DeviceId,
    pub(crate) counter: u64,
    pub(crate) lamport: u64,
    pub(crate) sent_at: UnixMillis,
    pub(crate) text: &'a str,
    pub(crate) state: State,
    /// Author and message id.
    pub(crate) reply_to: Option<(Author, MessageId)>,
    pub(crate) mentions: &'a [AccountId],
    pub(crate) forwarded: bool,
    /// Seconds that it may be seen.
    pub(crate) timer_s: Option<u32>,
    /// Something that its author said later was here before.
    pub(crate) late: bool,
}

/// Keeps a message; `None` if it is there already. What disappears begins to count now if it is ours.
pub(crate) fn insert(db: &Connection, new: &NewRow<'_>, now: UnixMillis) -> Result<Option<LocalId>, StoreError> {
    let mentions: Vec<u8> = new.mentions.iter().flat_map(|account| *account.as_bytes()).collect();
    let kept = db
        .prepare_cached(
            "INSERT OR IGNORE INTO messages (conversation, author, device, counter, message_id, lamport, sent_at,
                 kept_at, text, state, reply_author, reply_id, mentions, forwarded, timer_s, late, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                 CASE WHEN ?2 = 0 THEN ?8 + 1000 * ?15 END)",
        )?
        .execute(params![
            new.at.conversation.0,
            new.at.author.row(),
            new.device.get(),
            to_sql(new.counter),
            new.at.message_id.as_bytes(),
            to_sql(new.lamport),
            to_sql(new.sent_at.0),
            to_sql(now.0),
            new.text,
            state_code(new.state),
            new.reply_to.map(|(author, _)| author.row()),
            new.reply_to.map(|(_, id)| id.0),
            Some(mentions).filter(|mentions| !mentions.is_empty()),
            new.forwarded,
            new.timer_s,
            new.late,
        ])?;
    Ok((kept == 1).then(|| LocalId(db.last_insert_rowid())))
}

pub(crate) fn get(db: &Connection, id: LocalId) -> Result<Option<Message>, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE m.id = ?1"))?
        .query_row([id.0], message)
        .optional()?)
}

/// Where a message stands, as both sides name it.
pub(crate) fn place(db: &Connection, id: LocalId) -> Result<Option<Place>, StoreError> {
    Ok(db
        .prepare_cached("SELECT conversation, author, message_id FROM messages WHERE id = ?1")?
        .query_row([id.0], |row| {
            Ok(Place {
                conversation: ConversationId(row.get(0)?),
                author: Author::of_row(row.get(1)?),
                message_id: MessageId(row.get(2)?),
            })
        })
        .optional()?)
}

/// Whether its author has taken it back.
pub(crate) fn is_deleted(db: &Connection, id: LocalId) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT deleted FROM messages WHERE id = ?1")?.query_row([id.0], |row| row.get(0))?)
}

/// Messages that are pinned at the same time in one conversation. `COLUMNS` has the same number.
pub const PINS_MAX: usize = 5;

/// What is pinned in a conversation, what was pinned last first.
pub(crate) fn pinned(db: &Connection, conversation: ConversationId) -> Result<Vec<Message>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM {TABLES} JOIN pins x ON x.message = m.id
         WHERE m.conversation = ?1 AND x.pinned ORDER BY x.lamport DESC, x.said_id DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![conversation.0, to_sql(PINS_MAX as u64)], message)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The row of a message.
pub(crate) fn at(db: &Connection, place: &Place) -> Result<Option<LocalId>, StoreError> {
    Ok(db
        .prepare_cached("SELECT id FROM messages WHERE conversation = ?1 AND author = ?2 AND message_id = ?3")?
        .query_row(params![place.conversation.0, place.author.row(), place.message_id.as_bytes()], |row| {
            row.get(0).map(LocalId)
        })
        .optional()?)
}

/// Up to `limit` messages, oldest first: the last ones, or those before or after a given one in the order shown.
///
/// One conversation stands in its own order; all together in the order in which they came here, because the clocks of
/// two conversations say nothing about each other.
pub(crate) fn page(
    db: &Connection,
    conversation: Option<ConversationId>,
    before: Option<LocalId>,
    after: Option<LocalId>,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    let newest_first = after.is_none();
    let direction = if newest_first { "DESC" } else { "ASC" };
    let sql = match conversation {
        // Bounds that SQLite looks up: it would read past everything before them if they might be missing.
        None => format!(
            "SELECT {COLUMNS} FROM {TABLES}
             WHERE ?1 IS NULL AND m.id < coalesce(?2, {max}) AND m.id > coalesce(?3, 0)
             ORDER BY m.id {direction} LIMIT ?4",
            max = i64::MAX
        ),
        // Two texts written at once have one Lamport time; the message id puts them in the same order on all sides.
        Some(_) => {
            let place = "(SELECT lamport, message_id FROM messages WHERE id =";
            format!(
                "SELECT {COLUMNS} FROM {TABLES} WHERE m.conversation = ?1
                 AND (?2 IS NULL OR (m.lamport, m.message_id) < {place} ?2))
                 AND (?3 IS NULL OR (m.lamport, m.message_id) > {place} ?3))
                 ORDER BY m.lamport {direction}, m.message_id {direction} LIMIT ?4"
            )
        }
    };
    let mut statement = db.prepare_cached(&sql)?;
    let which = conversation.map(|conversation| conversation.0);
    let rows = statement.query_map(params![which, before.map(|b| b.0), after.map(|a| a.0), limit], message)?;
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
    conversation: ConversationId,
    device: DeviceId,
    counter: u64,
    state: State,
) -> Result<Option<LocalId>, StoreError> {
    Ok(db
        .prepare_cached(
            "UPDATE messages SET state = ?4
             WHERE conversation = ?1 AND author = 0 AND device = ?2 AND counter = ?3 AND state < ?4 RETURNING id",
        )?
        .query_row(params![conversation.0, device.get(), to_sql(counter), state_code(state)], |row| {
            row.get(0).map(LocalId)
        })
        .optional()?)
}

/// Our texts up to this counter are read; which they are. Only those that are known to have come: one that was lost or
/// withheld was read by nobody, whatever was read after it.
pub(crate) fn read_ours_through(
    db: &Connection,
    conversation: ConversationId,
    device: DeviceId,
    counter: u64,
) -> Result<Vec<LocalId>, StoreError> {
    let mut statement = db.prepare_cached(
        "UPDATE messages SET state = 4
         WHERE conversation = ?1 AND author = 0 AND device = ?2 AND counter <= ?3 AND state = 3 RETURNING id",
    )?;
    let rows =
        statement.query_map(params![conversation.0, device.get(), to_sql(counter)], |row| row.get(0).map(LocalId))?;
    let mut ids: Vec<LocalId> = rows.collect::<Result<_, _>>()?;
    ids.sort_unstable();
    Ok(ids)
}

/// The newest texts of this author, at most `limit`: device and counter.
pub(crate) fn newest_from(
    db: &Connection,
    conversation: ConversationId,
    author: ContactId,
    limit: usize,
) -> Result<Vec<(DeviceId, u64)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT device, counter FROM messages WHERE conversation = ?1 AND author = ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let rows = statement.query_map(params![conversation.0, author.0, to_sql(limit as u64)], |row| {
        Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?))
    })?;
    rows.map(|row| {
        let (device, counter) = row?;
        Ok((DeviceId::new(device).ok_or_else(|| damaged("device"))?, from_sql(counter)))
    })
    .collect()
}

/// Marks everything of others up to `through` as read, in the order of the conversation: that is what a person has seen,
/// also of what came late. What disappears begins to count. Per author and device: the highest counter that is new.
pub(crate) fn mark_read(
    db: &Connection,
    conversation: ConversationId,
    through: LocalId,
    now: UnixMillis,
) -> Result<Vec<(ContactId, DeviceId, u64)>, StoreError> {
    const SEEN: &str = "conversation = ?1 AND author > 0 AND state < 4
         AND (lamport, message_id) <= (SELECT lamport, message_id FROM messages WHERE id = ?2 AND conversation = ?1)";
    let mut statement = db.prepare_cached(&format!(
        "SELECT author, device, max(counter) FROM messages WHERE {SEEN} GROUP BY author, device"
    ))?;
    let rows = statement.query_map(params![conversation.0, through.0], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, i64>(2)?))
    })?;
    let read = rows
        .map(|row| {
            let (author, device, counter) = row?;
            let device = DeviceId::new(device).ok_or_else(|| damaged("device"))?;
            Ok((ContactId(author), device, from_sql(counter)))
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    db.prepare_cached(&format!(
        "UPDATE messages SET state = 4, expires_at = coalesce(expires_at, ?3 + 1000 * timer_s) WHERE {SEEN}"
    ))?
    .execute(params![conversation.0, through.0, to_sql(now.0)])?;
    Ok(read)
}

/// Messages of others before this one that were not read.
pub(crate) fn unread_before(db: &Connection, id: LocalId) -> Result<u32, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT count(*) FROM messages x JOIN messages m INDEXED BY messages_unread ON m.conversation = x.conversation
             WHERE x.id = ?1 AND m.author > 0 AND m.state < 4 AND (m.lamport, m.message_id) < (x.lamport, x.message_id)",
        )?
        .query_row([id.0], |row| row.get(0))?)
}

/// The last that was not read of those up to this row, before the first that was not read and came behind it.
pub(crate) fn read_through(
    db: &Connection,
    conversation: ConversationId,
    shown: LocalId,
) -> Result<Option<LocalId>, StoreError> {
    const UNREAD: &str = "messages m INDEXED BY messages_unread
         WHERE m.conversation = ?1 AND m.author > 0 AND m.state < 4";
    let first: Option<(i64, [u8; 16])> = db
        .prepare_cached(&format!(
            "SELECT m.lamport, m.message_id FROM {UNREAD} AND m.id > ?2 ORDER BY m.lamport, m.message_id LIMIT 1"
        ))?
        .query_row([conversation.0, shown.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (lamport, message_id) = first.map_or((None, None), |(lamport, id)| (Some(lamport), Some(id)));
    Ok(db
        .prepare_cached(&format!(
            "SELECT m.id FROM {UNREAD} AND (?2 IS NULL OR (m.lamport, m.message_id) < (?2, ?3))
             ORDER BY m.lamport DESC, m.message_id DESC LIMIT 1"
        ))?
        .query_row(params![conversation.0, lamport, message_id], |row| row.get(0).map(LocalId))
        .optional()?)
}

/// The number of a message among what its author's device said there.
pub(crate) fn counter(db: &Connection, id: LocalId) -> Result<u64, StoreError> {
    let counter: i64 =
        db.prepare_cached("SELECT counter FROM messages WHERE id = ?1")?.query_row([id.0], |row| row.get(0))?;
    Ok(from_sql(counter))
}

/// What a row of [`COLUMNS`] says.
pub(crate) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let author = Author::of_row(row.get(5)?);
    let mentions: Option<Vec<u8>> = row.get(12)?;
    let reactions: Option<String> = row.get(19)?;
    Ok(Message {
        id: LocalId(row.get(0)?),
        conversation: ConversationId(row.get(1)?),
        with: match row.get::<_, Option<i64>>(2)? {
            Some(contact) => Talk::Contact(ContactId(contact)),
            None => Talk::Group(LocalGroup(row.get(3)?)),
        },
        conversation_name: row.get(4)?,
        author: author.contact(),
        author_name: row.get(6)?,
        message_id: MessageId(row.get(7)?),
        outgoing: author == Author::Us,
        sent_at: UnixMillis(from_sql(row.get(8)?)),
        kept_at: UnixMillis(from_sql(row.get(9)?)),
        text: row.get(10)?,
        state: match row.get::<_, i64>(11)? {
            1 => State::Queued,
            2 => State::Sent,
            3 => State::Delivered,
            _ => State::Read,
        },
        mentions: mentions.unwrap_or_default().as_chunks().0.iter().map(|account| AccountId(*account)).collect(),
        forwarded: row.get(13)?,
        deleted: row.get(14)?,
        expires_at: row.get::<_, Option<i64>>(15)?.map(|at| UnixMillis(from_sql(at))),
        reply_to: row.get::<_, Option<i64>>(16)?.map(LocalId),
        edits: row.get(17)?,
        pinned: row.get_ref(18)? != ValueRef::Null,
        pinned_by: row.get(18)?,
        from_new_device: row.get(20)?,
        late: row.get(21)?,
        reactions: reactions.as_deref().map(counted).unwrap_or_default(),
    })
}

fn counted(reactions: &str) -> Vec<(String, u32)> {
    let each = reactions.split('\u{1e}').filter_map(|one| one.split_once('\u{1f}'));
    each.filter_map(|(emoji, number)| Some((emoji.to_owned(), number.parse().ok()?))).collect()
}

pub(crate) fn state_code(state: State) -> i64 {
    match state {
        State::Queued => 1,
        State::Sent => 2,
        State::Delivered => 3,
        State::Read => 4,
    }
}
