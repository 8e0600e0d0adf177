//! What one device says to another inside the ratchet, and who may say what.
//!
//! Spec: envelope §3, §4.

use hushwire_crypto::whisper::WhisperKey;
use hushwire_proto::ids::{DeviceId, MessageId, Token, UnixMillis};
use hushwire_proto::limits::TEXT_BYTES_MAX;
use hushwire_proto::signing::{Label, Transcript};
use prost::Message as _;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

/// Receipts of one kind that one content carries.
pub(crate) const RECEIPTS_MAX: usize = 256;

/// The largest counter and Lamport time: what the database can hold. No conversation comes near it.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// The longest claimed handle, in bytes.
const CLAIMED_HANDLE_BYTES_MAX: usize = 300;

/// The plaintext of one ratchet message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Encoded [`Content`]; kept apart because its hash is chained.
    pub(crate) content: Zeroizing<Vec<u8>>,
    /// Sent along until the peer is known to have it.
    pub(crate) introduction: Option<Introduction>,
}

/// How the peer may deposit with us from now on, and what we call ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// Not before our relay accepts it.
    pub(crate) token: Option<Token>,
    /// Nobody has checked it.
    pub(crate) handle: Option<String>,
    /// With what the peer whispers to us. Together with the token only.
    pub(crate) whisper_key: Option<WhisperKey>,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Text(Text),
    Receipt(Receipt),
}

/// A message between people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) message_id: MessageId,
    /// Counts the author device's texts in this conversation, from 1.
    pub(crate) counter: u64,
    /// [`hash`] of the text before; `None` in the first.
    pub(crate) previous: Option<[u8; 32]>,
    /// The author's Lamport clock.
    pub(crate) lamport: u64,
    pub(crate) sent_at: UnixMillis,
    pub(crate) text: String,
}

/// How far texts of the receipt's reader have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Which of the reader's devices wrote them.
    pub(crate) author: DeviceId,
    /// Counters of texts that a device has.
    pub(crate) delivered: Vec<u64>,
    /// A person has seen everything up to this counter; 0: says nothing.
    pub(crate) read_through: u64,
}

/// Who a content comes from. Derived from the session, never from a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Contact,
    Stranger,
}

/// Whether this content is accepted from there. Every pair has its line; a new kind does not compile without.
pub(crate) fn allowed(content: &Content, from: Origin) -> bool {
    match (content, from) {
        (Content::Text(_), Origin::Contact | Origin::Stranger) => true,
        // We send nothing to strangers that they could confirm.
        (Content::Receipt(_), Origin::Contact) => true,
        (Content::Receipt(_), Origin::Stranger) => false,
    }
}

/// What the next text names, so that a missing or swapped one shows.
pub(crate) fn hash(content: &[u8]) -> [u8; 32] {
    Sha256::digest(Transcript::new(Label::MessageChain).part(content).bytes()).into()
}

/// It opened, and is not what this version can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadContent;

