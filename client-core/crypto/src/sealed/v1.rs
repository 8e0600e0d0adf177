//! Sealed sender, version 1: two layers around a content for one recipient.
//!
//! Owns the layers, and does not look into the content: one that has no certificate in it, as Hushwire's own, is sealed as
//! well. Whether the sender is who the content says is the caller's check.
//!
//! Spec: signal-wire §6.3.

use aes::cipher::{KeyIvInit, StreamCipher};
use prost::Message as _;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{OpenError, SealError, Unsealed};
use crate::curve::{IdentityKeyPair, KeyPair, PublicKey};
use crate::error::NotContributory;
use crate::kdf::{deal, hkdf, hmac};
use crate::swept::swept;

/// Version 1 in the high nibble, the writer's newest in the low one.
const VERSION_BYTE: u8 = 0x11;

/// Goes before the two keys in the salt of the first layer.
const LABEL: &[u8; 20] = b"UnidentifiedDelivery";

/// A MAC is cut to this many bytes.
const MAC_BYTES: usize = 10;

/// A public key with its type byte.
const KEY_BYTES: usize = 33;

/// The sealed key of the sender.
const STATIC_BYTES: usize = KEY_BYTES + MAC_BYTES;

/// The bytes that [`seal`] makes of a content of `content_len` bytes.
pub const fn sealed_len(content_len: usize) -> usize {
    let message = content_len + MAC_BYTES;
    1 + field_len(KEY_BYTES) + field_len(STATIC_BYTES) + field_len(message)
}

/// Seals a content by `sender` so that only `recipient` can open it, or tell who sealed it. Draws 32 bytes.
///
/// Gives `0x11 ‖ protobuf`, [`sealed_len`] bytes. The length of the content shows: pad before.
///
/// # Errors
/// [`SealError`]: the recipient's key is weak.
/// Spec: signal-wire §6.3.
pub fn seal(
    content: &[u8],
    sender: &IdentityKeyPair,
    recipient: &PublicKey,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    let fields = swept(|| {
        let ephemeral = KeyPair::generate(rng);
        let outer = Outer::derive(recipient, &ephemeral.public(), &*ephemeral.agree(recipient)?);
        let sealed_sender = outer.layer.seal(&sender.public().to_pub33());
        let inner = outer.inner(&sealed_sender, &*sender.agree(recipient)?);
        Ok::<_, NotContributory>(SealedFields {
            ephemeral: Some(ephemeral.public().to_pub33().to_vec()),
            sender: Some(sealed_sender),
            message: Some(inner.seal(content)),
        })
    })?;
    let mut sealed = Vec::with_capacity(sealed_len(content.len()));
    sealed.push(VERSION_BYTE);
    sealed.extend(fields.encode_to_vec());
    Ok(sealed)
}

/// Opens what was sealed for `recipient`.
///
/// # Errors
/// [`OpenError`]: drop it.
/// Spec: signal-wire §6.3.
pub fn open(sealed: &[u8], recipient: &IdentityKeyPair) -> Result<Unsealed, OpenError> {
    let (version, fields) = sealed.split_first().ok_or(OpenError::Malformed)?;
    // The official library reads version 0 as 1, and no low nibble.
    if version >> 4 > VERSION_BYTE >> 4 {
        return Err(OpenError::Version(version >> 4));
    }
    let fields = SealedFields::decode(fields).map_err(|_| OpenError::Malformed)?;
    let (Some(ephemeral), Some(sealed_sender), Some(message)) = (fields.ephemeral, fields.sender, fields.message)
    else {
        return Err(OpenError::Malformed);
    };
    let ephemeral = PublicKey::from_pub33(&ephemeral).map_err(|_| OpenError::Malformed)?;
    if sealed_sender.len() != STATIC_BYTES {
        return Err(OpenError::Malformed);
    }
    swept(|| {
        let outer = Outer::derive(&recipient.public(), &ephemeral, &*recipient.agree(&ephemeral)?);
        let sender = outer.layer.open(&sealed_sender)?;
        let sender = PublicKey::from_pub33(&sender).map_err(|_| OpenError::Malformed)?;
        let inner = outer.inner(&sealed_sender, &*recipient.agree(&sender)?);
        let content = inner.open(&message)?;
        Ok(Unsealed { sender, content })
    })
}

/// The layer that hides who the sender is, and what the next one hangs on.
struct Outer {
    chain: Zeroizing<[u8; 32]>,
    layer: Layer,
}

/// The keys of one layer.
struct Layer {
    cipher: Zeroizing<[u8; 32]>,
    mac: Zeroizing<[u8; 32]>,
}

