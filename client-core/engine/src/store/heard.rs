//! Which devices of others are known to have a message of ours, and how far each has come with it.

use std::collections::BTreeMap;

use hushwire_proto::ids::{AccountId, DeviceId};
use rusqlite::{Connection, OptionalExtension, params};

use super::messages::state_code;
use super::{StoreError, to_sql};
use crate::types::{ContactId, ConversationId, LocalId, State};

/// A text of ours, by the device of ours that said it and its number there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    pub(crate) conversation: ConversationId,
    pub(crate) device: DeviceId,
    pub(crate) counter: u64,
}

/// A device of somebody else.
pub(crate) type Whose = (ContactId, DeviceId);

/// A device of theirs has this text; which it is, if that was not known of this device.
pub(crate) fn note(db: &Connection, ours: &Ours, (who, device): Whose) -> Result<Option<LocalId>, StoreError> {
    Ok(db
        .prepare_cached(
            "INSERT OR IGNORE INTO heard (message, contact, device, state)
             SELECT id, ?4, ?5, ?6 FROM messages
             WHERE conversation = ?1 AND author = 0 AND device = ?2 AND counter = ?3 RETURNING message",
        )?
        .query_row(
            params![
                ours.conversation.0,
                ours.device.get(),
                to_sql(ours.counter),
                who.0,
                device.get(),
                state_code(State::Delivered)
            ],
            |row| row.get(0).map(LocalId),
        )
        .optional()?)
}

/// Our texts up to this one were seen on a device of theirs, as far as they are known to have come there; which they are.
pub(crate) fn note_read_through(
    db: &Connection,
    ours: &Ours,
    (who, device): Whose,
) -> Result<Vec<LocalId>, StoreError> {
    // What came before devices were told apart stands under 0.
    let mut statement = db.prepare_cached(
        "UPDATE heard INDEXED BY heard_unread SET state = 4
         WHERE contact = ?4 AND device IN (0, ?5) AND state < 4 AND EXISTS (
             SELECT 1 FROM messages m WHERE m.id = heard.message AND m.conversation = ?1 AND m.author = 0
             AND m.device = ?2 AND m.counter <= ?3)
         RETURNING message",
    )?;
    let rows = statement.query_map(
        params![ours.conversation.0, ours.device.get(), to_sql(ours.counter), who.0, device.get()],
        |row| row.get(0).map(LocalId),
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Who is known to have our message, and how far, on the device that is furthest.
pub(crate) fn by_person(db: &Connection, id: LocalId) -> Result<Vec<(ContactId, State)>, StoreError> {
    let mut statement = db
        .prepare_cached("SELECT contact, max(state) FROM heard WHERE message = ?1 GROUP BY contact ORDER BY contact")?;
    let rows = statement.query_map([id.0], |row| Ok((ContactId(row.get(0)?), state_of(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How far our message is known to have come on each device.
pub(crate) fn by_device(db: &Connection, id: LocalId) -> Result<BTreeMap<(ContactId, u8), State>, StoreError> {
    let mut statement = db.prepare_cached("SELECT contact, device, state FROM heard WHERE message = ?1")?;
    let rows = statement.query_map([id.0], |row| Ok(((ContactId(row.get(0)?), row.get(1)?), state_of(row.get(2)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How far our message has come with the last of these, as far as it is for them; `None`: somebody does not have it.
pub(crate) fn least(db: &Connection, id: LocalId, of: &[AccountId]) -> Result<Option<State>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT j.account FROM messages m JOIN conversations v ON v.id = m.conversation
         JOIN joined j ON j.grp = v.grp AND j.counter >= m.counter WHERE m.id = ?1",
    )?;
    let rows = statement.query_map([id.0], |row| row.get(0).map(AccountId))?;
    let came_later = rows.collect::<Result<Vec<_>, _>>()?;
    let mut statement = db.prepare_cached(
        "SELECT c.account, max(h.state) FROM heard h JOIN contacts c ON c.id = h.contact
         WHERE h.message = ?1 GROUP BY h.contact",
    )?;
    let rows = statement.query_map([id.0], |row| Ok((AccountId(row.get(0)?), state_of(row.get(1)?))))?;
    let states = rows.collect::<Result<BTreeMap<_, _>, _>>()?;
    let meant = of.iter().filter(|account| !came_later.contains(account));
    let of_each: Option<Vec<State>> = meant.map(|account| states.get(account).copied()).collect();
    Ok(of_each.and_then(|states| states.into_iter().min()))
}

fn state_of(code: i64) -> State {
    if code >= 4 { State::Read } else { State::Delivered }
}
