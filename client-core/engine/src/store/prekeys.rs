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
    let at: Option<i64> = db
        .prepare_cached("SELECT max(created_at) FROM prekeys WHERE kind = ?1")?
        .query_row([kind as i64], |row| row.get(0))?;
    Ok(at.map(|at| UnixMillis(super::from_sql(at))))
}

pub(crate) fn count(db: &Connection, kind: Kind) -> Result<u32, StoreError> {
    Ok(db.query_row("SELECT count(*) FROM prekeys WHERE kind = ?1", [kind as i64], |row| row.get(0))?)
}

/// Forgets keys that the keyserver has not had since `before`, and what was noted of them: signed and last-resort keys in
/// whose place a newer one was published by then, one-time keys with `stock` newer ones by then (it gives out the oldest
/// first). Age alone says nothing: a device that was away finds first messages under the key that it left behind.
pub(crate) fn forget_replaced(db: &Connection, before: UnixMillis, stock: u32) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM prekeys WHERE kind IN (1, 2) AND id < (
             SELECT max(n.id) FROM prekeys n WHERE n.kind = prekeys.kind AND n.published = 1 AND n.created_at < ?1)",
        [to_sql(before.0)],
    )?;
    db.execute(
        "DELETE FROM prekeys WHERE kind IN (3, 4) AND id < (
             SELECT n.id FROM prekeys n WHERE n.kind = prekeys.kind AND n.published = 1 AND n.created_at < ?1
             ORDER BY n.id DESC LIMIT 1 OFFSET ?2)",
        params![to_sql(before.0), stock],
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
