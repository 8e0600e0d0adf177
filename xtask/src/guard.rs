//! Ends what this program has started, and removes its temporary directory, however this program ends.
//!
//! The guard is a second process of this same program, in a process group of its own so that Ctrl-C does not reach it.
//! It reads from a pipe which processes to watch and forget; when the pipe closes, which the kernel does even after
//! SIGKILL, it ends the ones that are left by their ids.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;

/// How this program is called to be a guard. Not for people.
pub(crate) const COMMAND: &str = "__guard";

/// How long a process may take to end by itself. Longer than the servers take to answer what has begun.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(20);

/// The end of the pipe that says whom to watch.
#[derive(Clone)]
pub(crate) struct Guard(Rc<RefCell<Pipe>>);

struct Pipe {
    to: Option<ChildStdin>,
    guard: Child,
}

impl Guard {
    /// Starts one.
    pub(crate) fn start() -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
        let guard = Command::new(program).arg(COMMAND).stdin(Stdio::piped()).process_group(0).spawn();
        let mut guard = guard.map_err(|error| format!("the guard cannot be started: {error}"))?;
        Ok(Self(Rc::new(RefCell::new(Pipe { to: guard.stdin.take(), guard }))))
    }

    /// This process is ended if we are.
    pub(crate) fn watch(&self, id: u32) {
        self.say(&format!("watch {id}"));
    }

    /// This process has ended, and somebody else may get its id.
    pub(crate) fn forget(&self, id: u32) {
        self.say(&format!("forget {id}"));
    }

    /// This directory is removed at the end.
    pub(crate) fn remove(&self, dir: &Path) {
        self.say(&format!("remove {}", dir.display()));
    }

    /// A guard that is gone cannot be told; nothing else depends on it.
    fn say(&self, line: &str) {
        if let Some(pipe) = &mut self.0.borrow_mut().to {
            let _ = writeln!(pipe, "{line}");
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.guard.wait();
    }
}

/// What the guard does.
pub(crate) fn watch_over_stdin() -> Result<(), Failure> {
    let mut left = BTreeSet::new();
    let mut remove = None;
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("watch", id)) => _ = left.insert(id.to_owned()),
            Some(("forget", id)) => _ = left.remove(id),
            Some(("remove", dir)) => remove = Some(PathBuf::from(dir)),
            _ => {}
        }
    }
    for id in &left {
        signal("TERM", id);
    }
    let deadline = Instant::now() + PATIENCE;
    while left.iter().any(|id| signal("0", id)) && Instant::now() < deadline {
        thread::sleep(POLL);
    }
    for id in left.iter().filter(|id| signal("0", id)) {
        signal("KILL", id);
    }
    match remove {
        Some(dir) if dir.exists() => {
            fs::remove_dir_all(&dir).map_err(|error| format!("{} cannot be removed: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Whether there was such a process to send it to. The shell's own `kill`: a small system has no other.
pub(crate) fn signal(name: &str, id: &str) -> bool {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, id])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    kill.status().is_ok_and(|status| status.success())
}
