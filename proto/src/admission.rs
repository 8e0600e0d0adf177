//! Who may make an account at a keyserver: whoever did some work for it, or has an invite.
//!
//! Work is a number to be found: the hash over it, the keyserver, the account and a time begins with enough zero bits.
//! Finding it takes as many tries as the keyserver asks for, checking it one. It is for one account at one keyserver and
//! goes stale, so none of it can be saved up or sold on, and the keyserver remembers nothing.
//!
//! Spec: keyserver §3.8.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::address::Fingerprint;
use crate::ids::{AccountId, UnixMillis};
use crate::limits::{WORK_BITS_MAX, WORK_LIFETIME};
use crate::signing::{Label, Transcript};

/// Whom a keyserver takes as new accounts, as it says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewAccounts {
    /// Everyone who did this much work, in leading zero bits, or has an invite. 0: everyone.
    Open {
        /// At most [`WORK_BITS_MAX`].
        work_bits: u8,
    },
    /// Whoever has an invite.
    Invites,
    /// Nobody.
    Closed,
}

/// A proof of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// When it was begun, by the keyserver's clock.
    pub at: UnixMillis,
    /// What was found.
    pub nonce: u64,
}

/// What is to be found for one account at one keyserver, begun at one time.
#[derive(Clone)]
pub struct Task {
    at: UnixMillis,
    /// Has taken in everything but the number.
    begun: Sha256,
}

impl Task {
    /// What `account` has to find for the keyserver of this fingerprint.
    #[must_use]
    pub fn new(server: Fingerprint, account: AccountId, at: UnixMillis) -> Self {
        let begun = Transcript::new(Label::RegistrationWork)
            .part(&server.0)
            .part(account.as_bytes())
            .part(&at.0.to_be_bytes())
            .part(&[0; 8]); // the number's length, and then the number
        let bytes = begun.bytes();
        let before = bytes.split_last_chunk::<8>().map_or(bytes, |(before, _)| before);
        Self { at, begun: Sha256::new_with_prefix(before) }
    }

    /// Tries `tries` numbers from `from` on; the work, if one of them has so many zero bits.
    #[must_use]
    pub fn search(&self, bits: u8, from: u64, tries: u64) -> Option<Work> {
        let numbers = from..from.saturating_add(tries);
        numbers
            .into_iter()
            .find(|nonce| self.zero_bits(*nonce) >= u32::from(bits))
            .map(|nonce| Work { at: self.at, nonce })
    }

    fn zero_bits(&self, nonce: u64) -> u32 {
        let hash = self.begun.clone().chain_update(nonce.to_be_bytes()).finalize();
        let first = hash.first_chunk().copied().map(u64::from_be_bytes).unwrap_or(u64::MAX);
        first.leading_zeros()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Work {
    /// Whether this is `bits` of work for that account at that keyserver, begun a short time before `now` or, by a clock
    /// that runs ahead, after it. One hash.
    #[must_use]
    pub fn is_enough(self, server: Fingerprint, account: AccountId, bits: u8, now: UnixMillis) -> bool {
        let lifetime = u64::try_from(WORK_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let fresh = now.0.abs_diff(self.at.0) <= lifetime;
        fresh && Task::new(server, account, self.at).zero_bits(self.nonce) >= u32::from(bits)
    }
}

const _: () = assert!(WORK_BITS_MAX < 64);

/// What a new account shows so that it is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// What it did.
    pub work: Option<Work>,
    /// Instead of work, or where nobody is taken without one.
    pub invite: Option<Invite>,
}

/// A code that lets one person make one account. Whoever has it may use it: it is shown to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite(Zeroizing<[u8; Invite::LEN]>);

/// Not an invite: 24 letters and digits in groups of four, such as `abcd-efgh-2345-…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an invite is 24 letters and digits, in six groups of four")]
pub struct BadInvite;

impl Invite {
    /// 120 bits: nobody guesses one.
    pub const LEN: usize = 15;

    /// A new one.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        rng.fill_bytes(&mut bytes[..]);
        Self(bytes)
    }

    /// These bytes as one.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// What goes over the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// What a keyserver keeps of it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(Transcript::new(Label::Invite).part(&self.0[..]).bytes()).into()
    }

