//! The bytes of contents: protobuf, and what makes them one.

use hushwire_crypto::whisper::WhisperKey;
use hushwire_proto::ids::{AccountId, ChangeHash, DeviceId, GroupId, MessageId, Token, UnixMillis};
use hushwire_proto::limits::TEXT_BYTES_MAX;
use prost::Message as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::fields::{
    AgainWire, BodyWire, ContentWire, EditWire, GroupAskWire, GroupChangesWire, GroupInvitationWire, GroupKeyWire,
    IntroductionWire, PinWire, PlainWire, ProvenWire, ReactWire, ReceiptWire, ReferenceWire, SaidWire, TakeBackWire,
    TextWire, TimerWire, WhatWire,
};
use super::{
    Again, BadContent, CHANGES_BYTES_MAX, CHANGES_MAX, Content, EMOJI_BYTES_MAX, GroupAsk, GroupChanges,
    GroupInvitation, GroupKey, HEADS_MAX, Introduction, MEMBERS_TOLD_MAX, MENTIONS_MAX, Plain, RECEIPTS_MAX, Receipt,
    Reference, Said, TIMER_S_MAX, Text, What,
};
use crate::group::is_group_name;

/// The largest counter and Lamport time: what the database can hold. No conversation comes near it.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// The longest claimed handle, in bytes.
const CLAIMED_HANDLE_BYTES_MAX: usize = 300;

/// The longest sender key distribution message, in bytes. Spec: signal-wire §5.
const SENDER_KEY_BYTES_MAX: usize = 256;

impl Plain {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let introduction = self.introduction.as_ref().map(|introduction| IntroductionWire {
            token: introduction.token.as_ref().map(|token| token.expose().to_vec()).unwrap_or_default(),
            handle: introduction.handle.clone().unwrap_or_default(),
            whisper_key: introduction.whisper_key.as_ref().map(|key| key.expose().to_vec()).unwrap_or_default(),
        });
        let mut wire = PlainWire { content: self.content.to_vec(), introduction };
        let bytes = Zeroizing::new(wire.encode_to_vec());
        wire.content.zeroize();
        if let Some(introduction) = &mut wire.introduction {
            introduction.token.zeroize();
            introduction.whisper_key.zeroize();
        }
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadContent> {
        let plain = PlainWire::decode(bytes).map_err(|_| BadContent)?;
        let introduction = plain
            .introduction
            .map(|introduction| {
                if introduction.handle.len() > CLAIMED_HANDLE_BYTES_MAX {
                    return Err(BadContent);
                }
                Ok(Introduction {
                    token: match introduction.token.as_slice() {
                        [] => None,
                        token => Some(Token::from_slice(token).ok_or(BadContent)?),
                    },
                    handle: Some(introduction.handle).filter(|handle| !handle.is_empty()),
                    whisper_key: match introduction.whisper_key.as_slice() {
                        [] => None,
                        key => Some(WhisperKey::from_slice(key).ok_or(BadContent)?),
                    },
                })
            })
            .transpose()?;
        Ok(Self { content: Zeroizing::new(plain.content), introduction })
    }
}

