//! Who comes to the doors: clients that say exactly what they are told to, down to the bytes of a stream.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ed25519_dalek::SigningKey;
use hushwire_proto::address::ServerAddress;
use hushwire_proto::auth::{EXPORTER_LABEL, SessionBinding, prove_mailbox};
use hushwire_proto::envelope::Envelope;
use hushwire_proto::ids::{DepositId, MailboxId, Seq, Token};
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::call::{Connection, Disconnect, Pushes};
use hushwire_proto::net::{KEYS_ALPN, RELAY_ALPN, quic};
use hushwire_proto::relay::{Answer, Deposit, Push, Request, TokenClass};
use hushwire_proto::{frame as frames, keyserver};
use tokio::time::{sleep, timeout};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for what was written to be read.
const ARRIVES: Duration = Duration::from_millis(20);

/// The neutral element of Ed25519.
pub(crate) const IDENTITY: [u8; 32] = with_ends(1, 0);

const fn with_ends(first: u8, last: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

const fn nearly_p(first: u8, last: u8) -> [u8; 32] {
    let mut bytes = [0xFF; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Encodings of the eight Ed25519 points of small order, canonical and not. RFC 8032 §5.1; p = 2^255 - 19.
pub(crate) const SMALL_ORDER: [[u8; 32]; 14] = [
    IDENTITY,
    with_ends(1, 0x80), // the same with the sign of zero
    with_ends(0, 0),    // order 4
    with_ends(0, 0x80),
    nearly_p(0xEC, 0x7F), // order 2: y = p - 1
    nearly_p(0xEC, 0xFF),
    nearly_p(0xED, 0x7F), // y = p, which is 0
    nearly_p(0xED, 0xFF),
    nearly_p(0xEE, 0x7F), // y = p + 1, which is 1
    nearly_p(0xEE, 0xFF),
    ORDER_8[0],
    ORDER_8[1],
    ORDER_8[2],
    ORDER_8[3],
];

const ORDER_8: [[u8; 32]; 4] = [
    order_8(
        [
            0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F, 0x2A, 0x20,
            0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A,
        ],
        0,
    ),
    order_8(
        [
            0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67, 0x0F, 0x2A, 0x20,
            0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC, 0x03, 0x7A,
        ],
        0x80,
    ),
    order_8(
        [
            0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0, 0xD5, 0xDF,
            0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
        ],
        0,
    ),
    order_8(
        [
            0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98, 0xF0, 0xD5, 0xDF,
            0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53, 0xFC, 0x05,
        ],
        0x80,
    ),
];

const fn order_8(mut bytes: [u8; 32], sign: u8) -> [u8; 32] {
    bytes[31] |= sign;
    bytes
}

/// X25519 keys whose every agreement is zero: 0, 1, p - 1, p, p + 1.
pub(crate) const SMALL_ORDER_MONTGOMERY: [[u8; 32]; 5] =
    [with_ends(0, 0), with_ends(1, 0), nearly_p(0xEC, 0x7F), nearly_p(0xED, 0x7F), nearly_p(0xEE, 0x7F)];

/// One frame with whatever id.
pub(crate) fn frame(id: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&length.to_be_bytes()[..], &id.to_be_bytes(), payload].concat()
}

/// A stream on which anything may be written.
pub(crate) struct Raw {
    endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    send: quinn::SendStream,
    receive: quinn::RecvStream,
}

impl Raw {
    pub(crate) async fn connect(address: &ServerAddress, alpn: &'static [u8]) -> Self {
        let at = (std::net::Ipv4Addr::LOCALHOST, address.port()).into();
        let (config, _) = quic::client_config(address.fingerprint().unwrap(), alpn).unwrap();
        let endpoint = quic::client_endpoint(at).unwrap();
        let connection = endpoint.connect_with(config, at, "localhost").unwrap().await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        Self { endpoint, connection, send, receive }
    }

    /// Sends, ends the stream, and waits until the server closes; with which code.
    pub(crate) async fn send_and_finish(mut self, bytes: &[u8]) -> Option<u32> {
        self.send.write_all(bytes).await.unwrap();
        self.send.finish().unwrap();
        let closed = timeout(PATIENCE, self.connection.closed()).await.expect("the server did not close");
        match Disconnect::from(closed) {
            Disconnect::Closed(code) => Some(code.code()),
            _ => None,
        }
    }

    /// Sends, lets it arrive, and is gone without a word on the stream.
    pub(crate) async fn send_and_vanish(mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.unwrap();
        sleep(ARRIVES).await;
        self.connection.close(0_u32.into(), b"");
        self.endpoint.wait_idle().await;
    }

    /// Sends, lets it arrive, and takes the stream back.
    pub(crate) async fn send_and_reset(mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.unwrap();
        sleep(ARRIVES).await;
        let _ = self.send.reset(7_u32.into());
        let _ = self.receive.stop(7_u32.into());
        sleep(ARRIVES).await;
    }

    /// Sends, and reads so many frames; their ids.
    pub(crate) async fn send_and_read(mut self, bytes: &[u8], count: usize) -> Vec<u64> {
        self.send.write_all(bytes).await.unwrap();
        let (mut input, mut ids) = (BytesMut::new(), Vec::new());
        while ids.len() < count {
            let chunk = timeout(PATIENCE, self.receive.read_chunk(4096, true)).await.expect("no answer came");
            input.extend_from_slice(&chunk.unwrap().expect("the stream ended").bytes);
            while let Some(frame) = frames::decode(&mut input).unwrap() {
                ids.push(frame.id.0);
            }
        }
        ids
    }
}

/// A connection that speaks the relay's protocol.
pub(crate) struct RelayClient {
    pub(crate) connection: Connection,
    pushes: Pushes,
}

impl RelayClient {
    pub(crate) async fn connect(address: &ServerAddress) -> Self {
        let connection = Connection::connect(address, RELAY_ALPN, CONNECT_DEADLINE).await.unwrap();
        let pushes = connection.pushes().unwrap();
        Self { connection, pushes }
    }

    pub(crate) async fn ask(&self, request: Request) -> Answer {
        self.ask_bytes(&request.encode()).await
    }

    pub(crate) async fn ask_bytes(&self, payload: &Bytes) -> Answer {
        Answer::parse(&self.connection.call(payload.clone(), PATIENCE).await.unwrap()).unwrap()
    }

    pub(crate) fn opening(&self, owner: &Owner) -> Request {
        let binding = SessionBinding(self.connection.exporter(EXPORTER_LABEL, b"").unwrap());
        Request::Open { mailbox: owner.mailbox(), proof: prove_mailbox(binding, &owner.key) }
    }

    /// The marks of exactly so many deliveries.
    pub(crate) async fn marks(&mut self, count: usize) -> Vec<u64> {
        let mut marks = Vec::new();
        while marks.len() < count {
            let push = timeout(PATIENCE, self.pushes.next()).await.expect("too few came").expect("it ended");
            let Push::Deliveries(deliveries) = Push::parse(&push).unwrap() else { continue };
            marks.extend(
                deliveries
                    .deliveries
                    .iter()
                    .map(|delivery| u64::from_be_bytes(*delivery.envelope.bytes().first_chunk().unwrap())),
            );
        }
        marks
    }
}

/// One request to a keyserver, over a connection of its own.
pub(crate) async fn ask_keys(address: &ServerAddress, request: keyserver::Request) -> keyserver::Answer {
    let connection = Connection::connect(address, KEYS_ALPN, CONNECT_DEADLINE).await.unwrap();
    keys_answer(&connection, request.encode()).await
}

pub(crate) async fn keys_answer(connection: &Connection, payload: Bytes) -> keyserver::Answer {
    keyserver::Answer::parse(&connection.call(payload, CALL_DEADLINE).await.unwrap()).unwrap()
}

/// Somebody with a mailbox and a token for it.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) key: SigningKey,
    pub(crate) token: Token,
}

impl Owner {
    pub(crate) fn new(seed: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]), token: Token::from_slice(&[seed | 0x80; 32]).unwrap() }
    }

    pub(crate) fn mailbox(&self) -> MailboxId {
        MailboxId(self.key.verifying_key().to_bytes())
    }

    pub(crate) fn grant(&self) -> Request {
        Request::Grant { mailbox: self.mailbox(), tokens: vec![(self.token.hash(), TokenClass::Contact)] }
    }

    pub(crate) fn drain(&self, after: u64) -> Request {
        Request::Drain { mailbox: self.mailbox(), after: Seq(after) }
    }

    pub(crate) fn acknowledge(&self, through: u64) -> Request {
        Request::Acknowledge { mailbox: self.mailbox(), through: Seq(through) }
    }

    /// The mark is the deposit's id and stands in the envelope.
    pub(crate) fn deposit(&self, mark: u64) -> Request {
        let marked = |bytes: &mut [u8]| bytes.iter_mut().zip(mark.to_be_bytes()).for_each(|(byte, of)| *byte = of);
        let (mut id, mut body) = ([0; 16], vec![0xEE; 512]);
        marked(&mut id);
        marked(&mut body);
        let envelope = Envelope::new(body.into()).unwrap();
        Request::Deposit(Deposit { mailbox: self.mailbox(), token: self.token.clone(), id: DepositId(id), envelope })
    }
}
