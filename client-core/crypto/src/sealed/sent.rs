//! The message that a sender gives to a server: one ciphertext, and for each account its devices and its sealed key.
//!
//! Owns its bytes, reading included: the server reads it to make one message for each account. Whether registration ids
//! are still those of the devices is the server's to know.
//!
//! Spec: signal-wire §6.4.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::v2::{MASKED_BYTES, RECEIVED_BYTE, TAG_BYTES};
use crate::curve::PublicKey;
use crate::limits::{DEVICE_ID_MAX, SENT_MESSAGE_BYTES_MAX};
use crate::service_id::{ServiceId, ServiceIdKind};

/// The first byte of what we write: version 2 with service ids.
const SENT_BYTE: u8 = 0x23;

/// The first byte of an older form, in which recipients are the bare UUIDs of ACIs.
const SENT_BYTE_UUIDS: u8 = 0x22;

/// In the 16 bits of a device: another device of the entry follows.
const MORE_DEVICES: u16 = 0x8000;

/// In the 16 bits of a device: its registration id.
const REGISTRATION_ID_MASK: u16 = 0x3FFF;

/// One device of a recipient, as the server checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecipientDevice {
    /// 1..=127.
    pub id: u8,
    /// 14 bits.
    pub registration_id: u16,
}

/// An account to seal for, with the devices that we have sessions with.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// The account.
    pub account: ServiceId,
    /// Its identity key.
    pub identity: PublicKey,
    /// At least one.
    pub devices: &'a [RecipientDevice],
}

/// Nothing was sealed. `place` is where in the list the recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealManyError {
    /// The recipient's identity key agrees on nothing. Leave it out, and ask for another key.
    #[error("the identity key of recipient {place} agrees on nothing")]
    NotContributory {
        /// Which.
        place: usize,
    },
    /// No device, or one whose id or registration id cannot be. Leave it out, and ask for its devices.
    #[error("the devices of recipient {place} cannot be")]
    Devices {
        /// Which.
        place: usize,
    },
    /// An excluded account is among the recipients, or twice among the excluded. No reader would take it.
    #[error("an excluded account is named twice")]
    Twice,
    /// Too much content, or too many recipients. Send several messages.
    #[error("{length} bytes are too long, {limit} are possible")]
    TooLong {
        /// The length it would have, in bytes.
        length: usize,
        /// The largest length, in bytes.
        limit: usize,
    },
}

/// Bytes that are no SentMessage. Refuse them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed message to many")]
pub struct BadSentMessage;

/// A message to many as a server reads it.
///
/// Spec: signal-wire §6.4.
#[derive(Clone, PartialEq, Eq)]
pub struct SentMessage {
    recipients: Vec<Entry>,
    excluded: Vec<ServiceId>,
    /// `E ‖ shared ciphertext`, the same for all.
    shared: Vec<u8>,
}

/// One account of a [`SentMessage`]: its devices, and what only they can open.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub(super) account: ServiceId,
    pub(super) devices: Vec<RecipientDevice>,
    pub(super) masked: [u8; MASKED_BYTES],
    pub(super) tag: [u8; TAG_BYTES],
}

impl Entry {
    /// The account.
    pub fn account(&self) -> ServiceId {
        self.account
    }

    /// Its devices, in the order in which they are named.
    pub fn devices(&self) -> &[RecipientDevice] {
        &self.devices
    }
}

impl SentMessage {
    /// Reads `0x23 ‖ varint(count) ‖ entries ‖ E[32] ‖ shared ciphertext`, or the older form.
    ///
    /// Entries of one account become one, with what the first of them holds.
    ///
    /// # Errors
    /// [`BadSentMessage`]: refuse it.
    /// Spec: signal-wire §6.4.
    pub fn parse(bytes: &[u8]) -> Result<SentMessage, BadSentMessage> {
        if bytes.len() > SENT_MESSAGE_BYTES_MAX {
            return Err(BadSentMessage);
        }
        let mut from = Reader(bytes);
        let [form] = from.array()?;
        if ![SENT_BYTE, SENT_BYTE_UUIDS].contains(form) {
            return Err(BadSentMessage);
        }
        let mut recipients: Vec<Entry> = Vec::new();
        // Where an account stands in `recipients`; nothing when it is excluded.
        let mut places: BTreeMap<ServiceId, Option<usize>> = BTreeMap::new();
        let mut excluded = Vec::new();
        for _ in 0..from.count()? {
            let account = from.account(*form)?;
            let devices = from.devices()?;
            let known = places.get(&account).copied();
            if devices.is_empty() {
                if known.is_some() {
                    return Err(BadSentMessage);
                }
                places.insert(account, None);
                excluded.push(account);
                continue;
            }
            let (masked, tag) = (*from.array()?, *from.array()?);
            match known {
                Some(None) => return Err(BadSentMessage),
                Some(Some(place)) => {
                    recipients.get_mut(place).ok_or(BadSentMessage)?.devices.extend(devices);
                }
                None => {
                    places.insert(account, Some(recipients.len()));
                    recipients.push(Entry { account, devices, masked, tag });
                }
            }
        }
        let shared = from.0.to_vec();
        if shared.len() < 32 {
            return Err(BadSentMessage);
        }
        Ok(SentMessage { recipients, excluded, shared })
    }

