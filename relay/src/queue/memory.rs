//! The queue of tests and simulations: keeps the promise as long as the process lives.

use std::{
    collections::{BTreeMap, VecDeque},
    future::{self, Future},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hushwire_proto::{
    ids::{DepositId, MailboxId, Seq, TokenHash, UnixMillis},
    limits::TOKENS_PER_MAILBOX_MAX,
    relay::{Delivery, TokenClass},
};

use super::{
    AppendError, Arrivals, GrantError, Page, Put, Queue, RemoveError, StorageError, Swept, Usage, arrivals::Hub,
    fitting,
};
use crate::{
    metrics::{Holding, Metrics},
    quota::{Rules, Used},
};

/// A queue in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryQueue {
    rules: Rules,
    metrics: Arc<Metrics>,
    mailboxes: Arc<Mutex<BTreeMap<MailboxId, Mailbox>>>,
    hub: Hub,
}

#[derive(Debug, Default)]
struct Mailbox {
    doors: BTreeMap<TokenHash, TokenClass>,
    kept: VecDeque<(TokenClass, Delivery)>,
    used: Used,
    last: Seq,
    expired_through: Seq,
    deposits: BTreeMap<DepositId, (Seq, UnixMillis)>,
}

impl MemoryQueue {
    /// An empty one.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, metrics: Arc::default(), mailboxes: Arc::default(), hub: Hub::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MailboxId, Mailbox>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
    }

    fn append_now(&self, put: Put, now: UnixMillis) -> Result<Seq, AppendError> {
        let Put { mailbox: id, token, id: deposit, envelope } = put;
        let mut mailboxes = self.lock();
        let mailbox = mailboxes.get_mut(&id).ok_or(AppendError::NoSuchDoor)?;
        let class = *mailbox.doors.get(&token).ok_or(AppendError::NoSuchDoor)?;
        if let Some((seq, first)) = mailbox.deposits.get(&deposit)
            && self.rules.remembers(*first, now)
        {
            return Ok(*seq);
        }
        if self.metrics.is_low() {
            return Err(AppendError::NoSpace);
        }
        let bytes = bytes_of(envelope.len());
        mailbox.used = self.rules.admit(mailbox.used, class, bytes)?;
        mailbox.last = Seq(mailbox.last.0.saturating_add(1));
        mailbox.deposits.insert(deposit, (mailbox.last, now));
        let delivery = Delivery { seq: mailbox.last, stored_at: now, envelope };
        mailbox.kept.push_back((class, delivery.clone()));
        self.hub.publish(vec![(id, delivery)]);
        self.metrics.came(Holding { envelopes: 1, bytes, own_bytes: bytes, ..Holding::default() });
        Ok(mailbox.last)
    }

    fn read_now(&self, of: MailboxId, after: Seq, bytes: usize) -> Page {
        let mailboxes = self.lock();
        let Some(mailbox) = mailboxes.get(&of) else { return Page::default() };
        let from = mailbox.kept.partition_point(|(_, delivery)| delivery.seq <= after);
        let rest = || mailbox.kept.iter().skip(from).map(|(_, delivery)| delivery);
        let envelopes = rest().take(fitting(rest(), bytes)).cloned().collect();
        let waiting = bytes_of(rest().count());
        Page { envelopes, expired_through: mailbox.expired_through, last: mailbox.last, waiting }
    }

    fn remove_now(&self, of: MailboxId, through: Seq) -> Result<(), RemoveError> {
        let mut mailboxes = self.lock();
        let last = mailboxes.get(&of).map_or(Seq(0), |mailbox| mailbox.last);
        if through > last {
            return Err(RemoveError::NotGivenYet { through, last });
        }
        if let Some(mailbox) = mailboxes.get_mut(&of) {
            while mailbox.kept.front().is_some_and(|(_, oldest)| oldest.seq <= through) {
                self.metrics.went(mailbox.drop_oldest());
                self.metrics.acknowledged.add(1);
            }
        }
        Ok(())
    }

    fn grant_now(&self, of: MailboxId, tokens: Vec<(TokenHash, TokenClass)>) -> Result<(), GrantError> {
        let mut mailboxes = self.lock();
        let known = mailboxes.get(&of);
        let new = known.is_none();
        if new && self.metrics.is_low() {
            return Err(GrantError::NoSpace);
        }
        if new && bytes_of(mailboxes.len()) >= self.rules.mailboxes_max {
            return Err(GrantError::TooManyMailboxes);
        }
        let mut doors = known.map(|mailbox| mailbox.doors.clone()).unwrap_or_default();
        doors.extend(tokens);
        if doors.len() > TOKENS_PER_MAILBOX_MAX {
            return Err(GrantError::TooManyTokens { limit: TOKENS_PER_MAILBOX_MAX });
        }
        mailboxes.entry(of).or_default().doors = doors;
        self.metrics.came(Holding { mailboxes: u64::from(new), ..Holding::default() });
        Ok(())
    }

    fn revoke_now(&self, of: MailboxId, hashes: &[TokenHash]) {
        if let Some(mailbox) = self.lock().get_mut(&of) {
            mailbox.doors.retain(|hash, _| !hashes.contains(hash));
        }
    }

    fn expire_now(&self, now: UnixMillis) -> Swept {
        let before = self.rules.expires_before(now);
        let mut swept = Swept::default();
        for mailbox in self.lock().values_mut() {
            while let Some((_, oldest)) = mailbox.kept.front()
                && oldest.stored_at < before
            {
                mailbox.expired_through = oldest.seq;
                self.metrics.went(mailbox.drop_oldest());
                swept.envelopes = swept.envelopes.saturating_add(1);
            }
            mailbox.deposits.retain(|_, (_, first)| self.rules.remembers(*first, now));
        }
        self.metrics.expired.add(swept.envelopes);
        swept
    }
}

