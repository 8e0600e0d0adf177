//! The two messages of a session on the wire: `SignalMessage`, and `PreKeySignalMessage` that wraps it until it is answered.
//!
//! Owns bytes, fields and the MAC. A parsed message is not authentic yet; only a session can tell. MACs cover the bytes
//! as they were received, so nothing is encoded again.
//!
//! Spec: signal-wire §3.3, §3.4, §3.5.

use std::fmt;

use prost::Message as _;
use subtle::ConstantTimeEq;

use crate::curve::PublicKey;
use crate::double_ratchet::Position;
use crate::error::MalformedMessage;
use crate::kdf::hmac;
use crate::kem::KemCiphertext;
use crate::limits::MESSAGE_BYTES_MAX;

/// The session's version in the high nibble, ours in the low one: both 4.
const VERSION_BYTE: u8 = 0x44;

/// The only version with SPQR, and so the only one that there are sessions of.
const VERSION: u8 = 4;

/// The 36 bytes that tie a first message to its sender's and receiver's addresses.
///
/// Spec: signal-wire §3.3.
pub(crate) type AddressBytes = [u8; 36];

/// A message of a session: its place in the ratchet, its SPQR message, its ciphertext and its MAC.
///
/// Spec: signal-wire §3.3.
#[derive(Clone, PartialEq, Eq)]
pub struct SignalMessage {
    /// Everything under the MAC, as received.
    authenticated: Vec<u8>,
    mac: [u8; 8],
    position: Position,
    ciphertext: Vec<u8>,
    pq: Vec<u8>,
    addresses: Option<Vec<u8>>,
}

impl SignalMessage {
    /// Reads `version ‖ protobuf ‖ mac[8]`.
    ///
    /// # Errors
    /// [`MalformedMessage`]: drop it.
    /// Spec: signal-wire §3.3.
    pub fn parse(bytes: &[u8]) -> Result<SignalMessage, MalformedMessage> {
        let (authenticated, mac) = bytes.split_last_chunk::<8>().ok_or(MalformedMessage::Length(bytes.len()))?;
        let fields = SignalFields::decode(body(authenticated)?).map_err(|_| MalformedMessage::Fields)?;
        Ok(SignalMessage {
            authenticated: authenticated.to_vec(),
            mac: *mac,
            position: Position {
                ratchet_key: PublicKey::from_pub33(&required(fields.ratchet_key)?)?,
                counter: required(fields.counter)?,
            },
            ciphertext: required(fields.ciphertext)?,
            pq: fields.pq.unwrap_or_default(),
            addresses: fields.addresses,
        })
    }

    /// The sender's ratchet key: what tells which of our sessions made a message that came back as not opened.
    pub fn ratchet_key(&self) -> PublicKey {
        self.position.ratchet_key
    }

    /// The number of the message in its chain.
    pub fn counter(&self) -> u32 {
        self.position.counter
    }

    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    pub(crate) fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }

    pub(crate) fn pq(&self) -> &[u8] {
        &self.pq
    }

    /// Whether `sender` made it for `receiver` under this MAC key, in constant time.
    ///
    /// Spec: signal-wire §3.5.
    pub(crate) fn is_authentic(&self, mac_key: &[u8; 32], sender: &PublicKey, receiver: &PublicKey) -> bool {
        mac(mac_key, sender, receiver, &self.authenticated).ct_eq(&self.mac).into()
    }

    /// Whether it names no addresses, or exactly these.
    ///
    /// Spec: signal-wire §3.3.
    pub(crate) fn is_addressed(&self, expected: Option<&AddressBytes>) -> bool {
        match &self.addresses {
            None => true,
            Some(named) => expected.is_some_and(|expected| expected.as_slice() == named.as_slice()),
        }
    }
}

impl fmt::Debug for SignalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authenticated: _, mac: _, position, ciphertext, pq: _, addresses: _ } = self;
        f.debug_struct("SignalMessage")
            .field("position", position)
            .field("bytes", &ciphertext.len())
            .finish_non_exhaustive()
    }
}

/// What a [`SignalMessage`] is made of.
pub(crate) struct NewSignalMessage<'a> {
    pub(crate) position: Position,
    pub(crate) previous_counter: u32,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) pq: Vec<u8>,
    pub(crate) addresses: Option<&'a AddressBytes>,
}

impl NewSignalMessage<'_> {
    /// `version ‖ protobuf ‖ mac[8]`.
    ///
    /// Spec: signal-wire §3.3, §3.5.
    pub(crate) fn into_bytes(self, mac_key: &[u8; 32], sender: &PublicKey, receiver: &PublicKey) -> Vec<u8> {
        let fields = SignalFields {
            ratchet_key: Some(self.position.ratchet_key.to_pub33().to_vec()),
            counter: Some(self.position.counter),
            previous_counter: Some(self.previous_counter),
            ciphertext: Some(self.ciphertext),
            pq: Some(self.pq),
            addresses: self.addresses.map(|addresses| addresses.to_vec()),
        };
        let mut bytes = versioned(&fields);
        let mac = mac(mac_key, sender, receiver, &bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }
}

/// A first message: what its receiver needs to make the session, and a [`SignalMessage`] in it.
///
/// Spec: signal-wire §3.4.
#[derive(Clone, PartialEq, Eq)]
pub struct PreKeySignalMessage {
    header: PreKeyHeader,
    identity: PublicKey,
    registration_id: u32,
    message: SignalMessage,
}

