//! The key in the operating system's keyring: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.

use keyring::Entry;
use zeroize::Zeroizing;

use super::{Key, VaultId};
use crate::error::Error;

/// Under which name the keyring shows our entries to a person.
const SERVICE: &str = "hushwire";

/// How errors call it.
const PLACE: &str = "the keyring";

pub(super) fn get(id: &VaultId) -> Result<Key, Error> {
    let secret = entry(id)?.get_secret().map(Zeroizing::new).map_err(explain)?;
    let key: &[u8; 32] = secret.as_slice().try_into().map_err(|_| Error::KeyDamaged { place: PLACE.to_owned() })?;
    Ok(Zeroizing::new(*key))
}

/// Reads back what was stored: a keyring that takes a secret and does not give it would lock its owner out.
pub(super) fn put(id: &VaultId, key: &Key) -> Result<(), Error> {
    entry(id)?.set_secret(key.as_slice()).map_err(explain)?;
    let kept = match get(id) {
        Ok(found) if found == *key => Ok(()),
        Ok(_) => Err(Error::KeyDamaged { place: PLACE.to_owned() }),
        Err(error) => Err(error),
    };
    kept.inspect_err(|_| remove(id))
}

pub(super) fn remove(id: &VaultId) {
    if let Ok(entry) = entry(id) {
        let _ = entry.delete_credential();
    }
}

fn entry(id: &VaultId) -> Result<Entry, Error> {
    if let Err(cause) = Entry::store_status() {
        return Err(Error::NoKeyring { cause: cause.to_string() });
    }
    Entry::new(SERVICE, &id.0).map_err(explain)
}

/// Never with the secret itself: some of these errors carry it.
fn explain(error: keyring::Error) -> Error {
    use keyring::Error as E;
    match error {
        E::NoEntry => Error::KeyMissing { place: PLACE.to_owned() },
        E::NoStorageAccess(_) => Error::KeyringLocked,
        E::BadEncoding(secret) | E::BadDataFormat(secret, _) => {
            drop(Zeroizing::new(secret));
            Error::KeyDamaged { place: PLACE.to_owned() }
        }
        E::Ambiguous(_) => Error::KeyDamaged { place: PLACE.to_owned() },
        E::PlatformFailure(cause) => Error::NoKeyring { cause: cause.to_string() },
        other => Error::NoKeyring { cause: other.to_string() },
    }
}
