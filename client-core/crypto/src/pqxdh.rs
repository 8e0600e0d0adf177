//! PQXDH: the agreement that begins a session, from a bundle and its answer.
//!
//! Owns the order of its secrets and the split of what comes out. What begins with it is `session`.
//!
//! Spec: signal-wire §2.2, §2.3.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::chain::ChainKey;
use crate::curve::{IdentityKeyPair, KeyPair, PublicKey};
use crate::double_ratchet::RootKey;
use crate::error::NotContributory;
use crate::kdf::{deal, hkdf};
use crate::kem::KemCiphertext;
use crate::prekey::{OurPreKeys, VerifiedBundle};

const LABEL: &[u8] = b"WhisperText_X25519_SHA-256_CRYSTALS-KYBER-1024";

/// `FF^32`, in front of the secrets: no X25519 result looks like it.
const DISCONTINUITY: [u8; 32] = [0xFF; 32];

/// Secrets in S at most: the discontinuity, four agreements and the KEM's.
const SECRETS_MAX: usize = 6;

/// What both sides have after PQXDH.
pub(crate) struct Agreed {
    /// RK0.
    pub(crate) root: RootKey,
    /// CK0.
    pub(crate) chain: ChainKey,
    /// PQK, the key that SPQR authenticates with.
    pub(crate) spqr_auth: Zeroizing<[u8; 32]>,
}

/// The initiator's side, with base key pair EK_A. Draws 32 bytes to encapsulate.
///
/// `S = FF^32 ‖ DH(IK_A, SPK_B) ‖ DH(EK_A, IK_B) ‖ DH(EK_A, SPK_B) ‖ [DH(EK_A, OPK_B)] ‖ ss`.
/// Spec: signal-wire §2.2.
pub(crate) fn initiate(
    identity: &IdentityKeyPair,
    base: &KeyPair,
    bundle: &VerifiedBundle,
    rng: &mut impl CryptoRng,
) -> Result<(Agreed, KemCiphertext), NotContributory> {
    let bundle = bundle.bundle();
    let (shared, ciphertext) = bundle.kyber.key.encapsulate(rng);
    let one_time = bundle.one_time.as_ref().map(|one_time| base.agree(&one_time.key)).transpose()?;
    let agreed = derive(
        [identity.agree(&bundle.signed.key)?, base.agree(&bundle.identity)?, base.agree(&bundle.signed.key)?],
        one_time,
        shared,
    );
    Ok((agreed, ciphertext))
}

/// The responder's side.
///
/// `S = FF^32 ‖ DH(SPK_B, IK_A) ‖ DH(IK_B, EK_A) ‖ DH(SPK_B, EK_A) ‖ [DH(OPK_B, EK_A)] ‖ decaps(KPK, ct)`.
/// Spec: signal-wire §2.3.
pub(crate) fn respond(
    identity: &IdentityKeyPair,
    keys: &OurPreKeys<'_>,
    their_identity: &PublicKey,
    base: &PublicKey,
    ciphertext: &KemCiphertext,
) -> Result<Agreed, NotContributory> {
    let signed = &keys.signed.pair;
    let one_time = keys.one_time.map(|one_time| one_time.pair.agree(base)).transpose()?;
    Ok(derive(
        [signed.agree(their_identity)?, identity.agree(base)?, signed.agree(base)?],
        one_time,
        keys.kyber.secret.decapsulate(ciphertext),
    ))
}

/// `T = HKDF(–, S, label, 96)` = RK0 ‖ CK0 ‖ PQK.
fn derive(agreements: [Secret; 3], one_time: Option<Secret>, encapsulated: Secret) -> Agreed {
    let mut secrets = Zeroizing::new(Vec::with_capacity(SECRETS_MAX * 32));
    secrets.extend_from_slice(&DISCONTINUITY);
    for secret in agreements.iter().chain(&one_time).chain([&encapsulated]) {
        secrets.extend_from_slice(secret.as_slice());
    }
    let out = hkdf::<96>(None, &secrets, LABEL);
    let (mut root, mut chain) = (Box::new([0; 32]), Box::new([0; 32]));
    let mut spqr_auth = Zeroizing::new([0; 32]);
    deal(&out, &mut [root.as_mut_slice(), chain.as_mut_slice(), spqr_auth.as_mut_slice()]);
    Agreed { root: RootKey::new(root), chain: ChainKey::new(chain, 0), spqr_auth }
}

type Secret = Zeroizing<[u8; 32]>;
