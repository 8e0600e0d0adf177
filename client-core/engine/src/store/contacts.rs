//! Contacts: who we write with, where they stand, what they gave us.

use hushwire_proto::account::{Chain, SignedLink, encode_links, parse_links};
use hushwire_proto::ids::{AccountId, DeviceId, Token, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{StoreError, conversations, damaged, from_sql, to_sql};
use crate::types::{Contact, ContactId, ConversationId, Standing};

/// What [`contact`] reads, [`UNREAD`] behind it.
const COLUMNS: &str = "c.id, c.account, c.name, c.handle, c.claimed_handle, c.standing, c.verified, v.id";
const UNREAD: &str = "(SELECT count(*) FROM messages m INDEXED BY messages_unread
     WHERE m.conversation = v.id AND m.author > 0 AND m.state < 4)";
const TABLES: &str = "contacts c JOIN conversations v ON v.contact = c.id";

/// A contact that is about to be.
pub(crate) struct NewRow<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) name: &'a str,
    pub(crate) handle: Option<&'a str>,
    pub(crate) claimed_handle: Option<&'a str>,
    pub(crate) keyserver: Option<&'a str>,
    pub(crate) standing: Standing,
    pub(crate) verified: bool,
}

pub(crate) fn insert(db: &Connection, new: &NewRow<'_>, now: UnixMillis) -> Result<ContactId, StoreError> {
    db.execute(
        "INSERT INTO contacts (account, name, handle, claimed_handle, keyserver, links, standing, verified, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            new.chain.account().as_bytes(),
            new.name,
            new.handle,
            new.claimed_handle,
            new.keyserver,
            encode_links(new.chain.links()),
            standing_code(new.standing),
            new.verified,
            to_sql(now.0)
        ],
    )?;
    let id = ContactId(db.last_insert_rowid());
    conversations::begin_with(db, id, now)?;
    Ok(id)
}

pub(crate) fn get(db: &Connection, id: ContactId) -> Result<Option<Contact>, StoreError> {
    one(db, UNREAD, "c.id = ?1", id.0)
}

pub(crate) fn by_account(db: &Connection, account: AccountId) -> Result<Option<Contact>, StoreError> {
    one(db, UNREAD, "c.account = ?1", account.as_bytes())
}

/// Who wrote something that came. What is unread is counted only of requests, which are few texts: of a contact there may
/// be thousands, and each would be counted again with every one that comes.
pub(crate) fn writer(db: &Connection, account: AccountId) -> Result<Option<Contact>, StoreError> {
    one(db, &format!("CASE c.standing WHEN 1 THEN {UNREAD} ELSE 0 END"), "c.account = ?1", account.as_bytes())
}

/// Where somebody stands.
pub(crate) fn standing(db: &Connection, id: ContactId) -> Result<Option<Standing>, StoreError> {
    Ok(db
        .prepare_cached("SELECT standing FROM contacts WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0).map(standing_of))
        .optional()?)
}

/// Whose account this is.
pub(crate) fn account(db: &Connection, id: ContactId) -> Result<Option<AccountId>, StoreError> {
    Ok(db
        .prepare_cached("SELECT account FROM contacts WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0).map(AccountId))
        .optional()?)
}

pub(crate) fn by_name(db: &Connection, name: &str) -> Result<Option<Contact>, StoreError> {
    one(db, UNREAD, "c.name = ?1", name)
}

pub(crate) fn by_handle(db: &Connection, handle: &str) -> Result<Option<Contact>, StoreError> {
    one(db, UNREAD, "c.handle = ?1", handle)
}

/// All but those whom we only know from groups.
pub(crate) fn all(db: &Connection) -> Result<Vec<Contact>, StoreError> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {COLUMNS}, {UNREAD} FROM {TABLES} WHERE c.standing <> 4 ORDER BY c.name"))?;
    let rows = statement.query_map([], contact)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn count(db: &Connection, standing: Standing) -> Result<u32, StoreError> {
    Ok(db.query_row("SELECT count(*) FROM contacts WHERE standing = ?1", [standing_code(standing)], |row| row.get(0))?)
}

/// The links of a contact's chain, verified when they were stored.
pub(crate) fn links(db: &Connection, id: ContactId) -> Result<Vec<SignedLink>, StoreError> {
    let bytes: Vec<u8> =
        db.prepare_cached("SELECT links FROM contacts WHERE id = ?1")?.query_row([id.0], |row| row.get(0))?;
    parse_links(&bytes).map_err(|_| damaged("links"))
}

pub(crate) fn set_links(db: &Connection, id: ContactId, chain: &Chain) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET links = ?2 WHERE id = ?1", params![id.0, encode_links(chain.links())])?;
    Ok(())
}

pub(crate) fn set_standing(db: &Connection, id: ContactId, standing: Standing) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET standing = ?2 WHERE id = ?1", params![id.0, standing_code(standing)])?;
    Ok(())
}

