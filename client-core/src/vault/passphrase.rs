//! The key under a passphrase: `AES-256-GCM(Argon2id(passphrase, salt), nonce, key; header)`.
//!
//! The header, which is authenticated with it, is everything else that the vault says: its layout, its id, the
//! parameters and the salt. Spec: RFC 9106, NIST SP 800-38D.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Key, VaultId, random};
use crate::error::Error;

/// RFC 9106's second recommended profile, for machines that do not have 2 GiB to spare. A phone has it, a graphics card
/// has it only some hundred times.
const MEMORY_KIB: u32 = 64 * 1024;

/// As that profile has it. With 64 MiB this takes about 0.2 s, once per start.
const PASSES: u32 = 3;

/// Lanes run one after the other here: more would save an attacker with many cores time, and us none.
const LANES: u32 = 1;

/// What a vault may ask for: sixteen times what we ask for today. A vault that somebody altered takes no more than that.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;

/// As for the memory: a minute at worst.
const PASSES_MAX: u32 = 16;

/// As for the memory.
const LANES_MAX: u32 = 16;

const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// What is derived here is used for nothing else.
const HEADER_LABEL: &[u8] = b"hushwire/1 database key";

/// A key that only the passphrase opens.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wrapped {
    argon2id: Cost,
    salt: String,
    nonce: String,
    wrapped_key: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Wrapped {
    /// Wraps with a new salt and nonce, and what we ask for today.
    pub(super) fn wrap(id: &VaultId, passphrase: &str, key: &Key) -> Result<Self, Error> {
        if passphrase.is_empty() {
            return Err(Error::EmptyPassphrase);
        }
        let cost = Cost { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES };
        let (salt, nonce) = (random::<SALT_BYTES>()?, random::<NONCE_BYTES>()?);
        let header = header(id, cost, &salt);
        let wrapped = cost
            .cipher(passphrase, &salt)?
            .encrypt(&Nonce::from(nonce), Payload { msg: key.as_slice(), aad: &header })
            .map_err(|_| Error::VaultDamaged { what: "the key cannot be wrapped" })?;
        Ok(Self {
            argon2id: cost,
            salt: HEXLOWER.encode(&salt),
            nonce: HEXLOWER.encode(&nonce),
            wrapped_key: HEXLOWER.encode(&wrapped),
        })
    }

    /// A wrong passphrase and an altered vault look the same.
    pub(super) fn unwrap(&self, id: &VaultId, passphrase: &str) -> Result<Key, Error> {
        let cost = self.argon2id.checked()?;
        let salt: [u8; SALT_BYTES] = bytes(&self.salt, "the salt has not its length")?;
        let nonce: [u8; NONCE_BYTES] = bytes(&self.nonce, "the nonce has not its length")?;
        let wrapped: [u8; KEY_BYTES + TAG_BYTES] = bytes(&self.wrapped_key, "the wrapped key has not its length")?;
        let header = header(id, cost, &salt);
        let key = cost
            .cipher(passphrase, &salt)?
            .decrypt(&Nonce::from(nonce), Payload { msg: &wrapped, aad: &header })
            .map(Zeroizing::new)
            .map_err(|_| Error::WrongPassphrase)?;
        let key: &[u8; KEY_BYTES] = key.as_slice().try_into().map_err(|_| Error::WrongPassphrase)?;
        Ok(Zeroizing::new(*key))
    }
}

impl Cost {
    /// Before any memory is taken.
    fn checked(self) -> Result<Self, Error> {
        if self.memory_kib > MEMORY_KIB_MAX || self.passes > PASSES_MAX || self.lanes > LANES_MAX {
            return Err(Error::VaultDamaged { what: "it asks for more memory or time than any vault may" });
        }
        Ok(self)
    }

    fn cipher(self, passphrase: &str, salt: &[u8]) -> Result<Aes256Gcm, Error> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES))
            .map_err(|_| Error::VaultDamaged { what: "its Argon2 parameters are none" })?;
        let mut memory = Zeroizing::new(Vec::new()); // ours, so that it is wiped, and that too much of it is an error
        memory
            .try_reserve_exact(params.block_count())
            .map_err(|_| Error::OutOfMemory { mib: self.memory_kib / 1024 })?;
        memory.resize(params.block_count(), Block::new());
        let mut derived = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase.as_bytes(), salt, derived.as_mut_slice(), memory.as_mut_slice())
            .map_err(|_| Error::VaultDamaged { what: "its Argon2 parameters are none" })?;
        Ok(Aes256Gcm::new(&(*derived).into()))
    }
}

/// `label ‖ 0 ‖ BE32(version) ‖ BE32(length) ‖ id ‖ BE32(memory) ‖ BE32(passes) ‖ BE32(lanes) ‖ salt`.
fn header(id: &VaultId, cost: Cost, salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    let length = u32::try_from(id.0.len()).unwrap_or(u32::MAX);
    let mut header = [HEADER_LABEL, &[0]].concat();
    header.extend_from_slice(&super::VERSION.to_be_bytes());
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(id.0.as_bytes());
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        header.extend_from_slice(&number.to_be_bytes());
    }
    header.extend_from_slice(salt);
    header
}

fn bytes<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], Error> {
    let decoded = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or(Error::VaultDamaged { what })
}
