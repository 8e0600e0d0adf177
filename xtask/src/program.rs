//! A process that was started here: its lines with the time they came, its end, and what it said when it fails.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::guard::{self, Guard};
use crate::workshop::Workshop;

/// Lines of a log that a failure shows.
const LOG_LINES_SHOWN: usize = 12;

const POLL: Duration = Duration::from_millis(5);

/// One line of standard output, and when it came.
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

/// A running process, in a process group of its own. Killed when dropped.
pub(crate) struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Line>,
    log: PathBuf,
    guard: Guard,
}

impl Program {
    /// Starts it. What it says on standard error goes to a file of its name, added to what is there.
    pub(crate) fn start(name: &str, command: &mut Command, workshop: &Workshop) -> Result<Self, Failure> {
        let log = workshop.log(&format!("{name}.log"));
        let failed = |error| format!("{name} cannot be started: {error}");
        let errors = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        workshop.guard().watch(child.id());
        let (sender, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || pass_on(output, &sender));
        }
        let input = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, input, lines, log, guard: workshop.guard().clone() })
    }

    /// Writes one line to its standard input, and says when.
    pub(crate) fn type_line(&mut self, text: &str) -> Result<Instant, Failure> {
        let at = Instant::now();
        let written = self.input.as_mut().is_some_and(|input| input.write_all(format!("{text}\n").as_bytes()).is_ok());
        if written { Ok(at) } else { Err(self.failure("reads nothing any more")) }
    }

    /// The first line from which `find` makes something. The ones before are passed over.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut find: impl FnMut(&Line) -> Option<T>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failure(&format!("did not show {what} within {} s", patience.as_secs())));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failure(&format!("ended before it showed {what}")));
                }
            }
        }
    }

    /// The next line, if one comes within this time.
    pub(crate) fn next_line(&mut self, patience: Duration) -> Option<Line> {
        self.lines.recv_timeout(patience).ok()
    }

    /// Ends its standard input, and waits for its end.
    pub(crate) fn hang_up(mut self) -> Result<(), Failure> {
        self.input = None;
        self.wait()
    }

    /// Asks it to end by SIGTERM, and waits.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        guard::signal("TERM", &self.child.id().to_string());
        self.wait()
    }

    fn wait(mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + guard::PATIENCE;
        while Instant::now() < deadline {
            if self.ended().is_some() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        Err(self.failure("was asked to end and did not"))
    }

    /// SIGKILL: it cannot finish anything.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// A sentence about it, with the end of its log.
    fn failure(&mut self, what: &str) -> Failure {
        // A process that closes its output is about to end; the status says more than the closed pipe.
        thread::sleep(10 * POLL);
        let status = self.ended().map(|status| format!(" ({status})")).unwrap_or_default();
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let shown = lines.get(lines.len().saturating_sub(LOG_LINES_SHOWN)..).unwrap_or_default();
        let log =
            if shown.is_empty() { String::new() } else { format!(" Its log ends:\n    {}", shown.join("\n    ")) };
        format!("{} {what}{status}.{log}", self.name)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.guard.forget(self.child.id());
    }
}

fn pass_on(output: ChildStdout, to: &Sender<Line>) {
    for text in BufReader::new(output).lines().map_while(Result::ok) {
        if to.send(Line { at: Instant::now(), text }).is_err() {
            return;
        }
    }
}
