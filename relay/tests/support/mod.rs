//! Two ends for tests: a relay with a clock that they move, and clients that say exactly what they are told to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

pub(crate) mod moody;
pub(crate) mod program;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ed25519_dalek::SigningKey;
use hushwire_proto::{
    address::ServerAddress,
    auth::{EXPORTER_LABEL, SessionBinding, prove_mailbox},
    envelope::Envelope,
    ids::{DepositId, MailboxId, Seq, Token, UnixMillis},
    net::{
        RELAY_ALPN,
        call::{Connection, Disconnect, PendingCall, Pushes},
        quic,
        serve::ServeLimits,
        tls::ServerIdentity,
    },
    relay::{
        Answer, Deliveries, Delivery, Deposit, DepositMany, Door, Push, RefusedReason, Request, TokenClass, Whisper,
        Whispered,
    },
};
use hushwire_relay::{
    Operation, Parts, Running,
    clock::Clock,
    queue::{Queue, memory::MemoryQueue},
    quota::Rules,
};
use tokio::time::timeout;

pub(crate) const HOUR: u64 = 3_600_000;

/// Longer than any answer takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Long enough for what was sent to arrive.
const SILENCE: Duration = Duration::from_millis(200);

pub(crate) struct TestRelay {
    pub(crate) running: Running,
    pub(crate) clock: Arc<AtomicU64>,
}

impl TestRelay {
    pub(crate) fn memory(rules: Rules) -> Self {
        Self::of(MemoryQueue::new(rules))
    }

    pub(crate) fn of(queue: impl Queue) -> Self {
        Self::with(queue, Operation::default())
    }

    /// One whose time passes as the second says, whatever the clock on the wall shows.
    pub(crate) fn with_two_clocks(queue: impl Queue) -> (Self, Arc<AtomicU64>) {
        let (shown, passed) = (Arc::new(AtomicU64::new(1_750_000_000_000)), Arc::new(AtomicU64::new(0)));
        let (wall, steady) = (shown.clone(), passed.clone());
        let clock =
            Clock::of(move || UnixMillis(wall.load(Relaxed)), move || Duration::from_millis(steady.load(Relaxed)));
        (Self::start(queue, Operation::default(), shown, clock), passed)
    }

    pub(crate) fn with(queue: impl Queue, operation: Operation) -> Self {
        let clock = Arc::new(AtomicU64::new(1_750_000_000_000));
        let told = clock.clone();
        let from = Clock::from_fn(move || UnixMillis(told.load(Relaxed)));
        Self::start(queue, operation, clock, from)
    }

    fn start(queue: impl Queue, operation: Operation, shown: Arc<AtomicU64>, clock: Clock) -> Self {
        let parts = Parts {
            queue,
            identity: ServerIdentity::self_signed(&["localhost".to_owned()]).unwrap(),
            listen: "127.0.0.1:0".parse().unwrap(),
            host: "127.0.0.1".to_owned(),
            connections: ServeLimits::default(),
            clock,
            sweep_every: Duration::from_millis(10),
            operation,
        };
        Self { running: hushwire_relay::start(parts).unwrap(), clock: shown }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.running.address()).await
    }

    /// A connection with the owner's mailbox open and its token granted.
    pub(crate) async fn owner(&self, owner: &Owner) -> Client {
        let client = self.connect().await;
        client.open(owner).await;
        assert_eq!(client.ask(owner.grant()).await, Answer::Granted);
        client
    }
}

pub(crate) struct Client {
    pub(crate) connection: Connection,
    pushes: Pushes,
}

impl Client {
    pub(crate) async fn connect(address: &ServerAddress) -> Self {
        let connection = Connection::connect(address, RELAY_ALPN, DEADLINE).await.unwrap();
        let pushes = connection.pushes().unwrap();
        Self { connection, pushes }
    }

    pub(crate) async fn try_connect(address: &ServerAddress, deadline: Duration) -> Option<Self> {
        let connection = Connection::connect(address, RELAY_ALPN, deadline).await.ok()?;
        let pushes = connection.pushes()?;
        Some(Self { connection, pushes })
    }

    pub(crate) fn start(&self, request: Request) -> PendingCall {
        self.connection.start(request.encode()).unwrap()
    }

    pub(crate) async fn answer(&self, call: PendingCall) -> Answer {
        Answer::parse(&call.answer(DEADLINE).await.unwrap()).unwrap()
    }

    pub(crate) async fn ask(&self, request: Request) -> Answer {
        self.answer(self.start(request)).await
    }

    pub(crate) async fn ask_bytes(&self, payload: Vec<u8>) -> Answer {
        self.answer(self.connection.start(payload.into()).unwrap()).await
    }

    pub(crate) fn binding(&self) -> SessionBinding {
        SessionBinding(self.connection.exporter(EXPORTER_LABEL, &[]).unwrap())
    }

    pub(crate) fn opening(&self, owner: &Owner) -> Request {
        Request::Open { mailbox: owner.mailbox(), proof: prove_mailbox(self.binding(), &owner.key) }
    }

    pub(crate) async fn open(&self, owner: &Owner) {
        assert_eq!(self.ask(self.opening(owner)).await, Answer::Opened);
    }

