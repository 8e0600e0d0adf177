//! Groups: their changes, the keys that write to them, and what seals that.

use hushwire_crypto::{DistributionId, OurSenderKey, SenderKeys};
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::{StoreError, conversations, damaged, from_sql, to_sql};
use crate::group::SignedChange;
use crate::types::{ContactId, ConversationId, GroupStanding, LocalGroup};

/// Makes the row of a group and its conversation.
pub(crate) fn insert(
    db: &Connection,
    id: GroupId,
    name: &str,
    standing: GroupStanding,
    now: UnixMillis,
) -> Result<(LocalGroup, ConversationId), StoreError> {
    db.prepare_cached("INSERT INTO groups (group_id, name, standing) VALUES (?1, ?2, ?3)")?.execute(params![
        id.as_bytes(),
        name,
        code(standing)
    ])?;
    let group = LocalGroup(db.last_insert_rowid());
    Ok((group, conversations::begin_of(db, group, now)?))
}

pub(crate) fn by_id(db: &Connection, id: GroupId) -> Result<Option<LocalGroup>, StoreError> {
    Ok(db
        .prepare_cached("SELECT id FROM groups WHERE group_id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0).map(LocalGroup))
        .optional()?)
}

pub(crate) fn id_of(db: &Connection, group: LocalGroup) -> Result<GroupId, StoreError> {
    Ok(db
        .prepare_cached("SELECT group_id FROM groups WHERE id = ?1")?
        .query_row([group.0], |row| row.get(0).map(GroupId))?)
}

pub(crate) fn standing(db: &Connection, group: LocalGroup) -> Result<GroupStanding, StoreError> {
    let found: i64 =
        db.prepare_cached("SELECT standing FROM groups WHERE id = ?1")?.query_row([group.0], |row| row.get(0))?;
    standing_of(found).ok_or_else(|| damaged("standing"))
}

pub(crate) fn set(db: &Connection, group: LocalGroup, name: &str, standing: GroupStanding) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE groups SET name = ?2, standing = ?3 WHERE id = ?1")?.execute(params![
        group.0,
        name,
        code(standing)
    ])?;
    Ok(())
}

/// Groups with this standing.
pub(crate) fn all(db: &Connection, standing: GroupStanding) -> Result<Vec<LocalGroup>, StoreError> {
    let mut statement = db.prepare_cached("SELECT id FROM groups WHERE standing = ?1 ORDER BY id")?;
    let rows = statement.query_map([code(standing)], |row| row.get(0).map(LocalGroup))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a group is called.
pub(crate) fn name(db: &Connection, group: LocalGroup) -> Result<String, StoreError> {
    Ok(db.prepare_cached("SELECT name FROM groups WHERE id = ?1")?.query_row([group.0], |row| row.get(0))?)
}

/// Keeps a change.
pub(crate) fn add_change(db: &Connection, group: LocalGroup, change: &SignedChange) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR IGNORE INTO group_changes (grp, hash, height, bytes) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![group.0, change.hash().as_bytes(), to_sql(change.height()), change.encode()])?;
    Ok(())
}

/// All changes, parents first.
pub(crate) fn changes(db: &Connection, group: LocalGroup) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut statement = db.prepare_cached("SELECT bytes FROM group_changes WHERE grp = ?1 ORDER BY height, hash")?;
    let rows = statement.query_map([group.0], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn changes_count(db: &Connection, group: LocalGroup) -> Result<u64, StoreError> {
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM group_changes WHERE grp = ?1")?
        .query_row([group.0], |row| row.get(0))?;
    Ok(from_sql(count))
}

pub(crate) fn remove_change(db: &Connection, group: LocalGroup, hash: ChangeHash) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM group_changes WHERE grp = ?1 AND hash = ?2")?
        .execute(params![group.0, hash.as_bytes()])?;
    Ok(())
}

/// Somebody is a member now.
pub(crate) fn note_joined(db: &Connection, group: LocalGroup, account: AccountId) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO joined (grp, account, counter, hash)
         SELECT ?1, ?2, out_counter, out_hash FROM conversations WHERE grp = ?1",
    )?
    .execute(params![group.0, account.as_bytes()])?;
    Ok(())
}

