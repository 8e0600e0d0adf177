//! A client of the relay that keeps to the protocol, and only asks for too much of what it may ask for.
//!
//! It is quinn's: whoever wants to be heard often must acknowledge packets, and keep to the windows of the transport.

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use ed25519_dalek::SigningKey;
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding, prove_mailbox};
use hushwire_proto::frame::{self, Frame, RequestId};
use hushwire_proto::ids::{MailboxId, Seq};
use hushwire_proto::limits::MAILBOXES_PER_CONNECTION_MAX;
use hushwire_proto::relay::{Answer, Push, RefusedReason, Request};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, TokioRuntime, TransportConfig, VarInt,
};
use rand::RngExt;
use tokio::time::{sleep, timeout};

use crate::peer::Victim;
use crate::{Failure, said};

/// How long an answer is waited for before the attack.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of requests that wait for the transport, beyond which none is added.
const OUTPUT_BYTES: usize = 16 * 1024;

/// Who has nothing to ask looks again after this.
const MOMENT: Duration = Duration::from_millis(5);

/// Bytes that may be sent to a narrow one.
const NARROW_BYTES: u32 = 16 * 1024;

/// How often a narrow one says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Pieces taken from the transport at once.
const READ_PIECES: usize = 32;

/// A socket for connections of one address.
///
/// # Errors
/// The system has none.
pub fn endpoint(from: Ipv4Addr) -> Result<Endpoint, Failure> {
    let socket = UdpSocket::bind((from, 0)).map_err(said)?;
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime)).map_err(said)
}

/// A mailbox and its key.
#[derive(Debug)]
pub struct Mailbox {
    /// Which.
    pub id: MailboxId,
    key: SigningKey,
}

impl Mailbox {
    /// As many as a connection may open.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let new = || {
            let key = SigningKey::from_bytes(&rand::rng().random());
            Self { id: MailboxId(key.verifying_key().to_bytes()), key }
        };
        (0..MAILBOXES_PER_CONNECTION_MAX).map(|_| new()).collect()
    }
}

/// What a flood heard.
#[derive(Debug, Default)]
pub struct Told {
    /// Requests that were done.
    pub done: u64,
    /// Requests that were refused as wrong.
    pub wrong: u64,
    /// Requests that were refused as too many, as they may be.
    pub too_many: u64,
    /// Drains, acknowledgements and revocations that were refused as too many, as they never are.
    pub slighted: u64,
    /// Envelopes that were pushed.
    pub given: u64,
    /// The newest number of each mailbox.
    pub newest: BTreeMap<MailboxId, Seq>,
}

impl Told {
    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.done += other.done;
        self.wrong += other.wrong;
        self.too_many += other.too_many;
        self.slighted += other.slighted;
        self.given += other.given;
        self
    }

    fn pushed(&mut self, payload: &Bytes) -> Result<(), Failure> {
        if let Push::Deliveries(pushed) = Push::parse(payload).map_err(said)?
            && let Some(newest) = pushed.deliveries.last()
        {
            self.given += pushed.deliveries.len() as u64;
            self.newest.insert(pushed.mailbox, newest.seq);
        }
        Ok(())
    }

    fn answered(&mut self, payload: &Bytes, never_too_many: bool) -> Result<(), Failure> {
        let count = match Answer::parse(payload).map_err(said)? {
            Answer::Refused(refused) if refused.reason != RefusedReason::Overloaded => &mut self.wrong,
            Answer::Refused(_) if never_too_many => &mut self.slighted,
            Answer::Refused(_) => &mut self.too_many,
            _ => &mut self.done,
        };
        *count += 1;
        Ok(())
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    quic: Connection,
    send: SendStream,
    receive: RecvStream,
    input: BytesMut,
    asked: u64,
}

impl Client {
    /// Connects by that socket.
    ///
    /// # Errors
    /// It was refused, or took too long.
    pub async fn connect(victim: &Victim, by: &Endpoint) -> Result<Self, Failure> {
        Self::with(by, victim.lawful()).await
    }

