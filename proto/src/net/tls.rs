//! TLS 1.3 with one provider, and servers that are known by their public key.
//!
//! A server is who its [`Fingerprint`] says, whatever its certificate says about names, dates and issuers: the client
//! accepts exactly the pinned key and has the handshake signature checked against it. The price of pinning the key and
//! not trusting roots: a lost or stolen key needs a new address, and there is no revocation. Sessions are never
//! resumed and no name is sent in the clear, so two connections of one client have nothing in common; there is no early
//! data.
//!
//! Spec: relay §2.

use std::sync::{Arc, OnceLock};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    server::{NoServerSessionStorage, ParsedCertificate},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

pub use super::identity::{IdentityError, ServerIdentity};
use crate::address::Fingerprint;

/// The one provider of the tree, aws-lc-rs, cut down to what Hushwire speaks: TLS 1.3, key agreement by
/// X25519MLKEM768, and by X25519 with whoever lacks it. Never the process default, which a library may have set.
pub fn provider() -> CryptoProvider {
    use aws_lc_rs::{cipher_suite, kx_group};
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256, // first: QUIC protects its initial packets with it anyway
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
        ..aws_lc_rs::default_provider()
    }
}

/// What a server says in a handshake: this identity, this one protocol, no tickets, no early data.
///
/// # Errors
/// Never with [`provider`]; passed on because the library may refuse a provider.
pub fn server_config(identity: &ServerIdentity, alpn: &[u8]) -> Result<ServerConfig, rustls::Error> {
    let provider = provider();
    let key = CertifiedKey::from_der(identity.chain().to_vec(), identity.key(), &provider)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// What a client says in a handshake, and the verifier that remembers which key it was shown.
///
/// # Errors
/// Never with [`provider`]; passed on because the library may refuse a provider.
pub fn client_config(expected: Fingerprint, alpn: &[u8]) -> Result<(ClientConfig, Arc<PinnedKey>), rustls::Error> {
    let provider = provider();
    let pinned = Arc::new(PinnedKey {
        expected,
        found: OnceLock::new(),
        algorithms: provider.signature_verification_algorithms,
    });
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pinned.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok((config, pinned))
}

/// The fingerprint of the key in a certificate.
///
/// # Errors
/// If this is not an X.509 certificate of version 3.
pub fn fingerprint_of(certificate: &CertificateDer<'_>) -> Result<Fingerprint, rustls::Error> {
    let spki = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    Ok(Fingerprint::of_public_key(&spki))
}

/// Accepts the one server that has the pinned key and signs the handshake with it.
#[derive(Debug)]
pub struct PinnedKey {
    expected: Fingerprint,
    found: OnceLock<Fingerprint>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedKey {
    /// The key that the server showed, if it is another than the pinned one.
    pub fn wrong_key_seen(&self) -> Option<Fingerprint> {
        self.found.get().copied().filter(|found| *found != self.expected)
    }
}

impl ServerCertVerifier for PinnedKey {
    /// Names, dates and issuers say nothing here: the key is the identity.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = fingerprint_of(end_entity)?;
        self.found.get_or_init(|| found);
        if found == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    /// Never reached: TLS 1.2 is not offered.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rustls::{
        HandshakeKind, NamedGroup,
        quic::{ClientConnection, Connection, ServerConnection, Version},
    };

    use super::*;

    /// Both ends of a handshake in memory, or what the client said when it gave up.
    fn handshake(client: ClientConfig, server: ServerConfig) -> Result<(Connection, Connection), rustls::Error> {
        let name = ServerName::try_from("relay.example.org").unwrap();
        let client = ClientConnection::new(client.into(), Version::V1, name, Vec::new()).unwrap();
        let server = ServerConnection::new(server.into(), Version::V1, Vec::new()).unwrap();
        let (mut client, mut server) = (Connection::Client(client), Connection::Server(server));
        while client.is_handshaking() || server.is_handshaking() {
            // Each level of encryption ends with a key change; three of them are a whole flight.
            for _ in 0..3 {
                let mut flight = Vec::new();
                client.write_hs(&mut flight);
                server.read_hs(&flight)?;
            }
            for _ in 0..3 {
                let mut flight = Vec::new();
                server.write_hs(&mut flight);
                client.read_hs(&flight)?;
            }
        }
        Ok((client, server))
    }

    fn identity() -> ServerIdentity {
        ServerIdentity::self_signed(&["relay.example.org".to_owned()]).unwrap()
    }

    #[test]
    fn the_key_agreement_is_post_quantum_at_once() {
        let identity = identity();
        let (client, pinned) = client_config(identity.fingerprint(), b"x").unwrap();
        let (client, server) = handshake(client, server_config(&identity, b"x").unwrap()).unwrap();
        for end in [&client, &server] {
            assert_eq!(end.negotiated_key_exchange_group().map(|g| g.name()), Some(NamedGroup::X25519MLKEM768));
            assert_eq!(end.handshake_kind(), Some(HandshakeKind::Full)); // and not FullWithHelloRetryRequest
        }
        assert_eq!(pinned.wrong_key_seen(), None);
    }

    #[test]
    fn a_server_without_the_post_quantum_group_is_still_reached() {
        let identity = identity();
        let (client, _) = client_config(identity.fingerprint(), b"x").unwrap();
        let mut classical = provider();
        classical.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
        let key = CertifiedKey::from_der(identity.chain().to_vec(), identity.key(), &classical).unwrap();
        let mut server = ServerConfig::builder_with_provider(Arc::new(classical))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        server.alpn_protocols = vec![b"x".to_vec()];
        let (client, _) = handshake(client, server).unwrap();
        assert_eq!(client.negotiated_key_exchange_group().map(|g| g.name()), Some(NamedGroup::X25519));
    }

    #[test]
    fn another_key_is_refused_and_remembered() {
        let (pinned_to, answers) = (identity(), identity());
        let (client, pinned) = client_config(pinned_to.fingerprint(), b"x").unwrap();
        let refused = handshake(client, server_config(&answers, b"x").unwrap()).err();
        assert_eq!(refused, Some(CertificateError::ApplicationVerificationFailure.into()));
        assert_eq!(pinned.wrong_key_seen(), Some(answers.fingerprint()));
    }

    #[test]
    fn a_copied_certificate_without_its_key_is_refused() {
        let (owner, thief) = (identity(), identity());
        let provider = provider();
        let stolen =
            CertifiedKey::new(owner.chain().to_vec(), provider.key_provider.load_private_key(thief.key()).unwrap());
        let mut server = server_config(&thief, b"x").unwrap();
        server.cert_resolver = Arc::new(SingleCertAndKey::from(stolen));
        let (client, _) = client_config(owner.fingerprint(), b"x").unwrap();
        assert_eq!(handshake(client, server).err(), Some(CertificateError::BadSignature.into()));
    }
}
