//! Who hears what is whispered to a mailbox: the drain that runs, as often as a token may be heard, and only while next to
//! nothing waits for its connection.
//!
//! Nothing here outlives the drain, and nothing is kept of a whisper.
//!
//! Spec: relay §9.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hushwire_proto::{
    frame::{Frame, RequestId},
    ids::{MailboxId, TokenHash},
    net::serve::Outbox,
    relay::{Push, Whispered},
};

use crate::{metrics::Unheard, rates::Spent};

/// One in so long for each token in the long run: somebody types, and stops again.
const EACH: Duration = Duration::from_millis(500);

/// What a token that was silent has saved up: ten at once.
const SAVED: Duration = Duration::from_secs(5);

/// Bytes that may wait for the connection before a whisper: a few of its kind. More waits only for a device that is slow, or
/// has much to fetch, and then messages come first.
const WAITING_BYTES_MAX: usize = 8 * 1024;

/// Tokens that are remembered before those that have paid are looked for.
const TOKENS_MIN: usize = 64;

/// One drain as one that is whispered to.
#[derive(Debug)]
pub(crate) struct Ear {
    mailbox: MailboxId,
    out: Outbox,
    began: Instant,
    spent: Mutex<ByToken>,
}

/// As many as the mailbox has granted, at most.
#[derive(Debug)]
struct ByToken {
    known: HashMap<TokenHash, Spent>,
    /// When to look for those that have paid.
    look_at: usize,
}

impl Ear {
    pub(crate) fn new(mailbox: MailboxId, out: Outbox) -> Self {
        let spent = ByToken { known: HashMap::new(), look_at: TOKENS_MIN };
        Self { mailbox, out, began: Instant::now(), spent: Mutex::new(spent) }
    }

    /// What came under a contact token of this mailbox.
    pub(crate) fn hear(&self, token: TokenHash, whispered: Whispered) -> Result<(), Unheard> {
        self.hear_at(token, whispered, self.began.elapsed())
    }

    fn hear_at(&self, token: TokenHash, whispered: Whispered, now: Duration) -> Result<(), Unheard> {
        debug_assert_eq!(whispered.mailbox, self.mailbox);
        self.spent().ask(token, now)?;
        let frame = Frame { id: RequestId::PUSH, payload: Push::Whispered(whispered).encode() };
        self.out.try_send_behind(WAITING_BYTES_MAX, frame).map_err(|_| Unheard::Busy)
    }

    fn spent(&self) -> MutexGuard<'_, ByToken> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner) // no step of a change can panic
    }
}

impl ByToken {
    fn ask(&mut self, token: TokenHash, now: Duration) -> Result<(), Unheard> {
        if self.known.len() >= self.look_at {
            self.known.retain(|_, spent| !spent.is_paid(now));
            self.look_at = TOKENS_MIN.max(self.known.len().saturating_mul(2));
        }
        let spent = self.known.entry(token).or_default();
        spent.ask(EACH, SAVED, 1, now).map_err(|_| Unheard::TooOften)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_proto::envelope::Envelope;

    use super::*;

    const BOB: MailboxId = MailboxId([7; 32]);
    const NOW: Duration = Duration::from_secs(100);

    fn whispered() -> Whispered {
        Whispered { mailbox: BOB, envelope: Envelope::new(vec![1; 512].into()).unwrap() }
    }

    fn token(n: u64) -> TokenHash {
        let mut hash = [0; 32];
        hash.iter_mut().zip(n.to_be_bytes()).for_each(|(to, byte)| *to = byte);
        TokenHash(hash)
    }

    #[tokio::test]
    async fn a_token_is_heard_ten_times_at_once_and_then_twice_in_a_second() {
        let (out, mut outgoing) = Outbox::channel(0);
        let ear = Ear::new(BOB, out);
        for _ in 0..10 {
            ear.hear_at(token(1), whispered(), NOW).unwrap();
            outgoing.next().await.unwrap();
        }
        assert_eq!(ear.hear_at(token(1), whispered(), NOW), Err(Unheard::TooOften));
        ear.hear_at(token(2), whispered(), NOW).unwrap();
        assert_eq!(ear.hear_at(token(1), whispered(), NOW + EACH / 2), Err(Unheard::TooOften));
        ear.hear_at(token(1), whispered(), NOW + EACH).unwrap();
    }

    #[tokio::test]
    async fn a_connection_for_which_something_waits_hears_nothing_until_it_has_left() {
        let (out, mut outgoing) = Outbox::channel(0);
        let ear = Ear::new(BOB, out);
        let heard = (0..100).take_while(|n| ear.hear_at(token(*n), whispered(), NOW).is_ok()).count();
        assert!((2..=20).contains(&heard), "{heard}");
        assert_eq!(ear.hear_at(token(200), whispered(), NOW), Err(Unheard::Busy));
        outgoing.next().await.unwrap();
        ear.hear_at(token(201), whispered(), NOW).unwrap();
        drop(outgoing);
        assert_eq!(ear.hear_at(token(202), whispered(), NOW), Err(Unheard::Busy));
    }

    #[test]
    fn tokens_that_are_silent_are_forgotten() {
        let mut spent = ByToken { known: HashMap::new(), look_at: TOKENS_MIN };
        for n in 0..10_000 {
            spent.ask(token(n), EACH * u32::try_from(n).unwrap()).unwrap();
        }
        assert!(spent.known.len() <= TOKENS_MIN, "{}", spent.known.len());
    }
}
