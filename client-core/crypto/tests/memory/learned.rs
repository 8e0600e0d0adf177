//! The secrets of the story, worked out from what is told, in a process that nobody scans.

use std::collections::BTreeMap;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use hushwire_crypto::{IdentityKeyPair, PreKeySignalMessage, PrivateKey, PublicKey};
use prost::Message as _;
use sha2::Sha256;

use super::layout::{Epoch, Layout, Receiving};
use super::story::Told;

/// What a piece of a secret is looked for in: half of most secrets, so that half a copy is found too.
pub(crate) const PIECE: usize = 16;

/// Pieces of secrets, each with the name of its secret.
#[derive(Default)]
pub(crate) struct Learned(pub(crate) BTreeMap<[u8; PIECE], &'static str>);

impl Learned {
    pub(crate) fn hear(&mut self, told: &Told<'_>) {
        match told {
            Told::Drawn(bytes) => self.drawn(bytes),
            Told::Text(bytes) => self.add("a text", bytes),
            Told::Identity(bytes) => self.add("an identity key", bytes),
            Told::PreKey(stored) => self.add("a prekey", &stored[5..37]),
            // Layout, id, type; then the secret vector, and at the end z before the signature of 64 bytes.
            Told::Kyber(stored) => {
                self.add("a Kyber key", &stored[6..6 + 1536]);
                self.add("a Kyber key", &stored[stored.len() - 96..stored.len() - 64]);
            }
            Told::First { identity, signed, one_time, kyber, message } => {
                self.first(identity, [signed, one_time], kyber, message);
            }
            Told::Sessions(stored) => self.sessions(stored),
            Told::SenderKey(stored) => {
                let (chain, signing) = (&stored[21..53], &stored[57..89]);
                self.add("a sender key", chain);
                self.add("a signing key", signing);
                let [seed, next] = step(chain);
                self.add("a message seed", &seed);
                self.add("a sender key", &next);
                self.add("a message key", &hkdf::<48>(None, &seed, b"WhisperGroup"));
            }
            Told::Sealed { sender, recipient, message } => self.sealed([sender, recipient], message),
        }
    }

    /// Halves of a secret; a long one is cut into as many pieces as it has.
    fn add(&mut self, name: &'static str, secret: &[u8]) {
        for piece in secret.as_chunks::<PIECE>().0 {
            let mut bytes = piece.to_vec();
            bytes.sort_unstable();
            bytes.dedup();
            // A piece with few different bytes may stand anywhere.
            if bytes.len() >= 8 {
                self.0.entry(*piece).or_insert(name);
            }
        }
    }

    /// Keys have some bits fixed; and of a seal for many, everything comes of one random value.
    fn drawn(&mut self, bytes: &[u8]) {
        self.add("a random value", bytes);
        if let Ok(key) = <[u8; 32]>::try_from(bytes) {
            self.add("a key", PrivateKey::from_bytes(&key).to_bytes().as_slice());
            let ephemeral = hkdf::<32>(None, &key, b"Sealed Sender v2: r (2023-08)");
            self.add("a key of a seal", PrivateKey::from_bytes(&ephemeral).to_bytes().as_slice());
            self.add("a key of a seal", &hkdf::<32>(None, &key, b"Sealed Sender v2: K"));
        }
    }

    fn first(&mut self, identity: &IdentityKeyPair, [signed, one_time]: [&[u8]; 2], kyber: &[u8], message: &[u8]) {
        let first = PreKeySignalMessage::parse(message).unwrap();
        let private = |stored: &[u8]| PrivateKey::from_bytes(stored[5..37].try_into().unwrap());
        let ciphertext = Wrapper::decode(&message[1..]).unwrap().kyber_ciphertext;
        let ciphertext = <&[u8; 1568]>::try_from(&ciphertext[1..]).unwrap();
        let secret = <&[u8; 3168]>::try_from(&kyber[6..6 + 3168]).unwrap();
        let secrets = [
            *private(signed).agree(&first.identity()).unwrap(),
            *identity.agree(&first.base_key()).unwrap(),
            *private(signed).agree(&first.base_key()).unwrap(),
            *private(one_time).agree(&first.base_key()).unwrap(),
            libcrux_ml_kem::kyber1024::decapsulate(&secret.into(), &ciphertext.into()),
        ];
        secrets.iter().for_each(|secret| self.add("an agreement", secret));
        let all = [&[0xFF; 32], secrets.as_flattened()].concat();
        let keys = hkdf::<96>(None, &all, b"WhisperText_X25519_SHA-256_CRYSTALS-KYBER-1024");
        self.add("a key of the handshake", &keys);
    }

    fn sealed(&mut self, [sender, recipient]: [&IdentityKeyPair; 2], message: &[u8]) {
        let fields = Seal::decode(&message[1..]).unwrap();
        let ephemeral = PublicKey::from_pub33(&fields.ephemeral).unwrap();
        let agreed = recipient.agree(&ephemeral).unwrap();
        let salt = [b"UnidentifiedDelivery".as_slice(), &recipient.public().to_pub33(), &fields.ephemeral].concat();
        self.add("an agreement", agreed.as_slice());
        let outer = hkdf::<96>(Some(&salt), agreed.as_slice(), b"");
        self.add("a key of a seal", &outer);
        let agreed = recipient.agree(&sender.public()).unwrap();
        let salt = [&outer[..32], &fields.sender].concat();
        self.add("an agreement", agreed.as_slice());
        self.add("a key of a seal", &hkdf::<96>(Some(&salt), agreed.as_slice(), b""));
    }

    /// Those of the current session; the archived ones were current before.
    fn sessions(&mut self, stored: &[u8]) {
        let session = Layout::of(stored);
        self.add("a root key", session.root);
        self.add("a ratchet key", session.ratchet);
        self.add("a chain key", session.sending);
        for Receiving { chain, skipped } in &session.receiving {
            self.add("a chain key", chain);
            let [seed, next] = step(chain);
            self.add("a message seed", &seed);
            self.add("a chain key", &next);
            skipped.iter().for_each(|seed| self.add("a message seed", seed));
        }
        self.add("an SPQR root", session.spqr_root);
        for Epoch { sending, sent, receiving, kept } in &session.epochs {
            self.add("an SPQR chain key", receiving);
            kept.iter().for_each(|key| self.add("an SPQR message key", key));
            if let Some(next) = sending {
                self.add("an SPQR chain key", next);
                self.message_keys(session.sending, next, *sent);
            }
        }
        self.add("an SPQR authenticator", session.authenticator);
        match session.state {
            // The vector of an ML-KEM key pair, and z at its end.
            2..=5 => {
                self.add("an ML-KEM key", &session.exchange[..1152]);
                self.add("an ML-KEM key", &session.exchange[2368..2400]);
            }
            8..=10 => self.add("an ML-KEM randomness", &session.exchange[64..96]),
            _ => {}
        }
    }

    /// Those of the next message that goes out, if it goes out in this epoch.
    fn message_keys(&mut self, chain: &[u8], pq_next: &[u8], pq_counter: u32) {
        let info = [&(pq_counter + 1).to_be_bytes()[..], b"Signal PQ Ratchet V1 Chain Next"].concat();
        let pq = hkdf::<64>(None, pq_next, &info);
        let [seed, next] = step(chain);
        self.add("an SPQR message key", &pq);
        self.add("a message seed", &seed);
        self.add("a chain key", &next);
        self.add("a message key", &hkdf::<80>(Some(&pq[32..]), &seed, b"WhisperMessageKeys"));
    }
}

fn hkdf<const N: usize>(salt: Option<&[u8]>, ikm: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    Hkdf::<Sha256>::new(salt, ikm).expand(info, &mut out).unwrap();
    out
}

/// The seed of a chain key's message, and the next chain key.
fn step(chain: &[u8]) -> [[u8; 32]; 2] {
    [1, 2]
        .map(|byte| Hmac::<Sha256>::new_from_slice(chain).unwrap().chain_update([byte]).finalize().into_bytes().into())
}

#[derive(Clone, PartialEq, prost::Message)]
struct Wrapper {
    #[prost(bytes = "vec", tag = "8")]
    kyber_ciphertext: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Seal {
    #[prost(bytes = "vec", tag = "1")]
    ephemeral: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    sender: Vec<u8>,
}
