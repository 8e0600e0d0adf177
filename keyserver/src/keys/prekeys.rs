//! Prekeys of one device: put in, counted, taken out.
//!
//! Spec: keyserver §4, §5.

use hushwire_proto::keyserver::{Bundle, Publish, Stock};
use hushwire_proto::limits::PREKEYS_PER_DEVICE_MAX;
use rocksdb::DB;

use super::rows::{self, Family, Kind, Owner, id_key, kind_key};
use super::view::View;
use super::{Damaged, KeysError, family};
use crate::limits::SPENT_REMEMBERED;
use crate::verify::{BadKeys, ONE_TIME, ONE_TIME_KYBER};

/// Rows in one write of [`spend_all`].
const SPENT_AT_ONCE: usize = 4096;

/// Why prekeys were not kept. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublishRefusal {
    /// The account does not list the device any more, or lists another one under its number.
    Revoked,
    /// An id stands for another key already.
    Replaced(BadKeys),
    /// Together with what is there, more than [`PREKEYS_PER_DEVICE_MAX`] of this kind.
    TooMany(&'static str),
}

/// Id and value of a one-time key.
type OneTimeRow = (u32, Vec<u8>);

/// One of the two kinds of one-time keys: where those in store and those given out lie.
struct OneTime {
    live: Kind,
    spent: Kind,
    name: &'static str,
}

const CURVE: OneTime = OneTime { live: Kind::OneTime, spent: Kind::SpentOneTime, name: ONE_TIME };
const KYBER: OneTime = OneTime { live: Kind::OneTimeKyber, spent: Kind::SpentOneTimeKyber, name: ONE_TIME_KYBER };

