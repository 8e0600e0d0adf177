//! A connection that is made when there is something to ask and closed when there was nothing for a while: anonymous ones
//! to relays and keyservers, and the own one to the keyserver.
//!
//! Calls go out in the order in which they came, pipelined; answers come in any order. Every call but a whisper gets exactly
//! one reply. The line does not try again by itself: the engine knows when a call is worth repeating. Until it has been told
//! that a deposit failed it may go on calling later ones for the same mailbox; these fail too, and overtake nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hushwire_engine::{Call, CallFailed, CallId, Credentials, Input, Reply};
use hushwire_proto::address::ServerAddress;
use hushwire_proto::admission::Pass;
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::call::{Connection, PendingCall};
use hushwire_proto::net::{KEYS_ALPN, RELAY_ALPN};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use super::speak::{self, Tongue, unreachable};
use super::turns::{Turn, Turns};
use crate::connectivity::Connectivity;
use crate::newcomer::Newcomer;

/// Calls that wait to go out over one line. The engine keeps what is refused for more.
pub(crate) const CALLS_WAITING_MAX: usize = 1024;

/// Calls under way on one line: enough to fill a relay's group commit, few enough that a slow link answers the last
/// within the deadline.
const CALLS_UNDER_WAY_MAX: usize = 64;

/// A line without a call for this long is closed: a server need not know when we are just online. Longer than a pause in
/// a conversation.
const IDLE: Duration = Duration::from_secs(60);

/// Calls in the second after a failed try get its error: many retries at once are one handshake.
const PAUSE: Duration = Duration::from_secs(1);

/// What a line is for. Two purposes never share a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Deposits at a relay. Nothing on it says who we are.
    Deposits,
    /// Looking others up at a keyserver. Nothing on it says who we are.
    Lookups,
    /// Our own account at our keyserver.
    OwnAccount,
}

impl Purpose {
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Deposits => RELAY_ALPN,
            Self::Lookups | Self::OwnAccount => KEYS_ALPN,
        }
    }
}

/// One call on its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) id: CallId,
    pub(crate) call: Call,
}

/// What every line shares.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    pub(crate) credentials: Arc<Credentials>,
    /// Where replies go. Bounded; the driver always reads it.
    pub(crate) replies: mpsc::Sender<Input>,
    /// True once everything is to end.
    pub(crate) closing: watch::Receiver<bool>,
    /// What our account shows while it is new.
    pub(crate) newcomer: Arc<Newcomer>,
    /// Where it is counted what goes out.
    pub(crate) shown: Arc<watch::Sender<Connectivity>>,
    /// What keeps deposits in their order.
    pub(crate) turns: Turns,
}

/// Resolves once everything is to end. May be cancelled.
pub(crate) async fn told(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await; // an error: the driver is gone, which means the same
}

/// The task that keeps one such connection.
pub(crate) struct Line {
    purpose: Purpose,
    address: ServerAddress,
    around: Around,
    connection: Option<Connection>,
    /// Which connection, the first being 1.
    made: u64,
    signed_in: bool,
    failed: Option<(Instant, String)>,
    under_way: JoinSet<Ended>,
    /// Deposits among them.
    deposits: BTreeMap<CallId, Turn>,
}

/// A call that has its reply.
struct Ended {
    id: CallId,
    reply: Result<Reply, CallFailed>,
    /// The connection gave no answer, and is not asked again.
    lost: Option<u64>,
}

impl Line {
    pub(crate) fn new(purpose: Purpose, address: ServerAddress, around: Around) -> Self {
        Self {
            purpose,
            address,
            around,
            connection: None,
            made: 0,
            signed_in: false,
            failed: None,
            under_way: JoinSet::new(),
            deposits: BTreeMap::new(),
        }
    }

    /// Until nothing was asked for a while, or everything is to end.
    pub(crate) async fn run(mut self, mut calls: mpsc::Receiver<Outgoing>) {
        let mut closing = self.around.closing.clone();
        loop {
            let room = self.under_way.len() < CALLS_UNDER_WAY_MAX;
            let quiet = self.under_way.is_empty();
            tokio::select! {
                Some(ended) = self.under_way.join_next() => self.ended(ended).await,
                call = calls.recv(), if room => match call {
                    Some(call) => self.start(call).await,
                    None if quiet => break,
                    None => self.one_more_ends().await,
                },
                () = tokio::time::sleep(IDLE), if quiet => calls.close(), // what came meanwhile is still read
                () = told(&mut closing) => break,
            }
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    async fn start(&mut self, outgoing: Outgoing) {
        if matches!(outgoing.call, Call::Whisper { .. }) {
            return self.whisper(outgoing.call).await;
        }
        let (id, turn) = (outgoing.id, Turn::of(&outgoing.call));
        let registers = matches!(outgoing.call, Call::Register { .. });
        let connected = match self.connected(&outgoing.call).await {
            Ok(connection) if registers => self.pass(&connection).await.map(|pass| (connection, pass)),
            connected => connected.map(|connection| (connection, Pass::default())),
        };
        // Only now: to connect anew ends the turns of what was under way.
        let begun = match turn.map_or(Ok(()), |turn| self.around.turns.check(turn)) {
            Err(over) => Err(over),
            Ok(()) => connected
                .and_then(|(connection, pass)| self.begin(connection, outgoing.call, pass))
                .inspect_err(|error| self.unusable(error)),
        };
        let (connection, pending, tongue) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.end(turn);
                if registers {
                    self.around.newcomer.tried(Some(&error));
                }
                return self.reply(id, Err(error)).await;
            }
        };
        self.deposits.extend(turn.map(|turn| (id, turn)));
        let made = self.made;
        let newcomer = registers.then(|| self.around.newcomer.clone());
        self.under_way.spawn(async move {
            let (reply, lost) = match pending.answer(CALL_DEADLINE).await {
                Ok(answer) => (speak::reply(&answer, tongue), None),
                Err(error) => (Err(unreachable(error)), Some(made)),
            };
            if let Some(newcomer) = newcomer {
                newcomer.tried(reply.as_ref().err());
            }
            drop(connection); // not before: others may wait for it still when it is not asked again
            Ended { id, reply, lost }
        });
    }

