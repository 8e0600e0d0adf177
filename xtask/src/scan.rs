//! Looking for texts in files, in every form they may have there.
//!
//! Raw bytes of every file, whatever it holds: the texts themselves, in UTF-16 of both orders, in hexadecimal of both
//! cases, and in base64 of both alphabets at each of the three places where a text may begin in it. A database that
//! compresses its blocks could hide a text that repeats something; so each text has a part drawn at random, which no
//! compression shortens, and that part is looked for too.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Failure;

/// Bytes at the start of a form by which it is found. Shorter forms are not told from chance.
const KEY_BYTES: usize = 8;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Texts in all their forms.
#[derive(Default)]
pub(crate) struct Wanted {
    by_key: HashMap<[u8; KEY_BYTES], Vec<Form>>,
    /// Whether some form begins with these two bytes: most places are passed by after one look.
    begins: Vec<bool>,
}

struct Form {
    name: &'static str,
    bytes: Vec<u8>,
    text: String,
}

/// A text that was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) text: String,
    pub(crate) form: &'static str,
    pub(crate) file: PathBuf,
}

/// How much was looked at, and what was there.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) found: Vec<Found>,
}

impl Wanted {
    /// All of these.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wanted = Self { by_key: HashMap::new(), begins: vec![false; 1 << 16] };
        for text in texts {
            for (name, bytes) in forms(text) {
                let Some(key) = bytes.first_chunk::<KEY_BYTES>() else { continue };
                if let Some(begins) = wanted.begins.get_mut(index(key)) {
                    *begins = true;
                }
                wanted.by_key.entry(*key).or_default().push(Form { name, bytes, text: text.to_owned() });
            }
        }
        wanted
    }

    /// Looks through these files, and all files in these directories.
    pub(crate) fn look_in(&self, paths: &[PathBuf]) -> Result<Report, Failure> {
        let mut report = Report::default();
        for path in paths {
            self.look(path, &mut report)?;
        }
        Ok(report)
    }

    fn look(&self, path: &Path, report: &mut Report) -> Result<(), Failure> {
        let failed = |error| format!("{} cannot be read: {error}", path.display());
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(failed)? {
                self.look(&entry.map_err(failed)?.path(), report)?;
            }
            return Ok(());
        }
        let bytes = fs::read(path).map_err(failed)?;
        report.files += 1;
        report.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        report.found.extend(self.within(&bytes).map(|form| Found {
            text: form.text.clone(),
            form: form.name,
            file: path.to_owned(),
        }));
        Ok(())
    }

    fn within<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a Form> {
        (0..bytes.len()).filter_map(|at| bytes.get(at..)).flat_map(|rest| {
            let key = rest.first_chunk::<KEY_BYTES>().filter(|key| self.begins.get(index(key)) == Some(&true));
            let forms = key.and_then(|key| self.by_key.get(key)).map(Vec::as_slice).unwrap_or_default();
            forms.iter().filter(|form| rest.starts_with(&form.bytes))
        })
    }
}

fn index([first, second, ..]: &[u8; KEY_BYTES]) -> usize {
    usize::from(*first) << 8 | usize::from(*second)
}

fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = || text.encode_utf16();
    let mut forms = vec![
        ("plain", text.as_bytes().to_vec()),
        ("UTF-16 LE", utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16 BE", utf16().flat_map(u16::to_be_bytes).collect()),
        ("hexadecimal", text.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()),
        ("hexadecimal", text.bytes().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect()),
    ];
    for alphabet in [BASE64, BASE64_URL] {
        forms.extend((0..3).map(|before| ("base64", base64_inside(text.as_bytes(), before, alphabet))));
    }
    forms
}

/// The characters of a base64 text that depend on nothing but `bytes`, when these stand behind `before` others, modulo 3.
fn base64_inside(bytes: &[u8], before: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let mut bits = Vec::with_capacity((before + bytes.len()) * 8);
    bits.extend(std::iter::repeat_n(0, before * 8));
    bits.extend(bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)));
    let whole = bits.chunks_exact(6).skip((before * 8).div_ceil(6));
    whole.filter_map(|six| alphabet.get(six.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit)))).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "meet me at the old mill, gate 7";

    fn names(bytes: &[u8]) -> Vec<&'static str> {
        Wanted::new([TEXT]).within(bytes).map(|form| form.name).collect()
    }

    #[test]
    fn a_text_is_found_in_each_form_wherever_it_stands() {
        let around = |inner: &[u8]| [b"\x00\xffjunk", inner, b"\x07more"].concat();
        assert_eq!(names(&around(TEXT.as_bytes())), ["plain"]);
        let utf16 = |bytes: fn(u16) -> [u8; 2]| TEXT.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
        assert_eq!(names(&around(&utf16(u16::to_le_bytes))), ["UTF-16 LE"]);
        assert!(names(&around(&utf16(u16::to_be_bytes))).contains(&"UTF-16 BE"));
        let hex: String = TEXT.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(names(&around(hex.as_bytes())), ["hexadecimal"]);
        assert_eq!(names(&around(hex.to_uppercase().as_bytes())), ["hexadecimal"]);
    }

    #[test]
    fn base64_is_found_at_each_of_its_three_beginnings() {
        // echo -n 'meet me at the old mill, gate 7' | base64, and behind one and two other bytes.
        for encoded in [
            "bWVldCBtZSBhdCB0aGUgb2xkIG1pbGwsIGdhdGUgNw==",
            "eG1lZXQgbWUgYXQgdGhlIG9sZCBtaWxsLCBnYXRlIDc=",
            "eHltZWV0IG1lIGF0IHRoZSBvbGQgbWlsbCwgZ2F0ZSA3",
        ] {
            assert!(names(encoded.as_bytes()).contains(&"base64"), "{encoded}");
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert!(names(b"meet me at the old mill, gate 8; bWVldCBtZSBhdCB0aGUgb2xkIG1pbGwsIGdhdGUgOA==").is_empty());
        assert!(names(b"").is_empty());
    }
}
