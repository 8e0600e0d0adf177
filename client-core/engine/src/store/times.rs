//! How often somebody was asked, and answered, within the last day.

use hushwire_proto::ids::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, from_sql, to_sql};
use crate::times::{Counted, Way};
use crate::types::ContactId;

pub(crate) fn get(db: &Connection, who: ContactId, way: Way) -> Result<Option<Counted>, StoreError> {
    let (kind, group, device) = code(way);
    Ok(db
        .prepare_cached(
            "SELECT since, last, times FROM times WHERE contact = ?1 AND kind = ?2 AND grp = ?3 AND device = ?4",
        )?
        .query_row(params![who.0, kind, group, device], |row| {
            Ok(Counted {
                since: UnixMillis(from_sql(row.get(0)?)),
                last: UnixMillis(from_sql(row.get(1)?)),
                times: row.get(2)?,
            })
        })
        .optional()?)
}

pub(crate) fn set(db: &Connection, who: ContactId, way: Way, counted: &Counted) -> Result<(), StoreError> {
    let (kind, group, device) = code(way);
    db.prepare_cached(
        "INSERT OR REPLACE INTO times (contact, kind, grp, device, since, last, times)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        who.0,
        kind,
        group,
        device,
        to_sql(counted.since.0),
        to_sql(counted.last.0),
        counted.times
    ])?;
    Ok(())
}

/// Forgets what began before this time.
pub(crate) fn forget_before(db: &Connection, time: UnixMillis) -> Result<(), StoreError> {
    db.execute("DELETE FROM times WHERE since < ?1", [to_sql(time.0)])?;
    Ok(())
}

/// What it is, the group, and the device; 0: none.
fn code(way: Way) -> (i64, i64, u8) {
    match way {
        Way::Asked(group, device) => (1, group.0, device.get()),
        Way::Answered(group, device) => (2, group.0, device.get()),
        Way::Changes(group) => (3, group.0, 0),
        Way::AnsweredAlone(device) => (4, 0, device.get()),
        Way::Back(group) => (5, group.0, 0),
        Way::Told(group) => (6, group.0, 0),
        Way::WhetherIn(group) => (7, group.0, 0),
    }
}
