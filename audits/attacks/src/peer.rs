//! One QUIC connection of somebody who keeps to nothing: a handshake as it should be, if it is wanted whole, and then
//! whatever frames. It answers nothing by itself, acknowledges nothing, and has no timers.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hushwire_proto::address::{Host, RELAY_PORT, ServerAddress};
use hushwire_proto::net::{quic, tls};
use rand::RngExt;
use rustls::quic::{ClientConnection, DirectionalKeys, KeyChange, Keys, Version};
use rustls::{ClientConfig, Side};
use rustls_pki_types::ServerName;

use crate::frames::{Heard, ack, crypto, heard, numbers};
use crate::packet::{CID_LEN, Head, INITIAL_BYTES_MIN, Seen, Space, first, seal};
use crate::{Failure, said};

/// How long a handshake is waited for on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of the first hello in one packet: the rest goes into a second.
const HELLO_BYTES: usize = 1000;

/// Whom it is against.
#[derive(Clone, Debug)]
pub struct Victim {
    remote: SocketAddr,
    config: Arc<ClientConfig>,
    lawful: quinn::ClientConfig,
}

impl Victim {
    /// The server at that address, which has a fingerprint and no name.
    ///
    /// # Errors
    /// It has none, or it has one.
    pub fn new(address: &str, alpn: &[u8]) -> Result<Self, Failure> {
        let address = ServerAddress::parse(address, RELAY_PORT).map_err(said)?;
        let fingerprint = address.fingerprint().ok_or("the address has no fingerprint")?;
        let Host::Ip(ip) = address.host() else { return Err("give a network address instead of a name".to_owned()) };
        let (config, _) = tls::client_config(fingerprint, alpn).map_err(said)?;
        let (lawful, _) = quic::client_config(fingerprint, alpn).map_err(said)?;
        Ok(Self { remote: SocketAddr::new(*ip, address.port()), config: Arc::new(config), lawful })
    }

    /// Where it is, and how a client that keeps to the protocol connects.
    #[must_use]
    pub fn lawful(&self) -> (SocketAddr, quinn::ClientConfig) {
        (self.remote, self.lawful.clone())
    }

    /// A socket that talks to it from `from`, an address of the loopback.
    ///
    /// # Errors
    /// The system has none.
    pub fn socket(&self, from: Ipv4Addr) -> Result<UdpSocket, Failure> {
        let socket = UdpSocket::bind((from, 0)).map_err(said)?;
        socket.connect(self.remote).map_err(said)?;
        socket.set_read_timeout(Some(Duration::from_millis(20))).map_err(said)?;
        Ok(socket)
    }
}

/// Transport parameters as a client says them. RFC 9000 §18.
#[must_use]
pub fn parameters(own_id: &[u8], stream_window: u64) -> Vec<u8> {
    let mut all = Vec::new();
    for (id, value) in [(0x04, 1 << 20), (0x05, stream_window), (0x08, 0), (0x0E, 8)] {
        let value = numbers(&[value]);
        all.extend(numbers(&[id, value.len() as u64]));
        all.extend(value);
    }
    all.extend(numbers(&[0x0F, own_id.len() as u64]));
    all.extend_from_slice(own_id);
    all
}

/// A connection, as far as it has come.
pub struct Peer {
    socket: UdpSocket,
    tls: ClientConnection,
    space: Space,
    own_id: [u8; CID_LEN],
    their_id: Vec<u8>,
    token: Vec<u8>,
    /// Of the space of each: Initial, Handshake, Data.
    keys: [Option<Keys>; 3],
    sent: [u32; 3],
    newest: [u64; 3],
    read: [Handshake; 3],
    hello: Vec<u8>,
    /// Datagrams that came.
    pub bytes_in: u64,
    /// Datagrams that left.
    pub bytes_out: u64,
    /// The server wanted the address proven.
    pub retried: bool,
}

/// Crypto bytes that came, and how many of them were read.
#[derive(Default)]
struct Handshake {
    parts: BTreeMap<u64, Vec<u8>>,
    through: u64,
}

