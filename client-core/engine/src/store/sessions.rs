//! Sessions with devices.

use hushwire_crypto::Sessions;
use hushwire_proto::ids::DeviceId;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{StoreError, damaged};
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
