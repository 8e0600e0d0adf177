//! Sign-in: who owns a mailbox, which device this is. The proof is an Ed25519 signature over a value that only the two
//! ends of this TLS session have (its exporter, RFC 8446 §7.5), so a captured proof is worth nothing on another one.
//! What a passed check leaves, [`OwnedMailbox`] and [`SignedInDevice`], cannot be made in any other way.
//!
//! Spec: relay §3, keyserver §2.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::ids::{AccountId, DeviceId, MailboxId};
use crate::signing::{Label, Transcript};

/// The label of the TLS exporter. RFC 5705 asks that private labels begin so.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Hushwire-sign-in";

/// An Ed25519 signature, not yet checked.
pub type SignatureBytes = [u8; 64];

/// 32 bytes that the two ends of one TLS session share and nobody else has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionBinding(pub [u8; 32]);

impl std::fmt::Debug for SessionBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionBinding(..)")
    }
}

/// The signature was not made by that key over this session. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature was not made by this key for this connection")]
pub struct BadProof;

/// A session whose peer has proven nothing yet.
#[derive(Clone, Copy, Debug)]
pub struct Greeted(SessionBinding);

/// Proof that the peer of this session holds the mailbox's private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedMailbox(MailboxId);

impl OwnedMailbox {
    /// Whose.
    #[must_use]
    pub fn id(&self) -> MailboxId {
        self.0
    }
}

/// Proof that the peer of this session is this device of this account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedInDevice {
    account: AccountId,
    device: DeviceId,
}

impl SignedInDevice {
    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }
}

impl Greeted {
    /// The beginning: a TLS session and its exporter value under [`EXPORTER_LABEL`].
    #[must_use]
    pub fn new(binding: SessionBinding) -> Self {
        Self(binding)
    }

    /// Checks that the peer owns the mailbox.
    ///
    /// # Errors
    /// [`BadProof`]: also when the mailbox id is no usable key.
    pub fn open_mailbox(&self, mailbox: MailboxId, proof: &SignatureBytes) -> Result<OwnedMailbox, BadProof> {
        verify(mailbox.as_bytes(), &open_mailbox_transcript(self.0, mailbox), proof)?;
        Ok(OwnedMailbox(mailbox))
    }

    /// Checks that the peer is the device whose signing key the account's device list has.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn sign_in(
        &self,
        account: AccountId,
        device: DeviceId,
        signing_key: &[u8; 32],
        proof: &SignatureBytes,
    ) -> Result<SignedInDevice, BadProof> {
        verify(signing_key, &sign_in_transcript(self.0, account, device), proof)?;
        Ok(SignedInDevice { account, device })
    }

    /// Checks that the first device of a new account asks for this handle (`""`: none).
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn register(
        &self,
        account: AccountId,
        device: DeviceId,
        handle_name: &str,
        signing_key: &[u8; 32],
        proof: &SignatureBytes,
    ) -> Result<SignedInDevice, BadProof> {
        verify(signing_key, &register_transcript(self.0, account, device, handle_name), proof)?;
        Ok(SignedInDevice { account, device })
    }
}

/// Signs [`crate::relay::Request::Open`]. `key` is the mailbox's.
#[must_use]
pub fn prove_mailbox(binding: SessionBinding, key: &SigningKey) -> SignatureBytes {
    let mailbox = MailboxId(key.verifying_key().to_bytes());
    key.sign(open_mailbox_transcript(binding, mailbox).bytes()).to_bytes()
}

/// Signs [`crate::keyserver::Request::SignIn`]. `key` is the device's signing key.
#[must_use]
pub fn prove_device(binding: SessionBinding, account: AccountId, device: DeviceId, key: &SigningKey) -> SignatureBytes {
    key.sign(sign_in_transcript(binding, account, device).bytes()).to_bytes()
}

/// Signs [`crate::keyserver::Request::Register`]. `key` is the device's signing key.
#[must_use]
pub fn prove_registration(
    binding: SessionBinding,
    account: AccountId,
    device: DeviceId,
    handle_name: &str,
    key: &SigningKey,
) -> SignatureBytes {
    key.sign(register_transcript(binding, account, device, handle_name).bytes()).to_bytes()
}

fn open_mailbox_transcript(binding: SessionBinding, mailbox: MailboxId) -> Transcript {
    Transcript::new(Label::OpenMailbox).part(&binding.0).part(mailbox.as_bytes())
}

fn sign_in_transcript(binding: SessionBinding, account: AccountId, device: DeviceId) -> Transcript {
    Transcript::new(Label::SignIn).part(&binding.0).part(account.as_bytes()).part(&[device.get()])
}

fn register_transcript(binding: SessionBinding, account: AccountId, device: DeviceId, handle_name: &str) -> Transcript {
    Transcript::new(Label::Register)
        .part(&binding.0)
        .part(account.as_bytes())
        .part(&[device.get()])
        .part(handle_name.as_bytes())
}

/// Strict: refuses small-order keys and non-canonical encodings, so that one signature fits one key and one message.
pub(crate) fn verify(key: &[u8; 32], transcript: &Transcript, signature: &SignatureBytes) -> Result<(), BadProof> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| BadProof)?;
    key.verify_strict(transcript.bytes(), &Signature::from_bytes(signature)).map_err(|_| BadProof)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn a_proof_opens_the_mailbox_on_its_own_connection_only() {
        let (here, there) = (SessionBinding([1; 32]), SessionBinding([2; 32]));
        let id = MailboxId(key(3).verifying_key().to_bytes());
        let proof = prove_mailbox(here, &key(3));
        assert_eq!(Greeted::new(here).open_mailbox(id, &proof).unwrap().id(), id);
        assert_eq!(Greeted::new(there).open_mailbox(id, &proof), Err(BadProof));
    }

    #[test]
    fn nobody_opens_someone_elses_mailbox() {
        let binding = SessionBinding([1; 32]);
        let theirs = MailboxId(key(4).verifying_key().to_bytes());
        assert_eq!(Greeted::new(binding).open_mailbox(theirs, &prove_mailbox(binding, &key(3))), Err(BadProof));
    }

    #[test]
    fn small_order_and_all_zero_keys_own_nothing() {
        let binding = SessionBinding([1; 32]);
        let mut identity = [0; 32];
        identity.first_mut().map(|b| *b = 1).unwrap();
        for weak in [[0; 32], identity, [0xFF; 32]] {
            for signature in [[0; 64], [1; 64]] {
                assert_eq!(Greeted::new(binding).open_mailbox(MailboxId(weak), &signature), Err(BadProof));
            }
        }
    }

    #[test]
    fn a_proof_for_one_purpose_is_none_for_another() {
        let binding = SessionBinding([1; 32]);
        let account = AccountId([9; 32]);
        let proof = prove_device(binding, account, DeviceId::FIRST, &key(5));
        let public = key(5).verifying_key().to_bytes();
        let greeted = Greeted::new(binding);
        assert!(greeted.sign_in(account, DeviceId::FIRST, &public, &proof).is_ok());
        assert_eq!(greeted.register(account, DeviceId::FIRST, "", &public, &proof), Err(BadProof));
        assert_eq!(greeted.open_mailbox(MailboxId(public), &proof), Err(BadProof));
    }
}
