//! What one batch will write, decided job by job. Each decision sees what those before it in the batch have done, and
//! stages either all of its rows or none.

use std::collections::BTreeMap;

use hushwire_proto::{
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
    limits::TOKENS_PER_MAILBOX_MAX,
    relay::{Delivery, TokenClass},
};
use rocksdb::WriteBatch;

use super::{
    bodies::Bodies,
    keys::{self, Body, BodyId, DepositRow, EnvelopeHead, Hour, MailboxRow},
    store::{Family, Store},
};
use crate::{
    metrics::{Holding, Metrics},
    queue::{AppendError, GrantError, Outcomes, Put, PutDoor, PutMany, RemoveError, StorageError, Swept},
    quota::Rules,
};

/// Envelopes, and rows of the time indexes, that one sweep looks at: some milliseconds of the writer's time.
const SWEEP_ROWS_MAX: u64 = 1024;

/// Removals up to here are a deletion each, which later reads step over cheaply; a longer one, after a device was
/// away, is one range.
const POINT_DELETIONS_MAX: u64 = 512;

/// What is true once the rows are written.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// For whoever waits for them.
    pub(super) arrived: Vec<(MailboxId, Delivery)>,
    pub(super) counted: Counted,
}

/// For the metrics.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) came: Holding,
    pub(super) gone: Holding,
    pub(super) acknowledged: u64,
    pub(super) expired: u64,
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
    writes: WriteBatch,
    rows: BTreeMap<MailboxId, MailboxRow>,
    tokens: BTreeMap<(MailboxId, TokenHash), Option<TokenClass>>,
    deposits: BTreeMap<(MailboxId, DepositId), DepositRow>,
    mailboxes: Option<u64>,
    first_new: BTreeMap<MailboxId, Seq>,
    arrived: Vec<(MailboxId, Delivery)>,
    counted: Counted,
    bodies: Bodies,
    value: Vec<u8>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(store: &'a Store, rules: &'a Rules, metrics: &Metrics) -> Self {
        Self {
            store,
            rules,
            low: metrics.is_low(),
            crowded: metrics.pressure() >= MAILBOXES_SHED_AT,
            writes: WriteBatch::default(),
            rows: BTreeMap::new(),
            tokens: BTreeMap::new(),
            deposits: BTreeMap::new(),
            mailboxes: None,
            first_new: BTreeMap::new(),
            arrived: Vec::new(),
            counted: Counted::default(),
            bodies: Bodies::default(),
            value: Vec::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.writes.size_in_bytes()
    }

    /// Whether one of these envelopes is only in this batch, so that the store cannot be asked for it.
    pub(super) fn appends(&self, to: &MailboxId, through: Seq) -> bool {
        self.first_new.get(to).is_some_and(|first| *first <= through)
    }

    /// The rows, and what they change.
    pub(super) fn finish(mut self) -> Result<(WriteBatch, Changes), StorageError> {
        let family = self.store.family(Family::Mailboxes)?;
        for (id, row) in &self.rows {
            self.writes.put_cf(family, id.as_bytes(), row.to_bytes());
        }
        if let Some(count) = self.mailboxes {
            self.writes.put(keys::MAILBOXES_KEY, count.to_be_bytes());
        }
        self.bodies.finish(self.store, &mut self.writes)?;
        Ok((self.writes, Changes { arrived: self.arrived, counted: self.counted }))
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
        let [envelopes, hours, deposits, deposit_hours] =
            [Family::Envelopes, Family::EnvelopeHours, Family::Deposits, Family::DepositHours]
                .map(|family| self.store.family(family));
        let (envelopes, hours, deposits, deposit_hours) = (envelopes?, hours?, deposits?, deposit_hours?);

        row.last = Seq(row.last.0.saturating_add(1));
        row.put = row.put.plus(class, bytes);
        let hour = Hour::of(now);
        if row.hour != hour {
            row.hour = hour;
            self.writes.put_cf(hours, keys::envelope_hour(hour, &mailbox), []);
        }
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
        self.writes.put_cf(envelopes, keys::envelope(&mailbox, row.last), &self.value);
        let deposit = DepositRow { seq: row.last, first: now };
        self.writes.put_cf(deposits, keys::deposit(&mailbox, &id), deposit.to_bytes());
        self.writes.put_cf(deposit_hours, keys::deposit_hour(hour, &mailbox, &id), []);

        self.counted.came.envelopes = self.counted.came.envelopes.saturating_add(1);
        self.counted.came.bytes = self.counted.came.bytes.saturating_add(bytes);
        self.rows.insert(mailbox, row);
        self.first_new.entry(mailbox).or_insert(row.last);
        self.deposits.insert((mailbox, id), deposit);
        self.arrived.push((mailbox, Delivery { seq: row.last, stored_at: now, envelope }));
        Ok(row.last)
    }

    /// Only where [`Self::appends`] is false: the head of the last envelope to go is read from the store.
    pub(super) fn remove(&mut self, of: MailboxId, through: Seq) -> Result<(), RemoveError> {
        let row = self.mailbox(&of)?;
        let last = row.map_or(Seq(0), |row| row.last);
        if through > last {
            return Err(RemoveError::NotGivenYet { through, last });
        }
        match row {
            Some(row) if through > row.removed_through => {
                let removed = self.remove_known(of, row, through)?;
                self.counted.acknowledged = self.counted.acknowledged.saturating_add(removed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// How many it were.
    fn remove_known(&mut self, of: MailboxId, mut row: MailboxRow, through: Seq) -> Result<u64, StorageError> {
        let envelopes = self.store.family(Family::Envelopes)?;
        let head = self.store.head(&of, through)?.ok_or(StorageError::Failed)?;
        let first = row.removed_through.0.saturating_add(1);
        if row.shared > row.removed_through {
            self.release(&of, Seq(first), through.min(row.shared))?;
        }
        let count = through.0.saturating_sub(row.removed_through.0);
        if count <= POINT_DELETIONS_MAX {
            for seq in first..=through.0 {
                self.writes.delete_cf(envelopes, keys::envelope(&of, Seq(seq)));
            }
        } else {
            let (from, to) = (Seq(first), Seq(through.0.saturating_add(1)));
            self.writes.delete_range_cf(envelopes, keys::envelope(&of, from), keys::envelope(&of, to));
        }
        let gone = &mut self.counted.gone;
        gone.envelopes = gone.envelopes.saturating_add(count);
        gone.bytes = gone.bytes.saturating_add(head.put.minus(row.gone).bytes);
        row.gone = head.put;
        row.removed_through = through;
        self.rows.insert(of, row);
        Ok(count)
    }

    /// These are about to go.
    fn release(&mut self, of: &MailboxId, from: Seq, through: Seq) -> Result<(), StorageError> {
        let store = self.store;
        store.each_envelope(of, from, None, |seq, _, body| {
            if let Body::Shared(id) = body
                && seq <= through
            {
                self.bodies.release(store, id)?;
            }
            Ok(seq < through)
        })
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
        for hash in tokens.keys() {
            if self.token(&of, hash)?.is_none() {
                row.tokens = row.tokens.saturating_add(1);
            }
        }
        if usize::try_from(row.tokens).unwrap_or(usize::MAX) > TOKENS_PER_MAILBOX_MAX {
            return Err(GrantError::TooManyTokens { limit: TOKENS_PER_MAILBOX_MAX });
        }
        for (hash, class) in tokens {
            self.writes.put_cf(family, keys::token(&of, &hash), [keys::class_to_byte(class)]);
            self.tokens.insert((of, hash), Some(class));
        }
        self.rows.insert(of, row);
        self.counted.came.mailboxes = self.counted.came.mailboxes.saturating_add(mailboxes.is_some().into());
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
        for hash in known {
            self.writes.delete_cf(family, keys::token(&of, &hash));
            self.tokens.insert((of, hash), None);
            row.tokens = row.tokens.saturating_sub(1);
        }
        self.rows.insert(of, row);
        Ok(())
    }

    /// Only in an empty batch.
    pub(super) fn expire(&mut self, now: UnixMillis) -> Result<Swept, StorageError> {
        let mut swept = Swept::default();
        self.writes.put(keys::TIME_KEY, now.0.to_be_bytes());
        self.expire_envelopes(Hour::of(self.rules.expires_before(now)), &mut swept)?;
        self.forget_deposits(Hour::of(self.rules.forgets_before(now)), &mut swept)?;
        self.counted.expired = swept.envelopes;
        Ok(swept)
    }

    /// Envelopes of hours that are past as a whole. The hour's row goes with the last of them.
    fn expire_envelopes(&mut self, before: Hour, swept: &mut Swept) -> Result<(), StorageError> {
        let (store, hours) = (self.store, self.store.family(Family::EnvelopeHours)?);
        let mut left = SWEEP_ROWS_MAX;
        store.each_key(Family::EnvelopeHours, before.0.to_be_bytes().to_vec(), |key| {
            if left == 0 {
                swept.more = true;
                return Ok(false);
            }
            left = left.saturating_sub(1);
            let (_, mailbox) = keys::parse_envelope_hour(key).ok_or(StorageError::Failed)?;
            let Some(row) = self.mailbox(&mailbox)? else { return Err(StorageError::Failed) };
            let mut through = row.removed_through;
            let mut complete = true;
            store.each_envelope(&mailbox, Seq(through.0.saturating_add(1)), None, |seq, head, _| {
                let expired = Hour::of(head.stored_at) < before;
                complete = !expired || left > 0;
                if !expired || left == 0 {
                    return Ok(false);
                }
                (through, left) = (seq, left.saturating_sub(1));
                swept.envelopes = swept.envelopes.saturating_add(1);
                Ok(true)
            })?;
            if through > row.removed_through {
                let _ = self.remove_known(mailbox, MailboxRow { expired_through: through, ..row }, through)?;
            }
            if complete {
                self.writes.delete_cf(hours, key);
            }
            swept.more |= !complete;
            Ok(true)
        })
    }

    fn forget_deposits(&mut self, before: Hour, swept: &mut Swept) -> Result<(), StorageError> {
        let (store, hours) = (self.store, self.store.family(Family::DepositHours)?);
        let deposits = store.family(Family::Deposits)?;
        let mut left = SWEEP_ROWS_MAX;
        store.each_key(Family::DepositHours, before.0.to_be_bytes().to_vec(), |key| {
            if left == 0 {
                swept.more = true;
                return Ok(false);
            }
            left = left.saturating_sub(1);
            let (hour, mailbox, id) = keys::parse_deposit_hour(key).ok_or(StorageError::Failed)?;
            // The id may have been used anew since; that is remembered under its own hour.
            if self.deposit(&mailbox, &id)?.is_some_and(|known| Hour::of(known.first) == hour) {
                self.writes.delete_cf(deposits, keys::deposit(&mailbox, &id));
                swept.deposits = swept.deposits.saturating_add(1);
            }
            self.writes.delete_cf(hours, key);
            Ok(true)
        })
    }

    fn mailbox(&self, id: &MailboxId) -> Result<Option<MailboxRow>, StorageError> {
        match self.rows.get(id) {
            Some(row) => Ok(Some(*row)),
            None => self.store.mailbox(id),
        }
    }

    fn token(&self, of: &MailboxId, hash: &TokenHash) -> Result<Option<TokenClass>, StorageError> {
        match self.tokens.get(&(*of, *hash)) {
            Some(class) => Ok(*class),
            None => self.store.token(of, hash),
        }
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
