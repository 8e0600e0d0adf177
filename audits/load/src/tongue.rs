//! What is said over one connection, and what is heard: the same words for a relay and for the yardstick.

pub mod floor;
pub mod relay;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ed25519_dalek::SigningKey;
use hushwire_proto::frame::Frame;
use hushwire_proto::ids::{MailboxId, Token};
use hushwire_proto::relay::Refused;

use crate::Failure;

/// Where deposits go.
#[derive(Debug)]
pub struct Door {
    /// Its place among the mailboxes of this run.
    pub index: u32,
    /// Its name at a relay.
    pub mailbox: MailboxId,
    /// The right to deposit.
    pub token: Token,
}

/// A virtual device's mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox {
    /// Whose public half is its name.
    pub key: SigningKey,
    /// For senders.
    pub door: Arc<Door>,
}

impl Mailbox {
    /// A new one, the `index`th of this run.
    #[must_use]
    pub fn new(index: u32) -> Self {
        let key = SigningKey::from_bytes(&rand::random());
        let mailbox = MailboxId(key.verifying_key().to_bytes());
        let token = Token::generate(&mut rand::rng());
        Self { key, door: Arc::new(Door { index, mailbox, token }) }
    }
}

/// To be said.
#[derive(Clone, Debug)]
pub struct Deposit {
    /// Whose mailbox.
    pub to: Arc<Door>,
    /// What the answer will name. Once for each connection, and never 0.
    pub number: u64,
    /// The same for every retry.
    pub id: [u8; 16],
    /// An envelope.
    pub body: Bytes,
}

/// To be said to many mailboxes at once.
#[derive(Clone, Debug)]
pub struct Many {
    /// Whose mailboxes, in order.
    pub to: Arc<[Arc<Door>]>,
    /// As for a [`Deposit`].
    pub number: u64,
    /// The same for every retry, and for every mailbox.
    pub id: [u8; 16],
    /// An envelope, for all of them.
    pub body: Bytes,
}

/// One request of a sender.
#[derive(Clone, Debug)]
pub enum Said {
    /// To one mailbox.
    One(Deposit),
    /// To many. Heard as [`Event::Stored`] if all have it, else as [`Event::Refused`].
    Many(Many),
}

impl From<Deposit> for Said {
    fn from(deposit: Deposit) -> Self {
        Self::One(deposit)
    }
}

impl From<Many> for Said {
    fn from(many: Many) -> Self {
        Self::Many(many)
    }
}

/// What was heard.
#[derive(Clone, Debug)]
pub enum Event {
    /// The deposit of this number is durable.
    Stored(u64),
    /// The deposit of this number was not taken.
    Refused(u64, Refused),
    /// An envelope for the mailbox of this connection. Its acknowledgement is written after this was handled.
    Delivered {
        /// Its place.
        seq: u64,
        /// The bytes.
        body: Bytes,
    },
    /// There is nothing more for now. Said once for each drain.
    CaughtUp,
    /// Everything up to `through` is durably forgotten: `count` envelopes more.
    Acknowledged {
        /// The last of them.
        through: u64,
        /// How many.
        count: u64,
    },
}

/// What one end of a connection has in mind.
#[derive(Debug)]
pub enum Tongue {
    /// [`relay`].
    Relay(relay::Relay),
    /// [`floor`].
    Floor(floor::Floor),
}

impl Tongue {
    /// Appends a request to what is to be written.
    ///
    /// # Errors
    /// The body is no envelope.
    pub fn say(&mut self, said: Said, output: &mut BytesMut) -> Result<(), Failure> {
        match (self, said) {
            (Self::Relay(_), Said::One(deposit)) => relay::deposit(deposit, output),
            (Self::Relay(_), Said::Many(many)) => relay::deposit_many(&many, output),
            (Self::Floor(_), Said::One(deposit)) => floor::deposit(&deposit, output),
            (Self::Floor(_), Said::Many(many)) => floor::deposit_many(&many, output),
        }
    }

    /// Understands a frame. Acknowledges what was delivered.
    ///
    /// # Errors
    /// What the other end should not have said.
    pub fn hear(&mut self, frame: Frame, output: &mut BytesMut, on: &mut impl FnMut(Event)) -> Result<(), Failure> {
        match self {
            Self::Relay(relay) => relay.hear(frame, output, on),
            Self::Floor(floor) => floor.hear(frame, output, on),
        }
    }
}
