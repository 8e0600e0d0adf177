//! Auditors that a person chose, and what came of asking each about a keyserver.

use hushwire_proto::address::{AUDITOR_PORT, Fingerprint, ServerAddress};
use hushwire_proto::ids::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, damaged, from_sql, to_sql};

/// What came of asking an auditor about a keyserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) keyserver: Fingerprint,
    pub(crate) asked_at: UnixMillis,
    /// When both last had the same root, and of which epoch.
    pub(crate) agreed: Option<(UnixMillis, u64)>,
    /// Since when the auditor has not had what we know.
    pub(crate) behind_since: Option<UnixMillis>,
    pub(crate) trouble: Option<String>,
}

pub(crate) fn add(db: &Connection, address: &ServerAddress) -> Result<(), StoreError> {
    db.execute("INSERT INTO auditors (address) VALUES (?1) ON CONFLICT DO NOTHING", [address.to_string()])?;
    Ok(())
}

/// Whether it was there.
pub(crate) fn remove(db: &Connection, address: &ServerAddress) -> Result<bool, StoreError> {
    let address = address.to_string();
    db.execute("DELETE FROM comparisons WHERE auditor = ?1", [&address])?;
    Ok(db.execute("DELETE FROM auditors WHERE address = ?1", [&address])? > 0)
}

pub(crate) fn all(db: &Connection) -> Result<Vec<ServerAddress>, StoreError> {
    let mut rows = db.prepare_cached("SELECT address FROM auditors ORDER BY address")?;
    let rows = rows.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| ServerAddress::parse(&row?, AUDITOR_PORT).map_err(|_| damaged("auditor"))).collect()
}

pub(crate) fn comparison(
    db: &Connection,
    auditor: &ServerAddress,
    keyserver: Fingerprint,
) -> Result<Option<Comparison>, StoreError> {
    let sql = "SELECT asked_at, agreed_at, agreed_epoch, behind_since, trouble FROM comparisons
        WHERE auditor = ?1 AND keyserver = ?2";
    let row = db.prepare_cached(sql)?.query_row(params![auditor.to_string(), &keyserver.0[..]], |row| {
        let agreed: Option<i64> = row.get(1)?;
        let epoch: Option<i64> = row.get(2)?;
        Ok(Comparison {
            keyserver,
            asked_at: UnixMillis(from_sql(row.get(0)?)),
            agreed: agreed.zip(epoch).map(|(at, epoch)| (UnixMillis(from_sql(at)), from_sql(epoch))),
            behind_since: row.get::<_, Option<i64>>(3)?.map(|since| UnixMillis(from_sql(since))),
            trouble: row.get(4)?,
        })
    });
    Ok(row.optional()?)
}

/// The auditor was asked, and this came of it. What was agreed on before stays unless there is newer.
pub(crate) fn set(db: &Connection, auditor: &ServerAddress, said: &Comparison) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO comparisons (auditor, keyserver, asked_at, agreed_at, agreed_epoch, behind_since, trouble)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET asked_at = excluded.asked_at,
         agreed_at = coalesce(excluded.agreed_at, agreed_at), agreed_epoch = coalesce(excluded.agreed_epoch, agreed_epoch),
         behind_since = excluded.behind_since, trouble = excluded.trouble",
    )?
    .execute(params![
        auditor.to_string(),
        &said.keyserver.0[..],
        to_sql(said.asked_at.0),
        said.agreed.map(|(at, _)| to_sql(at.0)),
        said.agreed.map(|(_, epoch)| to_sql(epoch)),
        said.behind_since.map(|since| to_sql(since.0)),
        said.trouble,
    ])?;
    Ok(())
}
