//! Random mutations of valid messages: none is accepted, and none makes us panic.
//!
//! Of a message whose every byte is authenticated no mutation opens at all. Of the others (a wrapper around a first
//! message, the outer fields of a seal or a certificate, a first byte of which one half is free) none opens to anything
//! else than what was sent.
//!
//! Each is of a seed, and the same in every run; one that is accepted is told with its number.
//!
//! Spec: signal-wire §3.3, §3.5, §5.3, §6.3, §6.4.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use hushwire_crypto::sealed::certificate::{SenderCertificate, SenderDetails, ServerCertificate};
use hushwire_crypto::sealed::content::{ContentHint, ContentKind, SealedContent};
use hushwire_crypto::sealed::sent::{Recipient, RecipientDevice, SentMessage};
use hushwire_crypto::sealed::{self, v2};
use hushwire_crypto::{
    DecryptionErrorMessage, DistributionId, IdentityKeyPair, KeyPair, OurPreKeys, OurSenderKey, PlaintextContent,
    PreKeySignalMessage, SenderKeyDistributionMessage, SenderKeyMessage, SenderKeys, ServiceId, ServiceIdKind,
    SignalMessage,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use support::{Device, acquainted};

mod support;

/// In all kinds together.
const MUTATIONS: usize = 1_000_000;

/// Of all that is drawn here.
const SEED: u64 = 1;

/// Kinds of messages, each with an equal part.
const KINDS: usize = 8;

/// What became of a mutation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Refused,
    /// It opens, to what was sent.
    Same,
    /// It opens, to something else.
    Other,
}

fn same(is_same: bool) -> Outcome {
    if is_same { Outcome::Same } else { Outcome::Other }
}

/// Tries this kind's share of mutations of `valid`. Gives how many opened to what was sent.
fn try_all(kind: u64, valid: &[Vec<u8>], open: impl Fn(usize, &[u8]) -> Outcome) -> usize {
    let mut rng = StdRng::seed_from_u64(SEED * 1000 + kind);
    for (which, message) in valid.iter().enumerate() {
        assert_eq!(open(which, message), Outcome::Same, "the original opens");
    }
    let mut harmless = 0;
    for number in 0..MUTATIONS.div_ceil(KINDS) {
        let which = rng.random_range(0..valid.len());
        let mutated = loop {
            let mutated = mutated(&valid[which], valid, &mut rng);
            if !valid.contains(&mutated) {
                break mutated;
            }
        };
        match open(which, &mutated) {
            Outcome::Refused => {}
            Outcome::Same => harmless += 1,
            Outcome::Other => {
                panic!("seed {SEED}, kind {kind}, number {number}: accepted {mutated:02x?} for {:02x?}", valid[which])
            }
        }
    }
    harmless
}

/// One to three changes, of bits, of bytes, of length, of order, or with a part of another valid message.
fn mutated(message: &[u8], valid: &[Vec<u8>], rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..rng.random_range(1..=3) {
        if bytes.is_empty() {
            break;
        }
        let (a, b) = (rng.random_range(0..bytes.len()), rng.random_range(0..bytes.len()));
        let (from, to) = (a.min(b), (a.max(b) + 1).min(a.min(b) + 40));
        match rng.random_range(0..10) {
            0..4 => bytes[a] ^= 1 << rng.random_range(0..8),
            4 => bytes[a] = rng.random(),
            5 => bytes.truncate(a),
            6 => drop(bytes.drain(from..to)),
            7 => {
                let again = bytes[from..to].to_vec();
                bytes.splice(b..b, again);
            }
            8 => {
                let new: Vec<u8> = (0..rng.random_range(1..8)).map(|_| rng.random()).collect();
                bytes.splice(a..a, new);
            }
            _ => {
                let other = &valid[rng.random_range(0..valid.len())];
                let end = to.min(other.len());
                if from < end {
                    bytes.splice(from..to, other[from..end].to_vec());
                }
            }
        }
    }
    bytes
}

