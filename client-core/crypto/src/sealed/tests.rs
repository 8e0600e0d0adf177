//! Contents, certificates and refusals of either version, as the official library recorded them.
//!
//! Vectors: sealed_sender.json. Spec: signal-wire §6.1, §6.2, §6.3, §6.4, §6.5.

use data_encoding::HEXLOWER;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::certificate::{BadCertificate, SenderCertificate, SenderDetails, ServerCertificate};
use super::content::{ContentHint, ContentKind, OwnDevice, RefusedContent};
use super::*;
use crate::curve::{KeyPair, PrivateKey};
use crate::session::CiphertextMessage;

pub(super) fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/sealed_sender.json")).unwrap()
}

pub(super) fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(super) fn identity(party: &Value) -> IdentityKeyPair {
    IdentityKeyPair::from_bytes(&bytes(&party["identityPrivate"]).try_into().unwrap())
}

fn pair(private: &Value) -> KeyPair {
    KeyPair::from_private(PrivateKey::from_bytes(&bytes(private).try_into().unwrap()))
}

fn root(vectors: &Value) -> PublicKey {
    PublicKey::from_pub33(&bytes(&vectors["trustRoot"])).unwrap()
}

/// A content as the official library shows it. First messages have number 3 there.
pub(super) fn assert_is(content: &SealedContent, recorded: &Value) {
    let kind = match recorded["type"].as_u64().unwrap() {
        2 => ContentKind::Signal,
        3 => ContentKind::PreKey,
        7 => ContentKind::SenderKey,
        8 => ContentKind::Plaintext,
        other => panic!("a type not known here: {other}"),
    };
    let hint = match recorded["contentHint"].as_u64().unwrap() {
        0 => ContentHint::Default,
        1 => ContentHint::Resendable,
        2 => ContentHint::Implicit,
        other => ContentHint::Other(u32::try_from(other).unwrap()),
    };
    assert_eq!((content.kind, content.hint), (kind, hint));
    assert_eq!(content.message, bytes(&recorded["contents"]));
    assert_eq!(content.group_id, recorded["groupId"].as_str().map(|id| HEXLOWER.decode(id.as_bytes()).unwrap()));
    assert_eq!(content.to_bytes(), bytes(&recorded["usmc"]), "it is written as it was read");
    assert_eq!(SealedContent::parse(&content.to_bytes()).unwrap(), *content);
}

const BOB_HIMSELF: OwnDevice<'_> = OwnDevice { uuid: "796abedb-ca4e-4f18-8803-1fde5b921f9f", e164: None, device_id: 1 };

/// Spec: signal-wire §6.2, §6.3, §6.5.
#[test]
fn recorded_contents_of_version_1_open_with_their_sender_and_come_out_byte_for_byte() {
    let vectors = vectors();
    let bob = identity(&vectors["recipients"]["bob"]);
    let mut opened = 0;
    for recorded in ["v1", "usmcs"].into_iter().flat_map(|list| vectors[list].as_array().unwrap()) {
        let content = open_content(&bytes(&recorded["message"]), &bob).unwrap();
        assert_is(&content, recorded);
        let verified = content.verify(&[root(&vectors)], 1_700_000_000_000, &BOB_HIMSELF).unwrap();
        let details = verified.sender.details();
        assert_eq!(details.uuid, text(&vectors["sender"]["name"]));
        assert_eq!(details.address().unwrap()[17], 1);
        if recorded.get("to").is_some() {
            assert_eq!(details.e164.as_deref(), recorded["senderE164"].as_str());
            let message = verified.session_message().unwrap();
            assert_eq!(matches!(message, CiphertextMessage::PreKey(_)), recorded["type"] == 3);
            assert_eq!(message.as_bytes(), bytes(&recorded["contents"]));
        } else {
            assert!(verified.session_message().is_none());
        }
        opened += 1;
    }
    assert_eq!(opened, 7);
}

