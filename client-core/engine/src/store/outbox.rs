//! What waits to leave: contents without a session, and sealed envelopes that no relay has confirmed.

use bytes::Bytes;
use hushwire_proto::address::{RELAY_PORT, ServerAddress};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DepositId, MailboxId, Token, UnixMillis};
use hushwire_proto::relay::Deposit;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{StoreError, damaged, from_sql, to_sql};
use crate::types::{ContactId, LocalId, Waiting};

/// A content that waits for sessions.
pub(crate) struct Unsealed {
    pub(crate) id: i64,
    pub(crate) message: Option<LocalId>,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

/// What a deposit was about.
pub(crate) struct About {
    pub(crate) contact: ContactId,
    pub(crate) message: Option<LocalId>,
    pub(crate) mailbox: MailboxId,
    pub(crate) token: Token,
    pub(crate) attempts: u32,
}

pub(crate) fn add_unsealed(
    db: &Connection,
    contact: ContactId,
    message: Option<LocalId>,
    content: &[u8],
) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO unsealed (contact, message, content) VALUES (?1, ?2, ?3)")?.execute(params![
        contact.0,
        message.map(|m| m.0),
        content
    ])?;
    Ok(())
}

/// The next content for this contact.
pub(crate) fn next_unsealed(db: &Connection, contact: ContactId) -> Result<Option<Unsealed>, StoreError> {
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

/// Contacts for whom something waits for sessions.
pub(crate) fn contacts_unsealed(db: &Connection) -> Result<Vec<ContactId>, StoreError> {
    let mut statement = db.prepare_cached("SELECT DISTINCT contact FROM unsealed")?;
    let rows = statement.query_map([], |row| row.get(0).map(ContactId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn remove_unsealed(db: &Connection, id: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM unsealed WHERE id = ?1")?.execute([id])?;
    Ok(())
}

pub(crate) fn insert(
    db: &Connection,
    contact: ContactId,
    message: Option<LocalId>,
    relay: &ServerAddress,
    deposit: &Deposit,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO outbox (deposit_id, contact, message, relay, mailbox, token, envelope)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        deposit.id.as_bytes(),
        contact.0,
        message.map(|m| m.0),
        relay.to_string(),
        deposit.mailbox.as_bytes(),
        deposit.token.expose(),
        &deposit.envelope.bytes()[..]
    ])?;
    Ok(())
}

/// Mailboxes that something waits for. One step of the index each, however much waits.
pub(crate) fn mailboxes(db: &Connection) -> Result<Vec<MailboxId>, StoreError> {
    let mut statement = db.prepare_cached(
        "WITH RECURSIVE each (mailbox) AS (
             SELECT min(mailbox) FROM outbox
             UNION ALL
             SELECT (SELECT min(o.mailbox) FROM outbox o WHERE o.mailbox > each.mailbox) FROM each
             WHERE each.mailbox IS NOT NULL
         ) SELECT mailbox FROM each WHERE mailbox IS NOT NULL",
    )?;
    let rows = statement.query_map([], |row| row.get(0).map(MailboxId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first envelopes for a mailbox, in order, and when each is due.
pub(crate) fn first_for(
    db: &Connection,
    mailbox: MailboxId,
    limit: usize,
) -> Result<Vec<(DepositId, UnixMillis)>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT deposit_id, due FROM outbox WHERE mailbox = ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map(params![mailbox.as_bytes(), to_sql(limit as u64)], |row| {
        Ok((DepositId(row.get(0)?), UnixMillis(from_sql(row.get(1)?))))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One envelope, and the relay it goes to.
pub(crate) fn load(db: &Connection, id: DepositId) -> Result<(ServerAddress, Deposit), StoreError> {
    let (relay, mailbox, token, envelope) = db
        .prepare_cached("SELECT relay, mailbox, token, envelope FROM outbox WHERE deposit_id = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok((
                row.get::<_, String>(0)?,
                MailboxId(row.get(1)?),
                Zeroizing::new(row.get::<_, Vec<u8>>(2)?),
                row.get::<_, Vec<u8>>(3)?,
            ))
        })?;
    let deposit = Deposit {
        mailbox,
        token: Token::from_slice(&token).ok_or_else(|| damaged("token"))?,
        id,
        envelope: Envelope::new(Bytes::from(envelope)).map_err(|_| damaged("envelope"))?,
    };
    Ok((ServerAddress::parse(&relay, RELAY_PORT).map_err(|_| damaged("relay"))?, deposit))
}

pub(crate) fn about(db: &Connection, id: DepositId) -> Result<Option<About>, StoreError> {
    let row = db
        .prepare_cached("SELECT contact, message, mailbox, token, attempts FROM outbox WHERE deposit_id = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok((
                ContactId(row.get(0)?),
                row.get::<_, Option<i64>>(1)?.map(LocalId),
                MailboxId(row.get(2)?),
                row.get::<_, Vec<u8>>(3)?,
                row.get(4)?,
            ))
        })
        .optional()?;
    row.map(|(contact, message, mailbox, token, attempts)| {
        let token = Token::from_slice(&token).ok_or_else(|| damaged("token"))?;
        Ok(About { contact, message, mailbox, token, attempts })
    })
    .transpose()
}

