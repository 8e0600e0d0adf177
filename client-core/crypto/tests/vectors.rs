//! What the official library recorded, against this one. `two_way.json` is replayed inside the crate, in `replay`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use data_encoding::HEXLOWER;
use hushwire_crypto::{
    BadBundle, BundleKey, DecryptError, IdentityKeyPair, KemPublicKey, KemSecretKey, NotContributory, OurPreKeys,
    PreKeyBundle, PreKeySignalMessage, PrivateKey, PublicKey, Sessions, SignalMessage,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use support::recorded::{Party, address, array, bundle, bytes, list, text};

mod support;

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn keys() -> Value {
    vectors(include_str!("vectors/keys.json"))
}

fn misc() -> Value {
    vectors(include_str!("vectors/misc.json"))
}

fn negative() -> Value {
    vectors(include_str!("vectors/negative.json"))
}

/// Spec: signal-wire §1.4.
#[test]
fn signatures_are_judged_as_the_official_library_does() {
    let mut judged = 0;
    for case in list(&keys()["signatures"]) {
        let public = PublicKey::from_pub33(&bytes(&case["public"]));
        let signature: Result<[u8; 64], _> = bytes(&case["signature"]).try_into();
        let valid = match (public, signature) {
            (Ok(public), Ok(signature)) => public.verify(&[&bytes(&case["message"])], &signature),
            _ => false,
        };
        assert_eq!(valid, case["valid"], "{}", case["note"]);
        judged += 1;
    }
    assert_eq!(judged, 126);
}

/// Spec: signal-wire §1.4.
#[test]
fn what_we_sign_verifies_whatever_the_sign_of_the_key_and_in_any_parts() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut signs = [0, 0];
    for _ in 0..32 {
        let identity = IdentityKeyPair::generate(&mut rng);
        let signature = identity.sign(&[b"one", b"", b"two"], &mut rng);
        signs[usize::from(signature[63] >> 7)] += 1;
        assert!(identity.public().verify(&[b"onetwo"], &signature));
        assert!(!identity.public().verify(&[b"onetwo "], &signature));
    }
    assert!(signs.iter().all(|count| *count > 4), "{signs:?}");
}

