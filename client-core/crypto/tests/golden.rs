//! What lies on people's disks: the bytes of every stored form, and that they still are what they were.
//!
//! Each line of `golden/*.txt` is a name and its parts in hex. Layout 1 is all there is; the files of a layout stay when
//! another comes. Nothing writes them anew: a difference wants a new layout, or is a mistake.
//!
//! Spec: signal-wire §8.2, §5.1, §5.2, §2.1.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use hushwire_crypto::{
    BadStored, CiphertextMessage, GroupDecryptError, IdentityKeyPair, KyberPreKey, OneTimePreKey, OurSenderKey,
    PreKeySignalMessage, SenderKeys, Sessions, SignedPreKey,
};

use support::Device;
use support::draws::Draws;
use support::group::{Member, Sender};
use support::layout::Layout;

mod support;

const SESSIONS: &str = include_str!("golden/sessions.txt");
const PREKEYS: &str = include_str!("golden/prekeys.txt");
const SENDER_KEYS: &str = include_str!("golden/sender_keys.txt");

const TEXT: &[u8] = b"from the other side, a layout ago";

type Parts = BTreeMap<&'static str, Vec<u8>>;

/// Of one file, each line's name and parts, in order.
struct Golden(Vec<(String, Parts)>);

impl Golden {
    fn read(text: &'static str) -> Golden {
        let line = |line: &'static str| {
            let (name, parts) = line.split_once(": ").unwrap();
            let parts = parts.split(' ').map(|part| {
                let (name, hex) = part.split_once('=').unwrap();
                (name, HEXLOWER.decode(hex.as_bytes()).unwrap())
            });
            (name.to_owned(), parts.collect())
        };
        Golden(text.lines().map(line).collect())
    }

    fn add(&mut self, name: impl Into<String>, parts: impl IntoIterator<Item = (&'static str, Vec<u8>)>) {
        self.0.push((name.into(), parts.into_iter().collect()));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, parts) in &self.0 {
            let parts: Vec<String> =
                parts.iter().map(|(name, part)| format!("{name}={}", HEXLOWER.encode(part))).collect();
            writeln!(text, "{name}: {}", parts.join(" ")).unwrap();
        }
        text
    }
}

