//! How much a mailbox may hold and how long: arithmetic only, so that every engine decides alike.
//!
//! Spec: relay §5.

use std::time::Duration;

use hushwire_proto::{
    ids::UnixMillis,
    limits::{DEPOSIT_RETRY_WINDOW, MAILBOX_BYTES_MAX, MAILBOX_REQUEST_BYTES_MAX, RETENTION},
    relay::TokenClass,
};

/// Mailboxes of one relay unless its operator says otherwise. Whoever connects may make one, so there is an end.
/// Each costs some 300 bytes of disk, and 70 for every token.
pub const MAILBOXES_MAX: u64 = 100_000;

/// What the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Bytes of envelopes that one mailbox holds.
    pub mailbox_bytes_max: u64,
    /// Bytes of them that request tokens may fill.
    pub request_bytes_max: u64,
    /// Mailboxes of the relay.
    pub mailboxes_max: u64,
    /// How long an undelivered envelope is kept at least; an engine may take up to an hour more.
    pub retention: Duration,
    /// How long a deposit id is remembered.
    pub retry_window: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            mailbox_bytes_max: MAILBOX_BYTES_MAX,
            request_bytes_max: MAILBOX_REQUEST_BYTES_MAX,
            mailboxes_max: MAILBOXES_MAX,
            retention: RETENTION,
            retry_window: DEPOSIT_RETRY_WINDOW,
        }
    }
}

/// What a mailbox holds, in bytes of envelopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// All of it.
    pub bytes: u64,
    /// The part that came with request tokens.
    pub request_bytes: u64,
}

impl Used {
    /// With one more envelope.
    #[must_use]
    pub fn plus(self, class: TokenClass, bytes: u64) -> Self {
        let request = if class == TokenClass::Request { bytes } else { 0 };
        Self { bytes: self.bytes.saturating_add(bytes), request_bytes: self.request_bytes.saturating_add(request) }
    }

    /// Without what `gone` counts.
    #[must_use]
    pub fn minus(self, gone: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(gone.bytes),
            request_bytes: self.request_bytes.saturating_sub(gone.request_bytes),
        }
    }
}

/// Why an envelope finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The mailbox holds all that it may. Its owner must fetch.
    #[error("the mailbox is full until its owner has fetched")]
    Mailbox,
    /// Strangers have filled their share. A contact token still finds room.
    #[error("the share of the mailbox for first contacts is full until its owner has fetched")]
    Requests,
}

impl Rules {
    /// Whether a mailbox that holds `used` takes an envelope of `bytes` under a token of this class.
    ///
    /// # Errors
    /// [`Full`]; the mailbox itself is checked first.
    pub fn admit(&self, used: Used, class: TokenClass, bytes: u64) -> Result<Used, Full> {
        let then = used.plus(class, bytes);
        if then.bytes > self.mailbox_bytes_max {
            return Err(Full::Mailbox);
        }
        if class == TokenClass::Request && then.request_bytes > self.request_bytes_max {
            return Err(Full::Requests);
        }
        Ok(then)
    }

    /// Whether a deposit first made at `first` is still remembered. A clock that went back forgets nothing.
    #[must_use]
    pub fn remembers(&self, first: UnixMillis, now: UnixMillis) -> bool {
        now.since(first) <= millis(self.retry_window)
    }

    /// Envelopes stored before this are expired.
    #[must_use]
    pub fn expires_before(&self, now: UnixMillis) -> UnixMillis {
        UnixMillis(now.0.saturating_sub(millis(self.retention)))
    }

    /// Deposit ids of before this are forgotten.
    #[must_use]
    pub fn forgets_before(&self, now: UnixMillis) -> UnixMillis {
        UnixMillis(now.0.saturating_sub(millis(self.retry_window)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        mailbox_bytes_max: 4096,
        request_bytes_max: 1024,
        mailboxes_max: 1,
        retention: Duration::from_secs(10),
        retry_window: Duration::from_secs(5),
    };

    #[test]
    fn a_mailbox_is_filled_to_the_last_byte_and_no_further() {
        let used = Used { bytes: 3584, request_bytes: 0 };
        let full = RULES.admit(used, TokenClass::Contact, 512);
        assert_eq!(full, Ok(Used { bytes: 4096, request_bytes: 0 }));
        assert_eq!(RULES.admit(used, TokenClass::Contact, 1024), Err(Full::Mailbox));
    }

    #[test]
    fn strangers_fill_their_share_only_and_contacts_are_not_in_their_way() {
        let used = Used::default().plus(TokenClass::Request, 1024);
        assert_eq!(RULES.admit(used, TokenClass::Request, 512), Err(Full::Requests));
        assert!(RULES.admit(used, TokenClass::Contact, 512).is_ok());
        let contacts_only = Used { bytes: 2048, request_bytes: 0 };
        assert!(RULES.admit(contacts_only, TokenClass::Request, 1024).is_ok());
    }

    #[test]
    fn no_sum_overflows() {
        let most = Used { bytes: u64::MAX, request_bytes: u64::MAX };
        assert_eq!(RULES.admit(most, TokenClass::Request, 512), Err(Full::Mailbox));
        assert_eq!(Used::default().minus(most), Used::default());
    }

    #[test]
    fn a_clock_that_went_back_neither_expires_nor_forgets() {
        let (early, late) = (UnixMillis(1_000), UnixMillis(1_000_000));
        assert!(RULES.remembers(late, early));
        assert_eq!(RULES.expires_before(early), UnixMillis(0));
        assert_eq!(RULES.expires_before(late), UnixMillis(990_000));
        assert!(!RULES.remembers(early, late));
    }
}
