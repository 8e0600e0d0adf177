//! The one task between the engine and everything else: inputs go in one by one, and what comes out of each is carried out
//! in its order before the next goes in.
//!
//! It never waits for a connection: a call is put in line, and its reply is an input. So connections may wait for it.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hushwire_engine::{Answer, Call, CallFailed, Command, Credentials, Event, Input, Output};
use hushwire_proto::ids::UnixMillis;
use hushwire_proto::relay::Deliveries;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::now;
use crate::connectivity::Connectivity;
use crate::engine_thread::{EngineThread, Handled};
use crate::error::Error;
use crate::link::{self, Heard, Link, Outgoing};
use crate::newcomer::Newcomer;

/// Replies that wait for the engine. Their connections wait beyond that.
const REPLIES_WAITING_MAX: usize = 256;

/// Calls that wait for us to go online. Beyond that they fail, and the engine makes them again later.
const HELD_MAX: usize = 4096;

/// The wall clock is looked at this often while waiting for a time of it: a machine that slept does not oversleep.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(15);

/// How long calls under way may take to end when everything is to end. What has no reply by then is called again at the
/// next start.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// What a client asks of the driver.
pub(crate) enum Ask {
    /// Carry this out.
    Command(Command, oneshot::Sender<Result<Answer, Error>>),
    /// Go online, or hurry. Answered when that has begun.
    Connect(oneshot::Sender<Result<(), Error>>),
    /// End.
    Close,
}

/// How far everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// [`Ask::Connect`] has come.
    pub(crate) online: bool,
    /// Nothing is outstanding.
    pub(crate) idle: bool,
}

/// Why the client stopped by itself, if it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failure(Arc<OnceLock<Error>>);

impl Failure {
    pub(crate) fn get(&self) -> Option<Error> {
        self.0.get().cloned()
    }

    pub(crate) fn or_closed(&self) -> Error {
        self.get().unwrap_or(Error::Closed)
    }
}

/// The task.
pub(crate) struct Driver {
    engine: EngineThread,
    credentials: Arc<Credentials>,
    events: broadcast::Sender<Event>,
    shown: Arc<watch::Sender<Connectivity>>,
    newcomer: Arc<Newcomer>,
    progress: watch::Sender<Progress>,
    failure: Failure,
    replies: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    closing: watch::Sender<bool>,
    online: Option<(Link, mpsc::Receiver<Heard>)>,
    /// Calls that wait for us to go online.
    held: VecDeque<Outgoing>,
    /// Replies that were there at once.
    immediate: VecDeque<Input>,
    wake: Option<UnixMillis>,
}

/// What comes next.
enum Next {
    Asked(Option<Ask>),
    Heard(Option<Heard>),
    Input(Input),
    /// A quarter of a minute has passed, or the time has come.
    Clock,
}

impl Driver {
    pub(crate) fn new(
        engine: EngineThread,
        credentials: Arc<Credentials>,
        events: broadcast::Sender<Event>,
        shown: watch::Sender<Connectivity>,
        newcomer: Arc<Newcomer>,
        progress: watch::Sender<Progress>,
        failure: Failure,
    ) -> Self {
        Self {
            engine,
            credentials,
            events,
            shown: Arc::new(shown),
            newcomer,
            progress,
            failure,
            replies: mpsc::channel(REPLIES_WAITING_MAX),
            closing: watch::Sender::new(false),
            online: None,
            held: VecDeque::new(),
            immediate: VecDeque::new(),
            wake: None,
        }
    }

