//! A keyserver, asked.
//!
//! Spec: keyserver §7.2, §7.7.

use std::time::Duration;

use hushwire_proto::address::ServerAddress;
use hushwire_proto::keyserver::{Answer, Refused, RefusedReason, Request, Step};
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::log::SignedRoot;
use hushwire_proto::net::KEYS_ALPN;
use hushwire_proto::net::call::{CallError, ConnectError, Connection};

/// The largest step that is checked, in bytes: 512 handles, each with 256 nodes on its way to the root, is 11 MiB.
const STEP_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How often one request is asked again that the keyserver had no time for.
const OVERLOADED_MAX: u32 = 50;

/// Why there is no answer to go on with. None of them proves a lie.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("it is not reached: {0}")]
    Connect(#[from] ConnectError),
    #[error("it does not answer: {0}")]
    Call(#[from] CallError),
    #[error("it refuses: {0}")]
    Refused(Refused),
    #[error("it answers out of protocol")]
    OutOfProtocol,
    #[error("it says that a step has {0} bytes, which no step has")]
    TooLarge(u64),
}

/// A connection to a keyserver.
pub(crate) struct Asker(Connection);

impl Asker {
    pub(crate) async fn connect(address: &ServerAddress) -> Result<Self, NoAnswer> {
        Ok(Self(Connection::connect(address, KEYS_ALPN, CONNECT_DEADLINE).await?))
    }

    /// The root of an epoch, or the newest. Not verified.
    pub(crate) async fn root(&self, epoch: Option<u64>) -> Result<SignedRoot, NoAnswer> {
        match self.ask(&Request::GetRoot { epoch }).await? {
            Answer::Root(root) if epoch.is_none_or(|epoch| epoch == root.epoch) => Ok(root),
            Answer::Refused(refused) => Err(NoAnswer::Refused(refused)),
            _ => Err(NoAnswer::OutOfProtocol),
        }
    }

    /// The step to an epoch, from its parts. Not verified.
    pub(crate) async fn step(&self, epoch: u64) -> Result<Vec<u8>, NoAnswer> {
        let mut bytes = Vec::new();
        loop {
            let Step { bytes_total, part } =
                match self.ask(&Request::GetStep { epoch, offset: bytes.len() as u64 }).await? {
                    Answer::Step(step) => step,
                    Answer::Refused(refused) => return Err(NoAnswer::Refused(refused)),
                    _ => return Err(NoAnswer::OutOfProtocol),
                };
            if bytes_total > STEP_BYTES_MAX {
                return Err(NoAnswer::TooLarge(bytes_total));
            }
            bytes.extend_from_slice(&part);
            match (bytes.len() as u64).cmp(&bytes_total) {
                std::cmp::Ordering::Equal => return Ok(bytes),
                std::cmp::Ordering::Less if !part.is_empty() => {}
                _ => return Err(NoAnswer::OutOfProtocol),
            }
        }
    }

    /// Waits while the keyserver says that it has too much to do.
    async fn ask(&self, request: &Request) -> Result<Answer, NoAnswer> {
        let mut tries = 0;
        loop {
            let answer = self.0.call(request.encode(), CALL_DEADLINE).await?;
            match Answer::parse(&answer).map_err(|_| NoAnswer::OutOfProtocol)? {
                Answer::Refused(refused) if refused.reason == RefusedReason::Overloaded && tries < OVERLOADED_MAX => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(refused.retry_after_ms.clamp(50, 10_000))).await;
                }
                answer => return Ok(answer),
            }
        }
    }
}
