//! What a queue holds, for `hushwire-relay du`.

use serde::{Deserialize, Serialize};

use crate::{
    metrics::Holding,
    quota::{Rules, Used},
};

/// The smallest envelope: a mailbox with less room is full.
const SMALLEST: u64 = hushwire_proto::limits::ENVELOPE_CLASSES[0] as u64;

/// The largest.
const LARGEST: u64 = hushwire_proto::limits::ENVELOPE_BYTES_MAX as u64;

/// Mailboxes, envelopes and bytes, all together: of no single mailbox anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All of them.
    pub mailboxes: u64,
    /// Those in which nothing waits.
    pub mailboxes_empty: u64,
    /// Those that take nothing more until their owner has fetched.
    pub mailboxes_full: u64,
    /// Envelopes that wait.
    pub envelopes: u64,
    /// Their bytes, as the quotas count them.
    pub bytes: u64,
    /// The part that strangers sent.
    pub bytes_of_requests: u64,
    /// Tokens that are granted.
    pub tokens: u64,
    /// The part that one mailbox alone has.
    pub own_bytes: u64,
    /// Envelopes to many, stored once.
    pub shared_bodies: u64,
    /// Their bytes, each once.
    pub body_bytes: u64,
    /// Bytes of files on the disk; 0 without one.
    pub disk_bytes: u64,
}

impl Usage {
    /// The part that is watched all the time.
    pub(super) fn holding(&self) -> Holding {
        let Self { mailboxes, envelopes, bytes, own_bytes, body_bytes, .. } = *self;
        Holding { mailboxes, envelopes, bytes, own_bytes, body_bytes }
    }

    /// One more mailbox.
    pub(super) fn count(&mut self, envelopes: u64, used: Used, tokens: u64, rules: &Rules) {
        let plus = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        plus(&mut self.mailboxes, 1);
        plus(&mut self.mailboxes_empty, u64::from(envelopes == 0));
        plus(&mut self.mailboxes_full, u64::from(used.bytes.saturating_add(SMALLEST) > rules.mailbox_bytes_max));
        plus(&mut self.envelopes, envelopes);
        plus(&mut self.bytes, used.bytes);
        plus(&mut self.own_bytes, used.bytes);
        plus(&mut self.bytes_of_requests, used.request_bytes);
        plus(&mut self.tokens, tokens);
    }

    /// One more body of so many bytes, which mailboxes that are counted have. If its length is not known (0) they are taken to have
    /// it for themselves: too much is better than to look for what is not gone.
    pub(super) fn count_body(&mut self, mailboxes: u64, bytes: u64) {
        self.shared_bodies = self.shared_bodies.saturating_add(1);
        self.body_bytes = self.body_bytes.saturating_add(stored(bytes));
        self.own_bytes = self.own_bytes.saturating_sub(mailboxes.saturating_mul(bytes));
    }
}

/// What a body of this length is taken to be on the disk: of one whose length is not known (0) the most.
pub(super) fn stored(bytes: u64) -> u64 {
    if bytes == 0 { LARGEST } else { bytes }
}
