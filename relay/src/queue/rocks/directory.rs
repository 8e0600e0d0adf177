//! The directories that the database lies in. What was made in one is there after a power cut only once that directory was
//! synced, however often its own files were.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Makes `dir` and what is missing above it, so that it stays.
pub(super) fn make(dir: &Path) -> io::Result<()> {
    let missing: Vec<_> = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    fs::create_dir_all(dir)?;
    for made in missing {
        sync(above(made))?;
    }
    // An earlier start may have made it and been cut off.
    match sync(above(dir)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()), // then somebody else made it
        synced => synced,
    }
}

/// What was made in it stays.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Where the entry of `dir` stands.
fn above(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => dir, // of the root: in itself
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_is_made_with_all_above_it_and_may_be_there_already() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("one/two/three");
        make(&deep).unwrap();
        make(&deep).unwrap();
        assert!(deep.is_dir());
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(make(&dir.path().join("file/data")).is_err());
    }

    #[test]
    fn the_entry_of_a_directory_stands_in_the_one_above_it() {
        for (dir, expected) in
            [("/srv/hush/data", "/srv/hush"), ("/data", "/"), ("data", "."), ("a/b", "a"), ("/", "/")]
        {
            assert_eq!(above(Path::new(dir)), Path::new(expected));
        }
    }
}
