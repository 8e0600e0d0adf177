//! Processes of this workspace's own programs: found beside the running one, spoken to in lines, ended by their handle.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use crate::Failure;

/// Lines of a log that a failure shows.
const LOG_LINES_SHOWN: usize = 15;

/// The program of that name as Cargo built it, beside the program or test that runs.
///
/// # Errors
/// A sentence that says how to build it.
pub fn beside_us(name: &str) -> Result<PathBuf, Failure> {
    let us = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    let dir = us.parent().map(|dir| if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir });
    let found = dir.map(|dir| dir.join(name)).unwrap_or_default();
    if found.is_file() {
        Ok(found)
    } else {
        Err(format!("{} is not there; build every program first: cargo build --workspace", found.display()))
    }
}

/// A running process. Killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    log: PathBuf,
}

impl Program {
    /// Starts it. Each line of its standard output goes to `hear`, in a thread of its own, until its output ends; its
    /// standard error is added to the file `log`.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(
        name: &str,
        command: &mut Command,
        log: &Path,
        mut hear: impl FnMut(String) + Send + 'static,
    ) -> Result<Self, Failure> {
        let failed = |error| format!("{name} cannot be started: {error}");
        let errors = File::options().create(true).append(true).open(log).map_err(failed)?;
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn();
        let mut child = spawned.map_err(failed)?;
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).for_each(&mut hear));
        }
        let input = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, input, log: log.to_owned() })
    }

    /// Writes one line to its standard input.
    ///
    /// # Errors
    /// It has ended, or closed its input.
    pub fn say(&mut self, line: &str) -> Result<(), Failure> {
        let input = self.input.as_mut();
        let said = input.is_some_and(|input| input.write_all(format!("{line}\n").as_bytes()).is_ok());
        if said { Ok(()) } else { Err(self.failure("reads nothing any more")) }
    }

    /// SIGKILL: it cannot finish anything. Gone when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs no more.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// A sentence about it, with the end of its log.
    #[must_use]
    pub fn failure(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(LOG_LINES_SHOWN)..).unwrap_or_default().join("\n    ");
        format!("{} {what}. Its log ends:\n    {end}", self.name)
    }

    fn end(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}
