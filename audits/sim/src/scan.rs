//! Looking for bytes in files, in every form they may have there: as they are, in UTF-16 of both orders, in hexadecimal
//! of both cases, and in base64 of both alphabets at each of the three places where they may begin in it.
//!
//! Files are read raw, whatever they hold. A database that compresses its blocks can hide what repeats something seen
//! shortly before, so what is looked for should be random for the most part; keys are.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};

use crate::Failure;

/// What is looked for, and what to call it.
#[derive(Clone, Debug)]
pub struct Secret {
    name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

/// What was found, in which form, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// [`Secret`]'s name.
    pub name: String,
    /// As what.
    pub form: &'static str,
    /// In which file, or piece of what was on the wire.
    pub place: PathBuf,
}

/// What was looked at.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files.
    pub files: usize,
    /// Bytes in them.
    pub bytes: usize,
    /// What was there.
    pub found: Vec<Found>,
}

impl Secret {
    /// Looks for these bytes: 8 at least, or chance finds them too.
    #[must_use]
    pub fn bytes(name: &str, bytes: &[u8]) -> Self {
        let mut forms = vec![
            ("raw", bytes.to_vec()),
            ("hexadecimal", HEXLOWER.encode(bytes).into_bytes()),
            ("hexadecimal", HEXUPPER.encode(bytes).into_bytes()),
        ];
        for alphabet in [BASE64_NOPAD, BASE64URL_NOPAD] {
            forms.extend((0..3).map(|before| ("base64", inside(bytes, before, &alphabet))));
        }
        Self { name: name.to_owned(), forms }
    }

    /// Looks for this text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let mut secret = Self::bytes(text, text.as_bytes());
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            secret.forms.push(("UTF-16", text.encode_utf16().flat_map(order).collect()));
        }
        secret
    }

    fn form_in(&self, bytes: &[u8]) -> Option<&'static str> {
        self.forms.iter().find(|(_, form)| contains(bytes, form)).map(|(name, _)| *name)
    }
}

/// The characters of an encoded text that depend on nothing but `bytes`, when these stand behind `before` others.
fn inside(bytes: &[u8], before: usize, alphabet: &Encoding) -> Vec<u8> {
    let all = alphabet.encode(&[&vec![0; before], bytes].concat()).into_bytes();
    // Each character is 6 bits: the first may hold bits of what is before, the last bits of what comes behind.
    let (begin, end) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
    all.get(begin..end).unwrap_or_default().to_vec()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(wanted) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

/// Looks through these bytes.
#[must_use]
pub fn look(secrets: &[Secret], place: &Path, bytes: &[u8]) -> Vec<Found> {
    let found = |secret: &Secret| {
        secret.form_in(bytes).map(|form| Found { name: secret.name.clone(), form, place: place.to_owned() })
    };
    secrets.iter().filter_map(found).collect()
}

/// Looks through this file, or all files below this directory.
///
/// # Errors
/// One cannot be read.
pub fn look_in(secrets: &[Secret], path: &Path) -> Result<Report, Failure> {
    let mut report = Report::default();
    walk(secrets, path, &mut report)?;
    Ok(report)
}

fn walk(secrets: &[Secret], path: &Path, report: &mut Report) -> Result<(), Failure> {
    let failed = |error| format!("{} cannot be read: {error}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            walk(secrets, &entry.map_err(failed)?.path(), report)?;
        }
        return Ok(());
    }
    let bytes = match fs::read(path) {
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => return Ok(()), // a log that was just rotated
        read => read.map_err(failed)?,
    };
    report.files += 1;
    report.bytes += bytes.len();
    report.found.extend(look(secrets, path, &bytes));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "meet me at the old mill, gate 7";

    fn forms(bytes: &[u8]) -> Vec<&'static str> {
        let around = [b"\x00\xffjunk", bytes, b"\x07more"].concat();
        look(&[Secret::text(TEXT)], Path::new("x"), &around).into_iter().map(|found| found.form).collect()
    }

    #[test]
    fn a_text_is_found_in_each_form_wherever_it_stands() {
        assert_eq!(forms(TEXT.as_bytes()), ["raw"]);
        assert_eq!(forms(HEXLOWER.encode(TEXT.as_bytes()).as_bytes()), ["hexadecimal"]);
        assert_eq!(forms(HEXUPPER.encode(TEXT.as_bytes()).as_bytes()), ["hexadecimal"]);
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            assert_eq!(forms(&TEXT.encode_utf16().flat_map(order).collect::<Vec<_>>()), ["UTF-16"]);
        }
    }

    #[test]
    fn base64_is_found_at_each_of_its_three_beginnings_and_in_both_alphabets() {
        for before in ["", "x", "xy"] {
            for alphabet in [BASE64_NOPAD, BASE64URL_NOPAD] {
                let encoded = alphabet.encode(format!("{before}{TEXT} and more").as_bytes());
                assert_eq!(forms(encoded.as_bytes()), ["base64"], "{before:?}");
            }
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert!(forms(b"meet me at the old mill, gate 8").is_empty());
        assert!(forms(BASE64_NOPAD.encode(b"meet me at the old mill, gate 8").as_bytes()).is_empty());
        assert!(look(&[Secret::text(TEXT)], Path::new("x"), b"").is_empty());
    }

    #[test]
    fn every_file_below_a_directory_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        fs::write(dir.path().join("a"), "nothing").unwrap();
        fs::write(dir.path().join("below").join("b"), TEXT).unwrap();
        let report = look_in(&[Secret::text(TEXT)], dir.path()).unwrap();
        assert_eq!((report.files, report.bytes, report.found.len()), (2, 7 + TEXT.len(), 1));
    }
}