/// Spec: signal-wire §3.3, §3.5, §3.6, §4.2.
#[test]
fn no_mutation_of_a_session_message_opens() {
    let (mut alice, bob) = acquainted(200);
    let texts: Vec<Vec<u8>> = (0..8).map(|number| vec![b'a'; number * 37]).collect();
    let valid: Vec<Vec<u8>> = texts.iter().map(|text| alice.send(text).as_bytes().to_vec()).collect();
    let harmless = try_all(1, &valid, |which, bytes| {
        let Ok(message) = SignalMessage::parse(bytes) else { return Outcome::Refused };
        let mut rng = StdRng::seed_from_u64(0);
        let opened = bob.sessions.decrypt(&bob.local(), &message, &mut rng);
        opened.map_or(Outcome::Refused, |opened| same(*opened.plaintext == texts[which]))
    });
    assert_eq!(harmless, 0);
}

/// Spec: signal-wire §2.3, §3.4, §3.5.
#[test]
fn no_mutation_of_a_first_message_opens_to_anything_else() {
    let (mut alice, bob) = (Device::seeded(202), Device::seeded(203));
    alice.start(&bob);
    let texts: Vec<Vec<u8>> = (0..4).map(|number| vec![b'b'; number * 37]).collect();
    let valid: Vec<Vec<u8>> = texts.iter().map(|text| alice.send(text).as_bytes().to_vec()).collect();
    try_all(2, &valid, |_, bytes| {
        let Ok(first) = PreKeySignalMessage::parse(bytes) else { return Outcome::Refused };
        let one_time = bob.one_time.as_ref().filter(|key| Some(key.id()) == first.one_time_id());
        let keys = OurPreKeys { signed: &bob.signed, kyber: &bob.kyber, one_time };
        let mut rng = StdRng::seed_from_u64(0);
        let opened = bob.sessions.decrypt_first(&bob.local(), &first, Some(keys), &mut rng);
        // A wrapper may come to hold another of the valid messages, whole: that one was sent too.
        opened.map_or(Outcome::Refused, |opened| same(texts.contains(&opened.plaintext)))
    });
}

/// Spec: signal-wire §5.3.
#[test]
fn no_mutation_of_a_group_message_opens() {
    let mut rng = StdRng::seed_from_u64(204);
    let distribution = DistributionId::from_bytes([1; 16]);
    let mut key = OurSenderKey::generate(distribution, &mut rng);
    let keys = SenderKeys::empty(distribution).accept(&key.distribution_message()).unwrap();
    let texts: Vec<Vec<u8>> = (0..8).map(|number| vec![b'c'; number * 37]).collect();
    let send = |text: &Vec<u8>| {
        let sealed = key.encrypt(text, &mut rng).unwrap();
        key = sealed.key;
        sealed.message
    };
    let valid: Vec<Vec<u8>> = texts.iter().map(send).collect();
    let harmless = try_all(3, &valid, |which, bytes| {
        let Ok(message) = SenderKeyMessage::parse(bytes) else { return Outcome::Refused };
        keys.decrypt(&message).map_or(Outcome::Refused, |opened| same(*opened.plaintext == texts[which]))
    });
    assert_eq!(harmless, 0);
}

/// A sender with a certificate, and who trusts it.
struct Certified {
    root: KeyPair,
    sender: IdentityKeyPair,
    contents: Vec<SealedContent>,
    rng: StdRng,
}

fn certified(seed: u64) -> Certified {
    let mut rng = StdRng::seed_from_u64(seed);
    let (root, server) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
    let sender = IdentityKeyPair::generate(&mut rng);
    let server_certificate = ServerCertificate::issue(5, server.public(), &root, &mut rng);
    let contents = (0..4_u8).map(|number| {
        let details = SenderDetails {
            uuid: "9d0652a3-dcc3-4d11-975f-74d61598733f".to_owned(),
            e164: (number > 1).then(|| "+14155550101".to_owned()),
            device_id: number + 1,
            identity: sender.public(),
            expires_ms: u64::MAX,
        };
        SealedContent {
            kind: ContentKind::Signal,
            certificate: SenderCertificate::issue(details, &server_certificate, &server, &mut rng),
            message: vec![number; usize::from(number) * 50],
            hint: ContentHint::Resendable,
            group_id: Some(vec![number; 32]),
        }
    });
    let contents = contents.collect();
    Certified { root, sender, contents, rng }
}

