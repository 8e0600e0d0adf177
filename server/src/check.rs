//! Whether a server could run here: each finding is fine, or says what to do.
//!
//! Owns what is looked at for any server. What only one of them has, it looks at itself.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use hushwire_proto::net::tls::ServerIdentity;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::admin;
use crate::disk::Disk;

/// Open files: those of the database, and some for connections to the admin port and what a library opens.
const OPEN_FILES_WANTED: u64 = 1024;

/// Nobody ran this program before then: 2026-01-01, in seconds of Unix time.
const CLOCK_MIN: Duration = Duration::from_secs(1_767_225_600);

const MIB: u64 = 1024 * 1024;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// Whether it is fine.
    pub ok: bool,
    /// How it is; if it is not fine, what to do.
    pub says: String,
}

/// How something is, or what to do about it.
pub type Found = Result<String, String>;

impl Finding {
    /// What was found.
    #[must_use]
    pub fn new(what: &'static str, found: Found) -> Self {
        match found {
            Ok(says) => Self { what, ok: true, says },
            Err(says) => Self { what, ok: false, says },
        }
    }
}

/// Clients look at the key only. But a certificate for another host, or an old one, is likely the wrong file.
///
/// # Errors
/// What to do.
pub fn certificate(identity: &ServerIdentity, name: &str, path: &Path) -> Found {
    identity.vouches_for(name).map_err(|error| {
        format!(
            "{}: {error}. Clients look at its key only; if it is the right file, renew it with the same key",
            path.display()
        )
    })?;
    Ok(format!("is valid for {name}"))
}

/// Writes as the database does, and waits for the disk.
///
/// # Errors
/// What to do.
pub fn directory(dir: &Path, server: &str) -> Found {
    let probe = dir.join(".check");
    let tried = || -> io::Result<u128> {
        fs::create_dir_all(dir)?;
        let mut file = File::create(&probe)?;
        let began = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_all()?;
        Ok(began.elapsed().as_micros())
    };
    let done = tried();
    let _ = fs::remove_file(&probe);
    match done {
        Ok(micros) => Ok(format!("{}: a write reaches the disk in {micros} µs", dir.display())),
        Err(cause) => Err(format!("{}: {cause}. The {server}'s user must be able to write there", dir.display())),
    }
}

/// What is free, and what must stay so.
///
/// # Errors
/// What to do.
pub fn space(disk: &Disk) -> Found {
    let Some(space) = disk.space() else { return Err("the system does not say how full the disk is".to_owned()) };
    let (free, reserve) = (space.free / MIB, disk.reserve(space) / MIB);
    if disk.is_low(space, false) {
        return Err(format!(
            "{free} MiB are free and {reserve} must stay free: make room, or set disk_reserve_mib; until then nothing \
             new is taken"
        ));
    }
    Ok(format!("{free} MiB are free, {reserve} must stay free"))
}

/// Whether a server of this kind answers at its admin port.
#[must_use]
pub fn is_serving(admin: Option<SocketAddr>) -> bool {
    admin.is_some_and(|admin| admin::get(admin, "/healthz").is_ok())
}

/// The socket that clients reach.
///
/// # Errors
/// What to do.
pub fn udp_port(address: SocketAddr, server: &str, serving: bool) -> Found {
    port(address, server, serving, UdpSocket::bind(address).map(drop))
}

/// The socket for numbers and health; `usual` is what to write for one.
///
/// # Errors
/// What to do.
pub fn admin_port(admin: Option<SocketAddr>, server: &str, usual: &str, serving: bool) -> Found {
    match admin {
        None => Ok(format!("none: write admin = \"{usual}\" to watch this {server}")),
        Some(admin) => port(admin, server, serving, TcpListener::bind(admin).map(drop)),
    }
}

fn port(address: SocketAddr, server: &str, serving: bool, bound: io::Result<()>) -> Found {
    match bound {
        Ok(()) => Ok(format!("{address} is free")),
        Err(error) if serving && error.kind() == io::ErrorKind::AddrInUse => {
            Ok(format!("{address} is used by the {server} that runs"))
        }
        Err(error) => Err(format!("{address}: {error}. Choose another, or stop what uses it")),
    }
}

/// How many files the process may have open.
///
/// # Errors
/// What to do.
pub fn open_files() -> Found {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < OPEN_FILES_WANTED => Err(format!(
            "at most {limit}, {OPEN_FILES_WANTED} are needed: raise it (ulimit -n, or LimitNOFILE= of systemd)"
        )),
        Some(limit) => Ok(format!("at most {limit}")),
        None => Ok("without a limit".to_owned()),
    }
}

/// Whether the clock is plainly wrong, as on a machine without a battery before it was told the time.
///
/// # Errors
/// What to do.
pub fn clock() -> Found {
    clock_at(SystemTime::now())
}

fn clock_at(now: SystemTime) -> Found {
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) if since >= CLOCK_MIN => Ok(format!("says {} seconds of Unix time", since.as_secs())),
        _ => Err("says a time before this program was made: set it, or let it be set (NTP)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_said() {
        assert!(clock_at(SystemTime::UNIX_EPOCH + Duration::from_secs(3600)).unwrap_err().contains("NTP"));
        assert!(clock_at(SystemTime::UNIX_EPOCH + CLOCK_MIN).is_ok());
    }

    #[test]
    fn a_port_in_use_is_fine_only_if_the_server_itself_has_it() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert!(udp_port(address, "relay", true).unwrap().contains("by the relay that runs"));
        assert!(udp_port(address, "relay", false).unwrap_err().contains("Choose another"));
        drop(taken);
        assert!(udp_port(address, "relay", false).unwrap().contains("is free"));
    }

    #[test]
    fn a_directory_that_cannot_be_written_says_whose_it_must_be() {
        let dir = tempfile::tempdir().unwrap();
        assert!(directory(&dir.path().join("new"), "relay").is_ok());
        let file = dir.path().join("file");
        File::create(&file).unwrap();
        assert!(directory(&file, "relay").unwrap_err().contains("The relay's user"));
        assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 0, "nothing is left behind");
    }
}
