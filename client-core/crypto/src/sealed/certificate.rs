//! Certificates: a server's word, under a trust root, that an account's device has an identity key.
//!
//! Owns what a sender's certificate says and when it holds; the server's is `server`. Which roots are trusted, and what
//! time it is, the caller says. Hushwire's own messages have none: its clients know each other's keys from device lists.
//!
//! Spec: signal-wire §6.1.

mod server;
mod well_known;

use std::fmt;

use prost::Message as _;
use rand_core::CryptoRng;

use crate::curve::{KeyPair, PublicKey};
use crate::limits::DEVICE_ID_MAX;
use crate::service_id::{ServiceId, uuid_text};

use server::{Signed, key, required};

pub use server::ServerCertificate;
pub use well_known::server_certificate as well_known_server_certificate;

/// A certificate that says nothing. Refuse what it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// Not the fields of a certificate, or one of them holds what it cannot.
    #[error("not the fields of a certificate")]
    Malformed,
    /// Refers to a server certificate that is not well known here. Perhaps a later version knows it.
    #[error("the server certificate {0} is not known")]
    UnknownServer(u32),
    /// The server certificate was revoked.
    #[error("the server certificate {0} is revoked")]
    Revoked(u32),
    /// No trusted root has signed the server certificate.
    #[error("the server certificate is not signed by a trusted root")]
    UntrustedServer,
    /// The server has not signed the sender's.
    #[error("the sender's certificate is not signed by the server")]
    Signature,
    /// It held until then, in milliseconds since 1970.
    #[error("the sender's certificate expired at {0}")]
    Expired(u64),
}

/// What a sender's certificate says.
///
/// Spec: signal-wire §6.1.
#[derive(Clone, PartialEq, Eq)]
pub struct SenderDetails {
    /// The account's UUID as text; a service id as a rule.
    pub uuid: String,
    /// The account's telephone number, if it tells it.
    pub e164: Option<String>,
    /// The device, 1..=127.
    pub device_id: u8,
    /// The identity key of the account.
    pub identity: PublicKey,
    /// Until when it holds, in milliseconds since 1970.
    pub expires_ms: u64,
}

impl SenderDetails {
    /// The device's address for the session layer; nothing when the UUID text is no service id.
    ///
    /// Spec: signal-wire §3.3, §6.5.
    pub fn address(&self) -> Option<[u8; 18]> {
        ServiceId::parse(&self.uuid).ok()?.address(self.device_id)
    }
}

impl fmt::Debug for SenderDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uuid: _, e164: _, device_id, identity, expires_ms } = self; // nobody's name is printed
        f.debug_struct("SenderDetails")
            .field("device_id", device_id)
            .field("identity", identity)
            .field("expires_ms", expires_ms)
            .finish_non_exhaustive()
    }
}

/// A sender's certificate as it came: nothing that it says is true before it was verified.
///
/// Spec: signal-wire §6.1.
#[derive(Clone, PartialEq, Eq)]
pub struct SenderCertificate {
    details: SenderDetails,
    server: Server,
    signed: Signed,
}

/// Who has signed a sender's certificate.
#[derive(Clone, PartialEq, Eq)]
enum Server {
    Embedded(Box<ServerCertificate>),
    WellKnown(u32),
}

impl SenderCertificate {
    /// Reads one. Nothing is verified yet.
    ///
    /// # Errors
    /// [`BadCertificate::Malformed`].
    /// Spec: signal-wire §6.1.
    pub fn parse(bytes: &[u8]) -> Result<SenderCertificate, BadCertificate> {
        let signed = Signed::parse(bytes)?;
        let fields = SenderFields::decode(signed.certificate()).map_err(|_| BadCertificate::Malformed)?;
        let device_id = u8::try_from(required(fields.device_id)?).ok();
        let details = SenderDetails {
            uuid: match required(fields.uuid)? {
                UuidField::Text(text) => text,
                UuidField::Bytes(bytes) => uuid_text(&bytes.try_into().map_err(|_| BadCertificate::Malformed)?),
            },
            e164: fields.e164,
            device_id: required(device_id.filter(|id| (1..=DEVICE_ID_MAX).contains(id)))?,
            identity: key(fields.identity)?,
            expires_ms: required(fields.expires_ms)?,
        };
        let server = match required(fields.server)? {
            ServerField::Embedded(bytes) => Server::Embedded(Box::new(ServerCertificate::parse(&bytes)?)),
            ServerField::WellKnown(id) => Server::WellKnown(id),
        };
        Ok(SenderCertificate { details, server, signed })
    }