/// What every wrapper of one session repeats.
///
/// Spec: signal-wire §2.2 step 6, §3.4.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PreKeyHeader {
    pub(crate) one_time_id: Option<u32>,
    pub(crate) signed_id: u32,
    pub(crate) kyber_id: u32,
    pub(crate) ciphertext: KemCiphertext,
    pub(crate) base_key: PublicKey,
}

impl PreKeySignalMessage {
    /// Reads `version ‖ protobuf`.
    ///
    /// # Errors
    /// [`MalformedMessage`]: drop it.
    /// Spec: signal-wire §2.4, §3.4.
    pub fn parse(bytes: &[u8]) -> Result<PreKeySignalMessage, MalformedMessage> {
        let fields = PreKeyFields::decode(body(bytes)?).map_err(|_| MalformedMessage::Fields)?;
        Ok(PreKeySignalMessage {
            header: PreKeyHeader {
                one_time_id: fields.one_time_id,
                signed_id: required(fields.signed_id)?,
                kyber_id: required(fields.kyber_id)?,
                ciphertext: KemCiphertext::from_bytes(&required(fields.kyber_ciphertext)?)?,
                base_key: PublicKey::from_pub33(&required(fields.base_key)?)?,
            },
            identity: PublicKey::from_pub33(&required(fields.identity)?)?,
            registration_id: fields.registration_id.unwrap_or_default(),
            message: SignalMessage::parse(&required(fields.message)?)?,
        })
    }

    pub(crate) fn encode(
        header: &PreKeyHeader,
        identity: &PublicKey,
        registration_id: u32,
        message: Vec<u8>,
    ) -> Vec<u8> {
        versioned(&PreKeyFields {
            one_time_id: header.one_time_id,
            base_key: Some(header.base_key.to_pub33().to_vec()),
            identity: Some(identity.to_pub33().to_vec()),
            message: Some(message),
            registration_id: Some(registration_id),
            signed_id: Some(header.signed_id),
            kyber_id: Some(header.kyber_id),
            kyber_ciphertext: Some(header.ciphertext.to_bytes()),
        })
    }

    /// The one-time prekey of ours that it was begun with, if any.
    pub fn one_time_id(&self) -> Option<u32> {
        self.header.one_time_id
    }

    /// The signed prekey of ours that it was begun with.
    pub fn signed_id(&self) -> u32 {
        self.header.signed_id
    }

    /// The Kyber prekey of ours that it was begun with.
    pub fn kyber_id(&self) -> u32 {
        self.header.kyber_id
    }

    /// The initiator's base key: what tells one session from another.
    pub fn base_key(&self) -> PublicKey {
        self.header.base_key
    }

    /// The identity key that the sender claims. It is proven once the message opens.
    pub fn identity(&self) -> PublicKey {
        self.identity
    }

    /// The registration id that the sender claims.
    pub fn registration_id(&self) -> u32 {
        self.registration_id
    }

    /// The message inside.
    pub fn message(&self) -> &SignalMessage {
        &self.message
    }

    #[cfg(test)]
    pub(crate) fn header(&self) -> &PreKeyHeader {
        &self.header
    }

    pub(crate) fn kyber_ciphertext(&self) -> &KemCiphertext {
        &self.header.ciphertext
    }
}

impl fmt::Debug for PreKeySignalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { header, identity: _, registration_id: _, message } = self;
        f.debug_struct("PreKeySignalMessage")
            .field("one_time_id", &header.one_time_id)
            .field("signed_id", &header.signed_id)
            .field("kyber_id", &header.kyber_id)
            .field("message", message)
            .finish_non_exhaustive()
    }
}

/// `HMAC(key, pub33(sender) ‖ pub33(receiver) ‖ version ‖ protobuf)[0..8]`.
///
/// Spec: signal-wire §3.5.
fn mac(key: &[u8; 32], sender: &PublicKey, receiver: &PublicKey, bytes: &[u8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = hmac(key, &[&sender.to_pub33(), &receiver.to_pub33(), bytes]);
    [a, b, c, d, e, f, g, h]
}

/// The protobuf behind a version byte whose high nibble is 4. The low nibble is free, as for the official library.
fn body(bytes: &[u8]) -> Result<&[u8], MalformedMessage> {
    let (version, body) = bytes.split_first().ok_or(MalformedMessage::Length(0))?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(MalformedMessage::Length(bytes.len()));
    }
    if version >> 4 != VERSION {
        return Err(MalformedMessage::Version(version >> 4));
    }
    Ok(body)
}

fn versioned(fields: &impl prost::Message) -> Vec<u8> {
    let mut bytes = vec![VERSION_BYTE];
    bytes.append(&mut fields.encode_to_vec());
    bytes
}

fn required<T>(field: Option<T>) -> Result<T, MalformedMessage> {
    field.ok_or(MalformedMessage::Fields)
}

#[derive(Clone, PartialEq, prost::Message)]
struct SignalFields {
    #[prost(bytes = "vec", optional, tag = "1")]
    ratchet_key: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "2")]
    counter: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    previous_counter: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    ciphertext: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pq: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    addresses: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PreKeyFields {
    #[prost(uint32, optional, tag = "1")]
    one_time_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    base_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    message: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "5")]
    registration_id: Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    signed_id: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    kyber_id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "8")]
    kyber_ciphertext: Option<Vec<u8>>,
}
