//! Service ids: how Signal names an account, and its three writings.
//!
//! Hushwire's accounts have no such names; they are here for what is spoken with Signal: addresses in first messages,
//! certificates and lists of recipients.
//!
//! Spec: signal-wire §1.5.

use std::fmt;

use crate::limits::DEVICE_ID_MAX;

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// What a PNI's text begins with. An ACI's begins with nothing.
const PNI_PREFIX: &str = "PNI:";

/// Which of an account's two ids it is.
///
/// Spec: signal-wire §1.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceIdKind {
    /// The account itself. 0 in bytes.
    Aci,
    /// Its telephone number. 1 in bytes.
    Pni,
}

/// The name of an account: a kind and a UUID.
///
/// Spec: signal-wire §1.5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceId {
    kind: ServiceIdKind,
    uuid: [u8; 16],
}

/// Bytes or text that are no service id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a service id")]
pub struct BadServiceId;

impl ServiceId {
    /// The id of this kind and UUID.
    pub const fn new(kind: ServiceIdKind, uuid: [u8; 16]) -> ServiceId {
        ServiceId { kind, uuid }
    }

    /// Its kind.
    pub const fn kind(&self) -> ServiceIdKind {
        self.kind
    }

    /// Its UUID.
    pub const fn uuid(&self) -> &[u8; 16] {
        &self.uuid
    }

    /// Reads a hyphenated UUID, with `PNI:` in front if it is one. Hex in any case, the prefix in capitals.
    ///
    /// # Errors
    /// [`BadServiceId`]: another form. Refuse whatever holds it.
    /// Spec: signal-wire §1.5.
    pub fn parse(text: &str) -> Result<ServiceId, BadServiceId> {
        let (kind, text) = match text.strip_prefix(PNI_PREFIX) {
            Some(uuid) => (ServiceIdKind::Pni, uuid),
            None => (ServiceIdKind::Aci, text),
        };
        let mut uuid = [0; 16];
        let mut digits = Vec::with_capacity(32);
        for (place, character) in text.chars().enumerate() {
            match (HYPHENS.contains(&place), character) {
                (true, '-') => {}
                (false, digit) => digits.push(digit.to_digit(16).ok_or(BadServiceId)?),
                (true, _) => return Err(BadServiceId),
            }
        }
        if digits.len() != 32 {
            return Err(BadServiceId);
        }
        for (byte, pair) in uuid.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = pair;
            *byte = u8::try_from(high << 4 | low).map_err(|_| BadServiceId)?;
        }
        Ok(ServiceId { kind, uuid })
    }

    /// Reads `kind ‖ UUID`, 17 bytes.
    ///
    /// # Errors
    /// [`BadServiceId`]: a kind above 1.
    /// Spec: signal-wire §1.5.
    pub fn from_fixed(bytes: &[u8; 17]) -> Result<ServiceId, BadServiceId> {
        let [kind, ..] = bytes;
        let kind = match kind {
            0 => ServiceIdKind::Aci,
            1 => ServiceIdKind::Pni,
            _ => return Err(BadServiceId),
        };
        Ok(ServiceId { kind, uuid: *bytes.last_chunk().ok_or(BadServiceId)? })
    }

    /// `kind ‖ UUID`, 17 bytes.
    ///
    /// Spec: signal-wire §1.5.
    pub fn to_fixed(&self) -> [u8; 17] {
        let mut bytes = [self.kind.to_byte(); 17];
        for (to, byte) in bytes.iter_mut().skip(1).zip(self.uuid) {
            *to = byte;
        }
        bytes
    }

    /// Reads the binary form: 16 bytes of an ACI, or 17 of a PNI.
    ///
    /// # Errors
    /// [`BadServiceId`]: another length, or an ACI in 17 bytes.
    /// Spec: signal-wire §1.5.
    pub fn from_binary(bytes: &[u8]) -> Result<ServiceId, BadServiceId> {
        if let Ok(uuid) = bytes.try_into() {
            return Ok(ServiceId::new(ServiceIdKind::Aci, uuid));
        }
        let id = ServiceId::from_fixed(bytes.try_into().map_err(|_| BadServiceId)?)?;
        if id.kind == ServiceIdKind::Pni { Ok(id) } else { Err(BadServiceId) }
    }

    /// The binary form: 16 bytes of an ACI, or 17 of a PNI.
    ///
    /// Spec: signal-wire §1.5.
    pub fn to_binary(&self) -> Vec<u8> {
        match self.kind {
            ServiceIdKind::Aci => self.uuid.to_vec(),
            ServiceIdKind::Pni => self.to_fixed().to_vec(),
        }
    }

    /// The address of one device, as [`Addresses`](crate::Addresses) has it. Nothing for a device that cannot exist.
    ///
    /// Spec: signal-wire §1.5, §3.3.
    pub fn address(&self, device_id: u8) -> Option<[u8; 18]> {
        let mut bytes = [device_id; 18];
        for (to, byte) in bytes.iter_mut().zip(self.to_fixed()) {
            *to = byte;
        }
        (1..=DEVICE_ID_MAX).contains(&device_id).then_some(bytes)
    }
}

