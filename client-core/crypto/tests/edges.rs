//! Every limit, at its edge.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use hushwire_crypto::limits::{
    MESSAGE_BYTES_MAX, PLAINTEXT_BYTES_MAX, STORED_SESSIONS_BYTES_MAX, UNACKNOWLEDGED_MS_MAX,
};
use hushwire_crypto::{
    Addresses, CiphertextMessage, DecryptError, EncryptError, Local, MalformedMessage, PreKeySignalMessage, Sessions,
    SignalMessage,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use support::{Device, Refused, acquainted};

mod support;

/// Alice has sent this many messages, and Bob has them all before him.
fn many(count: usize) -> (Device, Vec<CiphertextMessage>) {
    let (mut alice, bob) = (Device::seeded(60), Device::seeded(61));
    alice.start(&bob);
    let sent = (0..count).map(|number| alice.send(number.to_string().as_bytes())).collect();
    (bob, sent)
}

/// Spec: signal-wire §3.6, §4.8, §8.6.
#[test]
fn a_fresh_session_jumps_25000_ahead_and_no_further() {
    let (mut bob, sent) = many(25_002);
    let fresh = bob.sessions.clone();
    // The SPQR key of message 0 has number 1, and number 0 is never used: here SPQR refuses, one message before the chain.
    let too_far = DecryptError::TooFarAhead { ahead: 25_001, limit: 25_000 };
    assert_eq!(bob.receive(&sent[25_000]), Err(Refused::Decrypt(too_far)));
    assert_eq!(bob.receive(&sent[25_001]), Err(Refused::Decrypt(too_far)));
    assert_eq!(bob.receive(&sent[24_999]).unwrap(), b"24999");

    bob.sessions = fresh;
    assert_eq!(bob.receive(&sent[0]).unwrap(), b"0");
    let after_first = bob.sessions.clone();
    assert_eq!(bob.receive(&sent[25_000]).unwrap(), b"25000");
    bob.sessions = after_first;
    assert!(bob.receive(&sent[25_001]).is_err());
}

/// Spec: signal-wire §8.5.
#[test]
fn devices_of_one_account_may_jump_further_when_addresses_and_identity_say_so() {
    let far = |tablet: Device, theirs: [u8; 18]| {
        let (mut phone, mut tablet) = (Device::seeded(72), tablet);
        phone.start(&tablet);
        let mut last = phone.send(b"first");
        tablet.receive(&last).unwrap();
        (0..25_002).for_each(|_| last = phone.send(b"later"));
        assert!(tablet.receive(&last).is_err(), "without addresses nobody is known to be oneself");
        let first = PreKeySignalMessage::parse(last.as_bytes()).unwrap();
        let local = Local { addresses: Some(Addresses { ours: [1; 18], theirs }), ..tablet.local() };
        let opened = tablet.sessions.decrypt_first(&local, &first, None, &mut StdRng::seed_from_u64(0));
        opened.map(|opened| opened.plaintext.to_vec())
    };
    let device_2 = std::array::from_fn(|place| if place == 17 { 2 } else { 1 });
    let too_far = DecryptError::TooFarAhead { ahead: 25_001, limit: 25_000 };
    assert_eq!(far(Device::seeded(72), device_2), Ok(b"later".to_vec()));
    assert_eq!(far(Device::seeded(72), [2; 18]), Err(too_far), "another account with the same key");
    assert_eq!(far(Device::seeded(73), device_2), Err(too_far), "another key in the same account");
}

/// Spec: signal-wire §3.6, §4.8, §8.6.
#[test]
fn of_more_than_2000_skipped_messages_the_latest_2000_open() {
    let (mut bob, sent) = many(2_002);
    let fresh = bob.sessions.clone();
    assert_eq!(bob.receive(&sent[2_000]).unwrap(), b"2000");
    bob.restart();
    assert_eq!(bob.receive(&sent[0]).unwrap(), b"0");

    bob.sessions = fresh;
    assert_eq!(bob.receive(&sent[2_001]).unwrap(), b"2001");
    bob.restart();
    assert_eq!(bob.receive(&sent[0]), Err(Refused::Decrypt(DecryptError::Repeated)));
    assert_eq!(bob.receive(&sent[1]).unwrap(), b"1");
    assert_eq!(bob.receive(&sent[1]), Err(Refused::Decrypt(DecryptError::Repeated)));
    assert!(bob.sessions.to_bytes().len() < STORED_SESSIONS_BYTES_MAX);
}

/// Spec: signal-wire §3.6, §8.6.
#[test]
fn the_sixth_turn_of_the_conversation_drops_what_was_held_back_in_the_first() {
    let (mut alice, mut bob) = acquainted(62);
    let mut held = Vec::new();
    for turn in 0..6 {
        held.push(alice.send(format!("held back {turn}").as_bytes()));
        assert_eq!(bob.receive(&alice.send(b"told")).unwrap(), b"told");
        assert_eq!(alice.receive(&bob.send(b"heard")).unwrap(), b"heard");
    }
    assert!(bob.receive(&held[0]).is_err());
    for (turn, message) in held.iter().enumerate().skip(1) {
        assert_eq!(bob.receive(message).unwrap(), format!("held back {turn}").into_bytes());
    }
}

/// Spec: signal-wire §3.2, §8.4, §8.6.
#[test]
fn an_unanswered_session_sends_for_thirty_days_to_the_millisecond() {
    let (mut alice, bob) = (Device::seeded(64), Device::seeded(65));
    alice.start(&bob);
    alice.now_ms += UNACKNOWLEDGED_MS_MAX;
    assert!(alice.try_send(b"in time").is_ok());
    alice.now_ms += 1;
    assert!(!alice.sessions.has_usable_session(alice.now_ms));
    assert_eq!(alice.try_send(b"late").unwrap_err(), EncryptError::NoSession);
}

/// Spec: signal-wire §3.3, §3.4.
#[test]
fn the_longest_text_fits_into_the_longest_message() {
    let (mut alice, mut bob) = (Device::seeded(66), Device::seeded(67));
    alice.start(&bob);
    let longest = vec![b'a'; PLAINTEXT_BYTES_MAX];
    let message = alice.send(&longest);
    assert!(message.as_bytes().len() <= MESSAGE_BYTES_MAX);
    assert_eq!(bob.receive(&message).unwrap(), longest);
    let limit = PLAINTEXT_BYTES_MAX;
    let refused = alice.try_send(&vec![b'a'; limit + 1]).unwrap_err();
    assert_eq!(refused, EncryptError::TooLong { length: limit + 1, limit });
}

/// Spec: signal-wire §3.3.
#[test]
fn messages_too_short_or_too_long_are_not_read() {
    assert_eq!(SignalMessage::parse(&[]).unwrap_err(), MalformedMessage::Length(0));
    assert_eq!(SignalMessage::parse(&[0x44; 7]).unwrap_err(), MalformedMessage::Length(7));
    let long = vec![0x44; MESSAGE_BYTES_MAX + 9];
    assert!(matches!(SignalMessage::parse(&long), Err(MalformedMessage::Length(_))));
}

/// Spec: signal-wire §3.6, §4.8, §8.2, §8.6.
#[test]
fn a_session_full_of_skipped_keys_stays_within_its_bound_and_comes_back_whole() {
    let (mut alice, mut bob) = acquainted(68);
    let mut first_of_turn = Vec::new();
    for _ in 0..5 {
        first_of_turn.push(alice.send(b"kept back"));
        for _ in 0..1_999 {
            alice.send(b"lost");
        }
        bob.receive(&alice.send(b"told")).unwrap();
        alice.receive(&bob.send(b"heard")).unwrap();
    }
    bob.restart();
    assert!(bob.sessions.to_bytes().len() > 5 * 2_000 * 36);
    assert!(bob.sessions.to_bytes().len() * 6 < STORED_SESSIONS_BYTES_MAX);
    // Of the last turn; those before it are beyond SPQR's window, which all turns of an epoch share.
    assert_eq!(bob.receive(&first_of_turn[4]).unwrap(), b"kept back");
    assert_eq!(bob.receive(&first_of_turn[3]), Err(Refused::Decrypt(DecryptError::PostQuantum)));
}

/// Spec: signal-wire §8.2.
#[test]
fn stored_bytes_that_are_cut_longer_or_of_another_layout_are_refused() {
    let (alice, _) = acquainted(70);
    let stored = alice.sessions.to_bytes();
    for length in 0..stored.len() {
        assert!(Sessions::from_bytes(&stored[..length]).is_err());
    }
    assert!(Sessions::from_bytes(&[stored.as_slice(), &[0]].concat()).is_err());
    assert!(Sessions::from_bytes(&[&[2], &stored[1..]].concat()).is_err());
    assert!(Sessions::from_bytes(&vec![1; STORED_SESSIONS_BYTES_MAX + 1]).is_err());
}
