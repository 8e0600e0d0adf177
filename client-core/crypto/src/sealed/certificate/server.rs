//! The server's certificate, and what both certificates are: bytes with a signature over them.
//!
//! Spec: signal-wire §6.1.

use std::fmt;

use prost::Message as _;
use rand_core::CryptoRng;

use super::BadCertificate;
use crate::curve::{KeyPair, PublicKey};
use crate::limits::MESSAGE_BYTES_MAX;

/// Ids of server certificates that hold no longer; the only one is a test value.
const REVOKED: [u32; 1] = [0xDEAD_C357];

/// The key that signs certificates of senders, itself signed by a trust root.
///
/// Spec: signal-wire §6.1.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerCertificate {
    id: u32,
    key: PublicKey,
    signed: Signed,
}

impl ServerCertificate {
    /// Reads one. Nothing is verified yet.
    ///
    /// # Errors
    /// [`BadCertificate::Malformed`].
    /// Spec: signal-wire §6.1.
    pub fn parse(bytes: &[u8]) -> Result<ServerCertificate, BadCertificate> {
        let signed = Signed::parse(bytes)?;
        let fields = ServerFields::decode(signed.certificate()).map_err(|_| BadCertificate::Malformed)?;
        Ok(ServerCertificate { id: required(fields.id)?, key: key(fields.key)?, signed })
    }

    /// A new one, signed by `root`. Draws 64 bytes.
    ///
    /// Spec: signal-wire §6.1.
    pub fn issue(id: u32, key: PublicKey, root: &KeyPair, rng: &mut impl CryptoRng) -> ServerCertificate {
        let fields = ServerFields { id: Some(id), key: Some(key.to_pub33().to_vec()) };
        ServerCertificate { id, key, signed: Signed::by(root, fields.encode_to_vec(), rng) }
    }

    /// Its bytes, as they were received.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.signed.to_bytes()
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The key that signs.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Not revoked, and signed by one of the roots.
    ///
    /// Spec: signal-wire §6.1.
    pub(super) fn verify(&self, roots: &[PublicKey]) -> Result<(), BadCertificate> {
        if REVOKED.contains(&self.id) {
            return Err(BadCertificate::Revoked(self.id));
        }
        let trusted = roots.iter().any(|root| self.signed.is_by(root));
        if trusted { Ok(()) } else { Err(BadCertificate::UntrustedServer) }
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, key, signed: _ } = self;
        f.debug_struct("ServerCertificate").field("id", id).field("key", key).finish_non_exhaustive()
    }
}

/// A certificate's inner bytes and the signature over them, and the whole as it was received.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Signed {
    certificate: Vec<u8>,
    signature: Vec<u8>,
    bytes: Vec<u8>,
}

impl Signed {
    pub(super) fn parse(bytes: &[u8]) -> Result<Signed, BadCertificate> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(BadCertificate::Malformed);
        }
        let fields = SignedFields::decode(bytes).map_err(|_| BadCertificate::Malformed)?;
        let (certificate, signature) = (required(fields.certificate)?, required(fields.signature)?);
        Ok(Signed { certificate, signature, bytes: bytes.to_vec() })
    }

    pub(super) fn by(key: &KeyPair, certificate: Vec<u8>, rng: &mut impl CryptoRng) -> Signed {
        let signature = key.sign(&[&certificate], rng).to_vec();
        let fields = SignedFields { certificate: Some(certificate.clone()), signature: Some(signature.clone()) };
        Signed { certificate, signature, bytes: fields.encode_to_vec() }
    }

    /// The inner bytes.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The whole as it was received.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Whether this key has signed the inner bytes.
    ///
    /// Spec: signal-wire §6.1.
    pub(super) fn is_by(&self, key: &PublicKey) -> bool {
        let signature = self.signature.as_slice().try_into();
        signature.is_ok_and(|signature| key.verify(&[&self.certificate], signature))
    }
}

pub(super) fn key(field: Option<Vec<u8>>) -> Result<PublicKey, BadCertificate> {
    PublicKey::from_pub33(&required(field)?).map_err(|_| BadCertificate::Malformed)
}

pub(super) fn required<T>(field: Option<T>) -> Result<T, BadCertificate> {
    field.ok_or(BadCertificate::Malformed)
}

#[derive(Clone, PartialEq, prost::Message)]
struct SignedFields {
    #[prost(bytes = "vec", optional, tag = "1")]
    certificate: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    signature: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ServerFields {
    #[prost(uint32, optional, tag = "1")]
    id: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    key: Option<Vec<u8>>,
}
