//! The bytes of rows: what lies on disk, in one file. All numbers are big-endian, so that rows sort by them.
//!
//! | family | key | value |
//! |---|---|---|
//! | `default` | `schema` | `BE32(version)` |
//! | `accounts` | account, 32 bytes | `length of handle ‖ handle ‖ chain`, the chain as [`encode_links`] writes it |
//! | `handles` | the local part | account |
//! | `prekeys` | `account ‖ device ‖ kind`, 34 bytes | of signed and last-resort: `BE32(id) ‖ key ‖ signature` |
//! | `prekeys` | `account ‖ device ‖ kind ‖ BE32(id)`, 38 bytes | of one-time: `key`, of one-time Kyber: `key ‖ signature` |
//! | `prekeys` | the same | of those given out: the first 16 bytes of the key after its type byte |
//! | `invites` | hash of an invite that was used | account |
//! | `log` | | in `log/store.rs` |
//!
//! A change here is a change of [`SCHEMA`].

use hushwire_proto::account::{Device, SignedLink, encode_links, parse_links};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::ids::{AccountId, DeviceId};
use hushwire_proto::keyserver::{CURVE_KEY_LEN, CurveKey, KYBER_KEY_LEN, SignedCurveKey, SignedKyberKey};
use hushwire_proto::log::Entry;

use super::Damaged;
use crate::log;

/// The version of everything in this file.
pub(super) const SCHEMA: u32 = 1;

/// Where [`SCHEMA`] stands.
pub(super) const SCHEMA_KEY: &[u8] = b"schema";

/// The column families beside `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Accounts,
    Handles,
    Prekeys,
    Log,
    Invites,
}

impl Family {
    pub(super) const ALL: [Self; 5] = [Self::Accounts, Self::Handles, Self::Prekeys, Self::Log, Self::Invites];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Handles => "handles",
            Self::Prekeys => "prekeys",
            Self::Log => log::FAMILY,
            Self::Invites => "invites",
        }
    }
}

/// What a row of `prekeys` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Signed,
    LastResort,
    OneTime,
    OneTimeKyber,
    SpentOneTime,
    SpentOneTimeKyber,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Signed => 1,
            Self::LastResort => 2,
            Self::OneTime => 3,
            Self::OneTimeKyber => 4,
            Self::SpentOneTime => 5,
            Self::SpentOneTimeKyber => 6,
        }
    }
}

/// One device of one account: whose prekeys.
pub(super) type Owner = (AccountId, DeviceId);

/// What the keys of all prekeys of a device begin with.
pub(super) fn owner_key((account, device): Owner) -> Vec<u8> {
    [account.as_bytes(), &[device.get()][..]].concat()
}

/// The key of a signed or last-resort prekey, and what the keys of one-time prekeys begin with.
pub(super) fn kind_key((account, device): Owner, kind: Kind) -> Vec<u8> {
    let mut key = Vec::with_capacity(AccountId::LEN + 6);
    key.extend_from_slice(account.as_bytes());
    key.push(device.get());
    key.push(kind.code());
    key
}

/// The key of a one-time prekey.
pub(super) fn id_key(owner: Owner, kind: Kind, id: u32) -> Vec<u8> {
    let mut key = kind_key(owner, kind);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// The id at the end of what [`id_key`] made.
pub(super) fn id_of(key: &[u8]) -> Result<u32, Damaged> {
    key.last_chunk().copied().map(u32::from_be_bytes).ok_or(Damaged("prekey id"))
}

/// Where a one-time prekey with this key is remembered once it was given out; `None` for what is no such key.
pub(super) fn spent_key(live: &[u8]) -> Option<Vec<u8>> {
    let (_, kind) = live.split_at_checked(AccountId::LEN + 1)?;
    let spent = match kind.first()? {
        code if *code == Kind::OneTime.code() => Kind::SpentOneTime,
        code if *code == Kind::OneTimeKyber.code() => Kind::SpentOneTimeKyber,
        _ => return None,
    };
    let mut key = live.to_vec();
    *key.get_mut(AccountId::LEN + 1)? = spent.code();
    Some(key)
}

/// An account as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredAccount {
    pub(crate) handle: Option<String>,
    pub(crate) links: Vec<SignedLink>,
}

impl StoredAccount {
    /// The device of that number, if it is one today.
    pub(crate) fn device(&self, id: DeviceId) -> Option<&Device> {
        self.links.last().and_then(|signed| signed.link().device(id))
    }

    /// Whether these are devices of the account today, with the same signing keys.
    pub(super) fn still_has(&self, devices: &[Device]) -> bool {
        let same = |device: &Device| self.device(device.id).is_some_and(|own| own.signing_key == device.signing_key);
        devices.iter().all(same)
    }

    /// What the log says of its handle.
    pub(crate) fn entry(&self, account: AccountId) -> Option<Entry> {
        let head = self.links.last()?;
        Some(Entry { account, head: head.hash(), version: head.link().version })
    }

    pub(super) fn to_row(&self) -> Vec<u8> {
        let handle = self.handle.as_deref().unwrap_or_default();
        // A handle has at most 32 bytes.
        let mut row = vec![u8::try_from(handle.len()).unwrap_or(u8::MAX)];
        row.extend_from_slice(handle.as_bytes());
        row.extend_from_slice(&encode_links(&self.links));
        row
    }

    pub(super) fn from_row(row: &[u8]) -> Result<Self, Damaged> {
        let damaged = Damaged("account");
        let (length, rest) = row.split_first().ok_or(damaged)?;
        let (handle, links) = rest.split_at_checked(usize::from(*length)).ok_or(damaged)?;
        let handle = str::from_utf8(handle).map_err(|_| damaged)?;
        let handle = Some(handle.to_owned()).filter(|handle| !handle.is_empty());
        Ok(Self { handle, links: parse_links(links).map_err(|_| damaged)? })
    }
}

