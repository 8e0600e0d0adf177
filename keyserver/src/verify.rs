//! What is checked before it is stored. Pure: bytes in, a proof or the fault out.
//!
//! Spec: keyserver §3, §4; signal-wire §2.1.

use hushwire_crypto::curve::PublicKey;
use hushwire_crypto::kem::KemPublicKey;
use hushwire_proto::account::{BadChain, Chain, SignedLink};
use hushwire_proto::address::{Handle, Host, ServerAddress};
use hushwire_proto::auth::SignatureBytes;
use hushwire_proto::keyserver::{CURVE_KEY_LEN, Publish, SignedCurveKey, SignedKyberKey};

/// Prekeys that verify under the identity key of the device that publishes them. Only [`publication`] makes one.
#[derive(Debug)]
pub(crate) struct VerifiedPublish(Publish);

impl VerifiedPublish {
    pub(crate) fn into_inner(self) -> Publish {
        self.0
    }
}

/// What is wrong with published keys. Their owner must make others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadKeys {
    #[error("the identity key is no usable Curve25519 key")]
    Identity,
    #[error("the {kind} {id} is no usable key")]
    Weak { kind: &'static str, id: u32 },
    #[error("the {kind} {id} is not signed by the identity key")]
    Signature { kind: &'static str, id: u32 },
    #[error("the id {id} stands twice among the {kind}s")]
    Twice { kind: &'static str, id: u32 },
    #[error("the {kind} {id} was published before with another key")]
    Replaced { kind: &'static str, id: u32 },
}

/// What the kinds of prekeys are called in a refusal.
pub(crate) const SIGNED: &str = "signed prekey";
pub(crate) const LAST_RESORT: &str = "last-resort Kyber prekey";
pub(crate) const ONE_TIME: &str = "one-time prekey";
pub(crate) const ONE_TIME_KYBER: &str = "one-time Kyber prekey";

/// Checks every key and every signature. A signature covers the key with its type byte; one-time Curve25519 prekeys
/// have none.
pub(crate) fn publication(publish: Publish, identity: &[u8; CURVE_KEY_LEN]) -> Result<VerifiedPublish, BadKeys> {
    let identity = curve(identity).ok_or(BadKeys::Identity)?;
    if let Some(key) = &publish.signed_prekey {
        signed_curve(&identity, key)?;
    }
    if let Some(key) = &publish.last_resort_kyber {
        signed_kyber(&identity, LAST_RESORT, key)?;
    }
    unique(ONE_TIME, publish.one_time.iter().map(|key| key.id))?;
    unique(ONE_TIME_KYBER, publish.one_time_kyber.iter().map(|key| key.id))?;
    for key in &publish.one_time {
        curve(&key.key).ok_or(BadKeys::Weak { kind: ONE_TIME, id: key.id })?;
    }
    for key in &publish.one_time_kyber {
        signed_kyber(&identity, ONE_TIME_KYBER, key)?;
    }
    Ok(VerifiedPublish(publish))
}

/// The chain, if every hash and signature in it is right and every identity key is one that an honest device has.
pub(crate) fn chain(links: Vec<SignedLink>) -> Result<Chain, BadChain> {
    Chain::verify(links, vouches)
}

/// Whether this is the one writing of the local part of a handle.
pub(crate) fn is_handle_name(name: &str) -> bool {
    let anywhere = ServerAddress::new(Host::Domain(String::new()), 1);
    Handle::new(name, anywhere).is_ok_and(|handle| handle.name() == name)
}

/// Under a key of small order anything verifies, so such a key vouches for nothing.
pub(crate) fn vouches(identity: &[u8; CURVE_KEY_LEN], message: &[u8], signature: &SignatureBytes) -> bool {
    curve(identity).is_some_and(|key| key.verify(&[message], signature))
}

/// A key that an honest generator makes, and that agreement gives a secret with.
fn curve(key: &[u8; CURVE_KEY_LEN]) -> Option<PublicKey> {
    PublicKey::from_pub33(key).ok().filter(|key| key.is_canonical() && key.is_contributory())
}

fn signed_curve(identity: &PublicKey, key: &SignedCurveKey) -> Result<(), BadKeys> {
    let id = key.id;
    curve(&key.key).ok_or(BadKeys::Weak { kind: SIGNED, id })?;
    match identity.verify(&[&key.key], &key.signature) {
        true => Ok(()),
        false => Err(BadKeys::Signature { kind: SIGNED, id }),
    }
}

fn signed_kyber(identity: &PublicKey, kind: &'static str, key: &SignedKyberKey) -> Result<(), BadKeys> {
    let id = key.id;
    let is_zero = key.key.iter().skip(1).all(|byte| *byte == 0);
    if is_zero || KemPublicKey::from_bytes(&key.key).is_err() {
        return Err(BadKeys::Weak { kind, id });
    }
    match identity.verify(&[&key.key], &key.signature) {
        true => Ok(()),
        false => Err(BadKeys::Signature { kind, id }),
    }
}

fn unique(kind: &'static str, ids: impl Iterator<Item = u32>) -> Result<(), BadKeys> {
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    let mut before = None;
    for id in ids {
        if before == Some(id) {
            return Err(BadKeys::Twice { kind, id });
        }
        before = Some(id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_crypto::curve::IdentityKeyPair;
    use hushwire_crypto::prekey::{KyberPreKey, OneTimePreKey, SignedPreKey};
    use hushwire_proto::keyserver::CurveKey;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// Curve25519 keys of small order, and writings of them: 0, 1, a point of order 8, p - 1, p, p + 1.
    fn small_order() -> Vec<[u8; CURVE_KEY_LEN]> {
        let mut order_8 = [0; 32];
        for (to, byte) in order_8.iter_mut().zip(*b"\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a\xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00") {
            *to = byte;
        }
        let near_p = |low: u8| {
            let mut u = [0xFF; 32];
            *u.first_mut().unwrap() = low;
            *u.last_mut().unwrap() = 0x7F;
            u
        };
        let mut one = [0; 32];
        *one.first_mut().unwrap() = 1;
        [[0; 32], one, order_8, near_p(0xEC), near_p(0xED), near_p(0xEE)]
            .into_iter()
            .map(|u| PublicKey::from_bytes(u).to_pub33())
            .collect()
    }

    fn all_kinds(identity: &IdentityKeyPair, rng: &mut StdRng) -> Publish {
        let signed = SignedPreKey::generate(1, identity, rng).public();
        let mut kyber = |id| {
            let key = KyberPreKey::generate(id, identity, rng).public();
            SignedKyberKey { id, key: key.key.to_bytes().into(), signature: key.signature }
        };
        let (last_resort_kyber, one_time_kyber) = (Some(kyber(2)), vec![kyber(3), kyber(4)]);
        let one_time = |id| CurveKey { id, key: OneTimePreKey::generate(id, rng).public().key.to_pub33() };
        Publish {
            signed_prekey: Some(SignedCurveKey { id: 1, key: signed.key.to_pub33(), signature: signed.signature }),
            last_resort_kyber,
            one_time: [5, 6].map(one_time).to_vec(),
            one_time_kyber,
        }
    }

    fn fault(publish: Publish, identity: &IdentityKeyPair) -> Option<BadKeys> {
        publication(publish, &identity.public().to_pub33()).err()
    }

    #[test]
    fn honest_keys_pass_and_under_another_identity_they_do_not() {
        let mut rng = StdRng::seed_from_u64(1);
        let (mine, theirs) = (IdentityKeyPair::generate(&mut rng), IdentityKeyPair::generate(&mut rng));
        let publish = all_kinds(&mine, &mut rng);
        assert_eq!(fault(publish.clone(), &mine), None);
        assert_eq!(fault(publish, &theirs), Some(BadKeys::Signature { kind: SIGNED, id: 1 }));
    }

    #[test]
    fn a_key_of_small_order_is_refused_in_every_position_even_if_it_is_signed() {
        let mut rng = StdRng::seed_from_u64(2);
        let identity = IdentityKeyPair::generate(&mut rng);
        let honest = all_kinds(&identity, &mut rng);
        for weak in small_order() {
            let mut publish = honest.clone();
            let signature = identity.sign(&[&weak], &mut rng);
            publish.signed_prekey = Some(SignedCurveKey { id: 9, key: weak, signature });
            assert_eq!(fault(publish, &identity), Some(BadKeys::Weak { kind: SIGNED, id: 9 }));
            let mut publish = honest.clone();
            publish.one_time.push(CurveKey { id: 9, key: weak });
            assert_eq!(fault(publish, &identity), Some(BadKeys::Weak { kind: ONE_TIME, id: 9 }));
            assert_eq!(publication(honest.clone(), &weak).err(), Some(BadKeys::Identity));
            assert!(!vouches(&weak, b"anything", &[0; 64]));
        }
    }

    #[test]
    fn a_kyber_key_of_zeros_or_of_another_type_is_refused() {
        let mut rng = StdRng::seed_from_u64(3);
        let identity = IdentityKeyPair::generate(&mut rng);
        let honest = all_kinds(&identity, &mut rng);
        let mut zero = vec![0; KemPublicKey::BYTES];
        *zero.first_mut().unwrap() = 0x08;
        let mut ml_kem = honest.last_resort_kyber.as_ref().unwrap().key.to_vec();
        *ml_kem.first_mut().unwrap() = 0x0A;
        for key in [zero, ml_kem] {
            let signature = identity.sign(&[&key], &mut rng);
            let bad = SignedKyberKey { id: 9, key: key.into(), signature };
            let publish = Publish { last_resort_kyber: Some(bad.clone()), ..honest.clone() };
            assert_eq!(fault(publish, &identity), Some(BadKeys::Weak { kind: LAST_RESORT, id: 9 }));
            let publish = Publish { one_time_kyber: vec![bad], ..honest.clone() };
            assert_eq!(fault(publish, &identity), Some(BadKeys::Weak { kind: ONE_TIME_KYBER, id: 9 }));
        }
    }

    #[test]
    fn a_signature_is_worth_nothing_for_another_key_and_an_id_stands_for_one_key() {
        let mut rng = StdRng::seed_from_u64(4);
        let identity = IdentityKeyPair::generate(&mut rng);
        let honest = all_kinds(&identity, &mut rng);
        let mut publish = honest.clone();
        let other = publish.last_resort_kyber.as_ref().unwrap().signature;
        publish.one_time_kyber.last_mut().unwrap().signature = other;
        assert_eq!(fault(publish, &identity), Some(BadKeys::Signature { kind: ONE_TIME_KYBER, id: 4 }));
        let mut publish = honest;
        publish.one_time.extend_from_within(..1);
        assert_eq!(fault(publish, &identity), Some(BadKeys::Twice { kind: ONE_TIME, id: 5 }));
    }

    #[test]
    fn a_handle_has_one_writing() {
        for name in ["a", "alice", "a.b-c_d", "0", &"x".repeat(32)] {
            assert!(is_handle_name(name), "{name}");
        }
        for name in ["", "Alice", ".a", "a b", "ä", "a@b", "a\n", &"x".repeat(33)] {
            assert!(!is_handle_name(name), "{name}");
        }
    }
}
