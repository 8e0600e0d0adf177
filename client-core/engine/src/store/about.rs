//! What was said about messages: with a message that is here, or by itself until the message comes. And which messages
//! were here and are no more.

use hushwire_proto::ids::{MessageId, UnixMillis};
use rusqlite::{Connection, params};

use super::messages::{Author, Place};
use super::{StoreError, from_sql, to_sql};
use crate::types::{ConversationId, LocalId, Reaction};

/// Edits that are kept of one message: the newest.
const EDITS_MAX: u32 = 64;

/// What is kept that one author says in one conversation about messages that are not here.
const WAITING_MAX: u32 = 512;

/// Orders what is said: the Lamport time, and what is said at once by its own id.
pub(crate) type When = (u64, MessageId);

/// What is said about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    Edit(String),
    TakeBack,
    /// Empty: takes the reaction away.
    React(String),
    Pin(bool),
}

/// A remark that waits for its message.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) by: Author,
    pub(crate) when: When,
    pub(crate) at: UnixMillis,
    pub(crate) remark: Remark,
}

/// Keeps another text of a message, and puts the newest into its place; `false` if it was there already.
pub(crate) fn edit(
    db: &Connection,
    row: LocalId,
    (lamport, id): When,
    at: UnixMillis,
    text: &str,
) -> Result<bool, StoreError> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO edits (message, lamport, edit_id, at, text)
         SELECT id, 0, zeroblob(16), sent_at, text FROM messages WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM edits WHERE message = ?1)",
    )?
    .execute([row.0])?;
    let kept = db
        .prepare_cached(
            "INSERT OR IGNORE INTO edits (message, lamport, edit_id, at, text) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        // What was said first stands at 0.
        .execute(params![row.0, to_sql(lamport.max(1)), id.as_bytes(), to_sql(at.0), text])?;
    db.prepare_cached(
        "DELETE FROM edits WHERE message = ?1 AND lamport > 0 AND (lamport, edit_id) NOT IN
             (SELECT lamport, edit_id FROM edits WHERE message = ?1 AND lamport > 0
              ORDER BY lamport DESC, edit_id DESC LIMIT ?2)",
    )?
    .execute([row.0, EDITS_MAX.into()])?;
    db.prepare_cached(
        "UPDATE messages SET text = e.text FROM
             (SELECT text FROM edits WHERE message = ?1 ORDER BY lamport DESC, edit_id DESC LIMIT 1) e
         WHERE id = ?1 AND messages.text <> e.text",
    )?
    .execute([row.0])?;
    Ok(kept == 1)
}

