//! The file an operator writes. Everything in it is checked before anything is started, and each complaint says what to
//! write instead.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use hushwire_proto::address::{AddressError, KEYSERVER_PORT, ServerAddress};
use hushwire_proto::limits::WORK_BITS_MAX;
use hushwire_proto::net::serve::ServeLimits;
use hushwire_proto::net::tls::{IdentityError, ServerIdentity};
use hushwire_server::disk::Disk;
use serde::Deserialize;

use crate::{Operation, Parts, Rates, Registration};

/// The name of the file that `init` writes.
pub const FILE: &str = "keyserver.toml";

/// The largest file that is read.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// The work that a new account costs unless the operator says otherwise: about a million hashes.
const WORK_BITS: u8 = 20;

const MIB: u64 = 1024 * 1024;

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
    /// Where it tells its numbers; a loopback address.
    pub admin: Option<SocketAddr>,
    /// Bytes that stay free on the disk; `None`: a share of it.
    pub disk_reserve: Option<u64>,
    /// Zero bits of work that a new account costs.
    pub work_bits: u8,
    /// What askers may take.
    pub rates: Rates,
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
    /// A number outside its range.
    #[error("{}: {setting} = {found}: write a number from {} to {}", path.display(), allowed.start(), allowed.end())]
    Range {
        /// Which file.
        path: PathBuf,
        /// Its name.
        setting: &'static str,
        /// What was there.
        found: u64,
        /// What may be there.
        allowed: RangeInclusive<u64>,
    },
    /// `admin` is an address that others could reach.
    #[error(
        "{}: admin = \"{found}\": write a loopback address, such as 127.0.0.1:{}; to watch from elsewhere, tunnel to it",
        path.display(),
        found.port()
    )]
    AdminNotLoopback {
        /// Which file.
        path: PathBuf,
        /// What was there.
        found: SocketAddr,
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
    admin: Option<SocketAddr>,
    disk_reserve_mib: Option<u64>,
    work_bits: Option<u64>,
    requests_per_second_per_connection: Option<u64>,
    fetches_per_hour_per_address: Option<u64>,
    lookups_per_hour_per_address: Option<u64>,
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
        let number = |setting, value: Option<u64>, usual: u32, allowed: RangeInclusive<u64>| match value {
            None => Ok(usual),
            Some(value) if allowed.contains(&value) => Ok(u32::try_from(value).unwrap_or(u32::MAX)),
            Some(found) => Err(ConfigError::Range { path: path.to_owned(), setting, found, allowed }),
        };
        let bits = number("work_bits", written.work_bits, WORK_BITS.into(), 0..=WORK_BITS_MAX.into())?;
        let usual = Rates::default();
        let (asks, fetches) = (written.requests_per_second_per_connection, written.fetches_per_hour_per_address);
        let lookups = written.lookups_per_hour_per_address;
        let rates = Rates {
            requests_per_second: number(
                "requests_per_second_per_connection",
                asks,
                usual.requests_per_second,
                1..=1_000_000,
            )?,
            fetches_per_hour: number(
                "fetches_per_hour_per_address",
                fetches,
                usual.fetches_per_hour,
                1..=1_000_000_000,
            )?,
            lookups_per_hour: number(
                "lookups_per_hour_per_address",
                lookups,
                usual.lookups_per_hour,
                1..=1_000_000_000,
            )?,
        };
        let reserve = written.disk_reserve_mib;
        let reserve = reserve.map(|mib| number("disk_reserve_mib", Some(mib), 0, 0..=1_000_000)).transpose()?;
        if let Some(found) = written.admin.filter(|admin| !admin.ip().is_loopback()) {
            return Err(ConfigError::AdminNotLoopback { path: path.to_owned(), found });
        }
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
            admin: written.admin,
            disk_reserve: reserve.map(|mib| MIB * u64::from(mib)),
            work_bits: u8::try_from(bits).unwrap_or(WORK_BITS_MAX),
            rates,
        })
    }

    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn identity(&self) -> Result<ServerIdentity, IdentityError> {
        ServerIdentity::load(&self.certificate, &self.key)
    }

    /// The host without its port, as it stands in a certificate.
    #[must_use]
    pub fn host_name(&self) -> &str {
        name_of(&self.host)
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
        let Self { data_dir, listen, host, certificate: _, key: _, registration, connections, .. } = self;
        let Self { admin, disk_reserve, work_bits, rates, .. } = self;
        let operation = Operation { admin, disk: Disk::of(&data_dir, disk_reserve), work_bits, rates };
        Ok(Parts { data_dir, listen, host, identity, registration, connections, operation })
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
    let identity = ServerIdentity::self_signed(&hosts.iter().map(|host| name_of(host).to_owned()).collect::<Vec<_>>())?;
    fs::create_dir_all(dir).map_err(|cause| ConfigError::File { path: dir.to_owned(), cause })?;
    identity.write(&config.certificate, &config.key)?;
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&path);
    let written = written.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|cause| ConfigError::File { path: path.clone(), cause })?;
    Ok(path)
}

