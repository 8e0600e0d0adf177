//! The database: how it is opened, and typed reads of its rows.
//!
//! Sized for small machines: some 100 MiB of memory whatever the number of mailboxes. Envelopes are ciphertext, so
//! they are not compressed; everything else is.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use hushwire_proto::{
    envelope::Envelope,
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
    limits::PUSH_ENVELOPES_MAX,
    relay::{Delivery, TokenClass},
};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, CompactionDecision, DB,
    DBCompressionType, DBPinnableSlice, DBRawIterator, DBRecoveryMode, LogLevel, Options, ReadOptions, Snapshot,
    WriteBatch, WriteOptions,
};

use super::{
    OpenError,
    keys::{self, Body, BodyId, BodyRow, DepositRow, EnvelopeHead, MailboxRow, SCHEMA, SCHEMAS_BEFORE},
};
use crate::{
    fail_points::{Step, reach},
    queue::{Page, StorageError, Usage},
    quota::Rules,
};

const MIB: usize = 1024 * 1024;

/// Blocks of all families that are kept uncompressed in memory.
const BLOCK_CACHE_BYTES: usize = 32 * MIB;

/// Unwritten rows of all families; the write-ahead log on disk has them too.
const WRITE_BUFFERS_BYTES: usize = 48 * MIB;

/// The write-ahead log, after which the families that hold it back are written out: what a restart must replay.
const LOG_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Open files. Far below what a system gives a process.
const OPEN_FILES_MAX: i32 = 512;

/// Bits of the Bloom filters: a hundredth of the lookups of what is not there touch the disk.
const BLOOM_BITS: f64 = 10.0;

/// What is read of a filter or an index at once.
const FILTER_PART_BYTES: usize = 4 * 1024;

/// The Bloom filter of rows not yet written out, as a part of the memory that they have: some ten bits for each.
const UNWRITTEN_BLOOM: f64 = 0.02;

/// A file in which this many of as many consecutive rows are deletions is compacted soon: a queue is mostly removals.
const DELETIONS: (usize, usize) = (4096, 2048);

/// Every file of deposits is compacted that often, so that ids of mailboxes that nobody writes to any more go as well.
const FORGET_SECONDS: u64 = 2 * 24 * 3600;

/// From when on deposit ids are remembered. Those of before are dropped as their files are compacted.
#[derive(Clone, Debug, Default)]
struct Forgotten(Arc<AtomicU64>);

impl Forgotten {
    fn before(&self) -> UnixMillis {
        UnixMillis(self.0.load(Relaxed))
    }
}

/// Where rows lie. Spec: the table in `keys.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Default,
    Mailboxes,
    Tokens,
    Envelopes,
    EnvelopeHours,
    Deposits,
    Bodies,
    BodyCounts,
}

