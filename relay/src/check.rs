//! Whether a relay could run here: each finding is fine, or says what to do.

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
        Err(error @ OpenError::Database { .. }) => Err(error.to_string()),
        Err(error) => Err(format!("{error}: look at the disk, or restore a backup")),
    }
}
