//! People who register, publish and are fetched: keys as real clients make them, because the keyserver verifies them.

use ed25519_dalek::SigningKey;
use hushwire_crypto::curve::IdentityKeyPair;
use hushwire_crypto::prekey::{KyberPreKey, OneTimePreKey, SignedPreKey};
use hushwire_proto::account::{Device, Link, Signatory, SignedLink, identity_transcript};
use hushwire_proto::admission::Pass;
use hushwire_proto::auth::{SessionBinding, prove_device, prove_registration};
use hushwire_proto::ids::{AccountId, DeviceId, MailboxId, Token};
use hushwire_proto::keyserver::{CurveKey, Publish, Request, SignedCurveKey, SignedKyberKey};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// One account with one device, and what it publishes first.
pub(crate) struct Person {
    signing: SigningKey,
    link: SignedLink,
    pub(crate) account: AccountId,
    handle: String,
    pub(crate) publish: Publish,
}

impl Person {
    /// With as many one-time keys of each kind as an account gives out at once.
    pub(crate) fn seeded(seed: u64, one_time_keys: u32) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        let identity = IdentityKeyPair::generate(rng);
        let (signing, recovery) = (SigningKey::generate(rng), SigningKey::generate(rng));
        let (id, registration_id, signing_key) = (DeviceId::FIRST, 1, signing.verifying_key().to_bytes());
        let vouched = identity_transcript(id, registration_id, &signing_key);
        let device = Device {
            name: String::new(),
            id,
            registration_id,
            identity_key: identity.public().to_pub33(),
            signing_key,
            identity_proof: identity.sign(&[vouched.bytes()], rng),
            relay: "hush://relay.example.org:4431".to_owned(),
            mailbox: MailboxId([7; 32]),
            request_token: Token::generate(rng),
        };
        let recovery_key = recovery.verifying_key().to_bytes();
        let link = Link { version: 0, previous: None, devices: vec![device], recovery_key };
        let link = link.sign(Signatory::Device(id), &signing);
        let signed = SignedPreKey::generate(1, &identity, rng).public();
        let mut kyber = |id| {
            let key = KyberPreKey::generate(id, &identity, rng).public();
            SignedKyberKey { id, key: key.key.to_bytes().into(), signature: key.signature }
        };
        let last_resort_kyber = Some(kyber(2));
        let ids = 10..10 + one_time_keys;
        let one_time_kyber = ids.clone().map(kyber).collect();
        let one_time =
            ids.map(|id| CurveKey { id, key: OneTimePreKey::generate(id, rng).public().key.to_pub33() }).collect();
        let signed_prekey = Some(SignedCurveKey { id: 1, key: signed.key.to_pub33(), signature: signed.signature });
        Self {
            signing,
            account: AccountId(link.hash().0),
            link,
            handle: format!("person-{seed}"),
            publish: Publish { signed_prekey, last_resort_kyber, one_time, one_time_kyber },
        }
    }

    pub(crate) fn registration(&self, binding: SessionBinding) -> Request {
        let proof = prove_registration(binding, self.account, DeviceId::FIRST, &self.handle, &self.signing);
        let handle_name = Some(self.handle.clone());
        Request::Register { link: self.link.clone(), handle_name, proof, pass: Pass::default() }
    }

    pub(crate) fn sign_in(&self, binding: SessionBinding) -> Request {
        let (account, device) = (self.account, DeviceId::FIRST);
        Request::SignIn { account, device, proof: prove_device(binding, account, device, &self.signing) }
    }
}
