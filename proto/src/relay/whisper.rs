//! What need not arrive: an envelope for whoever drains a mailbox at this moment, which no relay keeps.
//!
//! Spec: relay §9.

use bytes::Bytes;

use super::{BadMessage, copy, mailbox};
use crate::{
    envelope::Envelope,
    ids::{MailboxId, Token},
    limits::WHISPER_BYTES_MAX,
    parse::some,
    wire::relay as wire,
};

/// An envelope on its way to whoever is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whisper {
    /// Whose mailbox.
    pub mailbox: MailboxId,
    /// The right to deposit there, as a contact has it.
    pub token: Token,
    /// At most [`WHISPER_BYTES_MAX`] bytes.
    pub envelope: Envelope,
}

/// An envelope that came so. It has no number, is not acknowledged and never comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whispered {
    /// Whose mailbox.
    pub mailbox: MailboxId,
    /// At most [`WHISPER_BYTES_MAX`] bytes.
    pub envelope: Envelope,
}

impl Whisper {
    pub(super) fn encode(&self) -> wire::Whisper {
        wire::Whisper {
            mailbox: copy(self.mailbox.as_bytes()),
            token: copy(self.token.expose()),
            envelope: self.envelope.bytes().clone(),
        }
    }

    pub(super) fn parse(message: wire::Whisper) -> Result<Self, BadMessage> {
        Ok(Self {
            mailbox: mailbox(&message.mailbox)?,
            token: some("token", Token::from_slice(&message.token))?,
            envelope: small(message.envelope)?,
        })
    }
}

impl Whispered {
    pub(super) fn encode(&self) -> wire::Whispered {
        wire::Whispered { mailbox: copy(self.mailbox.as_bytes()), envelope: self.envelope.bytes().clone() }
    }

    pub(super) fn parse(message: wire::Whispered) -> Result<Self, BadMessage> {
        Ok(Self { mailbox: mailbox(&message.mailbox)?, envelope: small(message.envelope)? })
    }
}

fn small(bytes: Bytes) -> Result<Envelope, BadMessage> {
    let envelope = Envelope::new(bytes).map_err(|_| BadMessage::Length("envelope"))?;
    if envelope.len() > WHISPER_BYTES_MAX {
        return Err(BadMessage::Length("envelope"));
    }
    Ok(envelope)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{limits::ENVELOPE_CLASSES, relay::Request};

    #[test]
    fn only_the_two_smallest_classes_are_whispered() {
        for bytes in ENVELOPE_CLASSES {
            let whisper = Request::Whisper(Whisper {
                mailbox: MailboxId([1; 32]),
                token: Token::from_slice(&[2; 32]).unwrap(),
                envelope: Envelope::new(vec![3; bytes].into()).unwrap(),
            });
            let read = Request::parse(&whisper.encode());
            assert_eq!(read.is_ok(), bytes <= 1024, "{bytes}: {read:?}");
        }
    }
}