impl Peer {
    /// Sends the first hello from `from`, and no more.
    ///
    /// # Errors
    /// No socket, or no hello.
    pub fn hello(victim: &Victim, from: Ipv4Addr, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Result<Self, Failure> {
        let own_id: [u8; CID_LEN] = rand::rng().random();
        let stated = change(parameters(&own_id, 1 << 18));
        Self::with(victim, victim.socket(from)?, own_id, stated)
    }

    /// Sends so much of a first hello that none of it can be answered.
    ///
    /// # Errors
    /// No socket, or no hello.
    pub fn half_hello(victim: &Victim, from: Ipv4Addr) -> Result<Self, Failure> {
        let own_id: [u8; CID_LEN] = rand::rng().random();
        let mut peer = Self::silent(victim, victim.socket(from)?, own_id, parameters(&own_id, 1 << 18))?;
        peer.hello.truncate(HELLO_BYTES);
        peer.say_hello();
        Ok(peer)
    }

    /// A first hello with these transport parameters.
    fn with(victim: &Victim, socket: UdpSocket, own_id: [u8; CID_LEN], stated: Vec<u8>) -> Result<Self, Failure> {
        let mut peer = Self::silent(victim, socket, own_id, stated)?;
        peer.say_hello();
        Ok(peer)
    }

    fn silent(victim: &Victim, socket: UdpSocket, own_id: [u8; CID_LEN], stated: Vec<u8>) -> Result<Self, Failure> {
        let name = ServerName::try_from("localhost").map_err(said)?;
        let mut tls = ClientConnection::new(victim.config.clone(), Version::V1, name, stated).map_err(said)?;
        let mut hello = Vec::new();
        let _ = tls.write_hs(&mut hello); // there are no keys yet
        let their_id = rand::rng().random::<[u8; CID_LEN]>().to_vec();
        let peer = Self {
            socket,
            tls,
            space: Space::Initial,
            own_id,
            keys: [Some(initial_keys(&their_id)?), None, None],
            their_id,
            token: Vec::new(),
            sent: [0; 3],
            newest: [0; 3],
            read: Default::default(),
            hello,
            bytes_in: 0,
            bytes_out: 0,
            retried: false,
        };
        Ok(peer)
    }

    /// A whole handshake from `from`.
    ///
    /// # Errors
    /// It was refused, or took too long.
    pub fn connect(victim: &Victim, from: Ipv4Addr) -> Result<Self, Failure> {
        Self::hello(victim, from, |stated| stated)?.shaken()
    }

    /// A whole handshake of somebody on whose streams the server may send nothing.
    ///
    /// # Errors
    /// It was refused, or took too long.
    pub fn connect_deaf(victim: &Victim, from: Ipv4Addr) -> Result<Self, Failure> {
        let own_id: [u8; CID_LEN] = rand::rng().random();
        Self::with(victim, victim.socket(from)?, own_id, parameters(&own_id, 0))?.shaken()
    }

    /// Goes on with the handshake to its end.
    ///
    /// # Errors
    /// It was refused, or took too long.
    pub fn shaken(mut self) -> Result<Self, Failure> {
        let deadline = Instant::now() + PATIENCE;
        while self.space != Space::Data || self.tls.is_handshaking() {
            for heard in self.listen() {
                if let Heard::Closed { code, .. } = heard {
                    return Err(format!("closed with {code} in its handshake"));
                }
            }
            if Instant::now() > deadline {
                return Err("the handshake took too long".to_owned());
            }
        }
        Ok(self)
    }

    /// Sends frames in a packet of the newest keys. Returns whether the system took it.
    pub fn send(&mut self, frames: &[u8]) -> bool {
        self.send_in(self.space, frames, 0)
    }

    /// Sends frames in a packet of these keys, with zeros up to so many bytes.
    pub fn send_in(&mut self, space: Space, frames: &[u8], pad_to: usize) -> bool {
        self.seal(space, frames, pad_to).is_some_and(|packet| self.send_bytes(&packet))
    }

    /// A packet that is not sent.
    pub fn seal(&mut self, space: Space, frames: &[u8], pad_to: usize) -> Option<Vec<u8>> {
        let number = self.sent.get_mut(space as usize)?;
        *number += 1;
        let head = Head { space, to: &self.their_id, from: &self.own_id, token: &self.token, number: *number };
        seal(&head, frames, self.keys.get(space as usize)?.as_ref().map(local)?, pad_to)
    }

    /// Sends any datagram.
    pub fn send_bytes(&mut self, datagram: &[u8]) -> bool {
        self.bytes_out += datagram.len() as u64;
        self.socket.send(datagram).is_ok()
    }

    /// Waits a moment for one datagram and reads it, and goes on with the handshake.
    pub fn listen(&mut self) -> Vec<Heard> {
        let mut datagram = [0; 2048];
        match self.socket.recv(&mut datagram) {
            Ok(length) => {
                self.bytes_in += length as u64;
                datagram.get_mut(..length).map(|datagram| self.take(datagram)).unwrap_or_default()
            }
            Err(_) => Vec::new(), // nothing came, or the port is closed
        }
    }

    /// Acknowledges the newest packet, and it alone: servers leave out numbers to find out who acknowledges unseen.
    pub fn acknowledge(&mut self) {
        let newest = self.newest.get(Space::Data as usize).copied().unwrap_or_default();
        self.send(&ack(newest, newest));
    }

    /// All that has come already.
    pub fn drain(&mut self) -> Vec<Heard> {
        let _ = self.socket.set_nonblocking(true);
        let mut all = Vec::new();
        let mut datagram = [0; 2048];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(length) => {
                    self.bytes_in += length as u64;
                    all.extend(datagram.get_mut(..length).map(|datagram| self.take(datagram)).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {}
            }
        }
        let _ = self.socket.set_nonblocking(false);
        all
    }

    /// The code with which the server closes within that time.
    pub fn closed_within(&mut self, patience: Duration) -> Option<Heard> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let closed = self.listen().into_iter().find(|heard| matches!(heard, Heard::Closed { .. }));
            if closed.is_some() {
                return closed;
            }
        }
        None
    }

    /// Counts what has come and answers none of it; whether the server wants the address proven.
    pub fn count_only(&mut self) -> bool {
        let _ = self.socket.set_nonblocking(true);
        let mut datagram = [0; 2048];
        while let Ok(length) = self.socket.recv(&mut datagram) {
            self.bytes_in += length as u64;
            let retry = datagram.get_mut(..length).map(first);
            self.retried |= matches!(retry, Some((Seen::Retry(..), _)));
        }
        self.retried
    }

    /// Proves the address if that is wanted, and goes on with nothing; whether it did.
    pub fn prove_only(&mut self) -> bool {
        let _ = self.socket.set_nonblocking(true);
        let mut datagram = [0; 2048];
        while let Ok(length) = self.socket.recv(&mut datagram) {
            let Some(datagram) = datagram.get_mut(..length) else { continue };
            let is_retry = matches!(first(datagram).0, Seen::Retry(..));
            if is_retry && !self.retried {
                self.take(datagram);
                return true;
            }
        }
        false
    }

    fn say_hello(&mut self) {
        let hello = self.hello.clone();
        for (part, offset) in hello.chunks(HELLO_BYTES).zip((0_u64..).step_by(HELLO_BYTES)) {
            self.send_in(Space::Initial, &crypto(offset, part), INITIAL_BYTES_MIN);
        }
    }

    fn take(&mut self, datagram: &mut [u8]) -> Vec<Heard> {
        let mut rest = datagram;
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (seen, after) = first(rest);
            rest = after;
            let (space, sealed) = match seen {
                Seen::Long(space, from, sealed) => {
                    self.their_id = from;
                    (space, sealed)
                }
                Seen::Short(sealed) => (Space::Data, sealed),
                Seen::Retry(from, token) if !self.retried => {
                    self.retried = true;
                    if let Ok(keys) = initial_keys(&from) {
                        self.keys = [Some(keys), None, None];
                    }
                    (self.their_id, self.token) = (from, token);
                    self.say_hello();
                    continue;
                }
                Seen::Retry(..) | Seen::Other => continue,
            };
            let Some(keys) = self.keys.get(space as usize).and_then(Option::as_ref) else { continue };
            let Some(newest) = self.newest.get_mut(space as usize) else { continue };
            let Some((number, frames)) = sealed.open(&keys.remote, *newest) else { continue };
            *newest = number.max(*newest);
            let (heard, parts) = heard(&frames);
            all.extend(heard);
            if let Some(read) = self.read.get_mut(space as usize) {
                read.parts.extend(parts);
            }
            self.go_on(space);
        }
        all
    }

    /// Gives TLS what came in order, and sends what it says to that.
    fn go_on(&mut self, space: Space) {
        let Some(read) = self.read.get_mut(space as usize) else { return };
        while let Some(part) = read.parts.remove(&read.through) {
            read.through += part.len() as u64;
            if self.tls.read_hs(&part).is_err() {
                return;
            }
        }
        if space == Space::Data {
            return;
        }
        loop {
            let mut out = Vec::new();
            let change = self.tls.write_hs(&mut out);
            if !out.is_empty() {
                self.send(&crypto(0, &out)); // our only words in the space of the handshake
            }
            let (space, keys) = match change {
                Some(KeyChange::Handshake { keys }) => (Space::Handshake, keys),
                Some(KeyChange::OneRtt { keys, .. }) => (Space::Data, keys),
                None => break,
            };
            if let Some(place) = self.keys.get_mut(space as usize) {
                *place = Some(keys);
            }
            self.space = space;
        }
    }
}

fn local(keys: &Keys) -> &DirectionalKeys {
    &keys.local
}

fn initial_keys(their_id: &[u8]) -> Result<Keys, Failure> {
    let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let suite = suite.tls13().and_then(|suite| suite.quic_suite()).ok_or("no keys for first packets")?;
    Ok(suite.keys(their_id, Side::Client, Version::V1))
}