impl ServiceIdKind {
    fn to_byte(self) -> u8 {
        match self {
            ServiceIdKind::Aci => 0,
            ServiceIdKind::Pni => 1,
        }
    }
}

/// The text of a UUID, in lower case.
pub(crate) fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in uuid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 0x0F] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
    text
}

/// The text that [`ServiceId::parse`] reads, in lower case.
impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == ServiceIdKind::Pni {
            f.write_str(PNI_PREFIX)?;
        }
        f.write_str(&uuid_text(&self.uuid))
    }
}

/// The kind and four bytes: enough to tell ids apart in a log, too few to look a person up.
impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.uuid;
        write!(f, "ServiceId({:?} {a:02x}{b:02x}{c:02x}{d:02x}…)", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    use super::*;

    #[test]
    fn service_ids_have_the_recorded_writings() {
        let keys: Value = serde_json::from_str(include_str!("../tests/vectors/keys.json")).unwrap();
        let (mut read, mut refused) = (0, 0);
        for case in keys["serviceIds"].as_array().unwrap() {
            let Ok(id) = ServiceId::parse(case["input"].as_str().unwrap()) else {
                assert!(case.get("error").is_some());
                refused += 1;
                continue;
            };
            assert_eq!(id.to_string(), case["string"].as_str().unwrap());
            assert_eq!(HEXLOWER.encode(&id.to_fixed()), case["fixed"].as_str().unwrap());
            assert_eq!(HEXLOWER.encode(&id.to_binary()), case["binary"].as_str().unwrap());
            assert_eq!(ServiceId::from_fixed(&id.to_fixed()), Ok(id));
            assert_eq!(ServiceId::from_binary(&id.to_binary()), Ok(id));
            read += 1;
        }
        assert_eq!((read, refused), (3, 4));
    }

    #[test]
    fn other_writings_of_a_service_id_are_refused() {
        for text in [
            "",
            "9d0652a3-dcc3-4d11-975f-74d61598733",
            "9d0652a3-dcc3-4d11-975f-74d61598733f0",
            "9d0652a3-dcc3-4d11-975f074d61598733f",
            "9d0652a3--dcc3-4d11-975f-4d61598733f",
            "9d0652a3-dcc3-4d11-975f-74d61598733g",
            "{9d0652a3-dcc3-4d11-975f-74d61598733}",
            "PNI:PNI:9d0652a3-dcc3-4d11-975f-74d61598733f",
        ] {
            assert_eq!(ServiceId::parse(text), Err(BadServiceId), "{text}");
        }
        assert_eq!(ServiceId::from_fixed(&[2; 17]), Err(BadServiceId));
        assert_eq!(ServiceId::from_binary(&[0; 17]), Err(BadServiceId));
        assert_eq!(ServiceId::from_binary(&[1; 18]), Err(BadServiceId));
    }

    #[test]
    fn an_address_has_a_device_that_can_exist() {
        let id = ServiceId::new(ServiceIdKind::Pni, [7; 16]);
        assert_eq!([0, 1, 127, 128].map(|device| id.address(device).is_some()), [false, true, true, false]);
        assert_eq!(id.address(5).map(|address| (address[0], address[16], address[17])), Some((1, 7, 5)));
    }
}
