//! Whether a relay could run here: each finding is fine, or says what to do.

use std::{fs, path::Path};

use hushwire_proto::net::quic::SOCKET_BYTES;
pub use hushwire_server::check::Finding;
use hushwire_server::check::{self, Found};

use crate::{
    config::Config,
    disk::Disk,
    queue::rocks::{OpenError, RocksQueue},
};

/// Looks at everything that a relay with this configuration needs. Leaves nothing behind but the data directory.
#[must_use]
pub fn run(config: &Config) -> Vec<Finding> {
    let serving = check::is_serving(config.admin);
    let data = check::directory(&config.data_dir, "relay"); // before the disk of it is asked
    vec![
        Finding::new("key", identity(config)),
        Finding::new("certificate", certificate(config)),
        Finding::new("data directory", data),
        Finding::new("disk space", check::space(&Disk::of(&config.data_dir, config.disk_reserve))),
        Finding::new("queue", queue(config)),
        Finding::new("udp port", check::udp_port(config.listen, "relay", serving)),
        Finding::new("admin port", check::admin_port(config.admin, "relay", "127.0.0.1:4441", serving)),
        Finding::new("open files", check::open_files()),
        Finding::new("udp buffers", udp_buffers(&["rmem_max", "wmem_max"].map(|name| (name, kernel_setting(name))))),
    ]
}

fn identity(config: &Config) -> Found {
    let identity = config.identity().map_err(|error| error.to_string())?;
    let address = config.address(&identity, config.listen.port()).map_err(|error| error.to_string())?;
    Ok(format!("clients need {address}"))
}

fn certificate(config: &Config) -> Found {
    let identity = config.identity().map_err(|error| error.to_string())?;
    check::certificate(&identity, config.host_name(), &config.certificate)
}

fn queue(config: &Config) -> Found {
    if !config.data_dir.join(crate::queue::rocks::DATABASE_DIR).exists() {
        return Ok("none yet: the first start makes it".to_owned());
    }
    match RocksQueue::look(&config.data_dir, &config.rules) {
        Ok(usage) => Ok(format!("{} envelopes in {} mailboxes", usage.envelopes, usage.mailboxes)),
        Err(error @ (OpenError::System { .. } | OpenError::Storage(_))) => Err(format!("{error}: look at the disk")),
        Err(error) => Err(error.to_string()),
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
