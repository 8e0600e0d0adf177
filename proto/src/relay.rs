//! What clients and a relay say to each other, as checked values.
//!
//! A [`Request`] is answered once by an [`Answer`] with the same request id; a [`Push`] comes unasked after
//! [`Request::Drain`]. Parsing checks every length and range; a value of these types is always sendable.
//!
//! Spec: relay §4 to §7, §9.

mod many;
mod whisper;

use bytes::Bytes;

pub use self::many::{DepositMany, Door, Outcome, StoredMany};
pub use self::whisper::{Whisper, Whispered};
use crate::auth::SignatureBytes;
use crate::envelope::Envelope;
use crate::ids::{DepositId, MailboxId, Seq, Token, TokenHash, UnixMillis};
use crate::limits::{PUSH_ENVELOPES_MAX, TOKENS_PER_GRANT_MAX};
pub use crate::parse::BadMessage;
use crate::parse::{DETAIL_BYTES_MAX, at_most, decode, encode, exactly, some, text_at_most};
use crate::wire::relay as wire;

/// What a token lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenClass {
    /// First contact by anyone who knows the device list; a small share of the mailbox.
    Request,
    /// Given to one contact inside the encrypted channel; revoked to be rid of them.
    Contact,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Who is there, what time is it, what are the limits.
    Hello,
    /// This connection owns the mailbox; made at its first opening.
    Open {
        /// Which.
        mailbox: MailboxId,
        /// [`crate::auth::prove_mailbox`] over this connection's exporter.
        proof: SignatureBytes,
    },
    /// Lets holders of these tokens deposit. Needs the mailbox open; repeating changes nothing.
    Grant {
        /// Which.
        mailbox: MailboxId,
        /// Hash and class of each.
        tokens: Vec<(TokenHash, TokenClass)>,
    },
    /// Holders of these tokens deposit no more. Needs the mailbox open.
    Revoke {
        /// Which.
        mailbox: MailboxId,
        /// Hash of each.
        hashes: Vec<TokenHash>,
    },
    /// Puts an envelope into a mailbox. Only on a connection that never opened one.
    Deposit(Deposit),
    /// Puts one envelope into many mailboxes. Only on a connection that never opened one.
    DepositMany(DepositMany),
    /// Hands an envelope to whoever drains a mailbox now, and keeps nothing of it. Only on a connection that never opened
    /// one.
    Whisper(Whisper),
    /// Send everything after `after`, then whatever comes. Needs the mailbox open.
    Drain {
        /// Which.
        mailbox: MailboxId,
        /// The last that the client has kept.
        after: Seq,
    },
    /// The client has kept everything up to and including `through`. Needs the mailbox open.
    Acknowledge {
        /// Which.
        mailbox: MailboxId,
        /// The last that is kept.
        through: Seq,
    },
}

/// An envelope on its way into a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Whose mailbox.
    pub mailbox: MailboxId,
    /// The right to deposit there.
    pub token: Token,
    /// The same for every retry.
    pub id: DepositId,
    /// What to keep.
    pub envelope: Envelope,
}

/// What a relay answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Hello`].
    Welcome(Welcome),
    /// The mailbox is open on this connection.
    Opened,
    /// The tokens are registered, durably.
    Granted,
    /// The tokens are gone, durably.
    Revoked,
    /// The envelope is kept, durably. Says nothing of whether it was there before.
    Stored,
    /// What became of the envelope at each door.
    StoredMany(StoredMany),
    /// The door was right. Says nothing of whether anybody hears it.
    Passed,
    /// Pushes follow.
    Draining {
        /// Envelopes that stand there now; 0: none, or this relay does not say. What it gives out is what counts.
        waiting: u64,
    },
    /// Forgotten up to there.
    Acknowledged,
    /// Not done. Nothing changed.
    Refused(Refused),
}

/// What a relay says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The relay's clock.
    pub now: UnixMillis,
    /// Seconds that an undelivered envelope is kept.
    pub retention_seconds: u64,
    /// Bytes that one mailbox holds.
    pub mailbox_bytes_max: u64,
    /// Name and version of the software.
    pub software: String,
    /// What it takes from one client.
    pub limits: Limits,
}