impl Family {
    pub(super) const ALL: [Self; 8] = [
        Self::Default,
        Self::Mailboxes,
        Self::Tokens,
        Self::Envelopes,
        Self::EnvelopeHours,
        Self::Deposits,
        Self::Bodies,
        Self::BodyCounts,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mailboxes => "mailboxes",
            Self::Tokens => "tokens",
            Self::Envelopes => "envelopes",
            Self::EnvelopeHours => "envelope-hours",
            Self::Deposits => "deposits",
            Self::Bodies => "bodies",
            Self::BodyCounts => "body-counts",
        }
    }

    fn options(self, cache: &Cache, forgotten: &Forgotten) -> Options {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(cache);
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        let mut options = Options::default();
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_level_compaction_dynamic_level_bytes(true);
        if self == Self::Mailboxes {
            options.set_merge_operator_associative("sum", keys::sum);
        }
        options.add_compact_on_deletion_collector_factory(DELETIONS.0, DELETIONS.1, 0.5);
        match self {
            Self::Envelopes | Self::Bodies => {
                options.set_compression_type(DBCompressionType::None);
                options.set_write_buffer_size(16 * MIB);
                table.set_block_size(16 * 1024);
            }
            Self::Mailboxes | Self::Tokens => {
                options.set_write_buffer_size(8 * MIB);
                filter(&mut table);
            }
            Self::Deposits => {
                options.set_write_buffer_size(8 * MIB);
                filter(&mut table);
                // Each deposit asks whether its id is known, and nearly none is.
                options.set_memtable_whole_key_filtering(true);
                options.set_memtable_prefix_bloom_ratio(UNWRITTEN_BLOOM);
                let forgotten = forgotten.clone();
                options.set_compaction_filter("forgotten-deposits", move |_, _, row| match DepositRow::parse(row) {
                    Some(row) if row.first < forgotten.before() => CompactionDecision::Remove,
                    _ => CompactionDecision::Keep, // what is damaged is for whoever reads it
                });
                options.set_periodic_compaction_seconds(FORGET_SECONDS);
            }
            Self::Default | Self::EnvelopeHours | Self::BodyCounts => {
                options.set_write_buffer_size(4 * MIB);
            }
        }
        options.set_block_based_table_factory(&table);
        options
    }
}

/// Lookups of what is not there rarely touch rows. In parts, because the filters of millions of rows do not fit into the
/// memory that there is: a lookup then reads one page of a filter and not all of it.
fn filter(table: &mut BlockBasedOptions) {
    table.set_bloom_filter(BLOOM_BITS, false);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(FILTER_PART_BYTES);
    table.set_pin_top_level_index_and_filter(true);
}

/// The database with its families.
pub(super) struct Store {
    pub(super) db: DB,
    /// Batches that were ever written.
    pub(super) batches: AtomicU64,
    /// Errors of RocksDB's own work, as of the last batch.
    pub(super) errors: AtomicU64,
    forgotten: Forgotten,
}