impl Content {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let group_bytes = |group: &Option<GroupId>| group.map(|group| group.as_bytes().to_vec()).unwrap_or_default();
        let mut wire = ContentWire {
            body: Some(match self {
                Self::Said(said) => BodyWire::Said(said.wire()),
                Self::Receipt(receipt) => BodyWire::Receipt(ReceiptWire {
                    author: receipt.author.get().into(),
                    delivered: receipt.delivered.clone(),
                    read_through: receipt.read_through,
                    group: group_bytes(&receipt.group),
                }),
                Self::Again(again) => BodyWire::Again(AgainWire {
                    group: group_bytes(&again.group),
                    device: again.device.get().into(),
                    asks: again.asks,
                    heard: again.heard.map_or(0, |(counter, _)| counter),
                    hash: again.heard.map(|(_, hash)| hash.to_vec()).unwrap_or_default(),
                }),
                Self::GroupKey(key) => BodyWire::GroupKey(GroupKeyWire {
                    group: key.group.as_bytes().to_vec(),
                    key: key.key.to_vec(),
                    secret: key.secret.to_vec(),
                    heads: key.heads.iter().map(|head| head.as_bytes().to_vec()).collect(),
                    lamport: key.lamport,
                    said_counter: key.said.map_or(0, |(counter, _)| counter),
                    said_hash: key.said.map(|(_, hash)| hash.to_vec()).unwrap_or_default(),
                }),
                Self::GroupChanges(changes) => BodyWire::GroupChanges(GroupChangesWire {
                    group: changes.group.as_bytes().to_vec(),
                    changes: changes
                        .changes
                        .iter()
                        .map(|(change, chain)| ProvenWire { change: change.clone(), chain: chain.clone() })
                        .collect(),
                }),
                Self::GroupAsk(ask) => BodyWire::GroupAsk(GroupAskWire {
                    group: ask.group.as_bytes().to_vec(),
                    heads: ask.heads.iter().map(|head| head.as_bytes().to_vec()).collect(),
                }),
                Self::GroupInvitation(told) => BodyWire::GroupInvitation(GroupInvitationWire {
                    group: told.group.as_bytes().to_vec(),
                    name: told.name.clone(),
                    members: told.members,
                    some: told.some.iter().flat_map(|account| account.0).collect(),
                    since: told.since.as_bytes().to_vec(),
                    height: told.height,
                }),
            }),
        };
        let bytes = Zeroizing::new(wire.encode_to_vec());
        if let Some(BodyWire::GroupKey(key)) = &mut wire.body {
            key.key.zeroize();
            key.secret.zeroize();
        }
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadContent> {
        Ok(match ContentWire::decode(bytes).map_err(|_| BadContent)?.body.ok_or(BadContent)? {
            BodyWire::Said(said) => Self::Said(Said::parse(said)?),
            BodyWire::Receipt(receipt) => {
                if receipt.delivered.len() > RECEIPTS_MAX {
                    return Err(BadContent);
                }
                Self::Receipt(Receipt {
                    group: perhaps_group(&receipt.group)?,
                    author: DeviceId::new(receipt.author).ok_or(BadContent)?,
                    delivered: receipt.delivered,
                    read_through: receipt.read_through,
                })
            }
            BodyWire::Again(again) => Self::Again(Again {
                group: perhaps_group(&again.group)?,
                device: DeviceId::new(again.device).ok_or(BadContent)?,
                asks: again.asks,
                heard: place(again.heard, &again.hash)?,
            }),
            BodyWire::GroupKey(wire) => {
                let (key, secret) = (Zeroizing::new(wire.key), Zeroizing::new(wire.secret));
                if key.len() > SENDER_KEY_BYTES_MAX || wire.lamport > NUMBER_MAX {
                    return Err(BadContent);
                }
                let secret = Zeroizing::new(secret.as_slice().try_into().map_err(|_| BadContent)?);
                Self::GroupKey(GroupKey {
                    group: group(&wire.group)?,
                    key,
                    secret,
                    heads: heads(&wire.heads)?,
                    lamport: wire.lamport,
                    said: place(wire.said_counter, &wire.said_hash)?,
                })
            }
            BodyWire::GroupChanges(wire) => {
                let bytes: usize = wire.changes.iter().map(|proven| proven.change.len() + proven.chain.len()).sum();
                if !(1..=CHANGES_MAX).contains(&wire.changes.len()) || bytes > CHANGES_BYTES_MAX {
                    return Err(BadContent);
                }
                let changes = wire.changes.into_iter().map(|proven| (proven.change, proven.chain)).collect();
                Self::GroupChanges(GroupChanges { group: group(&wire.group)?, changes })
            }
            BodyWire::GroupAsk(wire) => {
                Self::GroupAsk(GroupAsk { group: group(&wire.group)?, heads: heads(&wire.heads)? })
            }
            BodyWire::GroupInvitation(wire) => {
                let (some, rest) = wire.some.as_chunks::<32>();
                let fits = some.len() <= MEMBERS_TOLD_MAX && rest.is_empty() && wire.height <= NUMBER_MAX;
                if !fits || !is_group_name(&wire.name) {
                    return Err(BadContent);
                }
                Self::GroupInvitation(GroupInvitation {
                    group: group(&wire.group)?,
                    name: wire.name,
                    members: wire.members,
                    some: some.iter().map(|account| AccountId(*account)).collect(),
                    since: ChangeHash::from_slice(&wire.since).ok_or(BadContent)?,
                    height: wire.height,
                })
            }
        })
    }
}