/// How many strangers said something that was not taken in, and no text yet.
pub(crate) fn count_kept_back(db: &Connection) -> Result<u32, StoreError> {
    Ok(db
        .prepare_cached("SELECT count(*) FROM contacts WHERE kept_back AND standing = ?1")?
        .query_row([standing_code(Standing::Known)], |row| row.get(0))?)
}

/// Whether something that this stranger said was not taken in; that it was not, or that it is asked for.
pub(crate) fn set_kept_back(db: &Connection, id: ContactId, kept_back: bool) -> Result<bool, StoreError> {
    let changed = db
        .prepare_cached("UPDATE contacts SET kept_back = ?2 WHERE id = ?1 AND kept_back <> ?2")?
        .execute(params![id.0, kept_back])?;
    Ok(changed == 1)
}

pub(crate) fn set_verified(db: &Connection, id: ContactId, verified: bool) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET verified = ?2 WHERE id = ?1", params![id.0, verified])?;
    Ok(())
}

pub(crate) fn rename(db: &Connection, id: ContactId, name: &str) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET name = ?2 WHERE id = ?1", params![id.0, name])?;
    Ok(())
}

pub(crate) fn set_claimed_handle(db: &Connection, id: ContactId, handle: &str) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET claimed_handle = ?2 WHERE id = ?1", params![id.0, handle])?;
    Ok(())
}

/// A contact that a keyserver named to us under this handle. What is known of them stays: any keyserver can name an
/// account under a handle of its own.
pub(crate) fn set_found(
    db: &Connection,
    id: ContactId,
    handle: Option<&str>,
    keyserver: &str,
) -> Result<(), StoreError> {
    db.execute(
        "UPDATE contacts SET handle = coalesce(handle, ?2), keyserver = coalesce(keyserver, ?3) WHERE id = ?1",
        params![id.0, handle, keyserver],
    )?;
    Ok(())
}

/// A contact link names this keyserver: it comes from the contact.
pub(crate) fn set_keyserver(db: &Connection, id: ContactId, keyserver: &str) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET keyserver = ?2 WHERE id = ?1", params![id.0, keyserver])?;
    Ok(())
}

/// Where contacts were found.
pub(crate) fn keyservers(db: &Connection) -> Result<Vec<String>, StoreError> {
    let mut rows = db.prepare_cached("SELECT DISTINCT keyserver FROM contacts WHERE keyserver IS NOT NULL")?;
    let rows = rows.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn keyserver(db: &Connection, id: ContactId) -> Result<Option<String>, StoreError> {
    Ok(db.query_row("SELECT keyserver FROM contacts WHERE id = ?1", [id.0], |row| row.get(0))?)
}

/// The contact token that this device of theirs gave us.
pub(crate) fn their_token(db: &Connection, id: ContactId, device: DeviceId) -> Result<Option<Token>, StoreError> {
    let token: Option<Vec<u8>> = db
        .prepare_cached("SELECT their_token FROM contacts WHERE id = ?1 AND their_token_device = ?2")?
        .query_row(params![id.0, device.get()], |row| row.get(0))
        .optional()?
        .flatten();
    token.map(|token| Token::from_slice(&token).ok_or_else(|| damaged("their_token"))).transpose()
}

/// A token opens one mailbox: that of the device that gave it.
pub(crate) fn set_their_token(
    db: &Connection,
    id: ContactId,
    device: DeviceId,
    token: &Token,
) -> Result<(), StoreError> {
    db.execute(
        "UPDATE contacts SET their_token = ?2, their_token_device = ?3 WHERE id = ?1",
        params![id.0, &token.expose()[..], device.get()],
    )?;
    Ok(())
}

/// That device's relay does not know the token any more.
pub(crate) fn forget_their_token(
    db: &Connection,
    id: ContactId,
    device: DeviceId,
    token: &Token,
) -> Result<(), StoreError> {
    db.execute(
        "UPDATE contacts SET their_token = NULL WHERE id = ?1 AND their_token_device = ?2 AND their_token = ?3",
        params![id.0, device.get(), token.expose()],
    )?;
    Ok(())
}

/// When their device list was last asked for.
pub(crate) fn looked_at(db: &Connection, id: ContactId) -> Result<UnixMillis, StoreError> {
    let at: i64 =
        db.prepare_cached("SELECT looked_at FROM contacts WHERE id = ?1")?.query_row([id.0], |row| row.get(0))?;
    Ok(UnixMillis(from_sql(at)))
}

pub(crate) fn set_looked_at(db: &Connection, id: ContactId, at: UnixMillis) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET looked_at = ?2 WHERE id = ?1", params![id.0, to_sql(at.0)])?;
    Ok(())
}

