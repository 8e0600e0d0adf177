//! Project Wycheproof's attacks on what other crates of the project use as it is: Ed25519 (`proto::auth` and the device
//! lists verify strictly) and AES-256-GCM (the vault of `client-core`).
//!
//! They stand here beside the others, in `src/wycheproof.rs`. Neither is part of signal-wire.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use ed25519_dalek::{Signature, VerifyingKey};
use wycheproof::TestResult;
use wycheproof::{aead, eddsa};

#[test]
fn ed25519_verifies_strictly_and_refuses_every_other_writing_of_a_signature() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut right, mut refused) = (0, 0);
    for group in &set.test_groups {
        let key = VerifyingKey::from_bytes(group.key.pk.as_slice().try_into().unwrap()).unwrap();
        for test in &group.tests {
            let verified = Signature::from_slice(&test.sig).and_then(|sig| key.verify_strict(&test.msg, &sig));
            assert_eq!(verified.is_ok(), test.result == TestResult::Valid, "{} {}", test.tc_id, test.comment);
            if verified.is_ok() { right += 1 } else { refused += 1 }
        }
    }
    assert_eq!((right, refused), (88, 63));
}

#[test]
fn aes_256_gcm_opens_what_is_right_and_nothing_else() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let (mut right, mut refused) = (0, 0);
    // The vault's nonces have 96 bits, and its type takes no others.
    let groups = set.test_groups.iter().filter(|group| group.key_size == 256 && group.nonce_size == 96);
    for test in groups.flat_map(|group| &group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let nonce = Nonce::from(<[u8; 12]>::try_from(test.nonce.as_slice()).unwrap());
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &test.aad });
        if test.result == TestResult::Valid {
            assert_eq!(opened.as_deref().unwrap(), test.pt.as_slice(), "{}", test.tc_id);
            assert_eq!(cipher.encrypt(&nonce, Payload { msg: &test.pt, aad: &test.aad }).unwrap(), sealed);
        }
        assert_eq!(opened.is_ok(), test.result == TestResult::Valid, "{}", test.tc_id);
        if opened.is_ok() { right += 1 } else { refused += 1 }
    }
    assert_eq!((right, refused), (39, 27));
}
