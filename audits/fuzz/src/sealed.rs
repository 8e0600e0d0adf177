//! Seals, certificates and what is in them: only what was sealed opens, and it names who sealed it.
//!
//! Spec: signal-wire §6.1 to §6.5.

use std::sync::LazyLock;

use hushwire_crypto::sealed::certificate::{SenderCertificate, SenderDetails, ServerCertificate};
use hushwire_crypto::sealed::content::{ContentHint, ContentKind, OwnDevice, SealedContent};
use hushwire_crypto::sealed::sent::{Recipient, RecipientDevice, SealManyError, SentMessage};
use hushwire_crypto::sealed::{open, open_content, seal, v2};
use hushwire_crypto::{IdentityKeyPair, KeyPair, ServiceId, ServiceIdKind};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::edit::edited;
use crate::input::Input;

const EXPIRES_MS: u64 = 2_000;

/// The first byte says what the others are.
pub fn sealed(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(what) = input.byte() else { return };
    match what % 9 {
        0 => opened(input.rest(), false),
        1 => opened(&edited(&people().for_one, &mut input), true),
        2 => opened(&edited(&people().for_many, &mut input), true),
        3 => content(input.rest()),
        4 => content(&edited(&people().content.to_bytes(), &mut input)),
        5 => certificate(input.rest(), false),
        6 => certificate(&edited(&people().content.certificate.to_bytes(), &mut input), true),
        7 => sent(input.rest()),
        _ => many(&mut input),
    }
}

/// Bytes as a recipient gets them. `ours` says that they were made of a seal by Alice.
fn opened(bytes: &[u8], ours: bool) {
    let People { alice, bob, content, .. } = people();
    if let Ok(unsealed) = open(bytes, bob) {
        assert!(ours, "nobody has sealed it");
        assert_eq!(unsealed.sender, alice.public(), "another sender");
        assert_eq!(*unsealed.content, content.to_bytes(), "it opened to something else");
    }
    if let Ok(opened) = open_content(bytes, bob) {
        assert!(ours, "nobody has sealed it");
        assert_eq!(opened, *content, "it opened to something else");
    }
}

/// Anything can be sealed. As a content it is read only if its certificate names who sealed it.
fn content(bytes: &[u8]) {
    let People { alice, bob, .. } = people();
    let sealed = seal(bytes, alice, &bob.public(), &mut StdRng::seed_from_u64(1008)).expect("for a good key");
    assert_eq!(*open(&sealed, bob).expect("what was sealed opens").content, *bytes);
    let parsed = SealedContent::parse(bytes).ok();
    if let Some(content) = &parsed {
        assert_eq!(SealedContent::parse(&content.to_bytes()).as_ref(), Ok(content));
        let us = OwnDevice { uuid: "", e164: None, device_id: 1 };
        if let Ok(verified) = content.clone().verify(&[people().root.public()], EXPIRES_MS, &us) {
            assert_eq!(
                verified.sender.details(),
                people().content.certificate.claims(),
                "somebody else is vouched for"
            );
            drop(verified.session_message());
        }
    }
    let parsed = parsed.filter(|content| content.certificate.claims().identity == alice.public());
    assert_eq!(open_content(&sealed, bob).ok(), parsed);
}

/// `ours` says that the bytes were made of Alice's certificate.
fn certificate(bytes: &[u8], ours: bool) {
    if let Ok(server) = ServerCertificate::parse(bytes) {
        assert_eq!(ServerCertificate::parse(&server.to_bytes()), Ok(server));
    }
    let Ok(certificate) = SenderCertificate::parse(bytes) else { return };
    assert_eq!(certificate.to_bytes(), bytes);
    assert_eq!(certificate.claims().address().is_some(), ServiceId::parse(&certificate.claims().uuid).is_ok());
    if let Ok(sender) = certificate.verify(&[people().root.public()], EXPIRES_MS) {
        assert!(ours, "nobody vouches for it");
        assert_eq!(sender.details(), people().content.certificate.claims(), "somebody else is vouched for");
        assert!(certificate.verify(&[people().root.public()], EXPIRES_MS + 1).is_err(), "it holds for ever");
    }
}

/// What a server reads is what it would write.
fn sent(bytes: &[u8]) {
    let Ok(message) = SentMessage::parse(bytes) else { return };
    for (place, entry) in message.recipients().iter().enumerate() {
        assert!(!entry.devices().is_empty(), "an account without a device");
        let possible = |device: &RecipientDevice| (1..=127).contains(&device.id) && device.registration_id <= 0x3FFF;
        assert!(entry.devices().iter().all(possible), "a device that cannot be");
        let others = message.recipients()[..place].iter().map(|entry| entry.account());
        assert!(others.chain(message.excluded().iter().copied()).all(|other| other != entry.account()), "named twice");
    }
    let read = SentMessage::parse(&written(&message)).expect("what was written is read");
    assert_eq!((read.recipients(), read.excluded()), (message.recipients(), message.excluded()));
    // Without a recipient nobody gets to see what is shared, and so it cannot be written.
    assert!(read == message || message.recipients().is_empty());
}

