//! The state that takes most bytes: three epochs of which nothing has come but the last message, and an exchange one chunk
//! from its end.

use super::super::{
    Role, Spqr, braid,
    chain::{Chain, EpochSecret},
    secret::Secret,
    stored::Reader,
};
use crate::limits::{FORWARD_JUMP_MAX, SKIPPED_PER_CHAIN_MAX};

/// Full of keys that were passed over.
pub(crate) fn fullest() -> Spqr {
    let mut chain = Chain::start(Role::A, &[7; 32]);
    for epoch in 1..=2 {
        chain = chain.add(EpochSecret { epoch, secret: Secret::new(&[8; 32]) }).unwrap();
    }
    for epoch in 0..=2 {
        let last = u32::try_from(SKIPPED_PER_CHAIN_MAX).unwrap() + 500;
        (chain, _) = chain.receive(epoch, last, FORWARD_JUMP_MAX).unwrap();
    }
    // Epoch, authenticator, `EkSentCt1Received` with its key pair and `ct1`, four of the five chunks of `ct2`.
    let chunks: Vec<u8> = (0..4_u8).flat_map(|number| [vec![0, number], vec![number; 32]].concat()).collect();
    let braid = [&3_u64.to_be_bytes()[..], &[1; 64], &[5], &[2; 2400], &[3; 960], &[0, 4], &chunks].concat();
    let braid = braid::Braid::read(&mut Reader::new(&braid)).unwrap();
    Spqr { peer_speaks_current: true, chain, braid }
}
