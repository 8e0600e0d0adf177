//! The yardstick: a server that speaks QUIC, syncs a log and passes envelopes on, and has none of a relay's duties.
//!
//! No owner proves anything, nothing is counted or bounded, mailboxes live in memory and are gone with the process, and
//! the log is never read. What is left is what decides speed: one connection for each device, one thread that writes
//! all that waits and syncs once, and an answer and a push after that. A relay cannot be faster than this by much; how
//! much slower it is says what its duties cost.
//!
//! `floor-sync DIR` prints its address and serves until it is killed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its address is for whoever started it")]

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as line};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hushwire_load::port::free_port;
use hushwire_load::target::widen;
use hushwire_load::tongue::floor::{ALPN, Word};
use hushwire_load::{Failure, said};
use hushwire_proto::frame::{self, Frame, RequestId};
use hushwire_proto::net::tls::{self, ServerIdentity};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The log is written round and round in a file that has its size from the beginning, so that a sync writes no journal.
const LOG_BYTES: u64 = 64 * 1024 * 1024;

/// What else a log must say, of an entry, of each mailbox it is for, and of each number that is forgotten. Nobody reads
/// it, so that it is zeros.
const ENTRY_BYTES: usize = 24;
const MEMBER_BYTES: usize = 12;
const FORGOTTEN_BYTES: u64 = 8;

/// Envelopes that share a sync at most.
const BATCH_MAX: usize = 4096;

/// Pieces taken from or given to the transport at once.
const PIECES: usize = 256;

fn main() -> ExitCode {
    match std::env::args_os().nth(1).ok_or_else(|| "floor-sync DIR".to_owned()).and_then(|dir| run(Path::new(&dir))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("floor-sync: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(dir: &Path) -> Result<(), Failure> {
    let forgotten = Arc::new(AtomicU64::new(0));
    let log = open_log(&dir.join("log"), forgotten.clone())?;
    let hub = Arc::new(Hub { forgotten, boxes: Mutex::default(), log });
    let identity = ServerIdentity::self_signed(&["localhost".to_owned()]).map_err(said)?;
    let port = free_port();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).map_err(said)?;
    widen(&socket);
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config(&identity)?), socket, Arc::new(TokioRuntime));
    let endpoint = endpoint.map_err(said)?;
    println!("hush://{}@127.0.0.1:{port}", identity.fingerprint());
    while let Some(incoming) = endpoint.accept().await {
        let hub = hub.clone();
        tokio::spawn(async move {
            let connection = incoming.await.ok()?;
            hub.serve(connection).await
        });
    }
    Ok(())
}

/// The TLS of every server of ours; windows as for many connections that are mostly idle.
fn config(identity: &ServerIdentity) -> Result<ServerConfig, Failure> {
    let tls = QuicServerConfig::try_from(tls::server_config(identity, ALPN).map_err(said)?).map_err(said)?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_uni_streams(0_u8.into())
        .max_concurrent_bidi_streams(4_u8.into())
        .stream_receive_window((128_u32 * 1024).into())
        .receive_window((256_u32 * 1024).into())
        .send_window(512 * 1024)
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0)
        .max_idle_timeout(Some(Duration::from_secs(600).try_into().map_err(said)?));
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport)).max_incoming(1 << 16);
    Ok(config)
}

type Out = UnboundedSender<Bytes>;

struct Hub {
    /// Numbers that were forgotten since the last write.
    forgotten: Arc<AtomicU64>,
    boxes: Mutex<HashMap<u32, Arc<Mutex<Mailbox>>>>,
    log: line::Sender<Entry>,
}

#[derive(Default)]
struct Mailbox {
    last: u64,
    waiting: VecDeque<(u64, Bytes)>,
    online: Option<Out>,
}

/// An envelope on its way to the disk, and where it goes from there.
struct Entry {
    body: Bytes,
    to: Vec<Arc<Mutex<Mailbox>>>,
    answer: Bytes,
    back: Out,
}

impl Hub {
    fn mailbox(&self, index: u32) -> Arc<Mutex<Mailbox>> {
        lock(&self.boxes).entry(index).or_default().clone()
    }

