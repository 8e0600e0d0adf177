//! What a new device asks of the ones that are there: `hushwire:d#…`, to be copied. It holds nothing secret, only
//! what will stand in the list; whoever approves it takes care that it comes from their own new device.
//!
//! The part after `#` is base64url of `version (1) ‖ account (32) ‖ checksum (4) ‖ the device as in a list`.
//!
//! Spec: keyserver §3.8.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use hushwire_proto::account::{Device, encode_device, parse_device};
use hushwire_proto::ids::AccountId;
use hushwire_proto::limits::LINK_BYTES_MAX;
use hushwire_proto::signing::{Label, Transcript};
use sha2::{Digest, Sha256};

const PREFIX: &str = "hushwire:d#";
const VERSION: u8 = 1;

/// A device that wants to be one of this account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Whose it wants to be.
    pub account: AccountId,
    /// As it shall stand in the list.
    pub device: Device,
}

/// Why a text is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDeviceRequest {
    /// It begins otherwise.
    #[error("a device's request begins with `hushwire:d#`")]
    Prefix,
    /// A character is missing or wrong.
    #[error("the request is damaged: a part is missing or mistyped; copy it again from the new device")]
    Damaged,
    /// From a later program.
    #[error("the request is of version {0}, which this program does not know; update it")]
    Version(u8),
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = encode_device(&self.device);
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.account.as_bytes());
        bytes.extend_from_slice(&checksum(&self.account, &device));
        bytes.extend_from_slice(&device);
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for DeviceRequest {
    type Err = BadDeviceRequest;

    fn from_str(text: &str) -> Result<Self, BadDeviceRequest> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(BadDeviceRequest::Prefix)?;
        if encoded.len() > 2 * LINK_BYTES_MAX {
            return Err(BadDeviceRequest::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| BadDeviceRequest::Damaged)?;
        let (version, rest) = bytes.split_first().ok_or(BadDeviceRequest::Damaged)?;
        if *version != VERSION {
            return Err(BadDeviceRequest::Version(*version));
        }
        let (account, rest) = rest.split_first_chunk::<32>().ok_or(BadDeviceRequest::Damaged)?;
        let (found, device) = rest.split_first_chunk::<4>().ok_or(BadDeviceRequest::Damaged)?;
        let account = AccountId(*account);
        if checksum(&account, device) != *found {
            return Err(BadDeviceRequest::Damaged);
        }
        Ok(Self { account, device: parse_device(device).map_err(|_| BadDeviceRequest::Damaged)? })
    }
}

/// Finds slips of copying, not forgers.
fn checksum(account: &AccountId, device: &[u8]) -> [u8; 4] {
    let transcript = Transcript::new(Label::DeviceRequest).part(account.as_bytes()).part(device);
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(transcript.bytes()));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hushwire_proto::address::{RELAY_PORT, ServerAddress};
    use hushwire_proto::ids::DeviceId;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::account::NewDevice;

    #[test]
    fn a_request_reads_back_and_a_character_that_is_wrong_anywhere_is_noticed() {
        let relay = ServerAddress::parse("hush://relay.example.org", RELAY_PORT).unwrap();
        let made = NewDevice::generate(DeviceId::FIRST, "phone".into(), &relay, &mut StdRng::seed_from_u64(1));
        let request = DeviceRequest { account: AccountId([7; 32]), device: made.device };
        let text = request.to_string();
        assert_eq!(text.parse(), Ok(request.clone()));
        for place in PREFIX.len()..text.len() {
            let mut changed = text.clone().into_bytes();
            let byte = changed.get_mut(place).unwrap();
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            assert_ne!(String::from_utf8(changed).unwrap().parse::<DeviceRequest>().as_ref(), Ok(&request));
        }
        for end in 0..text.len() {
            assert!(text.get(..end).unwrap().parse::<DeviceRequest>().is_err());
        }
    }
}