impl Store {
    /// Opens or makes it.
    ///
    /// What follows the last complete record of the write-ahead log is dropped: a crash in the middle of a write
    /// leaves such a tail, and it was never acknowledged, because that comes after the sync. Damage anywhere else
    /// refuses to open: the other modes would drop acknowledged envelopes silently (point in time) or not start after
    /// every power cut (absolute). A log cut too short looks like a torn tail: that is what [`super::mark`] finds.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_paranoid_checks(true);
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_max_open_files(OPEN_FILES_MAX);
        options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES);
        options.set_max_total_wal_size(LOG_BYTES_MAX);
        options.set_bytes_per_sync(1024 * 1024);
        options.set_max_background_jobs(2);
        options.set_stats_dump_period_sec(0);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(MIB);
        options.set_log_level(LogLevel::Warn);
        let failed = |cause| OpenError::Database { path: path.to_owned(), cause };
        let (mut families, forgotten) = families();
        let there =
            if path.join("CURRENT").exists() { DB::list_cf(&options, path).map_err(failed)? } else { Vec::new() };
        let has_hours = there.iter().any(|family| family == keys::HOURS_OF_DEPOSITS);
        if has_hours {
            families.push(ColumnFamilyDescriptor::new(keys::HOURS_OF_DEPOSITS, Options::default()));
        }
        let db = DB::open_cf_descriptors(&options, path, families).map_err(|cause| match is_lock(&cause) {
            true => OpenError::InUse { path: path.to_owned() },
            false => failed(cause),
        })?;
        let mut store = Self { db, batches: AtomicU64::new(0), errors: AtomicU64::new(0), forgotten };
        store.check_schema(path)?;
        store.batches.store(store.check_whole(path)?, Relaxed);
        if has_hours {
            store.db.drop_cf(keys::HOURS_OF_DEPOSITS).map_err(failed)?;
        }
        Ok(store)
    }

    /// Opens what is there to be read, also while another process writes to it.
    pub(super) fn look(path: &Path) -> Result<Self, OpenError> {
        let mut options = Options::default();
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_log_level(LogLevel::Warn);
        let (families, forgotten) = families();
        let db = DB::open_cf_descriptors_read_only(&options, path, families, false)
            .map_err(|cause| OpenError::Database { path: path.to_owned(), cause })?;
        let store = Self { db, batches: AtomicU64::new(0), errors: AtomicU64::new(0), forgotten };
        store.check_whole(path)?;
        Ok(store)
    }

    /// How many batches were ever written, if none of them is gone. A log or a manifest of which a part is missing can
    /// look like a shorter one: RocksDB then opens without it. Rows of mailboxes that went so are noticed here; their
    /// envelopes, which lie in files of their own, by [`Self::page`].
    fn check_whole(&self, path: &Path) -> Result<u64, OpenError> {
        let count = |key| self.row(Family::Mailboxes, key, |bytes| bytes.try_into().ok().map(u64::from_be_bytes));
        let (written, found) = (count(keys::LAST_BATCH_KEY)?.unwrap_or(0), count(keys::BATCHES_KEY)?.unwrap_or(0));
        if written == found { Ok(written) } else { Err(OpenError::NotWhole { path: path.to_owned(), found, written }) }
    }

    fn check_schema(&self, path: &Path) -> Result<(), OpenError> {
        let failed = |cause| OpenError::Database { path: path.to_owned(), cause };
        match self.db.get(keys::SCHEMA_KEY).map_err(failed)? {
            Some(found) if found == SCHEMA.to_be_bytes() => Ok(()),
            old if old.as_ref().is_none_or(|old| SCHEMAS_BEFORE.iter().any(|known| *old == known.to_be_bytes())) => {
                reach(Step::Migrating);
                let mut batch = WriteBatch::default();
                batch.put(keys::SCHEMA_KEY, SCHEMA.to_be_bytes());
                self.db.write_opt(batch, &synced()).map_err(failed)
            }
            found => {
                let found = found.unwrap_or_default().try_into().map_or(u32::MAX, u32::from_be_bytes);
                Err(OpenError::Schema { path: path.to_owned(), found, known: SCHEMA })
            }
        }
    }

    /// Deposit ids of before this are of no use any more.
    pub(super) fn forget_deposits(&self, before: UnixMillis) {
        self.forgotten.0.store(before.0, Relaxed);
    }

    /// Grows with every write.
    pub(super) fn position(&self) -> u64 {
        self.db.latest_sequence_number()
    }

    pub(super) fn family(&self, family: Family) -> Result<&ColumnFamily, StorageError> {
        self.db.cf_handle(family.name()).ok_or(StorageError::Failed)
    }

    pub(super) fn mailboxes(&self) -> Result<u64, StorageError> {
        let count = self.row(Family::Default, keys::MAILBOXES_KEY, |bytes| bytes.try_into().ok())?;
        Ok(count.map_or(0, u64::from_be_bytes))
    }

    /// The last that was kept.
    pub(super) fn time(&self) -> Result<Option<UnixMillis>, StorageError> {
        let time = self.row(Family::Default, keys::TIME_KEY, |bytes| bytes.try_into().ok())?;
        Ok(time.map(|time| UnixMillis(u64::from_be_bytes(time))))
    }

    pub(super) fn mailbox(&self, id: &MailboxId) -> Result<Option<MailboxRow>, StorageError> {
        self.row(Family::Mailboxes, id.as_bytes(), MailboxRow::parse)
    }

    pub(super) fn token(&self, of: &MailboxId, hash: &TokenHash) -> Result<Option<TokenClass>, StorageError> {
        self.row(Family::Tokens, &keys::token(of, hash), keys::class_from)
    }

    pub(super) fn deposit(&self, of: &MailboxId, id: &DepositId) -> Result<Option<DepositRow>, StorageError> {
        self.row(Family::Deposits, &keys::deposit(of, id), DepositRow::parse)
    }

    pub(super) fn head(&self, of: &MailboxId, seq: Seq) -> Result<Option<EnvelopeHead>, StorageError> {
        self.row(Family::Envelopes, &keys::envelope(of, seq), |bytes| Some(EnvelopeHead::parse(bytes)?.0))
    }

    pub(super) fn body_row(&self, id: BodyId) -> Result<BodyRow, StorageError> {
        Ok(self.row(Family::BodyCounts, &id.0, BodyRow::parse)?.unwrap_or_default())
    }

    fn body(&self, id: BodyId, view: Option<&Snapshot<'_>>) -> Result<Option<DBPinnableSlice<'_>>, StorageError> {
        let mut options = ReadOptions::default();
        if let Some(view) = view {
            options.set_snapshot(view);
        }
        let found = self.db.get_pinned_cf_opt(self.family(Family::Bodies)?, id.0, &options);
        found.map_err(|error| unreadable(Family::Bodies, &error))
    }

    /// Spec: [`crate::queue::Queue::read`].
    pub(super) fn page(&self, of: &MailboxId, after: Seq, bytes: usize) -> Result<Page, StorageError> {
        let Some(row) = self.mailbox(of)? else { return Ok(Page::default()) }; // before the envelopes: see Page::last
        let gone = after.max(row.removed_through);
        let waiting = row.last.0.saturating_sub(gone.0);
        let mut page = Page { envelopes: Vec::new(), expired_through: row.expired_through, last: row.last, waiting };
        let from = Seq(gone.0.saturating_add(1));
        let (mut left, mut next, mut at_end) = (bytes, from, true);
        // What many have may go while this is read: then all of it is read as it was.
        let view = (row.shared >= from).then(|| self.db.snapshot());
        self.each_envelope(of, from, view.as_ref(), |seq, head, body| {
            if next < seq {
                self.must_be_gone(of, row.last.min(Seq(seq.0.saturating_sub(1))), next)?;
            }
            at_end = false; // unless it is given out
            let shared;
            let sealed = match body {
                Body::Own(sealed) => sealed,
                Body::Shared(id) => match self.body(id, view.as_ref())? {
                    Some(sealed) => {
                        shared = sealed;
                        &shared
                    }
                    None if seq > row.last => return Ok(false), // came and went since the row was read
                    None => return Err(damaged(Family::Bodies)),
                },
            };
            let rest = left.checked_sub(sealed.len()).filter(|_| page.envelopes.len() < PUSH_ENVELOPES_MAX);
            let Some(rest) = rest else { return Ok(false) };
            left = rest;
            let envelope = Envelope::new(sealed.to_vec().into()).map_err(|_| damaged(Family::Envelopes))?;
            page.envelopes.push(Delivery { seq, stored_at: head.stored_at, envelope });
            (next, at_end) = (Seq(seq.0.saturating_add(1)), true);
            Ok(true)
        })?;
        if at_end {
            self.must_be_gone(of, row.last, next)?;
        }
        Ok(page)
    }

    /// Numbers have no gaps: what is not there from `from` through `through` must have been removed since its mailbox was
    /// read, or it is lost.
    fn must_be_gone(&self, of: &MailboxId, through: Seq, from: Seq) -> Result<(), StorageError> {
        if from > through || self.mailbox(of)?.is_some_and(|row| row.removed_through >= through) {
            return Ok(());
        }
        Err(damaged(Family::Envelopes))
    }

    /// Counts what is there, mailbox by mailbox.
    pub(super) fn usage(&self, rules: &Rules) -> Result<Usage, StorageError> {
        let mut usage = Usage { disk_bytes: files(self.db.path()), ..Usage::default() };
        self.scan(Family::Mailboxes, &[], None, None, |key, value| {
            if keys::is_count(key) {
                return Ok(true);
            }
            let row = MailboxRow::parse(value).ok_or_else(|| damaged(Family::Mailboxes))?;
            usage.count(row.envelopes(), row.used(), row.tokens.into(), rules);
            Ok(true)
        })?;
        self.scan(Family::BodyCounts, &[], None, None, |_, value| {
            let row = BodyRow::parse(value).ok_or_else(|| damaged(Family::BodyCounts))?;
            usage.count_body(row.mailboxes, row.bytes.into());
            Ok(true)
        })?;
        Ok(usage)
    }

    /// The envelopes of a mailbox in their order, until `each` says enough.
    pub(super) fn each_envelope(
        &self,
        of: &MailboxId,
        from: Seq,
        view: Option<&Snapshot<'_>>,
        mut each: impl FnMut(Seq, EnvelopeHead, Body<'_>) -> Result<bool, StorageError>,
    ) -> Result<(), StorageError> {
        let end = keys::envelope(of, Seq(u64::MAX)).to_vec();
        self.scan(Family::Envelopes, &keys::envelope(of, from), Some(end), view, |key, value| {
            let parsed = keys::parse_envelope(key).zip(EnvelopeHead::parse(value));
            let ((_, seq), (head, sealed)) = parsed.ok_or_else(|| damaged(Family::Envelopes))?;
            each(seq, head, Body::of(sealed))
        })
    }

    /// The keys before `end` in their order, until `each` says enough.
    pub(super) fn each_key(
        &self,
        family: Family,
        end: Vec<u8>,
        mut each: impl FnMut(&[u8]) -> Result<bool, StorageError>,
    ) -> Result<(), StorageError> {
        self.scan(family, &[], Some(end), None, |key, _| each(key))
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        end: Option<Vec<u8>>,
        view: Option<&Snapshot<'_>>,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, StorageError>,
    ) -> Result<(), StorageError> {
        let mut options = ReadOptions::default();
        if let Some(end) = end {
            options.set_iterate_upper_bound(end);
        }
        if let Some(view) = view {
            options.set_snapshot(view);
        }
        let mut rows: DBRawIterator<'_> = self.db.raw_iterator_cf_opt(self.family(family)?, options);
        rows.seek(from);
        while let Some((key, value)) = rows.item() {
            if !each(key, value)? {
                return Ok(());
            }
            rows.next();
        }
        rows.status().map_err(|error| unreadable(family, &error))
    }

    fn row<T>(
        &self,
        family: Family,
        key: &[u8],
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StorageError> {
        let bytes = self.db.get_pinned_cf(self.family(family)?, key).map_err(|error| unreadable(family, &error))?;
        bytes.map(|bytes| parse(&bytes).ok_or_else(|| damaged(family))).transpose()
    }
}

/// Every family with its options, and what one of them forgets by.
fn families() -> (Vec<ColumnFamilyDescriptor>, Forgotten) {
    let (cache, forgotten) = (Cache::new_lru_cache(BLOCK_CACHE_BYTES), Forgotten::default());
    let options = |family: Family| ColumnFamilyDescriptor::new(family.name(), family.options(&cache, &forgotten));
    (Family::ALL.map(options).into(), forgotten)
}

/// Bytes of the files in a directory, as far as they can be seen: some come and go.
fn files(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

pub(super) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Whether another process, or this one, holds the database's lock file. RocksDB says it in words only.
fn is_lock(cause: &rocksdb::Error) -> bool {
    ["lock hold by current process", "While lock file"].iter().any(|words| cause.as_ref().contains(words))
}

/// Says which family, never which row: a mailbox id has no place in a log.
pub(super) fn damaged(family: Family) -> StorageError {
    tracing::error!(family = family.name(), "a row in the database is damaged");
    StorageError::Failed
}

fn unreadable(family: Family, error: &rocksdb::Error) -> StorageError {
    tracing::error!(family = family.name(), kind = ?error.kind(), "the database cannot be read");
    StorageError::Failed
}
