//! What a relay holds: asked of the running one over its admin port, or counted in the files.

use std::net::SocketAddr;

use hushwire_server::admin;

pub use crate::queue::Usage;
use crate::{
    config::Config,
    queue::rocks::{OpenError, RocksQueue},
};

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The relay itself.
    Running,
    /// Its files, as they were a moment ago.
    Files,
}

/// What the relay of this configuration holds.
///
/// # Errors
/// [`OpenError`] if no relay answers and there is no queue to be read.
pub fn usage(config: &Config) -> Result<(Usage, Source), OpenError> {
    if let Some(usage) = config.admin.and_then(ask) {
        return Ok((usage, Source::Running));
    }
    Ok((RocksQueue::look(&config.data_dir, &config.rules)?, Source::Files))
}

fn ask(admin: SocketAddr) -> Option<Usage> {
    serde_json::from_slice(&admin::get(admin, "/du").ok()?).ok()
}
