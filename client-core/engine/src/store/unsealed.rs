//! Contents that wait: for sessions with a contact's devices, or until everybody in a group has our sender key.

use hushwire_proto::ids::AccountId;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::StoreError;
use crate::types::{ContactId, LocalGroup, LocalId, Talk};

/// A content that waits for sessions.
pub(crate) struct Unsealed {
    pub(crate) id: i64,
    pub(crate) message: Option<LocalId>,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

/// A content for a group.
pub(crate) struct ForGroup {
    pub(crate) id: i64,
    pub(crate) message: Option<LocalId>,
    pub(crate) content: Zeroizing<Vec<u8>>,
    /// `None`: all members.
    pub(crate) only_for: Option<Vec<AccountId>>,
}

/// Puts a content behind what waits already.
pub(crate) fn add(db: &Connection, to: Talk, message: Option<LocalId>, content: &[u8]) -> Result<(), StoreError> {
    let (contact, group) = match to {
        Talk::Contact(contact) => (Some(contact.0), None),
        Talk::Group(group) => (None, Some(group.0)),
    };
    db.prepare_cached("INSERT INTO unsealed (contact, grp, message, content) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![contact, group, message.map(|m| m.0), content])?;
    Ok(())
}

/// The same, unless the same waits already.
pub(crate) fn add_once(db: &Connection, contact: ContactId, content: &[u8]) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO unsealed (contact, content) SELECT ?1, ?2
         WHERE NOT EXISTS (SELECT 1 FROM unsealed WHERE contact = ?1 AND content = ?2)",
    )?
    .execute(params![contact.0, content])?;
    Ok(())
}

/// A content for some members of a group. It goes with the message that it is about.
pub(crate) fn add_for_some(
    db: &Connection,
    group: LocalGroup,
    only_for: &[AccountId],
    message: Option<LocalId>,
    content: &[u8],
) -> Result<(), StoreError> {
    let only_for: Vec<u8> = only_for.iter().flat_map(|account| *account.as_bytes()).collect();
    db.prepare_cached("INSERT INTO unsealed (grp, only_for, message, content) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![group.0, only_for, message.map(|m| m.0), content])?;
    Ok(())
}

/// The next content for this contact.
pub(crate) fn next(db: &Connection, contact: ContactId) -> Result<Option<Unsealed>, StoreError> {
    Ok(db
        .prepare_cached("SELECT id, message, content FROM unsealed WHERE contact = ?1 ORDER BY id LIMIT 1")?
        .query_row([contact.0], |row| {
            Ok(Unsealed {
                id: row.get(0)?,
                message: row.get::<_, Option<i64>>(1)?.map(LocalId),
                content: Zeroizing::new(row.get(2)?),
            })
        })
        .optional()?)
}

/// The next content for this group behind that row.
pub(crate) fn next_for_group(db: &Connection, group: LocalGroup, behind: i64) -> Result<Option<ForGroup>, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT id, message, content, only_for FROM unsealed WHERE grp = ?1 AND id > ?2 ORDER BY id LIMIT 1",
        )?
        .query_row([group.0, behind], |row| {
            let only_for: Option<Vec<u8>> = row.get(3)?;
            let accounts =
                |bytes: Vec<u8>| bytes.as_chunks().0.iter().map(|account| AccountId(*account)).collect::<Vec<_>>();
            Ok(ForGroup {
                id: row.get(0)?,
                message: row.get::<_, Option<i64>>(1)?.map(LocalId),
                content: Zeroizing::new(row.get(2)?),
                only_for: only_for.map(accounts),
            })
        })
        .optional()?)
}

/// Contacts for whom something waits for sessions.
pub(crate) fn contacts(db: &Connection) -> Result<Vec<ContactId>, StoreError> {
    let mut statement = db.prepare_cached("SELECT DISTINCT contact FROM unsealed WHERE contact NOT NULL")?;
    let rows = statement.query_map([], |row| row.get(0).map(ContactId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Groups for which something waits.
pub(crate) fn groups(db: &Connection) -> Result<Vec<LocalGroup>, StoreError> {
    let mut statement = db.prepare_cached("SELECT DISTINCT grp FROM unsealed WHERE grp NOT NULL")?;
    let rows = statement.query_map([], |row| row.get(0).map(LocalGroup))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many contents wait for some of this group.
pub(crate) fn count_for_some(db: &Connection, group: LocalGroup) -> Result<u64, StoreError> {
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM unsealed WHERE grp = ?1 AND only_for NOT NULL")?
        .query_row([group.0], |row| row.get(0))?;
    Ok(super::from_sql(count))
}

/// Whether something waits for this group.
pub(crate) fn is_any_for_group(db: &Connection, group: LocalGroup) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM unsealed WHERE grp = ?1)")?
        .query_row([group.0], |row| row.get(0))?)
}

/// Whether something waits for sessions with this contact, and if so whether fetching their prekeys has failed already; or
/// everything waits for them, until a person agrees to their new devices.
pub(crate) fn waits_for(db: &Connection, contact: ContactId) -> Result<Option<bool>, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT c.held OR fetch_attempts > 0 FROM contacts c
             WHERE c.id = ?1 AND (c.held OR EXISTS (SELECT 1 FROM unsealed u WHERE u.contact = c.id))",
        )?
        .query_row([contact.0], |row| row.get(0))
        .optional()?)
}

/// Whether something waits for sessions with anybody whose prekeys could be fetched, as far as that was tried.
pub(crate) fn is_hoped_for(db: &Connection) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM unsealed u JOIN contacts c ON c.id = u.contact
                 WHERE c.fetch_attempts = 0 AND NOT c.held)",
        )?
        .query_row([], |row| row.get(0))?)
}

pub(crate) fn remove(db: &Connection, id: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM unsealed WHERE id = ?1")?.execute([id])?;
    Ok(())
}
