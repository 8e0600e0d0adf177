//! The ML-KEM Braid: the state machine by which two sides agree on one more secret per epoch, a chunk per message.
//!
//! In every epoch one side owns the ML-KEM key pair (the key side), the other makes the ciphertext; then they change
//! places. What the secrets become is the concern of `chain`.
//!
//! Spec: signal-wire §4.3, §4.7.

mod stored;

use std::cmp::Ordering;

use rand_core::CryptoRng;

use super::{
    Role, SpqrError,
    auth::{self, Authenticator, MAC_BYTES},
    chain::EpochSecret,
    chunk::{Incoming, Outgoing, Received},
    kem::{CT1_BYTES, CT2_BYTES, EKV_BYTES, Encapsulation, HEADER_BYTES, KeyPair},
    message::Payload,
};
use crate::kdf::deal;

pub(super) use stored::BYTES_MAX;

/// `hdr ‖ mac_hdr`.
const SIGNED_HEADER_BYTES: usize = HEADER_BYTES + MAC_BYTES;

/// `ct2 ‖ mac_ct`.
const SIGNED_CT2_BYTES: usize = CT2_BYTES + MAC_BYTES;

/// One side of the exchange: its epoch, its authenticator, its state in the epoch.
#[derive(Clone)]
pub(super) struct Braid {
    epoch: u64,
    auth: Authenticator,
    state: State,
}

#[derive(Clone)]
enum State {
    KeysUnsampled,
    KeysSampled { pair: KeyPair, header: Outgoing<SIGNED_HEADER_BYTES> },
    HeaderSent { pair: KeyPair, ekv: Outgoing<EKV_BYTES>, ct1: Incoming<CT1_BYTES> },
    Ct1Received { pair: KeyPair, ekv: Outgoing<EKV_BYTES>, ct1: Box<[u8; CT1_BYTES]> },
    EkSentCt1Received { pair: KeyPair, ct1: Box<[u8; CT1_BYTES]>, ct2: Incoming<SIGNED_CT2_BYTES> },
    NoHeaderReceived { header: Incoming<SIGNED_HEADER_BYTES> },
    HeaderReceived { header: [u8; HEADER_BYTES] },
    Ct1Sampled { encapsulation: Encapsulation, ct1: Outgoing<CT1_BYTES>, ekv: Incoming<EKV_BYTES> },
    EkReceivedCt1Sampled { encapsulation: Encapsulation, ct1: Outgoing<CT1_BYTES>, ekv: Box<[u8; EKV_BYTES]> },
    Ct1Acknowledged { encapsulation: Encapsulation, ekv: Incoming<EKV_BYTES> },
    Ct2Sampled { ct2: Outgoing<SIGNED_CT2_BYTES> },
}

/// The machine after a step, and the epoch secret if the step gave one.
pub(super) struct Step {
    pub(super) braid: Braid,
    pub(super) secret: Option<EpochSecret>,
}

impl Braid {
    /// Epoch 1, in which role A is the key side.
    ///
    /// Spec: signal-wire §4.3.
    pub(super) fn start(role: Role, auth_key: &[u8; 32]) -> Self {
        Self {
            epoch: 1,
            auth: Authenticator::start(auth_key),
            state: match role {
                Role::A => State::KeysUnsampled,
                Role::B => State::no_header_received(),
            },
        }
    }

    /// What the next message carries. The epoch stays.
    ///
    /// Spec: signal-wire §4.7.
    pub(super) fn send(mut self, rng: &mut impl CryptoRng) -> Result<(Step, Payload), SpqrError> {
        let payload = match &mut self.state {
            State::KeysUnsampled => return Ok(self.offer(KeyPair::generate(rng))),
            State::HeaderReceived { header } => {
                let encapsulation = Encapsulation::begin(*header, rng);
                return self.answer(encapsulation);
            }
            State::KeysSampled { header, .. } => Payload::Hdr(header.next_chunk()),
            State::HeaderSent { ekv, .. } => Payload::Ek(ekv.next_chunk()),
            State::Ct1Received { ekv, .. } => Payload::EkCt1Ack(ekv.next_chunk()),
            State::EkSentCt1Received { .. } => Payload::Ct1Ack,
            State::NoHeaderReceived { .. } | State::Ct1Acknowledged { .. } => Payload::None,
            State::Ct1Sampled { ct1, .. } | State::EkReceivedCt1Sampled { ct1, .. } => Payload::Ct1(ct1.next_chunk()),
            State::Ct2Sampled { ct2 } => Payload::Ct2(ct2.next_chunk()),
        };
        Ok((Step::quiet(self), payload))
    }

    /// `KeysUnsampled` → `KeysSampled`: a key pair, and the first chunk of `hdr ‖ mac_hdr`.
    ///
    /// Spec: signal-wire §4.7.
    pub(super) fn offer(self, pair: KeyPair) -> (Step, Payload) {
        let header = pair.header();
        let mac = self.auth.header_mac(self.epoch, &header);
        let mut header = Outgoing::new(join(&header, &mac));
        let payload = Payload::Hdr(header.next_chunk());
        (Step::quiet(self.enter(State::KeysSampled { pair, header })), payload)
    }

