//! One envelope for many mailboxes.
//!
//! Spec: relay §5.

use bytes::{BufMut, Bytes, BytesMut};

use super::BadMessage;
use crate::{
    envelope::Envelope,
    ids::{DepositId, MailboxId, Token},
    limits::{FANOUT_ENTRY_BYTES, FANOUT_MAX},
    wire::relay as wire,
};

/// One envelope on its way into many mailboxes: as good as one [`super::Deposit`] for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositMany {
    /// What to keep. Once, whatever the number of mailboxes.
    pub envelope: Envelope,
    /// Where, 1 to [`FANOUT_MAX`] of them.
    pub doors: Vec<Door>,
}

/// The way into one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Whose mailbox.
    pub mailbox: MailboxId,
    /// The right to deposit there.
    pub token: Token,
    /// The same for every retry.
    pub id: DepositId,
}

/// What became of an envelope at each door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMany {
    /// In the order of the doors.
    pub outcomes: Vec<Outcome>,
    /// Milliseconds after which those that are full or told to come later may be tried again; 0: there are none.
    pub retry_after_ms: u64,
}

/// What became of an envelope at one door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is kept, durably. Says nothing of whether it was there before.
    Stored,
    /// The mailbox, or the part of it that strangers may fill, is full; or more comes there than it takes in a short time.
    Full,
    /// There is no such mailbox, or this token does not open it: which, is not said.
    NoSuchDoor,
    /// The relay has no room now. Nothing is wrong with the door.
    Later,
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Self::Stored => 0,
            Self::Full => 1,
            Self::NoSuchDoor => 2,
            Self::Later => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Stored, Self::Full, Self::NoSuchDoor, Self::Later].into_iter().find(|known| known.code() == code)
    }
}

impl DepositMany {
    pub(super) fn encode(&self) -> wire::DepositMany {
        let mut doors = BytesMut::with_capacity(self.doors.len() * FANOUT_ENTRY_BYTES);
        for Door { mailbox, token, id } in &self.doors {
            doors.put_slice(mailbox.as_bytes());
            doors.put_slice(token.expose());
            doors.put_slice(id.as_bytes());
        }
        wire::DepositMany { envelope: self.envelope.bytes().clone(), doors: doors.freeze() }
    }

    pub(super) fn parse(message: &wire::DepositMany) -> Result<Self, BadMessage> {
        // A copy: the frame around it is many times as large and must not live as long.
        let envelope = Bytes::copy_from_slice(&message.envelope);
        let envelope = Envelope::new(envelope).map_err(|_| BadMessage::Length("envelope"))?;
        let (doors, rest) = message.doors.as_chunks::<FANOUT_ENTRY_BYTES>();
        if doors.is_empty() || !rest.is_empty() {
            return Err(BadMessage::Length("doors"));
        }
        if doors.len() > FANOUT_MAX {
            return Err(BadMessage::TooMany { field: "doors", limit: FANOUT_MAX });
        }
        let doors = doors.iter().map(|door| Door::parse(door).ok_or(BadMessage::Length("doors")));
        Ok(Self { envelope, doors: doors.collect::<Result<_, _>>()? })
    }
}

impl Door {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (mailbox, rest) = bytes.split_first_chunk()?;
        let (token, id) = rest.split_first_chunk::<32>()?;
        Some(Self {
            mailbox: MailboxId(*mailbox),
            token: Token::from_slice(token)?,
            id: DepositId(id.try_into().ok()?),
        })
    }
}

impl StoredMany {
    pub(super) fn encode(&self) -> wire::StoredMany {
        let outcomes = self.outcomes.iter().map(|outcome| outcome.code()).collect();
        wire::StoredMany { outcomes, retry_after_ms: self.retry_after_ms }
    }

    pub(super) fn parse(message: &wire::StoredMany) -> Result<Self, BadMessage> {
        if message.outcomes.len() > FANOUT_MAX {
            return Err(BadMessage::TooMany { field: "outcomes", limit: FANOUT_MAX });
        }
        let outcomes = message.outcomes.iter().map(|code| Outcome::from_code(*code));
        let outcomes = outcomes.collect::<Option<_>>().ok_or(BadMessage::Range("outcomes"))?;
        Ok(Self { outcomes, retry_after_ms: message.retry_after_ms })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use crate::relay::*;

    #[test]
    fn an_envelope_keeps_no_buffer_but_its_own() {
        let (mailbox, token) = (MailboxId([1; 32]), Token::from_slice(&[2; 32]).unwrap());
        let (id, envelope) = (DepositId([3; 16]), Envelope::new(vec![4; 512].into()).unwrap());
        let door = Door { mailbox, token: token.clone(), id };
        let many = Request::DepositMany(DepositMany { envelope: envelope.clone(), doors: vec![door] });
        for request in [Request::Deposit(Deposit { mailbox, token, id, envelope }), many] {
            let payload = request.encode();
            let (Request::Deposit(Deposit { envelope, .. }) | Request::DepositMany(DepositMany { envelope, .. })) =
                Request::parse(&payload).unwrap()
            else {
                panic!("another request");
            };
            assert!(!payload.as_ptr_range().contains(&envelope.bytes().as_ptr()));
        }
    }
}
