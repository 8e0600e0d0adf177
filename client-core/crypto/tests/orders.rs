//! Any order, loss and repeat: each message opens at most once, what fails changes nothing, and both sides get along.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use hushwire_crypto::limits::RECEIVING_CHAINS_MAX;
use hushwire_crypto::{
    CiphertextMessage, DecryptError, OurPreKeys, PreKeySignalMessage, PublicKey, Sessions, SignalMessage,
};
use proptest::prelude::*;
use prost::Message as _;

use support::{Device, Refused, acquainted, replaced};

mod support;

/// What happens next. Sides are 0 and 1; `pick` chooses among what the other side has ever sent.
#[derive(Debug, Clone)]
enum Step {
    Send {
        side: usize,
    },
    Deliver {
        side: usize,
        pick: usize,
    },
    DeliverAltered {
        side: usize,
        pick: usize,
        bit: usize,
    },
    Restart {
        side: usize,
    },
    /// A message opens, and the device stops before anything of it is stored.
    Crash {
        side: usize,
        pick: usize,
    },
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..2_usize).prop_map(|side| Step::Send { side }),
        5 => (0..2_usize, any::<usize>()).prop_map(|(side, pick)| Step::Deliver { side, pick }),
        1 => (0..2_usize, any::<usize>(), any::<usize>())
            .prop_map(|(side, pick, bit)| Step::DeliverAltered { side, pick, bit }),
        1 => (0..2_usize).prop_map(|side| Step::Restart { side }),
        1 => (0..2_usize, any::<usize>()).prop_map(|(side, pick)| Step::Crash { side, pick }),
    ];
    prop::collection::vec(step, 1..most)
}

/// Two devices, all that was ever sent, and what each may still open by the rules of the spec.
struct Model {
    devices: [Device; 2],
    sent: [Vec<(CiphertextMessage, Vec<u8>)>; 2],
    opened: [BTreeSet<usize>; 2],
    /// The peer's ratchet keys whose chains a side holds, oldest first, and those whose chains it has dropped.
    chains: [Vec<PublicKey>; 2],
    dropped: [BTreeSet<PublicKey>; 2],
}

impl Model {
    fn new(seed: u64) -> Model {
        let (mut alice, bob) = (Device::seeded(seed), Device::seeded(seed.wrapping_add(1)));
        alice.start(&bob);
        let chains = [vec![bob.signed.public().key], Vec::new()];
        Model {
            devices: [alice, bob],
            sent: Default::default(),
            opened: Default::default(),
            chains,
            dropped: Default::default(),
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Send { side } => self.send(side),
            Step::Deliver { side, pick } => {
                if let Some(number) = pick.checked_rem(self.sent[1 - side].len()) {
                    self.deliver(side, number);
                }
            }
            Step::DeliverAltered { side, pick, bit } => {
                if let Some(number) = pick.checked_rem(self.sent[1 - side].len()) {
                    self.deliver_altered(side, number, bit);
                }
            }
            Step::Restart { side } => self.devices[side].restart(),
            Step::Crash { side, pick } => {
                if let Some(number) = pick.checked_rem(self.sent[1 - side].len()) {
                    self.crash(side, number);
                }
            }
        }
    }

    fn send(&mut self, side: usize) {
        if !self.devices[side].sessions.has_usable_session(0) {
            return; // Bob, before he has heard of Alice
        }
        let text = format!("{side}: {}", self.sent[side].len()).into_bytes();
        let message = self.devices[side].send(&text);
        self.sent[side].push((message, text));
    }

    fn deliver(&mut self, side: usize, number: usize) {
        let (message, text) = self.sent[1 - side][number].clone();
        let key = ratchet_key(&message);
        let before = self.devices[side].sessions.to_bytes();
        let result = self.devices[side].receive(&message);
        let repeated = self.opened[side].contains(&number);
        if repeated || self.dropped[side].contains(&key) {
            let error = result.expect_err("opened although it must not");
            if !self.dropped[side].contains(&key) {
                assert_eq!(error, Refused::Decrypt(DecryptError::Repeated));
            }
            assert_eq!(*self.devices[side].sessions.to_bytes(), *before, "a refused message left a trace");
            return;
        }
        assert_eq!(result, Ok(text));
        self.opened[side].insert(number);
        if !self.chains[side].contains(&key) {
            self.chains[side].push(key);
            if self.chains[side].len() > RECEIVING_CHAINS_MAX {
                let oldest = self.chains[side].remove(0);
                self.dropped[side].insert(oldest);
            }
        }
    }

