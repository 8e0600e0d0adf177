//! The signed-in connection to our own relay: it opens the mailbox, takes what is delivered, and says what the relay may
//! forget. It stands as long as we are online and is made again whenever it is lost. Nothing is deposited over it.
//!
//! Spec: relay §3 to §6.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hushwire_engine::{CallFailed, CallId, Input, Reply};
use hushwire_proto::admission::Pass;
use hushwire_proto::auth::prove_mailbox;
use hushwire_proto::ids::{MailboxId, Seq};
use hushwire_proto::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use hushwire_proto::net::RELAY_ALPN;
use hushwire_proto::net::call::{CallError, Connection, Pushes};
use hushwire_proto::relay::{Answer, Push, Refused, RefusedReason, Request};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::backoff::Backoff;
use super::line::{Around, Outgoing, told};
use super::speak;
use crate::client::now;
use crate::connectivity::{ClockOff, Connectivity, Reach};
use crate::engine_thread::EngineThread;

/// A connection that stood this long worked; one that breaks sooner counts as a failed try, so that a relay that takes
/// connections and drops them is not hammered.
const STOOD: Duration = Duration::from_secs(5);

/// What the relay said, in its order.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "almost all are the large one")]
pub(crate) enum Heard {
    /// For the engine.
    Input(Input),
    /// All before this was what the relay had when we connected.
    CaughtUp,
}

/// The task that keeps the connection.
pub(crate) struct OwnRelay {
    pub(crate) around: Around,
    pub(crate) engine: EngineThread,
    pub(crate) calls: mpsc::Receiver<Outgoing>,
    /// Bounded; while the driver is busy nothing more is read from the relay.
    pub(crate) heard: mpsc::Sender<Heard>,
    pub(crate) shown: Arc<watch::Sender<Connectivity>>,
    /// A person acts: try now.
    pub(crate) hurry: Arc<Notify>,
}

/// Why a connection is no more.
enum Ended {
    Closing,
    Lost(String),
}

impl OwnRelay {
    /// Until everything is to end.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut closing = self.around.closing.clone();
        loop {
            self.shown.send_modify(|shown| {
                shown.reach(Reach::Connecting);
                shown.next_try = None;
            });
            let began = Instant::now();
            let begun = tokio::select! {
                begun = self.begin() => begun,
                () = told(&mut closing) => break,
            };
            let ended = match begun {
                Ok(session) => session.run(&mut self).await,
                Err(why) => Ended::Lost(why),
            };
            let Ended::Lost(why) = ended else { break };
            tracing::info!(reason = %why, "the own relay is not reached");
            if began.elapsed() > STOOD + CONNECT_DEADLINE {
                backoff.reset();
            }
            let wait = backoff.next();
            self.shown.send_modify(|shown| {
                shown.reach(Reach::Offline);
                shown.next_try = Some(now().plus(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
                shown.last_error = Some(why.clone());
            });
            if !self.wait(wait, &why).await {
                break;
            }
        }
        self.shown.send_modify(|shown| shown.reach(Reach::Offline));
    }

    /// Between two tries. `false`: everything is to end.
    async fn wait(&mut self, wait: Duration, why: &str) -> bool {
        let mut closing = self.around.closing.clone();
        let again = sleep(wait);
        tokio::pin!(again);
        loop {
            tokio::select! {
                () = &mut again => return true,
                () = self.hurry.notified() => return true,
                call = self.calls.recv() => match call {
                    Some(call) => self.reply(call.id, Err(CallFailed::Unreachable(why.to_owned()))).await,
                    None => return false,
                },
                () = told(&mut closing) => return false,
            }
        }
    }

    /// Connects, proves whose mailbox this is, and asks for what is new.
    async fn begin(&mut self) -> Result<Session, String> {
        let credentials = self.around.credentials.clone();
        let connecting = Connection::connect(&credentials.relay, RELAY_ALPN, CONNECT_DEADLINE);
        let connection = match timeout(CONNECT_DEADLINE, connecting).await {
            Ok(connected) => connected.map_err(|error| error.to_string())?,
            Err(_) => return Err("no answer from the relay in time".to_owned()),
        };
        let pushes = connection.pushes().ok_or("the connection is already in use")?;
        let binding = speak::binding(&connection).map_err(|error| error.to_string())?;
        let mailbox = MailboxId(credentials.mailbox_key.verifying_key().to_bytes());
        let proof = prove_mailbox(binding, &credentials.mailbox_key);
        let hello = connection.start(Request::Hello.encode()).map_err(said)?;
        let open = connection.start(Request::Open { mailbox, proof }.encode()).map_err(said)?;
        let Answer::Welcome(welcome) = answer(&hello.answer(CALL_DEADLINE).await.map_err(said)?)? else {
            return Err(OUT_OF_PROTOCOL.to_owned());
        };
        let Answer::Opened = answer(&open.answer(CALL_DEADLINE).await.map_err(said)?)? else {
            return Err(OUT_OF_PROTOCOL.to_owned());
        };
        let after = self.engine.query(|engine| engine.drained_to()).await.map_err(|error| error.to_string())?;
        let waiting = match drain(&connection, mailbox, after).await? {
            Ok(waiting) => {
                if after == Seq(0) {
                    let _ = self.heard.send(Heard::Input(Input::RelayMayBeNew)).await; // the driver may have ended
                }
                waiting
            }
            Err(refused) if refused.reason == RefusedReason::BadRequest && after > Seq(0) => {
                // It never gave a number as high as ours: its disk was lost or set back.
                let _ = self.heard.send(Heard::Input(Input::RelaySetBack)).await; // the driver may have ended
                let again = drain(&connection, mailbox, Seq(0)).await?;
                again.map_err(|refused| format!("the relay refused: {refused}"))?
            }
            Err(refused) => return Err(format!("the relay refused: {refused}")),
        };
        self.shown.send_modify(|shown| {
            shown.reach(Reach::Online);
            shown.backlog.waiting = waiting;
            shown.last_error = None;
            shown.clock_off = ClockOff::between(now(), welcome.now);
        });
        Ok(Session { connection, pushes, mailbox, caught_up: false, under_way: JoinSet::new() })
    }

    async fn reply(&self, call: CallId, reply: Result<Reply, CallFailed>) {
        let _ = self.around.replies.send(Input::Replied { call, reply }).await; // the driver may have ended
    }
}

/// One connection while it stands.
struct Session {
    connection: Connection,
    pushes: Pushes,
    mailbox: MailboxId,
    /// The relay said that it has nothing more.
    caught_up: bool,
    under_way: JoinSet<(CallId, Result<Bytes, CallError>)>,
}

impl Session {
    async fn run(mut self, own: &mut OwnRelay) -> Ended {
        let mut closing = own.around.closing.clone();
        let _ = own.heard.send(Heard::Input(Input::Online)).await; // the driver may have ended
        let ended = loop {
            tokio::select! {
                () = told(&mut closing) => break Ended::Closing,
                push = self.pushes.next() => match push {
                    Some(push) => if let Err(why) = self.pushed(&push, own).await { break Ended::Lost(why) },
                    None => break Ended::Lost(self.connection.closed().await.to_string()),
                },
                Some(answered) = self.under_way.join_next() => {
                    if let Ok((id, answer)) = answered
                        && let Err(why) = answered_by(id, answer, own).await { break Ended::Lost(why) }
                },
                call = own.calls.recv() => match call {
                    Some(call) => self.call(call, own).await,
                    None => break Ended::Closing,
                },
            }
        };
        let why = match &ended {
            Ended::Lost(why) => why.clone(),
            Ended::Closing => "closing".to_owned(),
        };
        while let Some(answered) = self.under_way.try_join_next() {
            if let Ok((id, answer)) = answered {
                let _ = answered_by(id, answer, own).await; // it ends anyway
            }
        }
        match ended {
            Ended::Closing => self.connection.close().await,
            Ended::Lost(_) => drop(self.connection),
        }
        while let Some(answered) = self.under_way.join_next().await {
            if let Ok((id, _)) = answered {
                own.reply(id, Err(CallFailed::Unreachable(why.clone()))).await;
            }
        }
        ended
    }

