//! What can be seen of a message from outside: the fields that both libraries write in the clear.
//!
//! Read here once more, apart from the crate that is judged, so that the model of what must open knows chains and epochs
//! from the wire and not from one of the two parties.

use prost::Message as _;

use crate::Checked;

/// A Kyber-1024 ciphertext with its type byte, 8. Spec: signal-wire §3.4.
const CIPHERTEXT_BYTES: usize = 1569;

/// The only version of SPQR that there is. Spec: signal-wire §4.1.
const SPQR_VERSION: u8 = 1;

/// A message between the two devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// A `PreKeySignalMessage`, type 3; otherwise a `SignalMessage`, type 2.
    pub(crate) is_first: bool,
    pub(crate) bytes: Vec<u8>,
}

/// The place of a message: its session if it tells, its chain, its number and its SPQR epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) base_key: Option<Vec<u8>>,
    pub(crate) ratchet_key: Vec<u8>,
    pub(crate) epoch: u64,
}

impl Message {
    /// The number of its type, as the oracle has it.
    pub(crate) fn number(&self) -> u32 {
        if self.is_first { 3 } else { 2 }
    }

    /// The `SignalMessage` in it, or itself.
    pub(crate) fn inner(&self) -> Checked<Vec<u8>> {
        if !self.is_first {
            return Ok(self.bytes.clone());
        }
        let body = self.bytes.get(1..).unwrap_or_default();
        Ok(FirstFields::decode(body).map_err(|error| format!("a first message does not read: {error}"))?.message)
    }

    /// Whether it is a first message whose Kyber ciphertext is there, and of no type or length that there is.
    pub(crate) fn has_odd_ciphertext(&self) -> bool {
        let fields = self.bytes.get(1..).map(FirstFields::decode);
        let Some(fields) = fields.and_then(Result::ok).filter(|_| self.is_first) else { return false };
        fields.kyber_id.is_some()
            && fields.kyber_ciphertext.is_some_and(|bytes| bytes.len() != CIPHERTEXT_BYTES || bytes.first() != Some(&8))
    }

    /// The same message with another `SignalMessage` of the same length in it.
    pub(crate) fn with_inner(&self, inner: &[u8]) -> Checked<Message> {
        let before = self.inner()?;
        let at = self.bytes.windows(before.len()).position(|window| window == before);
        let at = at.ok_or("a message does not hold what is in it")?;
        let mut bytes = self.bytes.clone();
        bytes.splice(at..at + before.len(), inner.iter().copied());
        Ok(Message { bytes, ..*self })
    }

    /// Where it belongs.
    pub(crate) fn place(&self) -> Checked<Place> {
        let base_key = if self.is_first {
            let body = self.bytes.get(1..).unwrap_or_default();
            let fields =
                FirstFields::decode(body).map_err(|error| format!("a first message does not read: {error}"))?;
            Some(fields.base_key)
        } else {
            None
        };
        let inner = self.inner()?;
        let body = inner.get(1..inner.len().saturating_sub(8)).unwrap_or_default();
        let fields = InnerFields::decode(body).map_err(|error| format!("a message does not read: {error}"))?;
        // Version byte, then the epoch as a varint.
        let (version, mut pq) = fields.pq.split_first().ok_or("a message without SPQR")?;
        if *version != SPQR_VERSION {
            return Err(format!("SPQR of version {version}: the specification knows {SPQR_VERSION}"));
        }
        let epoch = prost::decode_length_delimiter(&mut pq).map_err(|error| format!("an SPQR message: {error}"))?;
        Ok(Place { base_key, ratchet_key: fields.ratchet_key, epoch: epoch as u64 })
    }
}

/// Spec: signal-wire §3.4.
#[derive(Clone, PartialEq, prost::Message)]
struct FirstFields {
    #[prost(bytes = "vec", tag = "2")]
    base_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
    #[prost(uint32, optional, tag = "7")]
    kyber_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "8")]
    kyber_ciphertext: Option<Vec<u8>>,
}

/// Spec: signal-wire §3.3.
#[derive(Clone, PartialEq, prost::Message)]
struct InnerFields {
    #[prost(bytes = "vec", tag = "1")]
    ratchet_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pq: Vec<u8>,
}
