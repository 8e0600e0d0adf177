//! A group whose members are the program `hush`, one process each: what a person at a terminal waits for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use hushwire_client::ids::AccountId;
use hushwire_sim::Failure;
use hushwire_sim::person::{PATIENCE, said};
use hushwire_sim::program::{Program, beside_us};
use hushwire_sim::server::Server;
use hushwire_sim::usage::{Span, disk_bytes};
use serde_json::Value;

use crate::rows::Rows;

/// As the founder has named it.
pub(crate) const GROUP: &str = "crowd";

/// Receipts have come by then.
const REST: Duration = Duration::from_secs(3);

/// Everybody but the founder, whose commands run one after another.
pub(crate) struct Programs<'a> {
    /// The accounts, each named by a number.
    people: PathBuf,
    relay: &'a Server,
    hear: Sender<(usize, Value)>,
    heard: Receiver<(usize, Value)>,
    following: Vec<(usize, Program)>,
    rows: Rows,
}

impl<'a> Programs<'a> {
    pub(crate) fn new(dir: &Path, relay: &'a Server, rows: Rows) -> Self {
        let (hear, heard) = mpsc::channel();
        Self { people: dir.join("people"), relay, hear, heard, following: Vec::new(), rows }
    }

    /// What members do and what it took. `gone`, the last of them, is put out; `comes` is one more, who comes later.
    pub(crate) fn measure(mut self, gone: AccountId, comes: AccountId) -> Result<(), Failure> {
        let members = self.rows.members;
        (1..=members).try_for_each(|who| self.follow(who))?;
        self.say("are you there?", members - 1)?; // programs have started, and members have the founder's key
        let lap = self.lap();
        self.say("a message", members - 1)?;
        self.end(lap, "`hush send` begins; the last `hush receive --follow` has shown it");

        let there = members / 10 + 1;
        self.following.retain(|(who, _)| *who < there || *who == members);
        std::thread::sleep(REST);
        let (disk, lap) = (disk_bytes(self.relay.dir()), self.lap());
        self.say("while most are away", there - 1)?;
        self.end(lap, "the same, with nine of ten away: the last who is there has shown it");
        let grown = disk_bytes(self.relay.dir()) - disk;
        self.rows.number("bytes of the relay's disk for each who is away", grown / (members - there).max(1) as f64);
        let lap = self.lap();
        (there..members).try_for_each(|who| self.follow(who))?;
        self.all(members - there, |line| line["text"] == "while most are away")?;
        self.end(lap, "all start again and have shown it");

        // Else they show it too, and one member less would be waited for.
        self.following.retain(|(who, _)| *who != members - 1);
        let lap = self.lap();
        self.hush(0, &["group", "remove", GROUP, &gone.to_string()])?;
        self.all(members - 2, |line| line["type"] == "group_change")?;
        self.end(lap, "`hush group remove` begins; the last member has shown it");
        let lap = self.lap();
        self.say("under a new key", members - 2)?;
        self.end(lap, "the next message, under a new key");

        let lap = self.lap();
        self.hush(0, &["group", "add", GROUP, &comes.to_string()])?;
        self.all(1, |line| line["type"] == "group_joined")?;
        self.end(lap, "`hush group add` begins; who comes is in it");

        let leaves = members - 2;
        self.following.retain(|(who, _)| *who != leaves);
        let lap = self.lap();
        self.hush(leaves, &["group", "leave", GROUP])?;
        let left = |line: &Value| line.pointer("/what/0/kind").is_some_and(|kind| kind == "leave");
        self.all(members - 2, left)?;
        self.end(lap, "`hush group leave` begins; the last member has shown it");
        let lap = self.lap();
        self.say("under another new key", members - 2)?;
        self.end(lap, "the message after that, under a new key, which all get");
        Ok(())
    }

    fn lap(&self) -> Span {
        Span::begin(Some(self.relay.pid()))
    }

    fn end(&self, lap: Span, what: &str) {
        self.rows.program(what, lap.end());
        std::thread::sleep(REST);
    }

    /// Somebody stays, and shows what comes.
    fn follow(&mut self, who: usize) -> Result<(), Failure> {
        let hear = self.hear.clone();
        let log = self.people.join(format!("{who}.log"));
        let heard = move |line: String| {
            if let Ok(line) = serde_json::from_str(&line) {
                let _ = hear.send((who, line)); // nobody listens once it is over
            }
        };
        let mut command = self.command(who)?;
        command.args(["receive", "--follow"]);
        self.following.push((who, Program::start(&format!("hush of member {who}"), &mut command, &log, heard)?));
        Ok(())
    }

    fn command(&self, who: usize) -> Result<Command, Failure> {
        let mut command = Command::new(beside_us("hush")?);
        command.args(["--json", "--timeout", "60", "--account", &who.to_string(), "--data-dir"]).arg(&self.people);
        Ok(command)
    }

    /// One command of somebody whose program does not run.
    fn hush(&self, who: usize, args: &[&str]) -> Result<(), Failure> {
        let output = self.command(who)?.args(args).stdin(Stdio::null()).output().map_err(said)?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("hush {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr))),
        }
    }

    fn say(&self, text: &str, hearers: usize) -> Result<(), Failure> {
        self.hush(0, &["send", GROUP, text])?;
        self.all(hearers, |line| line["text"] == text)
    }

    /// Waits until so many have shown such a line.
    fn all(&self, number: usize, is: impl Fn(&Value) -> bool) -> Result<(), Failure> {
        let end = Instant::now() + PATIENCE;
        let mut have = BTreeSet::new();
        while have.len() < number {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((who, line)) if is(&line) => drop(have.insert(who)),
                Ok(_) => {}
                Err(_) => return Err(format!("{} of {number} have shown it: {have:?}", have.len())),
            }
        }
        Ok(())
    }
}
