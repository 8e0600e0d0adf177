//! Two sides, driven against each other and against what the official library recorded.
//!
//! Spec: signal-wire §4.1, §4.3, §4.7, §4.8.

pub(crate) mod fullest;
mod replay;

use std::{collections::BTreeMap, convert::Infallible};

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_core::{TryCryptoRng, TryRng};

use super::{chunk::Chunk, *};

const AUTH_KEY: [u8; 32] = [42; 32];

/// Randomness that gives these bytes and no others.
struct Bytes<'a>(&'a [u8]);

impl TryRng for Bytes<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are drawn")
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        let (bytes, rest) = self.0.split_at(to.len());
        to.copy_from_slice(bytes);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Bytes<'_> {}

/// A message on its way, with the key that it was sent under.
#[derive(Clone)]
struct Sent {
    bytes: Vec<u8>,
    key: [u8; 32],
}

/// Two sides of one session; what they draw comes from a seed.
struct Pair {
    sides: [Spqr; 2],
    rng: StdRng,
}

impl Pair {
    fn seeded(seed: u64) -> Self {
        let sides = [Role::A, Role::B].map(|role| Spqr::start(role, &AUTH_KEY));
        Self { sides, rng: StdRng::seed_from_u64(seed) }
    }

    fn send(&mut self, by: usize) -> Sent {
        let sent = self.sides[by].send(&mut self.rng).unwrap();
        self.sides[by] = sent.state;
        Sent { bytes: sent.message, key: *sent.key.unwrap() }
    }

    /// Refusing changes nothing; accepting gives the key that it was sent under.
    fn receive(&mut self, by: usize, sent: &Sent) -> Result<(), SpqrError> {
        let before = self.sides[by].to_bytes();
        let received = self.sides[by].receive(&sent.bytes, false);
        assert_eq!(self.sides[by].to_bytes(), before);
        let received = received?;
        assert_eq!(*received.key.unwrap(), sent.key);
        self.sides[by] = received.state;
        Ok(())
    }

    /// One message each way, nothing lost.
    fn turn(&mut self) {
        for by in [0, 1] {
            let sent = self.send(by);
            self.receive(1 - by, &sent).unwrap();
        }
    }

    fn turn_until(&mut self, side: usize, state: &str) {
        let found = (0..200).any(|_| {
            let found = self.sides[side].state_name() == state;
            if !found {
                self.turn();
            }
            found
        });
        assert!(found, "{state}");
    }

    fn epochs(&self) -> [u64; 2] {
        [self.sides[0].epoch(), self.sides[1].epoch()]
    }

    /// Both states as they would come back from disk.
    fn restart(&mut self) {
        for side in &mut self.sides {
            let bytes = side.to_bytes();
            assert!(bytes.len() <= SPQR_BYTES_MAX);
            let read = Spqr::from_bytes(&bytes).unwrap();
            assert_eq!(read.to_bytes(), bytes);
            *side = read;
        }
    }
}

fn restored(bytes: &[u8]) -> Spqr {
    Spqr::from_bytes(bytes).unwrap()
}

#[test]
fn turn_by_turn_twelve_epochs_take_522_turns() {
    let mut pair = Pair::seeded(1);
    let mut states = BTreeMap::new();
    while pair.epochs() != [13, 13] {
        for side in [0, 1] {
            *states.entry(pair.sides[side].state_name()).or_insert(0) += 1;
        }
        pair.turn();
        pair.restart();
    }
    // Without loss, ct1 is always there before the last chunk of ek.
    assert_eq!(states.len(), 10, "{states:?}");
    assert!(!states.contains_key("EkReceivedCt1Sampled"));
    assert_eq!(states.values().sum::<i32>() / 2, 522);
}