impl Said {
    fn wire(&self) -> SaidWire {
        SaidWire {
            message_id: self.message_id.as_bytes().to_vec(),
            counter: self.counter,
            previous: self.previous.map(|hash| hash.to_vec()).unwrap_or_default(),
            lamport: self.lamport,
            sent_at_ms: self.sent_at.0,
            what: Some(match &self.what {
                What::Text(text) => WhatWire::Text(TextWire {
                    text: text.text.clone(),
                    reply_to: text.reply_to.map(|to| to.wire()),
                    mentions: text.mentions.iter().map(|account| account.as_bytes().to_vec()).collect(),
                    forwarded: text.forwarded,
                    timer_s: text.timer_s.unwrap_or(0),
                }),
                What::Edit { of, text } => WhatWire::Edit(EditWire { of: of.as_bytes().to_vec(), text: text.clone() }),
                What::TakeBack { of } => WhatWire::TakeBack(TakeBackWire { of: of.as_bytes().to_vec() }),
                What::React { to, emoji } => WhatWire::React(ReactWire { to: Some(to.wire()), emoji: emoji.clone() }),
                What::Pin { what, pinned } => WhatWire::Pin(PinWire { what: Some(what.wire()), pinned: *pinned }),
                What::Timer { seconds } => WhatWire::Timer(TimerWire { seconds: seconds.unwrap_or(0) }),
            }),
        }
    }

    fn parse(wire: SaidWire) -> Result<Self, BadContent> {
        let previous = match wire.previous.as_slice() {
            [] => None,
            hash => Some(hash.try_into().map_err(|_| BadContent)?),
        };
        let fits = (1..=NUMBER_MAX).contains(&wire.counter) && wire.lamport <= NUMBER_MAX;
        if !fits || previous.is_some() != (wire.counter > 1) {
            return Err(BadContent);
        }
        Ok(Self {
            message_id: MessageId::from_slice(&wire.message_id).ok_or(BadContent)?,
            counter: wire.counter,
            previous,
            lamport: wire.lamport,
            sent_at: UnixMillis(wire.sent_at_ms),
            what: What::parse(wire.what.ok_or(BadContent)?)?,
        })
    }
}

impl What {
    fn parse(wire: WhatWire) -> Result<Self, BadContent> {
        let message_id = |bytes: &[u8]| MessageId::from_slice(bytes).ok_or(BadContent);
        Ok(match wire {
            WhatWire::Text(wire) => {
                if wire.mentions.len() > MENTIONS_MAX {
                    return Err(BadContent);
                }
                let mentions = wire.mentions.iter().map(|account| AccountId::from_slice(account).ok_or(BadContent));
                Self::Text(Text {
                    text: text(wire.text)?,
                    reply_to: wire.reply_to.as_ref().map(Reference::parse).transpose()?,
                    mentions: mentions.collect::<Result<_, _>>()?,
                    forwarded: wire.forwarded,
                    timer_s: timer(wire.timer_s)?,
                })
            }
            WhatWire::Edit(wire) => Self::Edit { of: message_id(&wire.of)?, text: text(wire.text)? },
            WhatWire::TakeBack(wire) => Self::TakeBack { of: message_id(&wire.of)? },
            WhatWire::React(wire) => {
                if wire.emoji.len() > EMOJI_BYTES_MAX || wire.emoji.chars().any(char::is_control) {
                    return Err(BadContent);
                }
                let to = Reference::parse(&wire.to.ok_or(BadContent)?)?;
                Self::React { to, emoji: wire.emoji }
            }
            WhatWire::Pin(wire) => {
                Self::Pin { what: Reference::parse(&wire.what.ok_or(BadContent)?)?, pinned: wire.pinned }
            }
            WhatWire::Timer(wire) => Self::Timer { seconds: timer(wire.seconds)? },
        })
    }
}

impl Reference {
    fn wire(&self) -> ReferenceWire {
        ReferenceWire { author: self.author.as_bytes().to_vec(), message_id: self.message_id.as_bytes().to_vec() }
    }