    /// `HeaderReceived` → `Ct1Sampled`: `ct1`, and with it the secret of this epoch.
    ///
    /// Spec: signal-wire §4.7.
    fn answer(self, encapsulation: Encapsulation) -> Result<(Step, Payload), SpqrError> {
        let half = encapsulation.first_half()?;
        let secret = auth::epoch_secret(self.epoch, &half.shared);
        let mut ct1 = Outgoing::new(half.ct1);
        let payload = Payload::Ct1(ct1.next_chunk());
        let braid = Self {
            epoch: self.epoch,
            auth: self.auth.update(self.epoch, &secret),
            state: State::Ct1Sampled { encapsulation, ct1, ekv: Incoming::new() },
        };
        let epoch = self.epoch;
        let secret = Some(EpochSecret { epoch, secret });
        Ok((Step { braid, secret }, payload))
    }

    /// Takes in what a message of some epoch carried. Messages that the state does not wait for change nothing.
    ///
    /// # Errors
    /// `Epoch` for a later epoch than can be; `Forged` if a MAC or the encapsulation key is wrong.
    ///
    /// Spec: signal-wire §4.7.
    pub(super) fn receive(self, epoch: u64, payload: Payload) -> Result<Step, SpqrError> {
        match epoch.cmp(&self.epoch) {
            Ordering::Less => Ok(Step::quiet(self)),
            Ordering::Equal if self.is_key_side() => self.receive_as_key_side(payload),
            Ordering::Equal => self.receive_as_ciphertext_side(payload).map(Step::quiet),
            Ordering::Greater => match self.state {
                State::Ct2Sampled { .. } if self.epoch.checked_add(1) == Some(epoch) => {
                    Ok(Step::quiet(Self { epoch, auth: self.auth, state: State::KeysUnsampled }))
                }
                _ => Err(SpqrError::Epoch),
            },
        }
    }

    fn receive_as_key_side(mut self, payload: Payload) -> Result<Step, SpqrError> {
        self.state = match (self.state, payload) {
            (State::KeysSampled { pair, header: _ }, Payload::Ct1(chunk)) => {
                State::HeaderSent { ekv: Outgoing::new(pair.ekv()), pair, ct1: Incoming::begun_with(chunk) }
            }
            (State::HeaderSent { pair, ekv, ct1 }, Payload::Ct1(chunk)) => match ct1.add(chunk) {
                Received::Partly(ct1) => State::HeaderSent { pair, ekv, ct1 },
                Received::Whole(ct1) => State::Ct1Received { pair, ekv, ct1 },
            },
            (State::Ct1Received { pair, ekv: _, ct1 }, Payload::Ct2(chunk)) => {
                State::EkSentCt1Received { pair, ct1, ct2: Incoming::begun_with(chunk) }
            }
            (State::EkSentCt1Received { pair, ct1, ct2 }, Payload::Ct2(chunk)) => match ct2.add(chunk) {
                Received::Partly(ct2) => State::EkSentCt1Received { pair, ct1, ct2 },
                Received::Whole(ct2) => {
                    return Self::agree(self.epoch, self.auth, &pair, &ct1, &ct2);
                }
            },
            (state, _) => state,
        };
        Ok(Step::quiet(self))
    }

    /// `EkSentCt1Received` → `NoHeaderReceived` of the next epoch: decapsulates.
    ///
    /// Spec: signal-wire §4.7.
    fn agree(
        epoch: u64,
        auth: Authenticator,
        pair: &KeyPair,
        ct1: &[u8; CT1_BYTES],
        signed_ct2: &[u8; SIGNED_CT2_BYTES],
    ) -> Result<Step, SpqrError> {
        let (ct2, mac) = cut(signed_ct2);
        let secret = auth::epoch_secret(epoch, &pair.decapsulate(ct1, &ct2));
        let auth = auth.update(epoch, &secret);
        auth::check(&auth.ciphertext_mac(epoch, ct1, &ct2), &mac)?;
        let braid =
            Self { epoch: epoch.checked_add(1).ok_or(SpqrError::Exhausted)?, auth, state: State::no_header_received() };
        let secret = Some(EpochSecret { epoch, secret });
        Ok(Step { braid, secret })
    }

