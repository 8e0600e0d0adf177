//! From the loose types that protobuf decodes to ours: each field checked once, each failure named.

use bytes::Bytes;

/// Why a payload is not a message of this protocol. Its sender is at fault; nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Not protobuf, or cut short.
    #[error("not a valid protobuf message")]
    Encoding,
    /// Protobuf, but no message of this version: an unknown request or answer.
    #[error("an unknown kind of message")]
    UnknownKind,
    /// A field is missing or has the wrong number of bytes.
    #[error("field `{0}` is missing or has the wrong length")]
    Length(&'static str),
    /// A field has a value outside its range.
    #[error("field `{0}` is out of range")]
    Range(&'static str),
    /// A list is longer than allowed.
    #[error("field `{field}` has more than {limit} entries or bytes")]
    TooMany {
        /// Which.
        field: &'static str,
        /// At most so many.
        limit: usize,
    },
}

pub(crate) fn exactly<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], BadMessage> {
    bytes.try_into().map_err(|_| BadMessage::Length(field))
}

pub(crate) fn some<T>(field: &'static str, value: Option<T>) -> Result<T, BadMessage> {
    value.ok_or(BadMessage::Length(field))
}

pub(crate) fn at_most<T>(field: &'static str, list: Vec<T>, limit: usize) -> Result<Vec<T>, BadMessage> {
    if list.len() <= limit { Ok(list) } else { Err(BadMessage::TooMany { field, limit }) }
}

pub(crate) fn bytes_at_most(field: &'static str, bytes: Bytes, limit: usize) -> Result<Bytes, BadMessage> {
    if bytes.len() <= limit { Ok(bytes) } else { Err(BadMessage::TooMany { field, limit }) }
}

pub(crate) fn text_at_most(field: &'static str, text: String, limit: usize) -> Result<String, BadMessage> {
    if text.len() <= limit { Ok(text) } else { Err(BadMessage::TooMany { field, limit }) }
}

pub(crate) fn decode<M: prost::Message + Default>(payload: &Bytes) -> Result<M, BadMessage> {
    M::decode(payload.clone()).map_err(|_| BadMessage::Encoding)
}

pub(crate) fn encode<M: prost::Message>(message: &M) -> Bytes {
    Bytes::from(message.encode_to_vec())
}

/// The longest sentence that a refusal may carry, in bytes.
pub(crate) const DETAIL_BYTES_MAX: usize = 300;
