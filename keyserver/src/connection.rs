//! One connection: who it has proven to be, and how much it may ask.
//!
//! Leaves frames to `hushwire_proto::net`, and what a request does to `handle`.
//!
//! Spec: keyserver §1, §2.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hushwire_proto::auth::{EXPORTER_LABEL, Greeted, SessionBinding, SignedInDevice};
use hushwire_proto::keyserver::{Answer, Refused, RefusedReason, Request};
use hushwire_proto::limits::LOOKUP_ANSWER_STEP;
use hushwire_proto::net::serve::{Peer, Reply, Service};

use crate::handle::{self, Server};
use crate::limits::{ANSWER_GRAIN, Bucket, Rate, lock, neighbourhood};

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    address: IpAddr,
    /// `None`: the TLS session was gone at once, and nobody can prove anything.
    greeted: Option<Greeted>,
    /// With the key that proved it: a number may become another device's.
    device: Mutex<Option<(SignedInDevice, [u8; 32])>>,
    asking: Mutex<Bucket>,
}

impl Session {
    fn new(peer: &Peer, asking: Rate, now: Instant) -> Self {
        let binding = peer.export(EXPORTER_LABEL, b"").ok();
        Self {
            address: neighbourhood(peer.remote().ip()),
            greeted: binding.map(|binding| Greeted::new(SessionBinding(binding))),
            device: Mutex::new(None),
            asking: Mutex::new(Bucket::full(asking, now)),
        }
    }

    /// Counts a request before anything is done for it.
    fn admit(&self, units: u32, now: Instant) -> Result<(), Refused> {
        lock(&self.asking).take(units, now).map_err(|wait| handle::overloaded("this connection asks too much", wait))
    }

    /// What counts as the address of this connection.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// What the peer can prove something over.
    pub(crate) fn greeted(&self) -> Option<Greeted> {
        self.greeted
    }

    /// Which device the peer has proven to be, and by which signing key.
    pub(crate) fn device(&self) -> Option<(SignedInDevice, [u8; 32])> {
        *lock(&self.device)
    }

    /// The last proof counts: a connection is one device at a time.
    pub(crate) fn sign_in(&self, device: SignedInDevice, signing_key: [u8; 32]) {
        *lock(&self.device) = Some((device, signing_key));
    }
}

impl Service for Server {
    type Connection = Session;

    /// Answers have proofs and keys in them, some kilobytes each, and cost a good part of a millisecond.
    const REQUESTS_IN_WORK: usize = 16;

    fn connected(&self, peer: Peer) -> Session {
        Session::new(&peer, self.asking, Instant::now())
    }

    fn request(self: &Arc<Self>, session: &Arc<Session>, payload: Bytes, reply: Reply) {
        let parsed = Request::parse(&payload);
        let admitted = session.admit(parsed.as_ref().map_or(1, handle::cost), Instant::now());
        let tells_who_is_here = matches!(parsed, Ok(Request::Lookup(_) | Request::Fetch { .. }));
        let (server, session, began) = (self.clone(), session.clone(), Instant::now());
        tokio::spawn(async move {
            let answer = match (admitted, parsed) {
                (Err(refused), _) => Answer::Refused(refused),
                (Ok(()), Err(bad)) => handle::refuse(RefusedReason::BadRequest, bad.to_string()),
                (Ok(()), Ok(request)) => handle::handle(&server, &session, request).await.unwrap_or_else(|error| {
                    tracing::error!(%error, "a request failed in the storage");
                    server.keys.fail();
                    handle::storage_failed()
                }),
            };
            if let Answer::Refused(refused) = &answer {
                server.metrics.refused.count(refused.reason);
            }
            let payload = match tells_who_is_here {
                true => {
                    tokio::time::sleep(until_grain(began.elapsed())).await;
                    answer.encode_filled(LOOKUP_ANSWER_STEP)
                }
                false => answer.encode(),
            };
            reply.send(payload).await;
        });
    }

    fn disconnected(&self, _: &Session) {}
}

/// How long an answer that took so long waits yet.
fn until_grain(took: Duration) -> Duration {
    let grain = ANSWER_GRAIN.as_micros();
    let over = took.as_micros().checked_rem(grain).unwrap_or_default();
    Duration::from_micros(u64::try_from(grain.saturating_sub(over)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_leaves_at_the_next_multiple_of_the_grain() {
        for (took, leaves) in [(0, 20), (1, 20), (19, 20), (20, 40), (39, 40), (1_001, 1_020)] {
            let took = Duration::from_millis(took);
            assert_eq!(took + until_grain(took), Duration::from_millis(leaves));
        }
    }
}