    fn receive_as_ciphertext_side(mut self, payload: Payload) -> Result<Self, SpqrError> {
        let acknowledged = matches!(payload, Payload::EkCt1Ack(_) | Payload::Ct1Ack);
        self.state = match (self.state, payload) {
            (State::NoHeaderReceived { header }, Payload::Hdr(chunk)) => match header.add(chunk) {
                Received::Partly(header) => State::NoHeaderReceived { header },
                Received::Whole(signed_header) => {
                    let (header, mac) = cut(&signed_header);
                    auth::check(&self.auth.header_mac(self.epoch, &header), &mac)?;
                    State::HeaderReceived { header }
                }
            },
            (State::Ct1Sampled { encapsulation, ct1, ekv }, Payload::Ek(chunk) | Payload::EkCt1Ack(chunk)) => {
                match ekv.add(chunk) {
                    Received::Partly(ekv) if acknowledged => State::Ct1Acknowledged { encapsulation, ekv },
                    Received::Partly(ekv) => State::Ct1Sampled { encapsulation, ct1, ekv },
                    Received::Whole(ekv) => {
                        encapsulation.check(&ekv)?;
                        if acknowledged {
                            State::ct2_sampled(self.epoch, &self.auth, &encapsulation, &ekv)?
                        } else {
                            State::EkReceivedCt1Sampled { encapsulation, ct1, ekv }
                        }
                    }
                }
            }
            (State::EkReceivedCt1Sampled { encapsulation, ekv, .. }, Payload::Ct1Ack | Payload::EkCt1Ack(_)) => {
                State::ct2_sampled(self.epoch, &self.auth, &encapsulation, &ekv)?
            }
            (State::Ct1Acknowledged { encapsulation, ekv }, Payload::Ek(chunk) | Payload::EkCt1Ack(chunk)) => {
                match ekv.add(chunk) {
                    Received::Partly(ekv) => State::Ct1Acknowledged { encapsulation, ekv },
                    Received::Whole(ekv) => {
                        encapsulation.check(&ekv)?;
                        State::ct2_sampled(self.epoch, &self.auth, &encapsulation, &ekv)?
                    }
                }
            }
            (state, _) => state,
        };
        Ok(self)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The newest epoch whose secret this side has: from `ct1` on, the ciphertext side has that of its own epoch.
    pub(super) fn agreed_epoch(&self) -> u64 {
        match self.state {
            State::Ct1Sampled { .. }
            | State::EkReceivedCt1Sampled { .. }
            | State::Ct1Acknowledged { .. }
            | State::Ct2Sampled { .. } => self.epoch,
            _ => self.epoch.saturating_sub(1),
        }
    }

    /// The name that the spec gives the state.
    pub(super) fn state_name(&self) -> &'static str {
        match self.state {
            State::KeysUnsampled => "KeysUnsampled",
            State::KeysSampled { .. } => "KeysSampled",
            State::HeaderSent { .. } => "HeaderSent",
            State::Ct1Received { .. } => "Ct1Received",
            State::EkSentCt1Received { .. } => "EkSentCt1Received",
            State::NoHeaderReceived { .. } => "NoHeaderReceived",
            State::HeaderReceived { .. } => "HeaderReceived",
            State::Ct1Sampled { .. } => "Ct1Sampled",
            State::EkReceivedCt1Sampled { .. } => "EkReceivedCt1Sampled",
            State::Ct1Acknowledged { .. } => "Ct1Acknowledged",
            State::Ct2Sampled { .. } => "Ct2Sampled",
        }
    }

    fn is_key_side(&self) -> bool {
        matches!(
            self.state,
            State::KeysUnsampled
                | State::KeysSampled { .. }
                | State::HeaderSent { .. }
                | State::Ct1Received { .. }
                | State::EkSentCt1Received { .. }
        )
    }

    fn enter(self, state: State) -> Self {
        Self { state, ..self }
    }
}

impl Step {
    fn quiet(braid: Braid) -> Self {
        Self { braid, secret: None }
    }
}

impl State {
    fn no_header_received() -> Self {
        Self::NoHeaderReceived { header: Incoming::new() }
    }

    /// `ct2 ‖ mac_ct`, for an `ekv` that was checked.
    fn ct2_sampled(
        epoch: u64,
        auth: &Authenticator,
        encapsulation: &Encapsulation,
        ekv: &[u8; EKV_BYTES],
    ) -> Result<Self, SpqrError> {
        let half = encapsulation.first_half()?;
        let ct2 = half.second_half(ekv);
        let mac = auth.ciphertext_mac(epoch, &half.ct1, &ct2);
        let ct2 = Outgoing::new(join(&ct2, &mac));
        Ok(Self::Ct2Sampled { ct2 })
    }
}

/// A part and its MAC, one behind the other.
fn join<const PART: usize, const BOTH: usize>(part: &[u8; PART], mac: &[u8; MAC_BYTES]) -> [u8; BOTH] {
    const { assert!(PART + MAC_BYTES == BOTH) };
    let mut both = [0; BOTH];
    for (to, from) in both.iter_mut().zip(part.iter().chain(mac)) {
        *to = *from;
    }
    both
}

/// The reverse of [`join`].
fn cut<const PART: usize, const BOTH: usize>(both: &[u8; BOTH]) -> ([u8; PART], [u8; MAC_BYTES]) {
    const { assert!(PART + MAC_BYTES == BOTH) };
    let (mut part, mut mac) = ([0; PART], [0; MAC_BYTES]);
    deal(both, &mut [&mut part, &mut mac]);
    (part, mac)
}
