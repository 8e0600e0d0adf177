//! Sealed sender, version 2: a content encrypted once, and its key sealed for each recipient.
//!
//! Owns the cryptography, and the message that one recipient gets. The message that carries all of them to a server is
//! `sent`.
//!
//! Spec: signal-wire §6.4.

#[cfg(test)]
mod tests;

use aes_gcm_siv::aead::Aead;
use aes_gcm_siv::{Aes256GcmSiv, KeyInit};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::OpenError;
use super::content::SealedContent;
use super::sent::{Entry, Recipient, SealManyError, SentMessage};
use crate::curve::{IdentityKeyPair, KeyPair, PrivateKey, PublicKey};
use crate::error::NotContributory;
use crate::kdf::hkdf;
use crate::limits::PLAINTEXT_BYTES_MAX;
use crate::service_id::ServiceId;
use crate::swept::swept;

/// The high nibble of the first byte.
pub(super) const VERSION: u8 = 2;

/// The first byte of what a recipient gets. A reader looks at the high nibble only.
pub(super) const RECEIVED_BYTE: u8 = 0x22;

/// `C`, the message key as one recipient's agreement hides it.
pub(super) const MASKED_BYTES: usize = 32;

/// `AT`, what only the sender or the recipient can make.
pub(super) const TAG_BYTES: usize = 16;

const LABEL_EPHEMERAL: &[u8] = b"Sealed Sender v2: r (2023-08)";
const LABEL_CIPHER: &[u8] = b"Sealed Sender v2: K";
const LABEL_MASK: &[u8] = b"Sealed Sender v2: DH";
const LABEL_TAG: &[u8] = b"Sealed Sender v2: DH-sender";

/// Every cipher key is used for one text.
const NONCE: [u8; 12] = [0; 12];

