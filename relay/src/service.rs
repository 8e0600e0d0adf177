//! The relay as a service of `hushwire_proto::net`: frames in, requests to [`crate::handle`], answers out.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use hushwire_proto::{
    net::serve::{Peer, Reply, Service},
    relay::Request,
};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    clock::RelayTime,
    connection::Connection,
    doors::Doors,
    drains::Drains,
    handle::{Answering, handle, malformed},
    overload::Overload,
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
    pub(crate) doors: Arc<Doors>,
    pub(crate) patience: Arc<Patience>,
    pub(crate) overload: Arc<Overload>,
    /// Places for whispers in work.
    pub(crate) whispers: Arc<Semaphore>,
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
        !self.overload.turns_connections_away() && self.queue.metrics().pressure() < CONNECTIONS_SHED_AT
    }

    fn turn(&self, connection: &Connection) -> impl Future<Output = ()> + Send {
        let pace = connection.is_paced().then(|| connection.address().pace().clone());
        async move {
            if let Some(pace) = pace {
                pace.turn().await;
            }
        }
    }

    fn request(self: &Arc<Self>, connection: &Arc<Connection>, payload: Bytes, reply: Reply) {
        let answering = Answering::new(self.queue.metrics().clone(), reply);
        match Request::parse(&payload) {
            Ok(request) => handle(self, connection, request, answering),
            Err(bad) => malformed(connection, &bad, answering),
        }
    }

    fn disconnected(&self, _: &Connection) {} // its drains end with their outbox
}