#[test]
fn any_order_loss_and_repeat_over_twelve_epochs() {
    let mut states = BTreeMap::new();
    for seed in 0..12 {
        let mut pair = Pair::seeded(seed);
        let mut way: [Vec<Sent>; 2] = [vec![], vec![]];
        let (mut accepted, mut late) = (0, 0);
        // Each seed has its own loss, and its own share of who speaks.
        let (loss, speaks) = ((seed % 4) * 20, 30 + (seed % 3) * 20);
        while pair.epochs()[0].min(pair.epochs()[1]) < 13 {
            let by = usize::from(pair.rng.random_range(0..100) < speaks);
            let sent = pair.send(by);
            *states.entry(pair.sides[by].state_name()).or_insert(0) += 1;
            if pair.rng.random_range(0..100) >= loss {
                way[by].push(sent);
            }
            // Sometimes one from far back, else one of the last five; it may stay and come again.
            if !way[by].is_empty() && pair.rng.random_range(0..10) < 9 {
                let reach = if pair.rng.random_range(0..8) == 0 { 200 } else { 5 };
                let from = way[by].len().saturating_sub(reach);
                let place = pair.rng.random_range(from..way[by].len());
                let sent = way[by][place].clone();
                match pair.receive(1 - by, &sent) {
                    Ok(()) => accepted += 1,
                    Err(SpqrError::Repeated | SpqrError::Epoch) => late += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            if pair.rng.random_range(0..50) == 0 {
                pair.restart();
            }
        }
        assert!(accepted > 500 && late > 20, "{accepted} {late}");
    }
    // All eleven but the two that are left by sending.
    assert_eq!(states.len(), 9, "{states:?}");
}

#[test]
fn parity_alone_is_enough() {
    let mut pair = Pair::seeded(3);
    // Whoever has something to say says it 40 times into the void before each message that arrives.
    for _ in 0..400 {
        for by in [0, 1] {
            for _ in 0..40 {
                let _lost = pair.send(by);
            }
            let sent = pair.send(by);
            pair.receive(1 - by, &sent).unwrap();
        }
    }
    assert!(pair.epochs()[0] > 4);
}

#[test]
fn messages_of_the_epoch_before_still_open_and_older_ones_do_not() {
    let mut pair = Pair::seeded(4);
    let mut held: Vec<(u64, Sent)> = Vec::new();
    while pair.epochs()[1] < 5 {
        held.push((pair.epochs()[0], pair.send(0)));
        pair.turn();
    }
    // B sends with the keys of epoch 4, so those of 3 are kept; messages of epoch e have keys of epoch e − 1.
    pair.turn();
    let mut outcomes = BTreeMap::new();
    for (epoch, sent) in held {
        let refused = pair.sides[1].receive(&sent.bytes, false).err();
        outcomes.insert(epoch, refused);
    }
    let gone = Some(SpqrError::Epoch);
    assert_eq!(outcomes, BTreeMap::from([(1, gone), (2, gone), (3, gone), (4, None)]));
}

#[test]
fn the_forward_limit_holds_in_a_fresh_session_and_not_for_the_own_account() {
    let mut pair = Pair::seeded(5);
    // The message with counter n of a session has index n + 1.
    let sent: Vec<_> = (0..25_001).map(|_| pair.send(0)).collect();
    assert_eq!(pair.sides[1].receive(&sent[24_999].bytes, false).err(), None);
    let too_far = Some(SpqrError::TooFarAhead { ahead: 25_001, limit: 25_000 });
    assert_eq!(pair.sides[1].receive(&sent[25_000].bytes, false).err(), too_far);
    assert_eq!(pair.sides[1].receive(&sent[25_000].bytes, true).err(), None);
    pair.receive(1, &sent[0]).unwrap();
    pair.receive(1, &sent[25_000]).unwrap();
    pair.receive(1, &sent[23_000]).unwrap();
    assert_eq!(pair.receive(1, &sent[22_999]), Err(SpqrError::Repeated));
}

#[test]
fn a_peer_without_spqr_is_refused() {
    let pair = Pair::seeded(6);
    for message in [&[][..], &[0], &[0, 1, 1, 0]] {
        assert_eq!(pair.sides[1].receive(message, false).err(), Some(SpqrError::Version));
    }
}

#[test]
fn later_versions_are_read_until_the_peer_has_spoken_ours() {
    let mut pair = Pair::seeded(7);
    let [first, second, third] = [(); 3].map(|()| pair.send(0));
    let state = |spqr: &Spqr| (spqr.epoch(), spqr.state_name());

    // The epoch that a later version names does not matter: the keys are those of epoch 0.
    for message in [&[2, 1, 2][..], &[2, 77, 2], &[200, 1, 2, 99, 99]] {
        let received = pair.sides[1].receive(message, false).unwrap();
        assert_eq!(*received.key.unwrap(), second.key);
        assert_eq!(state(&received.state), state(&pair.sides[1]));
        let again = received.state.receive(message, false);
        assert_eq!(again.err(), Some(SpqrError::Repeated));
        // Still not settled: version 1 and later ones are both read.
        assert!(received.state.receive(&first.bytes, false).is_ok());
        assert!(received.state.receive(&[3, 1, 3], false).is_ok());
    }
    assert_eq!(pair.sides[1].receive(&[2, 1, 0], false).unwrap().key, None);

    // Neither sending nor a failure settles it.
    let _ = pair.send(1);
    let broken = Sent { bytes: vec![1, 9, 1, 0], key: [0; 32] };
    assert_eq!(pair.receive(1, &broken), Err(SpqrError::Epoch));
    assert!(pair.sides[1].receive(&[2, 1, 1], false).is_ok());

    pair.receive(1, &third).unwrap();
    pair.restart();
    assert_eq!(pair.sides[1].receive(&[2, 1, 1], false).err(), Some(SpqrError::Version));
    assert_eq!(pair.sides[1].receive(&[2, 1, 0], false).err(), Some(SpqrError::Version));
}

#[test]
fn index_0_of_the_first_epoch_has_no_key() {
    let mut pair = Pair::seeded(8);
    let keyless = [1, 1, 0, 0];
    assert_eq!(pair.sides[1].receive(&keyless, false).unwrap().key, None);
    while pair.epochs()[1] < 5 {
        pair.turn();
    }
    assert_eq!(pair.sides[1].receive(&keyless, false).unwrap().key, None);
    assert_eq!(pair.sides[1].receive(&[1, 5, 0, 0], false).err(), Some(SpqrError::Repeated));
}

#[test]
fn a_message_of_a_later_epoch_is_refused_but_by_who_waits_for_it() {
    let mut pair = Pair::seeded(9);
    let later = |epoch| [1, epoch, 1, 0];
    for side in &pair.sides {
        assert_eq!(side.receive(&later(2), false).err(), Some(SpqrError::Epoch));
    }
    pair.turn_until(1, "Ct2Sampled");
    let waiting = &pair.sides[1];
    assert_eq!(waiting.receive(&later(3), false).err(), Some(SpqrError::Epoch));
    let moved = waiting.receive(&later(2), false).unwrap().state;
    assert_eq!((moved.epoch(), moved.state_name()), (2, "KeysUnsampled"));
}

/// The chunk of a message changed, under the index that it had.
fn changed(sent: &Sent, change: impl Fn(&mut Chunk)) -> Sent {
    let Ok(Parsed::Current(mut message)) = Parsed::parse(&sent.bytes) else { panic!("unreadable") };
    match &mut message.payload {
        Payload::Hdr(chunk)
        | Payload::Ek(chunk)
        | Payload::EkCt1Ack(chunk)
        | Payload::Ct1(chunk)
        | Payload::Ct2(chunk) => change(chunk),
        Payload::None | Payload::Ct1Ack => panic!("no chunk"),
    }
    Sent { bytes: message.encode(), key: sent.key }
}

#[test]
fn a_header_with_a_wrong_mac_is_refused() {
    let mut pair = Pair::seeded(10);
    let [first, second, third] = [(); 3].map(|()| pair.send(0));
    pair.receive(1, &first).unwrap();
    pair.receive(1, &second).unwrap();
    for bit in [1, 128] {
        let wrong = changed(&third, |chunk| chunk.bytes[31] ^= bit);
        assert_eq!(pair.receive(1, &wrong), Err(SpqrError::Forged));
    }
    pair.receive(1, &third).unwrap();
    assert_eq!(pair.sides[1].state_name(), "HeaderReceived");

    let mut other = Pair::seeded(10);
    other.sides[1] = Spqr::start(Role::B, &[43; 32]);
    for message in [&first, &second] {
        other.sides[1] = other.sides[1].receive(&message.bytes, false).unwrap().state;
    }
    let forged = other.sides[1].receive(&third.bytes, false);
    assert_eq!(forged.err(), Some(SpqrError::Forged));
}

#[test]
fn a_ciphertext_with_a_wrong_mac_is_refused() {
    let mut pair = Pair::seeded(11);
    pair.turn_until(0, "EkSentCt1Received");
    // The state has one chunk of five; three more are taken as they are.
    for _ in 0..3 {
        let sent = pair.send(1);
        pair.receive(0, &sent).unwrap();
    }
    let last = pair.send(1);
    assert_eq!(pair.sides[0].state_name(), "EkSentCt1Received");
    let wrong = changed(&last, |chunk| chunk.bytes[0] ^= 1);
    assert_eq!(pair.receive(0, &wrong), Err(SpqrError::Forged));
    pair.receive(0, &last).unwrap();
    assert_eq!((pair.epochs()[0], pair.sides[0].state_name()), (2, "NoHeaderReceived"));
}

#[test]
fn an_encapsulation_key_that_the_header_did_not_promise_is_refused() {
    let mut pair = Pair::seeded(12);
    pair.turn_until(0, "HeaderSent");
    let mut refusals = 0;
    while pair.epochs()[0] == 1 {
        let sent = pair.send(0);
        let carries_ek = matches!(
            Parsed::parse(&sent.bytes),
            Ok(Parsed::Current(Message { payload: Payload::Ek(_) | Payload::EkCt1Ack(_), .. }))
        );
        if carries_ek {
            let wrong = changed(&sent, |chunk| chunk.bytes[5] ^= 1);
            match pair.sides[1].receive(&wrong.bytes, false) {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error, SpqrError::Forged);
                    refusals += 1;
                }
            }
        }
        pair.receive(1, &sent).unwrap();
        let sent = pair.send(1);
        pair.receive(0, &sent).unwrap();
    }
    assert!(refusals > 0);
}

