//! Conversations: with one person each, or a group. Where we stand in each, how far each author has come, and how a
//! person wants it shown.

use hushwire_proto::ids::{DeviceId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StoreError, from_sql, to_sql};
use crate::types::{ContactId, Conversation, ConversationId, LocalGroup, LocalId, Talk};

/// How far a message may set the Lamport clock ahead. More than any conversation has, and too little for a peer to
/// wear the clock out.
const LAMPORT_STEP_MAX: i64 = 1 << 20;

const COLUMNS: &str = "v.id, v.contact, v.grp, v.active_at, v.muted_until, v.archived, v.draft, v.receipts, v.timer_s,
    coalesce(k.name, g.name, ''),
    (SELECT count(*) FROM messages m INDEXED BY messages_unread
     WHERE m.conversation = v.id AND m.author > 0 AND m.state < 4),
    (SELECT m.id FROM messages m INDEXED BY messages_unread
     WHERE m.conversation = v.id AND m.author > 0 AND m.state < 4 ORDER BY m.lamport, m.message_id LIMIT 1),
    (SELECT count(*) FROM messages m INDEXED BY messages_unread
     WHERE m.conversation = v.id AND m.author > 0 AND m.state < 4 AND m.mentions NOT NULL
         AND instr(m.mentions, (SELECT account FROM me)))";
const TABLES: &str = "conversations v LEFT JOIN contacts k ON k.id = v.contact LEFT JOIN groups g ON g.id = v.grp";

/// The conversation with a contact, from the moment the contact is kept.
pub(crate) fn begin_with(db: &Connection, contact: ContactId, now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO conversations (contact, active_at) VALUES (?1, ?2)")?
        .execute(params![contact.0, to_sql(now.0)])?;
    Ok(())
}

/// The conversation of a group, from the moment the group is kept.
pub(crate) fn begin_of(db: &Connection, group: LocalGroup, now: UnixMillis) -> Result<ConversationId, StoreError> {
    db.prepare_cached("INSERT INTO conversations (grp, active_at) VALUES (?1, ?2)")?
        .execute(params![group.0, to_sql(now.0)])?;
    Ok(ConversationId(db.last_insert_rowid()))
}

pub(crate) fn with(db: &Connection, contact: ContactId) -> Result<ConversationId, StoreError> {
    Ok(db
        .prepare_cached("SELECT id FROM conversations WHERE contact = ?1")?
        .query_row([contact.0], |row| row.get(0).map(ConversationId))?)
}

pub(crate) fn of(db: &Connection, group: LocalGroup) -> Result<ConversationId, StoreError> {
    Ok(db
        .prepare_cached("SELECT id FROM conversations WHERE grp = ?1")?
        .query_row([group.0], |row| row.get(0).map(ConversationId))?)
}

/// With whom it is.
pub(crate) fn talk(db: &Connection, id: ConversationId) -> Result<Option<Talk>, StoreError> {
    Ok(db
        .prepare_cached("SELECT contact, grp FROM conversations WHERE id = ?1")?
        .query_row([id.0], |row| Ok(talk_of(row.get(0)?, row.get(1)?)))
        .optional()?)
}

pub(crate) fn get(db: &Connection, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM {TABLES} WHERE v.id = ?1"))?
        .query_row([id.0], conversation)
        .optional()?)
}

/// All, those first where something was said last; without people whom we only know from groups, groups that we have only
/// heard of, and what was deleted.
pub(crate) fn all(db: &Connection) -> Result<Vec<Conversation>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM {TABLES}
         WHERE coalesce(k.standing, 0) <> 4 AND coalesce(g.standing, 0) <> 1 AND NOT v.hidden ORDER BY v.active_at DESC, v.id DESC"
    ))?;
    let rows = statement.query_map([], conversation)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What is said from now on disappears after so many seconds, or stays.
pub(crate) fn set_timer(db: &Connection, id: ConversationId, seconds: Option<u32>) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE conversations SET timer_s = ?2 WHERE id = ?1")?.execute(params![id.0, seconds])?;
    Ok(())
}

/// Something was said: it is a conversation that goes on, put away, deleted, or not.
pub(crate) fn note_activity(db: &Connection, id: ConversationId, now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE conversations SET active_at = max(active_at, ?2), archived = archived AND muted_until > ?2, hidden = 0
         WHERE id = ?1",
    )?
    .execute(params![id.0, to_sql(now.0)])?;
    Ok(())
}

/// Somebody names us: that comes through, muted or not.
pub(crate) fn note_mention(db: &Connection, id: ConversationId) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE conversations SET archived = 0 WHERE id = ?1")?.execute([id.0])?;
    Ok(())
}

/// Makes no noise until then.
pub(crate) fn mute(db: &Connection, id: ConversationId, until: Option<UnixMillis>) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE conversations SET muted_until = ?2 WHERE id = ?1")?
        .execute([id.0, until.map_or(0, |until| to_sql(until.0))])?;
    Ok(())
}

