//! The row about ourselves, and the tokens of our mailbox.

use hushwire_proto::account::{SignedLink, encode_links, parse_links};
use hushwire_proto::ids::{Seq, Token, TokenHash};
use hushwire_proto::relay::TokenClass;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{StoreError, damaged, from_sql, to_sql};
use crate::types::{ContactId, LocalGroup};

/// The row as it lies in the database.
pub(crate) struct MeRow {
    pub(crate) account: [u8; 32],
    pub(crate) device: u8,
    pub(crate) registration_id: u16,
    pub(crate) identity_key: Zeroizing<[u8; 32]>,
    pub(crate) signing_key: Zeroizing<[u8; 32]>,
    pub(crate) mailbox_key: Zeroizing<[u8; 32]>,
    pub(crate) links: Vec<u8>,
    pub(crate) relay: String,
    pub(crate) keyserver: String,
    pub(crate) handle_name: Option<String>,
}

pub(crate) fn insert(db: &Connection, me: &MeRow, next_prekey_id: u32) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO me (one, account, device, registration_id, identity_key, signing_key, mailbox_key, links, relay,
             keyserver, handle_name, next_prekey_id)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            me.account,
            me.device,
            me.registration_id,
            &me.identity_key[..],
            &me.signing_key[..],
            &me.mailbox_key[..],
            me.links,
            me.relay,
            me.keyserver,
            me.handle_name,
            next_prekey_id
        ],
    )?;
    Ok(())
}

pub(crate) fn load(db: &Connection) -> Result<Option<MeRow>, StoreError> {
    let row = db
        .query_row(
            "SELECT account, device, registration_id, identity_key, signing_key, mailbox_key, links, relay, keyserver,
                 handle_name FROM me",
            [],
            |row| {
                Ok(MeRow {
                    account: row.get(0)?,
                    device: row.get(1)?,
                    registration_id: row.get(2)?,
                    identity_key: Zeroizing::new(row.get(3)?),
                    signing_key: Zeroizing::new(row.get(4)?),
                    mailbox_key: Zeroizing::new(row.get(5)?),
                    links: row.get(6)?,
                    relay: row.get(7)?,
                    keyserver: row.get(8)?,
                    handle_name: row.get(9)?,
                })
            },
        )
        .optional()?;
    Ok(row)
}

pub(crate) fn flag(db: &Connection, flag: Flag) -> Result<bool, StoreError> {
    Ok(db.prepare_cached(&format!("SELECT {} FROM me", flag.column()))?.query_row([], |row| row.get(0))?)
}

pub(crate) fn set_flag(db: &Connection, flag: Flag) -> Result<(), StoreError> {
    db.execute(&format!("UPDATE me SET {} = 1", flag.column()), [])?;
    Ok(())
}

/// What has happened once and for all.
#[derive(Clone, Copy)]
pub(crate) enum Flag {
    /// The keyserver has the account.
    Registered,
    /// [`crate::Event::Registered`] was told.
    Announced,
    /// This device has stood in its account's list.
    Joined,
}

impl Flag {
    fn column(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Announced => "announced",
            Self::Joined => "joined",
        }
    }
}

/// A device that joins an account which is there: the keyserver has the account, and does not list this device yet.
pub(crate) fn set_joining(db: &Connection, wanted: &[u8]) -> Result<(), StoreError> {
    db.execute("UPDATE me SET registered = 1, joined = 0, wanted = ?1", [wanted])?;
    Ok(())
}

/// How a device that joined wants to stand in the list.
pub(crate) fn wanted(db: &Connection) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(db.query_row("SELECT wanted FROM me", [], |row| row.get(0))?)
}

pub(crate) fn set_links(db: &Connection, links: &[SignedLink]) -> Result<(), StoreError> {
    db.execute("UPDATE me SET links = ?1", [encode_links(links)])?;
    Ok(())
}

/// The device list that is signed and not at the keyserver yet.
pub(crate) fn next_link(db: &Connection) -> Result<Option<SignedLink>, StoreError> {
    let bytes: Option<Vec<u8>> = db.prepare_cached("SELECT next_link FROM me")?.query_row([], |row| row.get(0))?;
    let links = bytes.map(|bytes| parse_links(&bytes)).transpose().map_err(|_| damaged("next_link"))?;
    Ok(links.and_then(|links| links.into_iter().next()))
}

pub(crate) fn set_next_link(db: &Connection, link: Option<&SignedLink>) -> Result<(), StoreError> {
    let bytes = link.map(|link| encode_links(std::slice::from_ref(link)));
    db.execute("UPDATE me SET next_link = ?1", [bytes])?;
    Ok(())
}

pub(crate) fn set_handle_name(db: &Connection, name: Option<&str>) -> Result<(), StoreError> {
    db.execute("UPDATE me SET handle_name = ?1", [name])?;
    Ok(())
}

pub(crate) fn handle_name(db: &Connection) -> Result<Option<String>, StoreError> {
    Ok(db.prepare_cached("SELECT handle_name FROM me")?.query_row([], |row| row.get(0))?)
}

pub(crate) fn stock(db: &Connection) -> Result<Option<u32>, StoreError> {
    Ok(db.prepare_cached("SELECT stock FROM me")?.query_row([], |row| row.get(0))?)
}

pub(crate) fn set_stock(db: &Connection, stock: u32) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE me SET stock = ?1")?.execute([stock])?;
    Ok(())
}

/// Takes `count` prekey ids that were never used before; the first of them.
pub(crate) fn take_prekey_ids(db: &Connection, count: u32) -> Result<u32, StoreError> {
    let first: u32 = db.query_row("SELECT next_prekey_id FROM me", [], |row| row.get(0))?;
    let next = first.checked_add(count).ok_or_else(|| damaged("next_prekey_id"))?;
    db.execute("UPDATE me SET next_prekey_id = ?1", [next])?;
    Ok(first)
}