/// What stands in a certificate: no port, no brackets.
fn name_of(host: &str) -> &str {
    let name = match host.strip_prefix('[') {
        Some(ip) => ip.split(']').next(),
        None => host.split(':').next(),
    };
    name.unwrap_or(host)
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

# Who may make an account: \"open\" (everyone whose program does some work first), \"invites\" (whoever has a code that
# hushwire-keyserver invite made) or \"closed\" (nobody new). With a code no work is needed.
# registration = \"open\"

# The work that a new account costs when it is open, 0 to 30: 20 is about a million tries, and
# each more doubles them. While many come at once the keyserver asks for more by itself. 0: none.
# work_bits = 20

# Connections, in all and from one address (IPv6: from one /64).
# connections_max = 50000
# connections_per_address_max = 256

# Requests in a second of one connection (256 at once), and from one address in an hour, a third of it at once: fetches of
# keys that are given one-time keys, and handles looked up. If all come from one address, as behind Tor, raise these two.
# requests_per_second_per_connection = 16
# fetches_per_hour_per_address = 360
# lookups_per_hour_per_address = 1800

# Mebibytes that stay free on the disk: below, no new accounts and keys are taken, and what is there can still be fetched.
# Without this line a twentieth of the disk, at least 1024 and at most 16384.
# disk_reserve_mib = 1024

# Metrics (/metrics) and health (/healthz, /readyz) over HTTP, for this machine only. Without this line nothing but the
# UDP port is listened on.
# admin = \"127.0.0.1:4442\"
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
        let all = ["registration =", "work_bits", "connections_", "requests_", "fetches_", "lookups_"]
            .iter()
            .fold(template(), |text, name| text.replace(&format!("\n# {name}"), &format!("\n{name}")));
        assert_eq!(all.matches("\n# ").count() + 7, template().matches("\n# ").count());
        assert_eq!(parse(&all).unwrap(), config);
        let watched = all.replace("\n# admin", "\nadmin").replace("\n# disk_", "\ndisk_");
        let watched = parse(&watched).unwrap();
        assert_eq!((watched.admin, config.admin), (Some("127.0.0.1:4442".parse().unwrap()), None));
        assert_eq!((watched.disk_reserve, config.disk_reserve), (Some(1024 * MIB), None));
    }

    #[test]
    fn a_complaint_says_what_is_wrong_and_where() {
        let line = template().lines().count() + 1;
        let misspelled = complaint(&(template() + "registrations = \"open\"\n"));
        assert!(misspelled.contains("unknown field `registrations`") && misspelled.contains(&format!("line {line}")));
        assert!(complaint(&(template() + "registration = \"maybe\"\n")).contains("maybe"));
        assert!(complaint(&template().replace("keys.example.org", "ke ys")).contains("host = \"ke ys\""));
        assert!(complaint("host = 3").contains("line 1"));
        let range = complaint(&(template() + "work_bits = 31\n"));
        assert!(range.ends_with("work_bits = 31: write a number from 0 to 30"), "{range}");
        assert!(complaint(&(template() + "admin = \"0.0.0.0:4442\"\n")).contains("write a loopback address"));
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
