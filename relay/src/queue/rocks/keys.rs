//! The bytes of rows. Numbers are big-endian, so that rows of one mailbox lie in their order. What stands here is on
//! operators' disks: a change needs a new [`SCHEMA`] and code that reads the old one.
//!
//! | family | key | value |
//! |---|---|---|
//! | `default` | `schema`, `mailboxes`, `time` | `BE32` version; `BE64` how many mailboxes; `BE64` the relay's time |
//! | `mailboxes` | mailbox | [`MailboxRow`] |
//! | `mailboxes` | `last-batch`, `batches` | `BE64`: the number of the last batch; how many there are, one added by each |
//! | `tokens` | mailbox ‖ token hash | class: 1 request, 2 contact |
//! | `envelopes` | mailbox ‖ `BE64(seq)` | [`EnvelopeHead`] ‖ sealed bytes, or ‖ [`BodyId`] if many have it |
//! | `bodies` | [`BodyId`] | sealed bytes |
//! | `body-counts` | [`BodyId`] | [`BodyRow`] |
//! | `envelope-hours` | `BE32(hour)` ‖ mailbox | nothing: some envelope came in that hour |
//! | `deposits` | mailbox ‖ deposit id | [`DepositRow`] |
//!
//! Schema 1 had no bodies, and rows of mailboxes without [`MailboxRow::shared`]: they are read, and written as of today.
//! Schema 2 had a family [`HOURS_OF_DEPOSITS`] beside, which is dropped: deposits are forgotten as files are compacted.
//! Schema 3 had rows of bodies without their length.

use hushwire_proto::{
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
    relay::TokenClass,
};

use rocksdb::MergeOperands;

use crate::quota::Used;

/// The version of everything below.
pub(super) const SCHEMA: u32 = 4;

/// What can be read as well.
pub(super) const SCHEMAS_BEFORE: [u32; 3] = [1, 2, 3];

/// A family of earlier schemas.
pub(super) const HOURS_OF_DEPOSITS: &str = "deposit-hours";

pub(super) const SCHEMA_KEY: &[u8] = b"schema";
pub(super) const MAILBOXES_KEY: &[u8] = b"mailboxes";
pub(super) const TIME_KEY: &[u8] = b"time";
pub(super) const LAST_BATCH_KEY: &[u8] = b"last-batch";
pub(super) const BATCHES_KEY: &[u8] = b"batches";

const HOUR_MILLIS: u64 = 3_600_000;

/// Hours since 1970. 32 bits last half a million years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hour(pub(super) u32);

impl Hour {
    pub(super) fn of(time: UnixMillis) -> Self {
        Self(u32::try_from(time.0 / HOUR_MILLIS).unwrap_or(u32::MAX))
    }
}

/// What is known of a mailbox. `put` and `gone` count all that ever came and went; what is there is the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MailboxRow {
    /// The last number given. Numbers have no gaps in this engine.
    pub(super) last: Seq,
    /// Up to here everything is gone.
    pub(super) removed_through: Seq,
    pub(super) expired_through: Seq,
    pub(super) put: Used,
    pub(super) gone: Used,
    pub(super) tokens: u32,
    /// The last hour in `envelope-hours`.
    pub(super) hour: Hour,
    /// The last number whose body others have as well; 0: none.
    pub(super) shared: Seq,
}

/// The name of an envelope that many mailboxes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BodyId(pub(super) [u8; 16]);

/// Who has a body, and what it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BodyRow {
    /// Mailboxes that have it.
    pub(super) mailboxes: u64,
    /// Its length; 0: not known.
    pub(super) bytes: u32,
}

/// What a row of an envelope has behind its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// The sealed bytes.
    Own(&'a [u8]),
    /// Their name. No envelope has 16 bytes.
    Shared(BodyId),
}

impl<'a> Body<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        bytes.try_into().map_or(Self::Own(bytes), |id| Self::Shared(BodyId(id)))
    }
}

/// What stands before the sealed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EnvelopeHead {
    pub(super) stored_at: UnixMillis,
    /// [`MailboxRow::put`] with this envelope: what is gone once everything up to here is.
    pub(super) put: Used,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DepositRow {
    pub(super) seq: Seq,
    pub(super) first: UnixMillis,
}

impl MailboxRow {
    pub(super) fn used(&self) -> Used {
        self.put.minus(self.gone)
    }

    /// How many wait: numbers have no gaps.
    pub(super) fn envelopes(&self) -> u64 {
        self.last.0.saturating_sub(self.removed_through.0)
    }