#[derive(Clone, PartialEq, prost::Message)]
struct PlainWire {
    #[prost(bytes = "vec", tag = "1")]
    content: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    introduction: Option<IntroductionWire>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct IntroductionWire {
    #[prost(bytes = "vec", tag = "1")]
    token: Vec<u8>,
    #[prost(string, tag = "2")]
    handle: String,
    #[prost(bytes = "vec", tag = "3")]
    whisper_key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ContentWire {
    #[prost(oneof = "BodyWire", tags = "1, 2")]
    body: Option<BodyWire>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum BodyWire {
    #[prost(message, tag = "1")]
    Text(TextWire),
    #[prost(message, tag = "2")]
    Receipt(ReceiptWire),
}

#[derive(Clone, PartialEq, prost::Message)]
struct TextWire {
    #[prost(bytes = "vec", tag = "1")]
    message_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    counter: u64,
    #[prost(bytes = "vec", tag = "3")]
    previous: Vec<u8>,
    #[prost(uint64, tag = "4")]
    lamport: u64,
    #[prost(uint64, tag = "5")]
    sent_at_ms: u64,
    #[prost(string, tag = "6")]
    text: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReceiptWire {
    #[prost(uint32, tag = "1")]
    author: u32,
    #[prost(uint64, repeated, tag = "2")]
    delivered: Vec<u64>,
    #[prost(uint64, tag = "3")]
    read_through: u64,
}

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
    pub(crate) fn encode(&self) -> Vec<u8> {
        let body = match self {
            Self::Text(text) => BodyWire::Text(TextWire {
                message_id: text.message_id.as_bytes().to_vec(),
                counter: text.counter,
                previous: text.previous.map(|hash| hash.to_vec()).unwrap_or_default(),
                lamport: text.lamport,
                sent_at_ms: text.sent_at.0,
                text: text.text.clone(),
            }),
            Self::Receipt(receipt) => BodyWire::Receipt(ReceiptWire {
                author: receipt.author.get().into(),
                delivered: receipt.delivered.clone(),
                read_through: receipt.read_through,
            }),
        };
        ContentWire { body: Some(body) }.encode_to_vec()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadContent> {
        match ContentWire::decode(bytes).map_err(|_| BadContent)?.body.ok_or(BadContent)? {
            BodyWire::Text(text) => {
                let fits = (1..=TEXT_BYTES_MAX).contains(&text.text.len())
                    && (1..=NUMBER_MAX).contains(&text.counter)
                    && text.lamport <= NUMBER_MAX;
                let previous = match text.previous.as_slice() {
                    [] => None,
                    hash => Some(hash.try_into().map_err(|_| BadContent)?),
                };
                if !fits || previous.is_some() != (text.counter > 1) {
                    return Err(BadContent);
                }
                Ok(Self::Text(Text {
                    message_id: MessageId::from_slice(&text.message_id).ok_or(BadContent)?,
                    counter: text.counter,
                    previous,
                    lamport: text.lamport,
                    sent_at: UnixMillis(text.sent_at_ms),
                    text: text.text,
                }))
            }
            BodyWire::Receipt(receipt) => {
                if receipt.delivered.len() > RECEIPTS_MAX {
                    return Err(BadContent);
                }
                Ok(Self::Receipt(Receipt {
                    author: DeviceId::new(receipt.author).ok_or(BadContent)?,
                    delivered: receipt.delivered,
                    read_through: receipt.read_through,
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn text() -> Content {
        Content::Text(Text {
            message_id: MessageId([1; 16]),
            counter: 2,
            previous: Some([2; 32]),
            lamport: 3,
            sent_at: UnixMillis(4),
            text: "hello".into(),
        })
    }

    fn receipt() -> Content {
        Content::Receipt(Receipt { author: DeviceId::FIRST, delivered: vec![1, 2], read_through: 1 })
    }

    #[test]
    fn only_the_listed_pairs_of_content_and_origin_are_accepted() {
        let table = [
            (text(), Origin::Contact, true),
            (text(), Origin::Stranger, true),
            (receipt(), Origin::Contact, true),
            (receipt(), Origin::Stranger, false),
        ];
        for (content, origin, accepted) in table {
            assert_eq!(allowed(&content, origin), accepted, "{content:?} from {origin:?}");
        }
    }

    #[test]
    fn contents_come_back_as_they_were() {
        for content in [text(), receipt()] {
            assert_eq!(Content::parse(&content.encode()), Ok(content.clone()));
            let plain = Plain {
                content: Zeroizing::new(content.encode()),
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
    }

    #[test]
    fn a_text_without_its_place_in_the_chain_is_refused() {
        let Content::Text(text) = text() else { unreachable!() };
        for (counter, previous) in [(0, None), (1, Some([2; 32])), (2, None)] {
            let content = Content::Text(Text { counter, previous, ..text.clone() });
            assert_eq!(Content::parse(&content.encode()), Err(BadContent));
        }
    }
}
