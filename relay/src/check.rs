//! Whether a relay could run here: each finding is fine, or says what to do.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    time::Instant,
};

use hushwire_proto::net::{quic::SOCKET_BYTES, tls::ServerIdentity};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::{
    config::Config,
    disk::Disk,
    du,
    queue::rocks::{OpenError, RocksQueue},
};

/// Open files: those of the database, and some for connections to the admin port and what a library opens.
const OPEN_FILES_WANTED: u64 = 1024;

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

/// Looks at everything that a relay with this configuration needs. Leaves nothing behind but the data directory.
#[must_use]
pub fn run(config: &Config) -> Vec<Finding> {
    let serving = config.admin.is_some_and(|admin| du::get(admin, "/healthz").is_ok());
    let disk = Disk::of(&config.data_dir, config.disk_reserve);
    let data = directory(&config.data_dir);
    [
        ("key", identity(config)),
        ("certificate", certificate(config)),
        ("data directory", data),
        ("disk space", space(&disk)),
        ("queue", queue(config)),
        ("udp port", port(config.listen, serving, |address| UdpSocket::bind(address).map(drop))),
        (
            "admin port",
            match config.admin {
                None => Ok("none: write admin = \"127.0.0.1:4441\" to watch this relay".to_owned()),
                Some(admin) => port(admin, serving, |address| TcpListener::bind(address).map(drop)),
            },
        ),
        ("open files", open_files()),
        ("udp buffers", udp_buffers(&["rmem_max", "wmem_max"].map(|name| (name, kernel_setting(name))))),
    ]
    .into_iter()
    .map(|(what, found)| match found {
        Ok(says) => Finding { what, ok: true, says },
        Err(says) => Finding { what, ok: false, says },
    })
    .collect()
}

type Found = Result<String, String>;

fn identity(config: &Config) -> Found {
    let identity = config.identity().map_err(|error| error.to_string())?;
    let address = config.address(&identity, config.listen.port()).map_err(|error| error.to_string())?;
    Ok(format!("clients need {address}"))
}

/// Clients look at the key only. But a certificate for another host, or an old one, is likely the wrong file.
fn certificate(config: &Config) -> Found {
    let identity: ServerIdentity = config.identity().map_err(|error| error.to_string())?;
    let name = config.host_name();
    identity.vouches_for(name).map_err(|error| {
        format!(
            "{}: {error}. Clients look at its key only; if it is the right file, renew it with the same key",
            config.certificate.display()
        )
    })?;
    Ok(format!("is valid for {name}"))
}

/// Writes as the queue does, and waits for the disk.
fn directory(dir: &Path) -> Found {
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
        Err(cause) => Err(format!("{}: {cause}. The relay's user must be able to write there", dir.display())),
    }
}

fn space(disk: &Disk) -> Found {
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

fn queue(config: &Config) -> Found {
    if !config.data_dir.join(crate::queue::rocks::DATABASE_DIR).exists() {
        return Ok("none yet: the first start makes it".to_owned());
    }
    match RocksQueue::look(&config.data_dir, &config.rules) {
        Ok(usage) => Ok(format!("{} envelopes in {} mailboxes", usage.envelopes, usage.mailboxes)),
        Err(error @ OpenError::Database { .. }) => Err(error.to_string()),
        Err(error) => Err(format!("{error}: look at the disk, or restore a backup")),
    }
}

fn port(address: SocketAddr, serving: bool, bind: impl FnOnce(SocketAddr) -> io::Result<()>) -> Found {
    match bind(address) {
        Ok(()) => Ok(format!("{address} is free")),
        Err(error) if serving && error.kind() == io::ErrorKind::AddrInUse => {
            Ok(format!("{address} is used by the relay that runs"))
        }
        Err(error) => Err(format!("{address}: {error}. Choose another, or stop what uses it")),
    }
}

fn open_files() -> Found {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < OPEN_FILES_WANTED => Err(format!(
            "at most {limit}, {OPEN_FILES_WANTED} are needed: raise it (ulimit -n, or LimitNOFILE= of systemd)"
        )),
        Some(limit) => Ok(format!("at most {limit}")),
        None => Ok("without a limit".to_owned()),
    }
}

/// A setting of the kernel's network, if it has one of that name.
fn kernel_setting(name: &str) -> Option<usize> {
    fs::read_to_string(Path::new("/proc/sys/net/core").join(name)).ok()?.trim().parse().ok()
}

/// Too small ones are a warning: the relay runs with them, and drops packets when many come at once.
fn udp_buffers(most: &[(&str, Option<usize>)]) -> Found {
    let (mib, wanted) = (1024 * 1024, SOCKET_BYTES);
    let small = most.iter().filter_map(|(name, most)| most.filter(|most| *most < wanted).map(|most| (name, most)));
    let small: Vec<_> = small.collect();
    if small.is_empty() {
        return Ok(format!("{} MiB each way, or the system does not say", wanted / mib));
    }
    let found: Vec<_> = small.iter().map(|(name, most)| format!("{name} is {} KiB", most / 1024)).collect();
    let lines: Vec<_> = small.iter().map(|(name, _)| format!("net.core.{name}={wanted}")).collect();
    Ok(format!(
        "warning: {}, {} MiB are asked for: under load packets are dropped; sysctl -w {}, and the same lines in \
         /etc/sysctl.d",
        found.join(", "),
        wanted / mib,
        lines.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::udp_buffers;

    #[test]
    fn udp_buffers_that_are_too_small_are_told_with_the_line_that_widens_them() {
        let says = udp_buffers(&[("rmem_max", Some(212_992)), ("wmem_max", Some(8 << 20))]).unwrap();
        assert!(says.starts_with("warning: rmem_max is 208 KiB, 8 MiB are asked for"), "{says}");
        assert!(says.contains("sysctl -w net.core.rmem_max=8388608, and"), "{says}");
        let fine = udp_buffers(&[("rmem_max", Some(8 << 20)), ("wmem_max", None)]).unwrap();
        assert!(!fine.contains("warning"), "{fine}");
    }
}
