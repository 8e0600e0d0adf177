//! The file an operator writes, and the key that `init` makes. Everything is checked before anything is started, and each
//! complaint says what to write instead.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use hushwire_proto::address::{AUDITOR_PORT, AddressError, Fingerprint, KEYSERVER_PORT, ServerAddress};
use hushwire_proto::log::fingerprint_of;
use rand::TryRng;
use rand::rngs::SysRng;
use serde::Deserialize;

use crate::Parts;

/// The name of the file that `init` writes.
pub const FILE: &str = "auditor.toml";

/// The largest file that is read.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// Keyservers that one auditor follows: their report has to fit into what a client reads.
const KEYSERVERS_MAX: usize = 16;

/// A checked configuration. Paths are absolute or relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where what was checked lies.
    pub data_dir: PathBuf,
    /// The TCP socket for HTTP.
    pub listen: SocketAddr,
    /// `HOST[:PORT]` as clients reach it.
    pub host: String,
    /// The auditor's key, 64 hex digits, readable by its owner only.
    pub key: PathBuf,
    /// Whom it follows, each with its fingerprint.
    pub keyservers: Vec<(ServerAddress, Fingerprint)>,
}

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not read or not written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// `init` found a file of that name.
    #[error("{} exists and is not overwritten; choose another --dir, or move it away", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Not TOML, an unknown setting, or one of the wrong kind.
    #[error("{}: {cause}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and what.
        cause: Box<toml::de::Error>,
    },
    /// An address that is none.
    #[error("{}: \"{found}\": {cause}", path.display())]
    Address {
        /// Which file.
        path: PathBuf,
        /// What was there.
        found: String,
        /// What to write instead.
        cause: AddressError,
    },
    /// A keyserver is known by its fingerprint and by nothing else.
    #[error(
        "{}: \"{found}\" has no fingerprint; `hushwire-keyserver address` prints the whole address", path.display()
    )]
    NoFingerprint {
        /// Which file.
        path: PathBuf,
        /// What was there.
        found: String,
    },
    /// None, too many, or one of them twice.
    #[error("{}: keyservers: name 1 to {KEYSERVERS_MAX}, each once", path.display())]
    Keyservers {
        /// Which file.
        path: PathBuf,
    },
    /// The key file is none, or others can read it.
    #[error("{}: {what}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What to do.
        what: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    data_dir: PathBuf,
    listen: SocketAddr,
    host: String,
    key: PathBuf,
    keyservers: Vec<String>,
}

impl Config {
    /// Reads and checks the file. Paths in it are relative to the directory it lies in.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let failed = |cause| ConfigError::File { path: path.to_owned(), cause };
        let bytes = fs::metadata(path).map_err(failed)?.len();
        if bytes > CONFIG_BYTES_MAX {
            return Err(failed(io::Error::other(format!("{bytes} bytes are too many for a configuration"))));
        }
        Self::parse(&fs::read_to_string(path).map_err(failed)?, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file = || path.to_owned();
        let written: Written =
            toml::from_str(text).map_err(|cause| ConfigError::Syntax { path: file(), cause: Box::new(cause) })?;
        let Written { data_dir, listen, host, key, keyservers } = written;
        let address = |found: &str, port| {
            ServerAddress::parse(found, port).map_err(|cause| ConfigError::Address {
                path: file(),
                found: found.to_owned(),
                cause,
            })
        };
        address(&format!("hush://{host}"), AUDITOR_PORT)?;
        let mut named: Vec<(ServerAddress, Fingerprint)> = Vec::new();
        for found in &keyservers {
            let keyserver = address(found, KEYSERVER_PORT)?;
            let fingerprint = keyserver.fingerprint();
            let fingerprint =
                fingerprint.ok_or_else(|| ConfigError::NoFingerprint { path: file(), found: found.clone() })?;
            if named.iter().any(|(_, known)| *known == fingerprint) {
                return Err(ConfigError::Keyservers { path: file() });
            }
            named.push((keyserver, fingerprint));
        }
        if named.is_empty() || named.len() > KEYSERVERS_MAX {
            return Err(ConfigError::Keyservers { path: file() });
        }
        let beside = |file: PathBuf| path.parent().map_or_else(|| file.clone(), |dir| dir.join(&file));
        Ok(Self { data_dir: beside(data_dir), listen, host, key: beside(key), keyservers: named })
    }