/// Spec: signal-wire §6.1.
#[test]
fn certificates_hold_when_the_official_library_says_so() {
    let vectors = vectors();
    for case in vectors["certificates"].as_array().unwrap() {
        let certificate = SenderCertificate::parse(&bytes(&case["cert"])).unwrap();
        let roots = case["roots"].as_array().unwrap().iter();
        let roots: Vec<PublicKey> = roots.map(|root| PublicKey::from_pub33(&bytes(root)).unwrap()).collect();
        let outcome = certificate.verify(&roots, case["time"].as_u64().unwrap());
        let expected = match text(&case["note"]) {
            "before expiry" | "at expiry" | "second root right" => None,
            "after expiry" => Some(BadCertificate::Expired(2_000_000_000_000)),
            "wrong root" => Some(BadCertificate::UntrustedServer),
            "revoked server key id" => Some(BadCertificate::Revoked(0xDEAD_C357)),
            "signed by another key" => Some(BadCertificate::Signature),
            other => panic!("a case not known here: {other}"),
        };
        assert_eq!(outcome.is_ok(), case["valid"] == true);
        assert_eq!(outcome.err(), expected, "{}", case["note"]);
        assert!(certificate.verify(&[], 0).is_err(), "no roots, no trust");
    }
}

/// Spec: signal-wire §6.1.
#[test]
fn what_we_issue_is_the_recorded_certificate_but_for_its_random_signature() {
    let vectors = vectors();
    let (root_pair, server_pair) = (pair(&vectors["trustRootPrivate"]), pair(&vectors["serverPrivate"]));
    let mut rng = StdRng::seed_from_u64(1);
    let recorded_server = bytes(&vectors["serverCert"]);
    let server = ServerCertificate::issue(55, server_pair.public(), &root_pair, &mut rng);
    assert_eq!(server.to_bytes()[..recorded_server.len() - 64], recorded_server[..recorded_server.len() - 64]);
    let server = ServerCertificate::parse(&recorded_server).unwrap();
    for (name, e164) in [("senderCertWithE164", Some("+14155550101")), ("senderCertPlain", None)] {
        let recorded = bytes(&vectors[name]);
        let details = SenderDetails {
            uuid: text(&vectors["sender"]["name"]).to_owned(),
            e164: e164.map(str::to_owned),
            device_id: 1,
            identity: identity(&vectors["sender"]).public(),
            expires_ms: 2_000_000_000_000,
        };
        assert_eq!(*SenderCertificate::parse(&recorded).unwrap().claims(), details);
        let issued = SenderCertificate::issue(details, &server, &server_pair, &mut rng);
        assert_eq!(issued.to_bytes()[..recorded.len() - 64], recorded[..recorded.len() - 64]);
        assert!(issued.verify(&[root(&vectors)], 0).is_ok());
    }
}

/// Spec: signal-wire §6.1.
#[test]
fn a_certificate_may_refer_to_a_well_known_server_and_to_no_other() {
    let pair = |byte| KeyPair::from_private(PrivateKey::from_bytes(&[byte; 32]));
    let mut rng = StdRng::seed_from_u64(2);
    let details = SenderDetails {
        uuid: "9d0652a3-dcc3-4d11-975f-74d61598733f".to_owned(),
        e164: None,
        device_id: 127,
        identity: pair(3).public(),
        expires_ms: 7,
    };
    let test_root = [pair(0).public()];
    let issued = |id: u32, key: &KeyPair, rng: &mut StdRng| {
        let bytes = SenderCertificate::issue_well_known(details.clone(), id, key, rng).to_bytes();
        SenderCertificate::parse(&bytes).unwrap().verify(&test_root, 7)
    };
    assert_eq!(issued(0x7357_C357, &pair(0xFF), &mut rng).unwrap().details(), &details);
    assert_eq!(issued(0x7357_C357, &pair(0xFE), &mut rng), Err(BadCertificate::Signature));
    assert_eq!(issued(2, &pair(0xFF), &mut rng), Err(BadCertificate::UntrustedServer));
    assert_eq!(issued(55, &pair(0xFF), &mut rng), Err(BadCertificate::UnknownServer(55)));
    assert_eq!(issued(0xDEAD_C357, &pair(0xFF), &mut rng), Err(BadCertificate::UnknownServer(0xDEAD_C357)));
}

