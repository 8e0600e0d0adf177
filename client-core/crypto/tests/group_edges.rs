//! Groups: every limit at its edge, and what must not pass between members.
//!
//! Spec: signal-wire §5.1, §5.2, §5.3.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use hushwire_crypto::limits::{MESSAGE_BYTES_MAX, PLAINTEXT_BYTES_MAX, STORED_SENDER_KEYS_BYTES_MAX};
use hushwire_crypto::{
    DistributionId, EncryptError, GroupDecryptError, MalformedMessage, OurSenderKey, SenderKeyDistributionMessage,
    SenderKeyError, SenderKeyMessage, SenderKeys,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use support::group::{DISTRIBUTION, Member, Sender};

mod support;

/// Spec: signal-wire §5.3, §8.6.
#[test]
fn a_group_chain_jumps_25000_ahead_and_no_further() {
    let mut sender = Sender::seeded(2);
    let fresh = Member::told(&sender);
    let sent: Vec<Vec<u8>> = (0..25_003_u32).map(|number| sender.send(&number.to_be_bytes())).collect();
    let too_far = GroupDecryptError::TooFarAhead { ahead: 25_001, limit: 25_000 };
    let mut member = Member(fresh.0.clone());
    assert_eq!(member.receive(&sent[25_001]), Err(too_far));
    assert_eq!(member.receive(&sent[25_000]).unwrap(), 25_000_u32.to_be_bytes());

    let mut member = Member(fresh.0.clone());
    member.receive(&sent[0]).unwrap();
    assert_eq!(member.receive(&sent[25_002]), Err(too_far));
    assert_eq!(member.receive(&sent[25_001]).unwrap(), 25_001_u32.to_be_bytes());
}

/// Spec: signal-wire §5.3, §8.6.
#[test]
fn of_more_than_2000_skipped_group_messages_the_latest_2000_open() {
    let mut sender = Sender::seeded(3);
    let mut member = Member::told(&sender);
    let sent: Vec<Vec<u8>> = (0..2_003_u32).map(|number| sender.send(&number.to_be_bytes())).collect();
    assert!(member.receive(&sent[2_001]).is_ok());
    member.restart();
    assert_eq!(member.receive(&sent[0]), Err(GroupDecryptError::Repeated));
    assert!(member.receive(&sent[1]).is_ok());
    assert_eq!(member.receive(&sent[1]), Err(GroupDecryptError::Repeated));
    // One was taken out, so there is room for one more before the earliest goes.
    sender.send(b"lost");
    assert!(member.receive(&sender.send(b"later")).is_ok());
    assert!(member.receive(&sent[2]).is_err(), "2002 and the lost one were skipped too");
    assert!(member.receive(&sent[3]).is_ok());
}

/// Spec: signal-wire §5.2, §8.6.
#[test]
fn of_six_chains_the_latest_five_open_and_full_ones_stay_within_the_bound() {
    let mut keys = SenderKeys::empty(DISTRIBUTION);
    let mut first_of_chain = Vec::new();
    for seed in 40..46 {
        let mut sender = Sender::seeded(seed);
        keys = keys.accept(&sender.tell()).unwrap();
        first_of_chain.push(sender.send(b"kept back"));
        (0..2_000).for_each(|_| drop(sender.send(b"lost")));
        keys = keys.decrypt(&SenderKeyMessage::parse(&sender.send(b"told")).unwrap()).unwrap().keys;
    }
    let mut member = Member(keys);
    member.restart();
    let length = member.0.to_bytes().len();
    assert!(length > 5 * 2_000 * 36 && length <= STORED_SENDER_KEYS_BYTES_MAX, "{length}");
    assert_eq!(member.receive(&first_of_chain[0]), Err(GroupDecryptError::NoSenderKey));
    assert_eq!(member.receive(&first_of_chain[1]), Err(GroupDecryptError::Repeated), "2001 were skipped");
}

/// Spec: signal-wire §5.1, §5.2.
#[test]
fn who_is_told_a_chain_late_opens_nothing_from_before() {
    let mut sender = Sender::seeded(5);
    let early = sender.send(b"before");
    let mut member = Member::told(&sender);
    assert_eq!(member.receive(&early), Err(GroupDecryptError::Repeated));
    assert_eq!(member.receive(&sender.send(b"after")).unwrap(), b"after");
}

/// Spec: signal-wire §5.2.
#[test]
fn a_chain_told_again_later_is_not_moved_and_an_older_one_told_again_becomes_the_newest() {
    let mut sender = Sender::seeded(6);
    let mut member = Member::told(&sender);
    let held_back = sender.send(b"held back");
    member.0 = member.0.accept(&sender.tell()).unwrap();
    assert_eq!(member.receive(&held_back).unwrap(), b"held back");

    let mut senders: Vec<Sender> = (0..5).map(|seed| Sender::seeded(60 + seed)).collect();
    let mut keys = SenderKeys::empty(DISTRIBUTION);
    for told in [0, 1, 2, 3, 4, 0] {
        keys = keys.accept(&senders[told].tell()).unwrap();
    }
    let mut member = Member(keys.accept(&sender.tell()).unwrap());
    assert!(member.receive(&senders[0].send(b"moved to the front")).is_ok());
    assert_eq!(member.receive(&senders[1].send(b"the oldest")), Err(GroupDecryptError::NoSenderKey));
}

/// Spec: signal-wire §5.2, §5.3.
#[test]
fn a_member_cannot_speak_for_another() {
    let mut sender = Sender::seeded(7);
    let mut member = Member::told(&sender);
    // A member knows chain and chain id, and not the signing key: all that differs in these keys.
    let mut stored = sender.key.to_bytes().to_vec();
    let length = stored.len();
    stored[length - 32..].copy_from_slice(&[0x48; 32]);
    let impostor = OurSenderKey::from_bytes(&stored).unwrap();
    let forged = impostor.clone().encrypt(b"not by the sender", &mut sender.rng).unwrap();
    assert_eq!(member.receive(&forged.message), Err(GroupDecryptError::Forged));

    // With the same chain id and another signing key it is another chain, in place of the first.
    member.0 = member.0.accept(&impostor.distribution_message()).unwrap();
    assert_eq!(member.0.to_bytes().len(), Member::told(&sender).0.to_bytes().len(), "the first is gone");
    member.restart();
    assert_eq!(member.receive(&forged.message).unwrap(), b"not by the sender");
    assert_eq!(member.receive(&sender.send(b"by the first")), Err(GroupDecryptError::Forged));
}

/// Spec: signal-wire §5.1, §5.2.
#[test]
fn keys_of_another_distribution_are_neither_taken_in_nor_used() {
    let mut rng = StdRng::seed_from_u64(8);
    let other = DistributionId::from_bytes([2; 16]);
    let key = OurSenderKey::generate(other, &mut rng);
    let told = key.distribution_message();
    assert_eq!(SenderKeys::empty(DISTRIBUTION).accept(&told).unwrap_err(), SenderKeyError::OtherDistribution);
    let message = SenderKeyMessage::parse(&key.encrypt(b"there", &mut rng).unwrap().message).unwrap();
    assert_eq!(message.distribution(), other);
    let member = Member::told(&Sender::seeded(8));
    assert_eq!(member.0.decrypt(&message).unwrap_err(), GroupDecryptError::NoSenderKey);
}

/// Spec: signal-wire §5.2, §5.3.
#[test]
fn group_messages_too_short_or_too_long_are_not_read_or_made() {
    let sender = Sender::seeded(9);
    for length in [0, 1, 64, MESSAGE_BYTES_MAX + 1] {
        let bytes = vec![0x33; length];
        assert_eq!(SenderKeyMessage::parse(&bytes).unwrap_err(), MalformedMessage::Length(length));
        assert_eq!(SenderKeyDistributionMessage::parse(&bytes).unwrap_err(), MalformedMessage::Length(length));
    }
    let mut rng = StdRng::seed_from_u64(9);
    let longest = sender.key.clone().encrypt(&vec![7; PLAINTEXT_BYTES_MAX], &mut rng).unwrap().message;
    assert!(Member::told(&sender).receive(&longest).is_ok());
    let limit = PLAINTEXT_BYTES_MAX;
    let refused = sender.key.clone().encrypt(&vec![7; limit + 1], &mut rng).unwrap_err();
    assert_eq!(refused, EncryptError::TooLong { length: limit + 1, limit });
}

/// Spec: signal-wire §5.2.
#[test]
fn stored_sender_keys_that_are_cut_longer_or_of_another_layout_are_refused() {
    let sender = Sender::seeded(10);
    let (ours, theirs) = (sender.key.to_bytes(), Member::told(&sender).0.to_bytes());
    assert_eq!((ours.len(), theirs.len()), (89, 97));
    for length in 0..theirs.len() {
        assert!(SenderKeys::from_bytes(&theirs[..length]).is_err());
        assert!(OurSenderKey::from_bytes(&ours[..length.min(88)]).is_err());
    }
    assert!(SenderKeys::from_bytes(&[theirs.as_slice(), &[0]].concat()).is_err());
    assert!(SenderKeys::from_bytes(&[&[2], &theirs[1..]].concat()).is_err());
    assert!(OurSenderKey::from_bytes(&[&[2], &ours[1..]].concat()).is_err());
    assert!(SenderKeys::from_bytes(&vec![1; STORED_SENDER_KEYS_BYTES_MAX + 1]).is_err());
    // The same chain id twice.
    let state = &theirs[21..];
    let twice = [&theirs[..17], &[0, 0, 0, 2], state, state].concat();
    assert!(SenderKeys::from_bytes(&twice).is_err());
}

#[test]
fn nothing_secret_of_a_group_is_printed() {
    let sender = Sender::seeded(11);
    let sealed = sender.key.clone().encrypt(b"secret", &mut StdRng::seed_from_u64(0)).unwrap();
    let opened = Member::told(&sender).0.decrypt(&SenderKeyMessage::parse(&sealed.message).unwrap()).unwrap();
    let told = sender.tell();
    for printed in [format!("{sealed:?}"), format!("{opened:?}"), format!("{told:?}")] {
        assert!(printed.contains("ChainKey { index: ") && printed.ends_with(".. }"), "{printed}");
        assert!(printed.len() < 240, "{printed}");
    }
}
