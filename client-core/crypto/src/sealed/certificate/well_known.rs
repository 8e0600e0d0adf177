//! The server certificates that others refer to by id: public constants of Signal.
//!
//! They only save bytes. The roots to trust are still the caller's.
//!
//! Spec: signal-wire §6.1, appendix.

use super::ServerCertificate;

/// The well-known server certificate of this id: 2 (staging), 3 (production) or 0x7357C357 (of a test server).
///
/// Spec: signal-wire §6.1, appendix.
pub fn server_certificate(id: u32) -> Option<ServerCertificate> {
    let bytes = match id {
        2 => STAGING,
        3 => PRODUCTION,
        0x7357_C357 => TEST,
        _ => return None,
    };
    ServerCertificate::parse(bytes).ok()
}

const STAGING: &[u8] =
    b"\x0a\x25\x08\x02\x12\x21\x05\x39\x45\x0d\x63\xeb\xd0\x75\x2c\x0f\xd4\x03\x8b\x9d\x07\xa9\x16\xf5\
      \xe1\x74\xb7\x56\xd4\x09\xb5\xca\x79\xf4\xc9\x74\x00\x63\x1e\x12\x40\x64\xc5\xa3\x8b\x1e\x92\x74\
      \x97\xd3\xd4\x78\x6b\x10\x1a\x62\x3a\xb3\x4a\x7d\xa3\x95\x4f\xae\x12\x6b\x04\xdb\xa9\xd7\xa3\x60\
      \x4e\xd8\x8c\xdc\x85\x50\x95\x0f\x0d\x4a\x91\x34\xce\xb7\xe1\x9b\x94\x13\x91\x51\xd2\xc3\xd6\xe1\
      \xc8\x1e\x9d\x11\x28\xaa\xfc\xa8\x06";

const PRODUCTION: &[u8] =
    b"\x0a\x25\x08\x03\x12\x21\x05\xbc\x9d\x1d\x29\x0b\xe9\x64\x81\x0d\xfa\x7e\x94\x85\x64\x80\xa3\xf7\
      \x06\x0d\x00\x4c\x97\x62\xc2\x4c\x57\x5a\x15\x22\x35\x3a\x5a\x12\x40\xc1\x1e\xc3\xc4\x01\xeb\x01\
      \x07\xab\x38\xf8\x60\x0e\x87\x20\xa6\x31\x69\xe0\xe2\xeb\x8a\x3f\xae\x24\xf6\x30\x99\xf8\x5e\xa3\
      \x19\xc3\xc1\xc4\x6d\x34\x54\x70\x6a\xe2\xa6\x79\xd1\xfe\xe6\x90\xa4\x88\xad\xda\x98\xa2\x29\x0b\
      \x66\xc9\x06\xbb\x60\x29\x5e\xd7\x81";

const TEST: &[u8] = b"\x0a\x29\x08\xd7\x86\xdf\x9a\x07\x12\x21\x05\x84\x7c\x0d\x2c\x37\x52\x34\xf3\x65\xe6\x60\x95\x51\
      \x87\xa3\x73\x5a\x0f\x76\x13\xd1\x60\x9d\x3a\x6a\x4d\x8c\x53\xae\xaa\x5a\x22\x12\x40\xe0\xb9\xeb\
      \xac\xdf\xc3\xaa\x28\x27\xf7\x92\x4b\x69\x77\x84\xd1\xc2\x5e\x44\xca\x05\xdd\x43\x3e\x1a\x38\xdc\
      \x63\x82\xeb\x27\x30\xd4\x19\xca\x9a\x25\x0b\x1b\xe9\xd5\xa9\x46\x3e\x61\xef\xd6\x78\x17\x77\xa9\
      \x1b\x83\xc9\x7b\x84\x4d\x01\x42\x06\xe2\x82\x97\x85";

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;
    use crate::curve::{KeyPair, PrivateKey, PublicKey};

    #[test]
    fn the_well_known_certificates_are_signed_by_the_roots_of_the_appendix() {
        let root = |text: &str| PublicKey::from_pub33(&BASE64.decode(text.as_bytes()).unwrap()).unwrap();
        let pair = |byte| KeyPair::from_private(PrivateKey::from_bytes(&[byte; 32])).public();
        let roots = [
            (2, root("BYhU6tPjqP46KGZEzRs1OL4U39V5dlPJ/X09ha4rErkm")),
            (3, root("BUkY0I+9+oPgDCn4+Ac6Iu813yvqkDr/ga8DzLxFxuk6")),
            (0x7357_C357, pair(0)),
        ];
        for (id, right) in roots {
            let certificate = server_certificate(id).unwrap();
            assert_eq!(certificate.id(), id);
            for (_, root) in roots {
                assert_eq!(certificate.verify(&[root]).is_ok(), root == right);
            }
        }
        assert_eq!(server_certificate(0x7357_C357).unwrap().key(), pair(0xFF));
        assert!([0, 1, 4, 0xDEAD_C357].iter().all(|id| server_certificate(*id).is_none()));
    }
}