/// Spec: signal-wire §6.1.
#[test]
fn a_certificate_that_lacks_a_field_or_has_an_impossible_one_is_malformed() {
    let vectors = vectors();
    let whole = bytes(&vectors["senderCertPlain"]);
    let inner = &whole[3..whole.len() - 66];
    let mut rng = StdRng::seed_from_u64(3);
    let read = |inner: &[u8], rng: &mut StdRng| {
        let mut outer = vec![0x0A];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend_from_slice(inner);
        outer.extend_from_slice(&[0x12, 64]);
        outer.extend_from_slice(&pair(&vectors["serverPrivate"]).sign(&[inner], rng));
        SenderCertificate::parse(&outer)
    };
    assert!(read(inner, &mut rng).unwrap().verify(&[root(&vectors)], 0).is_ok());
    // Device id, expiry, identity key, server certificate, UUID: fields 2 to 6, each left out.
    let fields = [0..2, 2..11, 11..46, 46..46 + 107, 153..inner.len()];
    for left_out in fields {
        let rest = [&inner[..left_out.start], &inner[left_out.end..]].concat();
        assert_eq!(read(&rest, &mut rng), Err(BadCertificate::Malformed), "{left_out:?}");
    }
    // The last value of a field is the one that counts.
    let with = |more: &[u8], rng: &mut StdRng| read(&[inner, more].concat(), rng);
    assert_eq!(with(&[0x10, 0], &mut rng), Err(BadCertificate::Malformed), "device 0");
    assert_eq!(with(&[0x10, 0x80, 1], &mut rng), Err(BadCertificate::Malformed), "device 128");
    assert_eq!(with(&[0x3A, 2, 1, 2], &mut rng), Err(BadCertificate::Malformed), "a UUID of two bytes");
    assert_eq!(with(&[0x22, 2, 5, 1], &mut rng), Err(BadCertificate::Malformed), "a short key");
    let binary = with(&[&[0x3A, 16][..], &[0xAB; 16]].concat(), &mut rng).unwrap();
    assert_eq!(binary.claims().uuid, "abababab-abab-abab-abab-abababababab");
    assert!(binary.verify(&[root(&vectors)], 0).is_ok());
    assert!(with(&[0x50, 1], &mut rng).unwrap().verify(&[root(&vectors)], 0).is_ok(), "an unknown field");
    for length in 0..whole.len() {
        assert!(SenderCertificate::parse(&whole[..length]).is_err());
    }
}

/// Spec: signal-wire §6.3, §6.4.
#[test]
fn altered_seals_are_refused_and_their_harmless_first_bytes_are_not() {
    let vectors = vectors();
    let [bob, carol] = ["bob", "carol"].map(|name| identity(&vectors["recipients"][name]));
    let (mut refused, mut opened) = (0, 0);
    for case in vectors["failures"].as_array().unwrap() {
        let note = text(&case["note"]);
        let recipient = if note.ends_with("to the wrong recipient") { &carol } else { &bob };
        match (open_content(&bytes(&case["message"]), recipient), case.get("ok")) {
            (Ok(content), Some(inner)) => {
                assert_eq!(content.message, bytes(inner), "{note}");
                opened += 1;
            }
            (Err(error), None) => {
                let expected = match note {
                    "empty" | "v2 too short" => OpenError::Malformed,
                    "v1 bytes with version nibble 3" => OpenError::Version(3),
                    _ => OpenError::Forged,
                };
                assert_eq!(error, expected, "{note}");
                refused += 1;
            }
            (outcome, _) => panic!("{note}: {outcome:?}"),
        }
    }
    assert_eq!((refused, opened), (12, 3));
}

