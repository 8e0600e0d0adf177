//! Sessions with devices, and how far their authors have come.

use hushwire_crypto::Sessions;
use hushwire_proto::ids::DeviceId;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{StoreError, damaged, from_sql, to_sql};
use crate::types::ContactId;

pub(crate) fn load(db: &Connection, contact: ContactId, device: DeviceId) -> Result<Sessions, StoreError> {
    let record = db
        .prepare_cached("SELECT record FROM sessions WHERE contact = ?1 AND device = ?2")?
        .query_row(params![contact.0, device.get()], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    match record.map(Zeroizing::new) {
        None => Ok(Sessions::empty()),
        Some(record) => Sessions::from_bytes(&record).map_err(|_| damaged("session")),
    }
}

pub(crate) fn save(
    db: &Connection,
    contact: ContactId,
    device: DeviceId,
    sessions: &Sessions,
) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR REPLACE INTO sessions (contact, device, record) VALUES (?1, ?2, ?3)")?
        .execute(params![contact.0, device.get(), &sessions.to_bytes()[..]])?;
    Ok(())
}

/// The counter and hash of the last text from this device.
pub(crate) fn author(
    db: &Connection,
    contact: ContactId,
    device: DeviceId,
) -> Result<Option<(u64, [u8; 32])>, StoreError> {
    let row = db
        .prepare_cached("SELECT counter, hash FROM authors WHERE contact = ?1 AND device = ?2")?
        .query_row(params![contact.0, device.get()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map(|(counter, hash)| (from_sql(counter), hash)))
}

pub(crate) fn set_author(
    db: &Connection,
    contact: ContactId,
    device: DeviceId,
    counter: u64,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR REPLACE INTO authors (contact, device, counter, hash) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![contact.0, device.get(), to_sql(counter), hash])?;
    Ok(())
}