/// The counter of what we had said last when this member came; `None`: they are none.
pub(crate) fn said_when_joined(
    db: &Connection,
    group: LocalGroup,
    account: AccountId,
) -> Result<Option<u64>, StoreError> {
    let counter: Option<i64> = db
        .prepare_cached("SELECT counter FROM joined WHERE grp = ?1 AND account = ?2")?
        .query_row(params![group.0, account.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(counter.map(from_sql))
}

/// The same with its hash; `None`: nothing.
pub(crate) fn place_when_joined(
    db: &Connection,
    group: LocalGroup,
    member: ContactId,
) -> Result<Option<(u64, [u8; 32])>, StoreError> {
    let said: Option<(i64, [u8; 32])> = db
        .prepare_cached(
            "SELECT counter, hash FROM joined
             WHERE grp = ?1 AND hash NOT NULL AND account = (SELECT account FROM contacts WHERE id = ?2)",
        )?
        .query_row([group.0, member.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(said.map(|(counter, hash)| (from_sql(counter), hash)))
}

/// Members who came when this had been said: it is not for them.
pub(crate) fn joined_behind(db: &Connection, group: LocalGroup, counter: u64) -> Result<Vec<AccountId>, StoreError> {
    let mut statement = db.prepare_cached("SELECT account FROM joined WHERE grp = ?1 AND counter >= ?2")?;
    let rows = statement.query_map(params![group.0, to_sql(counter)], |row| row.get(0).map(AccountId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Something about the group has come from this member: they know that they are in it.
pub(crate) fn note_here(db: &Connection, group: GroupId, account: AccountId) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE joined SET here = 1 WHERE account = ?2 AND here = 0
             AND grp = (SELECT id FROM groups WHERE group_id = ?1)",
    )?
    .execute(params![group.as_bytes(), account.as_bytes()])?;
    Ok(())
}

pub(crate) fn is_here(db: &Connection, group: LocalGroup, account: AccountId) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM joined WHERE grp = ?1 AND account = ?2 AND here)")?
        .query_row(params![group.0, account.as_bytes()], |row| row.get(0))?)
}

/// Members from whom nothing about the group has come.
pub(crate) fn not_here(db: &Connection, group: LocalGroup) -> Result<Vec<AccountId>, StoreError> {
    let mut statement = db.prepare_cached("SELECT account FROM joined WHERE grp = ?1 AND NOT here ORDER BY account")?;
    let rows = statement.query_map([group.0], |row| row.get(0).map(AccountId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn forget_joined(db: &Connection, group: LocalGroup, account: AccountId) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM joined WHERE grp = ?1 AND account = ?2")?
        .execute(params![group.0, account.as_bytes()])?;
    Ok(())
}

/// We are in no longer: who was there before us says nothing about who is there once we are in again.
pub(crate) fn forget_all_joined(db: &Connection, group: LocalGroup) -> Result<(), StoreError> {
    db.execute("DELETE FROM joined WHERE grp = ?1", [group.0])?;
    Ok(())
}

/// Somebody is a member no longer: what they know is not used from now on.
pub(crate) fn note_left(db: &Connection, group: LocalGroup, now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE groups SET left_at = max(?2, coalesce((SELECT max(known_at) FROM group_secrets WHERE grp = ?1), 0))
         WHERE id = ?1",
    )?
    .execute(params![group.0, to_sql(now.0)])?;
    Ok(())
}

/// The key with which we write.
pub(crate) struct Ours {
    pub(crate) key: OurSenderKey,
    pub(crate) secret: Zeroizing<[u8; 32]>,
    pub(crate) made_at: UnixMillis,
    pub(crate) messages: u64,
}

pub(crate) fn our_key(db: &Connection, group: LocalGroup) -> Result<Option<Ours>, StoreError> {
    let row = db
        .prepare_cached("SELECT record, secret, made_at, messages FROM our_sender_keys WHERE grp = ?1")?
        .query_row([group.0], |row| {
            let record = Zeroizing::new(row.get::<_, Vec<u8>>(0)?);
            Ok((record, Zeroizing::new(row.get::<_, [u8; 32]>(1)?), row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
        })
        .optional()?;
    row.map(|(record, secret, made_at, messages)| {
        let key = OurSenderKey::from_bytes(&record).map_err(|_| damaged("our_sender_keys"))?;
        Ok(Ours { key, secret, made_at: UnixMillis(from_sql(made_at)), messages: from_sql(messages) })
    })
    .transpose()
}

pub(crate) fn set_our_key(db: &Connection, group: LocalGroup, ours: &Ours) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO our_sender_keys (grp, record, secret, made_at, messages) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        group.0,
        &ours.key.to_bytes()[..],
        &ours.secret[..],
        to_sql(ours.made_at.0),
        to_sql(ours.messages)
    ])?;
    Ok(())
}

/// It writes no more: there will be a new one.
pub(crate) fn forget_our_key(db: &Connection, group: LocalGroup) -> Result<(), StoreError> {
    db.execute("DELETE FROM our_sender_keys WHERE grp = ?1", [group.0])?;
    Ok(())
}

/// Devices that were given our key.
pub(crate) fn given(db: &Connection, group: LocalGroup) -> Result<Vec<(ContactId, DeviceId)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT contact, device FROM given_keys WHERE grp = ?1")?;
    let rows = statement.query_map([group.0], |row| Ok((ContactId(row.get(0)?), row.get::<_, u32>(1)?)))?;
    rows.map(|row| {
        let (contact, device) = row?;
        Ok((contact, DeviceId::new(device).ok_or_else(|| damaged("device"))?))
    })
    .collect()
}

pub(crate) fn note_given(
    db: &Connection,
    group: LocalGroup,
    contact: ContactId,
    device: DeviceId,
) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR IGNORE INTO given_keys (grp, contact, device) VALUES (?1, ?2, ?3)")?
        .execute(params![group.0, contact.0, device.get()])?;
    Ok(())
}