    pub(super) fn to_bytes(self) -> [u8; 72] {
        let Self { last, removed_through, expired_through, put, gone, tokens, hour, shared } = self;
        joined(&[
            &last.0.to_be_bytes(),
            &removed_through.0.to_be_bytes(),
            &expired_through.0.to_be_bytes(),
            &put.to_bytes(),
            &gone.to_bytes(),
            &tokens.to_be_bytes(),
            &hour.0.to_be_bytes(),
            &shared.0.to_be_bytes(),
        ])
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let row = Self {
            last: Seq(rest.u64()?),
            removed_through: Seq(rest.u64()?),
            expired_through: Seq(rest.u64()?),
            put: rest.used()?,
            gone: rest.used()?,
            tokens: rest.u32()?,
            hour: Hour(rest.u32()?),
            shared: if rest.0.is_empty() { Seq(0) } else { Seq(rest.u64()?) },
        };
        rest.0.is_empty().then_some(row)
    }
}

impl BodyRow {
    pub(super) fn to_bytes(self) -> [u8; 12] {
        let Self { mailboxes, bytes } = self;
        joined(&[&mailboxes.to_be_bytes(), &bytes.to_be_bytes()])
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let row = Self { mailboxes: rest.u64()?, bytes: if rest.0.is_empty() { 0 } else { rest.u32()? } };
        rest.0.is_empty().then_some(row)
    }
}

impl EnvelopeHead {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let Self { stored_at, put } = self;
        out.extend_from_slice(&stored_at.0.to_be_bytes());
        out.extend_from_slice(&put.to_bytes());
    }

    /// The head, and the sealed bytes behind it.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = Reader(bytes);
        let head = Self { stored_at: UnixMillis(rest.u64()?), put: rest.used()? };
        Some((head, rest.0))
    }
}

impl DepositRow {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let Self { seq, first } = self;
        joined(&[&seq.0.to_be_bytes(), &first.0.to_be_bytes()])
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let row = Self { seq: Seq(rest.u64()?), first: UnixMillis(rest.u64()?) };
        rest.0.is_empty().then_some(row)
    }
}

/// Whether this row stands among the mailboxes and is none.
pub(super) fn is_count(key: &[u8]) -> bool {
    [LAST_BATCH_KEY, BATCHES_KEY].contains(&key)
}

/// `BE64` + `BE64` + …: what [`BATCHES_KEY`] is, of what each batch adds. `None` if one of them is damaged.
pub(super) fn sum(_: &[u8], known: Option<&[u8]>, added: &MergeOperands) -> Option<Vec<u8>> {
    let mut sum = 0_u64;
    for number in known.into_iter().chain(added) {
        sum = sum.checked_add(number.try_into().ok().map(u64::from_be_bytes)?)?;
    }
    Some(sum.to_be_bytes().to_vec())
}

pub(super) fn class_to_byte(class: TokenClass) -> u8 {
    match class {
        TokenClass::Request => 1,
        TokenClass::Contact => 2,
    }
}

pub(super) fn class_from(bytes: &[u8]) -> Option<TokenClass> {
    match bytes {
        [1] => Some(TokenClass::Request),
        [2] => Some(TokenClass::Contact),
        _ => None,
    }
}

pub(super) fn token(mailbox: &MailboxId, hash: &TokenHash) -> [u8; 64] {
    joined(&[mailbox.as_bytes(), hash.as_bytes()])
}

pub(super) fn envelope(mailbox: &MailboxId, seq: Seq) -> [u8; 40] {
    joined(&[mailbox.as_bytes(), &seq.0.to_be_bytes()])
}

pub(super) fn parse_envelope(key: &[u8]) -> Option<(MailboxId, Seq)> {
    let mut rest = Reader(key);
    let parsed = (MailboxId(rest.take()?), Seq(rest.u64()?));
    rest.0.is_empty().then_some(parsed)
}

pub(super) fn envelope_hour(hour: Hour, mailbox: &MailboxId) -> [u8; 36] {
    joined(&[&hour.0.to_be_bytes(), mailbox.as_bytes()])
}

pub(super) fn parse_envelope_hour(key: &[u8]) -> Option<(Hour, MailboxId)> {
    let mut rest = Reader(key);
    let parsed = (Hour(rest.u32()?), MailboxId(rest.take()?));
    rest.0.is_empty().then_some(parsed)
}

