//! A program that runs, and what it took. Linux only: what a process takes stands in `/proc`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use hushwire_sim::Failure;
use hushwire_sim::person::said;

/// The kernel keeps the most that there ever was, so only what comes after the last look is missed.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Of `utime` and `stime`, on every Linux that people have.
const TICKS_PER_SECOND: u64 = 100;

/// What a run took.
pub(crate) struct Watched {
    /// Lines that are messages.
    pub(crate) messages: usize,
    /// Until the last of them.
    pub(crate) last_shown: Duration,
    /// Until the program had ended.
    pub(crate) took: Duration,
    /// The most memory that it had.
    pub(crate) memory_kib: u64,
    /// On all cores together.
    pub(crate) cpu: Duration,
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
        Ok(Self { messages, last_shown, took, memory_kib: looks.memory_kib, cpu: looks.cpu })
    }
}

/// What was seen of a process.
#[derive(Default)]
struct Looks {
    memory_kib: u64,
    cpu: Duration,
}

impl Looks {
    /// A process that has ended says nothing more: then what was seen last stays.
    fn look(&mut self, pid: u32) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()) {
            self.memory_kib = kib;
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name, which stands in parentheses: utime and stime are the 12th and 13th.
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        let ticks: Vec<u64> = behind.split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
        if ticks.len() == 2 {
            self.cpu = Duration::from_millis(ticks.iter().sum::<u64>() * 1000 / TICKS_PER_SECOND);
        }
    }
}

/// What the files of a folder take.
pub(crate) fn file_bytes(dir: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).map_err(said)? {
        bytes += entry.and_then(|entry| entry.metadata()).map_err(said)?.len();
    }
    Ok(bytes)
}
