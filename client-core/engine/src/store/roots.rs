//! The newest root of each keyserver's log that was believed, and when ours was last asked about us.

use hushwire_proto::address::Fingerprint;
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::log::SignedRoot;
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, damaged, from_sql, to_sql};

pub(crate) fn newest(db: &Connection, keyserver: Fingerprint) -> Result<Option<SignedRoot>, StoreError> {
    let row: Option<Vec<u8>> = db
        .prepare_cached("SELECT root FROM roots WHERE keyserver = ?1")?
        .query_row([&keyserver.0[..]], |row| row.get(0))
        .optional()?;
    row.map(|root| SignedRoot::parse(&root.into()).map_err(|_| damaged("root"))).transpose()
}

pub(crate) fn keep(db: &Connection, keyserver: Fingerprint, root: &SignedRoot) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO roots (keyserver, root) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET root = excluded.root",
    )?
    .execute(params![&keyserver.0[..], &root.encode()[..]])?;
    Ok(())
}

pub(crate) fn watched_at(db: &Connection) -> Result<UnixMillis, StoreError> {
    Ok(UnixMillis(from_sql(db.query_row("SELECT watched_at FROM me", [], |row| row.get(0))?)))
}

/// When the log last said nothing of us that we have not said.
pub(crate) fn agreed_at(db: &Connection) -> Result<Option<UnixMillis>, StoreError> {
    let at: i64 = db.query_row("SELECT agreed_at FROM me", [], |row| row.get(0))?;
    Ok(Some(UnixMillis(from_sql(at))).filter(|at| at.0 > 0))
}

pub(crate) fn set_agreed_at(db: &Connection, at: UnixMillis) -> Result<(), StoreError> {
    db.execute("UPDATE me SET agreed_at = ?1", [to_sql(at.0)])?;
    Ok(())
}

pub(crate) fn set_watched_at(db: &Connection, at: UnixMillis) -> Result<(), StoreError> {
    db.execute("UPDATE me SET watched_at = ?1", [to_sql(at.0)])?;
    Ok(())
}
