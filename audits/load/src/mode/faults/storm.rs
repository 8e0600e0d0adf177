//! Clients that go on whatever becomes of the relay, a ledger of what they were promised, and the verdict.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::clients::{Shared, receive, send};
use super::shout::shout;
use crate::ledger::{self, Entry, Ledger, Verdict, check, control};
use crate::line::Line;
use crate::report::Case;
use crate::server::{Around, Server, Started};
use crate::target::Target;
use crate::times::{Times, nanos, now};
use crate::tongue::Mailbox;
use crate::{Failure, said};

/// What a relay had sent when it ended still arrives, and counts.
const LAST_WORDS: Duration = Duration::from_millis(5);

/// How often something is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long anything may take that a storm waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who is there, and how much they say.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Each a sender and a device.
    pub clients: u32,
    /// Bytes of an envelope.
    pub bytes: usize,
    /// A sender has one deposit under way to each mailbox.
    pub one_by_one: bool,
    /// The devices are there from the beginning.
    pub devices: bool,
    /// One more says the same to all, by one request each time.
    pub to_all: bool,
}

impl Size {
    /// All at once, and everybody is there.
    #[must_use]
    pub fn of(clients: u32, bytes: usize) -> Self {
        Self { clients, bytes, one_by_one: false, devices: true, to_all: false }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The checker's.
    pub verdict: Verdict,
    /// Breaches that the checker would not have found.
    pub missed: Vec<String>,
    /// What else was not as it must be.
    pub wrong: Vec<String>,
    /// Figures.
    pub case: Case,
}

impl Outcome {
    /// One more figure.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.case = self.case.with(name, value);
        self
    }

    /// Must hold.
    #[must_use]
    pub fn must(mut self, holds: bool, otherwise: impl FnOnce() -> String) -> Self {
        if !holds {
            self.wrong.push(otherwise());
        }
        self
    }
}

/// A storm over one relay.
pub struct Storm {
    shared: Arc<Shared>,
    say: watch::Sender<Option<Target>>,
    clients: Vec<JoinHandle<()>>,
    ledger: PathBuf,
    relay: PathBuf,
    server: Option<Server>,
    restarts: Times,
    began: Instant,
    quiet: Duration,
}