#[test]
fn an_encapsulation_key_with_a_coefficient_of_3329_is_refused() {
    // SHA3-256(ekv ‖ ρ) of the changed key below, by Python's hashlib: the header promises just this key, and only
    // the modulus check can tell.
    const HASH: &[u8] = b"ada894a1270d879dee82dbbc9ddb73be2905e56fc84353afe8a34f5e48720152";
    let pair = kem::KeyPair::generate(&mut Bytes(&[13; 64]));
    let (good_header, good) = (pair.header(), pair.ekv());
    let (mut header, mut ekv) = (good_header, good);
    ekv[0] = 0x01; // the first coefficient, 12 bits: 0xD01 = 3329
    ekv[1] = (ekv[1] & 0xF0) | 0x0D;
    header[32..].copy_from_slice(&data_encoding::HEXLOWER.decode(HASH).unwrap());

    let forged = Err(SpqrError::Forged);
    for (header, ekv, expected) in
        [(good_header, good, Ok(())), (header, ekv, forged), (header, good, forged), (good_header, ekv, forged)]
    {
        let encapsulation = kem::Encapsulation::begin(header, &mut Bytes(&[14; 32]));
        assert_eq!(encapsulation.check(&ekv), expected);
    }
}

#[test]
fn both_halves_of_an_encapsulation_are_what_fips_203_gives() {
    use libcrux_ml_kem::mlkem768;
    for seed in 0..20 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (keys, m): ([u8; 64], [u8; 32]) = (rng.random(), rng.random());
        let ordinary = mlkem768::generate_key_pair(keys);
        let pair = kem::KeyPair::generate(&mut Bytes(&keys));
        assert_eq!(ordinary.pk()[..1152], pair.ekv());
        assert_eq!(ordinary.pk()[1152..], pair.header()[..32]);
        let (ct, shared) = mlkem768::encapsulate(ordinary.public_key(), m);

        let half = kem::Encapsulation::begin(pair.header(), &mut Bytes(&m)).first_half().unwrap();
        let ct2 = half.second_half(&pair.ekv());
        assert_eq!([&half.ct1[..], &ct2].concat(), ct.as_slice());
        assert_eq!(half.shared.as_bytes(), &shared);
        assert_eq!(pair.decapsulate(&half.ct1, &ct2).as_bytes(), &shared);
    }
}

