//! The server of these tests, with a service that does what its requests say.

use super::*;

/// `hold` waits for the gate, `never` for ever, `export` tells key material, `push N` says N things unasked; anything
/// else is answered with itself, as far as one ordinary frame holds it.
pub(super) struct Echo {
    pub(super) begun: Mutex<Vec<Bytes>>,
    pub(super) begun_count: watch::Sender<usize>,
    pub(super) gate: Semaphore,
    pub(super) pushed: AtomicU64,
    pub(super) connected: AtomicUsize,
    pub(super) disconnected: watch::Sender<usize>,
}

impl Echo {
    pub(super) fn new() -> Self {
        Self {
            begun: Mutex::default(),
            begun_count: watch::channel(0).0,
            gate: Semaphore::new(0),
            pushed: AtomicU64::new(0),
            connected: AtomicUsize::new(0),
            disconnected: watch::channel(0).0,
        }
    }

    pub(super) async fn has_begun(&self, count: usize) {
        self.begun_count.subscribe().wait_for(|begun| *begun >= count).await.unwrap();
    }
}

impl Service for Echo {
    type Connection = Peer;

    fn connected(&self, peer: Peer) -> Peer {
        self.connected.fetch_add(1, SeqCst);
        peer
    }

    fn request(self: &Arc<Self>, peer: &Arc<Peer>, request: Bytes, reply: Reply) {
        self.begun.lock().unwrap().push(request.clone());
        self.begun_count.send_modify(|count| *count += 1);
        let (echo, peer) = (self.clone(), peer.clone());
        tokio::spawn(async move {
            let text = String::from_utf8_lossy(&request).into_owned();
            let payload = match text.split_once(' ').unwrap_or((&text, "")) {
                ("never", _) => std::future::pending().await,
                ("hold", _) => {
                    let _open = echo.gate.acquire().await.unwrap();
                    request
                }
                ("small", _) => return reply.send_small(request),
                ("export", context) => Bytes::copy_from_slice(&peer.export(b"label", context.as_bytes()).unwrap()),
                ("push", count) => {
                    for number in 0..count.parse::<u64>().unwrap() {
                        let mut payload = vec![0; PUSH_BYTES];
                        payload[..8].copy_from_slice(&number.to_be_bytes());
                        reply.outbox().send(Frame { id: RequestId::PUSH, payload: payload.into() }).await.unwrap();
                        echo.pushed.fetch_add(1, SeqCst);
                    }
                    Bytes::new()
                }
                _ => request.slice(..request.len().min(ORDINARY_FRAME_BYTES)),
            };
            reply.send(payload).await;
        });
    }

    fn disconnected(&self, _peer: &Peer) {
        self.disconnected.send_modify(|count| *count += 1);
    }
}

pub(super) struct Server {
    pub(super) echo: Arc<Echo>,
    pub(super) address: ServerAddress,
    pub(super) at: SocketAddr,
    pub(super) fingerprint: Fingerprint,
    pub(super) counts: Arc<Counts>,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) end: JoinHandle<Drained>,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::with(ServeLimits::default())
    }

    pub(super) fn with(limits: ServeLimits) -> Self {
        let identity = ServerIdentity::self_signed(&["localhost".to_owned()]).unwrap();
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity, RELAY_ALPN).unwrap();
        let (at, counts, echo) = (listener.local_addr(), listener.counts(), Arc::new(Echo::new()));
        let address = address_of(at, identity.fingerprint());
        let (stop, stopped) = oneshot::channel();
        let end = tokio::spawn(serve(listener, echo.clone(), limits, async {
            let _ = stopped.await;
        }));
        Self { echo, address, at, fingerprint: identity.fingerprint(), counts, stop, end }
    }

    pub(super) async fn connect(&self) -> Connection {
        Connection::connect(&self.address, RELAY_ALPN, LONG).await.unwrap()
    }

    /// A client that writes what it likes.
    pub(super) async fn connect_raw(&self) -> (quinn::Endpoint, quinn::Connection) {
        let (config, _) = quic::client_config(self.fingerprint, RELAY_ALPN).unwrap();
        let endpoint = quic::client_endpoint(self.at).unwrap();
        let connection = endpoint.connect_with(config, self.at, "localhost").unwrap().await.unwrap();
        (endpoint, connection)
    }
}
