//! Somebody with a `hush` of their own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Failure;
use crate::cargo;
use crate::program::{Line, Program};
use crate::workshop::Workshop;

/// How long a message, or any answer, may take before a demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// One person: a data directory and the `hush` that uses it.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) dir: PathBuf,
}

impl Person {
    /// By name, in a directory of that name.
    pub(crate) fn new(name: &'static str, workshop: &Workshop) -> Self {
        Self { name, dir: workshop.dir().join(name) }
    }

    /// Makes the account, with the name as handle.
    pub(crate) fn register(&self, relay: &str, keyserver: &str) -> Result<(), Failure> {
        let servers = ["--relay", relay, "--keyserver", keyserver];
        self.run(&[&["register", "--handle", self.name, "--protect", "key-file"], &servers[..]].concat()).map(drop)
    }

    /// `hush` with these words, to its end: the JSON that it printed.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Vec<Value>, Failure> {
        let failed = |why: &str| format!("{}: `hush {}` {why}", self.name, words.join(" "));
        let output = self.hush(words).output().map_err(|error| failed(&error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(&format!("ended with {}: {}", output.status, said.trim())));
        }
        let lines = String::from_utf8_lossy(&output.stdout);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).map_err(|error| failed(&format!("printed no JSON: {error}"))))
            .collect()
    }

    /// `hush` with these words, running.
    pub(crate) fn start(&self, words: &[&str], workshop: &Workshop) -> Result<Running, Failure> {
        Program::start(self.name, &mut self.hush(words), workshop).map(Running)
    }

    /// What somebody has written, as it stands in the history here.
    pub(crate) fn history_from(&self, other: &str) -> Result<Vec<String>, Failure> {
        let lines = self.run(&["history", other, "--all"])?;
        Ok(lines.iter().filter_map(incoming_text).collect())
    }

    fn hush(&self, words: &[&str]) -> Command {
        let mut hush = Command::new(cargo::program("hush"));
        hush.args(words).arg("--json").arg("--data-dir").arg(&self.dir);
        hush
    }
}

/// A `hush` that goes on running.
pub(crate) struct Running(Program);

impl Running {
    /// Types a line and says when.
    pub(crate) fn type_line(&mut self, text: &str) -> Result<Instant, Failure> {
        self.0.type_line(text)
    }

    /// The next message that is shown, and when it was.
    pub(crate) fn next_message(&mut self) -> Result<(Instant, String), Failure> {
        self.0.wait_for("a message", PATIENCE, message)
    }

    /// Waits until so many messages that were typed here are kept, none of which a relay has.
    pub(crate) fn wait_queued(&mut self, mut count: usize) -> Result<(), Failure> {
        self.0.wait_for("what was typed as queued", PATIENCE, |line| {
            let value: Value = serde_json::from_str(&line.text).ok()?;
            count -= usize::from(is(&value, "direction", "out") && is(&value, "state", "queued"));
            (count == 0).then_some(())
        })
    }

    /// Waits until the relay has so many messages that were typed here.
    pub(crate) fn wait_sent(&mut self, count: usize) -> Result<(), Failure> {
        let mut sent = BTreeSet::new();
        self.0.wait_for(&format!("{count} messages as sent"), PATIENCE, |line| {
            let value: Value = serde_json::from_str(&line.text).ok()?;
            if is(&value, "type", "state") && !is(&value, "state", "queued") {
                sent.insert(value.get("id")?.as_i64());
            }
            (sent.len() >= count).then_some(())
        })
    }

    /// Messages that are shown within this time though none are due.
    pub(crate) fn further_messages(&mut self, within: Duration) -> Vec<String> {
        let deadline = Instant::now() + within;
        let lines = std::iter::from_fn(|| self.0.next_line(deadline.saturating_duration_since(Instant::now())));
        lines.filter_map(|line| message(&line)).map(|(_, text)| text).collect()
    }

    /// Ends what is typed, and with it a chat.
    pub(crate) fn hang_up(self) -> Result<(), Failure> {
        self.0.hang_up()
    }

    /// Asks it to end.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        self.0.stop()
    }
}

fn message(line: &Line) -> Option<(Instant, String)> {
    let value: Value = serde_json::from_str(&line.text).ok()?;
    incoming_text(&value).map(|text| (line.at, text))
}

fn incoming_text(value: &Value) -> Option<String> {
    if !is(value, "type", "message") || !is(value, "direction", "in") {
        return None;
    }
    value.get("text")?.as_str().map(str::to_owned)
}

fn is(value: &Value, field: &str, word: &str) -> bool {
    value.get(field).and_then(Value::as_str) == Some(word)
}
