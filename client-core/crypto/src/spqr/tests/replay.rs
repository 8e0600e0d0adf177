//! Both sides of the recorded conversations, without the Double Ratchet around them.
//!
//! The recorded random values take the place of randomness; then every SPQR message must come out byte for byte, and
//! every state and epoch as recorded. Keys are not recorded: that they are right shows in `crate::replay`, where they
//! open the ciphertexts.
//!
//! Vectors: two_way.json. Spec: signal-wire §4.2 to §4.8.

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::*;

/// Field `number` of a protobuf of which all fields are varints or bytes.
fn field(mut bytes: &[u8], number: u8) -> Option<Vec<u8>> {
    fn varint(bytes: &mut &[u8]) -> usize {
        let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let (varint, rest) = bytes.split_at(length);
        *bytes = rest;
        varint.iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7F))
    }
    while let Some((&tag, rest)) = bytes.split_first() {
        bytes = rest;
        let value = varint(&mut bytes);
        if tag & 7 == 2 {
            let (content, rest) = bytes.split_at(value);
            bytes = rest;
            if tag >> 3 == number {
                return Some(content.to_vec());
            }
        }
    }
    None
}

/// The SPQR message in a SignalMessage, or in the one inside a PreKeySignalMessage.
fn spqr_message(kind: i64, bytes: &[u8]) -> Vec<u8> {
    let inner = match kind {
        3 => field(&bytes[1..], 4).unwrap(),
        _ => bytes.to_vec(),
    };
    field(&inner[1..inner.len() - 8], 5).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[derive(Default, Debug, PartialEq, Eq)]
struct Counts {
    events: usize,
    sent: usize,
    beyond_the_data: usize,
    received: usize,
    refused_here: usize,
    refused_only_around: usize,
}

fn replay(conversation: &Value) -> Counts {
    let auth_key = hex(&conversation["aliceAfterBundle"]["spqrAuthKey"]);
    let auth_key = auth_key.as_slice().try_into().unwrap();
    let mut sides =
        BTreeMap::from([("alice", Spqr::start(Role::A, auth_key)), ("bob", Spqr::start(Role::B, auth_key))]);
    let messages = conversation["messages"].as_array().unwrap();
    let mut keys = BTreeMap::new();
    let mut counts = Counts::default();
    for event in conversation["events"].as_array().unwrap() {
        counts.events += 1;
        let number = event.get("send").or(event.get("recv")).unwrap().as_u64().unwrap();
        let message = &messages[usize::try_from(number).unwrap()];
        let bytes = spqr_message(message[1].as_i64().unwrap(), &hex(&message[3]));
        let sender = message[0].as_str().unwrap();
        let acting = match event.get("send") {
            Some(_) => sender,
            None => event["by"].as_str().unwrap(),
        };
        let state = sides.get_mut(acting).unwrap();
        if event.get("send").is_some() {
            let sent = match event.get("newKemSecret") {
                Some(secret) => state.send_with_kem_secret(hex(secret).as_slice().try_into().unwrap()),
                None => {
                    let drawn = event.get("newEncapsRandomness").map(hex).unwrap_or_default();
                    let mut rng = Bytes(&drawn);
                    let sent = state.send(&mut rng);
                    assert!(rng.0.is_empty());
                    sent
                }
            };
            let sent = sent.unwrap();
            assert_eq!(sent.message, bytes, "message {number}");
            keys.insert(number, sent.key);
            counts.sent += 1;
            counts.beyond_the_data += usize::from(is_beyond_the_data(&bytes));
            *state = sent.state;
        } else {
            assert_ne!(acting, sender);
            match (state.receive(&bytes, false), event.get("error")) {
                (received, None) => {
                    let received = received.unwrap_or_else(|error| panic!("message {number}: {error}"));
                    assert_eq!(received.key, keys[&number], "message {number}");
                    counts.received += 1;
                    *state = received.state;
                }
                (Err(SpqrError::Repeated | SpqrError::Epoch), Some(_)) => counts.refused_here += 1,
                // The Double Ratchet gives a chain up after five more, when SPQR may still have the epoch.
                (Ok(_), Some(error)) => {
                    assert_eq!(error, "invalid Whisper message: decryption failed");
                    counts.refused_only_around += 1;
                }
                (Err(error), Some(_)) => panic!("message {number}: {error}"),
            }
        }
        let name = event["state"].as_str().unwrap();
        let (name, epoch) = name.split_once(' ').unwrap();
        assert_eq!((state.state_name(), state.epoch()), (name, epoch.parse().unwrap()), "message {number}");
        *state = restored(&state.to_bytes());
    }
    counts
}

fn is_beyond_the_data(bytes: &[u8]) -> bool {
    let Ok(Parsed::Current(message)) = Parsed::parse(bytes) else { panic!("unreadable") };
    match message.payload {
        Payload::None | Payload::Ct1Ack => false,
        Payload::Hdr(chunk) => chunk.index >= 3,
        Payload::Ek(chunk) | Payload::EkCt1Ack(chunk) => chunk.index >= 36,
        Payload::Ct1(chunk) => chunk.index >= 30,
        Payload::Ct2(chunk) => chunk.index >= 5,
    }
}

#[test]
fn recorded_conversations_come_out_byte_for_byte() {
    let vectors = include_str!("../../../tests/vectors/two_way.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let counts: Vec<_> = vectors["conversations"].as_array().unwrap().iter().map(replay).collect();
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    assert_eq!(sum(|counts| counts.sent), 1320);
    assert_eq!(sum(|counts| counts.events), 2521);
    assert_eq!(sum(|counts| counts.beyond_the_data), 572);
    assert_eq!(sum(|counts| counts.received), 1155);
    assert_eq!(sum(|counts| counts.refused_here), 39);
    assert_eq!(sum(|counts| counts.refused_only_around), 7);
}
