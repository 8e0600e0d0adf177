//! Messages, keys, service ids and codes to scan, each by its reader: what is read is written and read as the same.
//!
//! Some have no writer of their own, because a message is never written again; for these `mirror` reads and writes.
//!
//! Spec: signal-wire §1.2, §1.3, §1.5, §3.3, §3.4, §5.2, §5.3, §7, §8.1.

use std::fmt::Debug;
use std::sync::LazyLock;

use hushwire_crypto::fingerprint::{Fingerprint, Party};
use hushwire_crypto::{
    DecryptionErrorMessage, KemCiphertext, KemPublicKey, KemSecretKey, PlaintextContent, PreKeySignalMessage,
    PublicKey, SenderKeyDistributionMessage, SenderKeyMessage, ServiceId, SignalMessage,
};

use crate::mirror::{self, First, Signal, ToGroup};

/// The first byte says what the others are.
pub fn messages(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 12 {
        0 => signal(bytes),
        1 => first(bytes),
        2 => to_group(bytes),
        3 => told(bytes),
        4 => again(bytes, DecryptionErrorMessage::parse, DecryptionErrorMessage::to_bytes),
        5 => again(bytes, PlaintextContent::parse, PlaintextContent::to_bytes),
        6 => service_id(bytes),
        7 => code(bytes),
        8 => again(bytes, PublicKey::from_pub33, PublicKey::to_pub33),
        9 => again(bytes, KemPublicKey::from_bytes, KemPublicKey::to_bytes),
        10 => again(bytes, KemCiphertext::from_bytes, KemCiphertext::to_bytes),
        _ => secret_key(bytes),
    }
}

fn again<M: PartialEq + Debug, E: Debug, B: AsRef<[u8]>>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Result<M, E>,
    write: impl Fn(&M) -> B,
) {
    if let Ok(value) = read(bytes) {
        assert_eq!(read(write(&value).as_ref()).expect("what was written is read"), value);
    }
}

fn signal(bytes: &[u8]) {
    let Ok(message) = SignalMessage::parse(bytes) else { return };
    let (version, fields, mac): (_, Signal, _) = mirror::read(bytes, 8).expect("what one reads the other does");
    assert_eq!(fields.ratchet_key.as_deref().map(|key| &key[..33]), Some(&message.ratchet_key().to_pub33()[..]));
    assert_eq!(fields.counter, Some(message.counter()));
    let shortest = SignalMessage::parse(&mirror::write(version, &fields, mac)).expect("the same in other bytes");
    assert_eq!((shortest.ratchet_key(), shortest.counter()), (message.ratchet_key(), message.counter()));
}

fn first(bytes: &[u8]) {
    let Ok(message) = PreKeySignalMessage::parse(bytes) else { return };
    let (version, fields, tail): (_, First, _) = mirror::read(bytes, 0).expect("what one reads the other does");
    assert_eq!(fields.one_time_id, message.one_time_id());
    assert_eq!((fields.signed_id, fields.kyber_id), (Some(message.signed_id()), Some(message.kyber_id())));
    assert_eq!(fields.registration_id.unwrap_or_default(), message.registration_id());
    assert_eq!(fields.base_key.as_deref().map(|key| &key[..33]), Some(&message.base_key().to_pub33()[..]));
    assert_eq!(fields.identity.as_deref().map(|key| &key[..33]), Some(&message.identity().to_pub33()[..]));
    let inside = SignalMessage::parse(fields.message.as_deref().unwrap()).expect("the message inside by itself");
    assert_eq!(inside, *message.message());
    let shortest = PreKeySignalMessage::parse(&mirror::write(version, &fields, tail)).expect("the same in other bytes");
    assert_eq!(shortest, message);
    for error in [
        DecryptionErrorMessage::for_first(&message, u64::MAX, u32::MAX),
        DecryptionErrorMessage::for_signal(&inside, 0, 0),
    ] {
        assert_eq!(error.ratchet_key, Some(inside.ratchet_key()));
        assert_eq!(DecryptionErrorMessage::parse(&error.to_bytes()), Ok(error));
    }
}

fn to_group(bytes: &[u8]) {
    let Ok(message) = SenderKeyMessage::parse(bytes) else { return };
    let (version, fields, signature): (_, ToGroup, _) = mirror::read(bytes, 64).expect("what one reads the other does");
    assert_eq!(fields.distribution.as_deref(), Some(&message.distribution().as_bytes()[..]));
    assert_eq!(fields.iteration, Some(message.iteration()));
    let shortest =
        SenderKeyMessage::parse(&mirror::write(version, &fields, signature)).expect("the same in other bytes");
    assert_eq!((shortest.distribution(), shortest.iteration()), (message.distribution(), message.iteration()));
}

fn told(bytes: &[u8]) {
    let Ok(message) = SenderKeyDistributionMessage::parse(bytes) else { return };
    let written = message.to_bytes();
    let read = SenderKeyDistributionMessage::parse(&written).expect("what was written is read");
    assert_eq!((read.distribution(), read.iteration()), (message.distribution(), message.iteration()));
    assert_eq!(*read.to_bytes(), *written);
}

fn service_id(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| ServiceId::parse(text).ok());
    let fixed = bytes.try_into().ok().and_then(|bytes| ServiceId::from_fixed(bytes).ok());
    for id in [text, fixed, ServiceId::from_binary(bytes).ok()].into_iter().flatten() {
        assert_eq!(ServiceId::parse(&id.to_string()), Ok(id));
        assert_eq!(ServiceId::from_fixed(&id.to_fixed()), Ok(id));
        assert_eq!(ServiceId::from_binary(&id.to_binary()), Ok(id));
        let devices = (0..=u8::MAX).filter_map(|device| id.address(device));
        assert_eq!(devices.count(), 127);
    }
}

/// A code is of the same two only if it has their two hashes.
fn code(bytes: &[u8]) {
    static OURS: LazyLock<Fingerprint> = LazyLock::new(|| {
        let [ours, theirs] = [1, 2].map(|byte| PublicKey::from_bytes([byte; 32]));
        Fingerprint::new(Party { id: b"ours", key: &ours }, Party { id: b"theirs", key: &theirs })
    });
    if OURS.compare(bytes) == Ok(true) {
        let ours = OURS.scannable();
        let [our_hash, their_hash] = [6..38, 42..74].map(|place| ours[place].to_vec());
        for hash in [our_hash, their_hash] {
            assert!(bytes.windows(32).any(|window| window == hash), "another code passed for theirs");
        }
    }
}

/// Any bytes of the right length are a key, if a useless one.
fn secret_key(bytes: &[u8]) {
    if let Ok(secret) = KemSecretKey::from_bytes(bytes) {
        assert_eq!(*secret.to_bytes(), *bytes);
        assert_eq!(secret.public().to_bytes().len(), KemPublicKey::BYTES);
    }
}
