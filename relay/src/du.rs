//! What a relay holds: asked of the running one over its admin port, or counted in the files.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

pub use crate::queue::Usage;
use crate::{
    config::Config,
    queue::rocks::{OpenError, RocksQueue},
};

/// The largest answer of an admin port that is read: a page of numbers.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// How long a relay on this machine may take to answer.
const DEADLINE: Duration = Duration::from_secs(10);

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
    serde_json::from_slice(&get(admin, "/du").ok()?).ok()
}

/// The body of an answer 200 from the admin port of a relay on this machine.
///
/// # Errors
/// What the system said, or that it was another answer.
pub fn get(admin: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&admin, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {admin}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = end.and_then(|end| answer.get(end.saturating_add(4)..));
    match body.filter(|_| answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200")) {
        Some(body) => Ok(body.to_vec()),
        None => Err(io::Error::other("another answer than 200")),
    }
}
