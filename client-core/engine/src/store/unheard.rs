//! Devices that said something to a group before it was known here that they are a member's.

use hushwire_proto::ids::{AccountId, DeviceId, GroupId};
use rusqlite::{Connection, params};

use super::{StoreError, damaged};
use crate::types::LocalGroup;

/// How many are kept: a newcomer to a large group hears within moments who else is there.
const ALL_MAX: u32 = 1024;

/// How many of one account are kept, which anybody may be who knows the id of a group.
const OF_ONE_MAX: u32 = 16;

/// Keeps one; `false` if there is no room.
pub(crate) fn add(db: &Connection, group: GroupId, account: AccountId, device: DeviceId) -> Result<bool, StoreError> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO unheard (group_id, account, device) SELECT ?1, ?2, ?3
         WHERE (SELECT count(*) FROM unheard) < ?4 AND (SELECT count(*) FROM unheard WHERE account = ?2) < ?5",
    )?
    .execute(params![group.as_bytes(), account.as_bytes(), device.get(), ALL_MAX, OF_ONE_MAX])?;
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM unheard WHERE group_id = ?1 AND account = ?2 AND device = ?3)")?
        .query_row(params![group.as_bytes(), account.as_bytes(), device.get()], |row| row.get(0))?)
}

/// All of groups that are known here.
pub(crate) fn all(db: &Connection) -> Result<Vec<(LocalGroup, AccountId, DeviceId)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT g.id, account, device FROM unheard u JOIN groups g ON g.group_id = u.group_id ORDER BY 1, 2, 3",
    )?;
    let rows = statement
        .query_map([], |row| Ok((LocalGroup(row.get(0)?), AccountId(row.get(1)?), row.get::<_, u32>(2)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let device = |device| DeviceId::new(device).ok_or_else(|| damaged("unheard"));
    rows.into_iter().map(|(group, account, number)| Ok((group, account, device(number)?))).collect()
}

/// Whether there are any.
pub(crate) fn are_there(db: &Connection) -> Result<bool, StoreError> {
    Ok(db.prepare_cached("SELECT EXISTS (SELECT 1 FROM unheard)")?.query_row([], |row| row.get(0))?)
}

pub(crate) fn remove(
    db: &Connection,
    group: LocalGroup,
    account: AccountId,
    device: DeviceId,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM unheard WHERE account = ?2 AND device = ?3
             AND group_id = (SELECT group_id FROM groups WHERE id = ?1)",
    )?
    .execute(params![group.0, account.as_bytes(), device.get()])?;
    Ok(())
}
