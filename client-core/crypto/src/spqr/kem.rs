//! ML-KEM-768 with its messages cut in two, so that the larger parts can travel at the same time.
//!
//! Of an encapsulation we keep its 32 random bytes, not the library's own 2080 bytes of state: the second half is made
//! once, by doing the first half again, and what is stored means the same to every version of the library.
//!
//! Spec: signal-wire §4.4.

use std::sync::Arc;

use libcrux_ml_kem::mlkem768::incremental;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    SpqrError,
    secret::Secret,
    stored::{Reader, Writer},
};

/// `hdr`: ρ and the hash of the encapsulation key.
pub(super) const HEADER_BYTES: usize = 64;
/// `ekv`: the vector of the encapsulation key.
pub(super) const EKV_BYTES: usize = 1152;
/// `ct1`: the compressed vector u.
pub(super) const CT1_BYTES: usize = 960;
/// `ct2`: the compressed polynomial v.
pub(super) const CT2_BYTES: usize = 128;
/// `ŝ (1152) ‖ ekv (1152) ‖ hdr (64) ‖ z (32)`, the decapsulation key of FIPS 203.
pub(super) const PAIR_BYTES: usize = 2400;

const _: () = assert!(
    incremental::pk1_len() == HEADER_BYTES
        && incremental::pk2_len() == EKV_BYTES
        && incremental::Ciphertext1::len() == CT1_BYTES
        && incremental::Ciphertext2::len() == CT2_BYTES
        && incremental::key_pair_compressed_len() == PAIR_BYTES
);

/// A key pair, kept as its decapsulation key, which holds the encapsulation key too. Wiped on drop.
#[derive(Clone)]
pub(super) struct KeyPair(Arc<Zeroizing<[u8; PAIR_BYTES]>>);

impl KeyPair {
    /// A pair from 64 random bytes, `d ‖ z`.
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 64]);
        rng.fill_bytes(seed.as_mut_slice());
        let mut pair = Arc::new(Zeroizing::new([0; PAIR_BYTES]));
        incremental::generate_key_pair_compressed(*seed, Arc::<Zeroizing<_>>::make_mut(&mut pair));
        Self(pair)
    }

    pub(super) fn header(&self) -> [u8; HEADER_BYTES] {
        let pair: &[u8; PAIR_BYTES] = &self.0;
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&pair[2304..2368]);
        header
    }

    pub(super) fn ekv(&self) -> [u8; EKV_BYTES] {
        let pair: &[u8; PAIR_BYTES] = &self.0;
        let mut ekv = [0; EKV_BYTES];
        ekv.copy_from_slice(&pair[1152..2304]);
        ekv
    }

    /// The shared secret. A ciphertext that was not made for this key gives another secret, not an error.
    pub(super) fn decapsulate(&self, ct1: &[u8; CT1_BYTES], ct2: &[u8; CT2_BYTES]) -> Secret {
        let ct1 = incremental::Ciphertext1 { value: *ct1 };
        let ct2 = incremental::Ciphertext2 { value: *ct2 };
        let shared = incremental::decapsulate_compressed_key(&self.0, &ct1, &ct2);
        Secret::new(&Zeroizing::new(shared))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.bytes(self.0.as_slice());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        from.take().map(Self::from_secret)
    }

    /// The pair with this decapsulation key.
    pub(super) fn from_secret(secret: &[u8; PAIR_BYTES]) -> Self {
        let mut pair = Arc::new(Zeroizing::new([0; PAIR_BYTES]));
        Arc::make_mut(&mut pair).copy_from_slice(secret);
        Self(pair)
    }
}

/// An encapsulation that is not finished: for whom, and its randomness `m`. Wiped on drop.
#[derive(Clone)]
pub(super) struct Encapsulation {
    header: [u8; HEADER_BYTES],
    randomness: Secret,
}

/// The first half of a ciphertext with what belongs to it.
pub(super) struct FirstHalf {
    pub(super) ct1: [u8; CT1_BYTES],
    pub(super) shared: Secret,
    state: Zeroizing<[u8; incremental::encaps_state_len()]>,
}

impl Encapsulation {
    /// An encapsulation with 32 random bytes.
    pub(super) fn begin(header: [u8; HEADER_BYTES], rng: &mut impl CryptoRng) -> Self {
        let mut randomness = Zeroizing::new([0; 32]);
        rng.fill_bytes(randomness.as_mut_slice());
        Self { header, randomness: Secret::new(&randomness) }
    }

    /// `ct1` and the shared secret, which need no more than `hdr`.
    ///
    /// Spec: signal-wire §4.4.
    pub(super) fn first_half(&self) -> Result<FirstHalf, SpqrError> {
        let mut state = Zeroizing::new([0; incremental::encaps_state_len()]);
        let mut shared = Zeroizing::new([0; 32]);
        let ct1 = incremental::encapsulate1(
            &self.header,
            *self.randomness.as_bytes(),
            state.as_mut_slice(),
            shared.as_mut_slice(),
        )
        .map_err(|_| SpqrError::Forged)?;
        Ok(FirstHalf { ct1: ct1.value, shared: Secret::new(&shared), state })
    }

    /// That `ekv` is the one that `hdr` promised and has no coefficient of 3329 or more.
    ///
    /// # Errors
    /// `Forged` if it is not.
    ///
    /// Spec: signal-wire §4.4.
    pub(super) fn check(&self, ekv: &[u8; EKV_BYTES]) -> Result<(), SpqrError> {
        incremental::validate_pk_bytes(&self.header, ekv).map_err(|_| SpqrError::Forged)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.bytes(&self.header);
        out.bytes(self.randomness.as_bytes());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        Ok(Self { header: from.array()?, randomness: from.secret()? })
    }
}

impl FirstHalf {
    /// `ct2`, for an `ekv` that was checked.
    pub(super) fn second_half(&self, ekv: &[u8; EKV_BYTES]) -> [u8; CT2_BYTES] {
        incremental::encapsulate2(&self.state, ekv).value
    }
}