pub(crate) fn drained_to(db: &Connection) -> Result<Seq, StoreError> {
    Ok(Seq(from_sql(db.prepare_cached("SELECT drained_to FROM me")?.query_row([], |row| row.get(0))?)))
}

/// May go back: a relay whose disk was set back begins with lower numbers.
pub(crate) fn set_drained_to(db: &Connection, seq: Seq) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE me SET drained_to = ?1")?.execute([to_sql(seq.0)])?;
    Ok(())
}

/// Notes how far envelopes expired; whether that is news.
pub(crate) fn note_expired(db: &Connection, through: Seq) -> Result<bool, StoreError> {
    let news = db.execute(
        "UPDATE me SET expired_through = ?1 WHERE expired_through < ?1 AND drained_to < ?1",
        [to_sql(through.0)],
    )?;
    Ok(news > 0)
}

pub(crate) fn add_token(
    db: &Connection,
    token: &Token,
    class: TokenClass,
    contact: Option<ContactId>,
) -> Result<(), StoreError> {
    let class = match class {
        TokenClass::Request => 1,
        TokenClass::Contact => 2,
    };
    db.execute(
        "INSERT INTO tokens (token, class, contact) VALUES (?1, ?2, ?3)",
        params![token.expose(), class, contact.map(|contact| contact.0)],
    )?;
    Ok(())
}

/// Tokens that the relay does not know yet (0), or is to be told again (2).
pub(crate) fn ungranted_tokens(db: &Connection, limit: usize) -> Result<Vec<(TokenHash, TokenClass)>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT token, class FROM tokens WHERE granted != 1 AND revoked = 0 LIMIT ?1")?;
    let rows =
        statement.query_map([to_sql(limit as u64)], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?)))?;
    rows.map(|row| {
        let (token, class) = row?;
        let token = Token::from_slice(&token).ok_or_else(|| damaged("token"))?;
        let class = if class == 1 { TokenClass::Request } else { TokenClass::Contact };
        Ok((token.hash(), class))
    })
    .collect()
}

pub(crate) fn mark_granted(db: &Connection, hashes: &[TokenHash]) -> Result<(), StoreError> {
    for token in all_tokens(db, "granted != 1 AND revoked = 0")? {
        if hashes.contains(&token.hash()) {
            db.execute("UPDATE tokens SET granted = 1 WHERE token = ?1", [token.expose()])?;
        }
    }
    Ok(())
}

/// The relay most likely knows every token that it was told, and is told them again.
pub(crate) fn grant_again(db: &Connection) -> Result<(), StoreError> {
    db.execute("UPDATE tokens SET granted = 2 WHERE granted = 1 AND revoked = 0", [])?;
    Ok(())
}

/// The relay may have forgotten every token.
pub(crate) fn grant_anew(db: &Connection) -> Result<(), StoreError> {
    db.execute("UPDATE tokens SET granted = 0 WHERE revoked = 0", [])?;
    db.execute("UPDATE me SET expired_through = 0", [])?;
    Ok(())
}

/// Tokens that the relay shall forget.
pub(crate) fn revoked_tokens(db: &Connection) -> Result<Vec<TokenHash>, StoreError> {
    Ok(all_tokens(db, "revoked = 1")?.iter().map(Token::hash).collect())
}

pub(crate) fn forget_revoked(db: &Connection, hashes: &[TokenHash]) -> Result<(), StoreError> {
    for token in all_tokens(db, "revoked = 1")? {
        if hashes.contains(&token.hash()) {
            db.execute("DELETE FROM tokens WHERE token = ?1", [token.expose()])?;
        }
    }
    Ok(())
}

pub(crate) fn revoke_token_of(db: &Connection, contact: ContactId) -> Result<(), StoreError> {
    db.execute("UPDATE tokens SET revoked = 1 WHERE contact = ?1", [contact.0])?;
    Ok(())
}

/// The token that this contact may deposit with, and whether the relay knows it.
pub(crate) fn token_of(db: &Connection, contact: ContactId) -> Result<Option<(Token, bool)>, StoreError> {
    let row = db
        .prepare_cached("SELECT token, granted FROM tokens WHERE contact = ?1 AND revoked = 0")?
        .query_row([contact.0], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, bool>(1)?)))
        .optional()?;
    row.map(|(token, granted)| Ok((Token::from_slice(&token).ok_or_else(|| damaged("token"))?, granted))).transpose()
}

fn all_tokens(db: &Connection, which: &str) -> Result<Vec<Token>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT token FROM tokens WHERE {which} LIMIT 256"))?;
    let rows = statement.query_map([], |row| row.get::<_, [u8; 32]>(0))?;
    rows.map(|row| Token::from_slice(&row?).ok_or_else(|| damaged("token"))).collect()
}

/// A token that members of a group make from its secret.
pub(crate) fn add_group_token(db: &Connection, token: &Token, group: LocalGroup) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR IGNORE INTO tokens (token, class, grp) VALUES (?1, 2, ?2)")?
        .execute(params![token.expose(), group.0])?;
    Ok(())
}

/// Only these tokens open our mailbox to a group from now on.
pub(crate) fn keep_group_tokens(db: &Connection, group: LocalGroup, kept: &[Token]) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached("SELECT token FROM tokens WHERE grp = ?1 AND revoked = 0")?;
    let rows = statement.query_map([group.0], |row| row.get::<_, [u8; 32]>(0))?;
    for row in rows {
        let token = Token::from_bytes(&row?);
        if !kept.contains(&token) {
            db.execute("UPDATE tokens SET revoked = 1 WHERE token = ?1", [token.expose()])?;
        }
    }
    Ok(())
}
