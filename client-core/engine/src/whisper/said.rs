//! What a whisper says, as bytes: a time and one of three things, filled up so that all of them look alike.
//!
//! Spec: envelope §7.

use hushwire_crypto::whisper::{OVERHEAD_BYTES, WhisperKey};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{AccountId, DeviceId, UnixMillis};
use hushwire_proto::limits::ENVELOPE_CLASSES;
use hushwire_proto::signing::{Label, Transcript};
use prost::Message as _;
use rand_core::CryptoRng;

use crate::types::Seen;

/// Bytes of what is said with its padding: every whisper is of the smallest class.
const SAID_BYTES: usize = ENVELOPE_CLASSES[0] - OVERHEAD_BYTES;

/// Ends what is said; zeros follow.
const PADDING_MARK: u8 = 0x80;

/// One whisper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// By its sender's clock; later than in each whisper before.
    pub(super) at: UnixMillis,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Somebody types to the reader, or has stopped.
    Typing(bool),
    /// Who asks answers the same question as well.
    AreYouThere,
    /// The answer.
    Here(Seen),
}

/// Between whom: bound to every whisper.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) from: (AccountId, DeviceId),
    pub(super) to: AccountId,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SaidWire {
    #[prost(uint64, tag = "1")]
    at_ms: u64,
    #[prost(oneof = "WhatWire", tags = "2, 3, 4")]
    what: Option<WhatWire>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum WhatWire {
    #[prost(bool, tag = "2")]
    Typing(bool),
    #[prost(bool, tag = "3")]
    AreYouThere(bool),
    /// 1: now, 2: within a day, 3: within a week, 4: does not say.
    #[prost(uint32, tag = "4")]
    Here(u32),
}

impl Said {
    /// Draws 12 bytes. `None` never happens: what is said is far shorter than the class.
    pub(super) fn seal(self, key: &WhisperKey, way: &Way, rng: &mut impl CryptoRng) -> Option<Envelope> {
        let what = match self.what {
            What::Typing(on) => WhatWire::Typing(on),
            What::AreYouThere => WhatWire::AreYouThere(true),
            What::Here(seen) => WhatWire::Here(code(seen)),
        };
        let mut bytes = SaidWire { at_ms: self.at.0, what: Some(what) }.encode_to_vec();
        bytes.push(PADDING_MARK);
        bytes.resize(SAID_BYTES, 0);
        Envelope::new(key.seal(&bytes, &way.about(), rng).into()).ok()
    }

    /// What was whispered on this way under this key, if it was, and is something that this version knows.
    pub(super) fn open(envelope: &Envelope, key: &WhisperKey, way: &Way) -> Option<Self> {
        let bytes = key.open(envelope.bytes(), &way.about())?;
        let end = bytes.iter().rposition(|byte| *byte != 0)?;
        let (said, rest) = bytes.split_at_checked(end)?;
        (rest.first() == Some(&PADDING_MARK)).then_some(())?;
        let said = SaidWire::decode(said).ok()?;
        let what = match said.what? {
            WhatWire::Typing(on) => What::Typing(on),
            WhatWire::AreYouThere(_) => What::AreYouThere,
            WhatWire::Here(code) => What::Here(seen(code)?),
        };
        Some(Self { at: UnixMillis(said.at_ms), what })
    }
}

impl Way {
    fn about(&self) -> Vec<u8> {
        let (account, device) = self.from;
        let way = Transcript::new(Label::Whisper).part(account.as_bytes()).part(&[device.get()]);
        way.part(self.to.as_bytes()).bytes().to_vec()
    }
}

/// A whisper from this device to this account under this key, sealed anew if it is one.
#[cfg(feature = "fuzz")]
pub fn reread(
    envelope: &Envelope,
    key: &WhisperKey,
    from: (AccountId, DeviceId),
    to: AccountId,
    rng: &mut impl CryptoRng,
) -> Option<Envelope> {
    let way = Way { from, to };
    Said::open(envelope, key, &way)?.seal(key, &way, rng)
}

fn code(seen: Seen) -> u32 {
    match seen {
        Seen::Now => 1,
        Seen::Today => 2,
        Seen::ThisWeek => 3,
        Seen::Hidden => 4,
    }
}

fn seen(of: u32) -> Option<Seen> {
    [Seen::Now, Seen::Today, Seen::ThisWeek, Seen::Hidden].into_iter().find(|seen| code(*seen) == of)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn all_whispers_have_one_size_and_come_back_on_their_way_only() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = WhisperKey::generate(&mut rng);
        let (alice, bob) = (AccountId([1; 32]), AccountId([2; 32]));
        let way = Way { from: (alice, DeviceId::FIRST), to: bob };
        let seen = [Seen::Now, Seen::Today, Seen::ThisWeek, Seen::Hidden].map(What::Here);
        for what in [What::Typing(true), What::Typing(false), What::AreYouThere].into_iter().chain(seen) {
            let said = Said { at: UnixMillis(u64::MAX), what };
            let envelope = said.seal(&key, &way, &mut rng).unwrap();
            assert_eq!(envelope.len(), 512);
            assert_eq!(Said::open(&envelope, &key, &way), Some(said));
            let others = [
                Way { from: (alice, DeviceId::new(2).unwrap()), ..way },
                Way { to: AccountId([3; 32]), ..way },
                Way { from: (bob, DeviceId::FIRST), to: alice },
            ];
            assert!(others.iter().all(|other| Said::open(&envelope, &key, other).is_none()));
        }
    }
}