/// Spec: signal-wire §6.5.
#[test]
fn what_this_device_sent_itself_is_refused_by_account_or_by_number() {
    let vectors = vectors();
    let alice = identity(&vectors["sender"]);
    let content = SealedContent {
        kind: ContentKind::Plaintext,
        certificate: SenderCertificate::parse(&bytes(&vectors["senderCertWithE164"])).unwrap(),
        message: bytes(&vectors["usmcs"][0]["contents"]),
        hint: ContentHint::Default,
        group_id: None,
    };
    let sealed = seal(&content.to_bytes(), &alice, &alice.public(), &mut StdRng::seed_from_u64(4)).unwrap();
    let (alice_uuid, carol_uuid) = (text(&vectors["sender"]["name"]), text(&vectors["recipients"]["carol"]["name"]));
    let number = Some("+14155550101");
    let verified = |uuid, e164, device_id| {
        let content = open_content(&sealed, &alice).unwrap();
        content.verify(&[root(&vectors)], 1, &OwnDevice { uuid, e164, device_id })
    };
    assert_eq!(verified(alice_uuid, None, 1).unwrap_err(), RefusedContent::SelfSend);
    assert_eq!(verified(carol_uuid, number, 1).unwrap_err(), RefusedContent::SelfSend);
    assert!(verified(carol_uuid, None, 1).is_ok());
    assert!(verified(carol_uuid, number, 2).is_ok());
    let other_device = verified(alice_uuid, None, 2).unwrap();
    assert!(other_device.session_message().is_none(), "a plaintext belongs to no session");
    assert_eq!(text(&vectors["selfSend"]["sameUuidSameDevice"]["code"]), "SealedSenderSelfSend");
    assert_eq!(text(&vectors["selfSend"]["sameE164SameDevice"]["code"]), "SealedSenderSelfSend");
    assert!(text(&vectors["selfSend"]["sameUuidOtherDevice"]["error"]).contains("unexpected message type"));
    // The certificate is looked at first.
    let content = open_content(&sealed, &alice).unwrap();
    let refused = content.verify(&[], 1, &OwnDevice { uuid: alice_uuid, e164: None, device_id: 1 }).unwrap_err();
    assert_eq!(refused, RefusedContent::Certificate(BadCertificate::UntrustedServer));
}

/// Spec: signal-wire §6.3, §6.5.
#[test]
fn nobody_can_seal_with_the_certificate_of_another() {
    let vectors = vectors();
    let bob = identity(&vectors["recipients"]["bob"]);
    let mut rng = StdRng::seed_from_u64(5);
    let mallory = IdentityKeyPair::generate(&mut rng);
    let content = bytes(&vectors["v1"][0]["usmc"]);
    let sealed = seal(&content, &mallory, &bob.public(), &mut rng).unwrap();
    assert_eq!(open_content(&sealed, &bob).unwrap_err(), OpenError::Forged);
}

/// Spec: signal-wire §6.2.
#[test]
fn a_content_of_another_kind_or_without_a_field_is_malformed() {
    let content = bytes(&vectors()["usmcs"][3]["usmc"]);
    let with = |more: &[u8]| SealedContent::parse(&[content.as_slice(), more].concat());
    for kind in [0, 3, 4, 6, 9] {
        assert_eq!(with(&[0x08, kind]), Err(OpenError::Malformed), "kind {kind}");
    }
    assert_eq!(with(&[0x08, 2]).unwrap().kind, ContentKind::Signal);
    assert_eq!(with(&[0x2A, 0]).unwrap().group_id, None, "an empty group id is none");
    assert_eq!(SealedContent::parse(&content[2..]), Err(OpenError::Malformed));
    assert_eq!(SealedContent::parse(&[]), Err(OpenError::Malformed));
}

/// Spec: signal-wire §6.2, §6.5.
#[test]
fn nobodys_name_and_no_content_is_printed() {
    let vectors = vectors();
    let bob = identity(&vectors["recipients"]["bob"]);
    let content = open_content(&bytes(&vectors["v1"][0]["message"]), &bob).unwrap();
    let verified = content.clone().verify(&[root(&vectors)], 0, &BOB_HIMSELF).unwrap();
    for printed in [format!("{content:?}"), format!("{verified:?}")] {
        assert!(!printed.contains("9d0652a3") && !printed.contains("1415555"), "{printed}");
        assert!(printed.ends_with("hint: Default, .. }"), "{printed}");
    }
}