    fn parse(wire: &ReferenceWire) -> Result<Self, BadContent> {
        Ok(Self {
            author: AccountId::from_slice(&wire.author).ok_or(BadContent)?,
            message_id: MessageId::from_slice(&wire.message_id).ok_or(BadContent)?,
        })
    }
}

fn text(text: String) -> Result<String, BadContent> {
    if (1..=TEXT_BYTES_MAX).contains(&text.len()) { Ok(text) } else { Err(BadContent) }
}

/// Counter and hash of something that was said; 0: of nothing.
fn place(counter: u64, hash: &[u8]) -> Result<Option<(u64, [u8; 32])>, BadContent> {
    match counter {
        0 if hash.is_empty() => Ok(None),
        1..=NUMBER_MAX => Ok(Some((counter, hash.try_into().map_err(|_| BadContent)?))),
        _ => Err(BadContent),
    }
}

fn timer(seconds: u32) -> Result<Option<u32>, BadContent> {
    if seconds <= TIMER_S_MAX { Ok(Some(seconds).filter(|seconds| *seconds > 0)) } else { Err(BadContent) }
}

fn group(bytes: &[u8]) -> Result<GroupId, BadContent> {
    GroupId::from_slice(bytes).ok_or(BadContent)
}

pub(crate) fn heads(wire: &[Vec<u8>]) -> Result<Vec<ChangeHash>, BadContent> {
    if wire.len() > HEADS_MAX {
        return Err(BadContent);
    }
    wire.iter().map(|head| ChangeHash::from_slice(head).ok_or(BadContent)).collect()
}

fn perhaps_group(bytes: &[u8]) -> Result<Option<GroupId>, BadContent> {
    if bytes.is_empty() { Ok(None) } else { group(bytes).map(Some) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::tests::{every_content, said};
    use super::*;

    #[test]
    fn contents_come_back_as_they_were() {
        for content in every_content() {
            assert_eq!(Content::parse(&content.encode()), Ok(content.clone()));
            let plain = Plain {
                content: content.encode(),
                introduction: Some(Introduction {
                    token: Token::from_slice(&[5; 32]),
                    handle: Some("alice@example.org".into()),
                    whisper_key: WhisperKey::from_slice(&[6; 32]),
                }),
            };
            assert_eq!(Plain::parse(&plain.encode()), Ok(plain));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_content_or_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Plain::parse(&bytes);
            let _ = Content::parse(&bytes);
        }

        #[test]
        fn a_content_with_any_byte_changed_is_a_content_or_an_error_and_never_a_panic(
            which in 0..every_content().len(), place in any::<prop::sample::Index>(), with in 1u8..
        ) {
            let mut bytes = every_content()[which].encode().to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= with;
            let _ = Content::parse(&bytes);
        }
    }

    #[test]
    fn what_is_said_without_its_place_in_the_chain_is_refused() {
        for (counter, previous) in [(0, None), (1, Some([2; 32])), (2, None)] {
            let content = Content::Said(Said { counter, previous, ..said(What::TakeBack { of: MessageId([3; 16]) }) });
            assert_eq!(Content::parse(&content.encode()), Err(BadContent));
        }
    }

    #[test]
    fn what_is_beyond_a_limit_is_no_content() {
        let to = Reference { author: AccountId([1; 32]), message_id: MessageId([2; 16]) };
        let too_much = [
            What::Text(Text::default()),
            What::Text(Text { text: "x".repeat(TEXT_BYTES_MAX + 1), ..Text::default() }),
            What::Text(Text {
                text: "x".into(),
                mentions: vec![AccountId([1; 32]); MENTIONS_MAX + 1],
                ..Text::default()
            }),
            What::Text(Text { text: "x".into(), timer_s: Some(TIMER_S_MAX + 1), ..Text::default() }),
            What::Edit { of: MessageId([1; 16]), text: String::new() },
            What::React { to, emoji: "x".repeat(EMOJI_BYTES_MAX + 1) },
            What::React { to, emoji: "\u{1e}".into() },
            What::Timer { seconds: Some(TIMER_S_MAX + 1) },
        ];
        for what in too_much {
            assert_eq!(Content::parse(&Content::Said(said(what.clone())).encode()), Err(BadContent), "{what:?}");
        }
    }
}
