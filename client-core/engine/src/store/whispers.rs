//! What is needed to whisper with a contact: a key for each direction, and what a person shares.

use hushwire_crypto::whisper::WhisperKey;
use hushwire_proto::ids::DeviceId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, damaged};
use crate::types::{ContactId, LocalGroup, Shares};

/// The key that we gave them: what they whisper is sealed with it.
pub(crate) fn ours(db: &Connection, contact: ContactId) -> Result<Option<WhisperKey>, StoreError> {
    let key: Option<Vec<u8>> = db
        .prepare_cached("SELECT ours FROM whispers WHERE contact = ?1")?
        .query_row([contact.0], |row| row.get(0))
        .optional()?
        .flatten();
    key.map(|key| parsed(&key)).transpose()
}

pub(crate) fn set_ours(db: &Connection, contact: ContactId, key: &WhisperKey) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO whispers (contact, ours) VALUES (?1, ?2) ON CONFLICT (contact) DO UPDATE SET ours = excluded.ours",
        params![contact.0, &key.expose()[..]],
    )?;
    Ok(())
}

/// They are heard no more, and nothing is shared with them. The key that they gave us stays: they will not give it again.
pub(crate) fn forget_ours(db: &Connection, contact: ContactId) -> Result<(), StoreError> {
    db.execute("UPDATE whispers SET ours = NULL, presence = 0, typing = 1 WHERE contact = ?1", [contact.0])?;
    Ok(())
}

/// The keys that we gave to those who are accepted, at most so many.
pub(crate) fn all_ours(db: &Connection, limit: u32) -> Result<Vec<(ContactId, WhisperKey)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT w.contact, w.ours FROM whispers w JOIN contacts c ON c.id = w.contact
         WHERE c.standing = 2 AND w.ours IS NOT NULL LIMIT ?1",
    )?;
    let rows = statement.query_map([limit], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    rows.map(|row| {
        let (contact, key) = row?;
        Ok((ContactId(contact), parsed(&key)?))
    })
    .collect()
}

/// The key that they gave us, and which device of theirs has it.
pub(crate) fn theirs(db: &Connection, contact: ContactId) -> Result<Option<(WhisperKey, DeviceId)>, StoreError> {
    let row: Option<(Option<Vec<u8>>, Option<u32>)> = db
        .prepare_cached("SELECT theirs, their_device FROM whispers WHERE contact = ?1")?
        .query_row([contact.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((Some(key), Some(device))) = row else { return Ok(None) };
    Ok(Some((parsed(&key)?, DeviceId::new(device).ok_or_else(|| damaged("their_device"))?)))
}

pub(crate) fn set_theirs(
    db: &Connection,
    contact: ContactId,
    device: DeviceId,
    key: &WhisperKey,
) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO whispers (contact, theirs, their_device) VALUES (?1, ?2, ?3)
         ON CONFLICT (contact) DO UPDATE SET theirs = excluded.theirs, their_device = excluded.their_device",
        params![contact.0, &key.expose()[..], device.get()],
    )?;
    Ok(())
}

pub(crate) fn shares(db: &Connection, contact: ContactId) -> Result<Shares, StoreError> {
    let shares = db
        .prepare_cached("SELECT presence, typing FROM whispers WHERE contact = ?1")?
        .query_row([contact.0], |row| Ok(Shares { presence: row.get(0)?, typing: row.get(1)? }))
        .optional()?;
    Ok(shares.unwrap_or(Shares { presence: false, typing: true }))
}

pub(crate) fn set_shares(db: &Connection, contact: ContactId, shares: Shares) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO whispers (contact, presence, typing) VALUES (?1, ?2, ?3)
         ON CONFLICT (contact) DO UPDATE SET presence = excluded.presence, typing = excluded.typing",
        params![contact.0, shares.presence, shares.typing],
    )?;
    Ok(())
}

/// Whether the members of a group may know when we type.
pub(crate) fn group_typing(db: &Connection, group: LocalGroup) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT typing FROM groups WHERE id = ?1")?.query_row([group.0], |row| row.get(0))?)
}

pub(crate) fn set_group_typing(db: &Connection, group: LocalGroup, on: bool) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE groups SET typing = ?2 WHERE id = ?1")?.execute(params![group.0, on])?;
    Ok(())
}

fn parsed(key: &[u8]) -> Result<WhisperKey, StoreError> {
    WhisperKey::from_slice(key).ok_or_else(|| damaged("whispers"))
}