pub(crate) fn remove(db: &Connection, id: DepositId) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM outbox WHERE deposit_id = ?1")?.execute([id.as_bytes()])?;
    Ok(())
}

/// Whether some device's envelope of this message has not been confirmed, or is not sealed yet.
pub(crate) fn has_message(db: &Connection, message: LocalId) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE message = ?1)
                 OR EXISTS (SELECT 1 FROM unsealed WHERE message = ?1)",
        )?
        .query_row([message.0], |row| row.get(0))?)
}

/// Notes a failed try.
pub(crate) fn postpone(db: &Connection, id: DepositId, due: UnixMillis, reason: &str) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE outbox SET attempts = attempts + 1, due = ?2, reason = ?3 WHERE deposit_id = ?1")?
        .execute(params![id.as_bytes(), to_sql(due.0), reason])?;
    Ok(())
}

/// Everything that waits for this mailbox under this token goes under another one, now.
pub(crate) fn change_token(db: &Connection, mailbox: MailboxId, from: &Token, to: &Token) -> Result<(), StoreError> {
    db.execute(
        "UPDATE outbox SET token = ?3, due = 0 WHERE mailbox = ?1 AND token = ?2",
        params![mailbox.as_bytes(), from.expose(), to.expose()],
    )?;
    Ok(())
}

/// A person acts, or a server can be reached again: everything is due now.
pub(crate) fn hurry(db: &Connection) -> Result<(), StoreError> {
    db.execute("UPDATE outbox SET due = 0 WHERE due > 0", [])?;
    db.execute("UPDATE contacts SET fetch_due = 0 WHERE fetch_due > 0", [])?;
    Ok(())
}

pub(crate) fn is_empty(db: &Connection) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM outbox) AND NOT EXISTS (SELECT 1 FROM unsealed)")?
        .query_row([], |row| row.get(0))?)
}

/// Messages of ours that are not sent, oldest first.
pub(crate) fn waiting(db: &Connection) -> Result<Vec<Waiting>, StoreError> {
    let mut statement = db.prepare_cached(
        // What the first envelope of a mailbox waits for, those behind it wait for too.
        "SELECT m.id, c.name, m.kept_at, coalesce(max(max(o.attempts, h.attempts)), c.fetch_attempts),
             CASE WHEN o.id IS NULL THEN c.fetch_reason ELSE max(coalesce(o.reason, h.reason)) END,
             CASE WHEN o.id IS NULL THEN c.fetch_due ELSE min(max(o.due, h.due)) END
         FROM messages m JOIN contacts c ON c.id = m.contact LEFT JOIN outbox o ON o.message = m.id
             LEFT JOIN outbox h ON h.id = (SELECT min(f.id) FROM outbox f WHERE f.mailbox = o.mailbox)
         WHERE m.outgoing = 1 AND m.state = 1 GROUP BY m.id ORDER BY m.id LIMIT 1000",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Waiting {
            id: LocalId(row.get(0)?),
            contact_name: row.get(1)?,
            since: UnixMillis(from_sql(row.get(2)?)),
            attempts: row.get(3)?,
            reason: row.get(4)?,
            next_try: Some(row.get::<_, i64>(5)?).filter(|due| *due > 0).map(|due| UnixMillis(from_sql(due))),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