pub(super) fn signed_row(key: &SignedCurveKey) -> Vec<u8> {
    [&key.id.to_be_bytes()[..], &key.key, &key.signature].concat()
}

pub(super) fn signed_from(row: &[u8]) -> Result<SignedCurveKey, Damaged> {
    let damaged = Damaged("signed prekey");
    let (id, rest) = row.split_first_chunk().ok_or(damaged)?;
    let (key, signature) = rest.split_first_chunk::<CURVE_KEY_LEN>().ok_or(damaged)?;
    let signature = SignatureBytes::try_from(signature).map_err(|_| damaged)?;
    Ok(SignedCurveKey { id: u32::from_be_bytes(*id), key: *key, signature })
}

pub(super) fn last_resort_row(key: &SignedKyberKey) -> Vec<u8> {
    [&key.id.to_be_bytes()[..], &key.key, &key.signature].concat()
}

pub(super) fn last_resort_from(row: &[u8]) -> Result<SignedKyberKey, Damaged> {
    let (id, rest) = row.split_first_chunk().ok_or(Damaged("last-resort Kyber prekey"))?;
    kyber_from(u32::from_be_bytes(*id), rest)
}

pub(super) fn one_time_from(id: u32, row: &[u8]) -> Result<CurveKey, Damaged> {
    let key = row.try_into().map_err(|_| Damaged("one-time prekey"))?;
    Ok(CurveKey { id, key })
}

pub(super) fn kyber_row(key: &SignedKyberKey) -> Vec<u8> {
    [&key.key[..], &key.signature].concat()
}

pub(super) fn kyber_from(id: u32, row: &[u8]) -> Result<SignedKyberKey, Damaged> {
    let damaged = Damaged("one-time Kyber prekey");
    let (key, signature) = row.split_at_checked(KYBER_KEY_LEN).ok_or(damaged)?;
    let signature = SignatureBytes::try_from(signature).map_err(|_| damaged)?;
    Ok(SignedKyberKey { id, key: key.to_vec().into(), signature })
}

/// What tells the key of a one-time row from another, also once it is given out. Honest keys are random in these bytes,
/// and who publishes others deceives only himself. The signature is no part of it: it is drawn anew each time.
pub(super) fn mark_of(row: &[u8]) -> Vec<u8> {
    row.iter().skip(1).take(16).copied().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const OWNER: Owner = (AccountId([0xAA; 32]), DeviceId::FIRST);

    #[test]
    fn the_bytes_of_keys_are_these() {
        let account = [0xAA; 32];
        for (kind, code) in [
            (Kind::Signed, 1),
            (Kind::LastResort, 2),
            (Kind::OneTime, 3),
            (Kind::OneTimeKyber, 4),
            (Kind::SpentOneTime, 5),
            (Kind::SpentOneTimeKyber, 6),
        ] {
            assert_eq!(kind_key(OWNER, kind), [&account[..], &[1, code]].concat());
            let key = id_key(OWNER, kind, 0x0102_0304);
            assert_eq!(key, [&account[..], &[1, code, 1, 2, 3, 4]].concat());
            assert_eq!(id_of(&key), Ok(0x0102_0304));
        }
        assert_eq!(Family::ALL.map(Family::name), ["accounts", "handles", "prekeys", "log", "invites"]);
    }

    #[test]
    fn the_bytes_of_values_are_these_and_read_back_the_same() {
        let signed = SignedCurveKey { id: 0x0102_0304, key: [5; CURVE_KEY_LEN], signature: [6; 64] };
        assert_eq!(signed_row(&signed), [&[1, 2, 3, 4][..], &[5; 33], &[6; 64]].concat());
        assert_eq!(signed_from(&signed_row(&signed)), Ok(signed));

        let kyber = SignedKyberKey { id: 0x0102_0304, key: vec![7; KYBER_KEY_LEN].into(), signature: [8; 64] };
        assert_eq!(last_resort_row(&kyber), [&[1, 2, 3, 4][..], &[7; 1569], &[8; 64]].concat());
        assert_eq!(last_resort_from(&last_resort_row(&kyber)), Ok(kyber.clone()));
        assert_eq!(kyber_row(&kyber), [&[7; 1569][..], &[8; 64]].concat());
        assert_eq!(kyber_from(kyber.id, &kyber_row(&kyber)), Ok(kyber));

        let one_time = CurveKey { id: 9, key: [5; CURVE_KEY_LEN] };
        assert_eq!(one_time_from(9, &one_time.key), Ok(one_time));
        let bytes: Vec<u8> = (0..100).collect();
        assert_eq!(mark_of(&bytes), (1..=16).collect::<Vec<u8>>());

        let account = StoredAccount { handle: Some("alice".to_owned()), links: Vec::new() };
        assert_eq!(account.to_row(), b"\x05alice");
        assert_eq!(StoredAccount::from_row(b"\x05alice"), Ok(account));
        assert_eq!(StoredAccount::from_row(b"\0"), Ok(StoredAccount { handle: None, links: Vec::new() }));
    }

    #[test]
    fn a_row_that_is_cut_or_too_long_is_damaged() {
        for length in 0..200 {
            let row = vec![5; length];
            assert_eq!(signed_from(&row).is_ok(), length == 101);
            assert_eq!(one_time_from(1, &row).is_ok(), length == 33);
            assert!(last_resort_from(&row).is_err() && kyber_from(1, &row).is_err());
        }
        assert!(StoredAccount::from_row(b"").is_err());
        assert!(StoredAccount::from_row(b"\x05alic").is_err());
        assert!(id_of(&[1, 2, 3]).is_err());
    }
}