    /// Reads the key.
    ///
    /// # Errors
    /// [`ConfigError`]; in particular if others can read the file.
    pub fn signing_key(&self) -> Result<SigningKey, ConfigError> {
        let failed = |cause| ConfigError::File { path: self.key.clone(), cause };
        let bad = |what| ConfigError::Key { path: self.key.clone(), what };
        if fs::metadata(&self.key).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(bad("others can read this key; run: chmod 600 on it"));
        }
        let text = fs::read_to_string(&self.key).map_err(failed)?;
        let seed = HEXLOWER.decode(text.trim_end().as_bytes()).ok().and_then(|seed| seed.try_into().ok());
        let seed: [u8; 32] = seed.ok_or_else(|| bad("a key is 64 hex digits; restore it from a copy"))?;
        Ok(SigningKey::from_bytes(&seed))
    }

    /// Where clients find this auditor.
    ///
    /// # Errors
    /// [`ConfigError`]; the host was checked before, so it is the key's.
    pub fn address(&self) -> Result<ServerAddress, ConfigError> {
        let (found, key) = (format!("hush://{}", self.host), self.signing_key()?);
        let address = ServerAddress::parse(&found, self.listen.port());
        let address = address.map_err(|cause| ConfigError::Address { path: self.key.clone(), found, cause })?;
        Ok(address.with_fingerprint(fingerprint_of(&key.verifying_key().to_bytes())))
    }

    /// What an auditor with this configuration is made of.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parts(self) -> Result<Parts, ConfigError> {
        let key = self.signing_key()?;
        let Self { data_dir, listen, host, key: _, keyservers } = self;
        Ok(Parts { data_dir, listen, host, key, keyservers, every: Parts::EVERY })
    }
}

/// Makes `dir` with a key and a commented configuration. Returns the path of the latter.
///
/// # Errors
/// [`ConfigError`]; no file is ever overwritten.
pub fn init(dir: &Path, host: &str, keyservers: &[String]) -> Result<PathBuf, ConfigError> {
    let path = dir.join(FILE);
    if path.exists() {
        return Err(ConfigError::Exists { path });
    }
    let listed: Vec<String> = keyservers.iter().map(|one| format!("\"{one}\"")).collect();
    let text = TEMPLATE.replace("@HOST@", host).replace("@KEYSERVERS@", &listed.join(", "));
    let config = Config::parse(&text, &path)?; // before anything is written
    fs::create_dir_all(dir).map_err(|cause| ConfigError::File { path: dir.to_owned(), cause })?;
    let mut seed = [0; 32];
    let randomness = |_| ConfigError::Key { path: config.key.clone(), what: "the system gives no random numbers" };
    SysRng.try_fill_bytes(&mut seed).map_err(randomness)?;
    create(&config.key, &format!("{}\n", HEXLOWER.encode(&seed)), 0o600)?;
    create(&path, &text, 0o644)?;
    Ok(path)
}

fn create(path: &Path, text: &str, mode: u32) -> Result<(), ConfigError> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => ConfigError::Exists { path: path.to_owned() },
        _ => ConfigError::File { path: path.to_owned(), cause },
    })
}

const TEMPLATE: &str = "\
# Hushwire auditor.
# Check this file with: hushwire-auditor check --config FILE

# How people and their programs reach this auditor: a domain name, an IPv4 address, or an IPv6 address in [ ]. Add :PORT if
# they reach it on another port than the one it listens on.
host = \"@HOST@\"

# The TCP socket for HTTP: the page for people, and the signed roots for programs. What is said there is signed, so TLS is
# not needed for its truth; put a web server in front of it if who asks should not be seen on the way.
listen = \"0.0.0.0:4433\"

# The key that this auditor signs with. People know the auditor by it: back it up.
key = \"auditor.key\"

# What was checked. Without it every log is checked anew from its first epoch.
data_dir = \"data\"

# The keyservers to follow, with their fingerprints: what `hushwire-keyserver address` prints. At most 16.
keyservers = [@KEYSERVERS@]
";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn keyserver() -> String {
        format!("hush://{}@keys.example.org", "a".repeat(52))
    }

    #[test]
    fn what_init_writes_is_read_back_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = init(dir.path(), "audit.example.org", &[keyserver()]).unwrap();
        let config = Config::load(&path).unwrap();
        assert_eq!(config.keyservers.len(), 1);
        let address = config.address().unwrap();
        assert!(address.to_string().ends_with("@audit.example.org:4433"), "{address}");
        assert!(matches!(init(dir.path(), "other", &[keyserver()]), Err(ConfigError::Exists { .. })));
        assert_eq!(Config::load(&path).unwrap().address().unwrap(), address);
        fs::set_permissions(&config.key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(config.signing_key(), Err(ConfigError::Key { .. })));
    }

    #[test]
    fn a_complaint_says_what_to_write_instead() {
        let dir = tempfile::tempdir().unwrap();
        let complaint =
            |keyservers: &[String]| init(dir.path(), "audit.example.org", keyservers).unwrap_err().to_string();
        assert!(complaint(&["hush://keys.example.org".to_owned()]).contains("hushwire-keyserver address"));
        assert!(complaint(&["keys.example.org".to_owned()]).contains("begins with hush://"));
        for wrong in [vec![], vec![keyserver(), keyserver()]] {
            assert!(complaint(&wrong).contains("1 to 16, each once"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }
}