    /// One bit of the message is other than it was.
    fn deliver_altered(&mut self, side: usize, number: usize, bit: usize) {
        let (message, _) = &self.sent[1 - side][number];
        let inner = signal_part(message);
        let mut altered = inner.clone();
        let bit = bit % (altered.len() * 8);
        altered[bit / 8] ^= 1 << (bit % 8);
        let altered = rewrapped(message, &inner, &altered);
        let before = self.devices[side].sessions.to_bytes();
        assert!(self.devices[side].receive(&altered).is_err());
        assert_eq!(*self.devices[side].sessions.to_bytes(), *before, "an altered message left a trace");
    }

    /// What was stored before is what there is afterwards: a message that opened then will open again.
    fn crash(&mut self, side: usize, number: usize) {
        let (message, text) = self.sent[1 - side][number].clone();
        let stored = self.devices[side].sessions.to_bytes();
        let may_open = !self.opened[side].contains(&number) && !self.dropped[side].contains(&ratchet_key(&message));
        assert_eq!(self.devices[side].receive(&message).ok(), may_open.then_some(text));
        self.devices[side].sessions = Sessions::from_bytes(&stored).unwrap();
    }

    fn deliver_all(&mut self) {
        for side in [0, 1] {
            for number in 0..self.sent[1 - side].len() {
                self.deliver(side, number);
            }
        }
    }

    /// Everything arrives at last, then both talk a little: all of it opens, and nobody sends prekeys any more.
    fn assert_converges(&mut self) {
        self.send(0);
        self.deliver_all();
        for _ in 0..2 {
            for side in [0, 1] {
                self.send(side);
                self.deliver(1 - side, self.sent[side].len() - 1);
            }
        }
        let last = self.sent.each_ref().map(|sent| sent.last().unwrap().0.clone());
        assert!(last.iter().all(|message| matches!(message, CiphertextMessage::Signal(_))));
    }
}

/// Of a wrapper only what it wraps.
#[derive(Clone, PartialEq, prost::Message)]
struct Wrapper {
    #[prost(bytes = "vec", tag = "4")]
    message: Vec<u8>,
}

fn signal_part(message: &CiphertextMessage) -> Vec<u8> {
    match message {
        CiphertextMessage::Signal(bytes) => bytes.clone(),
        CiphertextMessage::PreKey(bytes) => Wrapper::decode(&bytes[1..]).unwrap().message,
    }
}

fn rewrapped(message: &CiphertextMessage, inner: &[u8], altered: &[u8]) -> CiphertextMessage {
    let bytes = message.as_bytes();
    let start = bytes.windows(inner.len()).position(|window| window == inner).unwrap();
    let bytes = [&bytes[..start], altered, &bytes[start + inner.len()..]].concat();
    match message {
        CiphertextMessage::Signal(_) => CiphertextMessage::Signal(bytes),
        CiphertextMessage::PreKey(_) => CiphertextMessage::PreKey(bytes),
    }
}

/// The name of the current session, as it is stored.
fn base_key(device: &Device) -> Vec<u8> {
    device.sessions.to_bytes()[2..34].to_vec()
}

