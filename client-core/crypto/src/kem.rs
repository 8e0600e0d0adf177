//! Kyber-1024, round 3: the key encapsulation of PQXDH.
//!
//! Owns the bytes of its keys and ciphertexts, each with the type byte 0x08 in front. It is not ML-KEM-1024, whose keys
//! look the same and have another type byte.
//!
//! Spec: signal-wire §1.3.

use std::fmt;
use std::ops::IndexMut;

use libcrux_ml_kem::{kyber1024, mlkem1024};
use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::BadKey;
use crate::swept::swept;

/// The type byte of Kyber-1024 round 3, the only KEM accepted.
const KEM_TYPE: u8 = 0x08;

const PUBLIC_BYTES: usize = 1568;
const SECRET_BYTES: usize = 3168;
const CIPHERTEXT_BYTES: usize = 1568;

/// Where in a secret key the public key lies: behind ŝ.
const PUBLIC_IN_SECRET: usize = 1536;

/// The public key of a Kyber prekey. Its coefficients are not checked, as the official library does not.
///
/// Spec: signal-wire §1.3.
#[derive(Clone, PartialEq, Eq)]
pub struct KemPublicKey(Box<[u8; PUBLIC_BYTES]>);

impl KemPublicKey {
    /// Bytes on the wire.
    pub const BYTES: usize = 1 + PUBLIC_BYTES;

    /// Reads `0x08 ‖ key`, 1569 bytes.
    ///
    /// # Errors
    /// [`BadKey`]: another type or length. Refuse whatever holds it.
    /// Spec: signal-wire §1.3.
    pub fn from_bytes(bytes: &[u8]) -> Result<KemPublicKey, BadKey> {
        read_typed(bytes).map(KemPublicKey)
    }

    /// `0x08 ‖ key`, 1569 bytes: what is signed and sent.
    ///
    /// Spec: signal-wire §1.3, §2.1.
    pub fn to_bytes(&self) -> Vec<u8> {
        write_typed(self.0.as_slice())
    }

    /// Whether every byte is zero: a key that any secret opens.
    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// `(ss, ct)`: a fresh secret and what tells it to the owner of this key. Draws 32 bytes.
    ///
    /// Spec: signal-wire §1.3, §2.2.
    pub(crate) fn encapsulate(&self, rng: &mut impl CryptoRng) -> (Zeroizing<[u8; 32]>, KemCiphertext) {
        let mut random = Zeroizing::new([0; 32]);
        rng.fill_bytes(random.as_mut_slice());
        swept(|| {
            let (ciphertext, secret) = kyber1024::encapsulate(&self.0.as_ref().into(), *random);
            (Zeroizing::new(secret), KemCiphertext(Box::new(ciphertext.into())))
        })
    }
}

impl fmt::Debug for KemPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = *self.0;
        write!(f, "KemPublicKey({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// What an initiator sends for a Kyber prekey.
///
/// Spec: signal-wire §1.3.
#[derive(Clone, PartialEq, Eq)]
pub struct KemCiphertext(Box<[u8; CIPHERTEXT_BYTES]>);

impl KemCiphertext {
    /// Bytes on the wire.
    pub const BYTES: usize = 1 + CIPHERTEXT_BYTES;

    /// Reads `0x08 ‖ ciphertext`, 1569 bytes.
    ///
    /// # Errors
    /// [`BadKey`]: another type or length. Refuse whatever holds it.
    /// Spec: signal-wire §1.3.
    pub fn from_bytes(bytes: &[u8]) -> Result<KemCiphertext, BadKey> {
        read_typed(bytes).map(KemCiphertext)
    }

    /// `0x08 ‖ ciphertext`, 1569 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        write_typed(self.0.as_slice())
    }
}

impl fmt::Debug for KemCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KemCiphertext").finish_non_exhaustive()
    }
}

/// The secret key of a Kyber prekey: 3168 bytes that hold the public key too, wiped on drop.
///
/// Spec: signal-wire §1.3.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KemSecretKey(Box<[u8; SECRET_BYTES]>);

impl KemSecretKey {
    /// Bytes when stored.
    pub const BYTES: usize = 1 + SECRET_BYTES;

    /// A fresh key. Draws 64 bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> KemSecretKey {
        let mut seed = Zeroizing::new([0; 64]);
        rng.fill_bytes(seed.as_mut_slice());
        swept(|| {
            let (mut secret, _) = kyber1024::generate_key_pair(*seed).into_parts();
            let key = KemSecretKey(Box::new(*secret.as_slice()));
            wipe(&mut secret);
            key
        })
    }

    /// Reads `0x08 ‖ key`, 3169 bytes.
    ///
    /// # Errors
    /// [`BadKey`]: another type or length.
    /// Spec: signal-wire §1.3.
    pub fn from_bytes(bytes: &[u8]) -> Result<KemSecretKey, BadKey> {
        read_typed(bytes).map(KemSecretKey)
    }

    /// `0x08 ‖ key`, 3169 bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(write_typed(self.0.as_slice()))
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> KemPublicKey {
        let mut public = Box::new([0; PUBLIC_BYTES]);
        for (to, byte) in public.iter_mut().zip(self.0.iter().skip(PUBLIC_IN_SECRET)) {
            *to = *byte;
        }
        KemPublicKey(public)
    }

    /// The secret in `ciphertext`. Never fails: an altered ciphertext gives another secret.
    ///
    /// Spec: signal-wire §1.3.
    pub(crate) fn decapsulate(&self, ciphertext: &KemCiphertext) -> Zeroizing<[u8; 32]> {
        swept(|| {
            let mut key = mlkem1024::MlKem1024PrivateKey::from(self.0.as_ref());
            let secret = Zeroizing::new(kyber1024::decapsulate(&key, &ciphertext.0.as_ref().into()));
            wipe(&mut key);
            secret
        })
    }
}

impl fmt::Debug for KemSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.debug_struct("KemSecretKey").finish_non_exhaustive()
    }
}

/// The library's own copy of a secret key, which it does not wipe.
fn wipe(key: &mut mlkem1024::MlKem1024PrivateKey) {
    key.index_mut(..SECRET_BYTES).zeroize();
}

fn read_typed<const N: usize>(bytes: &[u8]) -> Result<Box<[u8; N]>, BadKey> {
    let (kind, rest) = bytes.split_first().ok_or(BadKey::Length)?;
    if *kind != KEM_TYPE {
        return Err(BadKey::Type(*kind));
    }
    Box::<[u8]>::from(rest).try_into().map_err(|_| BadKey::Length)
}

fn write_typed(key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(KEM_TYPE);
    bytes.extend_from_slice(key);
    bytes
}
