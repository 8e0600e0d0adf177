//! What one batch will write, decided job by job. Each decision sees what those before it in the batch have done, and
//! stages either all of its rows or none.

use std::collections::{BTreeMap, HashMap};

use hushwire_proto::{
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
    limits::TOKENS_PER_MAILBOX_MAX,
    relay::{Delivery, TokenClass},
};
use rocksdb::{ColumnFamily, WriteBatch};

use super::{
    bodies::Bodies,
    keys::{self, Body, BodyId, DepositRow, EnvelopeHead, Hour, MailboxRow},
    known::Known,
    store::{Family, Store, damaged},
};
use crate::{
    metrics::{Holding, Metrics},
    queue::{AppendError, GrantError, Outcomes, Put, PutDoor, PutMany, RemoveError, StorageError, Swept},
    quota::{Rules, Used},
};

/// Envelopes, and rows of the time indexes, that one sweep looks at: some milliseconds of the writer's time.
const SWEEP_ROWS_MAX: u64 = 1024;

/// Removals up to here are a deletion each, which later reads step over cheaply; a longer one, after a device was
/// away, is one range. Each envelope is written once and deleted once, so that a single deletion is enough: what comes
/// and goes before its rows are written out leaves nothing.
const POINT_DELETIONS_MAX: u64 = 512;

/// What is true once the rows are written.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// For whoever waits for them.
    pub(super) arrived: Vec<(MailboxId, Delivery)>,
    pub(super) counted: Counted,
    /// Deposit ids of before this are forgotten.
    pub(super) forgets_before: Option<UnixMillis>,
}

/// For the metrics.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) came: Holding,
    pub(super) gone: Holding,
    pub(super) acknowledged: u64,
    pub(super) expired: u64,
}

/// What went of one mailbox in a sweep.
struct Expired {
    envelopes: u64,
    /// Nothing that is old is left.
    complete: bool,
}

/// Hundredths of the line from which on no mailbox is made: before deposits are refused, which is when it is full.
const MAILBOXES_SHED_AT: u64 = 75;

/// Rows to be written together.
pub(super) struct Batch<'a> {
    store: &'a Store,
    rules: &'a Rules,
    /// Nothing new.
    low: bool,
    /// No new mailboxes.
    crowded: bool,
    families: Families<'a>,
    writes: WriteBatch,
    known: &'a mut Known,
    deposits: HashMap<(MailboxId, DepositId), DepositRow>,
    mailboxes: Option<u64>,
    changes: Changes,
    bodies: Bodies,
    value: Vec<u8>,
}

