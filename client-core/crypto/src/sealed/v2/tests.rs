//! What the official library sealed for many, opened, taken apart and rebuilt.
//!
//! Vectors: sealed_sender.json. Spec: signal-wire §6.4.

use std::convert::Infallible;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

use super::super::sent::{BadSentMessage, RecipientDevice};
use super::super::tests::{assert_is, bytes, identity, text, vectors};
use super::*;
use crate::service_id::ServiceIdKind;

/// Randomness that gives M.
struct Drawn([u8; 32]);

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("M is drawn as bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("M is drawn as bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

const fn device(id: u8, registration_id: u16) -> RecipientDevice {
    RecipientDevice { id, registration_id }
}

/// The recipients of each recorded message, as they were given to the official library.
fn recipients<'a>(vectors: &Value, note: &str) -> Vec<Recipient<'a>> {
    const BOB_1: &[RecipientDevice] = &[device(1, 0x3FFF)];
    const BOB_2: &[RecipientDevice] = &[device(2, 77)];
    const BOB_BOTH: &[RecipientDevice] = &[device(1, 0x3FFF), device(2, 77)];
    const CAROL: &[RecipientDevice] = &[device(1, 9)];
    let of = |name: &str, devices| {
        let party = &vectors["recipients"][name];
        let account = ServiceId::parse(text(&party["name"])).unwrap();
        Recipient { account, identity: identity(party).public(), devices }
    };
    match note {
        "one recipient" => vec![of("bob", BOB_1)],
        "two recipients, three devices, two excluded" => vec![of("bob", BOB_BOTH), of("carol", CAROL)],
        "devices of one account not together" => vec![of("bob", BOB_1), of("carol", CAROL), of("bob", BOB_2)],
        other => panic!("a case not known here: {other}"),
    }
}

#[test]
fn recorded_messages_to_many_are_taken_apart_and_open_for_each_recipient() {
    let vectors = vectors();
    let mut opened = 0;
    for case in vectors["v2"].as_array().unwrap() {
        let sent = SentMessage::parse(&bytes(&case["sent"])).unwrap();
        let recorded = case["recipients"].as_object().unwrap();
        assert_eq!(sent.recipients().len(), recorded.len());
        for entry in sent.recipients() {
            let recorded = &recorded[&entry.account().to_string()];
            let numbers = |name: &str| recorded[name].as_array().unwrap().iter().map(|id| id.as_u64().unwrap());
            let devices = numbers("deviceIds").zip(numbers("registrationIds"));
            let devices =
                devices.map(|(id, registration)| device(id.try_into().unwrap(), registration.try_into().unwrap()));
            assert_eq!(entry.devices(), devices.collect::<Vec<_>>());
            let received = sent.received_message(entry);
            assert_eq!(received, bytes(&recorded["received"]));

            let parties = vectors["recipients"].as_object().unwrap().values();
            let mut of_account = parties.filter(|party| text(&party["name"]) == entry.account().to_string());
            let content = open(&received, &identity(of_account.next().unwrap())).unwrap();
            assert_is(&content, &recorded["opened"]);
            assert_eq!(content.to_bytes(), bytes(&case["usmc"]));
            opened += 1;
        }
        let excluded: Vec<String> = sent.excluded().iter().map(ServiceId::to_string).collect();
        let recorded: Vec<&str> = case["excluded"].as_array().unwrap().iter().map(text).collect();
        assert_eq!(excluded, recorded);
    }
    assert_eq!(opened, 5);
}

#[test]
fn recorded_messages_to_many_come_out_byte_for_byte_from_the_same_message_key() {
    let vectors = vectors();
    let sender = identity(&vectors["sender"]);
    let bob = identity(&vectors["recipients"]["bob"]);
    for case in vectors["v2"].as_array().unwrap() {
        let recorded = bytes(&case["sent"]);
        let sent = SentMessage::parse(&recorded).unwrap();
        let first = &sent.recipients()[0];
        let received = sent.received_message(first);
        let named = PublicKey::from_bytes(received[49..81].try_into().unwrap());
        let masked = received[1..33].try_into().unwrap();
        let secret = xor(masked, &mask(&bob.agree(&named).unwrap(), &named, &bob.public()));

        let content = SealedContent::parse(&bytes(&case["usmc"])).unwrap();
        let recipients = recipients(&vectors, text(&case["note"]));
        let excluded = sent.excluded();
        assert_eq!(seal(&content, &sender, &recipients, excluded, &mut Drawn(*secret)).unwrap(), recorded);
    }
}

struct World {
    content: SealedContent,
    sender: IdentityKeyPair,
    rng: StdRng,
}

fn world() -> World {
    let vectors = vectors();
    let content = SealedContent::parse(&bytes(&vectors["v2"][0]["usmc"])).unwrap();
    World { content, sender: identity(&vectors["sender"]), rng: StdRng::seed_from_u64(7) }
}

fn account(number: u8) -> ServiceId {
    ServiceId::new(ServiceIdKind::Aci, [number; 16])
}

#[test]
fn what_is_sealed_for_many_opens_for_each_of_them_and_for_nobody_else() {
    let World { content, sender, mut rng } = world();
    let people: Vec<IdentityKeyPair> = (0..200).map(|_| IdentityKeyPair::generate(&mut rng)).collect();
    let devices = [device(1, 0), device(2, 0x3FFF), device(127, 5)];
    let recipients: Vec<Recipient<'_>> = people
        .iter()
        .enumerate()
        .map(|(number, person)| Recipient {
            account: account(u8::try_from(number).unwrap()),
            identity: person.public(),
            devices: &devices[..1 + number % 3],
        })
        .collect();
    let excluded = [account(201), account(202)];
    let sent = SentMessage::parse(&seal(&content, &sender, &recipients, &excluded, &mut rng).unwrap()).unwrap();
    assert_eq!(sent.excluded(), excluded);
    for (number, (entry, person)) in sent.recipients().iter().zip(&people).enumerate() {
        assert_eq!(entry.devices(), &devices[..1 + number % 3]);
        let received = sent.received_message(entry);
        assert_eq!(open(&received, person).unwrap(), content);
        assert_eq!(open(&received, &people[(number + 1) % 200]).unwrap_err(), OpenError::Forged);
    }
    assert_eq!(sent.recipients().len(), 200);
}

#[test]
fn no_bit_of_a_received_message_can_be_changed_but_in_its_first_byte() {
    let World { content, sender, mut rng } = world();
    let bob = IdentityKeyPair::generate(&mut rng);
    let to = Recipient { account: account(1), identity: bob.public(), devices: &[device(1, 1)] };
    let sent = SentMessage::parse(&seal(&content, &sender, &[to], &[], &mut rng).unwrap()).unwrap();
    let received = sent.received_message(&sent.recipients()[0]);
    for bit in 8..received.len() * 8 {
        let mut changed = received.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&changed, &bob).unwrap_err(), OpenError::Forged, "bit {bit}");
    }
    for length in 0..received.len() {
        assert!(open(&received[..length], &bob).is_err());
    }
    let mut other_low_nibble = received.clone();
    other_low_nibble[0] = 0x2F;
    assert!(open(&other_low_nibble, &bob).is_ok());
}

