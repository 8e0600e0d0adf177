//! The key of the database: 32 random bytes, made once, and how they are kept.
//!
//! `vault.json` says which way; the database never changes when the way does. The file is only ever replaced whole, and
//! the new place holds the key, and has been read back, before the file names it.

mod key_file;
mod keyring;
mod passphrase;

use std::fmt;

use data_encoding::HEXLOWER;
use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::data_dir::DataDir;
use crate::error::Error;
use crate::files;

/// The layout of `vault.json` that this program writes, and the only one it reads.
const VERSION: u32 = 1;

/// Bytes that tell the vaults of one keyring apart. Random; never met twice.
const VAULT_ID_BYTES: usize = 16;

/// The key of the database.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// How to keep the key of the database.
#[derive(Clone)]
pub enum Protection {
    /// In the operating system's keyring: opened by logging in.
    Keyring,
    /// Under a passphrase (Argon2id), asked for at every start.
    Passphrase(Zeroizing<String>),
    /// In a file beside the database, for machines without a person: whoever can read the file can read everything.
    KeyFile,
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => "Keyring",
            Self::Passphrase(_) => "Passphrase(..)",
            Self::KeyFile => "KeyFile",
        })
    }
}

/// How the key of the database is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtectionKind {
    /// In the operating system's keyring.
    Keyring,
    /// Under a passphrase.
    Passphrase,
    /// In a file.
    KeyFile,
}

/// What opens it.
#[derive(Clone)]
pub enum Unlock {
    /// What a person entered.
    Passphrase(Zeroizing<String>),
    /// The keyring or the key file, whichever has it.
    Stored,
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(..)",
            Self::Stored => "Stored",
        })
    }
}

/// `vault.json`.
#[derive(Serialize, Deserialize)]
struct Vault {
    version: u32,
    id: VaultId,
    protection: Kept,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Kept {
    Keyring {},
    Passphrase(passphrase::Wrapped),
    KeyFile {},
}

/// Read first, so that a later layout is told from a damaged one.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Names a vault in the keyring. New whenever the key is kept anew.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct VaultId(String);

impl VaultId {
    fn draw() -> Result<Self, Error> {
        Ok(Self(HEXLOWER.encode(&random::<VAULT_ID_BYTES>()?)))
    }
}

/// How the key is kept.
pub(crate) fn kind(dir: &DataDir) -> Result<ProtectionKind, Error> {
    Ok(match read(dir)?.protection {
        Kept::Keyring {} => ProtectionKind::Keyring,
        Kept::Passphrase(_) => ProtectionKind::Passphrase,
        Kept::KeyFile {} => ProtectionKind::KeyFile,
    })
}

/// Keeps a new key. May take a second, and may wait for a person to unlock the keyring.
pub(crate) fn create(dir: &DataDir, key: &Key, protection: &Protection) -> Result<(), Error> {
    let vault = keep(dir, key, protection)?;
    write(dir, &vault).inspect_err(|_| forget(dir, &vault))
}

/// Gets the key back. May take a second, and may wait for a person to unlock the keyring.
pub(crate) fn open(dir: &DataDir, unlock: &Unlock) -> Result<Key, Error> {
    open_vault(dir, &read(dir)?, unlock)
}

/// Keeps the same key in another way. Whatever fails, and wherever it is cut short, one way still opens it.
pub(crate) fn change(dir: &DataDir, current: &Unlock, new: &Protection) -> Result<(), Error> {
    let old = read(dir)?;
    let key = open_vault(dir, &old, current)?;
    let vault = keep(dir, &key, new)?;
    let same_place = matches!((&old.protection, &vault.protection), (Kept::KeyFile {}, Kept::KeyFile {}));
    write(dir, &vault).inspect_err(|_| {
        if !same_place {
            forget(dir, &vault);
        }
    })?;
    if !same_place {
        forget(dir, &old);
    }
    Ok(())
}

fn open_vault(dir: &DataDir, vault: &Vault, unlock: &Unlock) -> Result<Key, Error> {
    match (&vault.protection, unlock) {
        (Kept::Keyring {}, _) => keyring::get(&vault.id),
        (Kept::KeyFile {}, _) => key_file::get(&dir.key_file()),
        (Kept::Passphrase(wrapped), Unlock::Passphrase(passphrase)) => wrapped.unwrap(&vault.id, passphrase),
        (Kept::Passphrase(_), Unlock::Stored) => Err(Error::PassphraseNeeded),
    }
}

/// Puts the key where it is to be; nothing names that place yet.
fn keep(dir: &DataDir, key: &Key, protection: &Protection) -> Result<Vault, Error> {
    let id = VaultId::draw()?;
    let protection = match protection {
        Protection::Keyring => {
            keyring::put(&id, key)?;
            Kept::Keyring {}
        }
        Protection::Passphrase(passphrase) => Kept::Passphrase(passphrase::Wrapped::wrap(&id, passphrase, key)?),
        Protection::KeyFile => {
            key_file::put(&dir.key_file(), key)?;
            Kept::KeyFile {}
        }
    };
    Ok(Vault { version: VERSION, id, protection })
}

/// Takes the key away from a place that no vault names any more. What cannot be removed stays: it harms nobody who
/// cannot already read it.
fn forget(dir: &DataDir, vault: &Vault) {
    match vault.protection {
        Kept::Keyring {} => keyring::remove(&vault.id),
        Kept::KeyFile {} => key_file::remove(&dir.key_file()),
        Kept::Passphrase(_) => {}
    }
}

fn read(dir: &DataDir) -> Result<Vault, Error> {
    let bytes = files::read_private(&dir.vault())?.ok_or_else(|| Error::NoAccount { dir: dir.path().to_owned() })?;
    let Version { version } = parse(&bytes)?;
    if version > VERSION {
        return Err(Error::VaultNewer { version });
    }
    parse(&bytes)
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|_| Error::VaultDamaged { what: "it is not what this program writes" })
}

fn write(dir: &DataDir, vault: &Vault) -> Result<(), Error> {
    let mut text =
        serde_json::to_vec_pretty(vault).map_err(|_| Error::VaultDamaged { what: "it cannot be written" })?;
    text.push(b'\n');
    files::write_private(&dir.vault(), &text)
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
