//! The people of the ledger's run: their processes, and what these say.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use hushwire_sim::Failure;
use hushwire_sim::ledger::{Ledger, Note};
use hushwire_sim::program::{Program, beside_us};
use hushwire_sim::server::Server;
use serde_json::Value;

/// Looks at everyone's processes this often.
const LOOK: Duration = Duration::from_millis(500);

/// Who said it, and what.
type Line = (String, String);

pub(crate) struct People {
    dir: PathBuf,
    relay: String,
    keyserver: String,
    programs: BTreeMap<String, Program>,
    lines: (Sender<Line>, Receiver<Line>),
    deadline: Instant,
    pub(crate) ledger: Ledger,
    pub(crate) links: BTreeMap<String, String>,
    pub(crate) added: usize,
    histories_ended: usize,
    bad: Vec<String>,
    heard_last: Instant,
}

impl People {
    pub(crate) fn new(dir: &Path, relay: &Server, keyserver: &Server, deadline: Instant) -> Self {
        Self {
            dir: dir.to_owned(),
            relay: relay.address().to_string(),
            keyserver: keyserver.address().to_string(),
            programs: BTreeMap::new(),
            lines: mpsc::channel(),
            deadline,
            ledger: Ledger::default(),
            links: BTreeMap::new(),
            added: 0,
            histories_ended: 0,
            bad: Vec::new(),
            heard_last: Instant::now(),
        }
    }

    /// Starts their processes. Whoever was here before goes on.
    pub(crate) fn begin(&mut self, names: &[&str]) -> Result<(), Failure> {
        for name in names {
            let mut command = Command::new(beside_us("ledger-peer")?);
            command.arg(name).arg(self.dir.join(name)).args([&self.relay, &self.keyserver]);
            let (who, heard) = ((*name).to_owned(), self.lines.0.clone());
            let log = self.dir.join(format!("{name}.log"));
            let hear = move |line| _ = heard.send((who.clone(), line)); // the test may have ended
            self.programs.insert((*name).to_owned(), Program::start(name, &mut command, &log, hear)?);
        }
        Ok(())
    }

    /// SIGKILL, and again from the start in the same directory. What it said before is still heard.
    pub(crate) fn kill_and_restart(&mut self, name: &str) -> Result<(), Failure> {
        if let Some(program) = self.programs.remove(name) {
            program.kill();
        }
        self.begin(&[name])
    }

    /// Each of these adds each of those as a contact.
    pub(crate) fn introduce(&mut self, these: &[&str], those: &[&str]) -> Result<(), Failure> {
        for name in those {
            let link = self.links.get(*name).cloned().unwrap_or_default();
            self.tell(these, &format!("add {name} {link}"))?;
        }
        Ok(())
    }

    pub(crate) fn send(&mut self, who: &[&str], numbers: Range<u32>, per_second: u32) -> Result<(), Failure> {
        self.tell(who, &format!("send {} {} {per_second}", numbers.start, numbers.end))
    }

    /// Asks everyone for everything they have.
    pub(crate) fn histories(&mut self, senders: &[&str], receivers: &[&str]) -> Result<(), Failure> {
        self.tell(senders, "history")?;
        self.tell(receivers, "history")?;
        let all = senders.len() + receivers.len();
        self.until("the histories", |people| people.histories_ended == all)
    }

    /// Nothing was said to be missing, forged or unreadable: here nobody withholds, alters or forges.
    pub(crate) fn nothing_bad(&self) -> Result<(), Failure> {
        match self.bad.as_slice() {
            [] => Ok(()),
            bad => Err(format!("{} complaints; the first: {:?}", bad.len(), bad.first())),
        }
    }

    /// Listens until then, or until something else ends the wait.
    pub(crate) fn hear_until(&mut self, then: Instant) -> Result<(), Failure> {
        while self.hear(then.min(self.deadline))? {}
        self.check()
    }

    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        while !done(self) {
            self.hear(Instant::now() + LOOK)?;
            self.check().map_err(|failure| format!("while waiting for {what}: {failure}"))?;
        }
        Ok(())
    }

    /// Likewise, but not longer than `stuck` without any news.
    pub(crate) fn until_steady(&mut self, stuck: Duration, done: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        while !done(self) {
            self.hear(Instant::now() + LOOK)?;
            self.check()?;
            if self.heard_last.elapsed() > stuck {
                return Err(format!("nothing new for {} s; {}", stuck.as_secs(), self.so_far()));
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Failure> {
        if Instant::now() > self.deadline {
            return Err(format!("out of time; {}", self.so_far()));
        }
        match self
            .programs
            .values_mut()
            .find_map(|program| program.has_ended().then(|| program.failure("ended by itself")))
        {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn so_far(&self) -> String {
        let (sent, stored, delivered) = self.ledger.counts();
        format!("{sent} messages sent, {stored} stored, {delivered} delivered; complaints: {:?}", self.bad)
    }

    fn tell(&mut self, who: &[&str], line: &str) -> Result<(), Failure> {
        who.iter().try_for_each(|name| self.programs.get_mut(*name).map_or(Ok(()), |program| program.say(line)))
    }

    /// Notes one line, if one comes before then.
    fn hear(&mut self, until: Instant) -> Result<bool, Failure> {
        match self.lines.1.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((who, line)) => {
                self.heard_last = Instant::now();
                self.note(&who, &line);
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err("nobody is left".to_owned()),
        }
    }

    /// The last line of a killed process may be cut.
    fn note(&mut self, who: &str, line: &str) {
        let Ok(said) = serde_json::from_str::<Value>(line) else { return };
        let field = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is = |name: &str| said.get(name) == Some(&Value::Bool(true));
        let note = || Note::parse(&field("text"));
        match field("is").as_str() {
            "ready" => _ = self.links.insert(who.to_owned(), field("link")),
            "added" => self.added += 1,
            "intent" => note().into_iter().for_each(|note| self.ledger.intent(note)),
            "stored" => note().into_iter().for_each(|note| self.ledger.stored(note)),
            "delivered" => note().into_iter().for_each(|note| self.ledger.delivered(note)),
            "shown" => self.ledger.shown(who, field("text")),
            "kept" if is("ours") => match note() {
                Some(note) if is("delivered") => self.ledger.delivered(note),
                _ => {}
            },
            "kept" => self.ledger.kept(who, field("text")),
            "end" => self.histories_ended += 1,
            "bad" => self.bad.push(format!("{who}: {}", field("what"))),
            _ => {}
        }
    }
}