impl Outer {
    /// `X = HKDF("UnidentifiedDelivery" ‖ pub33(R) ‖ pub33(E), DH(E, R), "", 96)`: chain, c1, m1.
    ///
    /// Spec: signal-wire §6.3.
    fn derive(recipient: &PublicKey, ephemeral: &PublicKey, agreed: &[u8; 32]) -> Outer {
        let salt = [&LABEL[..], &recipient.to_pub33(), &ephemeral.to_pub33()].concat();
        let (chain, layer) = split(&hkdf(Some(&salt), agreed, b""));
        Outer { chain, layer }
    }

    /// `Y = HKDF(chain ‖ encrypted static, DH(S, R), "", 96)`: 32 bytes of no use, c2, m2. Only who has the sender's
    /// private key, or the recipient's, can make this layer.
    ///
    /// Spec: signal-wire §6.3.
    fn inner(&self, sealed_sender: &[u8], agreed: &[u8; 32]) -> Layer {
        let salt = Zeroizing::new([self.chain.as_slice(), sealed_sender].concat());
        let (_, layer) = split(&hkdf(Some(&salt), agreed, b""));
        layer
    }
}

impl Layer {
    /// `CT ‖ HMAC(m, CT)[0..10]`, `CT = CTR(c, text)`.
    ///
    /// Spec: signal-wire §6.3.
    fn seal(&self, text: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(text.len() + MAC_BYTES);
        sealed.extend_from_slice(text);
        self.apply_keystream(&mut sealed);
        let mac = self.mac(&sealed);
        sealed.extend_from_slice(&mac);
        sealed
    }