#[test]
fn a_member_of_the_group_cannot_seal_in_the_name_of_another() {
    let World { content, sender: _, mut rng } = world();
    let (mallory, bob) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
    let to = Recipient { account: account(1), identity: bob.public(), devices: &[device(1, 1)] };
    let sent = SentMessage::parse(&seal(&content, &mallory, &[to], &[], &mut rng).unwrap()).unwrap();
    let received = sent.received_message(&sent.recipients()[0]);
    assert_eq!(open(&received, &bob).unwrap_err(), OpenError::Forged);
}

#[test]
fn impossible_recipients_are_named_by_their_place() {
    let World { content, sender, mut rng } = world();
    let bob = IdentityKeyPair::generate(&mut rng);
    let to = |devices| Recipient { account: account(1), identity: bob.public(), devices };
    const POSSIBLE: &[RecipientDevice] = &[device(1, 1)];
    const IMPOSSIBLE: [&[RecipientDevice]; 4] = [&[], &[device(0, 1)], &[device(128, 1)], &[device(1, 0x4000)]];
    let good = to(POSSIBLE);
    let weak = Recipient { identity: PublicKey::from_bytes([0; 32]), ..good };
    let mut refused = |recipients: &[Recipient<'_>], excluded: &[ServiceId]| {
        seal(&content, &sender, recipients, excluded, &mut rng).err()
    };
    assert_eq!(refused(&[good], &[]), None);
    assert_eq!(refused(&[], &[]), None, "nobody is possible");
    assert_eq!(refused(&[good, weak], &[]), Some(SealManyError::NotContributory { place: 1 }));
    for devices in IMPOSSIBLE {
        assert_eq!(refused(&[good, good, to(devices)], &[]), Some(SealManyError::Devices { place: 2 }));
    }
    assert_eq!(refused(&[good], &[account(1)]), Some(SealManyError::Twice));
    assert_eq!(refused(&[good], &[account(2), account(2)]), Some(SealManyError::Twice));
    let many = vec![good; crate::limits::SENT_MESSAGE_BYTES_MAX / 68 + 1];
    assert!(matches!(refused(&many, &[]), Some(SealManyError::TooLong { .. })));
}