/// What a relay takes from one client before it refuses. 0: this relay does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one envelope.
    pub envelope_bytes_max: u64,
    /// Requests of one connection that are in work; further ones wait.
    pub requests_in_flight_max: u32,
    /// Mailboxes of one [`DepositMany`].
    pub fanout_max: u32,
    /// Requests of one network address in a second, acknowledging and draining not counted.
    pub requests_per_second: u32,
    /// Bytes of deposits of one network address that are in work.
    pub bytes_in_flight_max: u64,
    /// Envelopes of up to 4 KiB stored in a second under one token; a longer one counts as several.
    pub token_per_second: u32,
    /// The same in one mailbox, under whatever tokens.
    pub mailbox_per_second: u32,
}

/// Not done; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refused {
    /// Who must act.
    pub reason: RefusedReason,
    /// A sentence for a person.
    pub detail: String,
    /// Milliseconds after which a retry makes sense; 0: not by waiting.
    pub retry_after_ms: u64,
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            #[must_use]
            pub fn code(self) -> u32 {
                match self { $(Self::$variant => $code),* }
            }

            /// The reason of that number.
            #[must_use]
            pub fn from_code(code: u32) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),* })
            }
        }
    };
}
pub(crate) use reasons;

reasons! {
    /// Why a relay did not do what was asked.
    RefusedReason {
        /// The payload is no message of this protocol: update one of the two programs.
        BadRequest = 1, "bad request";
        /// The proof was not made by the mailbox's key for this connection.
        BadProof = 2, "bad proof";
        /// This needs [`Request::Open`] first.
        NotOpen = 3, "mailbox not open on this connection";
        /// There is no such mailbox, or this token does not open it: which, is not said. Fetch the device list anew.
        NoSuchDoor = 4, "no such mailbox or token";
        /// A connection that owns a mailbox may not deposit: sender and owner must not be linked. Use another one.
        OwnerMayNotDeposit = 5, "owner connections may not deposit";
        /// The mailbox, or the part of it that strangers may fill, is full. Retry when its owner has been there.
        MailboxFull = 6, "mailbox full";
        /// More of something than one client may have; the limit is in the detail.
        TooMany = 7, "too many";
        /// The relay has too much to do. Retry after the given time.
        Overloaded = 8, "overloaded";
        /// The relay is about to stop. Connect again.
        GoingAway = 9, "going away";
        /// The relay's storage failed; it is about to stop.
        StorageFailed = 10, "storage failed";
        /// The relay's disk is nearly full: nothing new is taken, what is there can be fetched. Retry after the given time.
        StorageFull = 11, "storage full";
        /// More comes with this token, or for this mailbox, than the relay takes in a short time. Retry there after the given time.
        TooFast = 12, "too many envelopes for this mailbox";
    }
}

/// What a relay says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// Envelopes of a mailbox that drains, oldest first.
    Deliveries(Deliveries),
    /// An envelope that is kept nowhere, for a mailbox that drains.
    Whispered(Whispered),
}

/// Some envelopes of one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliveries {
    /// Whose.
    pub mailbox: MailboxId,
    /// Envelopes up to this one expired before they were acknowledged; 0: none ever did.
    pub expired_through: Seq,
    /// Oldest first. May be empty when only an expiry is told.
    pub deliveries: Vec<Delivery>,
}

/// One envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its place.
    pub seq: Seq,
    /// When the relay took it.
    pub stored_at: UnixMillis,
    /// The sealed bytes.
    pub envelope: Envelope,
}

