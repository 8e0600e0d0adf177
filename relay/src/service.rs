//! The relay as a service of `hushwire_proto::net`: frames in, requests to [`crate::handle`], answers out.

use std::{convert::Infallible, future::Future, sync::Arc};

use hushwire_proto::{
    frame::Frame,
    net::serve::{Outbox, Peer, Service},
    relay::{Answer, RefusedReason, Request},
};
use tokio::sync::mpsc;

use crate::{
    clock::RelayTime,
    connection::Connection,
    drains::Drains,
    handle::{Reply, handle, refused},
    patience::Patience,
    queue::Queue,
    rates::Addresses,
};

/// Hundredths of the queue's line from which on no further connection is taken.
const CONNECTIONS_SHED_AT: u64 = 50;

/// What all connections share.
pub(crate) struct Relay<Q> {
    pub(crate) queue: Q,
    pub(crate) time: RelayTime,
    pub(crate) drains: Drains,
    pub(crate) addresses: Addresses,
    pub(crate) patience: Arc<Patience>,
    /// Gone when the last user of the queue is. After the queue in this list, so dropped after it.
    pub(crate) _in_use: mpsc::Sender<Infallible>,
}

impl<Q: Queue> Service for Relay<Q> {
    type Connection = Connection;

    fn connected(&self, peer: Peer) -> Connection {
        let address = self.addresses.of(&peer);
        Connection::new(peer, address)
    }

    /// What comes new is shed before what is there.
    fn takes_connections(&self) -> bool {
        self.queue.metrics().pressure() < CONNECTIONS_SHED_AT
    }

    fn request(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        request: Frame,
        out: Outbox,
    ) -> impl Future<Output = ()> + Send + 'static {
        let Frame { id, payload } = request;
        let reply = Request::parse(&payload).map(|request| handle(self, connection, request, &out));
        let relay = self.clone();
        async move {
            let Reply { answer, then } = match reply {
                Ok(reply) => reply.await,
                Err(bad) => refused(RefusedReason::BadRequest, bad.to_string()).into(),
            };
            if let Answer::Refused(refused) = &answer {
                relay.queue.metrics().refused.count(refused.reason);
            }
            drop(relay);
            let sent = out.send(Frame { id, payload: answer.encode() }).await;
            if let (Ok(()), Some(then)) = (sent, then) {
                tokio::spawn(then);
            }
        }
    }

    fn disconnected(&self, _: &Connection) {} // its drains end with their outbox
}
