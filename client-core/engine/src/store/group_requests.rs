//! Groups into which we are asked by somebody whom we have not accepted.

use hushwire_proto::ids::{AccountId, ChangeHash, GroupId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};
use zeroize::Zeroizing;

use super::{StoreError, from_sql, to_sql};
use crate::types::{ContactId, LocalRequest};

const COLUMNS: &str = "id, group_id, contact, name, members, known, since, height, at, secret";

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open = 1,
    Refused = 2,
    /// We asked for the group's changes.
    Accepted = 3,
}

/// A request as it was made.
pub(crate) struct Asked {
    pub(crate) id: LocalRequest,
    pub(crate) group: GroupId,
    pub(crate) contact: ContactId,
    pub(crate) name: String,
    pub(crate) members: u32,
    pub(crate) known: Vec<AccountId>,
    pub(crate) since: ChangeHash,
    pub(crate) height: u64,
    pub(crate) at: UnixMillis,
    pub(crate) secret: Option<Zeroizing<[u8; 32]>>,
}

/// Keeps a request, or what is said anew of one that is open. Its `id` and `secret` are not looked at.
pub(crate) fn put(db: &Connection, asked: &Asked) -> Result<(), StoreError> {
    let known: Vec<u8> = asked.known.iter().flat_map(|account| account.0).collect();
    db.prepare_cached(
        "INSERT INTO group_requests (group_id, contact, name, members, known, since, height, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (group_id, contact) DO UPDATE SET name = excluded.name, members = excluded.members,
             known = excluded.known, since = excluded.since, height = excluded.height",
    )?
    .execute(params![
        asked.group.as_bytes(),
        asked.contact.0,
        asked.name,
        asked.members,
        known,
        asked.since.as_bytes(),
        to_sql(asked.height),
        to_sql(asked.at.0)
    ])?;
    Ok(())
}

pub(crate) fn get(db: &Connection, id: LocalRequest, state: State) -> Result<Option<Asked>, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM group_requests WHERE id = ?1 AND state = ?2"))?
        .query_row(params![id.0, state as i64], asked)
        .optional()?)
}

/// All of this state, the oldest first.
pub(crate) fn all(db: &Connection, state: State) -> Result<Vec<Asked>, StoreError> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM group_requests WHERE state = ?1 ORDER BY id"))?;
    let rows = statement.query_map([state as i64], asked)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The request of this contact about that group, and what became of it.
pub(crate) fn of(
    db: &Connection,
    group: GroupId,
    contact: ContactId,
) -> Result<Option<(LocalRequest, State)>, StoreError> {
    Ok(db
        .prepare_cached("SELECT id, state FROM group_requests WHERE group_id = ?1 AND contact = ?2")?
        .query_row(params![group.as_bytes(), contact.0], |row| {
            let state = match row.get(1)? {
                1 => State::Open,
                3 => State::Accepted,
                _ => State::Refused,
            };
            Ok((LocalRequest(row.get(0)?), state))
        })
        .optional()?)
}

/// Whether anybody has asked us into that group.
pub(crate) fn is_any(db: &Connection, group: GroupId) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM group_requests WHERE group_id = ?1)")?
        .query_row([group.as_bytes()], |row| row.get(0))?)
}

/// How many are open, and how many of them are of this contact.
pub(crate) fn open(db: &Connection, contact: Option<ContactId>) -> Result<(u64, u64), StoreError> {
    let (all, theirs): (i64, i64) = db
        .prepare_cached("SELECT count(*), count(*) FILTER (WHERE contact = ?1) FROM group_requests WHERE state = 1")?
        .query_row([contact.map_or(0, |contact| contact.0)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((from_sql(all), from_sql(theirs)))
}

/// What seals to the groups that are asked about, with each group.
#[allow(clippy::type_complexity, reason = "taken apart where it is called")]
pub(crate) fn secrets(db: &Connection) -> Result<Vec<(GroupId, Zeroizing<[u8; 32]>)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT group_id, secret FROM group_requests WHERE secret NOT NULL")?;
    let rows = statement.query_map([], |row| Ok((GroupId(row.get(0)?), Zeroizing::new(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn set_secret(db: &Connection, id: LocalRequest, secret: &[u8; 32]) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE group_requests SET secret = ?2 WHERE id = ?1")?.execute(params![id.0, secret])?;
    Ok(())
}

/// It was decided. Of what was refused the newest `most` are known.
pub(crate) fn set_state(db: &Connection, id: LocalRequest, state: State, most: usize) -> Result<(), StoreError> {
    db.execute("UPDATE group_requests SET state = ?2 WHERE id = ?1", params![id.0, state as i64])?;
    db.execute(
        "DELETE FROM group_requests WHERE state = 2 AND id NOT IN (
             SELECT id FROM group_requests WHERE state = 2 ORDER BY id DESC LIMIT ?1)",
        [to_sql(most as u64)],
    )?;
    Ok(())
}

/// We are in the group: nobody need ask, but what we accepted is still to be followed.
pub(crate) fn forget_others(db: &Connection, group: GroupId) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM group_requests WHERE group_id = ?1 AND state <> 3")?.execute([group.as_bytes()])?;
    Ok(())
}

pub(crate) fn remove(db: &Connection, id: LocalRequest) -> Result<(), StoreError> {
    db.execute("DELETE FROM group_requests WHERE id = ?1", [id.0])?;
    Ok(())
}

/// Nobody listens to this contact any more.
pub(crate) fn forget_of(db: &Connection, contact: ContactId) -> Result<(), StoreError> {
    db.execute("DELETE FROM group_requests WHERE contact = ?1", [contact.0])?;
    Ok(())
}

fn asked(row: &Row<'_>) -> rusqlite::Result<Asked> {
    let known: Vec<u8> = row.get(5)?;
    let secret: Option<[u8; 32]> = row.get(9)?;
    Ok(Asked {
        id: LocalRequest(row.get(0)?),
        group: GroupId(row.get(1)?),
        contact: ContactId(row.get(2)?),
        name: row.get(3)?,
        members: row.get(4)?,
        known: known.as_chunks().0.iter().map(|account| AccountId(*account)).collect(),
        since: ChangeHash(row.get(6)?),
        height: from_sql(row.get(7)?),
        at: UnixMillis(from_sql(row.get(8)?)),
        secret: secret.map(Zeroizing::new),
    })
}