/// Someone's sessions, and a message to them that has not come yet.
fn session(device: &Device, message: &CiphertextMessage) -> [(&'static str, Vec<u8>); 3] {
    let identity = device.identity.to_bytes().to_vec();
    [("identity", identity), ("stored", device.sessions.to_bytes().to_vec()), ("message", message.as_bytes().to_vec())]
}

/// Sessions in each state that they may be in, as today's code makes them from a seed.
fn sessions() -> Golden {
    let mut golden = Golden(Vec::new());
    let (mut alice, mut bob) = (Device::seeded(1), Device::seeded(2));
    alice.start(&bob);
    bob.receive(&alice.send(b"hello")).unwrap();
    golden.add("not answered", session(&alice, &bob.would_send(TEXT)));
    golden.add("answering", session(&bob, &alice.would_send(TEXT)));

    let (mut carol, mut dave) = (Device::seeded(3), Device::seeded(4));
    dave.one_time = None;
    carol.start(&dave);
    dave.receive(&carol.send(b"hello")).unwrap();
    golden.add("not answered, without a one-time prekey", session(&carol, &dave.would_send(TEXT)));

    // One message is late since before a turn, two are lost behind it, and two sessions come after that one.
    let late = alice.send(TEXT);
    bob.receive(&alice.send(b"told")).unwrap();
    alice.receive(&bob.send(b"heard")).unwrap();
    (0..2).for_each(|_| drop(alice.send(b"lost")));
    bob.receive(&alice.send(b"told")).unwrap();
    for _ in 0..2 {
        alice.start(&bob);
        bob.receive(&alice.send(b"begun anew")).unwrap();
    }
    golden.add("skipped messages in a session before", session(&bob, &late));

    // A bad line, until each state of the post-quantum exchange was seen at one side or the other.
    let (mut sides, mut line, mut seen) = ([carol, dave], Draws(7), BTreeMap::new());
    while seen.len() < 11 {
        for side in [0, 1] {
            let message = sides[side].send(b"on the line");
            if line.byte() < 100 {
                continue;
            }
            sides[1 - side].receive(&message).unwrap();
            for side in [0, 1] {
                let state = Layout::of(&sides[side].sessions.to_bytes()).state;
                seen.entry(state).or_insert_with(|| session(&sides[side], &sides[1 - side].would_send(TEXT)));
            }
        }
    }
    seen.into_iter().for_each(|(state, parts)| golden.add(format!("exchange in state {state}"), parts));
    golden
}

/// The prekeys of a device, and a first message to them.
fn prekeys() -> Golden {
    let (mut alice, bob) = (Device::seeded(1), Device::seeded(2));
    alice.start(&bob);
    let one_time = bob.one_time.as_ref().unwrap().to_bytes().to_vec();
    let mut golden = Golden(Vec::new());
    golden.add("one-time", [("stored", one_time)]);
    golden.add("signed", [("stored", bob.signed.to_bytes().to_vec())]);
    golden.add("Kyber", [("stored", bob.kyber.to_bytes().to_vec())]);
    golden.add(
        "first",
        [("identity", bob.identity.to_bytes().to_vec()), ("message", alice.would_send(TEXT).as_bytes().to_vec())],
    );
    golden
}

/// A sender's key, what a member has of two keys of that sender, and messages that did not come yet.
fn sender_keys() -> Golden {
    let (mut before, mut sender) = (Sender::seeded(1), Sender::seeded(2));
    let mut member = Member::told(&before);
    member.0 = member.0.accept(&sender.tell()).unwrap();
    member.receive(&before.send(b"under the key before")).unwrap();
    let late = sender.send(TEXT);
    sender.send(b"lost");
    member.receive(&sender.send(b"told")).unwrap();
    let mut golden = Golden(Vec::new());
    golden.add("ours", [("stored", sender.key.to_bytes().to_vec())]);
    golden.add(
        "theirs",
        [
            ("stored", member.0.to_bytes().to_vec()),
            ("late", late),
            ("next", sender.send(TEXT)),
            ("before", before.send(TEXT)),
        ],
    );
    golden
}

#[test]
fn stored_forms_are_these_bytes() {
    for (today, recorded) in [(sessions(), SESSIONS), (prekeys(), PREKEYS), (sender_keys(), SENDER_KEYS)] {
        assert!(today.text() == recorded, "what is stored changed; of today:\n{}", today.text());
    }
}

#[test]
fn sessions_stored_in_each_state_open_what_comes_and_can_be_sent_in() {
    let mut states = BTreeSet::new();
    for (name, parts) in Golden::read(SESSIONS).0 {
        let sessions = Sessions::from_bytes(&parts["stored"]).unwrap();
        assert_eq!(*sessions.to_bytes(), parts["stored"], "{name}");
        states.insert(Layout::of(&parts["stored"]).state);

        let mut device = Device::seeded(9);
        device.identity = IdentityKeyPair::from_bytes(parts["identity"].as_slice().try_into().unwrap());
        device.sessions = sessions;
        let is_first = PreKeySignalMessage::parse(&parts["message"]).is_ok();
        let message = parts["message"].clone();
        let message = if is_first { CiphertextMessage::PreKey(message) } else { CiphertextMessage::Signal(message) };
        assert_eq!(device.receive(&message).unwrap(), TEXT, "{name}");
        assert!(device.receive(&message).is_err(), "{name}");
        assert!(device.try_send(b"an answer").is_ok(), "{name}");
    }
    assert_eq!(states, (1..=11).collect());
}

#[test]
fn stored_prekeys_open_the_first_message_that_was_made_for_them() {
    let prekeys: BTreeMap<String, Parts> = Golden::read(PREKEYS).0.into_iter().collect();
    let stored = |name: &str| prekeys[name]["stored"].as_slice();
    let one_time = OneTimePreKey::from_bytes(stored("one-time")).unwrap();
    let signed = SignedPreKey::from_bytes(stored("signed")).unwrap();
    let kyber = KyberPreKey::from_bytes(stored("Kyber")).unwrap();
    assert_eq!(*one_time.to_bytes(), stored("one-time"));
    assert_eq!(*signed.to_bytes(), stored("signed"));
    assert_eq!(*kyber.to_bytes(), stored("Kyber"));

    let mut bob = Device::seeded(9);
    bob.identity = IdentityKeyPair::from_bytes(prekeys["first"]["identity"].as_slice().try_into().unwrap());
    (bob.one_time, bob.signed, bob.kyber) = (Some(one_time), signed, kyber);
    let message = CiphertextMessage::PreKey(prekeys["first"]["message"].clone());
    assert_eq!(bob.receive(&message).unwrap(), TEXT);
}

#[test]
fn stored_sender_keys_open_what_comes_late_and_what_comes_next() {
    let keys: BTreeMap<String, Parts> = Golden::read(SENDER_KEYS).0.into_iter().collect();
    let theirs = &keys["theirs"];
    let mut member = Member(SenderKeys::from_bytes(&theirs["stored"]).unwrap());
    assert_eq!(*member.0.to_bytes(), theirs["stored"]);
    for message in ["next", "late", "before"] {
        assert_eq!(member.receive(&theirs[message]).unwrap(), TEXT);
        assert_eq!(member.receive(&theirs[message]), Err(GroupDecryptError::Repeated));
    }
    let ours = &keys["ours"]["stored"];
    let mut sender = Sender::seeded(9);
    sender.key = OurSenderKey::from_bytes(ours).unwrap();
    assert_eq!(*sender.key.to_bytes(), *ours);
    sender.send(b"the one that came next");
    assert_eq!(member.receive(&sender.send(TEXT)).unwrap(), TEXT);
}

#[test]
fn a_later_layout_is_told_from_damage() {
    let first = |text: &'static str| Golden::read(text).0.remove(0).1.remove("stored").unwrap();
    let prekeys: Vec<Vec<u8>> =
        Golden::read(PREKEYS).0.iter().filter_map(|(_, parts)| parts.get("stored").cloned()).collect();
    let theirs = Golden::read(SENDER_KEYS).0.remove(1).1.remove("stored").unwrap();
    let refusals = |layout: u8| {
        let other = |stored: &[u8]| [&[layout], &stored[1..]].concat();
        [
            Sessions::from_bytes(&other(&first(SESSIONS))).err(),
            OneTimePreKey::from_bytes(&other(&prekeys[0])).err(),
            SignedPreKey::from_bytes(&other(&prekeys[1])).err(),
            KyberPreKey::from_bytes(&other(&prekeys[2])).err(),
            OurSenderKey::from_bytes(&other(&first(SENDER_KEYS))).err(),
            SenderKeys::from_bytes(&other(&theirs)).err(),
        ]
    };
    for layout in [0, 2, 255] {
        assert_eq!(refusals(layout), [Some(BadStored::Layout(layout)); 6]);
    }
    assert_eq!(refusals(1), [None; 6]);
    assert_eq!(Sessions::from_bytes(&[1, 2]).err(), Some(BadStored::Damaged));
}
