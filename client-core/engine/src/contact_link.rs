//! Contact links: `hushwire:c#…`, on paper, in a QR code or pasted. Whoever was added by link is verified, because the
//! link carries the account id and an account certifies itself.
//!
//! The part after `#` is base64url of `version (1) ‖ account (32) ‖ checksum (4) ‖ keyserver address (UTF-8)`.
//!
//! Spec: envelope §5.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use hushwire_proto::address::{KEYSERVER_PORT, ServerAddress};
use hushwire_proto::ids::AccountId;
use hushwire_proto::limits::ADDRESS_BYTES_MAX;
use hushwire_proto::signing::{Label, Transcript};
use sha2::{Digest, Sha256};

const PREFIX: &str = "hushwire:c#";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + 32 + 4;

/// Who somebody is and where their prekeys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactLink {
    /// The account.
    pub account: AccountId,
    /// The keyserver that has its device list.
    pub keyserver: ServerAddress,
}

/// Why a text is not a contact link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadContactLink {
    /// It begins otherwise.
    #[error("a contact link begins with `hushwire:c#`")]
    Prefix,
    /// A character is missing or wrong.
    #[error("the contact link is damaged: a part is missing or mistyped; ask for it again")]
    Damaged,
    /// From a later program.
    #[error("the contact link is of version {0}, which this program does not know; update it")]
    Version(u8),
}

impl fmt::Display for ContactLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keyserver = self.keyserver.to_string();
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(self.account.as_bytes());
        bytes.extend_from_slice(&checksum(&self.account, &keyserver));
        bytes.extend_from_slice(keyserver.as_bytes());
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for ContactLink {
    type Err = BadContactLink;

    fn from_str(text: &str) -> Result<Self, BadContactLink> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(BadContactLink::Prefix)?;
        if encoded.len() > (HEAD_BYTES + ADDRESS_BYTES_MAX) * 4 / 3 + 4 {
            return Err(BadContactLink::Damaged);
        }
        let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| BadContactLink::Damaged)?;
        let (version, rest) = bytes.split_first().ok_or(BadContactLink::Damaged)?;
        if *version != VERSION {
            return Err(BadContactLink::Version(*version));
        }
        let (account, rest) = rest.split_first_chunk::<32>().ok_or(BadContactLink::Damaged)?;
        let (found, address) = rest.split_first_chunk::<4>().ok_or(BadContactLink::Damaged)?;
        let address = std::str::from_utf8(address).map_err(|_| BadContactLink::Damaged)?;
        let account = AccountId(*account);
        if checksum(&account, address) != *found {
            return Err(BadContactLink::Damaged);
        }
        let keyserver = ServerAddress::parse(address, KEYSERVER_PORT).map_err(|_| BadContactLink::Damaged)?;
        Ok(Self { account, keyserver })
    }
}

/// Tells a mistyped link from one that leads nowhere.
fn checksum(account: &AccountId, keyserver: &str) -> [u8; 4] {
    let transcript = Transcript::new(Label::ContactLink).part(account.as_bytes()).part(keyserver.as_bytes());
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(transcript.bytes()));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn link() -> ContactLink {
        ContactLink {
            account: AccountId([7; 32]),
            keyserver: ServerAddress::parse("hush://keys.example.org", KEYSERVER_PORT).unwrap(),
        }
    }

    #[test]
    fn a_link_comes_back_as_it_was() {
        assert_eq!(link().to_string().parse(), Ok(link()));
    }

    #[test]
    fn a_link_with_any_one_character_changed_is_no_link() {
        let text = link().to_string();
        for place in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            if let Some(byte) = changed.get_mut(place) {
                *byte = if *byte == b'A' { b'B' } else { b'A' };
            }
            let changed = String::from_utf8(changed).unwrap();
            assert_ne!(changed.parse(), Ok(link()), "{changed}");
            assert!(changed.parse::<ContactLink>().is_err(), "{changed}");
        }
    }
}
