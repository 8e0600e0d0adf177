//! Safety numbers: what two people compare, by reading or by scanning, to see that nobody is between them.
//!
//! Owns the number and its two forms. What an account's identifier is, and how a code is drawn, is the caller's.
//!
//! Spec: signal-wire §7.

use std::fmt;

use prost::Message as _;
use sha2::{Digest, Sha512};
use subtle::{Choice, ConstantTimeEq};

use crate::curve::PublicKey;
use crate::kdf::deal;

/// How often a key is hashed: what makes it dear to look for another key with the same digits. Signal's number, so that
/// the digits agree with Signal's.
pub const ITERATIONS: u32 = 5200;

/// The version in which an account is named by its binary id, not by a telephone number.
pub const VERSION: u32 = 2;

/// What begins the first hash.
const HASH_VERSION: [u8; 2] = [0, 0];

/// The part of a hash that is in a code to scan.
const SCANNED_BYTES: usize = 32;

/// Six groups of five bytes of a hash become six groups of five digits.
const GROUP_BYTES: usize = 5;
const GROUPS: usize = 6;

/// One side: how the account is named, and its identity key.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a> {
    /// The account's id, in bytes. Both sides must write it alike.
    pub id: &'a [u8],
    /// The account's identity key.
    pub key: &'a PublicKey,
}

/// The safety number of us and someone, from our side.
///
/// ```
/// use hushwire_crypto::PublicKey;
/// use hushwire_crypto::fingerprint::{Fingerprint, Party};
///
/// let (alice, bob) = (PublicKey::from_bytes([1; 32]), PublicKey::from_bytes([2; 32]));
/// let (alice, bob) = (Party { id: b"alice", key: &alice }, Party { id: b"bob", key: &bob });
/// let (ours, theirs) = (Fingerprint::new(alice, bob), Fingerprint::new(bob, alice));
/// assert_eq!(ours.digits(), theirs.digits());
/// assert_eq!(ours.compare(&theirs.scannable()), Ok(true));
/// ```
#[derive(Clone)]
pub struct Fingerprint {
    version: u32,
    ours: Hash,
    theirs: Hash,
}

/// A scanned code that cannot be compared. It says nothing about the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Not a safety number. Scan again.
    #[error("not a safety number")]
    Malformed,
    /// Of an app that names accounts otherwise. Update the older one.
    #[error("a safety number of version {theirs}, ours is {ours}")]
    Version {
        /// Ours.
        ours: u32,
        /// The scanned one's.
        theirs: u32,
    },
}

impl Fingerprint {
    /// The safety number of `ours` and `theirs`. Takes some milliseconds: 5200 hashes for each side.
    ///
    /// Spec: signal-wire §7.
    pub fn new(ours: Party<'_>, theirs: Party<'_>) -> Fingerprint {
        Fingerprint::with(VERSION, ITERATIONS, ours, theirs)
    }

    /// Sixty digits without spaces, the same on both sides.
    ///
    /// Spec: signal-wire §7.
    pub fn digits(&self) -> String {
        let [mut first, second] = [&self.ours, &self.theirs].map(Hash::digits);
        if second < first {
            return second + &first;
        }
        first += &second;
        first
    }

    /// The bytes of a code for the other side to scan.
    ///
    /// Spec: signal-wire §7.
    pub fn scannable(&self) -> Vec<u8> {
        let side = |hash: &Hash| Some(SideFields { hash: Some(hash.scanned().to_vec()) });
        let (local, remote) = (side(&self.ours), side(&self.theirs));
        CodeFields { version: Some(self.version), local, remote }.encode_to_vec()
    }

    /// Whether the code that the other side shows is of the same two accounts and keys. False is the alarm.
    ///
    /// # Errors
    /// [`ScanError`]: the code cannot be compared.
    /// Spec: signal-wire §7.
    pub fn compare(&self, scanned: &[u8]) -> Result<bool, ScanError> {
        let code = CodeFields::decode(scanned).map_err(|_| ScanError::Malformed)?;
        let hash = |side: Option<SideFields>| side?.hash;
        let (Some(theirs), Some(local), Some(remote)) = (code.version, hash(code.local), hash(code.remote)) else {
            return Err(ScanError::Malformed);
        };
        if theirs != self.version {
            return Err(ScanError::Version { ours: self.version, theirs });
        }
        let same: Choice = local.ct_eq(&self.theirs.scanned()) & remote.ct_eq(&self.ours.scanned());
        Ok(same.into())
    }

    fn with(version: u32, iterations: u32, ours: Party<'_>, theirs: Party<'_>) -> Fingerprint {
        let [ours, theirs] = [ours, theirs].map(|party| Hash::of(party, iterations));
        Fingerprint { version, ours, theirs }
    }
}

/// `F`, one side's hash.
#[derive(Clone)]
struct Hash([u8; 64]);

impl Hash {
    /// `F = SHA-512(0x0000 ‖ k ‖ id ‖ k)`, then `n − 1` times `F = SHA-512(F ‖ k)`.
    ///
    /// Spec: signal-wire §7.
    fn of(party: Party<'_>, iterations: u32) -> Hash {
        let key = party.key.to_pub33();
        let first = Sha512::new()
            .chain_update(HASH_VERSION)
            .chain_update(key)
            .chain_update(party.id)
            .chain_update(key)
            .finalize();
        let last = (1..iterations).fold(first, |hash, _| Sha512::new().chain_update(hash).chain_update(key).finalize());
        Hash(last.into())
    }

