//! Curve25519 keys and their agreement.
//!
//! Owns the bytes of keys and the checks on them. Signatures under the same keys are in `xeddsa`.
//!
//! Spec: signal-wire §1.2.

use std::fmt;

use curve25519_dalek::MontgomeryPoint;
use rand_core::CryptoRng;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{BadKey, NotContributory};
use crate::swept::swept;

/// The type byte in front of every Curve25519 public key.
const KEY_TYPE: u8 = 0x05;

/// A Curve25519 public key: the 32 bytes as they were received, not reduced and with bit 255 as it was.
///
/// Two keys are equal when their bytes are. Holding one says nothing about its order; [`PrivateKey::agree`] checks that.
/// Spec: signal-wire §1.2.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these 32 bytes, little-endian u.
    pub const fn from_bytes(bytes: [u8; 32]) -> PublicKey {
        PublicKey(bytes)
    }

    /// The 32 bytes as received.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `0x05 ‖ u`. What follows the 33 bytes is ignored, as the official library does.
    ///
    /// # Errors
    /// [`BadKey`]: empty, another type, or too short. Refuse whatever holds it.
    /// Spec: signal-wire §1.2.
    pub fn from_pub33(bytes: &[u8]) -> Result<PublicKey, BadKey> {
        let (kind, rest) = bytes.split_first().ok_or(BadKey::Length)?;
        if *kind != KEY_TYPE {
            return Err(BadKey::Type(*kind));
        }
        rest.first_chunk().copied().map(PublicKey).ok_or(BadKey::Length)
    }

    /// `0x05 ‖ u`, 33 bytes.
    ///
    /// Spec: signal-wire §1.2.
    pub fn to_pub33(&self) -> [u8; 33] {
        let mut bytes = [KEY_TYPE; 33];
        for (to, byte) in bytes.iter_mut().skip(1).zip(self.0) {
            *to = byte;
        }
        bytes
    }

    /// Whether the key is one that an honest generator makes: reduced, on the curve, of prime order.
    ///
    /// Only asked of a received base key, which tells sessions apart and so must have one writing.
    /// Spec: signal-wire §1.2, §2.3.
    pub fn is_canonical(&self) -> bool {
        let point = MontgomeryPoint(self.0).to_edwards(0);
        point.is_some_and(|point| point.to_montgomery().0 == self.0 && point.is_torsion_free())
    }

    /// Whether agreement with this key gives a secret: false for the keys of small order, zero among them.
    pub fn is_contributory(&self) -> bool {
        // A clamped scalar is a multiple of 8 and prime to L and to the twist's large prime: zero comes out exactly for
        // a point whose order divides 8. Which scalar does not matter.
        MontgomeryPoint(self.0).mul_clamped([0; 32]).0 != [0; 32]
    }
}

/// The first four bytes: enough to tell keys apart in a log, too few to look a person up.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "PublicKey({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// A Curve25519 private key: 32 clamped bytes, wiped on drop.
///
/// Spec: signal-wire §1.2.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PrivateKey(Box<[u8; 32]>);

impl PrivateKey {
    /// A fresh key. Draws 32 bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> PrivateKey {
        let mut bytes = Box::new([0; 32]);
        rng.fill_bytes(bytes.as_mut_slice());
        PrivateKey::clamped(bytes)
    }

    /// The key of these 32 bytes, clamped.
    pub fn from_bytes(bytes: &[u8; 32]) -> PrivateKey {
        PrivateKey::clamped(Box::new(*bytes))
    }

    /// The 32 clamped bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.0)
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        swept(|| PublicKey(x25519_dalek::PublicKey::from(&self.scalar()).to_bytes()))
    }

    /// `DH(self, theirs)`: X25519, 32 bytes.
    ///
    /// # Errors
    /// [`NotContributory`]: the secret would be zero because `theirs` has small order. Refuse whatever holds the key.
    /// Spec: signal-wire §1.2.
    pub fn agree(&self, theirs: &PublicKey) -> Result<Zeroizing<[u8; 32]>, NotContributory> {
        swept(|| {
            let secret = self.scalar().diffie_hellman(&x25519_dalek::PublicKey::from(theirs.0));
            if secret.was_contributory() { Ok(Zeroizing::new(secret.to_bytes())) } else { Err(NotContributory) }
        })
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn clamped(mut bytes: Box<[u8; 32]>) -> PrivateKey {
        let [first, .., last] = bytes.as_mut();
        *first &= 0xF8;
        *last = (*last & 0x7F) | 0x40;
        PrivateKey(bytes)
    }

    fn scalar(&self) -> StaticSecret {
        StaticSecret::from(*self.0)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// A private key and its public key.
#[derive(Clone)]
pub struct KeyPair {
    private: PrivateKey,
    public: PublicKey,
}

impl KeyPair {
    /// A fresh pair. Draws 32 bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> KeyPair {
        KeyPair::from_private(PrivateKey::generate(rng))
    }

    /// The pair of this private key.
    pub fn from_private(private: PrivateKey) -> KeyPair {
        KeyPair { public: private.public(), private }
    }

    /// The secret half.
    pub fn private(&self) -> &PrivateKey {
        &self.private
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// `DH(self, theirs)`, see [`PrivateKey::agree`].
    ///
    /// # Errors
    /// [`NotContributory`]: `theirs` has small order.
    pub fn agree(&self, theirs: &PublicKey) -> Result<Zeroizing<[u8; 32]>, NotContributory> {
        self.private.agree(theirs)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { private: _, public } = self;
        f.debug_struct("KeyPair").field("public", public).finish_non_exhaustive()
    }
}

/// Who a device is: the key pair that it agrees with and signs with.
///
/// Signing is in `xeddsa`. Spec: signal-wire §1.2, §1.4.
#[derive(Clone)]
pub struct IdentityKeyPair(KeyPair);

impl IdentityKeyPair {
    /// A fresh identity. Draws 32 bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> IdentityKeyPair {
        IdentityKeyPair(KeyPair::generate(rng))
    }

    /// The identity of these 32 private bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> IdentityKeyPair {
        IdentityKeyPair(KeyPair::from_private(PrivateKey::from_bytes(bytes)))
    }

    /// The 32 private bytes, for the encrypted store.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.private.to_bytes()
    }

    /// The identity key that others know.
    pub fn public(&self) -> PublicKey {
        self.0.public
    }

    /// `DH(self, theirs)`, see [`PrivateKey::agree`].
    ///
    /// # Errors
    /// [`NotContributory`]: `theirs` has small order.
    pub fn agree(&self, theirs: &PublicKey) -> Result<Zeroizing<[u8; 32]>, NotContributory> {
        self.0.agree(theirs)
    }

    pub(crate) fn private(&self) -> &PrivateKey {
        &self.0.private
    }
}

impl fmt::Debug for IdentityKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(pair) = self;
        f.debug_struct("IdentityKeyPair").field("public", &pair.public).finish_non_exhaustive()
    }
}
