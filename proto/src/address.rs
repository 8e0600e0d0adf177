//! Where a server is, and how a person is called there.
//!
//! A server address is `hush://[FINGERPRINT@]HOST[:PORT]`; the fingerprint is the SHA-256 of the public key
//! (SubjectPublicKeyInfo, DER) in the server's certificate, so a certificate may be renewed as long as its key stays.
//! A handle is `NAME@HOST[:PORT]`. Text is read leniently in case and strictly in everything else, and written in one
//! form only. Nothing here looks anything up: that is `net::call`.
//!
//! Spec: relay §2.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::limits::{ADDRESS_BYTES_MAX, HANDLE_NAME_BYTES_MAX};

/// Where a relay listens unless its address says otherwise. UDP.
pub const RELAY_PORT: u16 = 4431;

/// Where a keyserver listens unless its address says otherwise. UDP.
pub const KEYSERVER_PORT: u16 = 4432;

/// Where an auditor answers unless its address says otherwise. TCP.
pub const AUDITOR_PORT: u16 = 4433;

/// What every server address begins with.
const SCHEME: &str = "hush://";

/// A SHA-256 in base32 without padding.
const FINGERPRINT_CHARS: usize = 52;

/// The longest domain name and the longest of its labels, in bytes. RFC 1035 §2.3.4.
const DOMAIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Why a text is not an address. Each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than any address.
    #[error("an address has at most {ADDRESS_BYTES_MAX} bytes, this has {bytes}")]
    TooLong {
        /// Bytes of the text.
        bytes: usize,
    },
    /// Does not begin with `hush://`.
    #[error("a server address begins with {SCHEME}")]
    NoScheme,
    /// What stands before `@` is not a fingerprint.
    #[error("what stands before @ is no fingerprint ({FINGERPRINT_CHARS} letters a-z and digits 2-7); copy it whole")]
    Fingerprint,
    /// No host.
    #[error("the address names no host")]
    NoHost,
    /// Neither a domain name, nor an IPv4 address, nor an IPv6 address in brackets.
    #[error(
        "the host must be a domain name in ASCII (write others as xn--…), an IPv4 address, or an IPv6 address in [ ]"
    )]
    Host,
    /// The part after the last colon is not a port.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// A handle without `@`, or with more than one.
    #[error("a handle is written name@server")]
    NoAt,
    /// The name of a handle has characters it must not have, or is empty or too long.
    #[error(
        "the name before @ has 1 to {HANDLE_NAME_BYTES_MAX} letters a-z, digits, dots, hyphens and underscores, \
         and begins with a letter or a digit"
    )]
    Name,
}

/// SHA-256 of the SubjectPublicKeyInfo (DER) in a server's certificate. Public.
///
/// Written as 52 characters of lower-case base32 without padding; read in either case, because a QR code is smaller
/// in upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// `SHA-256(spki)`.
    pub fn of_public_key(spki_der: &[u8]) -> Self {
        Self(Sha256::digest(spki_der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() != FINGERPRINT_CHARS {
            return Err(AddressError::Fingerprint);
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| AddressError::Fingerprint)?;
        bytes.try_into().map(Self).map_err(|_| AddressError::Fingerprint)
    }
}

/// The machine part of an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A domain name, lower case, in ASCII.
    Domain(String),
    /// An address of version 4 or 6.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Where a server is and, if known, what proves that it is that server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerAddress {
    fingerprint: Option<Fingerprint>,
    host: Host,
    port: u16,
}

impl ServerAddress {
    /// Reads `hush://[FINGERPRINT@]HOST[:PORT]`.
    ///
    /// # Errors
    /// [`AddressError`], which says what to write instead.
    ///
    /// ```
    /// use hushwire_proto::address::{RELAY_PORT, ServerAddress};
    /// let address = ServerAddress::parse("hush://relay.example.org", RELAY_PORT)?;
    /// assert_eq!(address.to_string(), "hush://relay.example.org:4431");
    /// # Ok::<(), hushwire_proto::address::AddressError>(())
    /// ```
    pub fn parse(text: &str, default_port: u16) -> Result<Self, AddressError> {
        check_length(text)?;
        let rest = match text.split_at_checked(SCHEME.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
            _ => return Err(AddressError::NoScheme),
        };
        let (fingerprint, place) = match rest.split_once('@') {
            Some((fingerprint, place)) => (Some(fingerprint.parse()?), place),
            None => (None, rest),
        };
        let (host, port) = place_from(place, default_port)?;
        Ok(Self { fingerprint, host, port })
    }

    /// The address of a server whose fingerprint is not known, or not yet.
    pub const fn new(host: Host, port: u16) -> Self {
        Self { fingerprint: None, host, port }
    }

