//! The key in a file, for machines without a person: whoever can read the file can read everything, so it must be the
//! owner's alone.

use std::fs;
use std::path::Path;

use zeroize::Zeroizing;

use super::Key;
use crate::error::Error;
use crate::files;

pub(super) fn get(path: &Path) -> Result<Key, Error> {
    let place = || path.display().to_string();
    let bytes = files::read_private(path)?.ok_or_else(|| Error::KeyMissing { place: place() })?;
    files::check_owner(path, path.parent().unwrap_or(path))?;
    let key: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| Error::KeyDamaged { place: place() })?;
    Ok(Zeroizing::new(*key))
}

pub(super) fn put(path: &Path, key: &Key) -> Result<(), Error> {
    files::write_private(path, key.as_slice())
}

pub(super) fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}
