//! A program that runs, and what it took. Linux only: what a process takes stands in `/proc`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use hushwire_sim::Failure;
use hushwire_sim::person::said;
use hushwire_sim::usage::Process;

/// The kernel keeps the most that there ever was, so only what comes after the last look is missed.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a run took.
pub(crate) struct Watched {
    /// Lines that are messages.
    pub(crate) messages: usize,
    /// Until the last of them.
    pub(crate) last_shown: Duration,
    /// Until the program had ended.
    pub(crate) took: Duration,
    /// The most memory that it had.
    pub(crate) memory_kib: f64,
    /// Seconds, on all cores together.
    pub(crate) cpu_s: f64,
}

impl Watched {
    /// Runs `hush` to its end.
    pub(crate) fn run(mut command: Command) -> Result<Self, Failure> {
        let began = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(said)?;
        let (pid, output) = (child.id(), child.stdout.take().ok_or("it has no output")?);
        let (ended, ends) = mpsc::channel::<()>();
        let looking = thread::spawn(move || {
            let mut looks = Looks::default();
            while ends.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                looks.look(pid);
            }
            looks
        });
        let (mut messages, mut last_shown) = (0, Duration::ZERO);
        for line in BufReader::new(output).lines() {
            if line.map_err(said)?.contains(r#""type":"message""#) {
                messages += 1;
                last_shown = began.elapsed();
            }
        }
        let status = child.wait().map_err(said)?;
        let took = began.elapsed();
        drop(ended);
        let looks = looking.join().map_err(|_| "nobody looked")?;
        if !status.success() {
            return Err(format!("hush receive ended with {status}"));
        }
        Ok(Self { messages, last_shown, took, memory_kib: looks.memory_kib, cpu_s: looks.cpu_s })
    }
}

/// What was seen of a process.
#[derive(Default)]
struct Looks {
    memory_kib: f64,
    cpu_s: f64,
}

impl Looks {
    /// A process that has ended says nothing more: then what was seen last stays.
    fn look(&mut self, pid: u32) {
        let now = Process::of(pid);
        self.memory_kib = self.memory_kib.max(now.peak_kib);
        self.cpu_s = self.cpu_s.max(now.cpu);
    }
}
