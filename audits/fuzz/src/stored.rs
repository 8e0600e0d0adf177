//! Sessions, sender keys and prekeys from a disk that is damaged, or that somebody has written to.
//!
//! The bytes are all of it, or changes to something that was good. What is read must be stored and read as the same, must
//! keep to its bound, and must be as good as any to go on with: nothing it does may stop us.
//!
//! Spec: signal-wire §8.2.

use std::sync::LazyLock;

use hushwire_crypto::limits::{STORED_SENDER_KEYS_BYTES_MAX, STORED_SESSIONS_BYTES_MAX};
use hushwire_crypto::{
    BadStored, DistributionId, KyberPreKey, OneTimePreKey, OurSenderKey, SenderKeyDistributionMessage,
    SenderKeyMessage, SenderKeys, Sessions, SignedPreKey,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

use crate::edit::edited;
use crate::forged::{Moment, moment};
use crate::input::Input;

/// The first byte says what is stored, and whether the rest is all of it.
pub fn stored(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(what) = input.byte() else { return };
    match what % 8 {
        0 => sessions(moment(&mut input), input.rest()),
        1..4 => {
            let Some(moment) = moment(&mut input) else { return };
            sessions(Some(moment), &edited(&moment.receiver.stored(), &mut input));
        }
        4 => sender_keys(input.rest()),
        5 => sender_keys(&edited(&group().keys.to_bytes(), &mut input)),
        6 => {
            our_sender_key(input.rest());
            our_sender_key(&edited(&group().ours.to_bytes(), &mut input));
        }
        _ => prekeys(input.rest()),
    }
}

fn sessions(moment: Option<&Moment>, bytes: &[u8]) {
    let Some(sessions) = read(bytes, STORED_SESSIONS_BYTES_MAX, Sessions::from_bytes, Sessions::to_bytes) else {
        return;
    };
    let Some(moment) = moment else { return };
    let (mut device, mut rng) = (moment.receiver.clone(), StdRng::seed_from_u64(1005));
    device.sessions = sessions;
    if let Ok(text) = device.receive(&moment.message, &mut rng) {
        assert_eq!(text, moment.text, "it opened to something else");
    }
    let mut peer = moment.sender.clone();
    for number in 0..2 {
        let text = [number; 5];
        if let Ok(message) = device.send(&text, &mut rng)
            && let Ok(opened) = peer.receive(&message, &mut rng)
        {
            assert_eq!(opened, text, "it opened to something else");
        }
        if let Ok(message) = peer.send(&text, &mut rng)
            && let Ok(opened) = device.receive(&message, &mut rng)
        {
            assert_eq!(opened, text, "it opened to something else");
        }
    }
    device.restart();
    device.sessions = device.sessions.archive_current();
    device.restart();
}

fn sender_keys(bytes: &[u8]) {
    let Some(keys) = read(bytes, STORED_SENDER_KEYS_BYTES_MAX, SenderKeys::from_bytes, SenderKeys::to_bytes) else {
        return;
    };
    let Group { told, message, text, .. } = group();
    let told_again = keys.accept(told).unwrap_or_else(|_| keys.clone());
    for keys in [keys, told_again] {
        if let Ok(opened) = keys.decrypt(message) {
            assert_eq!(*opened.plaintext, *text, "it opened to something else");
            assert!(opened.keys.to_bytes().len() <= STORED_SENDER_KEYS_BYTES_MAX);
        }
    }
}

fn our_sender_key(bytes: &[u8]) {
    let Some(key) = read(bytes, 89, OurSenderKey::from_bytes, OurSenderKey::to_bytes) else { return };
    let keys = SenderKeys::empty(key.distribution()).accept(&key.distribution_message()).expect("of this distribution");
    if let Ok(sealed) = key.encrypt(b"goes on", &mut StdRng::seed_from_u64(1006)) {
        let message = SenderKeyMessage::parse(&sealed.message).expect("what was sealed is read");
        assert_eq!(*keys.decrypt(&message).expect("what was sealed opens").plaintext, *b"goes on");
    }
}

fn prekeys(bytes: &[u8]) {
    if let Some(key) = read(bytes, 37, OneTimePreKey::from_bytes, OneTimePreKey::to_bytes) {
        assert_eq!(key.public().id, key.id());
    }
    if let Some(key) = read(bytes, 101, SignedPreKey::from_bytes, SignedPreKey::to_bytes) {
        assert_eq!(key.public().id, key.id());
    }
    if let Some(key) = read(bytes, 3238, KyberPreKey::from_bytes, KyberPreKey::to_bytes) {
        assert_eq!(key.public().id, key.id());
    }
}

/// What these bytes are, once it was found to be stored and read as the same, in at most so many bytes.
fn read<T>(
    bytes: &[u8],
    most: usize,
    read: impl Fn(&[u8]) -> Result<T, BadStored>,
    write: impl Fn(&T) -> Zeroizing<Vec<u8>>,
) -> Option<T> {
    let value = read(bytes).ok()?;
    let written = write(&value);
    assert!(written.len() <= most, "{} bytes, {most} are possible", written.len());
    let again = read(&written).expect("what was stored is read");
    assert_eq!(*write(&again), *written, "what was read is stored as it was");
    Some(again)
}

/// A member who has seen some messages of a sender, and has one to come.
struct Group {
    ours: OurSenderKey,
    told: SenderKeyDistributionMessage,
    keys: SenderKeys,
    message: SenderKeyMessage,
    text: Vec<u8>,
}

fn group() -> &'static Group {
    static GROUP: LazyLock<Group> = LazyLock::new(|| {
        let mut rng = StdRng::seed_from_u64(1007);
        let distribution = DistributionId::from_bytes([0xD1; 16]);
        let mut keys = SenderKeys::empty(distribution);
        for _ in 0..2 {
            let other = OurSenderKey::generate(distribution, &mut rng);
            keys = keys.accept(&other.distribution_message()).expect("of this distribution");
        }
        let mut ours = OurSenderKey::generate(distribution, &mut rng);
        let told = ours.distribution_message();
        keys = keys.accept(&told).expect("of this distribution");
        let mut sealed = (0..9).map(|number| {
            let sealed = ours.encrypt(&[number; 20], &mut rng).expect("a key that is not used up");
            ours = sealed.key;
            SenderKeyMessage::parse(&sealed.message).expect("what was sealed is read")
        });
        let [second, seventh] = [1, 4].map(|skip| sealed.nth(skip).expect("there are more"));
        let message = sealed.next().expect("there are more");
        drop(sealed);
        for message in [second, seventh] {
            keys = keys.decrypt(&message).expect("a message of the sender").keys;
        }
        Group { ours, told, keys, message, text: vec![7; 20] }
    });
    &GROUP
}
