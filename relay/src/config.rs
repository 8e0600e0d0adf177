//! The file an operator writes. Everything in it is checked before anything is started, and each complaint names the
//! line and says what to write instead.

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use hushwire_proto::{
    address::{AddressError, RELAY_PORT, ServerAddress},
    net::{
        serve::ServeLimits,
        tls::{IdentityError, ServerIdentity},
    },
};
use serde::Deserialize;
use toml::Spanned;

use crate::{
    doors::DoorRates,
    quota::{MAILBOXES_MAX, Rules},
    rates::Rates,
};

/// The name of the file that `init` writes.
pub const FILE: &str = "relay.toml";

/// The largest file that is read.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;

const DAY: Duration = Duration::from_secs(24 * 3600);
const MIB: u64 = 1024 * 1024;

/// A checked configuration. Paths are absolute or relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the queue lies.
    pub data_dir: PathBuf,
    /// The UDP socket.
    pub listen: SocketAddr,
    /// `HOST[:PORT]` as clients reach it.
    pub host: String,
    /// PEM, the server's certificate first.
    pub certificate: PathBuf,
    /// PEM, readable by its owner only.
    pub key: PathBuf,
    /// What may be kept, and how long.
    pub rules: Rules,
    /// Connections it takes.
    pub connections: ServeLimits,
    /// Where it tells its numbers; a loopback address.
    pub admin: Option<SocketAddr>,
    /// What one network address may take.
    pub rates: Rates,
    /// How much may come at one door.
    pub doors: DoorRates,
    /// Bytes that stay free on the disk; `None`: a share of it.
    pub disk_reserve: Option<u64>,
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
    #[error("{}, line {line}: {setting} = {found}: write a number from {} to {}", path.display(), allowed.start(), allowed.end())]
    Range {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Its name.
        setting: &'static str,
        /// What was there.
        found: u64,
        /// What may be there.
        allowed: RangeInclusive<u64>,
    },
    /// `host` is none.
    #[error("{}, line {line}: host = \"{found}\": {cause}", path.display())]
    Host {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What was there.
        found: String,
        /// What to write instead.
        cause: AddressError,
    },
    /// `admin` is an address that others could reach.
    #[error(
        "{}, line {line}: admin = \"{found}\": write a loopback address, such as 127.0.0.1:{}; to watch from elsewhere, \
         tunnel to it",
        path.display(),
        found.port()
    )]
    AdminNotLoopback {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What was there.
        found: SocketAddr,
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
    host: Spanned<String>,
    certificate: PathBuf,
    key: PathBuf,
    retention_days: Option<Spanned<u64>>,
    mailbox_mib: Option<Spanned<u64>>,
    mailboxes_max: Option<Spanned<u64>>,
    connections_max: Option<Spanned<u64>>,
    connections_per_address_max: Option<Spanned<u64>>,
    admin: Option<Spanned<SocketAddr>>,
    disk_reserve_mib: Option<Spanned<u64>>,
    requests_per_second_per_address: Option<Spanned<u64>>,
    in_flight_mib_per_address: Option<Spanned<u64>>,
    deposits_per_second_per_token: Option<Spanned<u64>>,
    deposits_per_second_per_mailbox: Option<Spanned<u64>>,
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
        let line_of = |start| 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        let number = |setting, value: Option<Spanned<u64>>, default, allowed: RangeInclusive<u64>| match value {
            None => Ok(default),
            Some(value) if allowed.contains(value.get_ref()) => Ok(value.into_inner()),
            Some(value) => {
                let (path, line) = (path.to_owned(), line_of(value.span().start));
                Err(ConfigError::Range { path, line, setting, found: value.into_inner(), allowed })
            }
        };
        let Written { data_dir, listen, host, certificate, key, .. } = written;
        let line = line_of(host.span().start);
        let host = host.into_inner();
        if let Err(cause) = ServerAddress::parse(&format!("hush://{host}"), RELAY_PORT) {
            return Err(ConfigError::Host { path: path.to_owned(), line, found: host, cause });
        }
        let usual = ServeLimits::default();
        let count = |setting, value, usual: usize| {
            let usual = u64::try_from(usual).unwrap_or(u64::MAX);
            number(setting, value, usual, 1..=1_000_000).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
        };
        let days = number("retention_days", written.retention_days, 30, 1..=90)?;
        let rules = Rules {
            mailbox_bytes_max: MIB * number("mailbox_mib", written.mailbox_mib, 64, 1..=65_536)?,
            mailboxes_max: number("mailboxes_max", written.mailboxes_max, MAILBOXES_MAX, 1..=1_000_000_000)?,
            retention: DAY * u32::try_from(days).unwrap_or(u32::MAX),
            ..Rules::default()
        };
        let connections = ServeLimits {
            connections: count("connections_max", written.connections_max, usual.connections)?,
            connections_per_address: count(
                "connections_per_address_max",
                written.connections_per_address_max,
                usual.connections_per_address,
            )?,
            ..usual
        };
        if let Some(found) = written.admin.as_ref().filter(|admin| !admin.get_ref().ip().is_loopback()) {
            let (path, line, found) = (path.to_owned(), line_of(found.span().start), *found.get_ref());
            return Err(ConfigError::AdminNotLoopback { path, line, found });
        }
        let admin = written.admin.map(Spanned::into_inner);
        let disk_reserve = match written.disk_reserve_mib {
            None => None,
            some => Some(MIB * number("disk_reserve_mib", some, 0, 0..=1_000_000)?),
        };
        let per_second = |setting, value, usual: u32| {
            number(setting, value, usual.into(), 1..=1_000_000).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
        };
        let (usual, usual_doors) = (Rates::default(), DoorRates::default());
        let requests_per_second = per_second(
            "requests_per_second_per_address",
            written.requests_per_second_per_address,
            usual.requests_per_second,
        )?;
        let mib = number("in_flight_mib_per_address", written.in_flight_mib_per_address, 8, 1..=32)?;
        let rates = Rates { requests_per_second, bytes_in_flight: u32::try_from(mib * MIB).unwrap_or(u32::MAX) };
        let token = written.deposits_per_second_per_token;
        let mailbox = written.deposits_per_second_per_mailbox;
        let doors = DoorRates {
            token_per_second: per_second("deposits_per_second_per_token", token, usual_doors.token_per_second)?,
            mailbox_per_second: per_second("deposits_per_second_per_mailbox", mailbox, usual_doors.mailbox_per_second)?,
        };
        let beside = |file: PathBuf| path.parent().map_or_else(|| file.clone(), |dir| dir.join(&file));
        let (data_dir, certificate, key) = (beside(data_dir), beside(certificate), beside(key));
        Ok(Self { data_dir, listen, host, certificate, key, rules, connections, admin, rates, doors, disk_reserve })
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

    /// Where clients find this relay if it listens on `port`.
    ///
    /// # Errors
    /// [`AddressError`]; not for a host that was checked.
    pub fn address(&self, identity: &ServerIdentity, port: u16) -> Result<ServerAddress, AddressError> {
        let address = ServerAddress::parse(&format!("hush://{}", self.host), port)?;
        Ok(address.with_fingerprint(identity.fingerprint()))
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
# Hushwire relay. Lines that begin with # say what happens without them.
# Check this file with: hushwire-relay check --config FILE

# How clients reach this relay: a domain name, an IPv4 address, or an IPv6 address in [ ]. Add :PORT if clients reach
# it on another port than the one it listens on.
host = \"@HOST@\"

# The UDP socket. Open this port in the firewall.
listen = \"[::]:4431\"

# Where undelivered envelopes lie. Paths are relative to this file.
data_dir = \"data\"

# Who this relay is. Clients know it by the key: back it up, and keep it when the certificate is renewed.
certificate = \"relay.crt\"
key = \"relay.key\"

# Days that an undelivered envelope is kept, 1 to 90.
# retention_days = 30

# Mebibytes that one mailbox holds before its senders are told that it is full.
# mailbox_mib = 64

# Mailboxes of this relay. One device has one.
# mailboxes_max = 100000

# Connections, in all and from one address (IPv6: from one /64).
# connections_max = 50000
# connections_per_address_max = 256

# Requests in a second, and mebibytes of deposits in work, of one address (IPv6: of one /64).
# requests_per_second_per_address = 20000
# in_flight_mib_per_address = 8

# Envelopes of up to 4 KiB that are taken in a second with one token, and into one mailbox; ten seconds' worth at once. A
# longer one counts as several.
# deposits_per_second_per_token = 1000
# deposits_per_second_per_mailbox = 5000

# Mebibytes that stay free on the disk: below, nothing new is taken, and what is there can still be fetched. Without
# this line a twentieth of the disk, at least 1024 and at most 16384. With 0 the relay goes on until the disk is full, then waits for room.
# disk_reserve_mib = 1024

# Metrics (/metrics), health (/healthz, /readyz) and use (/du) over HTTP, for this machine only. Without this line
# nothing but the UDP port is listened on.
# admin = \"127.0.0.1:4441\"
";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/etc/hushwire/relay.toml"))
    }

    fn template() -> String {
        TEMPLATE.replace("@HOST@", "relay.example.org")
    }

    fn complaint(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_template_is_read_and_says_the_truth_about_its_defaults() {
        let config = parse(&template()).unwrap();
        assert_eq!(config.data_dir, Path::new("/etc/hushwire/data"));
        assert_eq!((config.rules, config.connections), (Rules::default(), ServeLimits::default()));
        let all = template().replace("\n# retention", "\nretention").replace("\n# mailbox", "\nmailbox");
        let all = all.replace("\n# connections_", "\nconnections_");
        assert_eq!(all.matches("\n# ").count() + 5, template().matches("\n# ").count());
        assert_eq!(parse(&all).unwrap(), config);
        let rated = all.replace("\n# requests_", "\nrequests_").replace("\n# in_flight", "\nin_flight");
        let rated = rated.replace("\n# deposits_", "\ndeposits_");
        assert_eq!(all.matches("\n# ").count(), rated.matches("\n# ").count() + 4);
        assert_eq!(parse(&rated).unwrap(), config);
        let watched = all.replace("\n# admin", "\nadmin").replace("\n# disk_", "\ndisk_");
        let watched = parse(&watched).unwrap();
        assert_eq!((watched.admin, config.admin), (Some("127.0.0.1:4441".parse().unwrap()), None));
        assert_eq!((watched.disk_reserve, config.disk_reserve), (Some(1024 * MIB), None));
    }

    #[test]
    fn a_complaint_names_the_line_and_what_to_write() {
        let text = template() + "retention_days = 400\n";
        let line = text.lines().count();
        let expected =
            format!("/etc/hushwire/relay.toml, line {line}: retention_days = 400: write a number from 1 to 90");
        assert_eq!(complaint(&text), expected);
        assert!(complaint(&template().replace("relay.example.org", "re lay")).contains("line 6: host = \"re lay\""));
        assert!(complaint(&(template() + "retention_day = 4\n")).contains(&format!("line {line}")));
        assert!(complaint(&(template() + "retention_day = 4\n")).contains("unknown field `retention_day`"));
        let open = template() + "admin = \"0.0.0.0:4441\"\n";
        assert!(complaint(&open).contains(&format!("line {line}: admin = \"0.0.0.0:4441\": write a loopback address")));
        assert!(complaint("host = 3").contains("line 1"));
    }

    #[test]
    fn init_makes_what_loads_and_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("new");
        let hosts = ["[::1]:4440".to_owned(), "relay.example.org".to_owned()];
        let path = init(&dir, &hosts).unwrap();
        let config = Config::load(&path).unwrap();
        let address = config.address(&config.identity().unwrap(), 1).unwrap().to_string();
        assert!(address.starts_with("hush://") && address.ends_with("@[::1]:4440"), "{address}");
        assert!(matches!(init(&dir, &hosts), Err(ConfigError::Exists { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(init(&dir, &hosts), Err(ConfigError::Identity(IdentityError::Exists { .. }))));
    }
}
