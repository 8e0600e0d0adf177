//! What is said to `floor-sync`: frames as everywhere, whose payload is one byte for its kind and the bare values.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hushwire_proto::frame::{self, Frame, RequestId};

use super::{Deposit, Event, Many};
use crate::{Failure, said};

/// The application protocol.
pub const ALPN: &[u8] = b"hushwire-floor/1";

/// What a payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// This connection drains the mailbox of this index.
    Own(u32),
    /// An envelope for the mailbox of this index.
    Deposit(u32, Bytes),
    /// One envelope for the mailboxes of these indices.
    DepositMany(Vec<u32>, Bytes),
    /// This number of the connection's mailbox may be forgotten. Has no answer.
    Forget(u64),
    /// The deposit is durable, or the mailbox is owned.
    Done,
    /// An envelope and its number.
    Deliver(u64, Bytes),
}

impl Word {
    /// As a payload.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Own(mailbox) => {
                out.put_u8(0);
                out.put_u32(*mailbox);
            }
            Self::Deposit(mailbox, body) => {
                out.reserve(5 + body.len());
                out.put_u8(1);
                out.put_u32(*mailbox);
                out.put_slice(body);
            }
            Self::DepositMany(mailboxes, body) => {
                out.reserve(5 + 4 * mailboxes.len() + body.len());
                out.put_u8(5);
                out.put_u32(u32::try_from(mailboxes.len()).unwrap_or(u32::MAX));
                mailboxes.iter().for_each(|mailbox| out.put_u32(*mailbox));
                out.put_slice(body);
            }
            Self::Forget(seq) => {
                out.put_u8(2);
                out.put_u64(*seq);
            }
            Self::Done => out.put_u8(3),
            Self::Deliver(seq, body) => {
                out.reserve(9 + body.len());
                out.put_u8(4);
                out.put_u64(*seq);
                out.put_slice(body);
            }
        }
        out.freeze()
    }

    /// From a payload.
    #[must_use]
    pub fn parse(mut payload: Bytes) -> Option<Self> {
        Some(match payload.try_get_u8().ok()? {
            0 => Self::Own(payload.try_get_u32().ok()?),
            1 => Self::Deposit(payload.try_get_u32().ok()?, payload),
            2 => Self::Forget(payload.try_get_u64().ok()?),
            3 => Self::Done,
            4 => Self::Deliver(payload.try_get_u64().ok()?, payload),
            5 => {
                let count = payload.try_get_u32().ok()?;
                let mailboxes = (0..count).map(|_| payload.try_get_u32()).collect::<Result<_, _>>().ok()?;
                Self::DepositMany(mailboxes, payload)
            }
            _ => return None,
        })
    }
}

/// One connection to the yardstick.
#[derive(Debug, Default)]
pub struct Floor;

impl Floor {
    pub(super) fn hear(
        &mut self,
        frame: Frame,
        output: &mut BytesMut,
        on: &mut impl FnMut(Event),
    ) -> Result<(), Failure> {
        match Word::parse(frame.payload) {
            Some(Word::Done) => on(Event::Stored(frame.id.0)),
            Some(Word::Deliver(seq, body)) => {
                on(Event::Delivered { seq, body });
                put(1, &Word::Forget(seq), output)?;
                on(Event::Acknowledged { through: seq, count: 1 });
            }
            _ => return Err("the yardstick said something it should not".to_owned()),
        }
        Ok(())
    }
}

pub(super) fn deposit(deposit: &Deposit, output: &mut BytesMut) -> Result<(), Failure> {
    put(deposit.number, &Word::Deposit(deposit.to.index, deposit.body.clone()), output)
}

pub(super) fn deposit_many(many: &Many, output: &mut BytesMut) -> Result<(), Failure> {
    let mailboxes = many.to.iter().map(|door| door.index).collect();
    put(many.number, &Word::DepositMany(mailboxes, many.body.clone()), output)
}

fn put(number: u64, word: &Word, output: &mut BytesMut) -> Result<(), Failure> {
    frame::encode(&Frame { id: RequestId(number), payload: word.encode() }, output).map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_as_itself() {
        let body = Bytes::from_static(b"body");
        let many = Word::DepositMany(vec![1, 7], body.clone());
        let one = Word::Deposit(7, body.clone());
        for word in [Word::Own(7), one, many, Word::Forget(9), Word::Done, Word::Deliver(9, body)] {
            assert_eq!(Word::parse(word.encode()), Some(word));
        }
        assert_eq!(Word::parse(Bytes::from_static(&[2, 0])), None);
    }
}