    /// The same place, to be trusted only if the server proves to have this key.
    #[must_use]
    pub fn with_fingerprint(self, fingerprint: Fingerprint) -> Self {
        Self { fingerprint: Some(fingerprint), ..self }
    }

    /// What the server's public key must hash to.
    pub const fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// The machine.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The UDP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether both name the same host and port, whatever their fingerprints.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }
}

/// Always with the port, so that it reads back the same whatever the reader's default is.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fingerprint, host, port } = self;
        match fingerprint {
            Some(fingerprint) => write!(f, "{SCHEME}{fingerprint}@{host}:{port}"),
            None => write!(f, "{SCHEME}{host}:{port}"),
        }
    }
}

/// `alice@keys.example.org`: what a person is called at one keyserver. The name is lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle {
    name: String,
    server: ServerAddress,
}

impl Handle {
    /// Reads `NAME@HOST[:PORT]`; without a port it is [`KEYSERVER_PORT`].
    ///
    /// # Errors
    /// [`AddressError`], which says what to write instead.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        check_length(text)?;
        let (name, place) = text.split_once('@').ok_or(AddressError::NoAt)?;
        if place.contains('@') {
            return Err(AddressError::NoAt);
        }
        let (host, port) = place_from(place, KEYSERVER_PORT)?;
        Self::new(name, ServerAddress::new(host, port))
    }

    /// The handle of `name` at `server`. The server's fingerprint is no part of a handle and is left out.
    ///
    /// # Errors
    /// [`AddressError::Name`].
    pub fn new(name: &str, server: ServerAddress) -> Result<Self, AddressError> {
        let name = name.to_ascii_lowercase();
        let letter = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let first = name.bytes().next().is_some_and(letter);
        let rest = name.bytes().all(|c| letter(c) || matches!(c, b'.' | b'_' | b'-'));
        if !first || !rest || name.len() > HANDLE_NAME_BYTES_MAX {
            return Err(AddressError::Name);
        }
        Ok(Self { name, server: ServerAddress { fingerprint: None, ..server } })
    }

    /// The part before `@`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keyserver, without a fingerprint: a handle is typed by people and carries none.
    pub const fn server(&self) -> &ServerAddress {
        &self.server
    }
}

impl FromStr for Handle {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, server: ServerAddress { fingerprint: _, host, port } } = self;
        match *port {
            KEYSERVER_PORT => write!(f, "{name}@{host}"),
            port => write!(f, "{name}@{host}:{port}"),
        }
    }
}

const fn check_length(text: &str) -> Result<(), AddressError> {
    if text.len() > ADDRESS_BYTES_MAX {
        return Err(AddressError::TooLong { bytes: text.len() });
    }
    Ok(())
}

/// `HOST[:PORT]`.
fn place_from(text: &str, default_port: u16) -> Result<(Host, u16), AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']').ok_or(AddressError::Host)?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| AddressError::Host)?;
        let port = match port.strip_prefix(':') {
            Some(port) => port_from(port)?,
            None if port.is_empty() => default_port,
            None => return Err(AddressError::Port),
        };
        return Ok((Host::Ip(ip.into()), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((_, port)) if port.contains(':') => return Err(AddressError::Host), // version 6 without brackets
        Some((host, port)) => (host, port_from(port)?),
        None => (text, default_port),
    };
    Ok((host_from(host)?, port))
}

fn port_from(text: &str) -> Result<u16, AddressError> {
    match text.parse() {
        Ok(port) if port > 0 && text.bytes().all(|c| c.is_ascii_digit()) => Ok(port),
        _ => Err(AddressError::Port),
    }
}

fn host_from(text: &str) -> Result<Host, AddressError> {
    if text.is_empty() {
        return Err(AddressError::NoHost);
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let name = text.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|c| c.is_ascii_digit()); // 1.2.3 is a mistyped address, never a domain
    if name.len() > DOMAIN_BYTES_MAX || numeric || !name.split('.').all(is_label) {
        return Err(AddressError::Host);
    }
    Ok(Host::Domain(name))
}