/// Nobody has our key: there is a new one.
pub(crate) fn forget_given(db: &Connection, group: LocalGroup) -> Result<(), StoreError> {
    db.execute("DELETE FROM given_keys WHERE grp = ?1", [group.0])?;
    Ok(())
}

/// This contact is given our key again.
pub(crate) fn forget_given_to(db: &Connection, group: LocalGroup, contact: ContactId) -> Result<(), StoreError> {
    db.execute("DELETE FROM given_keys WHERE grp = ?1 AND contact = ?2", params![group.0, contact.0])?;
    Ok(())
}

/// Something came from this device that says that it has our key.
pub(crate) fn note_has_it(
    db: &Connection,
    group: LocalGroup,
    contact: ContactId,
    device: DeviceId,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE given_keys SET has_it = 1 WHERE grp = ?1 AND contact = ?2 AND device = ?3 AND has_it = 0",
    )?
    .execute(params![group.0, contact.0, device.get()])?;
    Ok(())
}

/// Whether this device is known to have our key, and so to accept tokens that come of its secret.
pub(crate) fn has_it(
    db: &Connection,
    group: LocalGroup,
    contact: ContactId,
    device: DeviceId,
) -> Result<bool, StoreError> {
    let found = db
        .prepare_cached("SELECT has_it FROM given_keys WHERE grp = ?1 AND contact = ?2 AND device = ?3")?
        .query_row(params![group.0, contact.0, device.get()], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(false))
}