/// Seals a content by `sender` for all `recipients` at once. Draws 32 bytes.
///
/// Gives a SentMessage for the server, which makes a message for each recipient of it. `excluded` are named to the server
/// as accounts that are known and get nothing. The length of the content shows: pad before.
///
/// # Errors
/// [`SealManyError`] names what is wrong with the recipients, by their place.
/// Spec: signal-wire §6.4.
pub fn seal(
    content: &SealedContent,
    sender: &IdentityKeyPair,
    recipients: &[Recipient<'_>],
    excluded: &[ServiceId],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealManyError> {
    let content = content.to_bytes();
    if content.len() > PLAINTEXT_BYTES_MAX {
        return Err(SealManyError::TooLong { length: content.len(), limit: PLAINTEXT_BYTES_MAX });
    }
    swept(|| {
        let key = MessageKey::generate(rng);
        let ephemeral = key.ephemeral();
        let entries = recipients.iter().enumerate().map(|(place, recipient)| {
            let (masked, tag) = key
                .seal(sender, &ephemeral, &recipient.identity)
                .map_err(|NotContributory| SealManyError::NotContributory { place })?;
            Ok(Entry { account: recipient.account, devices: recipient.devices.to_vec(), masked, tag })
        });
        let entries = entries.collect::<Result<Vec<_>, SealManyError>>()?;
        SentMessage::write(&entries, excluded, &ephemeral.public(), &key.encrypt(&content))
    })
}

/// Opens what one recipient got: `0x2X ‖ C[32] ‖ AT[16] ‖ E[32] ‖ shared ciphertext`.
///
/// # Errors
/// [`OpenError`]: drop it.
/// Spec: signal-wire §6.4.
pub fn open(received: &[u8], recipient: &IdentityKeyPair) -> Result<SealedContent, OpenError> {
    let (version, rest) = received.split_first().ok_or(OpenError::Malformed)?;
    if version >> 4 != VERSION {
        return Err(OpenError::Version(version >> 4));
    }
    let (masked, rest) = rest.split_first_chunk::<MASKED_BYTES>().ok_or(OpenError::Malformed)?;
    let (tag, rest) = rest.split_first_chunk::<TAG_BYTES>().ok_or(OpenError::Malformed)?;
    let (named, ciphertext) = rest.split_first_chunk::<32>().ok_or(OpenError::Malformed)?;
    let named = PublicKey::from_bytes(*named);

    swept(|| {
        let key = MessageKey(xor(masked, &mask(&*recipient.agree(&named)?, &named, &recipient.public())));
        if !bool::from(key.ephemeral().public().as_bytes().ct_eq(named.as_bytes())) {
            return Err(OpenError::Forged);
        }
        let content = SealedContent::parse(&key.decrypt(ciphertext)?)?;
        let sender = content.certificate.claims().identity;
        let expected = sender_tag(&*recipient.agree(&sender)?, &named, masked, &sender, &recipient.public());
        if bool::from(expected.ct_eq(tag)) { Ok(content) } else { Err(OpenError::Forged) }
    })
}

/// `M`: what everything of one message comes of. 32 bytes, wiped on drop.
struct MessageKey(Zeroizing<[u8; 32]>);

impl MessageKey {
    fn generate(rng: &mut impl CryptoRng) -> MessageKey {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut_slice());
        MessageKey(secret)
    }

    /// `e = HKDF(–, M, "… r (2023-08)", 32)`, clamped, and its public key E.
    ///
    /// So who has M can tell that E is right, and a changed C shows.
    /// Spec: signal-wire §6.4.
    fn ephemeral(&self) -> KeyPair {
        let private = hkdf::<32>(None, self.0.as_slice(), LABEL_EPHEMERAL);
        KeyPair::from_private(PrivateKey::from_bytes(&private))
    }

    /// `C` and `AT` for one recipient.
    ///
    /// Spec: signal-wire §6.4.
    fn seal(
        &self,
        sender: &IdentityKeyPair,
        ephemeral: &KeyPair,
        recipient: &PublicKey,
    ) -> Result<([u8; MASKED_BYTES], [u8; TAG_BYTES]), NotContributory> {
        let named = ephemeral.public();
        let masked = *xor(&self.0, &mask(&*ephemeral.agree(recipient)?, &named, recipient));
        let tag = sender_tag(&*sender.agree(recipient)?, &named, &masked, &sender.public(), recipient);
        Ok((masked, tag))
    }

    /// `AES-256-GCM-SIV(K, 0^12, content)`, the tag at the end.
    ///
    /// Spec: signal-wire §6.4.
    #[allow(clippy::expect_used, reason = "its only error is a text of 64 GiB, and the length was checked")]
    fn encrypt(&self, content: &[u8]) -> Vec<u8> {
        self.cipher().encrypt(&NONCE.into(), content).expect("a content is far shorter than the cipher's limit")
    }

    fn decrypt(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.cipher().decrypt(&NONCE.into(), ciphertext).map(Zeroizing::new).map_err(|_| OpenError::Forged)
    }

    /// `K = HKDF(–, M, "… K", 32)`.
    fn cipher(&self) -> Aes256GcmSiv {
        let key = hkdf::<32>(None, self.0.as_slice(), LABEL_CIPHER);
        let key: &[u8; 32] = &key;
        Aes256GcmSiv::new(key.into())
    }
}

/// `HKDF(–, DH(E, R) ‖ pub33(E) ‖ pub33(R), "… DH", 32)`.
///
/// Spec: signal-wire §6.4.
fn mask(agreed: &[u8; 32], ephemeral: &PublicKey, recipient: &PublicKey) -> Zeroizing<[u8; MASKED_BYTES]> {
    let from = Zeroizing::new([&agreed[..], &ephemeral.to_pub33(), &recipient.to_pub33()].concat());
    hkdf(None, &from, LABEL_MASK)
}

/// `AT = HKDF(–, DH(S, R) ‖ pub33(E) ‖ C ‖ pub33(S) ‖ pub33(R), "… DH-sender", 16)`.
///
/// Spec: signal-wire §6.4.
fn sender_tag(
    agreed: &[u8; 32],
    ephemeral: &PublicKey,
    masked: &[u8; MASKED_BYTES],
    sender: &PublicKey,
    recipient: &PublicKey,
) -> [u8; TAG_BYTES] {
    let (ephemeral, sender, recipient) = (ephemeral.to_pub33(), sender.to_pub33(), recipient.to_pub33());
    let from = Zeroizing::new([&agreed[..], &ephemeral, masked, &sender, &recipient].concat());
    *hkdf(None, &from, LABEL_TAG)
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new(*a);
    for (to, byte) in out.iter_mut().zip(b) {
        *to ^= byte;
    }
    out
}
