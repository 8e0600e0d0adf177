//! Few open files: connections of clients need none, and whoever asks for the rest is refused.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use super::storm::{Outcome, Size, Storm};
use crate::Failure;
use crate::port::free_port;
use crate::server::Around;

/// What the process may have open.
const FILES: u32 = 256;

/// Connections to the admin port that are tried: more than it may have files.
const HELD: usize = 400;

/// Whoever is not answered for so long waits behind others.
const ANSWERS: Duration = Duration::from_millis(200);

/// How long they are held, while files of the database come and go.
const HOLD: Duration = Duration::from_secs(10);

/// Takes the files away, and judges.
///
/// # Errors
/// The relay ends.
pub async fn run(dir: &Path, size: Size) -> Result<Outcome, Failure> {
    let port = free_port();
    let settings = format!("admin = \"127.0.0.1:{port}\"\n");
    let around = Around { open_files: Some(FILES), settings, ..Around::default() };
    let size = Size { one_by_one: true, ..size }; // who waits behind so many may be refused
    let mut storm = Storm::begin(dir, &dir.join("relay"), &around, size).await?;
    storm.until_stored(1000).await?;
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let held: Vec<_> = (0..HELD).map_while(|_| TcpStream::connect_timeout(&admin, ANSWERS).ok()).collect();
    sleep(HOLD).await;
    let more = storm.stored() + 1000;
    storm.until_stored(more).await?;
    let open = storm.pid().and_then(|pid| std::fs::read_dir(format!("/proc/{pid}/fd")).ok()).map_or(0, Iterator::count);
    drop(held);
    sleep(Duration::from_secs(1)).await;
    let more = storm.stored() + 1000;
    storm.until_stored(more).await?; // a new relay would have another process: it must be the same
    Ok(storm.end("256 open files").await?.with("files open at most", open as f64))
}