pub(crate) fn sender_keys(
    db: &Connection,
    group: LocalGroup,
    contact: ContactId,
    device: DeviceId,
    distribution: DistributionId,
) -> Result<SenderKeys, StoreError> {
    let record = db
        .prepare_cached(
            "SELECT record FROM sender_keys WHERE grp = ?1 AND contact = ?2 AND device = ?3 AND distribution = ?4",
        )?
        .query_row(params![group.0, contact.0, device.get(), distribution.as_bytes()], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    match record.map(Zeroizing::new) {
        None => Ok(SenderKeys::empty(distribution)),
        Some(record) => SenderKeys::from_bytes(&record).map_err(|_| damaged("sender_keys")),
    }
}

/// Keeps a sender's keys; of one device the newest `most` distributions.
pub(crate) fn set_sender_keys(
    db: &Connection,
    group: LocalGroup,
    (contact, device): (ContactId, DeviceId),
    keys: &SenderKeys,
    now: UnixMillis,
    most: usize,
) -> Result<(), StoreError> {
    db.prepare_cached(
        // Behind those before it, also when many come within one moment.
        "INSERT INTO sender_keys (grp, contact, device, distribution, record, known_at)
         VALUES (?1, ?2, ?3, ?4, ?5, max(?6, coalesce((
             SELECT max(known_at) + 1 FROM sender_keys WHERE grp = ?1 AND contact = ?2 AND device = ?3), 0)))
         ON CONFLICT DO UPDATE SET record = excluded.record",
    )?
    .execute(params![
        group.0,
        contact.0,
        device.get(),
        keys.distribution().as_bytes(),
        &keys.to_bytes()[..],
        to_sql(now.0)
    ])?;
    db.prepare_cached(
        "DELETE FROM sender_keys WHERE grp = ?1 AND contact = ?2 AND device = ?3 AND distribution NOT IN (
             SELECT distribution FROM sender_keys WHERE grp = ?1 AND contact = ?2 AND device = ?3
             ORDER BY known_at DESC, distribution LIMIT ?4)",
    )?
    .execute(params![group.0, contact.0, device.get(), to_sql(most as u64)])?;
    Ok(())
}