#[test]
fn every_state_survives_the_disk_and_damage_is_refused() {
    let mut pair = Pair::seeded(15);
    let mut largest = 0;
    for _ in 0..300 {
        pair.turn();
        for side in &pair.sides {
            largest = largest.max(side.to_bytes().len());
        }
        pair.restart();
    }
    assert!(largest < 4096, "{largest}");

    let bytes = pair.sides[0].to_bytes();
    for length in 0..bytes.len() {
        assert!(matches!(Spqr::from_bytes(&bytes[..length]), Err(SpqrError::Damaged)));
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Spqr::from_bytes(&longer), Err(SpqrError::Damaged)));
    let mut newer = bytes.clone();
    newer[0] = STORED_VERSION + 1;
    assert!(matches!(Spqr::from_bytes(&newer), Err(SpqrError::Damaged)));
}

#[test]
fn a_printed_state_shows_no_secret() {
    let pair = Pair::seeded(16);
    assert_eq!(format!("{:?}", pair.sides[0]), r#"Spqr { epoch: 1, state: "KeysUnsampled", .. }"#);
    let secret = Secret::new(&[7; 32]);
    assert_eq!(format!("{secret:?}"), "Secret { .. }");
}

proptest! {
    #[test]
    fn any_message_is_taken_or_refused(turns in 0..80usize, bytes: Vec<u8>, kind in 0..7u8, chunk: [u8; 32]) {
        let mut pair = Pair::seeded(17);
        for _ in 0..turns {
            pair.turn();
        }
        for side in &pair.sides {
            let _ = side.receive(&bytes, false);
            let epoch = u8::try_from(side.epoch()).unwrap();
            let mut shaped = vec![1, epoch, 120, kind, 90];
            shaped.extend(chunk);
            let _ = side.receive(&shaped, false);
        }
    }

    #[test]
    fn stored_bytes_with_a_flaw_are_read_or_refused(turns in 0..80usize, place: u16, flaw in 1..=255u8) {
        let mut pair = Pair::seeded(18);
        for _ in 0..turns {
            pair.turn();
        }
        for side in 0..2 {
            let mut bytes = pair.sides[side].to_bytes();
            let place = usize::from(place) % bytes.len();
            bytes[place] ^= flaw;
            if let Ok(read) = Spqr::from_bytes(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
                let _ = read.send(&mut pair.rng);
                let _ = read.receive(&[1, 1, 1, 0], false);
            }
        }
    }
}