pub(crate) fn archive(db: &Connection, id: ConversationId, archived: bool) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE conversations SET archived = ?2 WHERE id = ?1")?.execute(params![id.0, archived])?;
    Ok(())
}

pub(crate) fn set_draft(db: &Connection, id: ConversationId, draft: Option<&str>) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE conversations SET draft = ?2 WHERE id = ?1 AND draft IS NOT ?2")?
        .execute(params![id.0, draft])?;
    Ok(())
}

pub(crate) fn set_receipts(db: &Connection, id: ConversationId, told: bool) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE conversations SET receipts = ?2 WHERE id = ?1")?.execute(params![id.0, told])?;
    Ok(())
}

/// The counter of what we say next and the hash of what we said before it.
pub(crate) fn out_position(db: &Connection, id: ConversationId) -> Result<(u64, Option<[u8; 32]>), StoreError> {
    let (counter, hash): (i64, Option<[u8; 32]>) = db
        .prepare_cached("SELECT out_counter, out_hash FROM conversations WHERE id = ?1")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((from_sql(counter).saturating_add(1), hash))
}

pub(crate) fn set_out_position(
    db: &Connection,
    id: ConversationId,
    counter: u64,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE conversations SET out_counter = ?2, out_hash = ?3 WHERE id = ?1")?.execute(params![
        id.0,
        to_sql(counter),
        hash
    ])?;
    Ok(())
}

/// The Lamport clock as it is.
pub(crate) fn lamport(db: &Connection, id: ConversationId) -> Result<u64, StoreError> {
    let now: i64 =
        db.prepare_cached("SELECT lamport FROM conversations WHERE id = ?1")?.query_row([id.0], |row| row.get(0))?;
    Ok(from_sql(now))
}

/// The Lamport clock after one step: the place of what we say.
pub(crate) fn next_lamport(db: &Connection, id: ConversationId) -> Result<u64, StoreError> {
    let next: i64 = db
        .prepare_cached("UPDATE conversations SET lamport = lamport + 1 WHERE id = ?1 RETURNING lamport")?
        .query_row([id.0], |row| row.get(0))?;
    Ok(from_sql(next))
}

/// The clock has seen a message of this place; the place it gets here, which is the same unless it was absurd.
pub(crate) fn note_lamport(db: &Connection, id: ConversationId, seen: u64) -> Result<u64, StoreError> {
    let place = to_sql(place_of(db, id, seen)?);
    db.prepare_cached("UPDATE conversations SET lamport = max(lamport, ?2) WHERE id = ?1")?.execute([id.0, place])?;
    Ok(from_sql(place))
}

/// The place that something of this Lamport time gets here.
pub(crate) fn place_of(db: &Connection, id: ConversationId, seen: u64) -> Result<u64, StoreError> {
    let mine = to_sql(lamport(db, id)?);
    Ok(from_sql(to_sql(seen).min(mine.saturating_add(LAMPORT_STEP_MAX))))
}

/// The counter and hash of the last that this device said.
pub(crate) fn author(
    db: &Connection,
    id: ConversationId,
    contact: ContactId,
    device: DeviceId,
) -> Result<Option<(u64, [u8; 32])>, StoreError> {
    let row = db
        .prepare_cached("SELECT counter, hash FROM authors WHERE conversation = ?1 AND contact = ?2 AND device = ?3")?
        .query_row(params![id.0, contact.0, device.get()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map(|(counter, hash)| (from_sql(counter), hash)))
}

/// Each device begins anew.
pub(crate) fn forget_authors(db: &Connection, id: ConversationId) -> Result<(), StoreError> {
    db.execute("DELETE FROM authors WHERE conversation = ?1", [id.0])?;
    Ok(())
}

pub(crate) fn set_author(
    db: &Connection,
    id: ConversationId,
    contact: ContactId,
    device: DeviceId,
    counter: u64,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO authors (conversation, contact, device, counter, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![id.0, contact.0, device.get(), to_sql(counter), hash])?;
    Ok(())
}

fn talk_of(contact: Option<i64>, group: Option<i64>) -> Talk {
    match contact {
        Some(contact) => Talk::Contact(ContactId(contact)),
        None => Talk::Group(LocalGroup(group.unwrap_or_default())),
    }
}

fn conversation(row: &Row<'_>) -> rusqlite::Result<Conversation> {
    let time = |at: i64| UnixMillis(from_sql(at));
    Ok(Conversation {
        id: ConversationId(row.get(0)?),
        with: talk_of(row.get(1)?, row.get(2)?),
        active_at: time(row.get(3)?),
        muted_until: Some(row.get(4)?).filter(|at| *at > 0).map(time),
        archived: row.get(5)?,
        draft: row.get(6)?,
        receipts: row.get(7)?,
        timer_s: row.get(8)?,
        name: row.get(9)?,
        unread: row.get(10)?,
        first_unread: row.get::<_, Option<i64>>(11)?.map(LocalId),
        mentions: row.get(12)?,
    })
}
