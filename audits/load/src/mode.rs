//! Kinds of load, one file each.

pub mod capacity;
pub mod compare;
pub mod crowd;
pub mod fanout;
pub mod faults;
pub mod growth;
pub mod idle;
pub mod mailboxes;
pub mod offline;
pub mod overload;
pub mod pairs;
pub mod peers;
pub mod soak;

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Failure;
use crate::times::now;

/// Bytes from which bodies are cut: incompressible, and more than any cache of a core.
const POOL_BYTES: usize = 4 * 1024 * 1024;

/// How long what is under way may take to arrive once nothing more is sent.
pub(crate) const TAIL_PATIENCE: Duration = Duration::from_secs(30);

/// Bodies of envelopes: when they were to be sent, and random bytes.
#[derive(Debug)]
pub struct Bodies {
    pool: Vec<u8>,
    size: usize,
}

impl Bodies {
    /// Of so many bytes, one of the sizes of envelopes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let mut pool = vec![0; POOL_BYTES + size];
        rand::fill(&mut pool);
        Self { pool, size }
    }

    /// One that says `at`.
    #[must_use]
    pub fn body(&self, at: u64) -> Bytes {
        let mut body = BytesMut::with_capacity(self.size);
        body.put_u64(at);
        let from = usize::try_from(at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 42).unwrap_or_default() % POOL_BYTES;
        body.extend(self.pool.iter().skip(from).take(self.size.saturating_sub(8)));
        body.freeze()
    }

    /// What a body says.
    #[must_use]
    pub fn at(body: &[u8]) -> u64 {
        body.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// A deposit id that no other run draws.
#[must_use]
pub fn deposit_id() -> [u8; 16] {
    rand::random()
}

/// A moment after `last`: also the number of a deposit, so never the same twice on one connection.
#[must_use]
pub fn moment_after(last: u64) -> u64 {
    now().max(last + 1)
}

/// Does `each` for all, `at_once` of them at a time; ends with the first failure.
///
/// # Errors
/// That of the first that failed.
pub async fn all<T, F>(count: u32, at_once: usize, mut each: impl FnMut(u32) -> F) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    let mut ended = |result: Result<Result<(u32, T), Failure>, _>| -> Result<(), Failure> {
        done.push(result.map_err(crate::said)??);
        Ok(())
    };
    for index in 0..count {
        if running.len() >= at_once
            && let Some(result) = running.join_next().await
        {
            ended(result)?;
        }
        let one = each(index);
        running.spawn(async move { Ok((index, one.await?)) });
    }
    while let Some(result) = running.join_next().await {
        ended(result)?;
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, value)| value).collect())
}

/// Until `is_done`, or it has taken too long.
pub async fn until(patience: Duration, is_done: impl Fn() -> bool) {
    let end = Instant::now() + patience;
    while !is_done() && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
}
