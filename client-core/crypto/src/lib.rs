//! Signal's protocols as values: bytes and keys in, bytes and new state out.
//!
//! No input or output, no store, no async, no clock, no randomness of its own: the rng and the time are arguments. State
//! moves by value: every act takes `&self` and returns the state behind it, so what fails changes nothing. Which identity
//! key is trusted, which prekeys exist and when state is stored is the engine's.
//!
//! Every session is version 4: PQXDH, Double Ratchet and SPQR together. There is no fallback.
//!
//! | signal-wire | file | vectors |
//! |---|---|---|
//! | §1.1 HKDF, HMAC, AES-CBC | `kdf`, `cipher` | all |
//! | §1.2 Curve25519 keys | [`curve`] | keys.json |
//! | §1.3 Kyber-1024 | [`kem`] | keys.json, prekey_sessions.json |
//! | §1.4 XEdDSA | `xeddsa` | keys.json |
//! | §1.5 service ids | [`service_id`] | keys.json |
//! | §2.1 prekeys and bundles | [`prekey`] | negative.json |
//! | §2.2, §2.3 PQXDH | `pqxdh` | prekey_sessions.json |
//! | §3.1, §3.6 chains, Double Ratchet | `chain`, `double_ratchet` | two_way.json |
//! | §3.3 to §3.5 messages | [`message`] | two_way.json, negative.json |
//! | §3.2, §3.6 sending, receiving | [`session`], `triple` | two_way.json |
//! | §4 SPQR | `spqr` | two_way.json |
//! | §5 sender keys | [`sender_key`] | groups.json |
//! | §6 sealed sender | [`sealed`] | sealed_sender.json |
//! | §7 safety numbers | [`fingerprint`] | fingerprints.json |
//! | §8.1 what did not open | [`decryption_error`] | misc.json |
//! | §8.2 to §8.4 several sessions | [`sessions`] | negative.json, misc.json |
//! | §8.6 limits | [`limits`] | |
//! | bytes on disk | `stored` | golden/ |
//! | dead stack frames | `swept` | |
//! | ours, not Signal's: notes that may be lost | [`whisper`] | |

#![doc = include_str!("../README.md")]

mod chain;
mod cipher;
pub mod curve;
pub mod decryption_error;
mod double_ratchet;
pub mod error;
pub mod fingerprint;
mod kdf;
pub mod kem;
pub mod limits;
pub mod message;
#[cfg(any(doc, doctest))]
pub mod misuse;
mod pqxdh;
pub mod prekey;
#[cfg(test)]
mod replay;
pub mod sealed;
#[cfg(test)]
mod secrets;
pub mod sender_key;
pub mod service_id;
pub mod session;
pub mod sessions;
mod shared;
mod spqr;
mod stored;
mod swept;
mod triple;
pub mod whisper;
#[cfg(test)]
mod wycheproof;
mod xeddsa;

pub use curve::{IdentityKeyPair, KeyPair, PrivateKey, PublicKey};
pub use decryption_error::{DecryptionErrorMessage, PlaintextContent};
pub use error::{
    BadBundle, BadKey, BadStored, BundleKey, DecryptError, EncryptError, GroupDecryptError, MalformedMessage,
    NotContributory, SenderKeyError, StartError,
};
pub use kem::{KemCiphertext, KemPublicKey, KemSecretKey};
pub use message::{PreKeySignalMessage, SignalMessage};
pub use prekey::{
    KyberPreKey, KyberPreKeyPublic, OneTimePreKey, OneTimePreKeyPublic, OurPreKeys, PreKeyBundle, SignedPreKey,
    SignedPreKeyPublic, UsedPreKeys, VerifiedBundle,
};
pub use sender_key::{
    DistributionId, GroupOpened, GroupSealed, OurSenderKey, SenderKeyDistributionMessage, SenderKeyMessage, SenderKeys,
};
pub use service_id::{BadServiceId, ServiceId, ServiceIdKind};
pub use session::{Addresses, CiphertextMessage, Local};
pub use sessions::{Opened, OpenedFirst, Sealed, Sessions};
pub use shared::{SHARED_OVERHEAD, SharedKey, SharedMark};
