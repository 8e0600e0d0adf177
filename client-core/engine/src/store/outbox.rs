//! Sealed envelopes that no relay has confirmed.

use bytes::Bytes;
use hushwire_proto::address::{RELAY_PORT, ServerAddress};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DepositId, MailboxId, Token, UnixMillis};
use hushwire_proto::relay::Deposit;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{StoreError, damaged, from_sql, identity, to_sql};
use crate::types::{ContactId, LocalId, Waiting};

/// What a deposit was about.
pub(crate) struct About {
    pub(crate) contact: ContactId,
    pub(crate) message: Option<LocalId>,
    pub(crate) mailbox: MailboxId,
    pub(crate) token: Token,
    pub(crate) attempts: u32,
    /// As it is kept.
    pub(crate) relay: String,
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

/// An envelope that waits for its mailbox.
pub(crate) struct First {
    pub(crate) id: DepositId,
    pub(crate) due: UnixMillis,
    /// What goes to many, if it is that.
    pub(crate) body: Option<i64>,
}

/// The first envelopes for a mailbox, in order.
pub(crate) fn first_for(db: &Connection, mailbox: MailboxId, limit: usize) -> Result<Vec<First>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT deposit_id, due, body FROM outbox WHERE mailbox = ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map(params![mailbox.as_bytes(), to_sql(limit as u64)], |row| {
        Ok(First { id: DepositId(row.get(0)?), due: UnixMillis(from_sql(row.get(1)?)), body: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The relay that the next envelope for this mailbox goes to, as it is kept.
pub(crate) fn relay_of(db: &Connection, mailbox: MailboxId) -> Result<Option<String>, StoreError> {
    Ok(db
        .prepare_cached("SELECT relay FROM outbox WHERE mailbox = ?1 ORDER BY id LIMIT 1")?
        .query_row([mailbox.as_bytes()], |row| row.get(0))
        .optional()?)
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
        .prepare_cached("SELECT contact, message, mailbox, token, attempts, relay FROM outbox WHERE deposit_id = ?1")?
        .query_row([id.as_bytes()], |row| {
            Ok((
                ContactId(row.get(0)?),
                row.get::<_, Option<i64>>(1)?.map(LocalId),
                MailboxId(row.get(2)?),
                row.get::<_, Vec<u8>>(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })
        .optional()?;
    row.map(|(contact, message, mailbox, token, attempts, relay)| {
        let token = Token::from_slice(&token).ok_or_else(|| damaged("token"))?;
        Ok(About { contact, message, mailbox, token, attempts, relay })
    })
    .transpose()
}

/// A relay has it. What went to many goes with the last of them.
pub(crate) fn remove(db: &Connection, id: DepositId) -> Result<(), StoreError> {
    let body: Option<i64> = db
        .prepare_cached("DELETE FROM outbox WHERE deposit_id = ?1 RETURNING body")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?
        .flatten();
    match body {
        Some(body) => remove_body(db, body),
        None => Ok(()),
    }
}

/// Keeps an envelope that goes to many mailboxes.
pub(crate) fn add_body(db: &Connection, envelope: &Envelope) -> Result<i64, StoreError> {
    db.prepare_cached("INSERT INTO bodies (envelope) VALUES (?1)")?.execute([&envelope.bytes()[..]])?;
    Ok(db.last_insert_rowid())
}

/// Forgets it, unless a mailbox still waits for it.
pub(crate) fn remove_body(db: &Connection, body: i64) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM bodies WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM outbox WHERE body = ?1)")?
        .execute([body])?;
    Ok(())
}

pub(crate) fn load_body(db: &Connection, body: i64) -> Result<Envelope, StoreError> {
    let bytes: Vec<u8> =
        db.prepare_cached("SELECT envelope FROM bodies WHERE id = ?1")?.query_row([body], |row| row.get(0))?;
    Envelope::new(Bytes::from(bytes)).map_err(|_| damaged("bodies"))
}

/// One of many mailboxes that an envelope goes to.
pub(crate) struct Door<'a> {
    pub(crate) contact: ContactId,
    pub(crate) relay: &'a ServerAddress,
    pub(crate) mailbox: MailboxId,
    pub(crate) token: &'a Token,
    pub(crate) id: DepositId,
}

pub(crate) fn add_door(
    db: &Connection,
    body: i64,
    message: Option<LocalId>,
    door: &Door<'_>,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO outbox (deposit_id, contact, message, relay, mailbox, token, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        door.id.as_bytes(),
        door.contact.0,
        message.map(|m| m.0),
        door.relay.to_string(),
        door.mailbox.as_bytes(),
        door.token.expose(),
        body
    ])?;
    Ok(())
}

/// The relay and the token of one of many mailboxes.
pub(crate) fn load_door(db: &Connection, id: DepositId) -> Result<(ServerAddress, Token), StoreError> {
    let (relay, token) = db
        .prepare_cached("SELECT relay, token FROM outbox WHERE deposit_id = ?1")?
        .query_row([id.as_bytes()], |row| Ok((row.get::<_, String>(0)?, Zeroizing::new(row.get::<_, Vec<u8>>(1)?))))?;
    let token = Token::from_slice(&token).ok_or_else(|| damaged("token"))?;
    Ok((ServerAddress::parse(&relay, RELAY_PORT).map_err(|_| damaged("relay"))?, token))
}

/// Whether some device's envelope of this message has not been confirmed, or is not sealed yet. Members of a group who
/// cannot be reached do not count.
pub(crate) fn has_message(db: &Connection, message: LocalId) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM outbox WHERE message = ?1)
                 OR EXISTS (SELECT 1 FROM unsealed WHERE message = ?1 AND only_for IS NULL)",
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

/// Whether nothing is to be sent but what waits until a person agrees to somebody's new devices.
pub(crate) fn is_empty(db: &Connection) -> Result<bool, StoreError> {
    let any = |sql: &str| -> Result<bool, StoreError> { Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?) };
    if any("SELECT EXISTS (SELECT 1 FROM outbox)")? {
        return Ok(false);
    }
    let held = identity::held_accounts(db)?;
    if held.is_empty() {
        return any("SELECT NOT EXISTS (SELECT 1 FROM unsealed)");
    }
    if any("SELECT EXISTS (SELECT 1 FROM unsealed u JOIN contacts c ON c.id = u.contact WHERE NOT c.held)")?
        || any("SELECT EXISTS (SELECT 1 FROM unsealed WHERE grp NOT NULL AND only_for IS NULL)")?
    {
        return Ok(false);
    }
    let mut statement = db.prepare_cached("SELECT only_for FROM unsealed WHERE grp NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let only_for: Vec<u8> = row.get(0)?;
        if only_for.as_chunks::<32>().0.iter().any(|account| !held.iter().any(|(_, held)| held == account)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Messages of ours that are not sent, oldest first.
pub(crate) fn waiting(db: &Connection) -> Result<Vec<Waiting>, StoreError> {
    let mut statement = db.prepare_cached(
        // What the first envelope of a mailbox waits for, those behind it wait for too.
        "SELECT m.id, coalesce(c.name, g.name, ''), m.kept_at,
             coalesce(max(max(o.attempts, h.attempts)), c.fetch_attempts, 0),
             CASE WHEN o.id NOT NULL THEN max(coalesce(o.reason, h.reason))
                 WHEN c.held THEN 'they have new devices to which you have not agreed' ELSE c.fetch_reason END,
             CASE WHEN o.id IS NULL THEN coalesce(c.fetch_due, 0) ELSE min(max(o.due, h.due)) END
         FROM messages m JOIN conversations v ON v.id = m.conversation LEFT JOIN contacts c ON c.id = v.contact
             LEFT JOIN groups g ON g.id = v.grp LEFT JOIN outbox o ON o.message = m.id
             LEFT JOIN outbox h ON h.id = (SELECT min(f.id) FROM outbox f WHERE f.mailbox = o.mailbox)
         WHERE m.author = 0 AND m.state = 1 GROUP BY m.id ORDER BY m.id LIMIT 1000",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Waiting {
            id: LocalId(row.get(0)?),
            conversation_name: row.get(1)?,
            since: UnixMillis(from_sql(row.get(2)?)),
            attempts: row.get(3)?,
            reason: row.get(4)?,
            next_try: Some(row.get::<_, i64>(5)?).filter(|due| *due > 0).map(|due| UnixMillis(from_sql(due))),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