impl Mailbox {
    /// What is gone now.
    fn drop_oldest(&mut self) -> Holding {
        let Some((class, gone)) = self.kept.pop_front() else { return Holding::default() };
        let bytes = bytes_of(gone.envelope.len());
        self.used = self.used.minus(Used::default().plus(class, bytes));
        Holding { envelopes: 1, bytes, own_bytes: bytes, ..Holding::default() }
    }
}

impl Queue for MemoryQueue {
    fn rules(&self) -> &Rules {
        &self.rules
    }

    fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    fn usage(&self) -> impl Future<Output = Result<Usage, StorageError>> + Send + 'static {
        let mut usage = Usage::default();
        for mailbox in self.lock().values() {
            usage.count(bytes_of(mailbox.kept.len()), mailbox.used, bytes_of(mailbox.doors.len()), &self.rules);
        }
        future::ready(Ok(usage))
    }

    fn append_then(&self, put: Put, now: UnixMillis, then: impl FnOnce(Result<Seq, AppendError>) + Send + 'static) {
        then(self.append_now(put, now));
    }

    fn read(
        &self,
        of: MailboxId,
        after: Seq,
        bytes: usize,
    ) -> impl Future<Output = Result<Page, StorageError>> + Send + 'static {
        future::ready(Ok(self.read_now(of, after, bytes)))
    }

    fn arrivals(&self, of: MailboxId) -> Arrivals {
        self.hub.arrivals(of)
    }

    fn door(
        &self,
        of: MailboxId,
        token: TokenHash,
    ) -> impl Future<Output = Result<Option<TokenClass>, StorageError>> + Send + 'static {
        let class = self.lock().get(&of).and_then(|mailbox| mailbox.doors.get(&token).copied());
        future::ready(Ok(class))
    }

    fn remove_then(&self, of: MailboxId, through: Seq, then: impl FnOnce(Result<(), RemoveError>) + Send + 'static) {
        then(self.remove_now(of, through));
    }

    fn grant(
        &self,
        of: MailboxId,
        tokens: Vec<(TokenHash, TokenClass)>,
    ) -> impl Future<Output = Result<(), GrantError>> + Send + 'static {
        future::ready(self.grant_now(of, tokens))
    }

    fn revoke(
        &self,
        of: MailboxId,
        hashes: Vec<TokenHash>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send + 'static {
        self.revoke_now(of, &hashes);
        future::ready(Ok(()))
    }

    fn expire(&self, now: UnixMillis) -> impl Future<Output = Result<Swept, StorageError>> + Send + 'static {
        future::ready(Ok(self.expire_now(now)))
    }

    fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        future::pending()
    }
}

fn bytes_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::contract, *};

    struct Memory;

    impl contract::Engine for Memory {
        type Queue = MemoryQueue;

        fn start(rules: Rules) -> (Self, MemoryQueue) {
            (Self, MemoryQueue::new(rules))
        }

        fn restart(&self, queue: MemoryQueue) -> MemoryQueue {
            queue // there is nothing to come back to
        }
    }

    contract::facts!(Memory);
}
