//! Where a message of ours is on its way.

use hushwire_proto::ids::{AccountId, MailboxId, UnixMillis};
use rusqlite::Connection;

use super::{StoreError, from_sql, identity};
use crate::types::{ContactId, LocalId};

/// An envelope that no relay has confirmed.
pub(crate) struct Envelope {
    pub(crate) contact: ContactId,
    pub(crate) relay: String,
    pub(crate) mailbox: MailboxId,
    pub(crate) attempts: u32,
    pub(crate) due: UnixMillis,
    pub(crate) reason: Option<String>,
    /// Envelopes that leave for the same mailbox before it.
    pub(crate) behind: u32,
}

/// What waits of this message, sealed.
pub(crate) fn envelopes(db: &Connection, message: LocalId) -> Result<Vec<Envelope>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT o.contact, o.relay, o.mailbox, o.attempts, o.due, o.reason,
             (SELECT count(*) FROM outbox b WHERE b.mailbox = o.mailbox AND b.id < o.id)
         FROM outbox o WHERE o.message = ?1 ORDER BY o.id",
    )?;
    let rows = statement.query_map([message.0], |row| {
        Ok(Envelope {
            contact: ContactId(row.get(0)?),
            relay: row.get(1)?,
            mailbox: MailboxId(row.get(2)?),
            attempts: row.get(3)?,
            due: UnixMillis(from_sql(row.get(4)?)),
            reason: row.get(5)?,
            behind: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What of this message waits to be sealed: for whom of a group, `None` for all; nothing, if nothing waits.
pub(crate) fn unsealed(db: &Connection, message: LocalId) -> Result<Vec<Option<Vec<AccountId>>>, StoreError> {
    let mut statement = db.prepare_cached("SELECT only_for FROM unsealed WHERE message = ?1 ORDER BY id")?;
    let rows = statement.query_map([message.0], |row| row.get::<_, Option<Vec<u8>>>(0))?;
    let accounts = |bytes: Vec<u8>| bytes.as_chunks().0.iter().map(|account| AccountId(*account)).collect();
    rows.map(|row| Ok(row?.map(accounts))).collect()
}

/// For whom something of this message waits until a person agrees to their new devices.
pub(crate) fn held(db: &Connection, message: LocalId) -> Result<Vec<ContactId>, StoreError> {
    let mut waiting = Vec::new();
    for (contact, account) in identity::held_accounts(db)? {
        let mut rows = db.prepare_cached("SELECT contact, only_for FROM unsealed WHERE message = ?1")?;
        let mut rows = rows.query([message.0])?;
        while let Some(row) = rows.next()? {
            let only_for: Option<Vec<u8>> = row.get(1)?;
            let is_for = only_for.is_some_and(|only_for| only_for.as_chunks().0.contains(&account));
            if is_for || row.get::<_, Option<i64>>(0)? == Some(contact.0) {
                waiting.push(contact);
                break;
            }
        }
    }
    Ok(waiting)
}

/// What the last try to get prekeys of a contact met.
pub(crate) fn fetch_reason(db: &Connection, contact: ContactId) -> Result<Option<String>, StoreError> {
    Ok(db
        .prepare_cached("SELECT fetch_reason FROM contacts WHERE id = ?1")?
        .query_row([contact.0], |row| row.get(0))?)
}