    /// A new one with the server's certificate in it, signed by the server's key. Draws 64 bytes.
    ///
    /// Spec: signal-wire §6.1.
    pub fn issue(
        details: SenderDetails,
        server: &ServerCertificate,
        server_key: &KeyPair,
        rng: &mut impl CryptoRng,
    ) -> SenderCertificate {
        let server = Server::Embedded(Box::new(server.clone()));
        let signed = Signed::by(server_key, fields(&details, &server).encode_to_vec(), rng);
        SenderCertificate { details, server, signed }
    }

    /// The same with a reference to a well-known server certificate, which saves its bytes. Draws 64 bytes.
    ///
    /// Spec: signal-wire §6.1.
    pub fn issue_well_known(
        details: SenderDetails,
        server_id: u32,
        server_key: &KeyPair,
        rng: &mut impl CryptoRng,
    ) -> SenderCertificate {
        let server = Server::WellKnown(server_id);
        let signed = Signed::by(server_key, fields(&details, &server).encode_to_vec(), rng);
        SenderCertificate { details, server, signed }
    }

    /// Its bytes, as they were received.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.signed.to_bytes()
    }

    /// What it claims. What is true is in a [`VerifiedSender`].
    pub fn claims(&self) -> &SenderDetails {
        &self.details
    }

    /// The sender, once the certificate was found to hold at `now_ms` under one of the roots.
    ///
    /// # Errors
    /// [`BadCertificate`]: refuse what it came with.
    /// Spec: signal-wire §6.1.
    pub fn verify(&self, roots: &[PublicKey], now_ms: u64) -> Result<VerifiedSender, BadCertificate> {
        let server = match &self.server {
            Server::Embedded(certificate) => certificate.as_ref().clone(),
            Server::WellKnown(id) => well_known::server_certificate(*id).ok_or(BadCertificate::UnknownServer(*id))?,
        };
        server.verify(roots)?;
        if !self.signed.is_by(&server.key()) {
            return Err(BadCertificate::Signature);
        }
        if now_ms > self.details.expires_ms {
            return Err(BadCertificate::Expired(self.details.expires_ms));
        }
        Ok(VerifiedSender(self.details.clone()))
    }
}

impl fmt::Debug for SenderCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { details, server: _, signed: _ } = self;
        f.debug_struct("SenderCertificate").field("claims", details).finish_non_exhaustive()
    }
}

/// A sender whom a trusted server vouches for. Only [`SenderCertificate::verify`] makes one.
///
/// Spec: signal-wire §6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSender(SenderDetails);

impl VerifiedSender {
    /// Who it is.
    pub fn details(&self) -> &SenderDetails {
        &self.0
    }
}

fn fields(details: &SenderDetails, server: &Server) -> SenderFields {
    SenderFields {
        e164: details.e164.clone(),
        device_id: Some(details.device_id.into()),
        expires_ms: Some(details.expires_ms),
        identity: Some(details.identity.to_pub33().to_vec()),
        server: Some(match server {
            Server::Embedded(certificate) => ServerField::Embedded(certificate.to_bytes()),
            Server::WellKnown(id) => ServerField::WellKnown(*id),
        }),
        uuid: Some(UuidField::Text(details.uuid.clone())),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct SenderFields {
    #[prost(string, optional, tag = "1")]
    e164: Option<String>,
    #[prost(uint32, optional, tag = "2")]
    device_id: Option<u32>,
    #[prost(fixed64, optional, tag = "3")]
    expires_ms: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    identity: Option<Vec<u8>>,
    #[prost(oneof = "ServerField", tags = "5, 8")]
    server: Option<ServerField>,
    #[prost(oneof = "UuidField", tags = "6, 7")]
    uuid: Option<UuidField>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum ServerField {
    #[prost(bytes, tag = "5")]
    Embedded(Vec<u8>),
    #[prost(uint32, tag = "8")]
    WellKnown(u32),
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum UuidField {
    #[prost(string, tag = "6")]
    Text(String),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}
