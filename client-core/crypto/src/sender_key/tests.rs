//! What the official library recorded of one distribution, rebuilt and opened.
//!
//! Inside the crate because it sets a chain that no caller may set.
//!
//! Vectors: groups.json. Spec: signal-wire §5.1, §5.2, §5.3.

use data_encoding::HEXLOWER;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::*;
use crate::chain::ChainKey;
use crate::curve::{KeyPair, PrivateKey};
use crate::error::{EncryptError, GroupDecryptError, MalformedMessage};

const GROUPS: &str = include_str!("../../tests/vectors/groups.json");

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Parse(MalformedMessage),
    Decrypt(GroupDecryptError),
}

fn groups() -> Value {
    serde_json::from_str(GROUPS).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn array(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn distribution(groups: &Value) -> DistributionId {
    let uuid = groups["distributionId"].as_str().unwrap().replace('-', "");
    DistributionId::from_bytes(HEXLOWER.decode(uuid.as_bytes()).unwrap().try_into().unwrap())
}

/// The sender's key as recorded.
fn sender(groups: &Value, start: &Value) -> OurSenderKey {
    OurSenderKey {
        distribution: distribution(groups),
        chain_id: number(&start["chainId"]),
        chain: ChainKey::new(Box::new(array(&start["chainKey"])), number(&start["iteration"])),
        signing: KeyPair::from_private(PrivateKey::from_bytes(&array(&start["signingPrivate"]))),
    }
}

fn told(keys: &SenderKeys, skdm: &Value) -> SenderKeys {
    keys.accept(&SenderKeyDistributionMessage::parse(&bytes(skdm)).unwrap()).unwrap()
}

fn open(keys: &mut SenderKeys, ciphertext: &Value) -> Result<Vec<u8>, Refused> {
    let message = SenderKeyMessage::parse(&bytes(ciphertext)).map_err(Refused::Parse)?;
    let opened = keys.decrypt(&message).map_err(Refused::Decrypt)?;
    *keys = opened.keys;
    Ok(opened.plaintext.to_vec())
}

/// Spec: signal-wire §5.1, §5.3.
#[test]
fn every_recorded_group_message_comes_out_byte_for_byte_but_for_its_random_signature() {
    let groups = groups();
    let mut key = sender(&groups, &groups["start"]);
    let signing = key.signing.public();
    assert_eq!(signing.to_pub33().to_vec(), bytes(&groups["start"]["signingPublic"]));
    let mut rng = StdRng::seed_from_u64(1);
    let messages = groups["messages"].as_array().unwrap();
    for recorded in messages {
        let sealed = key.encrypt(&bytes(&recorded["plaintext"]), &mut rng).unwrap();
        let recorded = bytes(&recorded["ciphertext"]);
        assert_eq!(sealed.message.len(), recorded.len());
        assert_eq!(sealed.message[..recorded.len() - 64], recorded[..recorded.len() - 64]);
        for written in [&sealed.message, &recorded] {
            assert!(SenderKeyMessage::parse(written).unwrap().is_signed_by(&signing));
        }
        key = sealed.key;
    }
    assert_eq!(messages.len(), 50);
}

/// Spec: signal-wire §5.2.
#[test]
fn the_recorded_distribution_messages_come_out_byte_for_byte() {
    let groups = groups();
    for start in [&groups["start"], &groups["late"]] {
        let skdm = bytes(start.get("skdm").unwrap_or(&groups["skdm"]));
        let written = sender(&groups, start).distribution_message();
        assert_eq!(*written.to_bytes(), skdm);
        let read = SenderKeyDistributionMessage::parse(&skdm).unwrap();
        assert_eq!(*read.to_bytes(), skdm);
        assert_eq!(read.iteration(), number(&start["iteration"]));
    }
    let mut key = sender(&groups, &groups["start"]);
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..20 {
        key = key.encrypt(b"", &mut rng).unwrap().key;
    }
    assert_eq!(*key.distribution_message().to_bytes(), bytes(&groups["late"]["skdm"]), "for who joins at 20");
}

/// Spec: signal-wire §5.1, §5.2, §5.3.
#[test]
fn recorded_deliveries_open_and_repeat_as_the_official_library_says_for_bob_and_who_joins_late() {
    let groups = groups();
    let empty = SenderKeys::empty(distribution(&groups));
    let bob = (told(&empty, &groups["skdm"]), "bobDeliveries", (39, 1));
    let carol = (told(&empty, &groups["late"]["skdm"]), "carolDeliveries", (4, 2));
    for (mut keys, deliveries, counts) in [bob, carol] {
        let (mut opened, mut refused) = (0, 0);
        for delivery in groups[deliveries].as_array().unwrap() {
            let message = &groups["messages"][usize::try_from(number(&delivery["message"])).unwrap()];
            let outcome = open(&mut keys, &message["ciphertext"]);
            if delivery["result"] == "ok" {
                assert_eq!(outcome.unwrap(), bytes(&message["plaintext"]));
                opened += 1;
            } else {
                assert_eq!(delivery["code"], "DuplicatedMessage");
                assert_eq!(outcome, Err(Refused::Decrypt(GroupDecryptError::Repeated)));
                refused += 1;
            }
            keys = SenderKeys::from_bytes(&keys.to_bytes()).unwrap();
        }
        assert_eq!((opened, refused), counts);
    }
}

/// Spec: signal-wire §5.3.
#[test]
fn altered_group_messages_are_refused_for_the_recorded_reason() {
    let groups = groups();
    let mut keys = SenderKeys::empty(distribution(&groups));
    for case in groups["tampered"].as_array().unwrap() {
        let before = keys.to_bytes();
        let outcome = open(&mut keys, &case["ciphertext"]);
        let expected = match case["note"].as_str().unwrap() {
            "no sender key yet" => Err(Refused::Decrypt(GroupDecryptError::NoSenderKey)),
            "signature changed" | "ciphertext changed" => Err(Refused::Decrypt(GroupDecryptError::Forged)),
            "version nibble 2" => Err(Refused::Parse(MalformedMessage::Version(2))),
            "version nibble 4" => Err(Refused::Parse(MalformedMessage::Version(4))),
            "too short" => Err(Refused::Parse(MalformedMessage::Length(60))),
            "good" => Ok(bytes(&case["ok"])),
            "repeated" => Err(Refused::Decrypt(GroupDecryptError::Repeated)),
            other => panic!("a case not known here: {other}"),
        };
        assert_eq!(outcome, expected, "{}", case["note"]);
        assert_eq!(*before == *keys.to_bytes(), outcome.is_err());
        if keys.is_empty() {
            keys = told(&keys, &groups["skdm"]);
        }
    }
    assert_eq!(groups["tampered"].as_array().unwrap().len(), 8);
}

/// Spec: signal-wire §5.1.
#[test]
fn a_chain_at_its_last_number_gives_no_more_messages() {
    let groups = groups();
    let mut key = sender(&groups, &groups["start"]);
    key.chain = ChainKey::new(Box::new([1; 32]), u32::MAX - 1);
    let keys = SenderKeys::empty(key.distribution).accept(&key.distribution_message()).unwrap();
    let mut rng = StdRng::seed_from_u64(2);
    let last = key.encrypt(b"last", &mut rng).unwrap();
    assert_eq!(last.key.encrypt(b"beyond", &mut rng).unwrap_err(), EncryptError::UsedUp);
    let opened = keys.decrypt(&SenderKeyMessage::parse(&last.message).unwrap()).unwrap();
    assert_eq!(*opened.plaintext, b"last");
}

/// Spec: signal-wire §5.3.
#[test]
fn a_signed_message_that_is_no_ciphertext_changes_nothing() {
    let groups = groups();
    let key = sender(&groups, &groups["start"]);
    let keys = told(&SenderKeys::empty(key.distribution), &groups["skdm"]);
    for ciphertext in [vec![], vec![7; 15], vec![7; 16], vec![7; 33]] {
        let (distribution, chain_id) = (key.distribution, key.chain_id);
        let new = message::NewSenderKeyMessage { distribution, chain_id, iteration: 3, ciphertext };
        let signed = new.into_bytes(&key.signing, &mut StdRng::seed_from_u64(3));
        let refused = keys.decrypt(&SenderKeyMessage::parse(&signed).unwrap()).unwrap_err();
        assert_eq!(refused, GroupDecryptError::Malformed);
    }
}

#[test]
fn what_a_sender_signs_beside_the_chain_is_known_by_its_key_and_moves_nothing() {
    let mut rng = StdRng::seed_from_u64(9);
    let distribution = DistributionId::from_bytes([1; 16]);
    let (ours, other) =
        (OurSenderKey::generate(distribution, &mut rng), OurSenderKey::generate(distribution, &mut rng));
    let told = SenderKeys::empty(distribution).accept(&ours.distribution_message()).unwrap();
    let before = told.to_bytes();
    let signature = ours.sign(b"somebody types", &mut rng);
    assert!(told.signed(b"somebody types", &signature));
    assert!(!told.signed(b"somebody else types", &signature));
    assert!(!told.signed(b"somebody types", &other.sign(b"somebody types", &mut rng)));
    assert!(!SenderKeys::empty(distribution).signed(b"somebody types", &signature));
    assert_eq!(*before, *told.to_bytes());
}
