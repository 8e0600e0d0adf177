//! What an auditor signs: that it has checked a keyserver's log up to this root, and when it last heard it.
//!
//! Spec: keyserver §7.8.

use ed25519_dalek::{Signer, SigningKey};

use crate::address::Fingerprint;
use crate::auth::{SignatureBytes, verify};
use crate::ids::UnixMillis;
use crate::log::{BadRoot, SignedRoot, fingerprint_of};
use crate::signing::{Label, Transcript};

/// A root with the signature of an auditor beside that of the keyserver. Not checked before [`Witnessed::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The keyserver's.
    pub root: SignedRoot,
    /// When the auditor last had it from the keyserver, by the auditor's clock.
    pub checked_at: UnixMillis,
    /// By the auditor's key.
    pub signature: SignatureBytes,
}

/// Not what it says to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWitness {
    /// The root is not the keyserver's.
    #[error(transparent)]
    Root(#[from] BadRoot),
    /// The auditor did not sign it.
    #[error("the auditor's signature is wrong")]
    Signature,
}

impl Witnessed {
    /// Signs a root that was checked. `key` is the auditor's.
    #[must_use]
    pub fn sign(root: SignedRoot, checked_at: UnixMillis, key: &SigningKey) -> Self {
        let unsigned = Self { root, checked_at, signature: [0; 64] };
        Self { signature: key.sign(unsigned.transcript().bytes()).to_bytes(), ..unsigned }
    }

    /// Checks both signatures: that of the keyserver of this fingerprint, and that of this auditor's key.
    ///
    /// # Errors
    /// [`BadWitness`].
    pub fn verify(&self, keyserver: Fingerprint, auditor: &[u8; 32]) -> Result<(), BadWitness> {
        self.root.verify(keyserver)?;
        verify(auditor, &self.transcript(), &self.signature).map_err(|_| BadWitness::Signature)
    }

    fn transcript(&self) -> Transcript {
        Transcript::new(Label::LogWitness)
            .part(&fingerprint_of(&self.root.key).0)
            .part(&self.root.epoch.to_be_bytes())
            .part(&self.root.root)
            .part(&self.root.at.0.to_be_bytes())
            .part(&self.root.vrf_key)
            .part(&self.checked_at.0.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn witnessed() -> (Witnessed, Fingerprint, SigningKey) {
        let (keyserver, auditor) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let server = fingerprint_of(&keyserver.verifying_key().to_bytes());
        let root = SignedRoot::sign(7, [3; 32], UnixMillis(9), [4; 32], &keyserver);
        (Witnessed::sign(root, UnixMillis(11), &auditor), server, auditor)
    }

    #[test]
    fn an_auditor_vouches_for_one_root_of_one_keyserver_at_one_time() {
        let (witnessed, server, auditor) = witnessed();
        let key = auditor.verifying_key().to_bytes();
        assert_eq!(witnessed.verify(server, &key), Ok(()));
        let other_key = SigningKey::from_bytes(&[5; 32]);
        let other_server = fingerprint_of(&other_key.verifying_key().to_bytes());
        assert_eq!(witnessed.verify(other_server, &key), Err(BadWitness::Root(BadRoot::OtherKey)));
        assert_eq!(witnessed.verify(server, &other_server.0), Err(BadWitness::Signature));
        let root = SignedRoot::sign(7, [9; 32], UnixMillis(9), [4; 32], &SigningKey::from_bytes(&[1; 32]));
        let changed =
            [Witnessed { checked_at: UnixMillis(12), ..witnessed.clone() }, Witnessed { root, ..witnessed.clone() }];
        for changed in changed {
            assert_eq!(changed.verify(server, &key), Err(BadWitness::Signature));
        }
        let unsigned = SignedRoot { epoch: 8, ..witnessed.root.clone() };
        assert_eq!(
            Witnessed { root: unsigned, ..witnessed }.verify(server, &key),
            Err(BadWitness::Root(BadRoot::Signature))
        );
    }

    #[test]
    fn what_an_auditor_signs_is_these_bytes() {
        let (witnessed, ..) = witnessed();
        assert_eq!(HEXLOWER.encode(witnessed.transcript().bytes()), TRANSCRIPT);
        assert_eq!(HEXLOWER.encode(&witnessed.signature), SIGNATURE);
    }

    /// Label; fingerprint of the keyserver; epoch 7; root of 03; 9; VRF key of 04; 11.
    const TRANSCRIPT: &str = concat!(
        "68757368776972652f31206c6f67207769746e65737300",
        "00000020fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2",
        "000000080000000000000007",
        "000000200303030303030303030303030303030303030303030303030303030303030303",
        "000000080000000000000009",
        "000000200404040404040404040404040404040404040404040404040404040404040404",
        "00000008000000000000000b",
    );
    /// By the key whose seed is 02.
    const SIGNATURE: &str = concat!(
        "3159bcf65632861908bad000c739624371ade80a2a975d7215fea8a940e660e8",
        "8a8f54539e5aa59c64d6cb5836e9da6a35afd72c151157f7156193f104ff580f",
    );
}
