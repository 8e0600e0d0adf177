//! Whether a keyserver could run here: each finding is fine, or says what to do.

pub use hushwire_server::check::Finding;
use hushwire_server::check::{self, Found};
use hushwire_server::disk::Disk;

use crate::config::Config;
use crate::keys;

/// Looks at everything that a keyserver with this configuration needs. Leaves nothing behind but the data directory.
#[must_use]
pub fn run(config: &Config) -> Vec<Finding> {
    let serving = check::is_serving(config.admin);
    let data = check::directory(&config.data_dir, "keyserver"); // before the disk of it is asked
    vec![
        Finding::new("key", identity(config)),
        Finding::new("certificate", certificate(config)),
        Finding::new("data directory", data),
        Finding::new("disk space", check::space(&Disk::of(&config.data_dir, config.disk_reserve))),
        Finding::new("database", database(config, serving)),
        Finding::new("udp port", check::udp_port(config.listen, "keyserver", serving)),
        Finding::new("admin port", check::admin_port(config.admin, "keyserver", "127.0.0.1:4442", serving)),
        Finding::new("clock", check::clock()),
        Finding::new("open files", check::open_files()),
    ]
}

fn identity(config: &Config) -> Found {
    let identity = config.identity().map_err(|error| error.to_string())?;
    if identity.signing_key().is_none() {
        let key = config.key.display();
        return Err(format!("{key} is no Ed25519 key, as init makes it: no log can be signed with it"));
    }
    let address = config.address(&identity, config.listen.port()).map_err(|error| error.to_string())?;
    Ok(format!("clients need {address}"))
}

fn certificate(config: &Config) -> Found {
    let identity = config.identity().map_err(|error| error.to_string())?;
    check::certificate(&identity, config.host_name(), &config.certificate)
}

fn database(config: &Config, serving: bool) -> Found {
    if !config.data_dir.join("CURRENT").exists() {
        return Ok("none yet: the first start makes it".to_owned());
    }
    match keys::look(&config.data_dir) {
        Ok(epoch) => Ok(format!("the log has come to epoch {epoch}")),
        Err(_) if serving => Ok("is open in the keyserver that runs".to_owned()),
        Err(error) => Err(format!("{error}: stop what uses it, look at the disk, or restore a backup")),
    }
}
