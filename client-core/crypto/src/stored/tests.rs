//! The largest that can be stored. Inside the crate because no peer needs less than days to bring it about.
//!
//! Spec: signal-wire §8.2, §8.6.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::limits::STORED_SESSION_BYTES_MAX;
use crate::spqr::tests::fullest::fullest;

/// A session with everything in it that can be: a wrapper, five chains with all their skipped keys, three epochs with theirs.
fn largest() -> Session {
    let mut rng = StdRng::seed_from_u64(1);
    let mut pair = || KeyPair::generate(&mut rng);
    let secret = || Box::new([7; 32]);
    let mut skipped = SkippedSeeds::default();
    for index in 0..=u32::try_from(SKIPPED_PER_CHAIN_MAX).unwrap() {
        skipped.keep(index, MessageSeed::new(secret()));
    }
    let base_key = pair().public();
    let receiving = (0..RECEIVING_CHAINS_MAX).map(|_| ReceivingChain {
        theirs: pair().public(),
        chain: ChainKey::new(secret(), u32::MAX),
        skipped: skipped.clone(),
    });
    let double = DoubleRatchet {
        root: RootKey::new(secret()),
        receiving: receiving.collect(),
        sending: SendingChain { pair: pair(), chain: ChainKey::new(secret(), u32::MAX) },
        previous_counter: u32::MAX,
    };
    let ciphertext = KemCiphertext::from_bytes(&[8; KemCiphertext::BYTES]).unwrap();
    let header =
        PreKeyHeader { one_time_id: Some(u32::MAX), signed_id: u32::MAX, kyber_id: u32::MAX, ciphertext, base_key };
    Session {
        base_key,
        our_identity: pair().public(),
        their_identity: pair().public(),
        our_registration_id: u32::MAX,
        their_registration_id: u32::MAX,
        ratchet: TripleRatchet { double, spqr: fullest() },
        unacknowledged: Some(Unacknowledged { header, created_ms: u64::MAX }),
    }
}

#[test]
fn the_largest_record_there_can_be_is_within_its_bound_and_comes_back_whole() {
    let session = largest();
    let sessions = Sessions { current: Some(session.clone()), archived: vec![session; ARCHIVED_SESSIONS_MAX] };
    let stored = sessions.to_bytes();
    let one = (stored.len() - 6) / (ARCHIVED_SESSIONS_MAX + 1);
    assert!(one <= STORED_SESSION_BYTES_MAX && stored.len() <= STORED_SESSIONS_BYTES_MAX);
    // What the documentation says of sizes.
    assert_eq!((one, stored.len()), (582_015, 3_492_096));
    assert_eq!(*Sessions::from_bytes(&stored).unwrap().to_bytes(), *stored);
}

#[test]
fn one_more_of_anything_than_there_can_be_is_damage() {
    let session = largest();
    let six = Sessions { current: None, archived: vec![session.clone(); ARCHIVED_SESSIONS_MAX + 1] };
    assert_eq!(Sessions::from_bytes(&six.to_bytes()).err(), Some(BadStored::Damaged));
    let mut more = session;
    let chain = more.ratchet.double.receiving[0].clone();
    more.ratchet.double.receiving.push(chain);
    let sessions = Sessions { current: Some(more), archived: Vec::new() };
    assert_eq!(Sessions::from_bytes(&sessions.to_bytes()).err(), Some(BadStored::Damaged));
}