fn ratchet_key(message: &CiphertextMessage) -> PublicKey {
    SignalMessage::parse(&signal_part(message)).unwrap().ratchet_key()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Spec: signal-wire §3.2, §3.6, §4.7, §8.3.
    #[test]
    fn in_any_order_each_message_opens_once_and_a_failure_changes_nothing(seed in 0..1000_u64, steps in steps(80)) {
        let mut model = Model::new(seed);
        steps.iter().for_each(|step| model.apply(step));
        model.assert_converges();
    }

    /// Spec: signal-wire §2.2, §2.3, §8.2, §8.3.
    #[test]
    fn both_sides_starting_at_once_get_along_in_any_order(
        seed in 0..1000_u64,
        counts in [1..4_usize, 1..4_usize],
        order in prop::collection::vec(any::<usize>(), 6),
    ) {
        let mut devices = [Device::seeded(seed), Device::seeded(seed + 1)];
        let [alice, bob] = &mut devices;
        alice.start(bob);
        bob.start(alice);
        let mut flying = Vec::new();
        for (side, count) in counts.into_iter().enumerate() {
            for number in 0..count {
                let text = format!("{side} {number}").into_bytes();
                flying.push((1 - side, devices[side].send(&text), text));
            }
        }
        for pick in order {
            if let Some(place) = pick.checked_rem(flying.len()) {
                let (to, message, text) = flying.remove(place);
                prop_assert_eq!(devices[to].receive(&message), Ok(text));
            }
        }
        for exchange in 0..4 {
            for side in [0, 1] {
                let message = devices[side].send(b"more");
                prop_assert!(exchange < 2 || matches!(message, CiphertextMessage::Signal(_)));
                devices[1 - side].restart();
                prop_assert_eq!(devices[1 - side].receive(&message), Ok(b"more".to_vec()));
            }
            prop_assert_eq!(base_key(&devices[0]), base_key(&devices[1]), "both are in one session");
        }
        for (_, message, text) in flying {
            prop_assert!(devices.iter_mut().any(|device| device.receive(&message) == Ok(text.clone())));
        }
    }

    /// Spec: signal-wire §3.3, §3.4.
    #[test]
    fn bytes_from_anywhere_are_refused_quietly(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SignalMessage::parse(&bytes);
        let _ = PreKeySignalMessage::parse(&bytes);
        let _ = Sessions::from_bytes(&bytes);
        let versioned = [&[0x44], bytes.as_slice()].concat();
        let _ = SignalMessage::parse(&versioned);
        let _ = PreKeySignalMessage::parse(&versioned);
        let _ = Sessions::from_bytes(&[&[1, 1], bytes.as_slice()].concat());
    }
}

/// Spec: signal-wire §3.3, §3.5.
#[test]
fn no_bit_of_a_message_can_be_changed() {
    let (mut alice, mut bob) = acquainted(30);
    let message = alice.send(b"");
    for bit in 0..message.as_bytes().len() * 8 {
        let mut bytes = message.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(bob.receive(&CiphertextMessage::Signal(bytes)).is_err(), "bit {bit}");
    }
    assert_eq!(bob.receive(&message).unwrap(), b"");
}

/// Spec: signal-wire §3.3, §3.5.
#[test]
fn a_message_cut_anywhere_is_refused() {
    let (mut alice, mut bob) = acquainted(32);
    let message = alice.send(b"whole");
    for length in 0..message.as_bytes().len() {
        assert!(bob.receive(&CiphertextMessage::Signal(message.as_bytes()[..length].to_vec())).is_err());
    }
}

/// Spec: signal-wire §3.5.
#[test]
fn a_message_comes_back_to_nobody_who_sent_it() {
    let (mut alice, _) = acquainted(34);
    let message = alice.send(b"mirror");
    assert!(alice.receive(&message).is_err());
}

/// Spec: signal-wire §3.5, §8.3.
#[test]
fn a_message_is_not_for_a_third_device() {
    let (mut alice, _) = acquainted(36);
    let (mut carol, _) = acquainted(38);
    assert!(carol.receive(&alice.send(b"for Bob")).is_err());
    let mut nobody = Device::seeded(40);
    assert_eq!(nobody.receive(&alice.send(b"for Bob")), Err(Refused::Decrypt(DecryptError::NoSession)));
}

/// Spec: signal-wire §2.3, §8.3.
#[test]
fn a_first_message_without_its_session_names_the_same_base_key_again() {
    let (mut alice, mut bob) = (Device::seeded(42), Device::seeded(43));
    bob.one_time = None;
    alice.start(&bob);
    let first = alice.send(b"again and again");
    bob.receive(&first).unwrap();
    let used = bob.used.unwrap();
    assert_eq!((used.one_time_id, used.signed_id, used.kyber_id), (None, 1, 2));
    bob.sessions = Sessions::empty();
    bob.receive(&first).unwrap();
    assert_eq!(bob.used, Some(used), "this is what the engine refuses the repeat by");
}