impl Request {
    /// The payload of a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        use wire::request::Body;
        let body = match self {
            Self::Hello => Body::Hello(wire::Hello {}),
            Self::Open { mailbox, proof } => {
                Body::Open(wire::Open { mailbox: copy(mailbox.as_bytes()), signature: copy(proof) })
            }
            Self::Grant { mailbox, tokens } => Body::Grant(wire::Grant {
                mailbox: copy(mailbox.as_bytes()),
                tokens: tokens
                    .iter()
                    .map(|(hash, class)| wire::TokenGrant { hash: copy(hash.as_bytes()), class: class_code(*class) })
                    .collect(),
            }),
            Self::Revoke { mailbox, hashes } => Body::Revoke(wire::Revoke {
                mailbox: copy(mailbox.as_bytes()),
                hashes: hashes.iter().map(|hash| copy(hash.as_bytes())).collect(),
            }),
            Self::Deposit(deposit) => Body::Deposit(wire::Deposit {
                mailbox: copy(deposit.mailbox.as_bytes()),
                token: copy(deposit.token.expose()),
                id: copy(deposit.id.as_bytes()),
                envelope: deposit.envelope.bytes().clone(),
            }),
            Self::DepositMany(many) => Body::DepositMany(many.encode()),
            Self::Whisper(whisper) => Body::Whisper(whisper.encode()),
            Self::Drain { mailbox, after } => {
                Body::Drain(wire::Drain { mailbox: copy(mailbox.as_bytes()), after: after.0 })
            }
            Self::Acknowledge { mailbox, through } => {
                Body::Acknowledge(wire::Acknowledge { mailbox: copy(mailbox.as_bytes()), through: through.0 })
            }
        };
        encode(&wire::Request { body: Some(body) })
    }

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong with it.
    pub fn parse(payload: &Bytes) -> Result<Self, BadMessage> {
        use wire::request::Body;
        let message: wire::Request = decode(payload)?;
        Ok(match message.body.ok_or(BadMessage::UnknownKind)? {
            Body::Hello(wire::Hello {}) => Self::Hello,
            Body::Open(open) => {
                Self::Open { mailbox: mailbox(&open.mailbox)?, proof: exactly("signature", &open.signature)? }
            }
            Body::Grant(grant) => Self::Grant {
                mailbox: mailbox(&grant.mailbox)?,
                tokens: at_most("tokens", grant.tokens, TOKENS_PER_GRANT_MAX)?
                    .into_iter()
                    .map(|token| Ok((TokenHash(exactly("hash", &token.hash)?), class(token.class)?)))
                    .collect::<Result<_, BadMessage>>()?,
            },
            Body::Revoke(revoke) => Self::Revoke {
                mailbox: mailbox(&revoke.mailbox)?,
                hashes: at_most("hashes", revoke.hashes, TOKENS_PER_GRANT_MAX)?
                    .iter()
                    .map(|hash| Ok(TokenHash(exactly("hash", hash)?)))
                    .collect::<Result<_, BadMessage>>()?,
            },
            Body::Deposit(deposit) => Self::Deposit(Deposit {
                mailbox: mailbox(&deposit.mailbox)?,
                token: some("token", Token::from_slice(&deposit.token))?,
                id: DepositId(exactly("id", &deposit.id)?),
                // A copy: it is kept for longer than the buffer it was read into, which may be a thousand times as large.
                envelope: Envelope::new(copy(&deposit.envelope)).map_err(|_| BadMessage::Length("envelope"))?,
            }),
            Body::DepositMany(many) => Self::DepositMany(DepositMany::parse(&many)?),
            Body::Whisper(whisper) => Self::Whisper(Whisper::parse(whisper)?),
            Body::Drain(drain) => Self::Drain { mailbox: mailbox(&drain.mailbox)?, after: Seq(drain.after) },
            Body::Acknowledge(ack) => Self::Acknowledge { mailbox: mailbox(&ack.mailbox)?, through: Seq(ack.through) },
        })
    }
}

