//! AES-256-CBC with PKCS#7 padding: the cipher of session messages. It authenticates nothing; `session` checks the MAC.
//!
//! Spec: signal-wire §1.1, §3.6.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use zeroize::Zeroizing;

/// Bytes of a block; padding brings every text up to the next multiple.
const BLOCK_BYTES: usize = 16;

/// `CBC(plaintext)`: always 1 to 16 bytes longer than the text.
pub(crate) fn encrypt(key: &[u8; 32], iv: &[u8; 16], plaintext: &[u8]) -> Vec<u8> {
    cbc::Encryptor::<Aes256>::new(key.into(), iv.into()).encrypt_padded_vec::<Pkcs7>(plaintext)
}

/// The text of `ciphertext`; nothing when it is empty, not whole blocks, or badly padded.
///
/// Call it only after the MAC was found right: the answer tells who asks about the padding.
pub(crate) fn decrypt(key: &[u8; 32], iv: &[u8; 16], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK_BYTES) {
        return None;
    }
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let length = cbc::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_padded::<Pkcs7>(&mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}
