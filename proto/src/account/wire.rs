//! Links as bytes, and back: each field checked once.
//!
//! Spec: keyserver §3.1.

use bytes::Bytes;
use prost::Message as _;

use super::{Device, Link, REGISTRATION_ID_MAX, Signatory, SignedLink, are_distinct, is_device_name};
use crate::ids::{DeviceId, LinkHash, MailboxId, Token};
use crate::limits::{ADDRESS_BYTES_MAX, CHAIN_BYTES_MAX, CHAIN_LINKS_MAX, DEVICES_PER_ACCOUNT_MAX, LINK_BYTES_MAX};
use crate::parse::{BadMessage, at_most, exactly, some, text_at_most};
use crate::wire::account as wire;

impl Link {
    pub(super) fn to_wire(&self) -> wire::Link {
        wire::Link {
            version: self.version,
            previous: self.previous.map(|hash| copy(hash.as_bytes())).unwrap_or_default(),
            devices: self.devices.iter().map(device_to_wire).collect(),
            recovery_key: copy(&self.recovery_key),
        }
    }

    fn from_wire(link: wire::Link) -> Result<Self, BadMessage> {
        let devices = at_most("devices", link.devices, DEVICES_PER_ACCOUNT_MAX)?
            .into_iter()
            .map(device_from_wire)
            .collect::<Result<Vec<_>, _>>()?;
        if devices.is_empty() || !devices.is_sorted_by(|a, b| a.id < b.id) {
            return Err(BadMessage::Range("devices"));
        }
        if !are_distinct(&devices) {
            return Err(BadMessage::Range("name"));
        }
        let previous = match link.previous.is_empty() {
            true => None,
            false => Some(LinkHash(exactly("previous", &link.previous)?)),
        };
        Ok(Self {
            version: link.version,
            previous,
            devices,
            recovery_key: exactly("recovery_key", &link.recovery_key)?,
        })
    }
}

impl Link {
    /// Bytes that it takes as it is signed.
    pub(super) fn encoded_len(&self) -> usize {
        self.to_wire().encoded_len()
    }
}

impl SignedLink {
    pub(crate) fn to_wire(&self) -> wire::SignedLink {
        wire::SignedLink {
            link: self.bytes.clone(),
            device_id: match self.signatory {
                Signatory::Device(id) => id.get().into(),
                Signatory::Recovery => 0,
            },
            signature: copy(&self.signature),
        }
    }

    pub(crate) fn from_wire(signed: wire::SignedLink) -> Result<Self, BadMessage> {
        if signed.link.len() > LINK_BYTES_MAX {
            return Err(BadMessage::TooMany { field: "link", limit: LINK_BYTES_MAX });
        }
        let link = Link::from_wire(wire::Link::decode(signed.link.clone()).map_err(|_| BadMessage::Encoding)?)?;
        let signatory = match signed.device_id {
            0 => Signatory::Recovery,
            id => Signatory::Device(DeviceId::new(id).ok_or(BadMessage::Range("device_id"))?),
        };
        Ok(Self { bytes: signed.link, link, signatory, signature: exactly("signature", &signed.signature)? })
    }
}

/// Bytes of one device by itself, as it stands in a list.
#[must_use]
pub fn encode_device(device: &Device) -> Vec<u8> {
    device_to_wire(device).encode_to_vec()
}

/// Reads what [`encode_device`] wrote. Not verified yet.
///
/// # Errors
/// [`BadMessage`].
pub fn parse_device(bytes: &[u8]) -> Result<Device, BadMessage> {
    if bytes.len() > LINK_BYTES_MAX {
        return Err(BadMessage::TooMany { field: "device", limit: LINK_BYTES_MAX });
    }
    device_from_wire(wire::Device::decode(bytes).map_err(|_| BadMessage::Encoding)?)
}

/// Bytes of a list of links, for the store and for sealed envelopes.
#[must_use]
pub fn encode_links(links: &[SignedLink]) -> Vec<u8> {
    links_to_wire(links).encode_to_vec()
}

/// Reads what [`encode_links`] wrote. Not verified yet.
///
/// # Errors
/// [`BadMessage`].
pub fn parse_links(bytes: &[u8]) -> Result<Vec<SignedLink>, BadMessage> {
    if bytes.len() > CHAIN_BYTES_MAX {
        return Err(BadMessage::TooMany { field: "chain", limit: CHAIN_BYTES_MAX });
    }
    let chain = wire::Chain::decode(bytes).map_err(|_| BadMessage::Encoding)?;
    at_most("links", chain.links, CHAIN_LINKS_MAX)?.into_iter().map(SignedLink::from_wire).collect()
}

pub(crate) fn links_to_wire(links: &[SignedLink]) -> wire::Chain {
    wire::Chain { links: links.iter().map(SignedLink::to_wire).collect() }
}

fn device_to_wire(device: &Device) -> wire::Device {
    wire::Device {
        id: device.id.get().into(),
        registration_id: device.registration_id.into(),
        identity_key: copy(&device.identity_key),
        signing_key: copy(&device.signing_key),
        identity_proof: copy(&device.identity_proof),
        relay: device.relay.clone(),
        mailbox: copy(device.mailbox.as_bytes()),
        request_token: copy(device.request_token.expose()),
        name: device.name.clone(),
    }
}

fn device_from_wire(device: wire::Device) -> Result<Device, BadMessage> {
    let registration_id = u16::try_from(device.registration_id)
        .ok()
        .filter(|id| *id <= REGISTRATION_ID_MAX)
        .ok_or(BadMessage::Range("registration_id"))?;
    Ok(Device {
        id: DeviceId::new(device.id).ok_or(BadMessage::Range("id"))?,
        registration_id,
        identity_key: exactly("identity_key", &device.identity_key)?,
        signing_key: exactly("signing_key", &device.signing_key)?,
        identity_proof: exactly("identity_proof", &device.identity_proof)?,
        relay: text_at_most("relay", device.relay, ADDRESS_BYTES_MAX)?,
        mailbox: MailboxId(exactly("mailbox", &device.mailbox)?),
        request_token: some("request_token", Token::from_slice(&device.request_token))?,
        name: Some(device.name).filter(|name| is_device_name(name)).ok_or(BadMessage::Range("name"))?,
    })
}

fn copy(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