/// Spec: signal-wire §1.4.
#[test]
fn a_signature_has_few_writings() {
    let mut rng = StdRng::seed_from_u64(10);
    let order: [u8; 32] = array(&Value::from("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"));
    for _ in 0..8 {
        let identity = IdentityKeyPair::generate(&mut rng);
        let mut signature = identity.sign(&[b"one sum"], &mut rng);
        // s + L is below 2^253 and accepted, as the official library does; s + 2L is the same sum again and is not.
        for accepted in [true, false] {
            let sign = signature[63] & 0x80;
            signature[63] &= 0x7F;
            let mut carry = 0;
            for (byte, more) in signature[32..].iter_mut().zip(order) {
                let sum = u16::from(*byte) + u16::from(more) + carry;
                (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
            }
            signature[63] |= sign;
            assert_eq!(identity.public().verify(&[b"one sum"], &signature), accepted);
        }
    }
}

/// Spec: signal-wire §1.4.
#[test]
fn one_identity_vouches_for_another() {
    for case in list(&keys()["alternateIdentity"]) {
        let public = PublicKey::from_pub33(&bytes(&case["public"])).unwrap();
        let signature = bytes(&case["signature"]).try_into().unwrap();
        assert!(public.verify(&[&[0xFF; 32], b"Signal_PNI_Signature", &bytes(&case["other"])], &signature));
    }
}

/// Spec: signal-wire §1.2.
#[test]
fn agreement_gives_the_recorded_secrets() {
    for case in list(&keys()["agreement"]) {
        let public = PublicKey::from_pub33(&bytes(&case["public"])).unwrap();
        let agreed = PrivateKey::from_bytes(&array(&case["private"])).agree(&public);
        assert_eq!(agreed.is_ok(), public.is_contributory());
        match agreed {
            Ok(secret) => assert_eq!(*secret, array(&case["secret"])),
            Err(NotContributory) => assert_eq!(case["error"], "invalid key agreement"),
        }
    }
}

/// Spec: signal-wire §1.2.
#[test]
fn private_keys_are_clamped_when_they_come_in() {
    for case in list(&keys()["clamping"]) {
        let private = PrivateKey::from_bytes(&array(&case["raw"]));
        assert_eq!(*private.to_bytes(), array(&case["serialized"]));
        assert_eq!(private.public().to_pub33().to_vec(), bytes(&case["public"]));
    }
}

/// Spec: signal-wire §1.2.
#[test]
fn public_keys_are_read_as_the_official_library_does() {
    for case in list(&keys()["publicKeyParse"]) {
        let read = PublicKey::from_pub33(&bytes(&case["bytes"]));
        match case.get("serialized").filter(|serialized| !serialized.is_null()) {
            Some(serialized) => assert_eq!(read.unwrap().to_pub33().to_vec(), bytes(serialized)),
            None => assert!(read.is_err(), "{}", case["note"]),
        }
    }
}

/// Spec: signal-wire §1.3.
#[test]
fn only_kyber_1024_keys_of_the_right_length_are_read() {
    let keys = keys();
    let cases = list(&keys["kemParse"]);
    let good = bytes(&cases[0]["bytes"]);
    assert_eq!(KemPublicKey::from_bytes(&good).unwrap().to_bytes(), good);
    let secret = KemSecretKey::from_bytes(&bytes(&cases[0]["secret"])).unwrap();
    assert_eq!(secret.public().to_bytes(), good);
    for kind in [0x00, 0x07, 0x0A] {
        assert!(KemPublicKey::from_bytes(&[&[kind], &good[1..]].concat()).is_err());
    }
    assert!(KemPublicKey::from_bytes(&good[..good.len() - 1]).is_err());
    assert!(KemPublicKey::from_bytes(&[good.as_slice(), &[0]].concat()).is_err());
    assert!(KemPublicKey::from_bytes(&[]).is_err());
}

/// Spec: signal-wire §2.3, §3.3, §3.4, §3.6, §8.3.
#[test]
fn recorded_sessions_open_in_the_order_of_delivery() {
    let recorded = vectors(include_str!("vectors/prekey_sessions.json"));
    let mut rng = StdRng::seed_from_u64(2);
    let (mut opened, mut repeated) = (0, 0);
    for case in list(&recorded["sessions"]) {
        let (alice, bob) = (Party::new(&case["alice"]), Party::new(&case["bob"]));
        let local = bob.local(bob.address, alice.address);
        let mut sessions = Sessions::empty();
        for delivery in list(&case["deliveries"]) {
            let message = &case["messages"][usize::try_from(delivery["message"].as_u64().unwrap()).unwrap()];
            let first = PreKeySignalMessage::parse(&bytes(&message["ciphertext"])).unwrap();
            match sessions.decrypt_first(&local, &first, Some(bob.prekeys(&first).unwrap()), &mut rng) {
                Ok(result) => {
                    assert_eq!(delivery["result"], "ok", "{}", case["name"]);
                    assert_eq!(*result.plaintext, bytes(&message["plaintext"]));
                    assert_eq!(result.used.is_some(), !sessions.matches(&first));
                    sessions = result.sessions;
                    opened += 1;
                }
                Err(error) => {
                    assert_eq!(delivery["code"], "DuplicatedMessage", "{}: {error}", case["name"]);
                    assert_eq!(error, DecryptError::Repeated);
                    repeated += 1;
                }
            }
        }
    }
    assert_eq!((opened, repeated), (87, 3));
}

/// Spec: signal-wire §2.4, §3.3, §3.4, §3.5, §8.3, §8.4.
#[test]
fn altered_first_messages_fail_exactly_where_they_did_at_the_official_library() {
    let negative = negative();
    let mut rng = StdRng::seed_from_u64(3);
    let bob = Party::new(&negative["bob"]);
    let (mut opened, mut refused) = (0, 0);
    for case in list(&negative["cases"]) {
        let mut local = bob.local(address(&case["to"]), address(&case["from"]));
        let mut sessions = Sessions::empty();
        let mut keys_there = true;
        // The last three cases are the unchanged message in another situation.
        match text(&case["note"]) {
            "another identity is stored for the sender" => local.peer_identity = Some(bob.identity.public()),
            "repeated after success, session kept" => {
                let first = PreKeySignalMessage::parse(&bytes(&case["ciphertext"])).unwrap();
                sessions = sessions.decrypt_first(&local, &first, bob.prekeys(&first), &mut rng).unwrap().sessions;
            }
            "repeated after success, session deleted (one-time prekey is gone)" => keys_there = false,
            _ => {}
        }
        let result = PreKeySignalMessage::parse(&bytes(&case["ciphertext"])).map_err(|_| DecryptError::Malformed);
        let result = result.and_then(|first| {
            let keys =
                bob.prekeys(&first).map(|keys| OurPreKeys { one_time: keys.one_time.filter(|_| keys_there), ..keys });
            sessions.decrypt_first(&local, &first, keys, &mut rng).map(|result| (result, first))
        });
        match result {
            Ok((result, first)) => {
                assert_eq!(HEXLOWER.encode(&result.plaintext), case["ok"], "{}", case["note"]);
                let used = result.used.unwrap();
                assert_eq!((used.one_time_id, used.base_key), (first.one_time_id(), first.base_key()));
                opened += 1;
            }
            Err(error) => {
                assert!(case["ok"].is_null(), "{}: {error}", case["note"]);
                assert_eq!(error == DecryptError::Repeated, case["code"] == "DuplicatedMessage", "{}", case["note"]);
                assert_eq!(error == DecryptError::UntrustedIdentity, case["code"] == "UntrustedIdentity");
                refused += 1;
            }
        }
    }
    assert_eq!((opened, refused), (6, 41));
}

/// Spec: signal-wire §2.3, §2.4, §3.3, §8.3.
#[test]
fn an_altered_first_message_is_refused_for_the_right_reason() {
    let negative = negative();
    let bob = Party::new(&negative["bob"]);
    let reason = |note: &str| {
        let case = list(&negative["cases"]).iter().find(|case| case["note"] == note).unwrap();
        let local = bob.local(address(&case["to"]), address(&case["from"]));
        let first = PreKeySignalMessage::parse(&bytes(&case["ciphertext"])).unwrap();
        let mut rng = StdRng::seed_from_u64(4);
        Sessions::empty().decrypt_first(&local, &first, bob.prekeys(&first), &mut rng).unwrap_err()
    };
    assert_eq!(reason("base key zero"), DecryptError::BadBaseKey);
    assert_eq!(reason("base key with bit 255 set"), DecryptError::BadBaseKey);
    assert_eq!(reason("unknown one-time prekey id"), DecryptError::MissingPreKey(BundleKey::OneTime));
    assert_eq!(reason("MAC changed"), DecryptError::Forged);
    assert_eq!(reason("from another device"), DecryptError::Forged);
    assert_eq!(reason("local name is no service id"), DecryptError::Forged);
    assert_eq!(reason("pq_ratchet missing"), DecryptError::PostQuantum);
    assert!(matches!(reason("counter beyond the forward limit"), DecryptError::TooFarAhead { limit: 25_000, .. }));
}

/// Spec: signal-wire §2.1, §2.2.
#[test]
fn bundles_with_other_signatures_are_refused() {
    let negative = negative();
    let alice = Party::new(&negative["alice"]);
    for case in list(&negative["bundles"]) {
        let mut parts = negative["bob"]["bundle"].clone();
        let changed: Vec<&str> = list(&case["changed"]).iter().map(text).collect();
        for name in &changed {
            let other = changed_bytes(&parts[*name], name);
            parts[*name] = Value::String(HEXLOWER.encode(&other));
        }
        let verified = bundle(&parts).verify();
        assert_eq!(verified.is_ok(), case["ok"] == true, "{}", case["note"]);
        match verified {
            Ok(verified) => {
                let mut rng = StdRng::seed_from_u64(5);
                let started = Sessions::empty().start(&alice.local(None, None), &verified, 0, &mut rng).unwrap();
                assert!(started.has_usable_session(0));
            }
            Err(error) => assert!(matches!(error, BadBundle::Signature(_)), "{error}"),
        }
    }
}

/// Spec: signal-wire §3.2, §8.2, §8.4.
#[test]
fn a_session_is_usable_when_the_official_library_says_so() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    for case in list(&misc()["usable"]) {
        let (mut alice, mut bob) = (support::Device::seeded(6), support::Device::seeded(7));
        alice.start(&bob);
        match text(&case["state"]) {
            "unacknowledged, new" => {}
            "unacknowledged, 29 days" => alice.now_ms += 29 * DAY_MS,
            "unacknowledged, 31 days" => alice.now_ms += 31 * DAY_MS,
            "acknowledged, 31 days" => {
                bob.receive(&alice.send(b"hello")).unwrap();
                alice.receive(&bob.send(b"yes?")).unwrap();
                alice.now_ms += 31 * DAY_MS;
            }
            "archived" => alice.sessions = alice.sessions.archive_current(),
            other => panic!("a state not known here: {other}"),
        }
        let usable = case["usable"] == true;
        assert_eq!(alice.sessions.has_usable_session(alice.now_ms), usable, "{}", case["state"]);
        assert_eq!(alice.try_send(b"more").is_ok(), usable, "{}", case["state"]);
    }
}