/// What seals envelopes to groups, newest first.
#[allow(clippy::type_complexity, reason = "taken apart where it is called")]
pub(crate) fn secrets(db: &Connection) -> Result<Vec<(LocalGroup, GroupId, Zeroizing<[u8; 32]>)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT s.grp, g.group_id, s.secret FROM group_secrets s JOIN groups g ON g.id = s.grp
         ORDER BY s.known_at DESC, s.secret, s.grp",
    )?;
    let rows = statement
        .query_map([], |row| Ok((LocalGroup(row.get(0)?), GroupId(row.get(1)?), Zeroizing::new(row.get(2)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The secrets of one group.
pub(crate) fn secrets_of(db: &Connection, group: LocalGroup) -> Result<Vec<Zeroizing<[u8; 32]>>, StoreError> {
    let mut statement = db.prepare_cached("SELECT secret FROM group_secrets WHERE grp = ?1")?;
    let rows = statement.query_map([group.0], |row| row.get(0).map(Zeroizing::new))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The secrets that came after somebody last left, newest first, each with the contact who told it first; `None`: we.
#[allow(clippy::type_complexity, reason = "taken apart where it is called")]
pub(crate) fn secrets_since_left(
    db: &Connection,
    group: LocalGroup,
) -> Result<Vec<(Zeroizing<[u8; 32]>, Option<ContactId>)>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT s.secret, s.by FROM group_secrets s JOIN groups g ON g.id = s.grp
         WHERE s.grp = ?1 AND s.known_at > g.left_at ORDER BY s.known_at DESC, s.secret",
    )?;
    let rows = statement.query_map([group.0], |row| {
        let by: i64 = row.get(1)?;
        Ok((Zeroizing::new(row.get(0)?), Some(ContactId(by)).filter(|by| by.0 > 0)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many secrets are kept, so that nobody who tells many drives out those of others.
pub(crate) struct SecretsKept {
    /// Of one group.
    pub(crate) all: usize,
    /// That one contact told first, and others too.
    pub(crate) of_one: usize,
    /// That one contact alone told.
    pub(crate) of_one_alone: usize,
}

/// Keeps a secret that this contact told, or that we made; of each kind the newest. Whether it was new.
pub(crate) fn add_secret(
    db: &Connection,
    group: LocalGroup,
    by: Option<ContactId>,
    secret: &[u8; 32],
    now: UnixMillis,
    kept: &SecretsKept,
) -> Result<bool, StoreError> {
    let by = by.map_or(0, |by| by.0);
    // Behind what made somebody leave, also within one moment.
    let new = db
        .prepare_cached(
            "INSERT OR IGNORE INTO group_secrets (grp, secret, known_at, by)
             SELECT id, ?2, max(?3, left_at + 1, coalesce((
                 SELECT max(known_at) + 1 FROM group_secrets WHERE grp = ?1), 0)), ?4 FROM groups WHERE id = ?1",
        )?
        .execute(params![group.0, secret, to_sql(now.0), by])?;
    db.prepare_cached("UPDATE group_secrets SET shared = 1 WHERE grp = ?1 AND secret = ?2 AND by <> ?3")?
        .execute(params![group.0, secret, by])?;
    if by > 0 {
        let mut forget = db.prepare_cached(
            "DELETE FROM group_secrets WHERE grp = ?1 AND by = ?2 AND shared = ?3 AND secret NOT IN (
                 SELECT secret FROM group_secrets WHERE grp = ?1 AND by = ?2 AND shared = ?3
                 ORDER BY known_at DESC, secret LIMIT ?4)",
        )?;
        forget.execute(params![group.0, by, false, to_sql(kept.of_one_alone as u64)])?;
        forget.execute(params![group.0, by, true, to_sql(kept.of_one as u64)])?;
    }
    db.prepare_cached(
        "DELETE FROM group_secrets WHERE grp = ?1 AND secret NOT IN (
             SELECT secret FROM group_secrets WHERE grp = ?1 ORDER BY known_at DESC, secret LIMIT ?2)",
    )?
    .execute(params![group.0, to_sql(kept.all as u64)])?;
    Ok(new == 1)
}

/// What was said by somebody of whom we do not know yet that they are members; `false` if there is no room for it, which
/// is for `most` contents, and for `most_of_one` of this contact.
pub(crate) fn add_early(
    db: &Connection,
    group: LocalGroup,
    (contact, device): (ContactId, DeviceId),
    content: &[u8],
    (most, most_of_one): (usize, usize),
) -> Result<bool, StoreError> {
    let (all, theirs): (i64, i64) = db
        .prepare_cached("SELECT count(*), count(*) FILTER (WHERE contact = ?2) FROM early WHERE grp = ?1")?
        .query_row([group.0, contact.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if from_sql(all) >= most as u64 || from_sql(theirs) >= most_of_one as u64 {
        return Ok(false);
    }
    db.prepare_cached("INSERT INTO early (grp, contact, device, content) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![group.0, contact.0, device.get(), content])?;
    Ok(true)
}

/// Takes all of it, in the order in which it came.
#[allow(clippy::type_complexity, reason = "taken apart where it is called")]
pub(crate) fn take_early(
    db: &Connection,
    group: LocalGroup,
) -> Result<Vec<(ContactId, DeviceId, Zeroizing<Vec<u8>>)>, StoreError> {
    let mut statement = db.prepare_cached("SELECT contact, device, content FROM early WHERE grp = ?1 ORDER BY id")?;
    let rows = statement
        .query_map([group.0], |row| Ok((ContactId(row.get(0)?), row.get::<_, u32>(1)?, Zeroizing::new(row.get(2)?))))?;
    let taken = rows
        .map(|row| {
            let (contact, device, content) = row?;
            Ok((contact, DeviceId::new(device).ok_or_else(|| damaged("device"))?, content))
        })
        .collect::<Result<_, StoreError>>()?;
    db.execute("DELETE FROM early WHERE grp = ?1", [group.0])?;
    Ok(taken)
}

/// We are no member any more: nothing opens, nothing is written, nobody may deposit.
pub(crate) fn forget_keys(db: &Connection, group: LocalGroup) -> Result<(), StoreError> {
    // The secrets stay: what still comes is known by them, and dropped.
    for table in ["our_sender_keys", "given_keys", "sender_keys", "early"] {
        db.execute(&format!("DELETE FROM {table} WHERE grp = ?1"), [group.0])?;
    }
    db.execute("DELETE FROM unsealed WHERE grp = ?1", [group.0])?;
    db.execute("UPDATE tokens SET revoked = 1 WHERE grp = ?1", [group.0])?;
    Ok(())
}

fn code(standing: GroupStanding) -> i64 {
    match standing {
        GroupStanding::HeardOf => 1,
        GroupStanding::Asked => 2,
        GroupStanding::Member => 3,
        GroupStanding::Gone => 4,
    }
}

fn standing_of(code: i64) -> Option<GroupStanding> {
    use GroupStanding::{Asked, Gone, HeardOf, Member};
    [HeardOf, Asked, Member, Gone].into_iter().find(|standing| self::code(*standing) == code)
}