    /// The same, of somebody to whom little may be sent that they have not read.
    ///
    /// # Errors
    /// It was refused, or took too long.
    pub async fn connect_narrow(victim: &Victim, by: &Endpoint) -> Result<Self, Failure> {
        let (remote, mut config) = victim.lawful();
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(VarInt::from_u32(NARROW_BYTES)).keep_alive_interval(Some(KEEP_ALIVE));
        config.transport_config(Arc::new(transport));
        Self::with(by, (remote, config)).await
    }

    async fn with(by: &Endpoint, (remote, config): (SocketAddr, ClientConfig)) -> Result<Self, Failure> {
        let connecting = by.connect_with(config, remote, "localhost").map_err(said)?;
        let quic = timeout(PATIENCE, connecting).await.map_err(said)?.map_err(said)?;
        let (send, receive) = quic.open_bi().await.map_err(said)?;
        Ok(Self { quic, send, receive, input: BytesMut::new(), asked: 0 })
    }

    /// The request that opens a mailbox on this connection.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn opening(&self, mailbox: &Mailbox) -> Result<Request, Failure> {
        let mut binding = [0; 32];
        let exported = self.quic.export_keying_material(&mut binding, EXPORTER_LABEL, &[]);
        exported.map_err(|_| "the TLS session is gone")?;
        Ok(Request::Open { mailbox: mailbox.id, proof: prove_mailbox(SessionBinding(binding), &mailbox.key) })
    }

    /// Asks for several things at once, none of which is refused.
    ///
    /// # Errors
    /// One was, or the connection is gone.
    pub async fn ask(&mut self, requests: &[Request]) -> Result<(), Failure> {
        self.tell(requests).await?;
        let mut left = requests.len();
        while left > 0 {
            timeout(PATIENCE, read(&mut self.receive, &mut self.input)).await.map_err(said)??;
            while let Some(frame) = frame::decode(&mut self.input).map_err(said)? {
                if frame.id == RequestId::PUSH {
                    continue;
                }
                if let Answer::Refused(refused) = Answer::parse(&frame.payload).map_err(said)? {
                    return Err(said(refused));
                }
                left = left.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Asks, and reads no answer.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn tell(&mut self, requests: &[Request]) -> Result<(), Failure> {
        let mut output = BytesMut::new();
        for request in requests {
            self.put(request, &mut output)?;
        }
        self.send.write_all(&output).await.map_err(said)
    }

    /// Asks for what `next` says, as fast as it is taken, and reads whatever comes. `None`: nothing now.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn flood(
        mut self,
        until: Instant,
        mut next: impl FnMut(&Told) -> Option<Request>,
    ) -> Result<Told, Failure> {
        let (mut told, mut output, mut never) = (Told::default(), BytesMut::new(), HashSet::new());
        while Instant::now() < until {
            while let Some(Frame { id, payload }) = frame::decode(&mut self.input).map_err(said)? {
                match id {
                    RequestId::PUSH => told.pushed(&payload)?,
                    id => told.answered(&payload, never.remove(&id.0))?,
                }
            }
            while output.len() < OUTPUT_BYTES
                && let Some(request) = next(&told)
            {
                let id = self.put(&request, &mut output)?;
                if matches!(request, Request::Drain { .. } | Request::Acknowledge { .. } | Request::Revoke { .. }) {
                    never.insert(id.0);
                }
            }
            tokio::select! {
                read = read(&mut self.receive, &mut self.input) => read?,
                written = self.send.write(&output), if !output.is_empty() => output.advance(written.map_err(said)?),
                () = sleep(MOMENT) => {}
            }
        }
        Ok(told)
    }

    fn put(&mut self, request: &Request, output: &mut BytesMut) -> Result<RequestId, Failure> {
        self.asked += 1;
        let id = RequestId(self.asked);
        frame::encode(&Frame { id, payload: request.encode() }, output).map_err(said)?;
        Ok(id)
    }
}

/// Takes what has arrived, at least something. May be cancelled: what is taken is in `input` by then.
async fn read(stream: &mut RecvStream, input: &mut BytesMut) -> Result<(), Failure> {
    let mut pieces = [const { Bytes::new() }; READ_PIECES];
    match stream.read_chunks(&mut pieces).await.map_err(said)? {
        Some(count) => pieces.iter().take(count).for_each(|piece| input.extend_from_slice(piece)),
        None => return Err("the server ended the stream".to_owned()),
    }
    Ok(())
}
