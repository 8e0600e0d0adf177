//! Our own prekeys: their secret halves until they are used.

use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{StoreError, to_sql};
use hushwire_proto::ids::UnixMillis;

/// Which prekey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Signed = 1,
    LastResortKyber = 2,
    OneTime = 3,
    OneTimeKyber = 4,
}

pub(crate) fn insert(db: &Connection, kind: Kind, id: u32, key: &[u8], now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO prekeys (kind, id, key, created_at) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        kind as i64,
        id,
        key,
        to_sql(now.0)
    ])?;
    Ok(())
}

pub(crate) fn load(db: &Connection, kind: Kind, id: u32) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    Ok(db
        .prepare_cached("SELECT key FROM prekeys WHERE kind = ?1 AND id = ?2")?
        .query_row(params![kind as i64, id], |row| row.get::<_, Vec<u8>>(0))
        .optional()?
        .map(Zeroizing::new))
}

pub(crate) fn delete(db: &Connection, kind: Kind, id: u32) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM prekeys WHERE kind = ?1 AND id = ?2")?.execute(params![kind as i64, id])?;
    Ok(())
}

/// Keys that the keyserver does not have yet, oldest first.
pub(crate) fn unpublished(db: &Connection, kind: Kind, limit: usize) -> Result<Vec<Zeroizing<Vec<u8>>>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT key FROM prekeys WHERE kind = ?1 AND published = 0 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map(params![kind as i64, to_sql(limit as u64)], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|row| Ok(Zeroizing::new(row?))).collect()
}

pub(crate) fn mark_published(db: &Connection, kind: Kind, id: u32) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE prekeys SET published = 1 WHERE kind = ?1 AND id = ?2")?
        .execute(params![kind as i64, id])?;
    Ok(())
}

/// When the newest key of this kind was made.
pub(crate) fn newest(db: &Connection, kind: Kind) -> Result<Option<UnixMillis>, StoreError> {
    let at: Option<i64> =
        db.query_row("SELECT max(created_at) FROM prekeys WHERE kind = ?1", [kind as i64], |row| row.get(0))?;
    Ok(at.map(|at| UnixMillis(super::from_sql(at))))
}

/// Forgets signed and last-resort keys made before `before`, except the newest of each, and what was noted of them.
pub(crate) fn forget_older(db: &Connection, before: UnixMillis) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM prekeys WHERE kind IN (1, 2) AND created_at < ?1
         AND id < (SELECT max(p.id) FROM prekeys p WHERE p.kind = prekeys.kind)",
        [to_sql(before.0)],
    )?;
    db.execute("DELETE FROM kyber_uses WHERE kyber_id NOT IN (SELECT id FROM prekeys WHERE kind = 2)", [])?;
    Ok(())
}

/// Notes a first message under a last-resort key; `false` if the same was noted before.
pub(crate) fn note_last_resort_use(
    db: &Connection,
    kyber_id: u32,
    signed_id: u32,
    base_key: &[u8],
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let new = db.execute(
        "INSERT OR IGNORE INTO kyber_uses (kyber_id, signed_id, base_key, used_at) VALUES (?1, ?2, ?3, ?4)",
        params![kyber_id, signed_id, base_key, to_sql(now.0)],
    )?;
    Ok(new == 1)
}