/// Where rows go that are written all the time.
struct Families<'a> {
    mailboxes: &'a ColumnFamily,
    envelopes: &'a ColumnFamily,
    hours: &'a ColumnFamily,
    deposits: &'a ColumnFamily,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        store: &'a Store,
        rules: &'a Rules,
        metrics: &Metrics,
        known: &'a mut Known,
    ) -> Result<Self, StorageError> {
        known.begin();
        Ok(Self {
            store,
            rules,
            low: metrics.is_low(),
            crowded: metrics.pressure() >= MAILBOXES_SHED_AT,
            families: Families {
                mailboxes: store.family(Family::Mailboxes)?,
                envelopes: store.family(Family::Envelopes)?,
                hours: store.family(Family::EnvelopeHours)?,
                deposits: store.family(Family::Deposits)?,
            },
            writes: WriteBatch::default(),
            known,
            deposits: HashMap::new(),
            mailboxes: None,
            changes: Changes::default(),
            bodies: Bodies::default(),
            value: Vec::new(),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.writes.size_in_bytes()
    }

    /// Whether a removal up to there needs what is only in this batch, so that the store cannot be asked for it.
    pub(super) fn must_wait(&self, of: &MailboxId, through: Seq) -> bool {
        self.known.is_new(of, through)
            && (self.known.sum(of, through).is_none()
                || self.known.row(of).is_some_and(|row| row.shared > row.removed_through))
    }

    /// The rows, and what they change.
    pub(super) fn finish(mut self) -> Result<(WriteBatch, Changes), StorageError> {
        let (writes, mailboxes) = (&mut self.writes, self.families.mailboxes);
        self.known.finish(|id, row| writes.put_cf(mailboxes, id.as_bytes(), row.to_bytes()));
        if let Some(count) = self.mailboxes {
            self.writes.put(keys::MAILBOXES_KEY, count.to_be_bytes());
        }
        let (came, gone) = self.bodies.finish(self.store, &mut self.writes)?;
        self.changes.counted.came.body_bytes = came;
        self.changes.counted.gone.body_bytes = gone;
        Ok((self.writes, self.changes))
    }

    /// An unknown mailbox and a wrong token are the same lookup of one key that is not there: who asks cannot tell
    /// them apart by the time it takes.
    pub(super) fn append(&mut self, put: Put, now: UnixMillis) -> Result<Seq, AppendError> {
        self.put(put, None, now)
    }

    /// One after the other, as by [`Self::append`]; but what is sealed is written once.
    pub(super) fn append_many(&mut self, many: PutMany, body: BodyId, now: UnixMillis) -> Outcomes {
        let PutMany { envelope, doors } = many;
        let put = |PutDoor { mailbox, token, id }| Put { mailbox, token, id, envelope: envelope.clone() };
        doors.into_iter().map(|door| self.put(put(door), Some(body), now)).collect()
    }

    fn put(&mut self, put: Put, body: Option<BodyId>, now: UnixMillis) -> Result<Seq, AppendError> {
        let Put { mailbox, token, id, envelope } = put;
        let class = self.token(&mailbox, &token)?.ok_or(AppendError::NoSuchDoor)?;
        let mut row = self.mailbox(&mailbox)?.ok_or(AppendError::NoSuchDoor)?;
        if let Some(known) = self.deposit(&mailbox, &id)?
            && self.rules.remembers(known.first, now)
        {
            return Ok(known.seq);
        }
        if self.low {
            return Err(AppendError::NoSpace);
        }
        let bytes = u64::try_from(envelope.len()).unwrap_or(u64::MAX);
        self.rules.admit(row.used(), class, bytes)?;
        row.last = Seq(row.last.0.saturating_add(1));
        row.put = row.put.plus(class, bytes);
        self.value.clear();
        EnvelopeHead { stored_at: now, put: row.put }.write(&mut self.value);
        match body {
            None => self.value.extend_from_slice(envelope.bytes()),
            Some(id) => {
                self.bodies.keep(self.store, &mut self.writes, id, envelope.bytes())?;
                self.value.extend_from_slice(&id.0);
                row.shared = row.last;
            }
        }
        let hour = Hour::of(now);
        if row.hour != hour {
            row.hour = hour;
            self.writes.put_cf(self.families.hours, keys::envelope_hour(hour, &mailbox), []);
        }
        self.writes.put_cf(self.families.envelopes, keys::envelope(&mailbox, row.last), &self.value);
        let deposit = DepositRow { seq: row.last, first: now };
        self.writes.put_cf(self.families.deposits, keys::deposit(&mailbox, &id), deposit.to_bytes());

        let came = &mut self.changes.counted.came;
        came.envelopes = came.envelopes.saturating_add(1);
        came.bytes = came.bytes.saturating_add(bytes);
        if body.is_none() {
            came.own_bytes = came.own_bytes.saturating_add(bytes);
        }
        self.known.set_mailbox(mailbox, row);
        self.deposits.insert((mailbox, id), deposit);
        self.changes.arrived.push((mailbox, Delivery { seq: row.last, stored_at: now, envelope }));
        Ok(row.last)
    }

    /// Only where [`Self::must_wait`] is false.
    pub(super) fn remove(&mut self, of: MailboxId, through: Seq) -> Result<(), RemoveError> {
        let row = self.mailbox(&of)?;
        let last = row.map_or(Seq(0), |row| row.last);
        if through > last {
            return Err(RemoveError::NotGivenYet { through, last });
        }
        match row {
            Some(row) if through > row.removed_through => {
                let removed = self.remove_known(of, row, through)?;
                let acknowledged = &mut self.changes.counted.acknowledged;
                *acknowledged = acknowledged.saturating_add(removed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// How many it were.
    fn remove_known(&mut self, of: MailboxId, mut row: MailboxRow, through: Seq) -> Result<u64, StorageError> {
        let envelopes = self.families.envelopes;
        let put = match self.known.sum(&of, through) {
            Some(put) => put,
            None => self.store.head(&of, through)?.ok_or_else(|| damaged(Family::Envelopes))?.put,
        };
        let first = row.removed_through.0.saturating_add(1);
        let shared = match row.shared > row.removed_through {
            true => self.release(&of, Seq(first), through.min(row.shared), row.gone)?,
            false => 0,
        };
        let count = through.0.saturating_sub(row.removed_through.0);
        if count <= POINT_DELETIONS_MAX {
            for seq in first..=through.0 {
                self.writes.single_delete_cf(envelopes, keys::envelope(&of, Seq(seq)));
            }
        } else {
            let (from, to) = (Seq(first), Seq(through.0.saturating_add(1)));
            self.writes.delete_range_cf(envelopes, keys::envelope(&of, from), keys::envelope(&of, to));
        }
        let gone = &mut self.changes.counted.gone;
        gone.envelopes = gone.envelopes.saturating_add(count);
        let bytes = put.minus(row.gone).bytes;
        gone.bytes = gone.bytes.saturating_add(bytes);
        gone.own_bytes = gone.own_bytes.saturating_add(bytes.saturating_sub(shared));
        row.gone = put;
        row.removed_through = through;
        self.known.set_mailbox(of, row);
        Ok(count)
    }

    /// These are about to go, and before them what `gone` counts. Counted once all of them were read: where one cannot be, all
    /// of them stay. Returns the bytes of those that others have as well.
    fn release(&mut self, of: &MailboxId, from: Seq, through: Seq, gone: Used) -> Result<u64, StorageError> {
        let (mut ids, mut before) = (Vec::new(), gone);
        self.store.each_envelope(of, from, None, |seq, head, body| {
            if let Body::Shared(id) = body
                && seq <= through
            {
                ids.push((id, head.put.minus(before).bytes));
            }
            before = head.put;
            Ok(seq < through)
        })?;
        self.bodies.release(self.store, &ids)
    }

    pub(super) fn grant(&mut self, of: MailboxId, tokens: Vec<(TokenHash, TokenClass)>) -> Result<(), GrantError> {
        let family = self.store.family(Family::Tokens)?;
        let known = self.mailbox(&of)?;
        let mailboxes = match known {
            Some(_) => None,
            None => Some(self.mailboxes()?.saturating_add(1)),
        };
        if known.is_none() && self.low {
            return Err(GrantError::NoSpace);
        }
        if known.is_none() && self.crowded {
            return Err(StorageError::Busy.into());
        }
        if mailboxes.is_some_and(|count| count > self.rules.mailboxes_max) {
            return Err(GrantError::TooManyMailboxes);
        }
        let tokens: BTreeMap<TokenHash, TokenClass> = tokens.into_iter().collect();
        let mut row = known.unwrap_or_default();
        let mut new = Vec::new();
        for (hash, class) in tokens {
            let had = self.token(&of, &hash)?;
            row.tokens = row.tokens.saturating_add(had.is_none().into());
            if had != Some(class) {
                new.push((hash, class));
            }
        }
        if usize::try_from(row.tokens).unwrap_or(usize::MAX) > TOKENS_PER_MAILBOX_MAX {
            return Err(GrantError::TooManyTokens { limit: TOKENS_PER_MAILBOX_MAX });
        }
        for (hash, class) in new {
            self.writes.put_cf(family, keys::token(&of, &hash), [keys::class_to_byte(class)]);
            self.known.set_token(of, hash, Some(class));
        }
        if known != Some(row) {
            self.known.set_mailbox(of, row); // a device that says again what is known waits for no sync
        }
        let came = &mut self.changes.counted.came;
        came.mailboxes = came.mailboxes.saturating_add(mailboxes.is_some().into());
        self.mailboxes = mailboxes.or(self.mailboxes);
        Ok(())
    }

    pub(super) fn revoke(&mut self, of: MailboxId, mut hashes: Vec<TokenHash>) -> Result<(), StorageError> {
        let family = self.store.family(Family::Tokens)?;
        let Some(mut row) = self.mailbox(&of)? else { return Ok(()) };
        hashes.sort_unstable();
        hashes.dedup();
        let mut known = Vec::with_capacity(hashes.len());
        for hash in hashes {
            if self.token(&of, &hash)?.is_some() {
                known.push(hash);
            }
        }
        if known.is_empty() {
            return Ok(()); // whoever revokes what is not there waits for no sync
        }
        for hash in known {
            self.writes.delete_cf(family, keys::token(&of, &hash));
            self.known.set_token(of, hash, None);
            row.tokens = row.tokens.saturating_sub(1);
        }
        self.known.set_mailbox(of, row);
        Ok(())
    }

    /// Only in an empty batch.
    pub(super) fn expire(&mut self, now: UnixMillis) -> Result<Swept, StorageError> {
        let mut swept = Swept::default();
        self.writes.put(keys::TIME_KEY, now.0.to_be_bytes());
        self.changes.forgets_before = Some(self.rules.forgets_before(now));
        self.expire_envelopes(Hour::of(self.rules.expires_before(now)), &mut swept)?;
        self.changes.counted.expired = swept.envelopes;
        Ok(swept)
    }

    /// Envelopes of hours that are past as a whole. The hour's row goes with the last of them. A mailbox with damage in it
    /// keeps its rows and is passed over, so that it does not stop the others.
    fn expire_envelopes(&mut self, before: Hour, swept: &mut Swept) -> Result<(), StorageError> {
        let (store, hours) = (self.store, self.families.hours);
        let mut left = SWEEP_ROWS_MAX;
        store.each_key(Family::EnvelopeHours, before.0.to_be_bytes().to_vec(), |key| {
            let Some((_, mailbox)) = keys::parse_envelope_hour(key) else {
                let _ = damaged(Family::EnvelopeHours);
                self.writes.delete_cf(hours, key); // it names no mailbox
                return Ok(true);
            };
            if self.known.is_damaged(&mailbox) {
                return Ok(true);
            }
            if left == 0 {
                swept.more = true;
                return Ok(false);
            }
            left = left.saturating_sub(1);
            match self.expire_mailbox(mailbox, before, &mut left) {
                Ok(Expired { envelopes, complete }) => {
                    swept.envelopes = swept.envelopes.saturating_add(envelopes);
                    if complete {
                        self.writes.delete_cf(hours, key);
                    }
                    swept.more |= !complete;
                }
                Err(_) => self.known.set_damaged(mailbox),
            }
            Ok(true)
        })
    }

    /// At most `left` envelopes of it.
    fn expire_mailbox(&mut self, mailbox: MailboxId, before: Hour, left: &mut u64) -> Result<Expired, StorageError> {
        let row = self.mailbox(&mailbox)?.ok_or_else(|| damaged(Family::Mailboxes))?;
        let mut through = row.removed_through;
        let mut expired = Expired { envelopes: 0, complete: true };
        self.store.each_envelope(&mailbox, Seq(through.0.saturating_add(1)), None, |seq, head, _| {
            let is_old = Hour::of(head.stored_at) < before;
            expired.complete = !is_old || *left > 0;
            if !is_old || *left == 0 {
                return Ok(false);
            }
            (through, *left) = (seq, left.saturating_sub(1));
            expired.envelopes = expired.envelopes.saturating_add(1);
            Ok(true)
        })?;
        if through > row.removed_through {
            let _ = self.remove_known(mailbox, MailboxRow { expired_through: through, ..row }, through)?;
        }
        Ok(expired)
    }

    fn mailbox(&mut self, id: &MailboxId) -> Result<Option<MailboxRow>, StorageError> {
        self.known.mailbox(self.store, id)
    }

    fn token(&mut self, of: &MailboxId, hash: &TokenHash) -> Result<Option<TokenClass>, StorageError> {
        self.known.token(self.store, of, hash)
    }

    fn deposit(&self, of: &MailboxId, id: &DepositId) -> Result<Option<DepositRow>, StorageError> {
        match self.deposits.get(&(*of, *id)) {
            Some(row) => Ok(Some(*row)),
            None => self.store.deposit(of, id),
        }
    }

    fn mailboxes(&self) -> Result<u64, StorageError> {
        self.mailboxes.map_or_else(|| self.store.mailboxes(), Ok)
    }
}
