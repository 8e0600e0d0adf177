//! Prekeys: ours, which we publish and answer with, and the peer's bundle, checked once before anything is begun with it.
//!
//! Which prekeys are published, kept and used up is the engine's; how they are agreed with is `pqxdh`.
//!
//! Spec: signal-wire §2.1.

use std::fmt;

use rand_core::CryptoRng;

use crate::curve::{IdentityKeyPair, KeyPair, PublicKey};
use crate::error::{BadBundle, BundleKey};
use crate::kem::{KemPublicKey, KemSecretKey};
use crate::limits::DEVICE_ID_MAX;

/// A prekey of ours that one session is begun with. Not signed.
///
/// Spec: signal-wire §2.1.
#[derive(Clone)]
pub struct OneTimePreKey {
    pub(crate) id: u32,
    pub(crate) pair: KeyPair,
}

impl OneTimePreKey {
    /// A fresh one. Draws 32 bytes.
    pub fn generate(id: u32, rng: &mut impl CryptoRng) -> OneTimePreKey {
        OneTimePreKey::new(id, KeyPair::generate(rng))
    }

    /// The prekey of this pair.
    pub fn new(id: u32, pair: KeyPair) -> OneTimePreKey {
        OneTimePreKey { id, pair }
    }

    /// Its id; 0 is one.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What is published.
    pub fn public(&self) -> OneTimePreKeyPublic {
        OneTimePreKeyPublic { id: self.id, key: self.pair.public() }
    }
}

/// A prekey of ours that is signed, and replaced now and then.
///
/// Spec: signal-wire §2.1.
#[derive(Clone)]
pub struct SignedPreKey {
    pub(crate) id: u32,
    pub(crate) pair: KeyPair,
    pub(crate) signature: [u8; 64],
}

impl SignedPreKey {
    /// A fresh one, signed. Draws 32 bytes, then 64.
    pub fn generate(id: u32, identity: &IdentityKeyPair, rng: &mut impl CryptoRng) -> SignedPreKey {
        let pair = KeyPair::generate(rng);
        let signature = identity.sign(&[&pair.public().to_pub33()], rng);
        SignedPreKey::new(id, pair, signature)
    }

    /// The prekey of this pair, signed before.
    pub fn new(id: u32, pair: KeyPair, signature: [u8; 64]) -> SignedPreKey {
        SignedPreKey { id, pair, signature }
    }

    /// Its id; 0 is one.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What is published.
    pub fn public(&self) -> SignedPreKeyPublic {
        SignedPreKeyPublic { id: self.id, key: self.pair.public(), signature: self.signature }
    }
}

/// A Kyber prekey of ours, one-time or last-resort: they look alike.
///
/// Spec: signal-wire §2.1.
#[derive(Clone)]
pub struct KyberPreKey {
    pub(crate) id: u32,
    pub(crate) secret: KemSecretKey,
    pub(crate) signature: [u8; 64],
}

impl KyberPreKey {
    /// A fresh one, signed. Draws 64 bytes, then 64.
    pub fn generate(id: u32, identity: &IdentityKeyPair, rng: &mut impl CryptoRng) -> KyberPreKey {
        let secret = KemSecretKey::generate(rng);
        let signature = identity.sign(&[&secret.public().to_bytes()], rng);
        KyberPreKey::new(id, secret, signature)
    }

    /// The prekey of this secret key, signed before.
    pub fn new(id: u32, secret: KemSecretKey, signature: [u8; 64]) -> KyberPreKey {
        KyberPreKey { id, secret, signature }
    }

    /// Its id; 0 is one.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What is published.
    pub fn public(&self) -> KyberPreKeyPublic {
        KyberPreKeyPublic { id: self.id, key: self.secret.public(), signature: self.signature }
    }
}

/// The public half of a [`OneTimePreKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimePreKeyPublic {
    /// The owner's name for it.
    pub id: u32,
    /// The key.
    pub key: PublicKey,
}

/// The public half of a [`SignedPreKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPreKeyPublic {
    /// The owner's name for it.
    pub id: u32,
    /// The key.
    pub key: PublicKey,
    /// By the owner's identity key over the 33 bytes of `key`.
    pub signature: [u8; 64],
}