pub(super) fn publish(
    view: &mut View<'_>,
    owner: Owner,
    publish: Publish,
) -> Result<Result<Stock, PublishRefusal>, KeysError> {
    let curve = publish.one_time.iter().map(|key| (key.id, key.key.to_vec()));
    let kyber = publish.one_time_kyber.iter().map(|key| (key.id, rows::kyber_row(key)));
    let mut additions = Vec::new();
    for (kind, rows) in [(CURVE, curve.collect::<Vec<_>>()), (KYBER, kyber.collect())] {
        match unknown(view, owner, &kind, rows)? {
            Ok(new) => additions.push((kind, new)),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    for (kind, new) in additions {
        for (id, row) in new {
            view.put(Family::Prekeys, id_key(owner, kind.live, id), row);
        }
        forget_oldest(view, owner, &kind)?;
    }
    if let Some(key) = &publish.signed_prekey {
        view.put(Family::Prekeys, kind_key(owner, Kind::Signed), rows::signed_row(key));
    }
    if let Some(key) = &publish.last_resort_kyber {
        view.put(Family::Prekeys, kind_key(owner, Kind::LastResort), rows::last_resort_row(key));
    }
    Ok(Ok(stock(view, owner)?))
}

pub(super) fn stock(view: &View<'_>, owner: Owner) -> Result<Stock, KeysError> {
    let count = |kind| -> Result<u32, KeysError> {
        let count = view.count(Family::Prekeys, &kind_key(owner, kind))?;
        Ok(u32::try_from(count).map_err(|_| Damaged("prekeys"))?)
    };
    let signed = view.get(Family::Prekeys, &kind_key(owner, Kind::Signed))?;
    Ok(Stock {
        one_time: count(Kind::OneTime)?,
        one_time_kyber: count(Kind::OneTimeKyber)?,
        signed_prekey_id: signed.map(|row| rows::signed_from(&row)).transpose()?.map(|key| key.id),
    })
}

/// The bundle of a device; `None` if it has not published enough for one. Nothing is taken then.
pub(super) fn take(view: &mut View<'_>, owner: Owner, one_time: bool) -> Result<Option<Bundle>, KeysError> {
    let Some(signed) = view.get(Family::Prekeys, &kind_key(owner, Kind::Signed))? else { return Ok(None) };
    let last_resort = view.get(Family::Prekeys, &kind_key(owner, Kind::LastResort))?;
    let Some(last_resort) = last_resort else { return Ok(None) };
    let signed_prekey = rows::signed_from(&signed)?;
    let last_resort = rows::last_resort_from(&last_resort)?;
    let (curve, kyber) = match one_time {
        true => (spend(view, owner, &CURVE)?, spend(view, owner, &KYBER)?),
        false => (None, None),
    };
    Ok(Some(Bundle {
        device: owner.1,
        signed_prekey,
        kyber: kyber.map(|(id, row)| rows::kyber_from(id, &row)).transpose()?.unwrap_or(last_resort),
        one_time: curve.map(|(id, row)| rows::one_time_from(id, &row)).transpose()?,
    }))
}

/// Removes all that a device has here, also the memory of what was given out: the number may become another device's.
pub(super) fn forget(view: &mut View<'_>, owner: Owner) -> Result<(), KeysError> {
    for key in view.keys(Family::Prekeys, &rows::owner_key(owner), usize::MAX)? {
        view.delete(Family::Prekeys, key);
    }
    Ok(())
}

/// Takes the one-time key with the lowest id, and remembers that it is gone.
fn spend(view: &mut View<'_>, owner: Owner, kind: &OneTime) -> Result<Option<OneTimeRow>, KeysError> {
    let Some((key, row)) = view.first(Family::Prekeys, &kind_key(owner, kind.live))? else { return Ok(None) };
    let id = rows::id_of(&key)?;
    view.delete(Family::Prekeys, key);
    view.put(Family::Prekeys, id_key(owner, kind.spent, id), rows::mark_of(&row));
    Ok(Some((id, row)))
}

/// Takes every one-time key out, of everybody: which of them were given out is not known.
pub(super) fn spend_all(db: &DB) -> Result<(), KeysError> {
    let mut rows = db.raw_iterator_cf(family(db, Family::Prekeys)?);
    let (mut view, mut changed) = (View::new(db), 0_usize);
    rows.seek_to_first();
    while let Some((key, row)) = rows.item() {
        if let Some(spent) = rows::spent_key(key) {
            view.delete(Family::Prekeys, key.to_vec());
            view.put(Family::Prekeys, spent, rows::mark_of(row));
            changed = changed.saturating_add(1);
        }
        if changed >= SPENT_AT_ONCE {
            std::mem::replace(&mut view, View::new(db)).commit()?;
            changed = 0;
        }
        rows.next();
    }
    rows.status()?;
    view.commit()
}

/// Those of `rows` that were never here. A key that is here, or was given out, is skipped: its owner repeats itself.
fn unknown(
    view: &View<'_>,
    owner: Owner,
    kind: &OneTime,
    rows: Vec<OneTimeRow>,
) -> Result<Result<Vec<OneTimeRow>, PublishRefusal>, KeysError> {
    let mut new = Vec::with_capacity(rows.len());
    for (id, row) in rows {
        let live = view.get(Family::Prekeys, &id_key(owner, kind.live, id))?;
        let spent = view.get(Family::Prekeys, &id_key(owner, kind.spent, id))?;
        let same = match (live, spent) {
            (None, None) => {
                new.push((id, row));
                continue;
            }
            (Some(live), _) => rows::mark_of(&live) == rows::mark_of(&row),
            (None, Some(spent)) => spent == rows::mark_of(&row),
        };
        if !same {
            let replaced = BadKeys::Replaced { kind: kind.name, id };
            return Ok(Err(PublishRefusal::Replaced(replaced)));
        }
    }
    let here = view.count(Family::Prekeys, &kind_key(owner, kind.live))?;
    let fits = u32::try_from(here.saturating_add(new.len())).is_ok_and(|all| all <= PREKEYS_PER_DEVICE_MAX);
    Ok(if fits { Ok(new) } else { Err(PublishRefusal::TooMany(kind.name)) })
}

/// Keeps the memory of keys given out bounded: those with the lowest ids go, which are the oldest, since ids rise.
fn forget_oldest(view: &mut View<'_>, owner: Owner, kind: &OneTime) -> Result<(), KeysError> {
    let prefix = kind_key(owner, kind.spent);
    let excess = view.count(Family::Prekeys, &prefix)?.saturating_sub(SPENT_REMEMBERED);
    for key in view.keys(Family::Prekeys, &prefix, excess)? {
        view.delete(Family::Prekeys, key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_proto::ids::{AccountId, DeviceId};
    use hushwire_proto::keyserver::{CurveKey, SignedCurveKey, SignedKyberKey};
    use rocksdb::Options;

    use super::*;

    const OWNER: Owner = (AccountId([1; 32]), DeviceId::FIRST);

    /// A key that is told from others by its id; whether keys are good is not this file's concern.
    fn key(id: u32) -> CurveKey {
        let mut key = [5; 33];
        key.iter_mut().skip(1).zip(id.to_be_bytes()).for_each(|(to, byte)| *to = byte);
        CurveKey { id, key }
    }

    fn one_time(ids: std::ops::Range<u32>) -> Publish {
        Publish { one_time: ids.map(key).collect(), ..Publish::default() }
    }

    #[test]
    fn what_was_given_out_is_remembered_as_long_as_promised_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let db = DB::open_cf(&options, dir.path(), Family::ALL.map(Family::name)).unwrap();
        let view = &mut View::new(&db);
        let signed_prekey = Some(SignedCurveKey { id: 1, key: [5; 33], signature: [0; 64] });
        let last_resort_kyber = Some(SignedKyberKey { id: 2, key: vec![8; 1569].into(), signature: [0; 64] });
        let basis = Publish { signed_prekey, last_resort_kyber, ..Publish::default() };
        publish(view, OWNER, basis).unwrap().unwrap();
        let spent = |view: &View<'_>| view.count(Family::Prekeys, &kind_key(OWNER, Kind::SpentOneTime)).unwrap();
        for start in (0..1000).step_by(50) {
            publish(view, OWNER, one_time(start..start + 50)).unwrap().unwrap();
            for id in start..start + 50 {
                assert_eq!(take(view, OWNER, true).unwrap().unwrap().one_time, Some(key(id)));
            }
            let again = publish(view, OWNER, one_time(start..start + 50)).unwrap().unwrap();
            assert_eq!(again.one_time, 0);
            assert!(spent(view) <= SPENT_REMEMBERED + 50);
        }
        assert_eq!(publish(view, OWNER, one_time(800..850)).unwrap().unwrap().one_time, 0);
        let mut other = one_time(999..1000);
        other.one_time = vec![CurveKey { id: 999, key: key(7).key }];
        let replaced = BadKeys::Replaced { kind: ONE_TIME, id: 999 };
        assert_eq!(publish(view, OWNER, other).unwrap(), Err(PublishRefusal::Replaced(replaced)));
        assert_eq!(take(view, OWNER, true).unwrap().unwrap().one_time, None);
    }
}
