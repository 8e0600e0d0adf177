//! How a server that was killed and started again tells the peers of its former life that their connections are gone.
//!
//! They do not know: nobody said goodbye, and their packets meet a server that has never heard of them. Without an
//! answer they would find out by silence, up to [`crate::limits::IDLE_TIMEOUT`] later, and nothing would reach them
//! until then. QUIC's answer is the stateless reset: a token that only this server can compute for a connection id.
//! Its key is derived from the server's private key, so that the next life has it too; ids carry no check of their own,
//! which would need a key as well.
//!
//! Spec: relay §2; RFC 9000 §10.3.

use std::{collections::hash_map::RandomState, hash::BuildHasher, sync::Arc, time::Duration};

use quinn::{
    ConnectionId, ConnectionIdGenerator, EndpointConfig,
    crypto::{CryptoError, HmacKey},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::tls::ServerIdentity;
use crate::signing::{Label, Transcript};

/// The configuration of a server's socket.
pub(super) fn endpoint_config(identity: &ServerIdentity) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey(identity.derived(Label::ResetKey))));
    config.cid_generator(|| Box::<FreshIds>::default());
    config
}

/// Makes reset tokens, of which the wire has the first half.
struct ResetKey(Zeroizing<[u8; 32]>);

impl ResetKey {
    fn token(&self, id: &[u8]) -> [u8; 32] {
        Sha256::digest(Transcript::new(Label::ResetToken).part(&*self.0).part(id).bytes()).into()
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.iter_mut().zip(self.token(data)).for_each(|(out, byte)| *out = byte);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if bool::from(self.token(data).ct_eq(signature)) { Ok(()) } else { Err(CryptoError) }
    }
}

/// Ids that tell nobody which of them belong together: a keyed hash of a count, under a key of this process.
#[derive(Default)]
struct FreshIds {
    keys: RandomState,
    count: u64,
}

impl ConnectionIdGenerator for FreshIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.count += 1;
        ConnectionId::new(&self.keys.hash_one(self.count).to_be_bytes())
    }

    fn cid_len(&self) -> usize {
        size_of::<u64>()
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(seed: u8) -> ResetKey {
        ResetKey(Zeroizing::new([seed; 32]))
    }

    #[test]
    fn a_token_is_the_same_in_the_next_life_and_another_for_every_id_and_key() {
        assert_eq!(key(1).token(b"id"), key(1).token(b"id"));
        assert_ne!(key(1).token(b"id"), key(1).token(b"if"));
        assert_ne!(key(1).token(b"id"), key(2).token(b"id"));
        assert!(key(1).verify(b"id", &key(1).token(b"id")).is_ok());
        assert!(key(1).verify(b"id", &key(2).token(b"id")).is_err());
        assert!(key(1).verify(b"id", b"").is_err());
    }

    #[test]
    fn no_connection_id_comes_twice() {
        let mut ids = FreshIds::default();
        let drawn: std::collections::BTreeSet<Vec<u8>> = (0..1000).map(|_| ids.generate_cid().to_vec()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(drawn.iter().all(|id| id.len() == ids.cid_len()));
    }
}