    /// As a person reads and types it.
    #[must_use]
    pub fn to_code(&self) -> Zeroizing<String> {
        let letters = Zeroizing::new(BASE32_NOPAD.encode(&self.0[..]).to_ascii_lowercase());
        let mut code = Zeroizing::new(String::with_capacity(29));
        for (place, letter) in letters.chars().enumerate() {
            if place > 0 && place % 4 == 0 {
                code.push('-');
            }
            code.push(letter);
        }
        code
    }
}

impl FromStr for Invite {
    type Err = BadInvite;

    /// Capitals, spaces and dashes are as good as none.
    fn from_str(code: &str) -> Result<Self, BadInvite> {
        let letters: Zeroizing<String> =
            Zeroizing::new(code.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect());
        let bytes = Zeroizing::new(BASE32_NOPAD.decode(letters.as_bytes()).map_err(|_| BadInvite)?);
        Ok(Self::from_bytes(bytes.as_slice().try_into().map_err(|_| BadInvite)?))
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invite(..)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SERVER: Fingerprint = Fingerprint([1; 32]);
    const ALICE: AccountId = AccountId([2; 32]);
    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    #[test]
    fn work_is_for_one_account_at_one_keyserver_and_goes_stale() {
        let work = Task::new(SERVER, ALICE, NOW).search(12, 0, u64::MAX).unwrap();
        assert!(work.is_enough(SERVER, ALICE, 12, NOW));
        assert!(work.is_enough(SERVER, ALICE, 3, NOW), "more than was asked for is enough");
        let lifetime = u64::try_from(WORK_LIFETIME.as_millis()).unwrap();
        assert!(work.is_enough(SERVER, ALICE, 12, NOW.plus(lifetime)));
        assert!(!work.is_enough(SERVER, ALICE, 12, NOW.plus(lifetime + 1)));
        assert!(!work.is_enough(SERVER, ALICE, 12, UnixMillis(NOW.0 - lifetime - 1)));
        assert!(!work.is_enough(Fingerprint([3; 32]), ALICE, 12, NOW));
        assert!(!work.is_enough(SERVER, AccountId([3; 32]), 12, NOW));
        assert!(!Work { at: NOW.plus(1), ..work }.is_enough(SERVER, ALICE, 12, NOW));
        assert!(!Work { nonce: work.nonce + 1, ..work }.is_enough(SERVER, ALICE, 12, NOW));
    }

    #[test]
    fn the_hash_is_over_the_transcript_that_the_specification_says() {
        let nonce = 0x0102_0304_0506_0708_u64;
        let whole = Transcript::new(Label::RegistrationWork)
            .part(&SERVER.0)
            .part(ALICE.as_bytes())
            .part(&NOW.0.to_be_bytes())
            .part(&nonce.to_be_bytes());
        let hash: [u8; 32] = Sha256::digest(whole.bytes()).into();
        let zeros = u64::from_be_bytes(*hash.first_chunk().unwrap()).leading_zeros();
        assert_eq!(Task::new(SERVER, ALICE, NOW).zero_bits(nonce), zeros);
    }

    #[test]
    fn a_search_ends_after_its_tries_and_can_go_on() {
        let task = Task::new(SERVER, ALICE, NOW);
        let whole = task.search(10, 0, u64::MAX).unwrap();
        let parts = (0..).step_by(64).find_map(|from| task.search(10, from, 64)).unwrap();
        assert_eq!(whole, parts);
        assert_eq!(task.search(10, 0, whole.nonce), None);
        assert_eq!(task.search(0, 7, 1), Some(Work { at: NOW, nonce: 7 }));
    }

    #[test]
    fn an_invite_reads_back_however_a_person_types_it_and_does_not_print_itself() {
        let invite = Invite::from_bytes(*b"fifteen bytes!!");
        let code = invite.to_code();
        assert_eq!(code.len(), 29);
        for typed in [code.to_string(), code.to_uppercase(), code.replace('-', " "), code.replace('-', "")] {
            assert_eq!(typed.parse(), Ok(invite.clone()), "{typed}");
        }
        for wrong in
            ["", "abcd", "abcd-efgh-ijkl-mnop-qrst-uvw", "abcd-efgh-ijkl-mnop-qrst-uvw1", &format!("{}a", *code)]
        {
            assert_eq!(wrong.parse::<Invite>(), Err(BadInvite), "{wrong}");
        }
        assert_eq!(format!("{invite:?}"), "Invite(..)");
        assert_ne!(invite.hash(), Invite::from_bytes([0; 15]).hash());
    }
}
