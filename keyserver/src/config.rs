//! The file an operator writes. Everything in it is checked before anything is started, and each complaint says what to
//! write instead.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hushwire_proto::address::{AddressError, KEYSERVER_PORT, ServerAddress};
use hushwire_proto::net::serve::ServeLimits;
use hushwire_proto::net::tls::{IdentityError, ServerIdentity};
use serde::Deserialize;

use crate::{Parts, Registration};

/// The name of the file that `init` writes.
pub const FILE: &str = "keyserver.toml";

/// The largest file that is read.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// A checked configuration. Paths are absolute or relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where accounts and public keys lie.
    pub data_dir: PathBuf,
    /// The UDP socket.
    pub listen: SocketAddr,
    /// `HOST[:PORT]` as clients reach it.
    pub host: String,
    /// PEM, the server's certificate first.
    pub certificate: PathBuf,
    /// PEM, readable by its owner only.
    pub key: PathBuf,
    /// Who may make an account.
    pub registration: Registration,
    /// Connections it takes.
    pub connections: ServeLimits,
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
    /// `host` is none.
    #[error("{}: host = \"{found}\": {cause}", path.display())]
    Host {
        /// Which file.
        path: PathBuf,
        /// What was there.
        found: String,
        /// What to write instead.
        cause: AddressError,
    },
    /// The certificate or its key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    data_dir: PathBuf,
    listen: SocketAddr,
    host: String,
    certificate: PathBuf,
    key: PathBuf,
    registration: Option<Registration>,
    connections_max: Option<usize>,
    connections_per_address_max: Option<usize>,
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
        let written: Written = toml::from_str(text)
            .map_err(|cause| ConfigError::Syntax { path: path.to_owned(), cause: Box::new(cause) })?;
        let Written { data_dir, listen, host, certificate, key, registration, .. } = written;
        if let Err(cause) = ServerAddress::parse(&format!("hush://{host}"), KEYSERVER_PORT) {
            return Err(ConfigError::Host { path: path.to_owned(), found: host, cause });
        }
        let usual = ServeLimits::default();
        let connections = ServeLimits {
            connections: written.connections_max.unwrap_or(usual.connections),
            connections_per_address: written.connections_per_address_max.unwrap_or(usual.connections_per_address),
            ..usual
        };
        let beside = |file: PathBuf| path.parent().map_or_else(|| file.clone(), |dir| dir.join(&file));
        let (data_dir, certificate, key) = (beside(data_dir), beside(certificate), beside(key));
        Ok(Self {
            data_dir,
            listen,
            host,
            certificate,
            key,
            registration: registration.unwrap_or_default(),
            connections,
        })
    }

    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn identity(&self) -> Result<ServerIdentity, IdentityError> {
        ServerIdentity::load(&self.certificate, &self.key)
    }

    /// Where clients find this keyserver if it listens on `port`.
    ///
    /// # Errors
    /// [`AddressError`]; not for a host that was checked.
    pub fn address(&self, identity: &ServerIdentity, port: u16) -> Result<ServerAddress, AddressError> {
        let address = ServerAddress::parse(&format!("hush://{}", self.host), port)?;
        Ok(address.with_fingerprint(identity.fingerprint()))
    }

    /// What a keyserver with this configuration is made of.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn parts(self) -> Result<Parts, IdentityError> {
        let identity = self.identity()?;
        let Self { data_dir, listen, host, certificate: _, key: _, registration, connections } = self;
        Ok(Parts { data_dir, listen, host, identity, registration, connections })
    }
}

/// Makes `dir` with a certificate for `hosts`, its key and a commented configuration. Returns the path of the latter.
///
/// # Errors
/// [`ConfigError`]; no file is ever overwritten.
pub fn init(dir: &Path, hosts: &[String]) -> Result<PathBuf, ConfigError> {
    let path = dir.join(FILE);
    if path.exists() {
        return Err(ConfigError::Exists { path });
    }
    let host = hosts.first().map_or("localhost", String::as_str);
    let text = TEMPLATE.replace("@HOST@", host);
    let config = Config::parse(&text, &path)?; // before anything is written
    let identity = ServerIdentity::self_signed(&hosts.iter().map(|host| name_of(host)).collect::<Vec<_>>())?;
    fs::create_dir_all(dir).map_err(|cause| ConfigError::File { path: dir.to_owned(), cause })?;
    identity.write(&config.certificate, &config.key)?;
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let written = written.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|cause| ConfigError::File { path: path.clone(), cause })?;
    Ok(path)
}

/// What stands in a certificate: no port, no brackets.
fn name_of(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(ip) => ip.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or(host).to_owned()
}

const TEMPLATE: &str = "\
# Hushwire keyserver. Lines that begin with # say what happens without them.
# Check this file with: hushwire-keyserver check --config FILE

# How clients reach this keyserver: a domain name, an IPv4 address, or an IPv6 address in [ ]. Add :PORT if clients reach
# it on another port than the one it listens on.
host = \"@HOST@\"

# The UDP socket. Open this port in the firewall.
listen = \"[::]:4432\"

# Where accounts and public keys lie. Paths are relative to this file. An old copy that is put back gives one-time keys
# out a second time: after restoring one, let clients publish new keys.
data_dir = \"data\"

# Who this keyserver is. Clients know it by the key: back it up, and keep it when the certificate is renewed.
certificate = \"keyserver.crt\"
key = \"keyserver.key\"

# Who may make an account: \"open\" (everyone) or \"closed\" (nobody new).
# registration = \"open\"

# Connections, in all and from one address (IPv6: from one /64).
# connections_max = 50000
# connections_per_address_max = 256
";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/etc/hushwire/keyserver.toml"))
    }

    fn template() -> String {
        TEMPLATE.replace("@HOST@", "keys.example.org")
    }

    fn complaint(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_template_is_read_and_says_the_truth_about_its_defaults() {
        let config = parse(&template()).unwrap();
        assert_eq!(config.data_dir, Path::new("/etc/hushwire/data"));
        assert_eq!((config.registration, config.connections), (Registration::Open, ServeLimits::default()));
        let all =
            template().replace("\n# registration", "\nregistration").replace("\n# connections_", "\nconnections_");
        assert_eq!(all.matches("\n# ").count() + 3, template().matches("\n# ").count());
        assert_eq!(parse(&all).unwrap(), config);
    }

    #[test]
    fn a_complaint_says_what_is_wrong_and_where() {
        let line = template().lines().count() + 1;
        let misspelled = complaint(&(template() + "registrations = \"open\"\n"));
        assert!(misspelled.contains("unknown field `registrations`") && misspelled.contains(&format!("line {line}")));
        assert!(complaint(&(template() + "registration = \"maybe\"\n")).contains("maybe"));
        assert!(complaint(&template().replace("keys.example.org", "ke ys")).contains("host = \"ke ys\""));
        assert!(complaint("host = 3").contains("line 1"));
    }

    #[test]
    fn init_makes_what_loads_and_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("new");
        let hosts = ["[::1]:4440".to_owned(), "keys.example.org".to_owned()];
        let path = init(&dir, &hosts).unwrap();
        let config = Config::load(&path).unwrap();
        let address = config.address(&config.identity().unwrap(), 1).unwrap().to_string();
        assert!(address.starts_with("hush://") && address.ends_with("@[::1]:4440"), "{address}");
        assert!(matches!(init(&dir, &hosts), Err(ConfigError::Exists { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(init(&dir, &hosts), Err(ConfigError::Identity(IdentityError::Exists { .. }))));
    }
}