impl Answer {
    /// The payload of a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        use wire::answer::Body;
        let body = match self {
            Self::Welcome(welcome) => Body::Welcome(wire::Welcome {
                now_ms: welcome.now.0,
                retention_seconds: welcome.retention_seconds,
                mailbox_bytes_max: welcome.mailbox_bytes_max,
                software: welcome.software.clone(),
                envelope_bytes_max: welcome.limits.envelope_bytes_max,
                requests_in_flight_max: welcome.limits.requests_in_flight_max,
                fanout_max: welcome.limits.fanout_max,
                requests_per_second: welcome.limits.requests_per_second,
                bytes_in_flight_max: welcome.limits.bytes_in_flight_max,
                token_per_second: welcome.limits.token_per_second,
                mailbox_per_second: welcome.limits.mailbox_per_second,
            }),
            Self::Opened => Body::Opened(wire::Opened {}),
            Self::Granted => Body::Granted(wire::Granted {}),
            Self::Revoked => Body::Revoked(wire::Revoked {}),
            Self::Stored => Body::Stored(wire::Stored {}),
            Self::StoredMany(many) => Body::StoredMany(many.encode()),
            Self::Passed => Body::Passed(wire::Passed {}),
            Self::Draining { waiting } => Body::Draining(wire::Draining { waiting: *waiting }),
            Self::Acknowledged => Body::Acknowledged(wire::Acknowledged {}),
            Self::Refused(refused) => Body::Refused(wire::Refused {
                reason: refused.reason.code(),
                detail: refused.detail.chars().take(DETAIL_BYTES_MAX / 4).collect(),
                retry_after_ms: refused.retry_after_ms,
            }),
        };
        encode(&wire::Answer { body: Some(body) })
    }

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong with it.
    pub fn parse(payload: &Bytes) -> Result<Self, BadMessage> {
        use wire::answer::Body;
        let message: wire::Answer = decode(payload)?;
        Ok(match message.body.ok_or(BadMessage::UnknownKind)? {
            Body::Welcome(welcome) => Self::Welcome(Welcome {
                now: UnixMillis(welcome.now_ms),
                retention_seconds: welcome.retention_seconds,
                mailbox_bytes_max: welcome.mailbox_bytes_max,
                software: text_at_most("software", welcome.software, DETAIL_BYTES_MAX)?,
                limits: Limits {
                    envelope_bytes_max: welcome.envelope_bytes_max,
                    requests_in_flight_max: welcome.requests_in_flight_max,
                    fanout_max: welcome.fanout_max,
                    requests_per_second: welcome.requests_per_second,
                    bytes_in_flight_max: welcome.bytes_in_flight_max,
                    token_per_second: welcome.token_per_second,
                    mailbox_per_second: welcome.mailbox_per_second,
                },
            }),
            Body::Opened(wire::Opened {}) => Self::Opened,
            Body::Granted(wire::Granted {}) => Self::Granted,
            Body::Revoked(wire::Revoked {}) => Self::Revoked,
            Body::Stored(wire::Stored {}) => Self::Stored,
            Body::StoredMany(many) => Self::StoredMany(StoredMany::parse(&many)?),
            Body::Passed(wire::Passed {}) => Self::Passed,
            Body::Draining(wire::Draining { waiting }) => Self::Draining { waiting },
            Body::Acknowledged(wire::Acknowledged {}) => Self::Acknowledged,
            Body::Refused(refused) => Self::Refused(Refused {
                reason: RefusedReason::from_code(refused.reason).ok_or(BadMessage::Range("reason"))?,
                detail: text_at_most("detail", refused.detail, DETAIL_BYTES_MAX)?,
                retry_after_ms: refused.retry_after_ms,
            }),
        })
    }
}

impl Push {
    /// The payload of a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        use wire::push::Body;
        let body = match self {
            Self::Deliveries(deliveries) => Body::Deliveries(wire::Deliveries {
                mailbox: copy(deliveries.mailbox.as_bytes()),
                expired_through: deliveries.expired_through.0,
                deliveries: deliveries
                    .deliveries
                    .iter()
                    .map(|delivery| wire::Delivery {
                        seq: delivery.seq.0,
                        stored_at_ms: delivery.stored_at.0,
                        envelope: delivery.envelope.bytes().clone(),
                    })
                    .collect(),
            }),
            Self::Whispered(whispered) => Body::Whispered(whispered.encode()),
        };
        encode(&wire::Push { body: Some(body) })
    }

    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// [`BadMessage`] says what is wrong with it.
    pub fn parse(payload: &Bytes) -> Result<Self, BadMessage> {
        use wire::push::Body;
        let message: wire::Push = decode(payload)?;
        let deliveries = match message.body.ok_or(BadMessage::UnknownKind)? {
            Body::Deliveries(deliveries) => deliveries,
            Body::Whispered(whispered) => return Ok(Self::Whispered(Whispered::parse(whispered)?)),
        };
        Ok(Self::Deliveries(Deliveries {
            mailbox: mailbox(&deliveries.mailbox)?,
            expired_through: Seq(deliveries.expired_through),
            deliveries: at_most("deliveries", deliveries.deliveries, PUSH_ENVELOPES_MAX)?
                .into_iter()
                .map(|delivery| {
                    Ok(Delivery {
                        seq: Seq(delivery.seq),
                        stored_at: UnixMillis(delivery.stored_at_ms),
                        envelope: Envelope::new(delivery.envelope).map_err(|_| BadMessage::Length("envelope"))?,
                    })
                })
                .collect::<Result<_, BadMessage>>()?,
        }))
    }
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn mailbox(bytes: &[u8]) -> Result<MailboxId, BadMessage> {
    Ok(MailboxId(exactly("mailbox", bytes)?))
}

fn class_code(class: TokenClass) -> u32 {
    match class {
        TokenClass::Request => 1,
        TokenClass::Contact => 2,
    }
}

fn class(code: u32) -> Result<TokenClass, BadMessage> {
    match code {
        1 => Ok(TokenClass::Request),
        2 => Ok(TokenClass::Contact),
        _ => Err(BadMessage::Range("class")),
    }
}
