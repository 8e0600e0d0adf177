//! What is done about new devices of contacts, and which of them wait for a person.

use hushwire_proto::ids::{DeviceId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, damaged, from_sql, to_sql};
use crate::types::{ContactId, Policy};

/// A device that a person has not agreed to.
pub(crate) struct Row {
    pub(crate) device: DeviceId,
    pub(crate) since: UnixMillis,
    /// It stands in the newest list.
    pub(crate) listed: bool,
    /// Something that it said was not taken in.
    pub(crate) kept_back: bool,
}

/// Of whom nothing else was chosen.
pub(crate) fn default_policy(db: &Connection) -> Result<Policy, StoreError> {
    let code = db.prepare_cached("SELECT policy FROM me")?.query_row([], |row| row.get(0))?;
    policy_of(code).ok_or_else(|| damaged("policy"))
}

pub(crate) fn set_default_policy(db: &Connection, policy: Policy) -> Result<(), StoreError> {
    db.execute("UPDATE me SET policy = ?1", [code(policy)])?;
    Ok(())
}

/// What was chosen for this contact.
pub(crate) fn policy(db: &Connection, contact: ContactId) -> Result<Option<Policy>, StoreError> {
    let found: Option<i64> =
        db.prepare_cached("SELECT policy FROM contacts WHERE id = ?1")?.query_row([contact.0], |row| row.get(0))?;
    found.map(|found| policy_of(found).ok_or_else(|| damaged("policy"))).transpose()
}

pub(crate) fn set_policy(db: &Connection, contact: ContactId, policy: Option<Policy>) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET policy = ?2 WHERE id = ?1", params![contact.0, policy.map(code)])?;
    Ok(())
}

/// Whether what we send to this contact waits.
pub(crate) fn is_held(db: &Connection, contact: ContactId) -> Result<bool, StoreError> {
    let held = db
        .prepare_cached("SELECT held FROM contacts WHERE id = ?1")?
        .query_row([contact.0], |row| row.get(0))
        .optional()?;
    Ok(held.unwrap_or(false))
}

pub(crate) fn set_held(db: &Connection, contact: ContactId, held: bool) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE contacts SET held = ?2 WHERE id = ?1 AND held <> ?2")?
        .execute(params![contact.0, held])?;
    Ok(())
}

/// The devices of this contact that nobody has agreed to.
pub(crate) fn of(db: &Connection, contact: ContactId) -> Result<Vec<Row>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT device, since, listed, kept_back FROM new_devices WHERE contact = ?1 ORDER BY device",
    )?;
    let rows =
        statement.query_map([contact.0], |row| Ok((row.get::<_, u32>(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    rows.map(|row| {
        let (device, since, listed, kept_back) = row?;
        let device = DeviceId::new(device).ok_or_else(|| damaged("device"))?;
        Ok(Row { device, since: UnixMillis(from_sql(since)), listed, kept_back })
    })
    .collect()
}

/// Whether a person has not agreed to this device.
pub(crate) fn is_new(db: &Connection, contact: ContactId, device: DeviceId) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM new_devices WHERE contact = ?1 AND device = ?2)")?
        .query_row(params![contact.0, device.get()], |row| row.get(0))?)
}

/// Contacts with such devices.
pub(crate) fn contacts(db: &Connection) -> Result<Vec<ContactId>, StoreError> {
    let mut statement = db.prepare_cached("SELECT DISTINCT contact FROM new_devices ORDER BY contact")?;
    let rows = statement.query_map([], |row| row.get(0).map(ContactId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A device is new. Its number may have been another one's.
pub(crate) fn add(db: &Connection, contact: ContactId, device: DeviceId, now: UnixMillis) -> Result<(), StoreError> {
    db.execute(
        "INSERT OR REPLACE INTO new_devices (contact, device, since) VALUES (?1, ?2, ?3)",
        params![contact.0, device.get(), to_sql(now.0)],
    )?;
    Ok(())
}

/// A person has agreed to it.
pub(crate) fn remove(db: &Connection, contact: ContactId, device: DeviceId) -> Result<(), StoreError> {
    db.execute("DELETE FROM new_devices WHERE contact = ?1 AND device = ?2", params![contact.0, device.get()])?;
    Ok(())
}

/// It stands in their list no more. What it said stays marked.
pub(crate) fn note_gone(db: &Connection, contact: ContactId, device: DeviceId) -> Result<(), StoreError> {
    db.execute(
        "UPDATE new_devices SET listed = 0 WHERE contact = ?1 AND device = ?2",
        params![contact.0, device.get()],
    )?;
    Ok(())
}

/// Something that it said was not taken in: it is asked for once a person agrees.
pub(crate) fn note_kept_back(db: &Connection, contact: ContactId, device: DeviceId) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE new_devices SET kept_back = 1 WHERE contact = ?1 AND device = ?2 AND kept_back = 0")?
        .execute(params![contact.0, device.get()])?;
    Ok(())
}

/// People for whom this message of ours to a group waits, because what we send to them waits.
pub(crate) fn held_accounts(db: &Connection) -> Result<Vec<(ContactId, [u8; 32])>, StoreError> {
    let mut statement = db.prepare_cached("SELECT id, account FROM contacts INDEXED BY contacts_held WHERE held")?;
    let rows = statement.query_map([], |row| Ok((ContactId(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn code(policy: Policy) -> i64 {
    match policy {
        Policy::Accept => 1,
        Policy::Hold => 2,
        Policy::Block => 3,
    }
}

fn policy_of(code: i64) -> Option<Policy> {
    [Policy::Accept, Policy::Hold, Policy::Block].into_iter().find(|policy| self::code(*policy) == code)
}