/// Recipients as the bytes say; each of them opens it, and the server reads of it what was written.
fn many(input: &mut Input<'_>) {
    let People { alice, bob, content, .. } = people();
    let devices: Vec<RecipientDevice> = (0..input.byte().unwrap_or_default() % 4)
        .filter_map(|_| {
            Some(RecipientDevice { id: input.byte()?, registration_id: u16::try_from(input.number()?).ok()? })
        })
        .collect();
    let accounts: Vec<ServiceId> = (0..input.byte().unwrap_or_default() % 6)
        .filter_map(|_| {
            let kind = if input.byte()? & 1 == 0 { ServiceIdKind::Aci } else { ServiceIdKind::Pni };
            Some(ServiceId::new(kind, [input.byte()? % 8; 16]))
        })
        .collect();
    let (to, excluded) = accounts.split_at(accounts.len() / 2);
    let identities = [bob, alice];
    let recipients: Vec<Recipient<'_>> = to
        .iter()
        .zip(identities.iter().cycle())
        .map(|(account, identity)| Recipient { account: *account, identity: identity.public(), devices: &devices })
        .collect();
    let sealed = match v2::seal(content, alice, &recipients, excluded, &mut StdRng::seed_from_u64(1009)) {
        Ok(sealed) => sealed,
        Err(why) => {
            return assert!(!matches!(why, SealManyError::NotContributory { .. } | SealManyError::TooLong { .. }));
        }
    };
    let message = SentMessage::parse(&sealed).expect("what was sealed is read");
    assert_eq!(message.excluded(), excluded);
    for entry in message.recipients() {
        let place = to.iter().position(|account| *account == entry.account()).expect("who was named");
        let received = message.received_message(entry);
        assert_eq!(v2::open(&received, identities[place % 2]).as_ref(), Ok(content), "what was sealed opens");
    }
    sent(&edited(&sealed, input));
}

/// `0x23 ‖ varint(count) ‖ entries ‖ E ‖ ciphertext`, from what can be asked of a message.
///
/// Spec: signal-wire §6.4.
fn written(message: &SentMessage) -> Vec<u8> {
    let mut bytes = vec![0x23];
    let count = message.recipients().len() + message.excluded().len();
    prost::encoding::encode_varint(count as u64, &mut bytes);
    let mut shared = None;
    for entry in message.recipients() {
        bytes.extend(entry.account().to_fixed());
        for (place, device) in entry.devices().iter().enumerate() {
            let more = if place + 1 < entry.devices().len() { 0x8000 } else { 0 };
            bytes.push(device.id);
            bytes.extend((device.registration_id | more).to_be_bytes());
        }
        let received = message.received_message(entry);
        bytes.extend(&received[1..49]);
        shared = Some(received[49..].to_vec());
    }
    for account in message.excluded() {
        bytes.extend(account.to_fixed());
        bytes.push(0);
    }
    bytes.extend(shared.unwrap_or_else(|| vec![0; 32]));
    bytes
}

/// Alice and Bob, who vouches for Alice, and what she has sealed for him.
struct People {
    root: KeyPair,
    alice: IdentityKeyPair,
    bob: IdentityKeyPair,
    content: SealedContent,
    for_one: Vec<u8>,
    for_many: Vec<u8>,
}

fn people() -> &'static People {
    static PEOPLE: LazyLock<People> = LazyLock::new(|| {
        let mut rng = StdRng::seed_from_u64(1010);
        let [root, server] = [(); 2].map(|()| KeyPair::generate(&mut rng));
        let [alice, bob] = [(); 2].map(|()| IdentityKeyPair::generate(&mut rng));
        let details = SenderDetails {
            uuid: "9d0652a3-dcc3-4d11-975f-74d61598733f".to_owned(),
            e164: Some("+14155550101".to_owned()),
            device_id: 3,
            identity: alice.public(),
            expires_ms: EXPIRES_MS,
        };
        let by = ServerCertificate::issue(7, server.public(), &root, &mut rng);
        let content = SealedContent {
            kind: ContentKind::Signal,
            certificate: SenderCertificate::issue(details, &by, &server, &mut rng),
            message: b"a message".to_vec(),
            hint: ContentHint::Resendable,
            group_id: Some(b"a group".to_vec()),
        };
        let for_one = seal(&content.to_bytes(), &alice, &bob.public(), &mut rng).expect("for a good key");
        let account = ServiceId::new(ServiceIdKind::Aci, [1; 16]);
        let devices = [RecipientDevice { id: 1, registration_id: 77 }];
        let to = [Recipient { account, identity: bob.public(), devices: &devices }];
        let many = v2::seal(&content, &alice, &to, &[], &mut rng).expect("for a good key");
        let many = SentMessage::parse(&many).expect("what was sealed is read");
        let for_many = many.received_message(&many.recipients()[0]);
        People { root, alice, bob, content, for_one, for_many }
    });
    &PEOPLE
}