#[test]
fn other_writings_of_a_message_to_many_are_judged_as_the_spec_says() {
    let (alice, bob) = ([&[0][..], &[1; 16]].concat(), [&[1][..], &[2; 16]].concat());
    let keys = |byte: u8| vec![byte; 48];
    let one = [7_u8, 0xC0, 0x05]; // device 7, registration id 5, another follows, and the bit that is not used
    let last = [9_u8, 0x00, 0x06];
    let parse = |form: u8, count: &[u8], entries: &[&[u8]], shared: usize| {
        SentMessage::parse(&[&[form], count, &entries.concat(), &vec![0xEE; shared]].concat())
    };
    let sent = parse(0x23, &[1], &[&alice, &one, &last, &keys(3)], 32).unwrap();
    assert_eq!(sent.recipients()[0].devices(), [device(7, 5), device(9, 6)]);
    assert_eq!(sent.received_message(&sent.recipients()[0]), [vec![0x22], keys(3), vec![0xEE; 32]].concat());
    assert!(parse(0x22, &[1], &[&[1; 16], &last, &keys(3)], 32).is_ok(), "bare UUIDs");
    assert!(parse(0x23, &[2], &[&alice, &last, &keys(3), &bob, &[0]], 32).is_ok());

    let merged =
        parse(0x23, &[3], &[&alice, &last, &keys(3), &bob, &last, &keys(4), &alice, &last, &keys(5)], 32).unwrap();
    assert_eq!(merged.recipients().len(), 2);
    assert_eq!(merged.received_message(&merged.recipients()[0])[1..49], keys(3)[..], "the first keys stay");

    let refused: [(&str, Result<SentMessage, BadSentMessage>); 12] = [
        ("another form", parse(0x24, &[1], &[&alice, &last, &keys(3)], 32)),
        ("no E", parse(0x23, &[1], &[&alice, &last, &keys(3)], 31)),
        ("a kind above 1", parse(0x23, &[1], &[&[2; 17], &last, &keys(3)], 32)),
        ("device 128", parse(0x23, &[1], &[&alice, &[128, 0, 1], &keys(3)], 32)),
        ("device 0 as the second", parse(0x23, &[1], &[&alice, &one, &[0, 0, 1], &keys(3)], 32)),
        ("excluded twice", parse(0x23, &[2], &[&alice, &[0], &alice, &[0]], 32)),
        ("excluded after being a recipient", parse(0x23, &[2], &[&alice, &last, &keys(3), &alice, &[0]], 32)),
        ("a recipient after being excluded", parse(0x23, &[2], &[&alice, &[0], &alice, &last, &keys(3)], 32)),
        ("a count of more bytes than it needs", parse(0x23, &[0x81, 0], &[&alice, &last, &keys(3)], 32)),
        ("a count beyond the entries", parse(0x23, &[9], &[&alice, &last, &keys(3)], 32)),
        ("a count without end", parse(0x23, &[0xFF; 6], &[&alice, &last, &keys(3)], 32)),
        ("longer than is possible", parse(0x23, &[0], &[], crate::limits::SENT_MESSAGE_BYTES_MAX)),
    ];
    for (what, outcome) in refused {
        assert_eq!(outcome, Err(BadSentMessage), "{what}");
    }
    assert_eq!(SentMessage::parse(&[]), Err(BadSentMessage));
}