    async fn serve(&self, connection: Connection) -> Option<()> {
        let (mut send, mut receive) = connection.accept_bi().await.ok()?;
        let (out, mut outgoing) = unbounded_channel();
        tokio::spawn(async move { write(&mut send, &mut outgoing).await });
        let (mut input, mut mine) = (BytesMut::new(), None);
        loop {
            let mut pieces = [const { Bytes::new() }; PIECES];
            let count = receive.read_chunks(&mut pieces).await.ok()??;
            pieces.iter().take(count).for_each(|piece| input.extend_from_slice(piece));
            while let Some(Frame { id, payload }) = frame::decode(&mut input).ok()? {
                match Word::parse(payload)? {
                    Word::Own(index) => {
                        let mailbox = self.mailbox(index);
                        let _ = out.send(framed(id, &Word::Done));
                        lock(&mailbox).goes_online(out.clone());
                        mine = Some(mailbox);
                    }
                    Word::Deposit(index, body) => {
                        let to = vec![self.mailbox(index)];
                        self.log.send(Entry { body, to, answer: framed(id, &Word::Done), back: out.clone() }).ok()?;
                    }
                    Word::DepositMany(indices, body) => {
                        let to = indices.into_iter().map(|index| self.mailbox(index)).collect();
                        self.log.send(Entry { body, to, answer: framed(id, &Word::Done), back: out.clone() }).ok()?;
                    }
                    Word::Forget(seq) => {
                        lock(mine.as_ref()?).forget(seq);
                        self.forgotten.fetch_add(1, Relaxed);
                    }
                    Word::Done | Word::Deliver(..) => return None,
                }
            }
        }
    }
}

impl Mailbox {
    fn goes_online(&mut self, out: Out) {
        for (seq, body) in &self.waiting {
            let _ = out.send(delivery(*seq, body));
        }
        self.online = Some(out);
    }

    fn arrived(&mut self, body: Bytes) {
        self.last += 1;
        if let Some(out) = &self.online {
            let _ = out.send(delivery(self.last, &body)); // or it has just left
        }
        self.waiting.push_back((self.last, body));
    }

    fn forget(&mut self, seq: u64) {
        while self.waiting.front().is_some_and(|(first, _)| *first <= seq) {
            self.waiting.pop_front();
        }
    }
}

/// Takes all that waits, writes it, syncs once, then answers and passes on.
fn open_log(path: &Path, forgotten: Arc<AtomicU64>) -> Result<line::Sender<Entry>, Failure> {
    let mut file = File::create(path).map_err(said)?;
    // Page by page (4 KiB): the system writes back as much at once as came at once.
    for _ in 0..LOG_BYTES >> 12 {
        file.write_all(&[0; 1 << 12]).map_err(said)?;
    }
    file.sync_all().map_err(said)?;
    let (log, waiting) = line::channel::<Entry>();
    std::thread::spawn(move || {
        let mut buffer = Vec::new();
        while let Ok(first) = waiting.recv() {
            let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter().take(BATCH_MAX)).collect();
            buffer.clear();
            let gone = forgotten.swap(0, Relaxed).saturating_mul(FORGOTTEN_BYTES);
            buffer.resize(usize::try_from(gone).unwrap_or_default(), 0);
            for entry in &batch {
                buffer.extend_from_slice(&entry.body);
                buffer.resize(buffer.len() + ENTRY_BYTES + MEMBER_BYTES * entry.to.len(), 0);
            }
            if let Err(error) = append(&mut file, &buffer) {
                eprintln!("floor-sync: {error}");
                std::process::exit(1);
            }
            for Entry { body, to, answer, back } in batch {
                to.iter().for_each(|to| lock(to).arrived(body.clone()));
                let _ = back.send(answer); // or nobody waits any more
            }
        }
    });
    Ok(log)
}

fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if file.stream_position()?.saturating_add(u64::try_from(bytes.len()).unwrap_or(LOG_BYTES)) > LOG_BYTES {
        file.rewind()?;
    }
    file.write_all(bytes)?;
    file.sync_data()
}

async fn write(send: &mut quinn::SendStream, outgoing: &mut UnboundedReceiver<Bytes>) -> Option<()> {
    let mut pieces = Vec::new();
    while outgoing.recv_many(&mut pieces, PIECES).await > 0 {
        send.write_all_chunks(&mut pieces).await.ok()?;
        pieces.clear();
    }
    Some(())
}

fn delivery(seq: u64, body: &Bytes) -> Bytes {
    framed(RequestId::PUSH, &Word::Deliver(seq, body.clone()))
}

fn framed(id: RequestId, word: &Word) -> Bytes {
    let mut bytes = BytesMut::new();
    let _ = frame::encode(&Frame { id, payload: word.encode() }, &mut bytes); // no envelope makes too large a frame
    bytes.freeze()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