    /// A person looks at a conversation there, so that more will go over the connection. What became of it nobody asks.
    async fn whisper(&mut self, call: Call) {
        if let Ok(connection) = self.connected(&call).await {
            let _ = self.begin(connection, call, Pass::default());
        }
    }

    /// What a registration shows; `Err` also if everything is to end meanwhile.
    async fn pass(&self, connection: &Connection) -> Result<Pass, CallFailed> {
        let Around { newcomer, credentials, closing, .. } = &self.around;
        let mut closing = closing.clone();
        tokio::select! {
            pass = newcomer.pass(connection, self.address.fingerprint(), credentials.account) => pass,
            () = told(&mut closing) => Err(CallFailed::Unreachable("closing".to_owned())),
        }
    }

    fn begin(
        &self,
        connection: Connection,
        call: Call,
        pass: Pass,
    ) -> Result<(Connection, PendingCall, Tongue), CallFailed> {
        let (bytes, tongue) = speak::request(call, &connection, &self.around.credentials, pass)?;
        Connectivity::count(&self.around.shown, bytes.len());
        let pending = connection.start(bytes).map_err(unreachable)?;
        Ok((connection, pending, tongue))
    }

    /// The next call makes a new connection.
    fn unusable(&mut self, error: &CallFailed) {
        if matches!(error, CallFailed::Unreachable(_)) {
            self.connection = None;
        }
    }

    fn end(&self, turn: Option<Turn>) {
        if let Some(turn) = turn {
            self.around.turns.end(turn);
        }
    }

    /// The connection, fit for this call.
    async fn connected(&mut self, call: &Call) -> Result<Connection, CallFailed> {
        let connection = match self.connection.clone() {
            Some(connection) if !is_closed(&connection).await => connection,
            Some(_) | None => self.connect().await?,
        };
        // A registration proves by itself who asks, and a link who signed it: there may be nobody yet to sign in as.
        let signs_in = !matches!(call, Call::Register { .. } | Call::AppendLink { .. });
        if self.purpose == Purpose::OwnAccount && !self.signed_in && signs_in {
            speak::sign_in(&connection, &self.around.credentials).await?;
            self.signed_in = true;
        }
        Ok(connection)
    }

    async fn connect(&mut self) -> Result<Connection, CallFailed> {
        if let Some((when, why)) = &self.failed
            && when.elapsed() < PAUSE
        {
            return Err(CallFailed::Unreachable(why.clone()));
        }
        for turn in self.deposits.values() {
            self.around.turns.end(*turn); // it was under way over the connection that is gone
        }
        let mut closing = self.around.closing.clone();
        let connecting = Connection::connect(&self.address, self.purpose.alpn(), CONNECT_DEADLINE);
        let connected = tokio::select! {
            connected = timeout(CONNECT_DEADLINE, connecting) => connected,
            () = told(&mut closing) => return Err(CallFailed::Unreachable("closing".to_owned())),
        };
        let why = match connected {
            Ok(Ok(connection)) => {
                drop(connection.pushes()); // nothing is pushed here; should it be, it goes nowhere
                self.failed = None;
                self.signed_in = false;
                self.made += 1;
                self.connection = Some(connection.clone());
                return Ok(connection);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer from the server in time".to_owned(),
        };
        self.failed = Some((Instant::now(), why.clone()));
        Err(CallFailed::Unreachable(why))
    }

    async fn one_more_ends(&mut self) {
        if let Some(ended) = self.under_way.join_next().await {
            self.ended(ended).await;
        }
    }

    async fn ended(&mut self, ended: Result<Ended, JoinError>) {
        let Ok(Ended { id, reply, lost }) = ended else { return }; // only at the end of everything
        let turn = self.deposits.remove(&id);
        if reply.is_err() {
            self.end(turn);
        }
        if lost == Some(self.made) {
            self.connection = None; // the next call makes a new one
        } else if reply == Ok(Reply::Registered) {
            self.signed_in = true;
        }
        self.reply(id, reply).await;
    }

    async fn reply(&self, call: CallId, reply: Result<Reply, CallFailed>) {
        let _ = self.around.replies.send(Input::Replied { call, reply }).await; // the driver may have ended
    }
}

/// Whether it is known to have ended: a server that went away has said so.
async fn is_closed(connection: &Connection) -> bool {
    tokio::select! {
        biased;
        _ = connection.closed() => true,
        () = std::future::ready(()) => false,
    }
}