    /// Each five bytes as a number, of which the last five digits.
    ///
    /// Spec: signal-wire §7.
    fn digits(&self) -> String {
        let (groups, _) = self.0.as_chunks::<GROUP_BYTES>();
        groups
            .iter()
            .take(GROUPS)
            .map(|group| group.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
            .map(|number| format!("{:05}", number % 100_000))
            .collect()
    }

    fn scanned(&self) -> [u8; SCANNED_BYTES] {
        let mut scanned = [0; SCANNED_BYTES];
        deal(&self.0, &mut [&mut scanned, &mut [0; 64 - SCANNED_BYTES]]);
        scanned
    }
}

/// A safety number names two people to who knows it.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, ours: _, theirs: _ } = self;
        f.debug_struct("Fingerprint").field("version", version).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct CodeFields {
    #[prost(uint32, optional, tag = "1")]
    version: Option<u32>,
    #[prost(message, optional, tag = "2")]
    local: Option<SideFields>,
    #[prost(message, optional, tag = "3")]
    remote: Option<SideFields>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SideFields {
    #[prost(bytes = "vec", optional, tag = "1")]
    hash: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use serde_json::Value;

    use super::*;

    const VECTORS: &str = include_str!("../tests/vectors/fingerprints.json");

    fn hex(value: &Value) -> Vec<u8> {
        HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
    }

    fn number(value: &Value) -> u32 {
        value.as_u64().unwrap().try_into().unwrap()
    }

    #[test]
    fn the_numbers_are_those_of_the_official_library() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let recorded = vectors["fingerprints"].as_array().unwrap();
        assert_eq!(recorded.len(), 10);
        for case in recorded {
            let [our_key, their_key] =
                ["localKey", "remoteKey"].map(|name| PublicKey::from_pub33(&hex(&case[name])).unwrap());
            let [our_id, their_id] = ["localId", "remoteId"].map(|name| hex(&case[name]));
            let ours = Party { id: &our_id, key: &our_key };
            let theirs = Party { id: &their_id, key: &their_key };
            let (version, iterations) = (number(&case["version"]), number(&case["iterations"]));
            let here = Fingerprint::with(version, iterations, ours, theirs);
            let there = Fingerprint::with(version, iterations, theirs, ours);

            assert_eq!(here.digits(), case["display"]);
            assert_eq!(there.digits(), case["display"]);
            assert_eq!(here.scannable(), hex(&case["scannable"]));
            assert_eq!(there.scannable(), hex(&case["remoteScannable"]));
            assert_eq!(Value::from(here.compare(&hex(&case["remoteScannable"])).unwrap()), case["same"]);
            assert_eq!(Value::from(here.compare(&hex(&case["scannable"])).unwrap()), case["selfCompare"]);
            if (version, iterations) == (VERSION, ITERATIONS) {
                assert_eq!(Fingerprint::new(ours, theirs).digits(), case["display"]);
            }
        }
    }

    fn of(version: u32, our_key: u8, their_key: u8) -> Fingerprint {
        let [ours, theirs] = [our_key, their_key].map(|byte| PublicKey::from_bytes([byte; 32]));
        Fingerprint::with(version, 2, Party { id: b"us", key: &ours }, Party { id: b"them", key: &theirs })
    }

    #[test]
    fn codes_of_another_version_are_not_compared() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let mismatch = &vectors["versionMismatch"];
        let theirs = hex(&mismatch["theirs"]);
        assert_eq!(of(1, 1, 2).compare(&theirs), Err(ScanError::Version { ours: 1, theirs: 2 }));
        assert_eq!(of(2, 1, 2).compare(&theirs), Ok(false));
        assert_eq!(of(2, 1, 2).compare(&hex(&mismatch["ours"])), Err(ScanError::Version { ours: 2, theirs: 1 }));
    }

    #[test]
    fn another_key_on_either_side_is_seen() {
        let [ours, mut theirs] = [(1, 2), (2, 1)].map(|(ours, theirs)| of(2, ours, theirs));
        (theirs.ours, theirs.theirs) = (ours.theirs.clone(), ours.ours.clone());
        assert_eq!(ours.compare(&theirs.scannable()), Ok(true));
        for hash in [&mut theirs.ours, &mut theirs.theirs] {
            hash.0[31] ^= 1;
        }
        assert_eq!(ours.compare(&theirs.scannable()), Ok(false));
        assert_ne!(ours.digits(), of(2, 1, 3).digits());
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let ours = of(2, 1, 2);
        let code = ours.scannable();
        // What ends before the second hash is begun has no such field; the rest is cut within a field.
        for length in 0..code.len() {
            assert_eq!(ours.compare(&code[..length]), Err(ScanError::Malformed));
        }
        assert_eq!(ours.compare(b"https://example.org"), Err(ScanError::Malformed));
        let short = CodeFields {
            version: Some(2),
            local: Some(SideFields { hash: Some(vec![]) }),
            remote: Some(SideFields { hash: Some(vec![]) }),
        };
        assert_eq!(ours.compare(&short.encode_to_vec()), Ok(false));
    }

    #[test]
    fn what_is_printed_shows_no_number() {
        assert_eq!(format!("{:?}", of(2, 1, 2)), "Fingerprint { version: 2, .. }");
    }
}