/// The public half of a [`KyberPreKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KyberPreKeyPublic {
    /// The owner's name for it.
    pub id: u32,
    /// The key.
    pub key: KemPublicKey,
    /// By the owner's identity key over the 1569 bytes of `key`.
    pub signature: [u8; 64],
}

/// What a keyserver gives out to begin a session with one device, not checked yet.
///
/// Spec: signal-wire §2.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreKeyBundle {
    /// The device's registration id.
    pub registration_id: u32,
    /// The device's number in its account.
    pub device_id: u8,
    /// The device's identity key.
    pub identity: PublicKey,
    /// Its signed prekey.
    pub signed: SignedPreKeyPublic,
    /// Its Kyber prekey.
    pub kyber: KyberPreKeyPublic,
    /// A one-time prekey, while there are any.
    pub one_time: Option<OneTimePreKeyPublic>,
}

impl PreKeyBundle {
    /// The bundle, once its signatures and keys were found good.
    ///
    /// Weak keys are refused here, before a secret is made; the official library finds them only in the agreement.
    ///
    /// # Errors
    /// [`BadBundle`] names the key. Ask for another bundle.
    /// Spec: signal-wire §2.1, §2.2.
    pub fn verify(self) -> Result<VerifiedBundle, BadBundle> {
        if !(1..=DEVICE_ID_MAX).contains(&self.device_id) {
            return Err(BadBundle::DeviceId(self.device_id));
        }
        let one_time = self.one_time.as_ref().map(|one_time| (BundleKey::OneTime, &one_time.key));
        let keys = [(BundleKey::Identity, &self.identity), (BundleKey::Signed, &self.signed.key)];
        for (name, key) in keys.into_iter().chain(one_time) {
            if !key.is_contributory() {
                return Err(BadBundle::Weak(name));
            }
        }
        if self.kyber.key.is_zero() {
            return Err(BadBundle::Weak(BundleKey::Kyber));
        }
        if !self.identity.verify(&[&self.signed.key.to_pub33()], &self.signed.signature) {
            return Err(BadBundle::Signature(BundleKey::Signed));
        }
        if !self.identity.verify(&[&self.kyber.key.to_bytes()], &self.kyber.signature) {
            return Err(BadBundle::Signature(BundleKey::Kyber));
        }
        Ok(VerifiedBundle(self))
    }
}

/// A bundle whose signatures and keys are good. Only [`PreKeyBundle::verify`] makes one.
#[derive(Debug, Clone)]
pub struct VerifiedBundle(PreKeyBundle);

impl VerifiedBundle {
    /// What was verified.
    pub fn bundle(&self) -> &PreKeyBundle {
        &self.0
    }

    /// The identity key of the device.
    pub fn identity(&self) -> PublicKey {
        self.0.identity
    }
}

/// The prekeys of ours that a first message names, looked up by its ids.
#[derive(Debug, Clone, Copy)]
pub struct OurPreKeys<'a> {
    /// By `signed_id`.
    pub signed: &'a SignedPreKey,
    /// By `kyber_id`.
    pub kyber: &'a KyberPreKey,
    /// By `one_time_id`, if the message has one.
    pub one_time: Option<&'a OneTimePreKey>,
}

/// The prekeys that a first message has used. With the session, remove the one-time keys and remember the base key.
///
/// The base key is what tells a repeat when no one-time prekey is involved. Spec: signal-wire §8.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedPreKeys {
    /// The one-time prekey, to be removed.
    pub one_time_id: Option<u32>,
    /// The Kyber prekey, to be removed if one-time.
    pub kyber_id: u32,
    /// The signed prekey.
    pub signed_id: u32,
    /// The initiator's base key.
    pub base_key: PublicKey,
}

macro_rules! prints_only_its_id {
    ($name:ident { $($hidden:ident),+ }) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { id, $($hidden: _),+ } = self;
                f.debug_struct(stringify!($name)).field("id", id).finish_non_exhaustive()
            }
        }
    };
}

prints_only_its_id!(OneTimePreKey { pair });
prints_only_its_id!(SignedPreKey { pair, signature });
prints_only_its_id!(KyberPreKey { secret, signature });