/// Spec: signal-wire §2.3, §2.4.
#[test]
fn wrong_prekeys_are_named_and_the_right_ones_still_work() {
    let (mut alice, mut bob) = (Device::seeded(44), Device::seeded(45));
    alice.start(&bob);
    let message = alice.send(b"hello");
    let first = PreKeySignalMessage::parse(message.as_bytes()).unwrap();
    let other = Device::seeded(46);
    let refused = |keys: Option<OurPreKeys<'_>>| {
        let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(0);
        bob.sessions.decrypt_first(&bob.local(), &first, keys, &mut rng).unwrap_err()
    };
    let right = OurPreKeys { signed: &bob.signed, kyber: &bob.kyber, one_time: bob.one_time.as_ref() };
    assert!(matches!(refused(None), DecryptError::MissingPreKey(_)));
    assert!(matches!(refused(Some(OurPreKeys { one_time: None, ..right })), DecryptError::MissingPreKey(_)));
    // Of the same ids, and not the keys that Alice had.
    assert_eq!(refused(Some(OurPreKeys { signed: &other.signed, ..right })), DecryptError::Forged);
    assert_eq!(refused(Some(OurPreKeys { kyber: &other.kyber, ..right })), DecryptError::Forged);
    assert_eq!(refused(Some(OurPreKeys { one_time: other.one_time.as_ref(), ..right })), DecryptError::Forged);
    assert_eq!(bob.receive(&message).unwrap(), b"hello");
}

/// Spec: signal-wire §8.2, §8.3.
#[test]
fn a_repeat_of_a_message_of_an_archived_session_is_known_as_one() {
    let (mut alice, mut bob) = acquainted(57);
    let message = alice.send(b"once");
    bob.receive(&message).unwrap();
    bob.start(&alice);
    assert_eq!(bob.receive(&message), Err(Refused::Decrypt(DecryptError::Repeated)));
}

/// Spec: signal-wire §3.4, §8.3.
#[test]
fn a_wrapper_that_claims_another_identity_than_its_session_is_refused() {
    let (mut alice, mut bob) = (Device::seeded(54), Device::seeded(55));
    alice.start(&bob);
    bob.receive(&alice.send(b"hello")).unwrap();
    let message = alice.send(b"more");
    let other = Device::seeded(56).identity.public();
    let altered = replaced(&message, alice.identity.public().as_bytes(), other.as_bytes());
    assert_eq!(bob.receive(&altered), Err(Refused::Decrypt(DecryptError::Forged)));
    assert_eq!(bob.receive(&message).unwrap(), b"more");
}

/// Spec: signal-wire §8.3, §8.4.
#[test]
fn another_identity_key_than_the_known_one_is_refused_everywhere() {
    let (mut alice, mut bob) = acquainted(48);
    let known = Device::seeded(50).identity.public();
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(0);
    let wary = alice.local().with_peer(known);
    assert!(alice.sessions.encrypt(&wary, b"no", 0, &mut rng).is_err());
    assert!(alice.sessions.start(&wary, &bob.verified(), 0, &mut rng).is_err());
    let message = bob.send(b"hello");
    let parsed = SignalMessage::parse(message.as_bytes()).unwrap();
    let refused = alice.sessions.decrypt(&wary, &parsed, &mut rng).unwrap_err();
    assert_eq!(refused, DecryptError::UntrustedIdentity);
    assert_eq!(alice.receive(&message).unwrap(), b"hello");
}

/// Spec: signal-wire §8.2, §8.3, §8.6.
#[test]
fn messages_of_several_sessions_open_while_the_sessions_are_kept() {
    let (mut alice, mut bob) = (Device::seeded(52), Device::seeded(53));
    let firsts: BTreeMap<usize, CiphertextMessage> = (0..7)
        .map(|number| {
            alice.start(&bob);
            bob.receive(&alice.send(b"another session")).unwrap();
            (number, alice.send(format!("kept back {number}").as_bytes()))
        })
        .collect();
    let known = |bob: &Device, number: usize| {
        bob.sessions.matches(&PreKeySignalMessage::parse(firsts[&number].as_bytes()).unwrap())
    };
    assert!(!known(&bob, 0), "the current one and five before it are kept");
    assert!((1..7).all(|number| known(&bob, number)));
    assert_eq!(bob.receive(&firsts[&1]).unwrap(), b"kept back 1");
    assert_eq!(alice.receive(&bob.send(b"in that one")).unwrap(), b"in that one");
    assert!((1..7).all(|number| known(&bob, number)), "the one that became current was taken out of the list");
}