/// Whether they have our token already.
pub(crate) fn introduced(db: &Connection, id: ContactId) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT introduced FROM contacts WHERE id = ?1")?.query_row([id.0], |row| row.get(0))?)
}

/// They have no token of ours, or an old one.
pub(crate) fn forget_introduction(db: &Connection, id: ContactId) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET introduced = 0, introduced_from = NULL WHERE id = ?1", [id.0])?;
    Ok(())
}

/// Our device list has changed: everybody is told anew who we are.
pub(crate) fn forget_introductions(db: &Connection) -> Result<(), StoreError> {
    db.execute("UPDATE contacts SET introduced = 0, introduced_from = NULL", [])?;
    Ok(())
}

/// The text with this counter carries our token.
pub(crate) fn note_introduction(db: &Connection, id: ContactId, counter: u64) -> Result<(), StoreError> {
    db.execute(
        "UPDATE contacts SET introduced_from = coalesce(introduced_from, ?2) WHERE id = ?1",
        params![id.0, to_sql(counter)],
    )?;
    Ok(())
}

/// They have the texts up to this counter; so perhaps our token too.
pub(crate) fn note_delivered(db: &Connection, id: ContactId, counter: u64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE contacts SET introduced = 1 WHERE id = ?1 AND introduced = 0 AND introduced_from <= ?2")?
        .execute(params![id.0, to_sql(counter)])?;
    Ok(())
}

/// Tries to fetch prekeys of this contact so far, and when the next is due.
pub(crate) fn fetch_state(db: &Connection, id: ContactId) -> Result<(u32, UnixMillis), StoreError> {
    let (attempts, due): (u32, i64) = db
        .prepare_cached("SELECT fetch_attempts, fetch_due FROM contacts WHERE id = ?1")?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((attempts, UnixMillis(from_sql(due))))
}

pub(crate) fn set_fetch_state(
    db: &Connection,
    id: ContactId,
    attempts: u32,
    due: UnixMillis,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    db.execute(
        "UPDATE contacts SET fetch_attempts = ?2, fetch_due = ?3, fetch_reason = ?4 WHERE id = ?1",
        params![id.0, attempts, to_sql(due.0), reason],
    )?;
    Ok(())
}

fn one(db: &Connection, unread: &str, which: &str, value: impl rusqlite::ToSql) -> Result<Option<Contact>, StoreError> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS}, {unread} FROM {TABLES} WHERE {which}"))?
        .query_row([value], contact)
        .optional()?)
}

fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    Ok(Contact {
        id: ContactId(row.get(0)?),
        account: AccountId(row.get(1)?),
        name: row.get(2)?,
        handle: row.get(3)?,
        claimed_handle: row.get(4)?,
        standing: standing_of(row.get(5)?),
        verified: row.get(6)?,
        conversation: ConversationId(row.get(7)?),
        unread: row.get(8)?,
    })
}

fn standing_of(code: i64) -> Standing {
    match code {
        2 => Standing::Accepted,
        1 => Standing::Request,
        4 => Standing::Known,
        _ => Standing::Blocked,
    }
}

fn standing_code(standing: Standing) -> i64 {
    match standing {
        Standing::Request => 1,
        Standing::Accepted => 2,
        Standing::Blocked => 3,
        Standing::Known => 4,
    }
}