/// Spec: signal-wire §1.5, §2.1.
#[test]
fn bundles_are_of_devices_that_exist() {
    for case in list(&misc()["devices"]) {
        let device_id = u8::try_from(case["deviceId"].as_u64().unwrap()).unwrap();
        let bundle = PreKeyBundle { device_id, ..support::Device::seeded(8).bundle() };
        assert_eq!(bundle.verify().is_ok(), case.get("ok").is_some());
    }
}

/// Spec: signal-wire §8.1.
#[test]
fn a_message_that_did_not_open_tells_its_ratchet_key() {
    for case in list(&misc()["decryptionErrors"]) {
        let original = bytes(&case["original"]);
        let key = match case["type"].as_u64() {
            Some(2) => SignalMessage::parse(&original).unwrap().ratchet_key(),
            Some(3) => PreKeySignalMessage::parse(&original).unwrap().message().ratchet_key(),
            _ => continue, // a sender key message has none
        };
        assert_eq!(key.to_pub33().to_vec(), bytes(&case["ratchetKey"]));
    }
}

/// The same field with other content: one bit of a signature, another key.
fn changed_bytes(field: &Value, name: &str) -> Vec<u8> {
    let mut changed = bytes(field);
    if name.ends_with("Signature") {
        changed[0] ^= 1;
        return changed;
    }
    let other = support::Device::seeded(9).bundle();
    match name {
        "kyberPreKeyPublic" => other.kyber.key.to_bytes(),
        "identityKey" => other.identity.to_pub33().to_vec(),
        _ => other.signed.key.to_pub33().to_vec(),
    }
}
