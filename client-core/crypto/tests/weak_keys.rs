//! Keys of small order and keys of zeros, in every place where a key can stand; and what secrets look like when printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use data_encoding::HEXLOWER;
use hushwire_crypto::{
    BadBundle, BundleKey, DecryptError, KemPublicKey, KyberPreKey, KyberPreKeyPublic, NotContributory, OneTimePreKey,
    OneTimePreKeyPublic, PreKeyBundle, PreKeySignalMessage, PrivateKey, PublicKey, SignalMessage, SignedPreKey,
    SignedPreKeyPublic,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use support::{Device, Refused, acquainted, replaced};

mod support;

/// All u of small order on the curve and its twist: reduced, unreduced, and each with bit 255 set.
fn weak_keys() -> Vec<[u8; 32]> {
    let reduced = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let keys = reduced.map(|key| <[u8; 32]>::try_from(HEXLOWER.decode(key.as_bytes()).unwrap()).unwrap());
    let with_bit_255 = keys.map(|mut key| {
        key[31] |= 0x80;
        key
    });
    keys.into_iter().chain(with_bit_255).collect()
}

/// Spec: signal-wire §1.2.
#[test]
fn agreement_with_a_weak_key_is_refused() {
    let private = PrivateKey::generate(&mut StdRng::seed_from_u64(80));
    for key in weak_keys().into_iter().map(PublicKey::from_bytes) {
        assert_eq!(private.agree(&key).unwrap_err(), NotContributory);
        assert!(!key.is_contributory());
        assert!(!key.is_canonical());
    }
}

/// Spec: signal-wire §1.2.
#[test]
fn the_keys_we_make_are_canonical_and_their_other_writings_are_not() {
    let mut rng = StdRng::seed_from_u64(81);
    for _ in 0..32 {
        let key = PrivateKey::generate(&mut rng).public();
        assert!(key.is_canonical() && key.is_contributory());
        let mut other = *key.as_bytes();
        other[31] |= 0x80;
        assert!(!PublicKey::from_bytes(other).is_canonical());
    }
    // 9 + p and a point of the twist, u = 2.
    let mut unreduced = [0xFF; 32];
    (unreduced[0], unreduced[31]) = (0xED + 9, 0x7F);
    assert!(!PublicKey::from_bytes(unreduced).is_canonical());
    assert!(!PublicKey::from_bytes(std::array::from_fn(|place| if place == 0 { 2 } else { 0 })).is_canonical());
    assert!(PublicKey::from_bytes(std::array::from_fn(|place| if place == 0 { 9 } else { 0 })).is_canonical());
}

/// Spec: signal-wire §2.1.
#[test]
fn a_bundle_with_a_weak_key_anywhere_is_refused_by_name() {
    let bundle = Device::seeded(82).bundle();
    assert!(bundle.clone().verify().is_ok());
    for key in weak_keys().into_iter().map(PublicKey::from_bytes) {
        let identity = PreKeyBundle { identity: key, ..bundle.clone() };
        assert_eq!(identity.verify().unwrap_err(), BadBundle::Weak(BundleKey::Identity));
        let signed = PreKeyBundle { signed: SignedPreKeyPublic { key, ..bundle.signed.clone() }, ..bundle.clone() };
        assert_eq!(signed.verify().unwrap_err(), BadBundle::Weak(BundleKey::Signed));
        let one_time = PreKeyBundle { one_time: Some(OneTimePreKeyPublic { id: 1, key }), ..bundle.clone() };
        assert_eq!(one_time.verify().unwrap_err(), BadBundle::Weak(BundleKey::OneTime));
    }
    let mut zero = vec![0; KemPublicKey::BYTES];
    zero[0] = 0x08;
    let key = KemPublicKey::from_bytes(&zero).unwrap();
    let kyber = PreKeyBundle { kyber: KyberPreKeyPublic { key, ..bundle.kyber.clone() }, ..bundle };
    assert_eq!(kyber.verify().unwrap_err(), BadBundle::Weak(BundleKey::Kyber));
}

/// Spec: signal-wire §1.4, §2.1.
#[test]
fn a_weak_signed_prekey_is_refused_even_when_its_owner_signed_it() {
    let owner = Device::seeded(83);
    for key in weak_keys().into_iter().map(PublicKey::from_bytes) {
        let signature = owner.identity.sign(&[&key.to_pub33()], &mut StdRng::seed_from_u64(0));
        assert!(owner.identity.public().verify(&[&key.to_pub33()], &signature));
        let bundle = PreKeyBundle { signed: SignedPreKeyPublic { id: 1, key, signature }, ..owner.bundle() };
        assert_eq!(bundle.verify().unwrap_err(), BadBundle::Weak(BundleKey::Signed));
    }
}

/// Spec: signal-wire §1.2, §2.3, §2.4.
#[test]
fn a_first_message_with_a_weak_key_anywhere_is_refused() {
    let (mut alice, mut bob) = (Device::seeded(84), Device::seeded(85));
    alice.start(&bob);
    let message = alice.send(b"hello");
    let first = PreKeySignalMessage::parse(message.as_bytes()).unwrap();
    let before = bob.sessions.to_bytes();
    for key in weak_keys() {
        let with = |place: PublicKey| replaced(&message, place.as_bytes(), &key);
        assert_eq!(bob.receive(&with(first.base_key())), Err(Refused::Decrypt(DecryptError::BadBaseKey)));
        assert_eq!(bob.receive(&with(first.identity())), Err(Refused::Decrypt(DecryptError::Forged)));
        assert_eq!(bob.receive(&with(first.message().ratchet_key())), Err(Refused::Decrypt(DecryptError::Forged)));
    }
    assert_eq!(*bob.sessions.to_bytes(), *before);
    assert_eq!(bob.receive(&message).unwrap(), b"hello");
}

/// Spec: signal-wire §1.2, §3.6.
#[test]
fn a_message_with_a_weak_ratchet_key_is_refused() {
    let (mut alice, mut bob) = acquainted(86);
    let message = alice.send(b"on");
    let ratchet_key = SignalMessage::parse(message.as_bytes()).unwrap().ratchet_key();
    for key in weak_keys() {
        let altered = replaced(&message, ratchet_key.as_bytes(), &key);
        assert_eq!(bob.receive(&altered), Err(Refused::Decrypt(DecryptError::Forged)));
    }
    assert_eq!(bob.receive(&message).unwrap(), b"on");
}

/// Spec: signal-wire §2.1.
#[test]
fn prekeys_come_back_from_disk_as_they_were() {
    let device = Device::seeded(88);
    let one_time = device.one_time.as_ref().unwrap();
    assert_eq!(OneTimePreKey::from_bytes(&one_time.to_bytes()).unwrap().public(), one_time.public());
    assert_eq!(SignedPreKey::from_bytes(&device.signed.to_bytes()).unwrap().public(), device.signed.public());
    assert_eq!(KyberPreKey::from_bytes(&device.kyber.to_bytes()).unwrap().public(), device.kyber.public());
    let lengths = [one_time.to_bytes().len(), device.signed.to_bytes().len(), device.kyber.to_bytes().len()];
    assert_eq!(lengths, [37, 101, 3238]);
    assert!(OneTimePreKey::from_bytes(&device.signed.to_bytes()).is_err());
    assert!(SignedPreKey::from_bytes(&one_time.to_bytes()).is_err());
    assert!(KyberPreKey::from_bytes(&device.kyber.to_bytes()[..3237]).is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let (alice, mut bob) = acquainted(90);
    let public = alice.identity.public();
    let [a, b, c, d, ..] = *public.as_bytes();
    let short = format!("PublicKey({a:02x}{b:02x}{c:02x}{d:02x}…)");
    assert_eq!(format!("{public:?}"), short);
    assert_eq!(format!("{:?}", PrivateKey::from_bytes(&[7; 32])), "PrivateKey { .. }");
    assert_eq!(format!("{:?}", alice.identity), format!("IdentityKeyPair {{ public: {short}, .. }}"));
    assert_eq!(format!("{:?}", alice.one_time), "Some(OneTimePreKey { id: 3, .. })");
    assert_eq!(format!("{:?}", alice.signed), "SignedPreKey { id: 1, .. }");
    assert_eq!(format!("{:?}", alice.kyber), "KyberPreKey { id: 2, .. }");
    let message = bob.send(b"secret");
    let parsed = SignalMessage::parse(message.as_bytes()).unwrap();
    let mut rng = StdRng::seed_from_u64(0);
    let opened = alice.sessions.decrypt(&alice.local(), &parsed, &mut rng).unwrap();
    assert_eq!(
        format!("{opened:?}"),
        format!(
            "Opened {{ sessions: Sessions {{ current: Some(Session {{ base_key: {:?}, ratchet: DoubleRatchet {{ \
             sending: ChainKey {{ index: 0, .. }}, receiving: [ChainKey {{ index: 0, .. }}, ChainKey {{ index: 2, .. }}], \
             previous_counter: 0, .. }}, acknowledged: true, .. }}), archived: 0 }}, .. }}",
            base_key(&alice),
        )
    );
}

/// The base key of the only session, which begins its stored form behind the layout and the mark that it is there.
fn base_key(device: &Device) -> PublicKey {
    PublicKey::from_bytes(device.sessions.to_bytes()[2..34].try_into().unwrap())
}
