//! What a queue holds, for `hushwire-relay du`.

use serde::{Deserialize, Serialize};

use crate::{
    metrics::Holding,
    quota::{Rules, Used},
};

/// The smallest envelope: a mailbox with less room is full.
const SMALLEST: u64 = hushwire_proto::limits::ENVELOPE_CLASSES[0] as u64;

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
    /// Envelopes to many, stored once.
    pub shared_bodies: u64,
    /// Bytes of files on the disk; 0 without one.
    pub disk_bytes: u64,
}

impl Usage {
    /// The part that is watched all the time.
    pub(super) fn holding(&self) -> Holding {
        Holding { mailboxes: self.mailboxes, envelopes: self.envelopes, bytes: self.bytes }
    }

    /// One more mailbox.
    pub(super) fn count(&mut self, envelopes: u64, used: Used, tokens: u64, rules: &Rules) {
        let plus = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        plus(&mut self.mailboxes, 1);
        plus(&mut self.mailboxes_empty, u64::from(envelopes == 0));
        plus(&mut self.mailboxes_full, u64::from(used.bytes.saturating_add(SMALLEST) > rules.mailbox_bytes_max));
        plus(&mut self.envelopes, envelopes);
        plus(&mut self.bytes, used.bytes);
        plus(&mut self.bytes_of_requests, used.request_bytes);
        plus(&mut self.tokens, tokens);
    }
}
