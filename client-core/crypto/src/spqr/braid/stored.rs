//! A [`Braid`] as bytes on disk: epoch, authenticator, the state's number, the state's parts in order.
//!
//! The encapsulation key is not stored beside the key pair that holds it.

use super::{
    super::{
        auth::Authenticator,
        chunk::{Incoming, Outgoing},
        kem::{CT1_BYTES, Encapsulation, KeyPair, PAIR_BYTES},
        stored::{Reader, Writer},
    },
    Braid, SIGNED_CT2_BYTES, SpqrError, State,
};

/// The largest is `EkSentCt1Received`, with all but one chunk of `ct2`.
pub(in super::super) const BYTES_MAX: usize =
    8 + 64 + 1 + PAIR_BYTES + CT1_BYTES + 2 + (SIGNED_CT2_BYTES / 32 - 1) * (2 + 32);

impl Braid {
    pub(in super::super) fn write(&self, out: &mut Writer) {
        out.u64(self.epoch);
        self.auth.write(out);
        match &self.state {
            State::KeysUnsampled => out.u8(1),
            State::KeysSampled { pair, header } => {
                out.u8(2);
                pair.write(out);
                header.write(out);
            }
            State::HeaderSent { pair, ekv, ct1 } => {
                out.u8(3);
                pair.write(out);
                out.u16(ekv.next_index());
                ct1.write(out);
            }
            State::Ct1Received { pair, ekv, ct1 } => {
                out.u8(4);
                pair.write(out);
                out.u16(ekv.next_index());
                out.bytes(ct1.as_slice());
            }
            State::EkSentCt1Received { pair, ct1, ct2 } => {
                out.u8(5);
                pair.write(out);
                out.bytes(ct1.as_slice());
                ct2.write(out);
            }
            State::NoHeaderReceived { header } => {
                out.u8(6);
                header.write(out);
            }
            State::HeaderReceived { header } => {
                out.u8(7);
                out.bytes(header);
            }
            State::Ct1Sampled { encapsulation, ct1, ekv } => {
                out.u8(8);
                encapsulation.write(out);
                ct1.write(out);
                ekv.write(out);
            }
            State::EkReceivedCt1Sampled { encapsulation, ct1, ekv } => {
                out.u8(9);
                encapsulation.write(out);
                ct1.write(out);
                out.bytes(ekv.as_slice());
            }
            State::Ct1Acknowledged { encapsulation, ekv } => {
                out.u8(10);
                encapsulation.write(out);
                ekv.write(out);
            }
            State::Ct2Sampled { ct2 } => {
                out.u8(11);
                ct2.write(out);
            }
        }
    }

    pub(in super::super) fn read(from: &mut Reader<'_>) -> Result<Self, SpqrError> {
        let epoch = from.u64()?;
        if epoch == 0 {
            return Err(SpqrError::Damaged);
        }
        let auth = Authenticator::read(from)?;
        let state = match from.u8()? {
            1 => State::KeysUnsampled,
            2 => State::KeysSampled { pair: KeyPair::read(from)?, header: Outgoing::read(from)? },
            3 => {
                let pair = KeyPair::read(from)?;
                State::HeaderSent { ekv: Outgoing::resume(pair.ekv(), from.u16()?), pair, ct1: Incoming::read(from)? }
            }
            4 => {
                let pair = KeyPair::read(from)?;
                State::Ct1Received {
                    ekv: Outgoing::resume(pair.ekv(), from.u16()?),
                    pair,
                    ct1: Box::new(from.array()?),
                }
            }
            5 => State::EkSentCt1Received {
                pair: KeyPair::read(from)?,
                ct1: Box::new(from.array()?),
                ct2: Incoming::read(from)?,
            },
            6 => State::NoHeaderReceived { header: Incoming::read(from)? },
            7 => State::HeaderReceived { header: from.array()? },
            8 => State::Ct1Sampled {
                encapsulation: Encapsulation::read(from)?,
                ct1: Outgoing::read(from)?,
                ekv: Incoming::read(from)?,
            },
            9 => State::EkReceivedCt1Sampled {
                encapsulation: Encapsulation::read(from)?,
                ct1: Outgoing::read(from)?,
                ekv: Box::new(from.array()?),
            },
            10 => State::Ct1Acknowledged { encapsulation: Encapsulation::read(from)?, ekv: Incoming::read(from)? },
            11 => State::Ct2Sampled { ct2: Outgoing::read(from)? },
            _ => return Err(SpqrError::Damaged),
        };
        Ok(Self { epoch, auth, state })
    }
}
