//! Which connection a call goes over.
//!
//! Own and anonymous never meet: what we say as ourselves (own relay, own account at the keyserver) and what we say as
//! nobody (deposits, lookups) goes over connections that share neither socket nor TLS session, even to the same server.

mod backoff;
mod line;
mod relay;
mod report;
mod speak;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use hushwire_engine::{Call, CallFailed, CallId, Input};
use hushwire_proto::address::{Fingerprint, ServerAddress};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::connectivity::Connectivity;
use crate::engine_thread::EngineThread;
use crate::newcomer::Newcomer;
pub(crate) use line::Outgoing;
use line::{Around, CALLS_WAITING_MAX, Line, Purpose, told};
pub(crate) use relay::Heard;
use relay::OwnRelay;
pub(crate) use speak::unreachable;
use turns::{Turn, Turns};

/// Servers that are spoken to at the same time. People have contacts at a few; a socket each.
const LINES_MAX: usize = 64;

/// A whisper does not wait behind more calls: what is said to the devices of a group at one relay, with as much before it.
const WHISPERED_BEHIND_MAX: usize = 64;

/// Beyond so many lines none is made for a whisper alone.
const WHISPER_LINES_MAX: usize = LINES_MAX / 2;

/// Deliveries that wait for the engine. The rest waits at the relay.
const HEARD_WAITING_MAX: usize = 2;

/// All connections. Dropping it ends them.
pub(crate) struct Link {
    around: Around,
    own_relay: mpsc::Sender<Outgoing>,
    hurry: Arc<Notify>,
    lines: BTreeMap<(Purpose, ServerAddress), mpsc::Sender<Outgoing>>,
    tasks: JoinSet<()>,
}

impl Link {
    /// Goes online. What the own relay says comes out of the receiver.
    pub(crate) fn start(
        around: Around,
        engine: EngineThread,
        shown: Arc<watch::Sender<Connectivity>>,
    ) -> (Self, mpsc::Receiver<Heard>) {
        let (own_relay, calls) = mpsc::channel(CALLS_WAITING_MAX);
        let (heard, hears) = mpsc::channel(HEARD_WAITING_MAX);
        let hurry = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(OwnRelay { around: around.clone(), engine, calls, heard, shown, hurry: hurry.clone() }.run());
        let link = Self { around, own_relay, hurry, lines: BTreeMap::new(), tasks };
        (link, hears)
    }

    /// Puts a call in line, without waiting. Its reply, which a whisper has not, comes over [`Around::replies`]; or at once, from here.
    #[must_use = "a reply that is there already is the engine's"]
    pub(crate) fn call(&mut self, outgoing: Outgoing) -> Option<Input> {
        if let Call::Whisper { relay, .. } = &outgoing.call {
            let line = (Purpose::Deposits, relay.clone());
            self.whisper(line, outgoing);
            return None;
        }
        let turn = Turn::of(&outgoing.call);
        if let Some(Err(over)) = turn.map(|turn| self.around.turns.check(turn)) {
            return Some(Input::Replied { call: outgoing.id, reply: Err(over) });
        }
        let line = match &outgoing.call {
            Call::GetReport { auditor, keyserver, through } => {
                self.ask(outgoing.id, auditor.clone(), *keyserver, *through);
                return None;
            }
            Call::Grant { .. } | Call::Revoke { .. } | Call::Acknowledge { .. } => None,
            Call::Deposit { relay, .. } | Call::DepositMany { relay, .. } | Call::Whisper { relay, .. } => {
                Some((Purpose::Deposits, relay.clone()))
            }
            Call::Lookup { keyserver, .. } | Call::Fetch { keyserver, .. } | Call::GetHistory { keyserver, .. } => {
                Some((Purpose::Lookups, keyserver.clone()))
            }
            Call::Register { keyserver, .. }
            | Call::AppendLink { keyserver, .. }
            | Call::Publish { keyserver, .. }
            | Call::GetStock { keyserver } => Some((Purpose::OwnAccount, keyserver.clone())),
        };
        let refused = match line {
            None => self.own_relay.try_send(outgoing).err(),
            Some(line) => self.call_over(line, outgoing),
        };
        let outgoing = match refused? {
            mpsc::error::TrySendError::Full(outgoing) | mpsc::error::TrySendError::Closed(outgoing) => outgoing,
        };
        if let Some(turn) = turn {
            self.around.turns.end(turn);
        }
        let reply = Err(CallFailed::Unreachable("too much waits for this server already".to_owned()));
        Some(Input::Replied { call: outgoing.id, reply })
    }

    /// Only if little waits there: else it is dropped, as it is if it would take a line from what must arrive.
    fn whisper(&mut self, line: (Purpose, ServerAddress), outgoing: Outgoing) {
        let waiting = |calls: &mpsc::Sender<Outgoing>| calls.max_capacity() - calls.capacity();
        let is_busy = self.lines.get(&line).is_some_and(|calls| waiting(calls) > WHISPERED_BEHIND_MAX);
        let may_begin = self.lines.contains_key(&line) || self.lines.len() < WHISPER_LINES_MAX;
        if !is_busy && may_begin {
            let _ = self.call_over(line, outgoing); // what is not taken is dropped
        }
    }

    /// Auditors are asked seldom, each over a connection of its own. The engine asks a few at once.
    fn ask(&mut self, id: CallId, auditor: ServerAddress, about: Fingerprint, through: u64) {
        let (replies, mut closing) = (self.around.replies.clone(), self.around.closing.clone());
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(async move {
            let reply = tokio::select! {
                reply = report::fetch(&auditor, about, through) => reply,
                () = told(&mut closing) => Err(CallFailed::Unreachable("closing".to_owned())),
            };
            let _ = replies.send(Input::Replied { call: id, reply }).await; // the driver may have ended
        });
    }

    fn call_over(
        &mut self,
        line: (Purpose, ServerAddress),
        outgoing: Outgoing,
    ) -> Option<mpsc::error::TrySendError<Outgoing>> {
        let outgoing = match self.lines.get(&line) {
            None => outgoing,
            Some(known) => match known.try_send(outgoing) {
                Ok(()) => return None,
                Err(full @ mpsc::error::TrySendError::Full(_)) => return Some(full),
                Err(mpsc::error::TrySendError::Closed(outgoing)) => outgoing, // it was idle and has ended
            },
        };
        while self.tasks.try_join_next().is_some() {}
        self.lines.retain(|_, calls| !calls.is_closed());
        if self.lines.len() >= LINES_MAX {
            return Some(mpsc::error::TrySendError::Full(outgoing));
        }
        let (calls, waiting) = mpsc::channel(CALLS_WAITING_MAX);
        let (purpose, address) = line.clone();
        self.tasks.spawn(Line::new(purpose, address, self.around.clone()).run(waiting));
        let refused = calls.try_send(outgoing).err();
        self.lines.insert(line, calls);
        refused
    }

    /// A person acts: a connection that waits for its next try is tried now.
    pub(crate) fn hurry(&self) {
        self.hurry.notify_waiters();
    }

    /// Waits until every connection is closed; [`Around::closing`] must have been set.
    pub(crate) async fn ended(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

pub(crate) fn around(
    credentials: Arc<hushwire_engine::Credentials>,
    replies: mpsc::Sender<Input>,
    closing: watch::Receiver<bool>,
    newcomer: Arc<Newcomer>,
    shown: Arc<watch::Sender<Connectivity>>,
) -> Around {
    Around { credentials, replies, closing, newcomer, shown, turns: Turns::default() }
}