    /// Until [`Ask::Close`], the last client is gone, or the database fails.
    pub(crate) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let ended = self.work(&mut asks).await;
        if let Err(error) = ended {
            tracing::error!(%error, "the client stops by itself");
            let _ = self.failure.0.set(error); // before anyone is woken
        }
        asks.close();
        self.closing.send_replace(true);
        if let Some((link, heard)) = self.online.take() {
            drop(heard);
            drop(self.replies); // nobody waits to be heard any more
            link.ended().await;
        }
        self.engine.end().await;
    }

    async fn work(&mut self, asks: &mut mpsc::Receiver<Ask>) -> Result<(), Error> {
        loop {
            match self.next(asks).await {
                Next::Asked(Some(Ask::Command(command, answer))) => self.command(command, answer).await?,
                Next::Asked(Some(Ask::Connect(begun))) => {
                    let result = self.connect().await;
                    let _ = begun.send(result.clone()); // nobody may wait any more
                    result?;
                }
                Next::Asked(Some(Ask::Close) | None) => return self.last_calls().await,
                Next::Heard(Some(Heard::Input(Input::Delivered(deliveries)))) => self.delivered(deliveries).await?,
                Next::Heard(Some(Heard::Input(input))) | Next::Input(input) => self.input(input).await?,
                Next::Heard(Some(Heard::CaughtUp)) => self.shown.send_modify(|shown| shown.caught_up = true),
                Next::Heard(None) => self.online = None, // only when its task is gone, which it never is before us
                Next::Clock if self.online.is_some() && self.wake.is_some_and(|at| at <= now()) => {
                    self.wake = None;
                    self.input(Input::Tick).await?;
                }
                Next::Clock => {}
            }
        }
    }

    async fn next(&mut self, asks: &mut mpsc::Receiver<Ask>) -> Next {
        if let Some(input) = self.immediate.pop_front() {
            return Next::Input(input);
        }
        let until = self.wake.filter(|_| self.online.is_some()).map_or(u64::MAX, |at| at.since(now()));
        let heard = async {
            match &mut self.online {
                Some((_, heard)) => heard.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ask = asks.recv() => Next::Asked(ask),
            Some(reply) = self.replies.1.recv() => Next::Input(reply),
            heard = heard => Next::Heard(heard),
            () = sleep(LOOK_AT_CLOCK.min(Duration::from_millis(until))) => Next::Clock,
        }
    }

    async fn command(&mut self, command: Command, answer: oneshot::Sender<Result<Answer, Error>>) -> Result<(), Error> {
        if let Some((link, _)) = &self.online {
            link.hurry();
        }
        match self.engine.handle(Input::Command(command)).await {
            Ok(handled) => {
                self.carry_out(handled, Some(answer));
                Ok(())
            }
            Err(error) => {
                let _ = answer.send(Err(error.clone())); // nobody may wait any more
                Err(error)
            }
        }
    }

    async fn input(&mut self, input: Input) -> Result<(), Error> {
        let handled = self.engine.handle(input).await?;
        self.carry_out(handled, None);
        Ok(())
    }

    /// Counted once it is kept, while we catch up: afterwards nobody is woken for it.
    async fn delivered(&mut self, deliveries: Deliveries) -> Result<(), Error> {
        let number = deliveries.deliveries.len() as u64;
        self.input(Input::Delivered(deliveries)).await?;
        self.shown.send_if_modified(|shown| {
            let counts = number > 0 && !shown.caught_up;
            if counts {
                shown.backlog.kept = shown.backlog.kept.saturating_add(number);
            }
            counts
        });
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), Error> {
        if let Some((link, _)) = &self.online {
            link.hurry();
            return self.input(Input::Online).await;
        }
        let around = link::around(
            self.credentials.clone(),
            self.replies.0.clone(),
            self.closing.subscribe(),
            self.newcomer.clone(),
            self.shown.clone(),
        );
        let (mut link, heard) = Link::start(around, self.engine.clone(), self.shown.clone());
        self.immediate.extend(std::mem::take(&mut self.held).into_iter().filter_map(|held| link.call(held)));
        self.online = Some((link, heard));
        self.progress.send_modify(|progress| progress.online = true);
        self.input(Input::Tick).await
    }

    /// In the order in which the outputs came. Whoever waits for nothing to be outstanding is told first, so that an answer
    /// never finds an older state.
    fn carry_out(&mut self, handled: Handled, mut asked: Option<oneshot::Sender<Result<Answer, Error>>>) {
        self.note_progress(handled.has_work);
        for output in handled.outputs {
            match output {
                Output::Answer(answer) => {
                    if let Some(asked) = asked.take() {
                        let _ = asked.send(Ok(answer)); // nobody may wait any more
                    }
                }
                Output::Call { id, call } => self.call(Outgoing { id, call }),
                Output::Event(event) => {
                    let _ = self.events.send(event); // nobody may listen
                }
                Output::WakeAt(at) => self.wake = Some(at),
            }
        }
    }

    fn call(&mut self, outgoing: Outgoing) {
        match &mut self.online {
            Some((link, _)) => self.immediate.extend(link.call(outgoing)),
            None if matches!(outgoing.call, Call::Whisper { .. }) => {} // whoever is not online whispers nothing
            None if self.held.len() < HELD_MAX => self.held.push_back(outgoing),
            None => {
                let reply = Err(CallFailed::Unreachable("not online".to_owned()));
                self.immediate.push_back(Input::Replied { call: outgoing.id, reply });
            }
        }
    }

    /// The engine counts calls that have no reply yet, so this covers what is under way.
    fn note_progress(&self, has_work: bool) {
        self.progress.send_if_modified(|progress| std::mem::replace(&mut progress.idle, !has_work) == has_work);
    }

    /// Gives calls under way a moment to end. A retry that is due later is not waited for.
    async fn last_calls(&mut self) -> Result<(), Error> {
        let end = Instant::now() + CLOSE_GRACE;
        while self.online.is_some() && !self.progress.borrow().idle {
            if let Some(input) = self.immediate.pop_front() {
                self.input(input).await?;
                continue;
            }
            match timeout_at(end, self.replies.1.recv()).await {
                Ok(Some(reply)) => self.input(reply).await?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }
}