/// Spec: signal-wire §6.2, §6.3.
#[test]
fn no_mutation_of_a_seal_opens_to_anything_else() {
    let Certified { root: _, sender, contents, mut rng } = certified(205);
    let bob = IdentityKeyPair::generate(&mut rng);
    let seal = |content: &SealedContent| sealed::seal(&content.to_bytes(), &sender, &bob.public(), &mut rng).unwrap();
    let valid: Vec<Vec<u8>> = contents.iter().map(seal).collect();
    try_all(4, &valid, |which, bytes| {
        sealed::open_content(bytes, &bob).map_or(Outcome::Refused, |content| same(content == contents[which]))
    });
}

/// Spec: signal-wire §6.4.
#[test]
fn no_mutation_of_a_seal_for_many_opens_to_anything_else_and_none_confuses_a_server() {
    let Certified { root: _, sender, contents, mut rng } = certified(206);
    let people: Vec<IdentityKeyPair> = (0..3).map(|_| IdentityKeyPair::generate(&mut rng)).collect();
    let devices = [RecipientDevice { id: 1, registration_id: 300 }, RecipientDevice { id: 2, registration_id: 1 }];
    let account = |number| ServiceId::new(ServiceIdKind::Aci, [number; 16]);
    let recipients: Vec<Recipient<'_>> = (0_u8..)
        .zip(&people)
        .map(|(number, person)| Recipient {
            account: account(number),
            identity: person.public(),
            devices: &devices[..1 + usize::from(number % 2)],
        })
        .collect();
    let seal = |content: &SealedContent| v2::seal(content, &sender, &recipients, &[account(9)], &mut rng).unwrap();
    let sent: Vec<Vec<u8>> = contents.iter().map(seal).collect();
    let received = |sent: &Vec<u8>| {
        let sent = SentMessage::parse(sent).unwrap();
        sent.received_message(&sent.recipients()[0])
    };
    let valid: Vec<Vec<u8>> = sent.iter().map(received).collect();
    try_all(5, &valid, |which, bytes| {
        v2::open(bytes, &people[0]).map_or(Outcome::Refused, |content| same(content == contents[which]))
    });
    // A server has no key to tell by: what it makes of a mutation is for the recipients to refuse.
    try_all(6, &sent, |which, bytes| {
        let Ok(sent) = SentMessage::parse(bytes) else { return Outcome::Refused };
        let opens = |entry| v2::open(&sent.received_message(entry), &people[0]).ok();
        let opened: Vec<SealedContent> = sent.recipients().iter().filter_map(opens).collect();
        if opened.is_empty() {
            Outcome::Refused
        } else {
            same(opened.iter().all(|content| *content == contents[which]))
        }
    });
}

/// Spec: signal-wire §6.1.
#[test]
fn no_mutation_of_a_certificate_vouches_for_anyone_else() {
    let Certified { root, sender: _, contents, rng: _ } = certified(207);
    let valid: Vec<Vec<u8>> = contents.iter().map(|content| content.certificate.to_bytes()).collect();
    let verified = |bytes: &[u8]| SenderCertificate::parse(bytes).ok()?.verify(&[root.public()], 0).ok();
    try_all(7, &valid, |which, bytes| match verified(bytes) {
        None => Outcome::Refused,
        Some(sender) => same(sender.details() == contents[which].certificate.claims()),
    });
}

/// What is not authenticated by itself is read or refused: it comes inside something that is.
///
/// Spec: signal-wire §5.2, §6.2, §8.1.
#[test]
fn no_mutation_of_what_comes_inside_stops_a_reader() {
    let Certified { root: _, sender: _, contents, mut rng } = certified(208);
    let key = OurSenderKey::generate(DistributionId::from_bytes([1; 16]), &mut rng);
    let error = DecryptionErrorMessage { ratchet_key: Some(key_of(&mut rng)), timestamp_ms: 7, device_id: 1 };
    let told = key.distribution_message().to_bytes().to_vec();
    let valid = [told, error.to_bytes(), PlaintextContent::new(error).to_bytes(), contents[0].to_bytes()];
    try_all(8, &valid, |_, bytes| {
        let read = [
            SenderKeyDistributionMessage::parse(bytes).is_ok(),
            DecryptionErrorMessage::parse(bytes).is_ok(),
            PlaintextContent::parse(bytes).is_ok(),
            SealedContent::parse(bytes).is_ok(),
        ];
        if read.contains(&true) { Outcome::Same } else { Outcome::Refused }
    });
}

fn key_of(rng: &mut StdRng) -> hushwire_crypto::PublicKey {
    KeyPair::generate(rng).public()
}