pub(super) fn deposit(mailbox: &MailboxId, id: &DepositId) -> [u8; 48] {
    joined(&[mailbox.as_bytes(), id.as_bytes()])
}

/// Parts of `N` bytes together, one behind the other.
fn joined<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut rest = &mut bytes[..];
    for part in parts {
        let Some((here, behind)) = std::mem::take(&mut rest).split_at_mut_checked(part.len()) else { break };
        here.copy_from_slice(part);
        rest = behind;
    }
    bytes
}

impl Used {
    fn to_bytes(self) -> [u8; 16] {
        joined(&[&self.bytes.to_be_bytes(), &self.request_bytes.to_be_bytes()])
    }
}

/// Takes fields off the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn used(&mut self) -> Option<Used> {
        Some(Used { bytes: self.u64()?, request_bytes: self.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: MailboxId = MailboxId([0xB0; 32]);
    const ROW: MailboxRow = MailboxRow {
        last: Seq(7),
        removed_through: Seq(3),
        expired_through: Seq(2),
        put: Used { bytes: 0x0102, request_bytes: 4 },
        gone: Used { bytes: 5, request_bytes: 6 },
        tokens: 8,
        hour: Hour(9),
        shared: Seq(6),
    };

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn keys_are_these_bytes() {
        let bob = "b0".repeat(32);
        let id = DepositId([0xD1; 16]);
        assert_eq!(hex(&token(&BOB, &TokenHash([0x70; 32]))), bob.clone() + &"70".repeat(32));
        assert_eq!(hex(&envelope(&BOB, Seq(0x0102))), bob.clone() + "0000000000000102");
        assert_eq!(hex(&envelope_hour(Hour(0x0A0B), &BOB)), "00000a0b".to_owned() + &bob);
        assert_eq!(hex(&deposit(&BOB, &id)), bob.clone() + &"d1".repeat(16));
    }

    #[test]
    fn values_are_these_bytes() {
        let row = "0000000000000007000000000000000300000000000000020000000000000102000000000000000400000000000000050000\
                   00000000000600000008000000090000000000000006";
        assert_eq!(hex(&ROW.to_bytes()), row);
        let mut head = Vec::new();
        EnvelopeHead { stored_at: UnixMillis(0x11), put: ROW.put }.write(&mut head);
        assert_eq!(hex(&head), "000000000000001100000000000001020000000000000004");
        let deposit = DepositRow { seq: Seq(3), first: UnixMillis(4) };
        assert_eq!(hex(&deposit.to_bytes()), "00000000000000030000000000000004");
        assert_eq!([class_to_byte(TokenClass::Request), class_to_byte(TokenClass::Contact)], [1, 2]);
        assert_eq!(Hour::of(UnixMillis(1_750_000_000_000)), Hour(486_111));
    }

    #[test]
    fn rows_are_read_back_as_they_were_and_nothing_else_is_a_row() {
        let bytes = ROW.to_bytes();
        assert_eq!(MailboxRow::parse(&bytes), Some(ROW));
        let of_schema_1 = bytes.split_last_chunk::<8>().and_then(|(row, _)| MailboxRow::parse(row));
        assert_eq!(of_schema_1, Some(MailboxRow { shared: Seq(0), ..ROW }));
        assert_eq!(Body::of(&[7; 16]), Body::Shared(BodyId([7; 16])));
        assert_eq!(Body::of(&[7; 512]), Body::Own(&[7; 512]));
        assert_eq!(bytes.split_last().and_then(|(_, short)| MailboxRow::parse(short)), None);
        assert_eq!(MailboxRow::parse(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(parse_envelope(&envelope(&BOB, Seq(9))), Some((BOB, Seq(9))));
        assert_eq!(parse_envelope_hour(&envelope_hour(Hour(9), &BOB)), Some((Hour(9), BOB)));
        let deposit = DepositRow { seq: Seq(3), first: UnixMillis(4) };
        assert_eq!(DepositRow::parse(&deposit.to_bytes()), Some(deposit));
        let classes = [&[1][..], &[2], &[3], &[]].map(class_from);
        assert_eq!(classes, [Some(TokenClass::Request), Some(TokenClass::Contact), None, None]);
    }

    #[test]
    fn rows_lie_in_the_order_of_their_numbers() {
        assert!(envelope(&BOB, Seq(255)) < envelope(&BOB, Seq(256)));
        assert!(envelope_hour(Hour(255), &MailboxId([0xFF; 32])) < envelope_hour(Hour(256), &MailboxId([0; 32])));
    }
}