    /// Who gets a message.
    pub fn recipients(&self) -> &[Entry] {
        &self.recipients
    }

    /// Who is known to the sender and gets none.
    pub fn excluded(&self) -> &[ServiceId] {
        &self.excluded
    }

    /// The message for one of the [`SentMessage::recipients`]: `0x22 ‖ C ‖ AT ‖ E ‖ shared ciphertext`.
    ///
    /// Spec: signal-wire §6.4.
    pub fn received_message(&self, to: &Entry) -> Vec<u8> {
        [&[RECEIVED_BYTE], &to.masked[..], &to.tag, &self.shared].concat()
    }

    /// Writes what [`SentMessage::parse`] reads.
    ///
    /// Spec: signal-wire §6.4.
    pub(super) fn write(
        entries: &[Entry],
        excluded: &[ServiceId],
        ephemeral: &PublicKey,
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, SealManyError> {
        let accounts: BTreeSet<ServiceId> = entries.iter().map(Entry::account).collect();
        let alone: BTreeSet<ServiceId> = excluded.iter().copied().collect();
        if alone.len() != excluded.len() || !alone.is_disjoint(&accounts) {
            return Err(SealManyError::Twice);
        }
        let mut bytes = vec![SENT_BYTE];
        put_varint(&mut bytes, entries.len() + excluded.len());
        for (place, Entry { account, devices, masked, tag }) in entries.iter().enumerate() {
            bytes.extend_from_slice(&account.to_fixed());
            let (last, others) = devices.split_last().ok_or(SealManyError::Devices { place })?;
            let marked = others.iter().map(|device| (device, MORE_DEVICES)).chain([(last, 0)]);
            for (RecipientDevice { id, registration_id }, more) in marked {
                if !(1..=DEVICE_ID_MAX).contains(id) || *registration_id > REGISTRATION_ID_MASK {
                    return Err(SealManyError::Devices { place });
                }
                bytes.push(*id);
                bytes.extend_from_slice(&(registration_id | more).to_be_bytes());
            }
            bytes.extend_from_slice(masked);
            bytes.extend_from_slice(tag);
        }
        for account in excluded {
            bytes.extend_from_slice(&account.to_fixed());
            bytes.push(0);
        }
        bytes.extend_from_slice(ephemeral.as_bytes());
        bytes.extend_from_slice(ciphertext);
        let (length, limit) = (bytes.len(), SENT_MESSAGE_BYTES_MAX);
        if length <= limit { Ok(bytes) } else { Err(SealManyError::TooLong { length, limit }) }
    }
}

impl fmt::Debug for SentMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recipients, excluded, shared } = self;
        f.debug_struct("SentMessage")
            .field("recipients", &recipients.len())
            .field("excluded", &excluded.len())
            .field("bytes", &shared.len())
            .finish_non_exhaustive()
    }
}

/// The account and its devices; keys are as little to be printed as ciphertexts.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, devices, masked: _, tag: _ } = self;
        f.debug_struct("Entry").field("account", account).field("devices", devices).finish_non_exhaustive()
    }
}

/// Bytes that are consumed from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], BadSentMessage> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(BadSentMessage)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A varint of at most 32 bits in its shortest form: the official library misreads longer ones, so nobody sends them.
    fn count(&mut self) -> Result<u32, BadSentMessage> {
        let mut value = 0_u64;
        for place in 0..5 {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                let shortest = place == 0 || *byte != 0;
                return u32::try_from(value).ok().filter(|_| shortest).ok_or(BadSentMessage);
            }
        }
        Err(BadSentMessage)
    }

    fn account(&mut self, form: u8) -> Result<ServiceId, BadSentMessage> {
        if form == SENT_BYTE_UUIDS {
            return Ok(ServiceId::new(ServiceIdKind::Aci, *self.array()?));
        }
        ServiceId::from_fixed(self.array()?).map_err(|_| BadSentMessage)
    }

    /// The devices of an entry; none when a zero byte stands in their place.
    fn devices(&mut self) -> Result<Vec<RecipientDevice>, BadSentMessage> {
        let mut devices = Vec::new();
        loop {
            let [id] = self.array()?;
            if *id == 0 && devices.is_empty() {
                return Ok(devices);
            }
            if !(1..=DEVICE_ID_MAX).contains(id) {
                return Err(BadSentMessage);
            }
            let bits = u16::from_be_bytes(*self.array()?);
            devices.push(RecipientDevice { id: *id, registration_id: bits & REGISTRATION_ID_MASK });
            if bits & MORE_DEVICES == 0 {
                return Ok(devices);
            }
        }
    }
}

fn put_varint(to: &mut Vec<u8>, mut value: usize) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            to.push(low & 0x7F);
            return;
        }
        to.push(low | 0x80);
    }
}
