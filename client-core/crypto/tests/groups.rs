//! Groups: any order, loss and repeat of messages and of keys.
//!
//! Vectors are replayed inside the crate, in `sender_key::tests`. Spec: signal-wire §5.1, §5.2, §5.3.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use hushwire_crypto::{GroupDecryptError, OurSenderKey, SenderKeyDistributionMessage, SenderKeyMessage, SenderKeys};
use proptest::prelude::*;

use support::group::{DISTRIBUTION, Member, Sender};

mod support;

#[derive(Debug, Clone)]
enum Step {
    Send,
    /// The sender begins a new chain, and the member hears of it now or never.
    Rekey {
        heard: bool,
    },
    /// The member is told a chain again, as it was when it was told first or as it is now.
    TellAgain {
        pick: usize,
    },
    Deliver {
        pick: usize,
    },
    DeliverAltered {
        pick: usize,
        bit: usize,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Send),
        1 => any::<bool>().prop_map(|heard| Step::Rekey { heard }),
        1 => any::<usize>().prop_map(|pick| Step::TellAgain { pick }),
        8 => any::<usize>().prop_map(|pick| Step::Deliver { pick }),
        2 => (any::<usize>(), any::<usize>()).prop_map(|(pick, bit)| Step::DeliverAltered { pick, bit }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

/// What the member must hold by the rules of the spec: the names of chains, newest first, and what was opened.
struct Model {
    sender: Sender,
    member: Member,
    chain: usize,
    /// What tells each chain from its beginning.
    beginnings: Vec<SenderKeyDistributionMessage>,
    sent: Vec<(usize, Vec<u8>, Vec<u8>)>,
    held: Vec<usize>,
    opened: BTreeSet<usize>,
}

impl Model {
    fn new(seed: u64) -> Model {
        let sender = Sender::seeded(seed);
        let (member, beginnings) = (Member::told(&sender), vec![sender.tell()]);
        let (sent, held, opened) = (Vec::new(), vec![0], BTreeSet::new());
        Model { sender, member, chain: 0, beginnings, sent, held, opened }
    }

    fn tell(&mut self, chain: usize) {
        self.member.0 = self.member.0.accept(&self.beginnings[chain]).unwrap();
        let forgotten = !self.held.contains(&chain);
        self.held.retain(|held| *held != chain);
        self.held.insert(0, chain);
        self.held.truncate(5);
        if forgotten {
            // Told from the beginning once more, so all of it opens once more.
            self.opened.retain(|number| self.sent[*number].0 != chain);
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Send => {
                let text = self.sent.len().to_string().into_bytes();
                self.sent.push((self.chain, self.sender.send(&text), text));
            }
            Step::Rekey { heard } => {
                self.sender.key = OurSenderKey::generate(DISTRIBUTION, &mut self.sender.rng);
                self.beginnings.push(self.sender.tell());
                self.chain += 1;
                if heard {
                    self.tell(self.chain);
                }
            }
            Step::TellAgain { pick } => self.tell(pick % self.beginnings.len()),
            Step::Deliver { pick } => {
                if let Some(number) = pick.checked_rem(self.sent.len()) {
                    self.deliver(number);
                }
            }
            Step::DeliverAltered { pick, bit } => {
                if let Some(number) = pick.checked_rem(self.sent.len()) {
                    self.deliver_altered(number, bit);
                }
            }
            Step::Restart => self.member.restart(),
        }
    }

    fn deliver(&mut self, number: usize) {
        let (chain, message, text) = &self.sent[number];
        let before = self.member.0.to_bytes();
        let result = self.member.receive(message);
        if !self.held.contains(chain) {
            assert_eq!(result, Err(GroupDecryptError::NoSenderKey));
            assert_eq!(*self.member.0.to_bytes(), *before);
        } else if self.opened.insert(number) {
            assert_eq!(result, Ok(text.clone()));
        } else {
            assert_eq!(result, Err(GroupDecryptError::Repeated));
            assert_eq!(*self.member.0.to_bytes(), *before, "a refused message left a trace");
        }
    }

    fn deliver_altered(&mut self, number: usize, bit: usize) {
        let mut altered = self.sent[number].1.clone();
        let bit = bit % (altered.len() * 8);
        altered[bit / 8] ^= 1 << (bit % 8);
        let before = self.member.0.to_bytes();
        if let Ok(altered) = SenderKeyMessage::parse(&altered) {
            assert!(self.member.0.decrypt(&altered).is_err());
        }
        assert_eq!(*self.member.0.to_bytes(), *before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_each_group_message_opens_once_and_a_failure_changes_nothing(
        seed in 0..1000_u64,
        steps in steps(),
    ) {
        let mut model = Model::new(seed);
        steps.iter().for_each(|step| model.apply(step));
        (0..model.sent.len()).for_each(|number| model.deliver(number));
        (0..model.sent.len()).rev().for_each(|number| model.deliver(number));
    }

    #[test]
    fn bytes_from_anywhere_are_refused_quietly_by_groups(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let versioned = [&[0x33], bytes.as_slice()].concat();
        for bytes in [&bytes, &versioned] {
            let _ = SenderKeyMessage::parse(bytes);
            let _ = SenderKeyDistributionMessage::parse(bytes);
        }
        let stored = [&[1], bytes.as_slice()].concat();
        for bytes in [&bytes, &stored] {
            let _ = SenderKeys::from_bytes(bytes);
            let _ = OurSenderKey::from_bytes(bytes);
        }
    }
}

/// Spec: signal-wire §5.3.
#[test]
fn no_bit_of_a_group_message_can_be_changed_and_none_cut_off() {
    let mut sender = Sender::seeded(1);
    let mut member = Member::told(&sender);
    let message = sender.send(b"whole");
    let refused =
        |bytes: &[u8]| SenderKeyMessage::parse(bytes).map_or(true, |message| member.0.decrypt(&message).is_err());
    for bit in 0..message.len() * 8 {
        let mut bytes = message.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&bytes), "bit {bit}");
    }
    assert!((0..message.len()).all(|length| refused(&message[..length])));
    assert_eq!(member.receive(&message).unwrap(), b"whole");
}