/// Letters, digits, inner hyphens; underscores too, which names of containers have.
fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_'))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn relay(text: &str) -> Result<ServerAddress, AddressError> {
        ServerAddress::parse(text, RELAY_PORT)
    }

    #[test]
    fn an_address_is_written_in_one_form_however_it_was_typed() {
        let print = Fingerprint([7; 32]);
        for (typed, written) in [
            ("HUSH://Relay.Example.ORG", "hush://relay.example.org:4431".to_owned()),
            ("hush://relay_1:99", "hush://relay_1:99".to_owned()),
            ("hush://192.0.2.1", "hush://192.0.2.1:4431".to_owned()),
            ("hush://[2001:DB8:0::1]:5", "hush://[2001:db8::1]:5".to_owned()),
            (&format!("hush://{}@h", print.to_string().to_uppercase()), format!("hush://{print}@h:4431")),
        ] {
            assert_eq!(relay(typed).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        let bad_bits = format!("hush://{}b@h", "a".repeat(51));
        for (text, error) in [
            ("relay.example.org", AddressError::NoScheme),
            ("https://relay.example.org", AddressError::NoScheme),
            ("hush://", AddressError::NoHost),
            ("hush://:4431", AddressError::NoHost),
            ("hush://abc@h", AddressError::Fingerprint),
            (&bad_bits, AddressError::Fingerprint),
            ("hush://h:0", AddressError::Port),
            ("hush://h:+1", AddressError::Port),
            ("hush://h:65536", AddressError::Port),
            ("hush://h:1/", AddressError::Port),
            ("hush://h/", AddressError::Host),
            ("hush://1.2.3", AddressError::Host),
            ("hush://256.1.1.1", AddressError::Host),
            ("hush://::1", AddressError::Host),
            ("hush://[::1%eth0]", AddressError::Host),
            ("hush://[::1]x", AddressError::Port),
            ("hush://a..b", AddressError::Host),
            ("hush://-a.b", AddressError::Host),
            ("hush://bücher.example", AddressError::Host),
            ("hush://a b", AddressError::Host),
        ] {
            assert_eq!(relay(text), Err(error), "{text}");
        }
        let long = format!("hush://{}", "a".repeat(ADDRESS_BYTES_MAX));
        assert_eq!(relay(&long), Err(AddressError::TooLong { bytes: long.len() }));
    }

    #[test]
    fn the_longest_address_fits() {
        let domain = vec!["a".repeat(LABEL_BYTES_MAX); 4].join(".");
        let text = format!("hush://{}@{}:65535", Fingerprint([0xFF; 32]), domain.get(..DOMAIN_BYTES_MAX).unwrap());
        assert_eq!(relay(&text).unwrap().to_string(), text);
    }

    #[test]
    fn a_handle_is_lower_case_and_names_its_port_only_if_it_is_another() {
        let handle = Handle::parse("Alice.B@Keys.Example.org:4432").unwrap();
        assert_eq!((handle.name(), handle.to_string()), ("alice.b", "alice.b@keys.example.org".to_owned()));
        assert_eq!(handle.server().to_string(), "hush://keys.example.org:4432");
        assert_eq!(Handle::parse("a@[::1]:7").unwrap().to_string(), "a@[::1]:7");
        for (text, error) in [
            ("alice", AddressError::NoAt),
            ("a@b@c", AddressError::NoAt),
            ("@h", AddressError::Name),
            (".a@h", AddressError::Name),
            ("a b@h", AddressError::Name),
            ("ä@h", AddressError::Name),
            ("a@", AddressError::NoHost),
        ] {
            assert_eq!(Handle::parse(text), Err(error), "{text}");
        }
        assert_eq!(Handle::parse(&format!("{}@h", "a".repeat(33))), Err(AddressError::Name));
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_an_error_and_never_a_panic(
            text in ".{0,80}",
            tail in "[a-zA-Z0-9.:@\\[\\]-]{0,80}",
        ) {
            let _ = relay(&text);
            let _ = Handle::parse(&text);
            for text in [format!("hush://{tail}"), tail] {
                if let Ok(address) = relay(&text) {
                    prop_assert_eq!(ServerAddress::parse(&address.to_string(), 1), Ok(address));
                }
                if let Ok(handle) = Handle::parse(&text) {
                    prop_assert_eq!(Handle::parse(&handle.to_string()), Ok(handle));
                }
            }
        }

        #[test]
        fn what_is_written_reads_back_the_same(
            print in proptest::option::of(any::<[u8; 32]>()),
            host in prop_oneof![
                "([a-z]([a-z0-9-]{0,8}[a-z0-9])?\\.){0,3}[a-z]{1,8}".prop_map(Host::Domain),
                any::<[u8; 4]>().prop_map(|ip| Host::Ip(ip.into())),
                any::<[u8; 16]>().prop_map(|ip| Host::Ip(ip.into())),
            ],
            port in 1u16..,
            name in "[a-z0-9][a-z0-9._-]{0,31}",
        ) {
            let bare = ServerAddress::new(host, port);
            let address = match print {
                Some(print) => bare.clone().with_fingerprint(Fingerprint(print)),
                None => bare.clone(),
            };
            prop_assert!(address.is_same_place(&bare));
            prop_assert_eq!(ServerAddress::parse(&address.to_string(), 1), Ok(address.clone()));
            let handle = Handle::new(&name, address).unwrap();
            prop_assert_eq!(handle.server(), &bare);
            prop_assert_eq!(Handle::parse(&handle.to_string()), Ok(handle));
        }
    }
}