    async fn pushed(&mut self, push: &Bytes, own: &OwnRelay) -> Result<(), String> {
        let deliveries = match Push::parse(push) {
            Ok(Push::Deliveries(deliveries)) => deliveries,
            Ok(Push::Whispered(whispered)) if whispered.mailbox == self.mailbox => {
                // Messages come first: while the driver is busy with them, nothing is heard.
                let _ = own.heard.try_send(Heard::Input(Input::Whispered(whispered.envelope)));
                return Ok(());
            }
            Ok(Push::Whispered(_)) | Err(_) => return Err(OUT_OF_PROTOCOL.to_owned()),
        };
        if deliveries.mailbox != self.mailbox {
            return Err(OUT_OF_PROTOCOL.to_owned());
        }
        let at_the_end = deliveries.deliveries.is_empty(); // a relay says nothing only when it has nothing more
        let _ = own.heard.send(Heard::Input(Input::Delivered(deliveries))).await; // the driver may have ended
        if at_the_end && !self.caught_up {
            self.caught_up = true;
            let _ = own.heard.send(Heard::CaughtUp).await; // the driver may have ended
        }
        Ok(())
    }

    async fn call(&mut self, Outgoing { id, call, .. }: Outgoing, own: &OwnRelay) {
        let started =
            speak::request(call, &self.connection, &own.around.credentials, Pass::default()).and_then(|(bytes, _)| {
                Connectivity::count(&own.shown, bytes.len());
                self.connection.start(bytes).map_err(speak::unreachable)
            });
        match started {
            Ok(pending) => {
                self.under_way.spawn(async move { (id, pending.answer(CALL_DEADLINE).await) });
            }
            Err(error) => own.reply(id, Err(error)).await,
        }
    }
}

/// An error ends the connection: a relay that does not answer is not asked again over it.
async fn answered_by(id: CallId, answer: Result<Bytes, CallError>, own: &OwnRelay) -> Result<(), String> {
    let (reply, lost) = match answer {
        Ok(answer) => (speak::reply(&answer, speak::Tongue::Relay), Ok(())),
        Err(error) => (Err(speak::unreachable(error)), Err(error.to_string())),
    };
    own.reply(id, reply).await;
    lost
}

const OUT_OF_PROTOCOL: &str = "the relay answered out of protocol; one of the two programs needs an update";

/// Asks for everything after `after`; how much that is.
async fn drain(connection: &Connection, mailbox: MailboxId, after: Seq) -> Result<Result<u64, Refused>, String> {
    let asked = connection.call(Request::Drain { mailbox, after }.encode(), CALL_DEADLINE).await.map_err(said)?;
    match Answer::parse(&asked) {
        Ok(Answer::Draining { waiting }) => Ok(Ok(waiting)),
        Ok(Answer::Refused(refused)) => Ok(Err(refused)),
        Ok(_) | Err(_) => Err(OUT_OF_PROTOCOL.to_owned()),
    }
}

fn said(error: CallError) -> String {
    error.to_string()
}

fn answer(bytes: &Bytes) -> Result<Answer, String> {
    match Answer::parse(bytes) {
        Ok(Answer::Refused(refused)) => Err(format!("the relay refused: {refused}")),
        Ok(answer) => Ok(answer),
        Err(_) => Err(OUT_OF_PROTOCOL.to_owned()),
    }
}
