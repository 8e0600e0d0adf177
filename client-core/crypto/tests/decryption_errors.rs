//! Messages that did not open, and what their senders are told.
//!
//! Vectors: misc.json, sealed_sender.json. Spec: signal-wire §8.1.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use hushwire_crypto::{
    BadKey, CiphertextMessage, DecryptionErrorMessage, MalformedMessage, PlaintextContent, PreKeySignalMessage,
    SenderKeyMessage, SignalMessage,
};
use proptest::prelude::*;
use serde_json::Value;

use support::acquainted;
use support::recorded::{bytes, list, number};

mod support;

#[test]
fn recorded_decryption_errors_come_out_byte_for_byte_and_are_read_back() {
    let misc: Value = serde_json::from_str(include_str!("vectors/misc.json")).unwrap();
    let mut made = 0;
    for case in list(&misc["decryptionErrors"]) {
        let original = bytes(&case["original"]);
        let (timestamp_ms, device_id) = (case["timestamp"].as_u64().unwrap(), number(&case["deviceId"]));
        let error = match case["type"].as_u64() {
            Some(2) => {
                let original = SignalMessage::parse(&original).unwrap();
                DecryptionErrorMessage::for_signal(&original, timestamp_ms, device_id)
            }
            Some(3) => {
                let original = PreKeySignalMessage::parse(&original).unwrap();
                DecryptionErrorMessage::for_first(&original, timestamp_ms, device_id)
            }
            Some(7) => {
                assert!(SenderKeyMessage::parse(&original).is_ok());
                DecryptionErrorMessage::for_group(timestamp_ms, device_id)
            }
            other => panic!("a type not known here: {other:?}"),
        };
        let key = error.ratchet_key.map(|key| key.to_pub33().to_vec());
        assert_eq!(key, case["ratchetKey"].is_string().then(|| bytes(&case["ratchetKey"])));
        assert_eq!(error.to_bytes(), bytes(&case["message"]));
        assert_eq!(DecryptionErrorMessage::parse(&bytes(&case["message"])).unwrap(), error);
        let content = PlaintextContent::new(error);
        assert_eq!(content.to_bytes(), bytes(&case["plaintextContent"]));
        assert_eq!(PlaintextContent::parse(&content.to_bytes()).unwrap(), content);
        made += 1;
    }
    assert_eq!(made, 3);
}

#[test]
fn the_plaintext_inside_recorded_seals_is_read() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/sealed_sender.json")).unwrap();
    let reply = SignalMessage::parse(&bytes(&vectors["reply"]["ciphertext"])).unwrap();
    let expected = DecryptionErrorMessage::for_signal(&reply, 1_700_000_000_123, 1);
    for recorded in list(&vectors["usmcs"]) {
        let content = PlaintextContent::parse(&bytes(&recorded["contents"])).unwrap();
        assert_eq!(*content.error(), expected);
    }
}

#[test]
fn a_plaintext_has_its_first_and_its_last_byte_and_an_error_between() {
    let error = DecryptionErrorMessage::for_group(1, 2);
    let whole = PlaintextContent::new(error.clone()).to_bytes();
    for first in (0..=255).filter(|byte| *byte != 0xC0) {
        let refused = PlaintextContent::parse(&[&[first], &whole[1..]].concat()).unwrap_err();
        assert_eq!(refused, MalformedMessage::Version(first >> 4));
    }
    assert_eq!(PlaintextContent::parse(&[]).unwrap_err(), MalformedMessage::Length(0));
    assert_eq!(PlaintextContent::parse(&[0xC0]).unwrap_err(), MalformedMessage::Length(1));
    for body in [&[][..], &[0x0A, 1, 7], &[0x42, 0], &[0x42, 9, 1]] {
        let refused = PlaintextContent::parse(&[&[0xC0], body, &[0x80]].concat()).unwrap_err();
        assert_eq!(refused, MalformedMessage::Fields, "{body:?}");
    }
    assert_eq!(PlaintextContent::parse(&whole[..whole.len() - 1]).unwrap_err(), MalformedMessage::Fields);
    assert_eq!(PlaintextContent::parse(&[whole.as_slice(), &[0]].concat()).unwrap_err(), MalformedMessage::Fields);
    // The device may be missing, the time may not, and a key that is there must be one.
    assert_eq!(DecryptionErrorMessage::parse(&[0x10, 1]).unwrap().device_id, 0);
    assert_eq!(DecryptionErrorMessage::parse(&[0x18, 1]).unwrap_err(), MalformedMessage::Fields);
    let short_key = DecryptionErrorMessage::parse(&[0x0A, 2, 5, 5, 0x10, 1]).unwrap_err();
    assert_eq!(short_key, MalformedMessage::Key(BadKey::Length));
    assert!(DecryptionErrorMessage::parse(&vec![0; 256 * 1024 + 1]).is_err());
}

#[test]
fn who_hears_that_the_current_session_does_not_open_archives_it() {
    let (mut alice, mut bob) = acquainted(90);
    let lost = alice.send(b"not opened");
    let CiphertextMessage::Signal(bytes) = &lost else { panic!("acquainted sessions have no wrappers") };
    let error = DecryptionErrorMessage::for_signal(&SignalMessage::parse(bytes).unwrap(), alice.now_ms, 1);
    let key = error.ratchet_key.unwrap();
    assert!(alice.sessions.our_ratchet_key() == Some(key) && bob.sessions.our_ratchet_key() != Some(key));

    // Once the conversation has turned the key is no longer the one that Alice sends with: all is well again.
    let kept = alice.sessions.clone();
    bob.receive(&lost).unwrap();
    alice.receive(&bob.send(b"opened after all")).unwrap();
    assert!(alice.sessions.our_ratchet_key() != Some(key));

    alice.sessions = kept.archive_current();
    assert!(alice.sessions.our_ratchet_key().is_none() && !alice.sessions.has_usable_session(alice.now_ms));
}

proptest! {
    #[test]
    fn what_is_told_is_read(key: Option<[u8; 32]>, timestamp_ms: u64, device_id: u32) {
        let ratchet_key = key.map(hushwire_crypto::PublicKey::from_bytes);
        let content = PlaintextContent::new(DecryptionErrorMessage { ratchet_key, timestamp_ms, device_id });
        prop_assert_eq!(PlaintextContent::parse(&content.to_bytes()).unwrap(), content);
    }

    #[test]
    fn any_bytes_are_told_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = DecryptionErrorMessage::parse(&bytes);
        let _ = PlaintextContent::parse(&[&[0xC0], bytes.as_slice(), &[0x80]].concat());
    }
}