    pub(crate) async fn push(&mut self) -> Deliveries {
        match self.any_push().await {
            Push::Deliveries(deliveries) => deliveries,
            Push::Whispered(_) => panic!("a whisper came"),
        }
    }

    /// The mark of the whisper that comes next.
    pub(crate) async fn whisper(&mut self) -> u64 {
        match self.any_push().await {
            Push::Whispered(Whispered { envelope, .. }) => mark_in(&envelope),
            Push::Deliveries(deliveries) => panic!("{deliveries:?}"),
        }
    }

    async fn any_push(&mut self) -> Push {
        let push = timeout(DEADLINE, self.pushes.next()).await.expect("no push came").expect("the connection ended");
        Push::parse(&push).unwrap()
    }

    /// Exactly so many, in however many pushes.
    pub(crate) async fn deliveries(&mut self, count: usize) -> Vec<Delivery> {
        let mut found = Vec::new();
        while found.len() < count {
            found.extend(self.push().await.deliveries);
        }
        assert_eq!(found.len(), count);
        found
    }

    pub(crate) async fn silence(&mut self) {
        if let Ok(Some(_)) = timeout(SILENCE, self.pushes.next()).await {
            panic!("a push came");
        }
    }
}

/// Somebody with a mailbox and a contact token for it.
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

    pub(crate) fn revoke(&self) -> Request {
        Request::Revoke { mailbox: self.mailbox(), hashes: vec![self.token.hash()] }
    }

    pub(crate) fn drain(&self, after: u64) -> Request {
        Request::Drain { mailbox: self.mailbox(), after: Seq(after) }
    }

    pub(crate) fn acknowledge(&self, through: u64) -> Request {
        Request::Acknowledge { mailbox: self.mailbox(), through: Seq(through) }
    }

    pub(crate) fn deposit(&self, mark: u64) -> Request {
        self.deposit_of(mark, 512)
    }

    pub(crate) fn whisper(&self, mark: u64) -> Request {
        let (mailbox, token) = (self.mailbox(), self.token.clone());
        Request::Whisper(Whisper { mailbox, token, envelope: envelope(mark, 512) })
    }

    /// The mark is the deposit's id and stands in the envelope.
    pub(crate) fn deposit_of(&self, mark: u64, bytes: usize) -> Request {
        let mut id = [0; 16];
        id.iter_mut().zip(mark.to_be_bytes()).for_each(|(byte, of)| *byte = of);
        Request::Deposit(Deposit {
            mailbox: self.mailbox(),
            token: self.token.clone(),
            id: DepositId(id),
            envelope: envelope(mark, bytes),
        })
    }
}

/// The same envelope for all of them, under the deposit id that says the mark.
pub(crate) fn deposit_many(to: &[Owner], mark: u64, bytes: usize) -> Request {
    let door = |owner: &Owner| {
        let Request::Deposit(Deposit { mailbox, token, id, .. }) = owner.deposit(mark) else { unreachable!() };
        Door { mailbox, token, id }
    };
    Request::DepositMany(DepositMany { envelope: envelope(mark, bytes), doors: to.iter().map(door).collect() })
}

pub(crate) fn envelope(mark: u64, bytes: usize) -> Envelope {
    let mut body = vec![0xEE; bytes];
    body.iter_mut().zip(mark.to_be_bytes()).for_each(|(byte, of)| *byte = of);
    Envelope::new(body.into()).unwrap()
}

pub(crate) fn mark_of(delivery: &Delivery) -> u64 {
    mark_in(&delivery.envelope)
}

fn mark_in(envelope: &Envelope) -> u64 {
    u64::from_be_bytes(*envelope.bytes().first_chunk().unwrap())
}

/// A whole message whose envelope has a size that no [`Envelope`] has.
pub(crate) fn deposit_with_envelope_of(owner: &Owner, bytes: usize) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let mut field = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            field.push(u8::try_from(length & 0x7F).unwrap() | 0x80);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap());
        field.extend_from_slice(content);
        field
    };
    let mailbox = owner.mailbox();
    let parts = [&mailbox.as_bytes()[..], owner.token.expose(), &[1; 16], &vec![0; bytes]];
    let deposit: Vec<u8> = (1..).zip(parts).flat_map(|(number, content)| field(number, content)).collect();
    field(5, &deposit)
}

/// Sends bytes that no client would, and returns the code with which the relay closes.
pub(crate) async fn send_raw(relay: &TestRelay, bytes: &[u8]) -> u32 {
    let address = relay.running.local_addr();
    let (config, _) = quic::client_config(relay.running.address().fingerprint().unwrap(), RELAY_ALPN).unwrap();
    let endpoint = quic::client_endpoint(address).unwrap();
    let connection = endpoint.connect_with(config, address, "localhost").unwrap().await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    send.finish().unwrap();
    let closed = timeout(DEADLINE, connection.closed()).await.unwrap();
    let Disconnect::Closed(code) = Disconnect::from(closed) else { panic!("not closed by the relay") };
    code.code()
}

pub(crate) fn assert_refused(answer: &Answer, reason: RefusedReason) {
    match answer {
        Answer::Refused(refused) => assert_eq!(refused.reason, reason, "{}", refused.detail),
        other => panic!("{other:?} instead of {reason}"),
    }
}
