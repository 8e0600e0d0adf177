//! Small private files: written whole or not at all, read only if nobody else could have.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::{Error, file};

/// The largest of these files is a vault of a few hundred bytes. Not a disk image put there by mistake.
const SMALL_FILE_BYTES_MAX: u64 = 16 * 1024;

/// Only the owner reads and writes.
pub(crate) const FILE_MODE: u32 = 0o600;

/// Only the owner enters.
pub(crate) const DIR_MODE: u32 = 0o700;

/// Reads a small file that only its owner can read; `None` if there is none.
pub(crate) fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let opened = match File::open(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(file(path))?,
    };
    check_mode(&opened.metadata().map_err(file(path))?, path, FILE_MODE)?; // of what is read, not of what has its name
    let mut bytes = Zeroizing::new(Vec::with_capacity(1024)); // a key does not make it grow, so leaves no copies
    opened.take(SMALL_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(file(path))?;
    Ok(Some(bytes))
}

/// After this returns the file has these bytes, whatever happens next; before, it has what it had.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let draft = draft_of(path);
    let result = create_private(&draft)
        .and_then(|mut out| {
            out.write_all(bytes)?;
            out.sync_all()
        })
        .and_then(|()| fs::rename(&draft, path))
        .and_then(|()| sync_dir(path.parent()));
    result.map_err(|cause| {
        let _ = fs::remove_file(&draft);
        file(path)(cause)
    })
}

/// A new, empty file that only its owner can read. One that an interrupted try left is replaced.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, FILE_MODE);
    options.open(path)
}

/// Where a file is written before it takes its name.
pub(crate) fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// A rename is durable once its directory is.
#[cfg(unix)]
fn sync_dir(dir: Option<&Path>) -> io::Result<()> {
    dir.map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Directories cannot be opened here; the system writes names through.
#[cfg(not(unix))]
fn sync_dir(_dir: Option<&Path>) -> io::Result<()> {
    Ok(())
}

/// Whether only its owner can read the file; one that is not there is no danger.
pub(crate) fn check_private(path: &Path) -> Result<(), Error> {
    fs::metadata(path).map_or(Ok(()), |metadata| check_mode(&metadata, path, FILE_MODE))
}

/// Nobody but the owner may do anything with it.
#[cfg(unix)]
pub(crate) fn check_mode(metadata: &fs::Metadata, path: &Path, wanted: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::TooOpen { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

/// Who may read is said in other ways here, and by default it is the owner.
#[cfg(not(unix))]
pub(crate) fn check_mode(_metadata: &fs::Metadata, _path: &Path, _wanted: u32) -> Result<(), Error> {
    Ok(())
}

/// It must belong to whom we run as. That is asked of a file made just now in `dir`: nothing else is sure to be ours.
#[cfg(unix)]
pub(crate) fn check_owner(path: &Path, dir: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let theirs = fs::metadata(path).map_err(file(path))?.uid();
    let probe = dir.join(format!("owner-{}.new", std::process::id()));
    let ours = create_private(&probe).and_then(|made| made.metadata()).map(|made| made.uid());
    let _ = fs::remove_file(&probe);
    if ours.map_err(file(dir))? != theirs {
        return Err(Error::NotOurs { path: path.to_owned() });
    }
    Ok(())
}

/// As for [`check_mode`].
#[cfg(not(unix))]
pub(crate) fn check_owner(_path: &Path, _dir: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_private(&path, b"first").unwrap();
        write_private(&path, b"2").unwrap();
        assert_eq!(read_private(&path).unwrap().unwrap().as_slice(), b"2");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_an_interrupted_write_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_private(&path, b"whole").unwrap();
        fs::write(draft_of(&path), b"hal").unwrap(); // killed before the rename
        assert_eq!(read_private(&path).unwrap().unwrap().as_slice(), b"whole");
        write_private(&path, b"next").unwrap();
        assert_eq!(read_private(&path).unwrap().unwrap().as_slice(), b"next");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_helps() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_private(&path, b"secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let said = read_private(&path).unwrap_err().to_string();
        assert!(said.contains("mode 644") && said.contains("chmod 600"), "{said}");
    }
}
