//! All that lies in the files of a database, page by page, in clear: whatever a page is used for, and the log.

use std::path::{Path, PathBuf};

use aes::Aes256;
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};

/// As SQLCipher 4 writes them.
const PAGE_LEN: usize = 4096;
const IV_LEN: usize = 16;
/// The IV and an HMAC end each page.
const RESERVED_LEN: usize = IV_LEN + 64;
/// Stands in clear at the beginning of the first page.
const SALT_LEN: usize = 16;

const LOG_HEAD_LEN: usize = 32;
const FRAME_HEAD_LEN: usize = 24;

/// The pages of the database, and of its log if that has any.
pub fn of(database: &Path, key: &[u8; 32]) -> Vec<u8> {
    let mut all = Vec::new();
    let bytes = std::fs::read(database).unwrap();
    assert_eq!(bytes.len() % PAGE_LEN, 0);
    for (number, page) in (1u32..).zip(bytes.chunks_exact(PAGE_LEN)) {
        all.extend(decrypted(number, page, key));
    }
    let log = std::fs::read(PathBuf::from(format!("{}-wal", database.display()))).unwrap_or_default();
    let frames = log.get(LOG_HEAD_LEN..).unwrap_or_default().chunks_exact(FRAME_HEAD_LEN + PAGE_LEN);
    for frame in frames {
        let number = u32::from_be_bytes(frame[..4].try_into().unwrap());
        all.extend(decrypted(number, &frame[FRAME_HEAD_LEN..], key));
    }
    all
}

fn decrypted(number: u32, page: &[u8], key: &[u8; 32]) -> Vec<u8> {
    let begin = if number == 1 { SALT_LEN } else { 0 };
    let (content, end) = page.split_at(PAGE_LEN - RESERVED_LEN);
    let mut content = content[begin..].to_vec();
    let iv: [u8; IV_LEN] = end[..IV_LEN].try_into().unwrap();
    Decryptor::<Aes256>::new(&(*key).into(), &iv.into()).decrypt_padded::<NoPadding>(&mut content).unwrap();
    content
}