    /// The MAC is looked at first, in constant time.
    fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (ciphertext, mac) = sealed.split_last_chunk::<MAC_BYTES>().ok_or(OpenError::Malformed)?;
        if !bool::from(self.mac(ciphertext).ct_eq(mac)) {
            return Err(OpenError::Forged);
        }
        let mut text = Zeroizing::new(ciphertext.to_vec());
        self.apply_keystream(&mut text);
        Ok(text)
    }

    /// Every key is used for one text, so the counter begins with zero.
    fn apply_keystream(&self, text: &mut [u8]) {
        let key: &[u8; 32] = &self.cipher;
        ctr::Ctr32BE::<aes::Aes256>::new(key.into(), &[0; 16].into()).apply_keystream(text);
    }

    fn mac(&self, ciphertext: &[u8]) -> [u8; MAC_BYTES] {
        let mut cut = [0; MAC_BYTES];
        deal(&hmac(self.mac.as_slice(), &[ciphertext]), &mut [&mut cut, &mut [0; 32 - MAC_BYTES]]);
        cut
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct SealedFields {
    #[prost(bytes = "vec", optional, tag = "1")]
    ephemeral: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    sender: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    message: Option<Vec<u8>>,
}

fn split(keys: &[u8; 96]) -> (Zeroizing<[u8; 32]>, Layer) {
    let [mut chain, mut cipher, mut mac] = [(); 3].map(|()| Zeroizing::new([0; 32]));
    deal(keys, &mut [chain.as_mut_slice(), cipher.as_mut_slice(), mac.as_mut_slice()]);
    (chain, Layer { cipher, mac })
}

/// A protobuf field of bytes with a number below 16: tag, length, content.
const fn field_len(content_len: usize) -> usize {
    let (mut rest, mut varint) = (content_len >> 7, 1);
    while rest > 0 {
        rest >>= 7;
        varint += 1;
    }
    1 + varint + content_len
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use serde_json::Value;

    use super::*;

    const VECTORS: &str = include_str!("../../tests/vectors/sealed_sender.json");

    fn vectors() -> Value {
        serde_json::from_str(VECTORS).unwrap()
    }

    fn hex(value: &Value) -> Vec<u8> {
        HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
    }

    fn identity(party: &Value) -> IdentityKeyPair {
        IdentityKeyPair::from_bytes(&hex(&party["identityPrivate"]).try_into().unwrap())
    }

    fn pair() -> (IdentityKeyPair, IdentityKeyPair, StdRng) {
        let mut rng = StdRng::seed_from_u64(6);
        (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng), rng)
    }

    #[test]
    fn what_the_official_library_sealed_opens() {
        let vectors = vectors();
        let sender = PublicKey::from_pub33(&hex(&vectors["sender"]["identityPublic"])).unwrap();
        let bob = identity(&vectors["recipients"]["bob"]);
        let recorded = ["v1", "usmcs"].into_iter().flat_map(|list| vectors[list].as_array().unwrap());
        let mut opened = 0;
        for message in recorded {
            let bytes = hex(&message["message"]);
            let unsealed = open(&bytes, &bob).unwrap();
            assert_eq!(unsealed.sender, sender);
            assert_eq!(*unsealed.content, hex(&message["usmc"]));
            assert_eq!(bytes.len(), sealed_len(unsealed.content.len()));
            // The content repeats the key, in the sender's certificate: the comparison that a caller makes.
            assert!(unsealed.content.windows(KEY_BYTES).any(|key| key == unsealed.sender.to_pub33()));
            opened += 1;
        }
        assert_eq!(opened, 7);
    }

    #[test]
    fn what_the_official_library_refuses_is_refused() {
        let vectors = vectors();
        let [bob, carol] = ["bob", "carol"].map(|name| identity(&vectors["recipients"][name]));
        let (mut refused, mut opened) = (0, 0);
        for message in vectors["failures"].as_array().unwrap() {
            let note = message["note"].as_str().unwrap();
            let recipient = if note.ends_with("to the wrong recipient") { &carol } else { &bob };
            let outcome = open(&hex(&message["message"]), recipient);
            if note.starts_with("v2") {
                assert_eq!(outcome.err(), Some(OpenError::Version(2)), "{note}");
            } else if let Some(inner) = message.get("ok") {
                let (content, inner) = (outcome.unwrap().content, hex(inner));
                assert!(content.windows(inner.len()).any(|part| part == inner), "{note}");
                opened += 1;
            } else {
                assert!(outcome.is_err(), "{note}");
                refused += 1;
            }
        }
        assert_eq!((refused, opened), (6, 2));
    }

    #[test]
    fn what_is_sealed_opens_for_its_recipient_only() {
        let (alice, bob, mut rng) = pair();
        for length in [0, 1, 16, 117, 118, 119, 16_373, 16_374, 70_000] {
            let content = vec![7; length];
            let sealed = seal(&content, &alice, &bob.public(), &mut rng).unwrap();
            assert_eq!(sealed.len(), sealed_len(length));
            let unsealed = open(&sealed, &bob).unwrap();
            assert_eq!(unsealed.sender, alice.public());
            assert_eq!(*unsealed.content, content);
            assert_eq!(open(&sealed, &alice).err(), Some(OpenError::Forged));
        }
    }

    #[test]
    fn the_same_content_is_never_sealed_alike() {
        let (alice, bob, mut rng) = pair();
        let [first, second] = [(); 2].map(|()| seal(b"hello", &alice, &bob.public(), &mut rng).unwrap());
        assert_ne!(first, second);
    }

    #[test]
    fn every_byte_counts_but_the_low_nibble() {
        let (alice, bob, mut rng) = pair();
        let sealed = seal(b"hello", &alice, &bob.public(), &mut rng).unwrap();
        for place in 1..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[place] ^= 1 << bit;
                // The top bit of a public key is not part of the number, but of what the keys hang on.
                assert!(open(&changed, &bob).is_err(), "{place} {bit}");
            }
            assert!(open(&sealed[..place], &bob).is_err());
        }
        assert_eq!(open(&[], &bob).err(), Some(OpenError::Malformed));
    }

    #[test]
    fn weak_keys_are_refused() {
        let (alice, bob, mut rng) = pair();
        let zero = PublicKey::from_bytes([0; 32]);
        let refused = seal(b"hello", &alice, &zero, &mut rng);
        assert_eq!(refused.err(), Some(SealError::NotContributory(NotContributory)));

        // Keys that agree on nothing would let anyone seal.
        let outer = Outer::derive(&bob.public(), &zero, &[0; 32]);
        let sealed_sender = outer.layer.seal(&alice.public().to_pub33());
        let fields = SealedFields {
            ephemeral: Some(zero.to_pub33().to_vec()),
            message: Some(outer.inner(&sealed_sender, &alice.agree(&bob.public()).unwrap()).seal(b"hello")),
            sender: Some(sealed_sender),
        };
        let sealed = [&[VERSION_BYTE][..], &fields.encode_to_vec()].concat();
        assert_eq!(open(&sealed, &bob).err(), Some(OpenError::Forged));

        let ephemeral = KeyPair::generate(&mut rng);
        let outer = Outer::derive(&bob.public(), &ephemeral.public(), &ephemeral.agree(&bob.public()).unwrap());
        let sealed_sender = outer.layer.seal(&zero.to_pub33());
        let fields = SealedFields {
            ephemeral: Some(ephemeral.public().to_pub33().to_vec()),
            message: Some(outer.inner(&sealed_sender, &[0; 32]).seal(b"hello")),
            sender: Some(sealed_sender),
        };
        let sealed = [&[VERSION_BYTE][..], &fields.encode_to_vec()].concat();
        assert_eq!(open(&sealed, &bob).err(), Some(OpenError::Forged));
    }

    #[test]
    fn what_is_printed_shows_no_content() {
        let (alice, bob, mut rng) = pair();
        let sealed = seal(b"secret", &alice, &bob.public(), &mut rng).unwrap();
        let printed = format!("{:?}", open(&sealed, &bob).unwrap());
        assert!(printed.ends_with("bytes: 6, .. }"), "{printed}");
    }
}
