//! Project Wycheproof's attacks on what is ours around the primitives: X25519, HMAC, HKDF, AES-CBC, AES-GCM-SIV.
//!
//! Inside the crate because most of these wrappers are. What the other crates use as it is, is in `tests/wycheproof.rs`.
//!
//! Spec: signal-wire §1.1, §1.2, §6.4.

use ::wycheproof::TestResult;
use ::wycheproof::{aead, cipher as cbc, hkdf, mac, xdh};
use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};

use crate::curve::{PrivateKey, PublicKey};
use crate::{cipher, kdf};

/// How many tests must be right, and how many must be refused.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    right: usize,
    refused: usize,
}

impl Counts {
    fn add(&mut self, right: bool) {
        if right {
            self.right += 1;
        } else {
            self.refused += 1;
        }
    }
}

/// Spec: signal-wire §1.2.
#[test]
fn x25519_agrees_as_wycheproof_says_and_refuses_every_zero_secret() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut counts = Counts::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let private = PrivateKey::from_bytes(test.private_key.as_slice().try_into().unwrap());
        let public = PublicKey::from_bytes(test.public_key.as_slice().try_into().unwrap());
        let zero = test.flags.contains(&xdh::TestFlag::ZeroSharedSecret);
        match private.agree(&public) {
            Ok(shared) => assert_eq!(shared.as_slice(), test.shared_secret.as_slice(), "{}", test.tc_id),
            Err(_) => assert!(zero && test.result == TestResult::Acceptable, "{}", test.tc_id),
        }
        assert_eq!(private.agree(&public).is_err(), zero, "{}", test.tc_id);
        counts.add(!zero);
    }
    assert_eq!(counts, Counts { right: 487, refused: 31 });
}

/// Spec: signal-wire §1.1.
#[test]
fn hmac_sha256_is_right_and_its_altered_tags_are_not() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut counts = Counts::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let (first, rest) = test.msg.split_at(test.msg.len() / 2);
            let computed = kdf::hmac(&test.key, &[first, rest]);
            let same = computed[..group.tag_size / 8] == test.tag[..];
            assert_eq!(same, test.result == TestResult::Valid, "{}", test.tc_id);
            counts.add(same);
        }
    }
    assert_eq!(counts, Counts { right: 66, refused: 108 });
}

/// Spec: signal-wire §1.1.
#[test]
fn hkdf_sha256_gives_the_output_of_every_length() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let mut counts = Counts::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        macro_rules! of_lengths {
            ($($length:literal)+) => {
                match test.size {
                    $($length => kdf::hkdf::<$length>(Some(&test.salt), &test.ikm, &test.info).to_vec(),)+
                    // One byte more than HKDF can give: here it does not compile.
                    8161 => {
                        assert_eq!(test.result, TestResult::Invalid);
                        counts.add(false);
                        continue;
                    }
                    other => panic!("a length not known here: {other}"),
                }
            };
        }
        let output = of_lengths!(20 32 42 56 64 80 82 128 8160);
        assert_eq!(output, test.okm.as_slice(), "{}", test.tc_id);
        assert_eq!(test.result, TestResult::Valid);
        if test.salt.is_empty() {
            let absent = kdf::hkdf::<20>(None, &test.ikm, &test.info);
            assert_eq!(*absent, test.okm[..20], "no salt is an empty one");
        }
        counts.add(true);
    }
    assert_eq!(counts, Counts { right: 83, refused: 3 });
}

/// Spec: signal-wire §1.1.
#[test]
fn aes_cbc_refuses_every_bad_padding() {
    let set = cbc::TestSet::load(cbc::TestName::AesCbcPkcs5).unwrap();
    let mut counts = Counts::default();
    for test in set.test_groups.iter().filter(|group| group.key_size == 256).flat_map(|group| &group.tests) {
        let (key, iv) = (test.key.as_slice().try_into().unwrap(), test.nonce.as_slice().try_into().unwrap());
        let opened = cipher::decrypt(key, iv, &test.ct);
        if test.result == TestResult::Valid {
            assert_eq!(**opened.as_ref().unwrap(), *test.pt, "{}", test.tc_id);
            assert_eq!(cipher::encrypt(key, iv, &test.pt), test.ct.as_slice(), "{}", test.tc_id);
        }
        assert_eq!(opened.is_some(), test.result == TestResult::Valid, "{}", test.tc_id);
        counts.add(opened.is_some());
    }
    assert_eq!(counts, Counts { right: 24, refused: 48 });
}

/// Our use has one nonce and no associated data, so the cipher itself is tested, by the type that we use.
///
/// Spec: signal-wire §6.4.
#[test]
fn aes_256_gcm_siv_opens_what_is_right_and_nothing_else() {
    let set = aead::TestSet::load(aead::TestName::AesGcmSiv).unwrap();
    let mut counts = Counts::default();
    for test in set.test_groups.iter().filter(|group| group.key_size == 256).flat_map(|group| &group.tests) {
        let cipher = Aes256GcmSiv::new_from_slice(&test.key).unwrap();
        let nonce = <[u8; 12]>::try_from(test.nonce.as_slice()).unwrap();
        let nonce = Nonce::from(nonce);
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &test.aad });
        if test.result == TestResult::Valid {
            assert_eq!(opened.as_deref().unwrap(), test.pt.as_slice(), "{}", test.tc_id);
            assert_eq!(cipher.encrypt(&nonce, Payload { msg: &test.pt, aad: &test.aad }).unwrap(), sealed);
        }
        assert_eq!(opened.is_ok(), test.result == TestResult::Valid, "{}", test.tc_id);
        counts.add(opened.is_ok());
    }
    assert_eq!(counts, Counts { right: 69, refused: 34 });
}
