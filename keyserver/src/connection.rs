//! One connection: who it has proven to be, and how much it may ask.
//!
//! Leaves frames to `hushwire_proto::net`, and what a request does to `handle`.
//!
//! Spec: keyserver §1, §2.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use hushwire_proto::auth::{EXPORTER_LABEL, Greeted, SessionBinding, SignedInDevice};
use hushwire_proto::keyserver::{Answer, Refused, RefusedReason, Request};
use hushwire_proto::net::serve::{Peer, Reply, Service};

use crate::handle::{self, Server};
use crate::limits::{ASKING, Bucket, lock, neighbourhood};

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
    fn new(peer: &Peer, now: Instant) -> Self {
        let binding = peer.export(EXPORTER_LABEL, b"").ok();
        Self {
            address: neighbourhood(peer.remote().ip()),
            greeted: binding.map(|binding| Greeted::new(SessionBinding(binding))),
            device: Mutex::new(None),
            asking: Mutex::new(Bucket::full(ASKING, now)),
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

    fn connected(&self, peer: Peer) -> Session {
        Session::new(&peer, Instant::now())
    }

    fn request(self: &Arc<Self>, session: &Arc<Session>, payload: Bytes, reply: Reply) {
        let parsed = Request::parse(&payload);
        let admitted = session.admit(parsed.as_ref().map_or(1, handle::cost), Instant::now());
        let (server, session) = (self.clone(), session.clone());
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
            reply.send(answer.encode()).await;
        });
    }

    fn disconnected(&self, _: &Session) {}
}
