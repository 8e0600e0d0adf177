//! A session begun over keyservers and lines that change whatever they like, with peers who sign whatever they like.
//!
//! Spec: signal-wire §2.1 to §2.4, §3.4.

use hushwire_crypto::{
    CiphertextMessage, KemPublicKey, KyberPreKey, OneTimePreKey, PreKeyBundle, PublicKey, SignedPreKey,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::device::{Device, NOW_MS, people};
use crate::edit::{edited, edited_array};
use crate::input::Input;
use crate::mirror::{self, First};

const TEXT: &[u8] = b"what was said";

/// The first byte says who does harm: the keyserver, the line, or the peer.
pub fn handshake(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(who) = input.byte() else { return };
    let mut rng = StdRng::seed_from_u64(1002);
    match who % 3 {
        0 => keyserver(&mut input, &mut rng),
        1 => line(&mut input, &mut rng),
        _ => peer(&mut input, &mut rng),
    }
}

/// Signatures hold a bundle together: what verifies has the owner's keys, but for the one-time key, which nobody signs.
fn keyserver(input: &mut Input<'_>, rng: &mut StdRng) {
    let [alice, bob] = people();
    let honest = bob.bundle(bob.one_time.first());
    let told = altered(honest.clone(), input);
    let Ok(verified) = told.clone().verify() else {
        return assert_ne!(told, honest, "an honest bundle verifies");
    };
    assert_eq!((&told.signed.key, &told.kyber.key), (&honest.signed.key, &honest.kyber.key), "another's key verified");
    assert_eq!(without_sign(told.identity), without_sign(honest.identity), "another's identity verified");
    let mut alice = alice;
    if let Ok(sessions) = alice.sessions.start(&alice.local(), &verified, NOW_MS, rng) {
        alice.sessions = sessions;
        let same = PreKeyBundle { registration_id: honest.registration_id, device_id: 1, ..told.clone() };
        let same = same.signed.id == honest.signed.id
            && same.kyber.id == honest.kyber.id
            && (&same.one_time, same.identity) == (&honest.one_time, honest.identity);
        assert_heard(alice, bob, same, rng);
    }
}

/// What is around a first message may be another, and all the same only what was said is read.
fn line(input: &mut Input<'_>, rng: &mut StdRng) {
    let [mut alice, mut bob] = people();
    let one_time = bob.one_time.first().filter(|_| input.byte().unwrap_or_default() & 1 == 0);
    alice.start(bob.bundle(one_time), rng);
    let message = alice.send(TEXT, rng).expect("a session sends");
    let honest = bob.clone();
    let by_field = input.byte().unwrap_or_default();
    let altered = match mirror::read(message.as_bytes(), 0) {
        Some((version, fields, tail)) if by_field & 1 == 1 => mirror::write(version, &field(fields, input), tail),
        _ => edited(message.as_bytes(), input),
    };
    let before = bob.stored();
    match bob.receive(&CiphertextMessage::PreKey(altered), rng) {
        Ok(text) => assert_eq!(text, TEXT, "a first message opened to something else"),
        Err(_) => assert_eq!(*bob.stored(), *before, "a refused message left a trace"),
    }
    let mut bob = honest;
    assert_eq!(bob.receive(&message, rng).as_deref(), Ok(TEXT), "the true message opens");
}

/// Signs whatever keys it likes, and answers with whatever it likes: that is no reason to stop.
fn peer(input: &mut Input<'_>, rng: &mut StdRng) {
    let [alice, mut bob] = people();
    let key = PublicKey::from_bytes(edited_array(*bob.signed.public().key.as_bytes(), input));
    let kyber = KemPublicKey::from_bytes(&edited(&bob.kyber.public().key.to_bytes(), input));
    let Ok(kyber) = kyber else { return };
    let honest = bob.bundle(bob.one_time.first());
    let mut told = honest.clone();
    told.signed.signature = bob.identity.sign(&[&key.to_pub33()], rng);
    told.kyber.signature = bob.identity.sign(&[&kyber.to_bytes()], rng);
    (told.signed.key, told.kyber.key) = (key, kyber);
    let same = told.signed.key == honest.signed.key && told.kyber.key == honest.kyber.key;
    let Ok(verified) = told.verify() else { return };
    let mut alice = alice;
    alice.sessions = alice.sessions.start(&alice.local(), &verified, NOW_MS, rng).expect("verified keys agree");
    // And the disk it keeps its prekeys on is no better.
    if let Ok(kyber) = KyberPreKey::from_bytes(&edited(&bob.kyber.to_bytes(), input)) {
        let stays = *kyber.to_bytes() == *bob.kyber.to_bytes();
        bob.kyber = kyber;
        return assert_heard(alice, bob, same && stays, rng);
    }
    if let Ok(signed) = SignedPreKey::from_bytes(&edited(&bob.signed.to_bytes(), input)) {
        bob.signed = signed;
    }
    if let Ok(one_time) = OneTimePreKey::from_bytes(&edited(&bob.one_time[0].to_bytes(), input)) {
        bob.one_time = vec![one_time];
    }
    assert_heard(alice, bob, false, rng);
}

/// Alice speaks and Bob hears it, or nothing; it must be heard if nothing was changed.
fn assert_heard(mut alice: Device, mut bob: Device, must: bool, rng: &mut StdRng) {
    let message = alice.send(TEXT, rng).expect("a session sends");
    match bob.receive(&message, rng) {
        Ok(text) => assert_eq!(text, TEXT, "it opened to something else"),
        Err(why) => assert!(!must, "an honest first message did not open: {why:?}"),
    }
    alice.restart();
    bob.restart();
}

fn altered(mut bundle: PreKeyBundle, input: &mut Input<'_>) -> PreKeyBundle {
    let what = input.byte().unwrap_or_default();
    if what & 1 != 0 {
        bundle.identity = PublicKey::from_bytes(edited_array(*bundle.identity.as_bytes(), input));
    }
    if what & 2 != 0 {
        bundle.signed.key = PublicKey::from_bytes(edited_array(*bundle.signed.key.as_bytes(), input));
        bundle.signed.id = input.byte().unwrap_or_default().into();
    }
    if what & 4 != 0 {
        bundle.signed.signature = edited_array(bundle.signed.signature, input);
    }
    if what & 8 != 0 {
        let kyber = KemPublicKey::from_bytes(&edited(&bundle.kyber.key.to_bytes(), input));
        bundle.kyber.key = kyber.unwrap_or(bundle.kyber.key);
        bundle.kyber.id = input.byte().unwrap_or_default().into();
    }
    if what & 16 != 0 {
        bundle.kyber.signature = edited_array(bundle.kyber.signature, input);
    }
    if what & 32 != 0
        && let Some(one_time) = &mut bundle.one_time
    {
        one_time.key = PublicKey::from_bytes(edited_array(*one_time.key.as_bytes(), input));
        one_time.id = input.byte().unwrap_or_default().into();
    }
    if what & 64 != 0 {
        bundle.one_time = None;
    }
    if what & 128 != 0 {
        bundle.device_id = input.byte().unwrap_or_default();
    }
    bundle
}

fn field(mut first: First, input: &mut Input<'_>) -> First {
    let id = |input: &mut Input<'_>| input.byte().filter(|id| *id != u8::MAX).map(u32::from);
    let bytes = |field: Option<Vec<u8>>, input: &mut Input<'_>| match input.byte()? % 4 {
        0 => None,
        1 => Some(Vec::new()),
        _ => field.map(|field| edited(&field, input)),
    };
    match input.byte().unwrap_or_default() % 8 {
        0 => first.one_time_id = id(input),
        1 => first.signed_id = id(input),
        2 => first.kyber_id = id(input),
        3 => first.registration_id = id(input),
        4 => first.base_key = bytes(first.base_key, input),
        5 => first.identity = bytes(first.identity, input),
        6 => first.kyber_ciphertext = bytes(first.kyber_ciphertext, input),
        _ => first.message = bytes(first.message, input),
    }
    first
}

/// Without the bit that no arithmetic sees. Spec: signal-wire §1.2.
fn without_sign(key: PublicKey) -> [u8; 32] {
    let mut bytes = *key.as_bytes();
    bytes[31] &= 0x7F;
    bytes
}