impl Storm {
    /// Starts a relay with its files in `relay`, and lets it loose. The ledger is left in `dir`.
    ///
    /// # Errors
    /// The relay does not serve.
    pub async fn begin(dir: &Path, relay: &Path, around: &Around, size: Size) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(said)?;
        let server = started(relay, around).await?.serving()?;
        let target = Target::of(&server)?;
        let ledger = dir.join("ledger");
        let (say, hears) = watch::channel(None);
        let shared = Arc::new(Shared {
            ledger: Ledger::create(&ledger)?,
            mailboxes: (0..size.clients).map(Mailbox::new).collect(),
            size,
            relay: hears,
            enough: AtomicBool::new(false),
            come: AtomicBool::new(size.devices),
            intents: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            refused_for_ever: AtomicU64::new(0),
            back: AtomicU64::new(0),
            first_answers: Times::default(),
        });
        // Tokens are granted in peace, so that no deposit comes before its door is there.
        for mailbox in &shared.mailboxes {
            Line::owner(&target, mailbox).await?;
        }
        say.send_replace(Some(target));
        let clients = (0..size.clients).flat_map(|index| {
            [tokio::spawn(send(shared.clone(), index)), tokio::spawn(receive(shared.clone(), index))]
        });
        let to_all = size.to_all.then(|| tokio::spawn(shout(shared.clone(), size.clients)));
        Ok(Self {
            clients: clients.chain(to_all).collect(),
            shared,
            say,
            ledger,
            relay: relay.to_owned(),
            server: Some(server),
            restarts: Times::default(),
            began: Instant::now(),
            quiet: PATIENCE,
        })
    }

    /// Deposits that were answered stored.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.shared.stored.load(Relaxed)
    }

    /// Envelopes that devices have.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.shared.shown.load(Relaxed)
    }

    /// Deposits that were refused, and tried again.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Relaxed)
    }

    /// The relay's process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid)
    }

    /// From the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Nothing new is sent; what is under way is.
    pub fn enough(&self) {
        self.shared.enough.store(true, Relaxed);
    }

    /// The devices that were away come.
    pub fn come(&self) {
        self.shared.come.store(true, Relaxed);
    }

    /// How long everything may take to arrive at the end.
    pub fn be_quiet_for(&mut self, quiet: Duration) {
        self.quiet = quiet;
    }

    /// Waits until so many are stored.
    ///
    /// # Errors
    /// It takes too long, or the relay ended.
    pub async fn until_stored(&mut self, stored: u64) -> Result<(), Failure> {
        let (mut last, mut at) = (Instant::now(), self.stored());
        while self.stored() < stored {
            if self.stored() > at {
                (last, at) = (Instant::now(), self.stored());
            }
            self.must_serve()?;
            if last.elapsed() > PATIENCE {
                return Err(format!("nothing more was stored after {at} of {stored}"));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn must_serve(&mut self) -> Result<(), Failure> {
        match self.server.as_mut() {
            Some(server) => match server.ended()? {
                None => Ok(()),
                Some(status) => Err(server.failure(&format!("ended with {status}"))),
            },
            None => Err("the relay is away".to_owned()),
        }
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
        self.is_gone().await;
    }

    /// SIGTERM.
    ///
    /// # Errors
    /// There is no relay.
    pub fn terminate(&mut self) -> Result<(), Failure> {
        self.server.as_ref().ok_or("the relay is away")?.terminate()
    }

    async fn is_gone(&self) {
        self.shared.ledger.note(Entry::Killed);
        sleep(LAST_WORDS).await;
        self.say.send_replace(None);
    }

    /// Waits until the relay has ended by itself: how, and its log. `None`: it goes on.
    ///
    /// # Errors
    /// The system does not say.
    pub async fn ended(&mut self, patience: Duration) -> Result<Option<(ExitStatus, String)>, Failure> {
        let since = Instant::now();
        let Some(mut server) = self.server.take() else { return Err("the relay is away".to_owned()) };
        while since.elapsed() < patience {
            if let Some(status) = server.ended()? {
                self.is_gone().await;
                return Ok(Some((status, server.log())));
            }
            sleep(LOOK_EVERY).await;
        }
        self.server = Some(server);
        Ok(None)
    }

    /// Starts the relay again, in these surroundings. `None`: it serves; else how it ended, and its log.
    ///
    /// # Errors
    /// It cannot be started at all.
    pub async fn start(&mut self, around: &Around) -> Result<Option<(ExitStatus, String)>, Failure> {
        let began = Instant::now();
        match started(&self.relay, around).await? {
            Started::Ended { status, log, failure: _ } => {
                self.shared.ledger.note(Entry::Killed);
                Ok(Some((status, log)))
            }
            Started::Serves(server) => {
                self.restarts.add(nanos(began.elapsed()));
                self.shared.back.store(now(), Relaxed);
                self.say.send_replace(Some(Target::of(&server)?));
                self.server = Some(server);
                Ok(None)
            }
        }
    }

    /// The same, and it must serve.
    ///
    /// # Errors
    /// It does not.
    pub async fn restart(&mut self, around: &Around) -> Result<(), Failure> {
        match self.start(around).await? {
            None => Ok(()),
            Some((status, log)) => Err(format!("the relay does not start any more ({status}):\n{log}")),
        }
    }

    /// Lets every client connect anew, to the same relay.
    ///
    /// # Errors
    /// There is none.
    pub fn reconnect(&mut self) -> Result<(), Failure> {
        let server = self.server.as_ref().ok_or("the relay is away")?;
        self.shared.back.store(now(), Relaxed);
        self.say.send_replace(Some(Target::of(server)?));
        Ok(())
    }

    /// Stops with what is there, judged by nobody: the mailboxes, and the ledger.
    ///
    /// # Errors
    /// Not everything was answered, or the ledger was not kept.
    pub async fn leave(mut self) -> Result<(Vec<Mailbox>, PathBuf), Failure> {
        self.enough();
        self.until_stored(self.shared.intents.load(Relaxed)).await?;
        self.kill().await;
        drop(self.say);
        for client in self.clients {
            client.await.map_err(said)?;
        }
        self.shared.ledger.close()?;
        Ok((self.shared.mailboxes.clone(), self.ledger))
    }

    /// Waits until all has arrived, and judges.
    ///
    /// # Errors
    /// The ledger was not kept.
    pub async fn end(mut self, name: &str) -> Result<Outcome, Failure> {
        let raged = self.began.elapsed();
        let shared = self.shared.clone();
        self.enough();
        self.come();
        let quiet = Instant::now();
        let all = shared.intents.load(Relaxed);
        let is_through = |storm: &Self| storm.shown() >= all && storm.stored() >= all;
        while !is_through(&self) && quiet.elapsed() < self.quiet {
            sleep(LOOK_EVERY).await;
        }
        let quiet = quiet.elapsed();
        sleep(Duration::from_millis(200)).await; // what comes too often comes now
        drop(self.say);
        for client in self.clients {
            client.await.map_err(said)?;
        }
        drop(self.server.take());
        shared.ledger.close()?;
        let entries = ledger::read(&self.ledger)?;
        let (verdict, missed) = (check(&entries), control(&entries));
        let broken = verdict.broken.values().map(|(count, _)| *count).sum::<usize>();
        let unkind = shared.refused_for_ever.load(Relaxed);
        let case = Case::new(name)
            .with("stored and answered", verdict.stored as f64)
            .with("tries", verdict.tries as f64)
            .with("refused, tried again", shared.refused.load(Relaxed) as f64)
            .with("given on the wire", verdict.given as f64)
            .with("shown", verdict.shown as f64)
            .with("times the relay ended", verdict.kills as f64)
            .with("stored/s", verdict.stored as f64 / raged.as_secs_f64())
            .with_times("restart", &self.restarts)
            .with_times("back until first answer", &shared.first_answers)
            .with("until all had arrived s", quiet.as_secs_f64())
            .with("violations", broken as f64);
        let outcome = Outcome { verdict, missed, wrong: Vec::new(), case };
        Ok(outcome.must(unkind == 0, || format!("{unkind} refusals did not say when to come back")))
    }
}

async fn started(dir: &Path, around: &Around) -> Result<Started, Failure> {
    let (dir, around) = (dir.to_owned(), around.clone());
    tokio::task::spawn_blocking(move || Server::start_relay(&dir, &around)).await.map_err(said)?
}
