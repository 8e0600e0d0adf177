//! Which cores a server and the generator may use, and how much of them. Linux.
//!
//! On a machine with few cores a server and its load take each other's time. What is kept apart says more: the server
//! on a core of its own, or with a share of one that the generator can exceed many times.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, said};

/// How often a share is given anew. Short, so that a server that has used up its own waits little.
const PERIOD_MICROS: u32 = 10_000;

/// Where the kernel's groups are, and the two files that bound one: of the second version, or of the first.
const GROUPS: [(&str, &str); 2] = [("/sys/fs/cgroup", "cpu.max"), ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us")];

/// What may be used; everything if nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Cores {
    /// Cores of the server, as `taskset -c` reads them: `0`, `0,2`, `0-3`.
    pub server: Option<String>,
    /// Cores of the generator.
    pub own: Option<String>,
    /// Per cent of one core that the server gets.
    pub share: Option<u32>,
}

impl Cores {
    /// Puts this process on its cores, with all its threads.
    ///
    /// # Errors
    /// `taskset` did not.
    pub fn take(&self) -> Result<(), Failure> {
        let Some(list) = &self.own else { return Ok(()) };
        let mut taskset = Command::new("taskset");
        let done = taskset.args(["-a", "-c", "-p", list, &std::process::id().to_string()]).output().map_err(said)?;
        if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
    }

    /// A command that starts `program` on the server's cores, as the same process.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        match &self.server {
            None => Command::new(program),
            Some(list) => {
                let mut command = Command::new("taskset");
                command.args(["-c", list]).arg(program);
                command
            }
        }
    }

    /// Bounds a process that was just started.
    ///
    /// # Errors
    /// The kernel has no such group, or this user may not make one.
    pub fn bound(&self, process: u32) -> Result<Option<Group>, Failure> {
        let Some(percent) = self.share else { return Ok(None) };
        let quota = PERIOD_MICROS / 100 * percent;
        let mut failures = String::new();
        for (root, file) in GROUPS {
            let group = Group(Path::new(root).join(format!("hushload-{process}")));
            // Never makes a file: one that is not there is not the kernel's.
            let write = |name: &str, value: String| {
                fs::OpenOptions::new().write(true).open(group.0.join(name))?.write_all(value.as_bytes())
            };
            let bounded = fs::create_dir(&group.0).and_then(|()| match file {
                "cpu.max" => write(file, format!("{quota} {PERIOD_MICROS}")),
                _ => {
                    write("cpu.cfs_period_us", PERIOD_MICROS.to_string()).and_then(|()| write(file, quota.to_string()))
                }
            });
            match bounded.and_then(|()| write("cgroup.procs", process.to_string())) {
                Ok(()) => return Ok(Some(group)),
                Err(error) => failures += &format!("; {}: {error}", group.0.display()),
            }
        }
        Err(format!("no share of a core can be given; the kernel's control groups want root{failures}"))
    }
}

/// A group of the kernel's with one process. Gone when dropped, if the process is.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0); // whatever stays is empty
    }
}