/// The texts that a message had, the first one first.
pub(crate) fn edits(db: &Connection, row: LocalId) -> Result<Vec<(UnixMillis, String)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT at, text FROM edits WHERE message = ?1 ORDER BY lamport, edit_id")?;
    let rows = statement.query_map([row.0], |row| Ok((UnixMillis(from_sql(row.get(0)?)), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a message said, and all that was said about it, goes; that there was one stays. `false`: it was so already.
pub(crate) fn take_back(db: &Connection, row: LocalId) -> Result<bool, StoreError> {
    let taken = db
        .prepare_cached(
            "UPDATE messages SET deleted = 1, text = '', mentions = NULL, reply_author = NULL, reply_id = NULL,
                 forwarded = 0
             WHERE id = ?1 AND deleted = 0",
        )?
        .execute([row.0])?;
    for about in ["edits", "reactions", "pins", "unconfirmed"] {
        db.prepare_cached(&format!("DELETE FROM {about} WHERE message = ?1"))?.execute([row.0])?;
    }
    Ok(taken == 1)
}

/// The last reaction of each person counts.
pub(crate) fn react(
    db: &Connection,
    row: LocalId,
    by: Author,
    (lamport, id): When,
    emoji: &str,
) -> Result<bool, StoreError> {
    let kept = db
        .prepare_cached(
            "INSERT INTO reactions (message, by, emoji, lamport, said_id) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (message, by) DO UPDATE
                 SET emoji = excluded.emoji, lamport = excluded.lamport, said_id = excluded.said_id
                 WHERE (excluded.lamport, excluded.said_id) > (reactions.lamport, reactions.said_id)",
        )?
        .execute(params![row.0, by.row(), emoji, to_sql(lamport), id.as_bytes()])?;
    Ok(kept == 1)
}

/// What each person feels about a message, in the order in which they said so.
pub(crate) fn reactions(db: &Connection, row: LocalId) -> Result<Vec<Reaction>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT r.by, coalesce(c.name, ''), r.emoji FROM reactions r LEFT JOIN contacts c ON c.id = r.by
         WHERE r.message = ?1 AND r.emoji <> '' ORDER BY r.lamport, r.said_id",
    )?;
    let rows = statement.query_map([row.0], |row| {
        Ok(Reaction { by: Author::of_row(row.get(0)?).contact(), name: row.get(1)?, emoji: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What was said last counts.
pub(crate) fn pin(
    db: &Connection,
    row: LocalId,
    by: Author,
    (lamport, id): When,
    pinned: bool,
) -> Result<bool, StoreError> {
    let kept = db
        .prepare_cached(
            "INSERT INTO pins (message, pinned, lamport, said_id, by) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (message) DO UPDATE
                 SET pinned = excluded.pinned, lamport = excluded.lamport, said_id = excluded.said_id, by = excluded.by
                 WHERE (excluded.lamport, excluded.said_id) > (pins.lamport, pins.said_id)",
        )?
        .execute(params![row.0, pinned, to_sql(lamport), id.as_bytes(), by.row()])?;
    Ok(kept == 1)
}

/// Keeps what is said about a message that is not here. About one that its author took back there is nothing more to
/// say; beyond what is kept of one author it is dropped.
pub(crate) fn wait(db: &Connection, of: &Place, new: &Waiting, now: UnixMillis) -> Result<(), StoreError> {
    let place = params![of.conversation.0, of.author.row(), of.message_id.as_bytes()];
    if new.remark == Remark::TakeBack {
        db.prepare_cached(
            "DELETE FROM remarks WHERE conversation = ?1 AND author = ?2 AND message_id = ?3 AND kind <> 2",
        )?
        .execute(place)?;
    }
    // However often it was taken back, one row says so.
    let (lamport, said_id) = if new.remark == Remark::TakeBack { (0, of.message_id) } else { new.when };
    let at = if new.remark == Remark::TakeBack { UnixMillis(0) } else { new.at };
    let (kind, text) = match &new.remark {
        Remark::Edit(text) => (1, text.as_str()),
        Remark::TakeBack => (2, ""),
        Remark::React(emoji) => (3, emoji.as_str()),
        Remark::Pin(true) => (4, ""),
        Remark::Pin(false) => (5, ""),
    };
    db.prepare_cached(
        "INSERT OR IGNORE INTO remarks
             (conversation, author, message_id, by, said_id, lamport, at, kind, text, kept_at, timer_s)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, (SELECT timer_s FROM conversations WHERE id = ?1)
         WHERE NOT EXISTS
                 (SELECT 1 FROM remarks WHERE conversation = ?1 AND author = ?2 AND message_id = ?3 AND kind = 2)
             AND (SELECT count(*) FROM remarks WHERE conversation = ?1 AND by = ?4) < ?11",
    )?
    .execute(params![
        of.conversation.0,
        of.author.row(),
        of.message_id.as_bytes(),
        new.by.row(),
        said_id.as_bytes(),
        to_sql(lamport),
        to_sql(at.0),
        kind,
        text,
        to_sql(now.0),
        WAITING_MAX
    ])?;
    Ok(())
}

/// Takes out what was said about a message before it came.
pub(crate) fn take_waiting(db: &Connection, of: &Place) -> Result<Vec<Waiting>, StoreError> {
    let place = params![of.conversation.0, of.author.row(), of.message_id.as_bytes()];
    let mut statement = db.prepare_cached(
        "DELETE FROM remarks WHERE conversation = ?1 AND author = ?2 AND message_id = ?3
         RETURNING by, lamport, said_id, at, kind, text",
    )?;
    let rows = statement.query_map(place, |row| {
        Ok(Waiting {
            by: Author::of_row(row.get(0)?),
            when: (from_sql(row.get(1)?), MessageId(row.get(2)?)),
            at: UnixMillis(from_sql(row.get(3)?)),
            remark: match row.get::<_, i64>(4)? {
                1 => Remark::Edit(row.get(5)?),
                2 => Remark::TakeBack,
                3 => Remark::React(row.get(5)?),
                kind => Remark::Pin(kind == 4),
            },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sets how long what is said from now on may be seen, unless that was said before what holds; `false` then.
pub(crate) fn set_timer(
    db: &Connection,
    conversation: ConversationId,
    (lamport, id): When,
    seconds: Option<u32>,
) -> Result<bool, StoreError> {
    let set = db
        .prepare_cached(
            "UPDATE conversations SET timer_s = ?4, timer_lamport = ?2, timer_message = ?3
             WHERE id = ?1 AND (timer_lamport, coalesce(timer_message, x'')) < (?2, ?3)",
        )?
        .execute(params![conversation.0, to_sql(lamport), id.as_bytes(), seconds])?;
    Ok(set == 1)
}

/// Whether a message was here and is no more.
pub(crate) fn is_gone(db: &Connection, of: &Place) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM gone WHERE conversation = ?1 AND author = ?2 AND message_id = ?3)",
        )?
        .query_row(params![of.conversation.0, of.author.row(), of.message_id.as_bytes()], |row| row.get(0))?)
}

/// A message goes, with all that was said about it and what of it waits to be sent. What is left is its id.
pub(crate) fn remove(db: &Connection, row: LocalId, of: &Place, now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM unsealed WHERE message = ?1")?.execute([row.0])?;
    let bodies = db
        .prepare_cached("DELETE FROM outbox WHERE message = ?1 RETURNING body")?
        .query_map([row.0], |row| row.get::<_, Option<i64>>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    for body in bodies.into_iter().flatten() {
        db.prepare_cached("DELETE FROM bodies WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM outbox WHERE body = ?1)")?
            .execute([body])?;
    }
    db.prepare_cached("INSERT OR IGNORE INTO gone (conversation, author, message_id, at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![of.conversation.0, of.author.row(), of.message_id.as_bytes(), to_sql(now.0)])?;
    db.prepare_cached("DELETE FROM messages WHERE id = ?1")?.execute([row.0])?;
    Ok(())
}

/// Forgets what waited in vain, and what went, before this time; and sooner, but not within `least` milliseconds, what words say
/// about messages that would have disappeared. That one was taken back holds. Whether there was any.
pub(crate) fn forget_before(
    db: &Connection,
    time: UnixMillis,
    now: UnixMillis,
    least: u64,
) -> Result<bool, StoreError> {
    let forgotten = db.execute(
        "DELETE FROM remarks WHERE kept_at < ?1
             OR (kind IN (1, 3) AND timer_s NOT NULL AND kept_at + max(1000 * timer_s, ?3) <= ?2)",
        [to_sql(time.0), to_sql(now.0), to_sql(least)],
    )?;
    db.execute("DELETE FROM gone WHERE at < ?1", [to_sql(time.0)])?;
    Ok(forgotten > 0)
}
