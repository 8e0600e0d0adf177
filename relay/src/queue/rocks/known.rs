//! What the writer remembers of mailboxes from one batch to the next, so that it need not read what it has just written.
//!
//! The writer alone changes these rows. So what is remembered is what the store has, or will have with the batch at hand.

use std::collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry};

use hushwire_proto::{
    ids::{MailboxId, Seq, TokenHash},
    relay::TokenClass,
};

use super::{keys::MailboxRow, store::Store};
use crate::{queue::StorageError, quota::Used};

/// Mailboxes, tokens and envelopes that are remembered together: some 10 MiB. Beyond, half of them are read anew.
const REMEMBERED_MAX: usize = 64 * 1024;

/// Envelopes of one mailbox: more than a device has unacknowledged as it keeps up.
const SUMS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Known {
    mailboxes: HashMap<MailboxId, Mailbox>,
    tokens: HashMap<(MailboxId, TokenHash), Option<TokenClass>>,
    /// Of all mailboxes.
    sums: usize,
    /// What the batch at hand writes.
    changed: Vec<MailboxId>,
    /// Mailboxes that no sweep looks at before the next start: something in them cannot be read. No stranger makes one.
    damaged: BTreeSet<MailboxId>,
}

#[derive(Debug)]
struct Mailbox {
    row: MailboxRow,
    /// The last number that is in the store.
    stored: Seq,
    changed: bool,
    /// [`MailboxRow::put`] as it was with each of the newest envelopes, up to the last.
    sums: VecDeque<Used>,
}

impl Known {
    /// Before a batch.
    pub(super) fn begin(&mut self) {
        while self.mailboxes.len().saturating_add(self.tokens.len()).saturating_add(self.sums) > REMEMBERED_MAX {
            self.forget_half();
        }
    }

    /// Every second one, in no order. All of them at once would be read anew all at once.
    fn forget_half(&mut self) {
        let mut second = true;
        let mut stays = move || {
            second = !second;
            second
        };
        self.tokens.retain(|_, _| stays());
        self.mailboxes.retain(|_, _| stays());
        self.sums = self.mailboxes.values().map(|mailbox| mailbox.sums.len()).sum();
    }

    /// The rows that the batch at hand changes. They are then as good as in the store.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&MailboxId, MailboxRow)) {
        for id in self.changed.drain(..) {
            if let Some(mailbox) = self.mailboxes.get_mut(&id) {
                each(&id, mailbox.row);
                (mailbox.changed, mailbox.stored) = (false, mailbox.row.last);
            }
        }
    }

    /// Said once for each.
    pub(super) fn set_damaged(&mut self, id: MailboxId) {
        tracing::error!("what is old in one mailbox does not expire, because of damage in it; others go on");
        self.damaged.insert(id);
    }

    pub(super) fn is_damaged(&self, id: &MailboxId) -> bool {
        self.damaged.contains(id)
    }

    pub(super) fn mailbox(&mut self, store: &Store, id: &MailboxId) -> Result<Option<MailboxRow>, StorageError> {
        if let Some(row) = self.row(id) {
            return Ok(Some(row));
        }
        let Some(row) = store.mailbox(id)? else { return Ok(None) };
        let mailbox = Mailbox { row, stored: row.last, changed: false, sums: VecDeque::new() };
        self.mailboxes.insert(*id, mailbox);
        Ok(Some(row))
    }

    /// The mailbox, if it is remembered.
    pub(super) fn row(&self, id: &MailboxId) -> Option<MailboxRow> {
        self.mailboxes.get(id).map(|mailbox| mailbox.row)
    }

    /// What the mailbox is from now on. An envelope came if its last number grew.
    pub(super) fn set_mailbox(&mut self, id: MailboxId, row: MailboxRow) {
        let mailbox = match self.mailboxes.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let stored = Seq(0);
                new.insert(Mailbox { row: MailboxRow::default(), stored, changed: false, sums: VecDeque::new() })
            }
        };
        let before = mailbox.sums.len();
        if row.last > mailbox.row.last {
            mailbox.sums.push_back(row.put);
        }
        let waiting = usize::try_from(row.envelopes()).unwrap_or(usize::MAX).min(SUMS_MAX);
        while mailbox.sums.len() > waiting {
            mailbox.sums.pop_front();
        }
        self.sums = self.sums.saturating_add(mailbox.sums.len()).saturating_sub(before);
        mailbox.row = row;
        if !mailbox.changed {
            mailbox.changed = true;
            self.changed.push(id);
        }
    }

    /// [`MailboxRow::put`] as it was with that envelope.
    pub(super) fn sum(&self, of: &MailboxId, seq: Seq) -> Option<Used> {
        let mailbox = self.mailboxes.get(of)?;
        let back = usize::try_from(mailbox.row.last.0.checked_sub(seq.0)?).ok()?;
        let index = mailbox.sums.len().checked_sub(back.checked_add(1)?)?;
        mailbox.sums.get(index).copied()
    }

    /// Whether that envelope came with the batch at hand.
    pub(super) fn is_new(&self, of: &MailboxId, seq: Seq) -> bool {
        self.mailboxes.get(of).is_some_and(|mailbox| mailbox.stored < seq && seq <= mailbox.row.last)
    }

    /// One lookup, whether it is the mailbox or the token that is not there; what is not there is not remembered.
    pub(super) fn token(
        &mut self,
        store: &Store,
        of: &MailboxId,
        hash: &TokenHash,
    ) -> Result<Option<TokenClass>, StorageError> {
        if let Some(class) = self.tokens.get(&(*of, *hash)) {
            return Ok(*class);
        }
        let class = store.token(of, hash)?;
        if class.is_some() {
            self.tokens.insert((*of, *hash), class);
        }
        Ok(class)
    }

    pub(super) fn set_token(&mut self, of: MailboxId, hash: TokenHash, class: Option<TokenClass>) {
        self.tokens.insert((of, hash), class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: MailboxId = MailboxId([7; 32]);

    fn row(last: u64, removed: u64) -> MailboxRow {
        let put = Used { bytes: last * 512, request_bytes: 0 };
        MailboxRow { last: Seq(last), removed_through: Seq(removed), put, ..MailboxRow::default() }
    }

    fn sum(known: &Known, seq: u64) -> Option<u64> {
        known.sum(&BOB, Seq(seq)).map(|used| used.bytes)
    }

    #[test]
    fn what_came_and_waits_has_its_sum_and_what_went_has_none() {
        let mut known = Known::default();
        (1..=5).for_each(|last| known.set_mailbox(BOB, row(last, 0)));
        assert_eq!((sum(&known, 1), sum(&known, 5), sum(&known, 6)), (Some(512), Some(2560), None));
        known.set_mailbox(BOB, row(5, 3));
        assert_eq!((sum(&known, 3), sum(&known, 4)), (None, Some(2048)));
        assert!(known.is_new(&BOB, Seq(4)) && !known.is_new(&BOB, Seq(6)));
        let mut written = Vec::new();
        known.finish(|id, row| written.push((*id, row)));
        assert_eq!(written, [(BOB, row(5, 3))]);
        assert!(!known.is_new(&BOB, Seq(5)));
        known.finish(|_, _| unreachable!("nothing changed since"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut known = Known::default();
        (1..=1000).for_each(|last| known.set_mailbox(BOB, row(last, 0)));
        assert_eq!((known.sums, sum(&known, 1000 - 256), sum(&known, 1000 - 255)), (SUMS_MAX, None, Some(745 * 512)));
        let hash = |n: usize| TokenHash(n.to_be_bytes().repeat(4).try_into().unwrap_or([0; 32]));
        (0..REMEMBERED_MAX).for_each(|n| known.set_token(BOB, hash(n), None));
        known.begin();
        assert_eq!(known.tokens.len(), REMEMBERED_MAX / 2, "half of it");
        let sums = known.mailboxes.values().map(|mailbox| mailbox.sums.len()).sum::<usize>();
        assert_eq!(known.sums, sums);
        known.begin();
        assert_eq!(known.tokens.len(), REMEMBERED_MAX / 2, "and nothing while there is room");
    }
}
